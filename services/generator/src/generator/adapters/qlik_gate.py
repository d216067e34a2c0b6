"""Limits at a Qlik site that all replicas keep together: `generator_site_slots`, `generator_site_circuits`.

A slot is a row of a ledger (runtime.ledger): whoever holds it extends its lease, and what a killed replica
held is free again when the lease runs out. A holder that could not extend its lease, because it stood still
or MongoDB was away, stops by itself before anybody else can have the slot.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import structlog
from prometheus_client import Counter, Histogram
from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from qlik import QlikError, SiteBusy
from qlik import Transient as QlikTransient
from qlik.gate import Breaking, Circuit, circuit_open
from runtime.clock import Clock
from runtime.errors import Transient
from runtime.ledger import Lease, Ledger
from runtime.store import Store, store_errors

log = structlog.get_logger(__name__)

SLOT_WAIT = Histogram(
    "broadsheet_qlik_slot_wait_seconds",
    "How long a job waited for the right to open a session at a Qlik site.",
    buckets=(0.01, 0.1, 1, 5, 15, 60, 180),
)
SLOTS_MISSED = Counter(
    "broadsheet_qlik_slots_missed_total",
    "Sessions at a Qlik site that could not begin (`no-slot`) or had to end (`slot-lost`).",
    ["reason"],
)

SLOTS = "generator_site_slots"
CIRCUITS = "generator_site_circuits"
_EXTENSIONS_PER_LEASE = 3
# A slot is looked for this often: a session lasts seconds, and a look costs a millisecond.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
# Rows nobody has used for a day go; they are made again when they are missed.
_KEPT = timedelta(days=1)
_TRIES = 20


class MongoGate:
    """The SiteGate port of the Qlik client, for all replicas of one database."""

    def __init__(
        self, store: Store, clock: Clock, *, lease_for: timedelta, wait_for: timedelta = timedelta(minutes=3)
    ) -> None:
        """Take how long a silent replica keeps its slots, and how long a caller waits for one."""
        self._store = store
        self._collection = store.db[SLOTS]
        self._ledger = Ledger(self._collection)
        self._clock, self._lease_for, self._wait_for = clock, lease_for, wait_for
        # Of the jobs of this process that wait for the same slots, only the first asks.
        self._turns: dict[str, asyncio.Lock] = {}

    async def ensure_indexes(self) -> None:
        """Create what claims need, and let unused rows expire. Raises Transient."""
        await self._ledger.ensure_indexes()
        await self._store.ensure_indexes(
            SLOTS,
            [
                IndexModel([("key", ASCENDING), ("number", ASCENDING)], name="key"),
                # The end of a lease while it is held, so a held slot is never removed.
                IndexModel(
                    [("next_attempt_at", ASCENDING)],
                    name="expiry",
                    expireAfterSeconds=int(_KEPT.total_seconds()),
                ),
            ],
        )

    @asynccontextmanager
    async def slot(self, key: str, *, capacity: int, linger_s: float = 0) -> AsyncIterator[None]:
        """See SiteGate. Raises Transient when MongoDB is away, SiteBusy when no slot comes free in time."""
        with SLOT_WAIT.time():
            lease, until = await self._wait(key, capacity)
        limit = asyncio.timeout_at(until)
        try:
            async with limit:
                keeper = asyncio.create_task(self._keep(lease, limit), name=f"slot of {key}")
                try:
                    yield
                finally:
                    keeper.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await keeper
        except TimeoutError:
            if not limit.expired():
                raise
            log.warning("slot lost", key=key)
            SLOTS_MISSED.labels("slot-lost").inc()
            raise QlikTransient(
                f"The right to a session at {key} could not be kept",
                code="slot-lost",
                remedy="Check that MongoDB is reachable and this machine not overloaded.",
            ) from None
        finally:
            await self._free(lease, linger_s)

    async def _wait(self, key: str, capacity: int) -> tuple[Lease, float]:
        """Return a slot and when its lease ends, on the loop's clock."""
        loop, pause = asyncio.get_running_loop(), _FIRST_PAUSE_S
        try:
            async with (
                asyncio.timeout(self._wait_for.total_seconds()),
                self._turns.setdefault(key, asyncio.Lock()),
            ):
                while True:
                    asked = loop.time()
                    lease = await self._take(key, capacity)
                    if lease is not None:
                        return lease, asked + self._lease_for.total_seconds()
                    await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads replicas
                    pause = min(pause * 1.5, _LONGEST_PAUSE_S)
        except TimeoutError:
            SLOTS_MISSED.labels("no-slot").inc()
            raise SiteBusy(
                f"All {capacity} sessions that may be open at {key} were in use for "
                f"{self._wait_for.total_seconds():g} s",
                code="no-slot",
                remedy="Raise sessions_per_user or sessions_per_site if the site can bear it.",
            ) from None

    async def _take(self, key: str, capacity: int) -> Lease | None:
        which = {"key": key, "number": {"$lt": capacity}}
        now = self._clock.now()
        lease = await self._ledger.claim(now, lease_for=self._lease_for, filter=which)
        if lease is not None:
            return lease
        with store_errors():
            there = await self._collection.count_documents(which)
        if there >= capacity:
            return None
        await self._ledger.add(
            [
                {"_id": f"{key}#{number}", "key": key, "number": number, "next_attempt_at": now}
                for number in range(capacity)
            ]
        )
        return await self._ledger.claim(now, lease_for=self._lease_for, filter=which)

    async def _keep(self, lease: Lease, limit: asyncio.Timeout) -> None:
        """Extend the lease. Without that the holder's time runs out; if the slot is lost, at once."""
        loop, seconds = asyncio.get_running_loop(), self._lease_for.total_seconds()
        while True:
            await asyncio.sleep(seconds / _EXTENSIONS_PER_LEASE)
            asked = loop.time()
            try:
                kept = await self._ledger.extend(lease, self._clock.now(), self._lease_for)
            except Transient as error:
                log.warning("slot not extended", slot=lease.id, error=str(error)[:300])
                continue
            limit.reschedule(asked + seconds if kept else loop.time())
            if not kept:
                return

    async def _free(self, lease: Lease, linger_s: float) -> None:
        until = self._clock.now() + timedelta(seconds=linger_s)
        try:
            await asyncio.shield(self._ledger.release(lease, next_attempt_at=until))
        except Transient as error:
            # Its lease runs out by itself.
            log.warning("slot not freed", slot=lease.id, error=str(error)[:300])


