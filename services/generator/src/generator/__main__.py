"""`python -m generator`: plan and render until SIGTERM."""

import asyncio

from generator.app import serve
from generator.settings import GeneratorSettings


def main() -> None:
    """Read the settings and run."""
    asyncio.run(serve(GeneratorSettings()))


if __name__ == "__main__":
    main()
