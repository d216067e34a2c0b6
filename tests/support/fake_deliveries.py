"""The delivery ledger in memory, held to the real one by tests/integration/distributor/test_rows.py.

`pace` is awaited before every single step, so that a test can put other steps in between.
"""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from contracts.base import Event
from contracts.events import Channel, DeliveryEvent
from contracts.mailing import Addresses
from distributor.domain.results import Settle
from distributor.domain.rows import FINAL_STATES, Row, SettledUnit, State
from distributor.ports import AttemptNote, Claim, Stray
from runtime.clock import Clock
from runtime.errors import Transient


@dataclass
class Kept:
    """A row as the ledger keeps it."""

    row: Row
    pending: list[str]
    state: State = State.WAITING
    next_attempt_at: datetime | None = None
    token: str | None = None
    until: datetime | None = None
    attempt: int = 0
    notes: list[AttemptNote] = field(default_factory=list)
    outbox: list[Event] = field(default_factory=list)


async def _at_once() -> None:
    """Go on."""


class FakeDeliveries:
    """All three ports of rows over one dict. `broken` makes that many writes Transient."""

    def __init__(
        self,
        clock: Clock,
        *,
        lease_for: timedelta = timedelta(minutes=1),
        pace: Callable[[], Awaitable[None]] = _at_once,
    ) -> None:
        self.kept: dict[str, Kept] = {}
        self.units: dict[tuple[str, str], SettledUnit] = {}
        self.broken = 0
        self._clock = clock
        self._lease_for = lease_for
        self._pace = pace
        self._tokens = itertools.count(1)

    async def add(self, rows: Sequence[Row]) -> int:
        new = 0
        for row in rows:
            await self._pace()
            if row.id not in self.kept:
                self.kept[row.id] = Kept(row, list(row.waits_for))
                new += 1
        return new

    async def record(self, unit: SettledUnit) -> None:
        await self._pace()
        self.units.setdefault((unit.execution_id, unit.id), unit)

    async def outcomes(
        self, execution_id: str, units: Collection[str] | None = None
    ) -> dict[str, SettledUnit]:
        await self._pace()
        return {
            unit.id: unit
            for unit in self.units.values()
            if unit.execution_id == execution_id and (units is None or unit.id in units)
        }

    async def strike(self, execution_id: str, units: Collection[str]) -> None:
        for kept in list(self.kept.values()):
            # MongoDB changes one document at a time, and others may read in between.
            await self._pace()
            if kept.row.execution_id == execution_id and kept.state is State.WAITING:
                kept.pending = [unit for unit in kept.pending if unit not in units]

    async def complete(self, execution_id: str | None) -> AsyncIterator[Row]:
        for kept in list(self.kept.values()):
            await self._pace()
            mine = execution_id is None or kept.row.execution_id == execution_id
            if mine and kept.state is State.WAITING and not kept.pending:
                yield kept.row

    async def make_ready(self, row_id: str, now: datetime) -> bool:
        await self._pace()
        kept = self.kept[row_id]
        if kept.state is not State.WAITING or kept.pending:
            return False
        kept.state, kept.next_attempt_at = State.READY, now
        return True

    async def close(self, row_id: str, *, decision: Settle, now: datetime) -> bool:
        await self._pace()
        kept = self.kept[row_id]
        if not _unattended(kept, now):
            return False
        kept.state, kept.token, kept.until = decision.state, None, None
        kept.outbox.append(decision.event)
        return True

    async def claim(self, channel: Channel, *, not_to: Collection[str]) -> Claim | None:
        now = self._clock.now()
        due = [
            kept
            for kept in self.kept.values()
            if kept.row.channel is channel
            and kept.row.target_key not in not_to
            and kept.state in (State.READY, State.CLAIMED)
            and kept.next_attempt_at is not None
            and kept.next_attempt_at <= now
        ]
        if not due:
            return None
        kept = min(due, key=lambda each: (each.next_attempt_at, each.row.id))
        kept.state, kept.token, kept.until = (
            State.CLAIMED,
            f"token-{next(self._tokens)}",
            now + self._lease_for,
        )
        kept.next_attempt_at = kept.until
        kept.attempt += 1
        return _claim(kept)

    async def extend(self, claim: Claim) -> bool:
        kept = self._held(claim)
        if kept is None:
            return False
        kept.until = kept.next_attempt_at = self._clock.now() + self._lease_for
        return True

    async def transmitting(self, claim: Claim, addresses: Addresses) -> bool:
        kept = self._held(claim)
        if kept is None:
            return False
        kept.state = State.TRANSMITTING
        kept.row = kept.row.model_copy(update={"addresses": addresses})
        kept.until = kept.next_attempt_at = self._clock.now() + self._lease_for
        return True

    async def settle(self, claim: Claim, *, state: State, event: DeliveryEvent, note: AttemptNote) -> bool:
        kept = self._held(claim)
        if kept is None:
            return False
        kept.state, kept.token, kept.until = state, None, None
        kept.outbox.append(event)
        kept.notes.append(note)
        return True

    async def release(self, claim: Claim, *, at: datetime, row: Row, note: AttemptNote) -> bool:
        kept = self._held(claim)
        if kept is None:
            return False
        kept.state, kept.token, kept.until, kept.next_attempt_at = State.READY, None, None, at
        kept.row = row
        kept.notes.append(note)
        return True

    async def past_time(self, now: datetime) -> AsyncIterator[Stray]:
        for kept in list(self.kept.values()):
            if kept.row.give_up_at <= now and _unattended(kept, now):
                yield Stray(kept.row, kept.attempt, _last(kept), kept.state is State.WAITING)

    async def abandoned(self, now: datetime) -> AsyncIterator[Claim]:
        for kept in list(self.kept.values()):
            if kept.state is State.TRANSMITTING and kept.until is not None and kept.until <= now:
                yield _claim(kept)

    def _held(self, claim: Claim) -> Kept | None:
        if self.broken:
            self.broken -= 1
            raise Transient("the store is down")
        kept = self.kept.get(claim.row.id)
        return kept if kept is not None and kept.token == claim.token else None

    def states(self) -> dict[str, str]:
        """The state of every row."""
        return {row_id: kept.state.value for row_id, kept in self.kept.items()}

    def events(self, row_id: str) -> list[Any]:
        """The events of a row that wait for the relay."""
        return list(self.kept[row_id].outbox)


def _claim(kept: Kept) -> Claim:
    assert kept.token is not None
    assert kept.until is not None
    return Claim(row=kept.row, attempt=kept.attempt, token=kept.token, until=kept.until, last=_last(kept))


def _last(kept: Kept) -> str:
    return f"{kept.notes[-1].code} {kept.notes[-1].text}".strip() if kept.notes else ""


def _unattended(kept: Kept, now: datetime) -> bool:
    if kept.state in FINAL_STATES:
        return False
    resting = kept.state in (State.WAITING, State.READY)
    return resting or (kept.state is State.CLAIMED and kept.until is not None and kept.until <= now)
