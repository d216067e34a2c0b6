"""Leases and fencing for what must be done at most once at a time (docs/architecture/ledger.md).

A row is one piece of work. A worker claims it for a while; every later write of that worker carries the token
of its claim, so a worker that was slow, paused or cut off cannot change what another one took over.

A lease that runs out in a *safe* state (`claimed` unless told otherwise) makes the row claimable again:
nothing irrevocable had begun. In any other state, such as `transmitting`, it is never handed out again;
`expired` shows those rows, and their owner decides what is to be believed.
"""

import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.errors import BulkWriteError

from runtime.outbox import OUTBOX_INDEX, OutboxEntry
from runtime.store import Document, store_errors

if TYPE_CHECKING:
    from pymongo.asynchronous.collection import AsyncCollection

CLAIMED = "claimed"
DUE_AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
BY_DUE_TIME = (("next_attempt_at", ASCENDING), ("_id", ASCENDING))
# A row that fails for days must not grow without bound; the latest attempts tell the story.
KEPT_ATTEMPTS = 20
_DUPLICATE_KEY = 11000


class LeaseLost(Exception):  # noqa: N818 - an event in the life of a worker, not a fault
    """Somebody else owns the row now; stop working on it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one row until a moment, known by its token."""

    id: str
    token: str
    until: datetime
    attempt: int
    """How many times the row was claimed, this time included."""
    document: Document
    """The row as it was when it was claimed."""


def lease_of(document: Mapping[str, Any]) -> Lease:
    """Return the lease a row is under, for example one that `expired` showed.

    Raises ValueError when the row is under none.
    """
    if not document.get("lease_token"):
        raise ValueError(f"row {document.get('_id')!r} is under no lease")
    return Lease(
        id=document["_id"],
        token=document["lease_token"],
        until=document["lease_until"],
        attempt=document["attempt"],
        document=dict(document),
    )


def new_row(document: Mapping[str, Any]) -> Document:
    """Return a row with every field of the ledger set, `ready` and due at once unless it says otherwise."""
    return {
        "state": "ready",
        "next_attempt_at": DUE_AT_ONCE,
        "outbox": [],
        **document,
        "lease_token": None,
        "lease_until": None,
        "attempt": 0,
        "attempts": [],
    }


