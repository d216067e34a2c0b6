"""Which executions are planned and which units are rendered: `generator_executions` and `generator_units`.

A row is claimed under a lease, kept alive while work goes on, and settled once with the event that says how;
whoever asks again gets that event. Both are ledgers (runtime.ledger), so every write is fenced by its token.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import structlog
from pymongo import ASCENDING, IndexModel

from contracts.base import Reason
from contracts.events import ExecutionPlanned, ReportFailed, ReportGenerated, ReportSkipped
from generator.domain.request import Firing
from generator.ports import Busy, Claim, Settled, SettledUnit
from runtime.clock import Clock
from runtime.errors import Transient
from runtime.ledger import Lease, Ledger
from runtime.store import Document, Store, store_errors

log = structlog.get_logger(__name__)

EXECUTIONS = "generator_executions"
UNITS = "generator_units"
SETTLED = "settled"
# Twice as long as the topics keep their events: afterwards nobody can ask again.
_KEPT = timedelta(days=30)
_EXTENSIONS_PER_LEASE = 3
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
        await self._store.ensure_indexes(self._name, [expiry])

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

    async def _claim(self, row_id: str, first: Mapping[str, Any]) -> Claim | Document:
        """Return a claim, or the row that somebody else has or had."""
        lease = await self._ledger.claim_one(row_id, self._clock.now(), lease_for=self._lease_for, add=first)
        if lease is not None:
            return Claim(lease.id, lease.token, lease.attempt, lease.document["first_seen"])
        row = await self._ledger.get(row_id)
        if row is None:
            raise Transient(f"the row {row_id} of {self._name} vanished while it was being claimed")
        return row

    async def _settle(self, claim: Claim, event: dict[str, Any], at: datetime) -> bool:
        return await self._ledger.settle(_lease(claim), state=SETTLED, set={"event": event, "settled_at": at})


class MongoExecutions(_Work):
    """The Executions port on MongoDB."""

    def __init__(self, store: Store, clock: Clock, lease_for: timedelta) -> None:
        """Take the store and how long a silent planner keeps its claim."""
        super().__init__(store, EXECUTIONS, clock, lease_for)

    async def claim(self, firing: Firing) -> Claim | Settled[ExecutionPlanned] | Busy:
        """Take the planning of an execution, or say why not."""
        first = {"task_id": firing.task_id, "first_seen": firing.fired_at}
        found = await self._claim(firing.execution_id, first)
        if isinstance(found, Claim):
            return found
        if found["state"] != SETTLED:
            return Busy()
        return Settled(ExecutionPlanned.model_validate(found["event"]), found["settled_at"])

    async def settle(self, claim: Claim, event: ExecutionPlanned, at: datetime) -> bool:
        """Record the outcome; False when somebody else took the execution over."""
        return await self._settle(claim, event.model_dump(mode="json"), at)

    async def published(self, execution_id: str, at: datetime) -> None:
        """Record when everything was first published; for people, as publishing may be repeated."""
        with store_errors():
            await self._collection.update_one(
                {"_id": execution_id, "published_at": {"$exists": False}}, {"$set": {"published_at": at}}
            )


class MongoUnits(_Work):
    """The Units port on MongoDB."""

    def __init__(self, store: Store, clock: Clock, lease_for: timedelta) -> None:
        """Take the store and how long a silent renderer keeps its claims."""
        super().__init__(store, UNITS, clock, lease_for)

    async def claim(self, unit_id: str, execution_id: str) -> Claim | Settled[SettledUnit] | Busy:
        """Take a unit, or say why not."""
        first = {"execution_id": execution_id, "first_seen": self._clock.now()}
        found = await self._claim(unit_id, first)
        if isinstance(found, Claim):
            return found
        if found["state"] != SETTLED:
            return Busy()
        model = _UNIT_EVENTS[found["event"]["type"]]
        return Settled(model.model_validate(found["event"]["body"]), found["settled_at"])

    async def settle(self, claim: Claim, event: SettledUnit, at: datetime) -> bool:
        """Record the outcome; False when somebody else took the unit over."""
        return await self._settle(claim, {"type": event.TYPE, "body": event.model_dump(mode="json")}, at)

    async def give_back(self, claim: Claim, reason: Reason) -> None:
        """Record a failed attempt and let the next one begin at once; the bus makes the pause."""
        await self._ledger.release(
            _lease(claim), next_attempt_at=self._clock.now(), error=reason.model_dump(mode="json")
        )


def _lease(claim: Claim) -> Lease:
    return Lease(claim.id, claim.token, claim.first_seen, claim.attempt, {})
