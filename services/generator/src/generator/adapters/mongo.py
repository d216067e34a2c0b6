"""Which executions are planned and which units are rendered: `generator_executions` and `generator_units`.

A row holds what was asked for. It is claimed under a lease, kept alive while work goes on, and settled once
with the event that says how; whoever asks again gets that event. Work that has to wait is put off in its row,
never in a message, and work that a process left behind is taken up by whoever looks first. Both collections
are ledgers (runtime.ledger), so every write is fenced by its token.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog
from pymongo import ASCENDING, IndexModel

from contracts.base import Event, Reason
from contracts.events import (
    ExecutionPlanned,
    ReportFailed,
    ReportGenerated,
    ReportRequested,
    ReportSkipped,
    TaskTriggered,
)
from generator.domain.request import Firing
from generator.ports import Busy, Claim, Settled, SettledUnit
from runtime.clock import Clock
from runtime.errors import Transient
from runtime.ledger import Lease, Ledger
from runtime.rounds import Rounds
from runtime.store import Document, Store, store_errors

log = structlog.get_logger(__name__)

T = TypeVar("T")
_UNPUBLISHED = Rounds("republish")
EXECUTIONS = "generator_executions"
UNITS = "generator_units"
SETTLED = "settled"
# Twice as long as the topics keep their events: afterwards nobody can ask again.
_KEPT = timedelta(days=30)
_EXTENSIONS_PER_LEASE = 3
_BATCH = 50
_UNIT_EVENTS: Mapping[str, type[SettledUnit]] = {
    cls.TYPE: cls for cls in (ReportGenerated, ReportSkipped, ReportFailed)
}


class _Work:
    """What both collections have in common."""

    def __init__(self, store: Store, collection: str, clock: Clock, lease_for: timedelta) -> None:
        """Take the store, the collection's name and how long a silent process keeps its claims."""
        self._store = store
        self._name = collection
        self._collection = store.db[collection]
        self._ledger = Ledger(self._collection)
        self._clock = clock
        self._lease_for = lease_for

    async def ensure_indexes(self) -> None:
        """Create what claims need, and let old rows expire."""
        await self._ledger.ensure_indexes()
        expiry = IndexModel(
            [("settled_at", ASCENDING)], name="expiry", expireAfterSeconds=int(_KEPT.total_seconds())
        )
        # Holds only rows that wait to be published, which are few.
        unpublished = IndexModel(
            [("unpublished_since", ASCENDING)],
            name="unpublished",
            partialFilterExpression={"unpublished_since": {"$type": "date"}},
        )
        await self._store.ensure_indexes(self._name, [expiry, unpublished])

    @asynccontextmanager
    async def kept(self, claim: Claim) -> AsyncIterator[None]:
        """Extend the lease until the body ends. A lost lease shows when the outcome is settled."""
        keeper = asyncio.create_task(self._keep(_lease(claim)), name=f"lease of {claim.id}")
        try:
            yield
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper

    async def _keep(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(self._lease_for.total_seconds() / _EXTENSIONS_PER_LEASE)
            try:
                if not await self._ledger.extend(lease, self._clock.now(), self._lease_for):
                    log.warning("lease lost", collection=self._name, id=lease.id)
                    return
            except Transient as error:
                log.warning("lease not extended", collection=self._name, id=lease.id, error=str(error)[:300])

    async def _claim(self, row_id: str, request: Event, first_seen: datetime) -> Claim | Document:
        """Return a claim, or the row that somebody else has or had."""
        lease = await self._ledger.claim_one(
            row_id,
            self._clock.now(),
            lease_for=self._lease_for,
            add={
                "request": request.model_dump(mode="json"),
                "first_seen": first_seen,
            },
        )
        if lease is not None:
            return _claim(lease)
        row = await self._ledger.get(row_id)
        if row is None:
            raise Transient(f"the row {row_id} of {self._name} vanished while it was being claimed")
        return row

    async def _due(self) -> Lease | None:
        return await self._ledger.claim(self._clock.now(), lease_for=self._lease_for)

    async def _settle(self, claim: Claim, event: dict[str, Any], at: datetime) -> bool:
        return await self._ledger.settle(
            _lease(claim), state=SETTLED, set={"event": event, "settled_at": at, "unpublished_since": at}
        )

    async def postpone(self, claim: Claim, until: datetime, reason: Reason) -> None:
        """Record a failed attempt and when the next one begins."""
        await self._ledger.release(_lease(claim), next_attempt_at=until, error=reason.model_dump(mode="json"))

    async def published(self, row_id: str, at: datetime) -> None:
        """Record when everything was first published; it may be published again."""
        with store_errors():
            await self._collection.update_one(
                {"_id": row_id, "unpublished_since": {"$exists": True}},
                {"$unset": {"unpublished_since": ""}, "$set": {"published_at": at}},
            )

    async def _unpublished(self, settled_before: datetime) -> list[Document]:
        with store_errors():
            found = self._collection.find({"unpublished_since": {"$lt": settled_before}}).limit(_BATCH)
            return [row async for row in found]


class MongoExecutions(_Work):
    """The Executions port on MongoDB."""

    def __init__(self, store: Store, clock: Clock, lease_for: timedelta) -> None:
        """Take the store and how long a silent planner keeps its claim."""
        super().__init__(store, EXECUTIONS, clock, lease_for)

    async def claim(self, firing: Firing) -> Claim | Settled[ExecutionPlanned] | Busy:
        """Record an execution and take its planning, or say why not."""
        request = TaskTriggered(
            execution_id=firing.execution_id,
            task_id=firing.task_id,
            trigger=firing.trigger,
            options=firing.options,
        )
        found = await self._claim(firing.execution_id, request, firing.fired_at)
        if isinstance(found, Claim):
            return found
        return _planned(found) if found["state"] == SETTLED else Busy()

    async def due(self) -> tuple[Claim, Firing] | None:
        """Take a planning that was put off and is due, or that a process left behind."""
        lease = await self._due()
        if lease is None:
            return None
        event = TaskTriggered.model_validate(lease.document["request"])
        claim = _claim(lease)
        return claim, Firing(
            event.execution_id, event.task_id, event.trigger, claim.first_seen, event.options
        )

    async def unpublished(self, settled_before: datetime) -> list[Settled[ExecutionPlanned]]:
        """Return outcomes that were recorded, but perhaps never published."""
        return _readable(_planned, await self._unpublished(settled_before))

    async def settle(self, claim: Claim, event: ExecutionPlanned, at: datetime) -> bool:
        """Record the outcome; False when somebody else took the execution over."""
        return await self._settle(claim, event.model_dump(mode="json"), at)


class MongoUnits(_Work):
    """The Units port on MongoDB."""

    def __init__(self, store: Store, clock: Clock, lease_for: timedelta) -> None:
        """Take the store and how long a silent renderer keeps its claims."""
        super().__init__(store, UNITS, clock, lease_for)

    async def claim(self, request: ReportRequested) -> Claim | Settled[SettledUnit] | Busy:
        """Record a unit and take it, or say why not."""
        found = await self._claim(request.unit_id, request, self._clock.now())
        if isinstance(found, Claim):
            return found
        return _rendered(found) if found["state"] == SETTLED else Busy()

    async def due(self) -> tuple[Claim, ReportRequested] | None:
        """Take a unit that was put off and is due, or that a process left behind."""
        lease = await self._due()
        if lease is None:
            return None
        return _claim(lease), ReportRequested.model_validate(lease.document["request"])

    async def unpublished(self, settled_before: datetime) -> list[Settled[SettledUnit]]:
        """Return outcomes that were recorded, but perhaps never published."""
        return _readable(_rendered, await self._unpublished(settled_before))

    async def settle(self, claim: Claim, event: SettledUnit, at: datetime) -> bool:
        """Record the outcome; False when somebody else took the unit over."""
        return await self._settle(claim, {"type": event.TYPE, "body": event.model_dump(mode="json")}, at)


def _readable(read: Callable[[Document], T], rows: Iterable[Document]) -> list[T]:
    """Return what rows hold; one that cannot be read is logged and keeps the others from nothing."""
    found: list[T] = []
    for row in rows:
        with _UNPUBLISHED.isolated(row_id=str(row["_id"])):
            found.append(read(row))
    return found


def _planned(row: Document) -> Settled[ExecutionPlanned]:
    return Settled(ExecutionPlanned.model_validate(row["event"]), row["settled_at"])


def _rendered(row: Document) -> Settled[SettledUnit]:
    model = _UNIT_EVENTS[row["event"]["type"]]
    return Settled(model.model_validate(row["event"]["body"]), row["settled_at"])


def _claim(lease: Lease) -> Claim:
    return Claim(lease.id, lease.token, lease.attempt, lease.document["first_seen"])


def _lease(claim: Claim) -> Lease:
    return Lease(claim.id, claim.token, claim.first_seen, claim.attempt, {})
