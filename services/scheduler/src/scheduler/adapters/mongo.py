"""The ledger of due times, cursors and reload marks in MongoDB.

Collections: `scheduler_occurrences` (_id is the execution id), `scheduler_cursors` (_id is the key of the
series), `scheduler_reload_marks` (_id is the connection id).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo.errors import BulkWriteError, DuplicateKeyError

from contracts.events import TaskTriggered, TriggerSkipped
from runtime.outbox import entry
from runtime.store import Store, store_errors
from runtime.telemetry import execution_headers, record_root
from scheduler.domain.model import Cursor

_DUPLICATE_KEY = 11000


class MongoOccurrences:
    """Occurrences and cursors; implements `ports.Occurrences`."""

    def __init__(self, store: Store) -> None:
        """Take an open store."""
        self.collection = store.db["scheduler_occurrences"]
        self._cursors = store.db["scheduler_cursors"]

    async def cursor(self, key: str) -> Cursor | None:
        """Return how far the series of a trigger was looked at; None when it never was. Raises Transient."""
        with store_errors():
            found = await self._cursors.find_one({"_id": key})
        return Cursor(at=found["at"], rule=found["rule"], ahead=found.get("ahead")) if found else None

    async def record(self, events: Sequence[TaskTriggered | TriggerSkipped], at: datetime) -> int:
        """Write down what will be published; return how many were new. Raises Transient."""
        documents = [_document(event, at) for event in events]
        known: set[int] = set()
        with store_errors():
            try:
                await self.collection.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                faults = error.details["writeErrors"]
                if any(fault["code"] != _DUPLICATE_KEY for fault in faults):
                    raise
                # Another scheduler, or this one before a crash, has recorded them.
                known = {fault["index"] for fault in faults}
        new = [event for index, event in enumerate(events) if index not in known]
        for event in new:
            record_root("trigger", event.execution_id, at=at, task_id=event.task_id)
        return len(new)

    async def skipped_after(self, execution_ids: Sequence[str], at: datetime) -> set[str]:
        """Return which of these a clock that was ahead of `at` recorded as skipped. Raises Transient."""
        query = {"_id": {"$in": list(execution_ids)}, "skipped": True, "recorded_at": {"$gt": at}}
        with store_errors():
            return {found["_id"] async for found in self.collection.find(query, {"_id": 1})}

    async def move(self, key: str, before: Cursor | None, after: Cursor) -> bool:
        """Move the cursor if it still stands at `before`. Raises Transient."""
        document = {"_id": key, **_cursor(after)}
        with store_errors():
            if before is None:
                try:
                    await self._cursors.insert_one(document)
                except DuplicateKeyError:
                    return False
                return True
            result = await self._cursors.replace_one({"_id": key, **_cursor(before)}, document)
        return result.matched_count == 1


class MongoReloadMarks:
    """How far the reloads of each site were read; implements `ports.ReloadMarks`."""

    def __init__(self, store: Store) -> None:
        """Take an open store."""
        self._marks = store.db["scheduler_reload_marks"]

    async def get(self, connection_id: str) -> datetime | None:
        """Return the mark; None when the site was never read. Raises Transient."""
        with store_errors():
            found = await self._marks.find_one({"_id": connection_id})
        return found.get("mark") if found else None

    async def advance(self, connection_id: str, to: datetime) -> None:
        """Move the mark forward, never back. Raises Transient."""
        with store_errors():
            await self._marks.update_one({"_id": connection_id}, {"$max": {"mark": to}}, upsert=True)

    async def set_back(self, connection_id: str, to: datetime) -> None:
        """Move the mark, and when the site was last read, back. Raises Transient."""
        with store_errors():
            await self._marks.update_one({"_id": connection_id}, {"$set": {"mark": to, "read_at": to}})

    async def read(self, connection_id: str, at: datetime) -> None:
        """Note that the site was asked at `at` and what it answered is recorded. Raises Transient."""
        with store_errors():
            await self._marks.update_one({"_id": connection_id}, {"$max": {"read_at": at}}, upsert=True)

    async def read_at(self, connection_ids: Collection[str]) -> Mapping[str, datetime]:
        """Return when sites were last read; those that never were are left out. Raises Transient."""
        query = {"_id": {"$in": list(connection_ids)}, "read_at": {"$exists": True}}
        with store_errors():
            return {found["_id"]: found["read_at"] async for found in self._marks.find(query)}


def _cursor(cursor: Cursor) -> dict[str, Any]:
    # MongoDB keeps milliseconds; cut here, so that what is read equals what was written.
    at = cursor.at.replace(microsecond=cursor.at.microsecond // 1000 * 1000)
    return {"at": at, "rule": cursor.rule} | ({"ahead": cursor.ahead} if cursor.ahead else {})


def _document(event: TaskTriggered | TriggerSkipped, at: datetime) -> dict[str, Any]:
    trace = execution_headers(event.execution_id)
    outgoing = entry(event, source="scheduler", occurred_at=at, trace=trace)
    return {
        "_id": event.execution_id,
        "task_id": event.task_id,
        "trigger_id": event.trigger.trigger_id,
        "due_at": event.trigger.due_at,
        "skipped": isinstance(event, TriggerSkipped),
        "recorded_at": at,
        "outbox": [outgoing],
    }
