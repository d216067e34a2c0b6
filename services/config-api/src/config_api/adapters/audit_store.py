"""The audit trail in MongoDB. This module inserts and reads; it has no update and no delete."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from bson import Binary
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import BulkWriteError

from config_api.domain.audit import AuditEvent, AuditRecord, Head
from config_api.ports import AuditQuery
from runtime.store import Document, Store, store_errors

AUDIT_EVENTS = "audit_events"

_DUPLICATE_KEY = 11000


class MongoAuditTrail:
    """config_api.ports.AuditTrail over MongoDB.

    The number of a record is its `_id`, which is what makes numbers unique; reads see what a majority has, so
    that nothing is linked to a record that a failover may take back.
    """

    def __init__(self, store: Store) -> None:
        """Take the store."""
        self._store = store
        self._events = store.collection(AUDIT_EVENTS)

    async def ensure_indexes(self) -> None:
        """Create the indexes that queries here need; the one on event ids keeps duplicates out."""
        by = [
            [(name, ASCENDING), ("_id", ASCENDING)]
            for name in ("execution_id", "task_id", "recipients", "type", "occurred_at")
        ]
        await self._store.ensure_indexes(
            AUDIT_EVENTS,
            [IndexModel([("event_id", ASCENDING)], unique=True), *(IndexModel(keys) for keys in by)],
        )

    @store_errors()
    async def head(self) -> Head:
        """Return the newest record."""
        found = await self._events.find_one({}, sort=[("_id", DESCENDING)], projection={"hash": 1})
        return Head() if found is None else Head(found["_id"], found["hash"])

    @store_errors()
    async def known(self, event_ids: Sequence[str]) -> set[str]:
        """Return those of the ids that are recorded."""
        cursor = self._events.find({"event_id": {"$in": list(event_ids)}}, projection={"event_id": 1})
        return {document["event_id"] async for document in cursor}

    @store_errors()
    async def append(self, records: Sequence[AuditRecord]) -> int:
        """Store records in order, up to the first whose number or event is there already."""
        if not records:
            return 0
        try:
            await self._events.insert_many([to_document(record) for record in records], ordered=True)
        except BulkWriteError as error:
            faults = error.details.get("writeErrors", [])
            if error.details.get("writeConcernErrors") or any(
                fault["code"] != _DUPLICATE_KEY for fault in faults
            ):
                raise
            return int(error.details["nInserted"])
        return len(records)

    async def read(self, after: int = 0, limit: int = 0) -> AsyncIterator[AuditRecord]:
        """Yield records in order, from the one after `after` on."""
        with store_errors():
            cursor = self._events.find({"_id": {"$gt": after}}).sort("_id", ASCENDING).limit(limit)
            async for document in cursor:
                yield to_record(document)

    async def find(self, query: AuditQuery) -> AsyncIterator[AuditRecord]:
        """Yield the records a query asks for, in order."""
        with store_errors():
            direction = DESCENDING if query.newest_first else ASCENDING
            cursor = self._events.find(_filter(query)).sort("_id", direction).limit(query.limit)
            async for document in cursor:
                yield to_record(document)


def to_document(record: AuditRecord) -> Document:
    """Return a record as it is stored."""
    event = record.event
    return {
        "_id": record.seq,
        "recorded_at": record.recorded_at,
        "event_id": event.event_id,
        "type": event.type,
        "subject": event.subject,
        "occurred_at": event.occurred_at,
        "topic": event.topic,
        "partition": event.partition,
        "offset": event.offset,
        "key": None if event.key is None else Binary(event.key),
        "headers": [{"name": name, "value": Binary(value)} for name, value in event.headers],
        "body": Binary(event.body),
        "execution_id": event.execution_id,
        "task_id": event.task_id,
        "recipients": list(event.recipients),
        "previous": record.previous,
        "hash": record.hash,
    }


def to_record(document: Document) -> AuditRecord:
    """Return a record from what is stored; whatever was tampered with, for the chain to find."""
    key = document.get("key")
    return AuditRecord(
        seq=document["_id"],
        recorded_at=document["recorded_at"],
        event=AuditEvent(
            event_id=document.get("event_id", ""),
            type=document.get("type", ""),
            subject=document.get("subject", ""),
            occurred_at=document.get("occurred_at"),
            topic=document.get("topic", ""),
            partition=document.get("partition", -1),
            offset=document.get("offset", -1),
            key=None if key is None else bytes(key),
            headers=tuple((each["name"], bytes(each["value"])) for each in document.get("headers", ())),
            body=bytes(document.get("body", b"")),
            execution_id=document.get("execution_id"),
            task_id=document.get("task_id"),
            recipients=tuple(document.get("recipients", ())),
        ),
        previous=document.get("previous", ""),
        hash=document.get("hash", ""),
    )


def _filter(query: AuditQuery) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "execution_id": query.execution_id,
        "task_id": query.task_id,
        "recipients": query.recipient_id,
        "event_id": query.event_id,
    }
    found = {name: value for name, value in wanted.items() if value is not None}
    if query.type is not None:
        # Either the whole CloudEvents type, or its short name, which stands for every version of it.
        short = f"io.broadsheet.{query.type}.v"
        found["$or"] = [{"type": query.type}, {"type": {"$gte": short, "$lt": f"{short}~"}}]
    span = {"$gte": query.since, "$lt": query.until}
    bounds = {name: moment for name, moment in span.items() if moment is not None}
    if bounds:
        found["occurred_at"] = bounds
    found["_id"] = {"$gt": query.after} | ({} if query.before is None else {"$lt": query.before})
    return found
