"""`python -m notifier`: watch executions and tell their owners, until SIGTERM."""

import asyncio

from notifier.app import serve
from notifier.settings import NotifierSettings


def main() -> None:
    """Read the settings and run."""
    asyncio.run(serve(NotifierSettings()))


if __name__ == "__main__":
    main()