class MongoBreaker:
    """The SiteBreaker port of the Qlik client, for all replicas of one database."""

    def __init__(self, store: Store, clock: Clock, rules: Breaking | None = None) -> None:
        """Take the store, and the rules by which a circuit opens."""
        self._collection = store.db[CIRCUITS]
        self._clock, self._rules = clock, rules or Breaking()

    async def check(self, site: str) -> None:
        """See SiteBreaker. Raises Transient also when MongoDB is away."""

        def let_in(known: Circuit, now: float) -> Circuit:
            answer = self._rules.let_in(known, now)
            if not isinstance(answer, Circuit):
                raise circuit_open(site, known.failures, answer)
            return answer

        await self._change(site, let_in)

    async def succeeded(self, site: str) -> None:
        """See SiteBreaker."""
        await self._change(site, lambda _, __: Circuit())

    async def failed(self, site: str, error: QlikError) -> None:
        """See SiteBreaker."""
        await self._change(site, lambda known, now: self._rules.after(known, error, now))

    async def gave_up(self, site: str) -> None:
        """See SiteBreaker."""
        with contextlib.suppress(Transient):
            await self._change(site, lambda known, _: replace(known, probing_until=0.0))

    @store_errors()
    async def _change(self, site: str, change: Callable[[Circuit, float], Circuit]) -> None:
        """Replace the circuit by what `change` makes of it; again if another replica was faster."""
        for _ in range(_TRIES):
            row = await self._collection.find_one({"_id": site})
            known = _circuit(row)
            wanted = change(known, self._clock.now().timestamp())
            if wanted == known:
                return
            try:
                done = await self._collection.find_one_and_update(
                    {"_id": site, "revision": row["revision"] if row else 0},
                    {"$set": asdict(wanted), "$inc": {"revision": 1}},
                    upsert=row is None,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:
                continue
            if done is not None:
                return
        raise Transient(f"the circuit of {site} is changed by too many at once")


def _circuit(row: Mapping[str, Any] | None) -> Circuit:
    return Circuit(**{name: row[name] for name in asdict(Circuit())}) if row else Circuit()
