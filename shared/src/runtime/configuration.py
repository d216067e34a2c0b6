"""What config-api stored, as the other services read it.

Documents are `{"_id": ..., **model_dump(mode="json")}` of the models in contracts.configuration. config-api
is the only writer and uses the names and functions of this module, too.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError

from contracts.base import Wire
from contracts.configuration import (
    Connection,
    Group,
    Recipient,
    Report,
    StorageSpace,
    TaskHead,
    TaskVersion,
    Template,
)
from runtime.errors import Permanent
from runtime.store import Document, Store, store_errors

log = structlog.get_logger(__name__)

TASKS = "config_tasks"
TASK_VERSIONS = "config_task_versions"
REPORTS = "config_reports"
TEMPLATES = "config_templates"
RECIPIENTS = "config_recipients"
GROUPS = "config_groups"
CONNECTIONS = "config_connections"
STORAGE_SPACES = "config_storage_spaces"

M = TypeVar("M", bound=Wire)
_BATCH = 200


def task_version_key(task_id: str, version: int) -> str:
    """Return the `_id` of a task version."""
    return f"{task_id}:{version}"


def to_document(key: str, model: Wire) -> Document:
    """Return a model as it is stored under `key`."""
    return {"_id": key, **model.model_dump(mode="json")}


def from_document(model: type[M], document: Mapping[str, Any]) -> M:
    """Return the model in a stored document. Raises Permanent when it does not fit."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        places = ", ".join(".".join(str(part) for part in fault["loc"]) for fault in error.errors()[:5])
        raise Permanent(
            "configuration-invalid",
            f"The stored {model.__name__} {document.get('_id')!r} does not fit its schema at: {places}.",
            "Open it in the console, correct it and save it again.",
        ) from error


LeftOut = Callable[[str, Permanent], None]
"""Told of a task that cannot be read: its id, and why."""


def _log_left_out(task_id: str, error: Permanent) -> None:
    log.error("task left out", task_id=task_id, reason=error.message)


class ConfigurationReader:
    """Reads single entities; None means there is none of that id.

    Every method raises Transient when the store cannot be read, Permanent when what is stored does not fit.
    """

    def __init__(self, store: Store) -> None:
        """Take the open store."""
        self._store = store

    async def task_head(self, task_id: str) -> TaskHead | None:
        """Return whether a task is enabled and which version is current."""
        return await self._one(TASKS, TaskHead, task_id)

    async def task_version(self, task_id: str, version: int) -> TaskVersion | None:
        """Return a task as it was configured in a version."""
        return await self._one(TASK_VERSIONS, TaskVersion, task_version_key(task_id, version))

    async def tasks_with_triggers(
        self, left_out: LeftOut = _log_left_out
    ) -> AsyncIterator[tuple[TaskHead, TaskVersion]]:
        """Yield every task that has a trigger, enabled or not, in its current version, by id.

        A task whose documents do not fit stops no other: `left_out` is called with its id and the reason.
        """
        batch: list[TaskHead] = []
        with store_errors():
            async for document in self._store.db[TASKS].find().sort("_id"):
                try:
                    batch.append(from_document(TaskHead, document))
                except Permanent as error:
                    left_out(str(document["_id"]), error)
                if len(batch) == _BATCH:
                    for pair in await self._versions(batch, left_out):
                        yield pair
                    batch = []
            for pair in await self._versions(batch, left_out):
                yield pair

    async def _versions(self, heads: list[TaskHead], left_out: LeftOut) -> list[tuple[TaskHead, TaskVersion]]:
        keys = {task_version_key(head.id, head.current_version): head for head in heads}
        found = self._store.db[TASK_VERSIONS].find(
            {"_id": {"$in": list(keys)}, "triggers.0": {"$exists": True}}
        )
        pairs = []
        async for document in found:
            head = keys[document["_id"]]
            try:
                pairs.append((head, from_document(TaskVersion, document)))
            except Permanent as error:
                left_out(head.id, error)
        return sorted(pairs, key=lambda pair: pair[0].id)

    async def report(self, report_id: str) -> Report | None:
        """Return a report."""
        return await self._one(REPORTS, Report, report_id)

    async def template(self, template_id: str) -> Template | None:
        """Return a template in its current version."""
        return await self._one(TEMPLATES, Template, template_id)

    async def connection(self, connection_id: str) -> Connection | None:
        """Return a Qlik site, its secrets still sealed."""
        return await self._one(CONNECTIONS, Connection, connection_id)

    async def storage_space(self, storage_id: str) -> StorageSpace | None:
        """Return a storage space, its secrets still sealed."""
        return await self._one(STORAGE_SPACES, StorageSpace, storage_id)

    async def recipients(self, ids: Iterable[str]) -> dict[str, Recipient]:
        """Return the recipients that exist, by id."""
        return await self._several(RECIPIENTS, Recipient, ids)

    async def groups(self, ids: Iterable[str]) -> dict[str, Group]:
        """Return the groups that exist, by id."""
        return await self._several(GROUPS, Group, ids)

    @store_errors()
    async def _one(self, collection: str, model: type[M], key: str) -> M | None:
        document = await self._store.db[collection].find_one({"_id": key})
        return None if document is None else from_document(model, document)

    async def _several(self, collection: str, model: type[M], ids: Iterable[str]) -> dict[str, M]:
        wanted = list(dict.fromkeys(ids))
        found: dict[str, M] = {}
        with store_errors():
            for start in range(0, len(wanted), _BATCH):
                batch = wanted[start : start + _BATCH]
                async for document in self._store.db[collection].find({"_id": {"$in": batch}}):
                    found[document["_id"]] = from_document(model, document)
        return found
