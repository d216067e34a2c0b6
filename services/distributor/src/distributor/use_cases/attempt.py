"""One attempt to deliver one row: execute, decide, write down."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from contracts.base import Reason
from contracts.events import Channel
from contracts.mailing import Answered, TestModeBreachError, sending
from distributor.domain.results import (
    Again,
    Decision,
    Delivered,
    LeaseLost,
    Mailed,
    Nothing,
    Postponed,
    Rejected,
    Result,
    RetryPolicy,
    Settle,
    TooLate,
    Uncertain,
    clipped,
    decide,
)
from distributor.ports import AttemptNote, ChannelPort, Claim, ClaimedRows, Job, WaitingRows
from runtime.clock import Clock
from runtime.errors import Permanent, Transient

log = structlog.get_logger(__name__)

Chance = Callable[[], float]
"""Draws a number from 0 to 1, for the spread of pauses."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things may take."""

    extend_every: timedelta
    """Between two extensions of a lease; a fraction of its length."""
    settle_for: timedelta
    """How long the outcome of a delivery is tried to be written down, when the store does not answer."""
    settle_pause: timedelta = timedelta(seconds=0.5)


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of an attempt, for circuits, metrics and logs."""

    result: Result
    decision: Decision
    recorded: bool
    """Whether it stands in the ledger; False when the lease was lost meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """The use case, with its ports bound."""

    rows: ClaimedRows
    facts: WaitingRows
    channels: Mapping[Channel, ChannelPort]
    clock: Clock
    policy: RetryPolicy
    patience: Patience
    chance: Chance
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)

    async def run(self, claim: Claim) -> Finished:
        """Deliver a claimed row and write down how it ended.

        Raises Transient when that could not be written: the lease then runs out, and the row is taken up
        again, or is unknown when a mail was being handed over.
        """
        started = self.clock.now()
        async with self._held(claim):
            result = await self._execute(claim, started)
            now = self.clock.now()
            decision = decide(
                claim.row,
                result,
                attempt=claim.attempt,
                now=now,
                policy=self.policy,
                chance=self.chance(),
                last=claim.last,
            )
            note = AttemptNote(claim.attempt, started, now, *_said(result))
            recorded = await self._persistently(lambda: self._record(claim, decision, note))
        return Finished(result, decision, recorded)

    async def _execute(self, claim: Claim, now: datetime) -> Result:
        row = claim.row
        if now >= row.give_up_at:
            return TooLate()
        committed = late = False
        known: Answered = {}

        async def commit(answers: Answered = known) -> bool:
            nonlocal committed, late, known
            # Asked again before the end of a large mail: until it answers, nothing is handed over.
            committed, known = False, answers
            # Late is late: nothing may go out after the execution has been told that it did not.
            late = self.clock.now() >= row.deadline_at
            committed = not late and await self.rows.transmitting(claim, sending(row.addresses, answers))
            return committed

        try:
            outcomes = await self.facts.outcomes(row.execution_id, row.planned.units)
            job = Job(row=row, outcomes=outcomes, attempt=claim.attempt, now=now)
            result: Result = await self.channels[row.channel].deliver(job, commit=commit)
        except Permanent as error:
            result = Rejected(error.reason)
        except Transient as error:
            result = Postponed("not-now", clipped(str(error)))
        except TestModeBreachError as error:
            result = Rejected(
                Reason(code="test-mode-breach", message=str(error), remedy="report this as a bug")
            )
        except Exception as error:
            log.exception("delivery attempt failed unexpectedly", delivery_id=row.id)
            result = Postponed("internal-error", type(error).__name__)
        else:
            return TooLate() if late else result
        # An error of ours after the point of no return says nothing about what the other side has.
        return Uncertain(_said(result)[1], known) if committed else result

    async def _record(self, claim: Claim, decision: Decision, note: AttemptNote) -> bool:
        match decision:
            case Settle(state=state, event=event):
                return await self.rows.settle(claim, state=state, event=event, note=note)
            case Again(at=at, row=row):
                return await self.rows.release(claim, at=at, row=row, note=note)
            case Nothing():
                return False

    async def _persistently(self, write: Callable[[], Awaitable[bool]]) -> bool:
        """Write through a failover of the store: an outcome not written down is an unknown delivery."""
        until = self.clock.now() + self.patience.settle_for
        while True:
            try:
                return await write()
            except Transient:
                if self.clock.now() >= until:
                    raise
                await self.sleep(self.patience.settle_pause.total_seconds())

    @contextlib.asynccontextmanager
    async def _held(self, claim: Claim) -> AsyncIterator[None]:
        """Keep the lease alive while the body runs."""
        keeper = asyncio.create_task(self._keep(claim), name=f"lease {claim.row.id}")
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _keep(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(self.patience.extend_every.total_seconds())
            try:
                if not await self.rows.extend(claim):
                    # The fenced writes will notice, too; nothing has to be torn down here.
                    log.warning("lease lost", delivery_id=claim.row.id)
                    return
            except Transient as error:
                log.warning("lease not extended", delivery_id=claim.row.id, error=clipped(str(error)))


def _said(result: Result) -> tuple[str, str]:
    """Return the code and the text of a result for the history of attempts."""
    match result:
        case Delivered(detail=detail):
            return "succeeded", clipped(detail)
        case Rejected(reason=reason):
            return reason.code, clipped(reason.message)
        case Postponed(code=code, text=text) | Mailed(code=code, text=text):
            return code, clipped(text)
        case Uncertain(text=text):
            return "unknown", clipped(text)
        case TooLate():
            return "deadline", ""
        case LeaseLost():
            return "lease-lost", ""
