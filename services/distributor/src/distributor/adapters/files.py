"""Artifacts and Hub files in the object store."""

from pathlib import Path
from typing import Protocol

from contracts.base import Artifact, ObjectRef
from runtime.errors import Permanent, Transient


class Objects(Protocol):
    """What is needed of the object store; `runtime.objects.ObjectStore` is one."""

    async def get(self, ref: ObjectRef, *, max_bytes: int) -> bytes:
        """Return verified bytes."""
        ...

    async def fetch(self, ref: ObjectRef, path: Path, *, max_bytes: int) -> None:
        """Write verified bytes to a file."""
        ...

    async def head(self, key: str) -> ObjectRef | None:
        """Return what lies under a key."""
        ...

    async def copy(self, ref: ObjectRef, key: str) -> ObjectRef:
        """Copy inside the store."""
        ...


class StoredFiles:
    """Artifacts, and the copies of them that the Hub shows."""

    def __init__(self, objects: Objects, *, max_bytes: int) -> None:
        """Take the internal bucket and the largest artifact that is delivered."""
        self._objects = objects
        self._max_bytes = max_bytes

    async def read(self, artifact: Artifact) -> bytes:
        """Return the bytes, verified against size and checksum."""
        return await self._objects.get(artifact, max_bytes=self._max_bytes)

    async def save(self, artifact: Artifact, to: Path) -> None:
        """Write the bytes to a new file, verified against size and checksum."""
        await self._objects.fetch(artifact, to, max_bytes=self._max_bytes)

    async def publish(self, artifact: Artifact, key: str) -> Artifact:
        """Copy an artifact to a key of the Hub, verified; return where it lies now. May be repeated."""
        if not _same(await self._objects.head(key), artifact):
            await self._objects.copy(artifact, key)
            found = await self._objects.head(key)
            if found is None:
                raise Transient(f"the copy at {key} is not visible yet")
            if not _same(found, artifact):
                raise Permanent(
                    "artifact-damaged",
                    f"The artifact {artifact.key} is not what was made: size or SHA-256 differ.",
                    "Run the task again; check the object store for damage.",
                )
        return artifact.model_copy(update={"key": key})


def _same(found: ObjectRef | None, artifact: Artifact) -> bool:
    return found is not None and (found.size, found.sha256) == (artifact.size, artifact.sha256)
