"""Templates and artifacts in the object store."""

from collections import OrderedDict
from pathlib import Path
from typing import Generic, TypeVar

from contracts.base import ObjectRef
from runtime.objects import ObjectStore

T = TypeVar("T")

_TEMPLATES = 32


class _Recent(Generic[T]):
    """The latest few, by SHA-256."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str) -> T | None:
        if key in self._held:
            self._held.move_to_end(key)
        return self._held.get(key)

    def put(self, key: str, value: T) -> T:
        self._held[key] = value
        self._held.move_to_end(key)
        while len(self._held) > self._size:
            self._held.popitem(last=False)
        return value


class StoredFiles:
    """The Files port; keeps the latest templates."""

    def __init__(self, objects: ObjectStore, *, max_template_bytes: int) -> None:
        """Take the object store and the size a template may have."""
        self._objects = objects
        self._max_template_bytes = max_template_bytes
        self._recent: _Recent[bytes] = _Recent(_TEMPLATES)

    async def template(self, ref: ObjectRef) -> bytes:
        """Return a template, verified. Raises Permanent when it is damaged, gone or too large."""
        known = self._recent.get(ref.sha256)
        if known is None:
            content = await self._objects.get(ref, max_bytes=self._max_template_bytes)
            known = self._recent.put(ref.sha256, content)
        return known

    async def keep(self, key: str, content: bytes | Path, content_type: str) -> ObjectRef:
        """Store a finished file and return where. Its key holds its content, so it never changes."""
        return await self._objects.put(key, content, content_type=content_type)
