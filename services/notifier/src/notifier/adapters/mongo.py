"""Executions under watch, and what has settled in them, in MongoDB.

`notifier_executions` holds a document per execution with its outbox, `notifier_items` one per unit and
delivery that settled. Each write is one document; whoever ends an execution proves with `seen` that it knew
of every item recorded by then.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from contracts.events import TaskCompleted
from notifier.domain.model import Completion, Execution, Item, Planned, Triggered
from runtime.outbox import OUTBOX_INDEX, entry
from runtime.store import Document, Store, store_errors
from runtime.telemetry import trace_headers

EXECUTIONS = "notifier_executions"
ITEMS = "notifier_items"
MAILS = "notifier_mails"
SERVICE = "notifier"

# What came too late is kept to be looked at; a flood of it must not fill the document.
_KEPT_LATE = 200
_SWEEP = 500


class MongoExecutions:
    """The port `Executions`. Raises Transient when MongoDB does not answer."""

    def __init__(self, store: Store) -> None:
        """Take the open store."""
        self._executions = store.collection(EXECUTIONS)
        self._items = store.collection(ITEMS)
        self._mails = store.collection(MAILS)

    @store_errors()
    async def ensure_indexes(self) -> None:
        """Create what reading by execution, the deadline watch and the relay need."""
        by_execution = IndexModel([("execution_id", ASCENDING)], name="execution")
        await self._items.create_indexes([by_execution])
        await self._mails.create_indexes([by_execution])
        await self._executions.create_indexes(
            [
                IndexModel([("state", ASCENDING), ("deadline_at", ASCENDING)], name="deadline"),
                IndexModel([("state", ASCENDING), ("ended_at", ASCENDING)], name="ended"),
                IndexModel(
                    [("mails", ASCENDING)], name="mails", partialFilterExpression={"mails": "pending"}
                ),
                OUTBOX_INDEX,
            ]
        )

    async def triggered(
        self, execution_id: str, task_id: str, fact: Triggered, deadline_at: datetime
    ) -> None:
        """Begin to watch."""
        await self._upsert(
            execution_id,
            {"$set": {"triggered": fact.model_dump(mode="json")}},
            _new(task_id, fact.at, deadline_at),
        )

    async def planned(self, execution_id: str, task_id: str, fact: Planned, deadline_at: datetime) -> bool:
        """Record the plan and its deadline; False when the execution has ended."""
        change = {"planned": fact.model_dump(mode="json"), "deadline_at": deadline_at}
        await self._upsert(execution_id, {}, _new(task_id, fact.at, deadline_at))
        with store_errors():
            result = await self._executions.update_one(
                {"_id": execution_id, "state": "open"}, {"$set": change}
            )
        if result.matched_count:
            return True
        if await self._ended_with_plan(execution_id):
            return True
        await self._late(
            execution_id, {"at": fact.at, "what": "planned", "disposition": fact.disposition.value}
        )
        return False

    @store_errors()
    async def _ended_with_plan(self, execution_id: str) -> bool:
        """Return whether the plan was in time after all: this is its second copy."""
        which = {"_id": execution_id, "planned": {"$exists": True}}
        return await self._executions.find_one(which, projection={"_id": 1}) is not None

    async def settled(self, item: Item, deadline_at: datetime) -> bool:
        """Record an item and count it; False when the execution has ended."""
        new = _new(item.task_id, item.at, deadline_at)
        if not await self._insert(item):
            # A second copy, or the first one again after a crash between the item and its being counted.
            await self._upsert(item.execution_id, {"$max": {"seen": await self._count(item)}}, new)
            return True
        found = await self._upsert(item.execution_id, {"$inc": {"seen": 1}}, new)
        if found["state"] == "open":
            return True
        await self._late(
            item.execution_id,
            {"at": item.at, "what": item.kind.value, "id": item.id, "status": item.status.value},
        )
        return False

    @store_errors()
    async def _insert(self, item: Item) -> bool:
        document = {**item.model_dump(mode="json", exclude={"id"}), "_id": item.id, "at": item.at}
        try:
            await self._items.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    @store_errors()
    async def _count(self, item: Item) -> int:
        return await self._items.count_documents({"execution_id": item.execution_id})

    @store_errors()
    async def _upsert(self, execution_id: str, update: Mapping[str, Any], new: Mapping[str, Any]) -> Document:
        touched = {name for change in update.values() for name in change}
        whole = {**update, "$setOnInsert": {k: v for k, v in new.items() if k not in touched}}

        async def apply() -> Document:
            found: Any = await self._executions.find_one_and_update(
                {"_id": execution_id}, whole, upsert=True, return_document=ReturnDocument.AFTER
            )
            return dict(found)

        try:
            return await apply()
        except DuplicateKeyError:
            # Two first events at once; now the document is there.
            return await apply()

    @store_errors()
    async def _late(self, execution_id: str, what: Mapping[str, Any]) -> None:
        await self._executions.update_one(
            {"_id": execution_id}, {"$push": {"late": {"$each": [dict(what)], "$slice": -_KEPT_LATE}}}
        )

    @store_errors()
    async def get(self, execution_id: str) -> Execution | None:
        """Return an execution, or None."""
        found = await self._executions.find_one({"_id": execution_id}, projection={"outbox": 0, "late": 0})
        return None if found is None else Execution.model_validate({**found, "id": found["_id"]})

    async def items(self, execution_id: str) -> Sequence[Item]:
        """Return what has settled in an execution."""
        with store_errors():
            return [
                Item.model_validate({**found, "id": found["_id"]})
                async for found in self._items.find({"execution_id": execution_id})
            ]

    @store_errors()
    async def complete(self, execution: Execution, completion: Completion, event: TaskCompleted) -> bool:
        """End an execution with its event in the outbox, unless it has ended or more has settled."""
        stored = entry(event, source=SERVICE, occurred_at=completion.at, trace=trace_headers())
        which: dict[str, Any] = {"_id": execution.id, "state": "open", "seen": execution.seen}
        if execution.planned is None:
            which["planned"] = {"$exists": False}
        result = await self._executions.update_one(
            which,
            {
                "$set": {
                    "state": "ended",
                    "completion": completion.model_dump(mode="json"),
                    "outcome": completion.outcome.value,
                    "ended_at": completion.at,
                    "mails": "pending",
                },
                "$push": {"outbox": stored},
            },
        )
        return result.matched_count == 1

    async def overdue(self, before: datetime) -> AsyncIterator[str]:
        """Yield ids of open executions whose deadline lies before a moment, the longest overdue first."""
        which = {"state": "open", "deadline_at": {"$lte": before}}
        async for execution_id in self._ids(which, "deadline_at"):
            yield execution_id

    async def unannounced(self) -> AsyncIterator[str]:
        """Yield ids of ended executions whose mails are not written down."""
        async for execution_id in self._ids({"mails": "pending"}, "_id"):
            yield execution_id

    async def _ids(self, which: Mapping[str, Any], order: str) -> AsyncIterator[str]:
        with store_errors():
            cursor = self._executions.find(which, projection={"_id": 1}).sort(order, ASCENDING).limit(_SWEEP)
            # Read to the end first: what is done with an id takes longer than a cursor lives.
            found = await cursor.to_list(None)
        for each in found:
            yield each["_id"]

    @store_errors()
    async def announced(self, execution_id: str) -> None:
        """Record that the mails of an execution are written down."""
        await self._executions.update_one({"_id": execution_id}, {"$set": {"mails": "written"}})

    async def forget(self, before: datetime) -> int:
        """Delete what is left of executions that ended before a moment; return how many they were.

        One whose events are not all published, or whose mails are not written, stays.
        """
        which = {"state": "ended", "mails": "written", "ended_at": {"$lt": before}, "outbox": []}
        number = 0
        async for execution_id in self._ids(which, "ended_at"):
            with store_errors():
                if await self._mails.count_documents(
                    {"execution_id": execution_id, "outbox": {"$ne": []}}, limit=1
                ):
                    continue
                # The execution last: whatever breaks off in between, it is found again.
                await self._mails.delete_many({"execution_id": execution_id})
                await self._items.delete_many({"execution_id": execution_id})
                await self._executions.delete_one({"_id": execution_id})
            number += 1
        return number


def _new(task_id: str, at: datetime, deadline_at: datetime) -> Document:
    return {
        "state": "open",
        "task_id": task_id,
        "first_seen_at": at,
        "deadline_at": deadline_at,
        "seen": 0,
        "outbox": [],
    }
