"""The delivery ledger in MongoDB.

`distributor_deliveries` holds a row per delivery, in the shape of `runtime.ledger` with the row itself under
`row` and what is searched or shown beside it. `distributor_units` holds the outcomes of units, by execution
and unit id.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo import ASCENDING, IndexModel

from contracts.events import Channel, DeliveryEvent
from contracts.mailing import Addresses
from distributor.domain.results import Settle
from distributor.domain.rows import Row, SettledUnit, State, completed
from distributor.ports import AttemptNote, Claim, Stray
from runtime.clock import Clock
from runtime.ledger import Lease, Ledger, lease_of
from runtime.outbox import OutboxEntry, entry
from runtime.rounds import Rounds
from runtime.store import Document, Store, store_errors
from runtime.telemetry import execution_headers

DELIVERIES = "distributor_deliveries"
UNITS = "distributor_units"
SERVICE = "distributor"

_BATCH = 500
_SWEEP = Rounds("sweep")
_STRAYS = 200
_RESTING = (State.WAITING.value, State.READY.value)


class Deliveries:
    """Both collections, as the ports of the use cases. Raises Transient when MongoDB does not answer."""

    def __init__(self, store: Store, *, clock: Clock, lease_for: timedelta) -> None:
        """Take the store, the time, and the length of leases."""
        self._rows = store.collection(DELIVERIES)
        self._units = store.collection(UNITS)
        self._ledger = Ledger(self._rows)
        self._clock = clock
        self._lease_for = lease_for
        self._settled: Callable[[], None] = _nobody

    def on_settled(self, tell: Callable[[], None]) -> None:
        """Have `tell` called whenever an event waits for the relay, which would find it a little later."""
        self._settled = tell

    async def ensure_indexes(self) -> None:
        """Create what claims, fan-in, sweeps and the relay read by."""
        await self._ledger.ensure_indexes()
        with store_errors():
            await self._rows.create_indexes(
                [
                    IndexModel(
                        [("execution_id", ASCENDING), ("state", ASCENDING), ("pending_units", ASCENDING)],
                        name="fan_in",
                    ),
                    IndexModel(
                        [("channel", ASCENDING), ("state", ASCENDING), ("next_attempt_at", ASCENDING)],
                        name="claim_by_channel",
                    ),
                    IndexModel([("state", ASCENDING), ("give_up_at", ASCENDING)], name="past_time"),
                    IndexModel([("settled_at", ASCENDING)], name="settled", sparse=True),
                ]
            )
            await self._units.create_indexes(
                [
                    IndexModel([("execution_id", ASCENDING)], name="execution"),
                    IndexModel([("recorded_at", ASCENDING)], name="recorded"),
                ]
            )

    # Rows that wait

    async def add(self, rows: Sequence[Row]) -> int:
        """Insert rows that are not there, waiting for all of their units. Return how many were new."""
        new = 0
        for start in range(0, len(rows), _BATCH):
            new += await self._ledger.add([_document(row) for row in rows[start : start + _BATCH]])
        return new

    async def record(self, unit: SettledUnit) -> None:
        """Keep the outcome of a unit; the first one stays."""
        with store_errors():
            document = unit.model_dump(mode="json", exclude={"id"})
            await self._units.update_one(
                {"_id": _unit_key(unit.execution_id, unit.id)},
                {"$setOnInsert": {"unit_id": unit.id, "recorded_at": self._clock.now(), **document}},
                upsert=True,
            )

    async def outcomes(
        self, execution_id: str, units: Collection[str] | None = None
    ) -> dict[str, SettledUnit]:
        """Return the outcomes known, of all units of an execution or of some."""
        which: dict[str, Any] = {"execution_id": execution_id}
        if units is not None:
            which["_id"] = {"$in": [_unit_key(execution_id, unit) for unit in units]}
        with store_errors():
            return {
                found["unit_id"]: SettledUnit.model_validate({**found, "id": found["unit_id"]})
                async for found in self._units.find(which)
            }

    async def strike(self, execution_id: str, units: Collection[str]) -> None:
        """Take units off what the rows of an execution wait for."""
        with store_errors():
            settled = list(units)
            await self._rows.update_many(
                {
                    "execution_id": execution_id,
                    "state": State.WAITING.value,
                    "pending_units": {"$in": settled},
                },
                {"$pull": {"pending_units": {"$in": settled}}},
            )

    async def complete(self, execution_id: str | None) -> AsyncIterator[Row]:
        """Yield waiting rows that wait for nothing any more, of one execution or of all."""
        which: dict[str, Any] = {"state": State.WAITING.value, "pending_units": []}
        if execution_id is not None:
            which["execution_id"] = execution_id
        with store_errors():
            async for found in self._rows.find(which):
                row = None
                with _SWEEP.isolated(delivery_id=str(found["_id"])):
                    row = _row(found)
                if row is not None:
                    yield row

    async def make_ready(self, row_id: str, now: datetime) -> bool:
        """Move a waiting row to ready. Return False when it was no longer waiting."""
        with store_errors():
            result = await self._rows.update_one(
                {"_id": row_id, "state": State.WAITING.value, "pending_units": []},
                {"$set": {"state": State.READY.value, "next_attempt_at": now, "ready_at": now}},
            )
            return result.modified_count == 1

    async def close(self, row_id: str, *, decision: Settle, now: datetime) -> bool:
        """Settle a row that nobody works on, with its event; False when somebody does, or it is settled."""
        with store_errors():
            result = await self._rows.update_one(
                {"_id": row_id, **_unattended(now)},
                {
                    "$set": {
                        "state": decision.state.value,
                        "settled_at": now,
                        "row.addresses": _json(decision.event.addresses),
                        "lease_token": None,
                        "lease_until": None,
                    },
                    "$push": {"outbox": _entry(decision.event, now)},
                },
            )
            if result.modified_count:
                self._settled()
            return result.modified_count == 1

    # Rows that are worked on

    async def claim(self, channel: Channel, *, not_to: Collection[str]) -> Claim | None:
        """Return a due row of a channel whose target is none of `not_to`, leased; None when there is none."""
        lease = await self._ledger.claim(
            self._clock.now(),
            lease_for=self._lease_for,
            filter={"channel": channel.value, "target_key": {"$nin": sorted(not_to)}},
        )
        return None if lease is None else _claim(lease)

    async def extend(self, claim: Claim) -> bool:
        """Lengthen the lease."""
        return await self._ledger.extend(_lease(claim), self._clock.now(), self._lease_for)

    async def transmitting(self, claim: Claim, addresses: Addresses) -> bool:
        """Write down that from now on repeating is not safe, and for which addresses."""
        now = self._clock.now()
        return await self._ledger.mark(
            _lease(claim),
            state=State.TRANSMITTING.value,
            set={"transmitting_at": now, "row.addresses": _json(addresses)},
            until=now + self._lease_for,
        )

    async def settle(self, claim: Claim, *, state: State, event: DeliveryEvent, note: AttemptNote) -> bool:
        """Finish the row and leave its event to the relay, in one write."""
        done = await self._ledger.settle(
            _lease(claim, note),
            state=state.value,
            set={
                "last_attempt": _note(note),
                "settled_at": note.finished_at,
                "row.addresses": _json(event.addresses),
            },
            events=[_entry(event, note.finished_at)],
        )
        if done:
            self._settled()
        return done

    async def release(self, claim: Claim, *, at: datetime, row: Row, note: AttemptNote) -> bool:
        """Make the row ready again, due `at`, with the addresses and the acceptance of `row`."""
        acceptance = row.acceptance.model_dump(mode="json") if row.acceptance else None
        return await self._ledger.release(
            _lease(claim, note),
            next_attempt_at=at,
            error=_note(note),
            state=State.READY.value,
            set={
                "last_attempt": _note(note),
                "row.addresses": _json(row.addresses),
                "row.acceptance": acceptance,
            },
        )

    # Rows that nobody finishes

    async def past_time(self, now: datetime) -> AsyncIterator[Stray]:
        """Yield rows nobody works on whose time is over."""
        with store_errors():
            which = {"give_up_at": {"$lte": now}, **_unattended(now)}
            async for found in self._rows.find(which).limit(_STRAYS):
                stray = None
                with _SWEEP.isolated(delivery_id=str(found["_id"])):
                    waiting = found["state"] == State.WAITING.value
                    stray = Stray(_row(found), found["attempt"], _last(found), waiting)
                if stray is not None:
                    yield stray

    async def abandoned(self, now: datetime) -> AsyncIterator[Claim]:
        """Yield rows whose lease ran out while transmitting, under the lease that was lost."""
        async for found in self._ledger.expired(now, (State.TRANSMITTING.value,), limit=_STRAYS):
            claim = None
            with _SWEEP.isolated(delivery_id=str(found["_id"])):
                claim = _claim(lease_of(found))
            if claim is not None:
                yield claim

    async def forget(self, before: datetime) -> int:
        """Delete rows settled, with their events published, and outcomes recorded before a moment."""
        with store_errors():
            rows = await self._rows.delete_many({"settled_at": {"$lt": before}, "outbox": []})
            await self._units.delete_many({"recorded_at": {"$lt": before}})
        return rows.deleted_count

    async def oldest_due(self, channel: Channel) -> float:
        """Return for how many seconds the oldest due row of a channel has waited; 0 when none does."""
        now = self._clock.now()
        with store_errors():
            found = await self._rows.find_one(
                {"channel": channel.value, "state": State.READY.value, "next_attempt_at": {"$lte": now}},
                projection={"next_attempt_at": 1},
                sort=[("next_attempt_at", ASCENDING)],
            )
        return 0.0 if found is None else (now - found["next_attempt_at"]).total_seconds()


def _nobody() -> None:
    """Tell nobody."""


def _unattended(now: datetime) -> dict[str, Any]:
    """Return the condition for rows that rest, or whose lease ran out where repeating is safe."""
    return {
        "$or": [
            {"state": {"$in": list(_RESTING)}},
            {"state": State.CLAIMED.value, "lease_until": {"$lte": now}},
        ]
    }


def _unit_key(execution_id: str, unit_id: str) -> str:
    # Unit ids are derived from the execution's; a message that says otherwise reaches into no other one.
    return f"{execution_id}:{unit_id}"


def _document(row: Row) -> Document:
    return {
        "_id": row.id,
        "state": State.WAITING.value,
        "execution_id": row.execution_id,
        "task_id": row.task_id,
        "channel": row.channel.value,
        "target": row.planned.target,
        "target_key": row.target_key,
        "recipient_id": row.planned.recipient_id,
        "test_mode": row.test_address is not None,
        "give_up_at": row.give_up_at,
        "pending_units": list(row.waits_for),
        "last_attempt": None,
        "row": row.model_dump(mode="json"),
    }


def _row(document: Mapping[str, Any]) -> Row:
    transmitting = document["state"] == State.TRANSMITTING.value
    return completed(Row.model_validate(document["row"]), transmitting=transmitting)


def _claim(lease: Lease) -> Claim:
    return Claim(
        row=_row(lease.document),
        attempt=lease.attempt,
        token=lease.token,
        until=lease.until,
        last=_last(lease.document),
    )


def _last(document: Mapping[str, Any]) -> str:
    last = document.get("last_attempt") or {}
    return f"{last.get('code', '')} {last.get('text', '')}".strip()


def _json(addresses: Addresses) -> list[Document]:
    return [each.model_dump(mode="json") for each in addresses]


def _lease(claim: Claim, note: AttemptNote | None = None) -> Lease:
    # The ledger writes by id and token, and takes the beginning of the attempt from the document.
    document = {"claimed_at": note.started_at} if note is not None else {}
    return Lease(
        id=claim.row.id, token=claim.token, until=claim.until, attempt=claim.attempt, document=document
    )


def _note(note: AttemptNote) -> Document:
    return {
        "number": note.number,
        "started_at": note.started_at,
        "finished_at": note.finished_at,
        "code": note.code,
        "text": note.text,
    }


def _entry(event: DeliveryEvent, at: datetime) -> OutboxEntry:
    # The sweep settles rows outside of any attempt; their events belong to the execution's trace, too.
    return entry(event, source=SERVICE, occurred_at=at, trace=execution_headers(event.execution_id))
