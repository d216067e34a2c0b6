"""Logs in the object store, and who is to be told according to the configuration."""

import hashlib
from typing import Protocol

from contracts.base import ObjectRef
from notifier.domain.letters import Audience
from runtime.configuration import ConfigurationReader
from runtime.objects import IfExists

_MAX_LOG_BYTES = 64 * 1024 * 1024


class Objects(Protocol):
    """The part of runtime.objects.ObjectStore that is used here."""

    async def put(
        self, key: str, data: bytes, *, content_type: str, if_exists: IfExists = "same"
    ) -> ObjectRef:
        """Store bytes."""
        ...

    async def get(self, ref: ObjectRef, *, max_bytes: int) -> bytes:
        """Return the bytes of a reference."""
        ...


class StoredLogs:
    """The port `Logs`."""

    def __init__(self, objects: Objects) -> None:
        """Take the object store."""
        self._objects = objects

    async def store(self, execution_id: str, text: str) -> ObjectRef:
        """Store a log under its execution and hash."""
        data = text.encode(errors="replace")
        key = f"logs/{execution_id}/{hashlib.sha256(data).hexdigest()}.log"
        return await self._objects.put(key, data, content_type="text/plain; charset=utf-8")

    async def load(self, ref: ObjectRef) -> bytes:
        """Return a log."""
        return await self._objects.get(ref, max_bytes=_MAX_LOG_BYTES)


class ConfiguredTasks:
    """The port `Tasks`."""

    def __init__(self, reader: ConfigurationReader) -> None:
        """Take the reader of the configuration."""
        self._reader = reader

    async def audience(self, task_id: str, version: int | None) -> Audience | None:
        """Return who is to be told in a version of a task, or its current one; None without task."""
        if version is None:
            head = await self._reader.task_head(task_id)
            if head is None:
                return None
            version = head.current_version
        task = await self._reader.task_version(task_id, version)
        if task is None:
            return None
        return Audience(task.notification, task.test_mode.address if task.test_mode else None)
