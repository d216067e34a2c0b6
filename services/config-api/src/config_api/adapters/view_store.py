"""The read models in MongoDB."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel, ReplaceOne
from pymongo.errors import DuplicateKeyError

from config_api.domain.hub import HubFile
from config_api.domain.projection import (
    DELIVERIES,
    EXECUTIONS,
    HUB,
    NOTIFICATIONS,
    TASK_RUNS,
    UNITS,
    VIEWS,
    Document,
    Target,
)
from config_api.ports import Checkpoint, ExecutionQuery
from runtime.errors import Transient
from runtime.store import Store, store_errors

CHECKPOINT = "view_checkpoint"
_ID = "projector"
_CLEARED_AT_ONCE = 1000
_CONFLICT_PAUSE_S = 0.05
# What one person looks at; the newest come first.
_MOST_HUB_FILES = 10_000


class MongoViews:
    """config_api.ports.ViewWriter and Views over MongoDB."""

    def __init__(self, store: Store) -> None:
        """Take the store."""
        self._store = store
        self._checkpoint = store.collection(CHECKPOINT)

    async def ensure_indexes(self) -> None:
        """Create the indexes that queries here need."""
        newest = [("started_at", DESCENDING), ("_id", DESCENDING)]
        await self._store.ensure_indexes(
            EXECUTIONS,
            [
                IndexModel(newest),
                *(IndexModel([(name, ASCENDING), *newest]) for name in ("task_id", "outcome")),
            ],
        )
        for view in (UNITS, DELIVERIES, NOTIFICATIONS):
            await self._store.ensure_indexes(
                view, [IndexModel([("execution_id", ASCENDING), ("_id", ASCENDING)])]
            )
        await self._store.ensure_indexes(
            HUB, [IndexModel([("visible_to", ASCENDING), ("published_at", DESCENDING)])]
        )

    @store_errors()
    async def checkpoint(self) -> Checkpoint:
        """Return how far the views are."""
        found = await self._checkpoint.find_one({"_id": _ID})
        if found is None:
            try:
                await self._checkpoint.insert_one({"_id": _ID, "seq": 0, "clearing": False, "round": 0})
            except DuplicateKeyError:
                return await self.checkpoint()
            return Checkpoint()
        return Checkpoint(found["seq"], found["clearing"])

    @store_errors()
    async def load(self, wanted: Sequence[Target]) -> dict[Target, Document]:
        """Return those documents that exist."""
        found: dict[Target, Document] = {}
        for view in {target.view for target in wanted}:
            keys = [target.id for target in wanted if target.view == view]
            async for document in self._store.collection(view).find({"_id": {"$in": keys}}):
                key = document.pop("_id")
                found[Target(view, key)] = document
        return found

    async def advance(self, since: Checkpoint, seq: int, changed: Mapping[Target, Document]) -> bool:
        """Write documents and move the checkpoint in one transaction."""
        by_view: dict[str, list[ReplaceOne[Document]]] = {}
        for target, document in sorted(changed.items(), key=str):
            replace = ReplaceOne({"_id": target.id}, {"_id": target.id, **document}, upsert=True)
            by_view.setdefault(target.view, []).append(replace)
        try:
            async with self._store.transaction() as session:
                moved = await self._checkpoint.update_one(
                    {"_id": _ID, "seq": since.seq, "clearing": False}, {"$set": {"seq": seq}}, session=session
                )
                if moved.matched_count != 1:
                    return False
                for view, writes in by_view.items():
                    await self._store.collection(view).bulk_write(writes, ordered=False, session=session)
        except Transient:
            # Most often a replica that projects the same records; a store that is away fails the next read.
            await asyncio.sleep(_CONFLICT_PAUSE_S)
            return False
        return True

    @store_errors()
    async def request_clearing(self) -> None:
        """Make the views start again from nothing, whoever is projecting."""
        await self.checkpoint()
        await self._checkpoint.update_one({"_id": _ID}, {"$set": {"seq": 0, "clearing": True}})

    async def clear_some(self) -> bool:
        """Delete up to a thousand documents, or end the clearing when none is left.

        Returns False when the caller has to look at the checkpoint again.
        """
        try:
            async with self._store.transaction() as session:
                # Touched, so that a clearing that has ended meanwhile makes this a conflict.
                held = await self._checkpoint.update_one(
                    {"_id": _ID, "clearing": True}, {"$inc": {"round": 1}}, session=session
                )
                if held.matched_count != 1:
                    return False
                for view in VIEWS:
                    collection = self._store.collection(view)
                    cursor = collection.find({}, projection={"_id": 1}, session=session)
                    keys = [document["_id"] async for document in cursor.limit(_CLEARED_AT_ONCE)]
                    if keys:
                        await collection.delete_many({"_id": {"$in": keys}}, session=session)
                        return True
                await self._checkpoint.update_one(
                    {"_id": _ID}, {"$set": {"clearing": False}}, session=session
                )
        except Transient:
            return (
                True  # a conflict with a replica that is clearing, too; a store that is away raises elsewhere
            )
        return False

    @store_errors()
    async def executions(self, query: ExecutionQuery) -> list[Document]:
        """Return executions, newest first."""
        wanted = {"task_id": query.task_id, "outcome": query.outcome, "state": query.state}
        match: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        span = {"$gte": query.since, "$lt": query.until}
        bounds = {name: moment for name, moment in span.items() if moment is not None}
        if bounds:
            match["started_at"] = bounds
        if query.before is not None:
            at, key = query.before
            match["$or"] = [{"started_at": {"$lt": at}}, {"started_at": at, "_id": {"$lt": key}}]
        cursor = (
            self._store.collection(EXECUTIONS)
            .find(match)
            .sort([("started_at", DESCENDING), ("_id", DESCENDING)])
            .limit(query.limit)
        )
        return [_named(document) async for document in cursor]

    async def execution(self, execution_id: str) -> Document | None:
        """Return one execution."""
        return await self.part(EXECUTIONS, execution_id)

    @store_errors()
    async def parts(
        self, view: str, execution_id: str, *, skip: int = 0, limit: int = 1000
    ) -> list[Document]:
        """Return the documents of a view that belong to an execution, by id."""
        cursor = (
            self._store.collection(view)
            .find({"execution_id": execution_id})
            .sort("_id", ASCENDING)
            .skip(skip)
            .limit(limit)
        )
        return [_named(document) async for document in cursor]

    @store_errors()
    async def part(self, view: str, key: str) -> Document | None:
        """Return one document of a view."""
        found = await self._store.collection(view).find_one({"_id": key})
        return None if found is None else _named(found)

    @store_errors()
    async def task_runs(self) -> dict[str, Document]:
        """Return what is known of the runs of each task."""
        cursor = self._store.collection(TASK_RUNS).find({})
        return {document["_id"]: _named(document) async for document in cursor}

    @store_errors()
    async def hub_files(self, recipient_id: str) -> list[HubFile]:
        """Return the newest Hub files that are visible to a recipient."""
        cursor = (
            self._store.collection(HUB)
            .find({"visible_to": recipient_id})
            .sort("published_at", DESCENDING)
            .limit(_MOST_HUB_FILES)
        )
        return [_hub_file(document) async for document in cursor]


def _named(document: Document) -> Document:
    return {"id": document["_id"], **{key: value for key, value in document.items() if key != "_id"}}


def _hub_file(document: Document) -> HubFile:
    return HubFile(
        id=document["_id"],
        series=document["series"],
        report_name=document["report_name"],
        task_name=document["task_name"],
        iteration_value=document["iteration_value"],
        published_at=document["published_at"],
        keep=document["keep"],
        visible_to=tuple(document["visible_to"]),
        file_name=document["artifact"]["file_name"],
        size=document["artifact"]["size"],
        artifact=document["artifact"],
    )