class Ledger:
    """Rows of work in one collection.

    Fields of a row it owns: state, next_attempt_at (the moment from which it may be claimed), lease_token,
    lease_until, attempt, attempts (the latest ones, each with number, started_at, state and error), outbox.
    """

    def __init__(
        self,
        collection: "AsyncCollection[Document]",
        *,
        safe_states: Sequence[str] = (CLAIMED,),
        new_token: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        """Take the collection and the states in which a lease that ran out may be taken over."""
        self._collection = collection
        self._safe = tuple(safe_states)
        self._new_token = new_token

    @store_errors()
    async def ensure_indexes(self) -> None:
        """Create the indexes claims, sweeps and the outbox relay read by."""
        await self._collection.create_indexes(
            [
                IndexModel([("state", ASCENDING), ("next_attempt_at", ASCENDING)], name="claim"),
                IndexModel([("state", ASCENDING), ("lease_until", ASCENDING)], name="expired"),
                OUTBOX_INDEX,
            ]
        )

    @store_errors()
    async def add(self, docs: Sequence[Mapping[str, Any]]) -> int:
        """Insert the rows whose `_id` is new, leave the others untouched; return the number of new ones."""
        if not docs:
            return 0
        try:
            result = await self._collection.insert_many([new_row(each) for each in docs], ordered=False)
        except BulkWriteError as error:
            if any(fault.get("code") != _DUPLICATE_KEY for fault in error.details["writeErrors"]):
                raise
            return int(error.details["nInserted"])
        return len(result.inserted_ids)

    @store_errors()
    async def get(self, row_id: str) -> Document | None:
        """Return a row, or None."""
        found: Document | None = await self._collection.find_one({"_id": row_id})
        return found

    async def claim(
        self,
        now: datetime,
        *,
        lease_for: timedelta,
        states: Sequence[str] = ("ready",),
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - MongoDB's word for it
        sort: Sequence[tuple[str, int]] = BY_DUE_TIME,
    ) -> Lease | None:
        """Take one due row in one of `states`, or one whose lease ran out in a safe state; None if none is.

        `filter` restricts the choice further, `sort` says which one of several is taken.
        """
        return await self._claim(filter or {}, now, lease_for, states, sort)

    async def claim_one(
        self,
        row_id: str,
        now: datetime,
        *,
        lease_for: timedelta,
        states: Sequence[str] = ("ready",),
        add: Mapping[str, Any] | None = None,
    ) -> Lease | None:
        """Take one row by id, under the rules of `claim`; with `add`, insert it first if it is not there.

        None means that it is settled, not due, or in somebody's hands; `get` tells which.
        """
        if add is not None:
            await self.add([{**add, "_id": row_id}])
        return await self._claim({"_id": row_id}, now, lease_for, states, BY_DUE_TIME)

    @store_errors()
    async def _claim(
        self,
        which: Mapping[str, Any],
        now: datetime,
        lease_for: timedelta,
        states: Sequence[str],
        sort: Sequence[tuple[str, int]],
    ) -> Lease | None:
        until = now + lease_for
        found: Document | None = await self._collection.find_one_and_update(
            # A claim moves next_attempt_at to the end of the lease, so one condition, and one index, covers
            # both what is due and what was abandoned.
            {**which, "state": {"$in": [*states, *self._safe]}, "next_attempt_at": {"$lte": now}},
            {
                "$set": {
                    "state": self._safe[0],
                    "lease_token": self._new_token(),
                    "lease_until": until,
                    "next_attempt_at": until,
                    "claimed_at": now,
                },
                "$inc": {"attempt": 1},
            },
            sort=list(sort),
            return_document=ReturnDocument.AFTER,
        )
        return None if found is None else lease_of(found)

    async def extend(self, lease: Lease, now: datetime, lease_for: timedelta) -> bool:
        """Move the end of the lease to `now + lease_for`; False when the lease is lost."""
        until = now + lease_for
        return await self._write(lease, {"$set": {"lease_until": until, "next_attempt_at": until}})

    async def mark(
        self,
        lease: Lease,
        *,
        state: str,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - MongoDB's word for it
        until: datetime | None = None,
    ) -> bool:
        """Record progress; with `until`, move the end of the lease in the same write.

        False: the lease is lost, somebody else owns the row, and nothing irrevocable may be done.
        """
        moved = {"lease_until": until, "next_attempt_at": until} if until else {}
        return await self._write(lease, {"$set": {**(set or {}), "state": state, **moved}})

    async def settle(
        self,
        lease: Lease,
        *,
        state: str,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - MongoDB's word for it
        events: Sequence[OutboxEntry] = (),
    ) -> bool:
        """End the work: final state, events, end of the lease in one write; False when the lease is lost."""
        return await self._write(
            lease,
            {
                "$set": {**(set or {}), "state": state, "lease_token": None, "lease_until": None},
                "$push": {"outbox": {"$each": list(events)}, "attempts": _attempt(lease, state, None)},
            },
        )

    async def release(
        self,
        lease: Lease,
        *,
        next_attempt_at: datetime,
        error: Mapping[str, Any] | None = None,
        state: str = "ready",
        set: Mapping[str, Any] | None = None,  # noqa: A002 - MongoDB's word for it
    ) -> bool:
        """Give the row back, to be claimed from `next_attempt_at` on; False when the lease is lost."""
        return await self._write(
            lease,
            {
                "$set": {
                    **(set or {}),
                    "state": state,
                    "lease_token": None,
                    "lease_until": None,
                    "next_attempt_at": next_attempt_at,
                },
                "$push": {"attempts": _attempt(lease, state, error)},
            },
        )

    @store_errors()
    async def _write(self, lease: Lease, update: Mapping[str, Any]) -> bool:
        result = await self._collection.update_one({"_id": lease.id, "lease_token": lease.token}, update)
        return result.matched_count == 1

    async def expired(
        self, now: datetime, states: Sequence[str] = ("transmitting",), *, limit: int = 100
    ) -> AsyncIterator[Document]:
        """Yield rows whose lease ran out in a state in which repeating is not safe, oldest first.

        The caller decides and writes under `lease_of(row)`; of several callers, or a worker that comes back
        after all, only the first to write succeeds.
        """
        with store_errors():
            cursor = (
                self._collection.find({"state": {"$in": list(states)}, "lease_until": {"$lte": now}})
                .sort("lease_until", ASCENDING)
                .limit(limit)
            )
            async for document in cursor:
                yield document


def _attempt(lease: Lease, state: str, error: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "$each": [
            {
                "number": lease.attempt,
                "started_at": lease.document.get("claimed_at"),
                "state": state,
                "error": dict(error) if error else None,
            }
        ],
        "$slice": -KEPT_ATTEMPTS,
    }
