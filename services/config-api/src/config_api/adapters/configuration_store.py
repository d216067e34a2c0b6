"""Configuration in MongoDB: every change with its history and its event in one transaction.

Who refers to what is kept as `refs` in the referring document. A change that adds a reference touches the
document it refers to, so that it and a deletion of that document, side by side, are a write conflict and one
of them sees the other.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import stamina
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from config_api.domain.changes import Stored, Write
from config_api.domain.errors import ConflictError, InUseError, InvalidError, Problem, StaleError
from config_api.domain.kinds import KINDS, RECIPIENT, TASK, TASK_VERSIONS, Kind
from config_api.domain.references import unknown
from config_api.domain.runs import RunRequest
from contracts.events import ConfigurationChanged, TaskTriggered
from contracts.runs import RunOptions
from runtime import outbox
from runtime.errors import Transient
from runtime.store import Document, Store, store_errors
from runtime.telemetry import execution_headers, record_root, trace_headers

if TYPE_CHECKING:
    from pymongo.asynchronous.client_session import AsyncClientSession

CHANGES = "config_changes"
RUN_REQUESTS = "config_run_requests"
TRIGGER_IDS = "config_trigger_ids"
RETIRED_IDS = "config_retired_ids"
ACCOUNTS = "config_accounts"
SOURCE = "config-api"

_INTERNAL = frozenset({"_id", "revision", "updated_at", "updated_by", "refs", "touched"})
_SHOWN_REFERRERS = 20


def change_document(event: ConfigurationChanged) -> Document:
    """Return what the history keeps of a change, with its event to be published."""
    return {
        "_id": event.change_id,
        "entity": event.entity,
        "entity_id": event.entity_id,
        "changed_at": event.changed_at,
        "outbox": [
            outbox.entry(event, source=SOURCE, occurred_at=event.changed_at, trace=trace_headers() or None)
        ],
    }


class MongoConfiguration:
    """config_api.ports.ConfigurationStore and RunStore over MongoDB."""

    def __init__(self, store: Store, *, nudge: Callable[[], None]) -> None:
        """Take the store, and what to call when there is an event to publish."""
        self._store = store
        self._nudge = nudge

    async def ensure_indexes(self) -> None:
        """Create the indexes that queries here need."""
        for kind in KINDS.values():
            await self._store.ensure_indexes(kind.collection, [IndexModel([("refs", ASCENDING)])])
        await self._store.ensure_indexes(
            TASK_VERSIONS, [IndexModel([("task_id", ASCENDING), ("version", DESCENDING)])]
        )

    @store_errors()
    async def get(self, kind: Kind, key: str) -> Stored | None:
        """Return an object, a task with its current version."""
        document = await self._store.collection(kind.collection).find_one({"_id": key})
        if document is None:
            return None
        return (await self._with_content(kind, [document]))[0]

    @store_errors()
    async def many(self, kind: Kind, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return the documents of those ids that exist."""
        if not keys:
            return {}
        cursor = self._store.collection(kind.collection).find({"_id": {"$in": list(keys)}})
        return {document["_id"]: _content(document) async for document in cursor}

    @store_errors()
    async def page(self, kind: Kind, *, after: str | None, limit: int) -> list[Stored]:
        """Return objects in the order of their ids."""
        query = {} if after is None else {"_id": {"$gt": after}}
        cursor = self._store.collection(kind.collection).find(query).sort("_id", ASCENDING).limit(limit)
        return await self._with_content(kind, [document async for document in cursor])

    @store_errors()
    async def referring(self, kind: Kind, reference: str) -> list[Stored]:
        """Return the objects of a kind that refer to `reference`, which is `kind:id`; by id."""
        cursor = self._store.collection(kind.collection).find({"refs": reference}).sort("_id", ASCENDING)
        return await self._with_content(kind, [document async for document in cursor])

    @store_errors()
    async def last_version(self, task_id: str) -> int:
        """Return the highest version a task of this id ever had."""
        found = await self._store.collection(TASK_VERSIONS).find_one(
            {"task_id": task_id}, sort=[("version", DESCENDING)], projection={"version": 1}
        )
        return int(found["version"]) if found else 0

    @store_errors()
    async def trigger_owners(self, trigger_ids: Sequence[str]) -> dict[str, str]:
        """Return the task of each trigger id that was made while ids were unique over all tasks.

        Nothing is added to the collection any more.
        """
        found = self._store.collection(TRIGGER_IDS).find({"_id": {"$in": list(trigger_ids)}})
        return {document["_id"]: document["task_id"] async for document in found}

    async def commit(self, write: Write) -> None:
        """Apply a change in one transaction; a conflict with another change is tried again."""
        async for attempt in stamina.retry_context(
            on=Transient, attempts=8, timeout=15.0, wait_initial=0.02, wait_max=0.5, wait_jitter=0.05
        ):
            with attempt:
                # A commit whose answer was lost may have happened.
                if attempt.num == 1 or not await self._applied(write.event.change_id):
                    await self._apply(write)
        self._nudge()

    @store_errors()
    async def ask(self, request: RunRequest, event: TaskTriggered) -> RunRequest:
        """Store a run request and its event in one write; a repeated key finds the first request."""
        trace = execution_headers(request.execution_id)
        document = {
            "_id": request.execution_id,
            "task_id": request.task_id,
            "requested_by": request.requested_by,
            "requested_at": request.requested_at,
            "options": request.options.model_dump(mode="json") if request.options else None,
            "outbox": [outbox.entry(event, source=SOURCE, occurred_at=request.requested_at, trace=trace)],
        }
        requests = self._store.collection(RUN_REQUESTS)
        try:
            await requests.insert_one(document)
        except DuplicateKeyError:
            found = await requests.find_one({"_id": request.execution_id})
            if found is None:
                raise
            options = found.get("options")
            return RunRequest(
                found["_id"],
                found["task_id"],
                found["requested_by"],
                found["requested_at"],
                RunOptions.model_validate(options) if options else None,
            )
        record_root("run request", request.execution_id, at=request.requested_at, task_id=request.task_id)
        self._nudge()
        return request

    @store_errors()
    async def _applied(self, change_id: str) -> bool:
        return await self._store.collection(CHANGES).find_one({"_id": change_id}) is not None

    @store_errors()
    async def _apply(self, write: Write) -> None:
        try:
            async with self._store.transaction() as session:
                await self._claim_references(write, session)
                await self._put(write, session)
                if write.version is not None:
                    key = f"{write.id}:{write.version['version']}"
                    versions = self._store.collection(TASK_VERSIONS)
                    await versions.insert_one({"_id": key, **write.version}, session=session)
                changes = self._store.collection(CHANGES)
                await changes.insert_one(change_document(write.event), session=session)
        except DuplicateKeyError as error:
            if write.expected:
                raise StaleError(write.kind.name, write.id) from error
            raise ConflictError(
                f"There is a {write.kind.name} {write.id!r} already.",
                "Change that one, or choose another id.",
            ) from error

    async def _claim_references(self, write: Write, session: "AsyncClientSession") -> None:
        problems: list[Problem] = []
        for kind in {reference.kind for reference in write.added}:
            added = [reference for reference in write.added if reference.kind == kind]
            keys = sorted({reference.id for reference in added})
            collection = self._store.collection(KINDS[kind].collection)
            result = await collection.update_many(
                {"_id": {"$in": keys}}, {"$inc": {"touched": 1}}, session=session
            )
            if result.matched_count != len(keys):
                cursor = collection.find({"_id": {"$in": keys}}, projection={"_id": 1}, session=session)
                there = {document["_id"] async for document in cursor}
                problems += [unknown(reference) for reference in added if reference.id not in there]
        if problems:
            raise InvalidError(*problems)

    async def _put(self, write: Write, session: "AsyncClientSession") -> None:
        collection = self._store.collection(write.kind.collection)
        if write.document is None:
            await self._refuse_if_used(write, session)
            if write.kind is RECIPIENT:
                retired = self._store.collection(RETIRED_IDS)
                await retired.insert_one({"_id": write.id, "at": write.at}, session=session)
            result = await collection.delete_one(
                {"_id": write.id, "revision": write.expected}, session=session
            )
            if result.deleted_count != 1:
                raise StaleError(write.kind.name, write.id)
            return
        about: Document = {
            "revision": write.expected + 1,
            "updated_at": write.at,
            "updated_by": write.event.actor,
            "refs": list(write.refs),
        }
        if write.expected == 0:
            await self._refuse_if_retired(write, session)
            await collection.insert_one({"_id": write.id, **write.document, **about}, session=session)
            return
        updated = await collection.update_one(
            {"_id": write.id, "revision": write.expected},
            {"$set": {**write.document, **about}},
            session=session,
        )
        if updated.matched_count != 1:
            raise StaleError(write.kind.name, write.id)

    async def _refuse_if_used(self, write: Write, session: "AsyncClientSession") -> None:
        referrers: list[str] = []
        for kind in KINDS.values():
            cursor = (
                self._store.collection(kind.collection)
                .find({"refs": f"{write.kind.name}:{write.id}"}, projection={"_id": 1}, session=session)
                .limit(_SHOWN_REFERRERS)
            )
            referrers += [f"{kind.name} {document['_id']!r}" async for document in cursor]
        if write.kind is RECIPIENT:
            accounts = self._store.collection(ACCOUNTS).find({"recipient_id": write.id}, session=session)
            referrers += [f"account {account['email']!r}" async for account in accounts]
        if referrers:
            raise InUseError(write.kind.name, write.id, tuple(referrers))

    async def _refuse_if_retired(self, write: Write, session: "AsyncClientSession") -> None:
        """Raise ConflictError when a deleted recipient had the id.

        Hub files name those who see them by id: somebody who got a used one would see another person's files.
        """
        retired = self._store.collection(RETIRED_IDS)
        if write.kind is RECIPIENT and await retired.find_one({"_id": write.id}, session=session):
            raise ConflictError(
                f"The id {write.id!r} belonged to a recipient who was deleted, and whose files are kept.",
                "Choose another id.",
            )

    async def _with_content(self, kind: Kind, documents: Sequence[Document]) -> list[Stored]:
        contents: dict[str, Document] = {}
        if kind is TASK:
            keys = [f"{document['_id']}:{document['current_version']}" for document in documents]
            async for version in self._store.collection(TASK_VERSIONS).find({"_id": {"$in": keys}}):
                contents[version["task_id"]] = _content(version)
        return [_stored(kind, document, contents.get(document["_id"])) for document in documents]


def _stored(kind: Kind, document: Document, content: Document | None) -> Stored:
    updated_at = document["updated_at"]
    assert isinstance(updated_at, datetime)  # noqa: S101 - this module writes it so
    return Stored(
        kind=kind,
        id=document["_id"],
        document=_content(document),
        revision=document["revision"],
        updated_at=updated_at,
        updated_by=document["updated_by"],
        refs=frozenset(document.get("refs", ())),
        content=content,
    )


def _content(document: Document) -> Document:
    return {key: value for key, value in document.items() if key not in _INTERNAL}
