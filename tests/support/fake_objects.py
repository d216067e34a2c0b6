"""runtime.objects.ObjectStore in memory, held to it by tests/contract/runtime/test_objects.py."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from contracts.base import ObjectRef
from runtime.errors import Permanent, Transient
from runtime.objects import IfExists


class FakeObjects:
    """Bytes in a dict. `broken = True` makes every call Transient, as a store that is down does."""

    def __init__(self) -> None:
        self.contents: dict[str, tuple[bytes, str]] = {}
        self.broken = False

    def _up(self) -> None:
        if self.broken:
            raise Transient("the object store is down")

    async def put(
        self, key: str, data: bytes | Path, *, content_type: str, if_exists: IfExists = "same"
    ) -> ObjectRef:
        self._up()
        content = data if isinstance(data, bytes) else await asyncio.to_thread(data.read_bytes)
        if key in self.contents and if_exists != "replace":
            existing = self._ref(key)
            if if_exists == "same" and self.contents[key][0] != content:
                raise Permanent("object-conflict", f"other bytes lie under {key}")
            return existing
        self.contents[key] = (content, content_type)
        return self._ref(key)

    def _ref(self, key: str) -> ObjectRef:
        content, content_type = self.contents[key]
        digest = hashlib.sha256(content).hexdigest()
        return ObjectRef(key=key, size=len(content), sha256=digest, content_type=content_type)

    async def head(self, key: str) -> ObjectRef | None:
        self._up()
        return self._ref(key) if key in self.contents else None

    async def exists(self, key: str) -> bool:
        return await self.head(key) is not None

    async def get(self, ref: ObjectRef, *, max_bytes: int) -> bytes:
        self._up()
        if ref.size > max_bytes:
            raise Permanent("artifact-too-large", f"{ref.key} has {ref.size} bytes")
        if ref.key not in self.contents:
            raise Permanent("object-missing", f"no {ref.key}")
        content = self.contents[ref.key][0]
        if (len(content), hashlib.sha256(content).hexdigest()) != (ref.size, ref.sha256):
            raise Permanent("artifact-damaged", f"{ref.key} is not what was stored")
        return content

    async def fetch(self, ref: ObjectRef, path: Path, *, max_bytes: int) -> None:
        content = await self.get(ref, max_bytes=max_bytes)
        await asyncio.to_thread(path.write_bytes, content)

    async def stream(self, ref: ObjectRef) -> AsyncIterator[bytes]:
        content = await self.get(ref, max_bytes=ref.size)
        if content:
            yield content

    async def copy(self, ref: ObjectRef, key: str) -> ObjectRef:
        self._up()
        if ref.key not in self.contents:
            raise Permanent("object-missing", f"no {ref.key}")
        self.contents[key] = self.contents[ref.key]
        return self._ref(key)

    async def delete(self, key: str) -> None:
        self._up()
        self.contents.pop(key, None)

    async def ensure_bucket(self) -> None:
        self._up()

    async def problems(self) -> list[str]:
        return ["objects: down"] if self.broken else []
