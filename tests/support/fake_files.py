"""Artifacts that all have the same bytes, for tests that are about something else."""

import asyncio
from pathlib import Path

from contracts.base import Artifact


class FixedFiles:
    """The Files port of the distributor."""

    def __init__(self, content: bytes = b"bytes") -> None:
        self.content = content

    async def read(self, artifact: Artifact) -> bytes:
        return self.content

    async def save(self, artifact: Artifact, to: Path) -> None:
        await asyncio.to_thread(to.write_bytes, self.content)

    async def publish(self, artifact: Artifact, key: str) -> Artifact:
        return artifact.model_copy(update={"key": key})
