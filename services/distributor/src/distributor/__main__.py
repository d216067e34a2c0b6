"""`python -m distributor`: deliver until SIGTERM."""

import asyncio

from distributor.app import serve
from distributor.settings import DistributorSettings


def main() -> None:
    """Read the settings and run."""
    asyncio.run(serve(DistributorSettings()))


if __name__ == "__main__":
    main()
