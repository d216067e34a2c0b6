"""What an attempt to deliver ended in, and what follows from it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.base import Reason
from contracts.configuration import UnknownPolicy
from contracts.events import (
    DeliveredFile,
    DeliveryEvent,
    DeliveryFailed,
    DeliverySkipped,
    DeliverySucceeded,
    DeliveryUnknown,
    HubPublication,
)
from distributor.domain.rows import Row, State

TEXT_LIMIT = 500
"""Characters kept of what a server said: enough to understand it, too few to fill the ledger."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The other side confirmed that it has the files."""

    files: tuple[DeliveredFile, ...]
    detail: str = ""
    message_id: str | None = None
    hub: HubPublication | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """It will not work however often it is tried; nothing was accepted."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Postponed:
    """It did not work now, nothing was accepted, and it may work later."""

    code: str
    text: str
    unreachable: bool = False
    """The server did not answer at all: other deliveries to it need not be tried either."""


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The files were handed over and no answer came."""

    text: str


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """Somebody else owns the row by now; nothing may be written."""


Result = Delivered | Rejected | Postponed | Uncertain | LeaseLost


@dataclass(frozen=True, slots=True)
class Settle:
    """The delivery is over."""

    state: State
    event: DeliveryEvent


@dataclass(frozen=True, slots=True)
class Again:
    """Try again, not before `at`."""

    at: datetime
    resend: bool = False
    """The second hand-over that the policy of the task allows."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Leave the row to whoever owns it."""


Decision = Settle | Again | Nothing


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Pauses between attempts; the last one repeats. `spread` is the share of a pause left to chance."""

    delays: tuple[timedelta, ...]
    spread: float = 0.2

    def __post_init__(self) -> None:
        if not self.delays or min(self.delays) <= timedelta(0):
            raise ValueError("retry delays have to be positive, and there has to be at least one")
        if not 0 <= self.spread < 1:
            raise ValueError("the spread of retry delays has to be from 0 to below 1")

    def pause(self, attempt: int, chance: float) -> timedelta:
        """Return the pause after attempt 1, 2, …; `chance` from 0 to 1 picks a place in the spread."""
        delay = self.delays[min(max(attempt, 1), len(self.delays)) - 1]
        return delay * (1 + self.spread * (2 * chance - 1))


def decide(
    row: Row, result: Result, *, attempt: int, now: datetime, policy: RetryPolicy, chance: float
) -> Decision:
    """Return what follows from the result of an attempt that ended `now`."""
    match result:
        case Delivered():
            return Settle(State.SUCCEEDED, succeeded(row, result, attempts=attempt, now=now))
        case Rejected(reason=reason):
            return Settle(State.FAILED, failed(row, reason, attempts=attempt))
        case Postponed():
            return _later(row, result, attempt=attempt, now=now, pause=policy.pause(attempt, chance))
        case Uncertain(text=text):
            return after_uncertain(row, text, attempt=attempt, now=now)
        case LeaseLost():
            return Nothing()


def after_uncertain(row: Row, text: str, *, attempt: int, now: datetime) -> Settle | Again:
    """Return what the task's policy makes of a mail that may have been accepted.

    Resending happens once, under the same Message-ID, and never after the row has been given up.
    """
    policy = row.planned.mail.unknown if row.planned.mail is not None else UnknownPolicy.RESEND
    if policy is UnknownPolicy.RESEND and not row.resent and now < row.give_up_at:
        return Again(at=now, resend=True)
    return Settle(State.UNKNOWN, unknown(row, text, attempts=attempt))


def overdue(row: Row, *, attempts: int, last: str = "") -> DeliveryFailed:
    """Return the event of a delivery whose time has run out before it was accepted."""
    because = f"; the last attempt ended with: {last}" if last else "; its files were not ready in time"
    return failed(
        row,
        Reason(
            code="deadline",
            message=clipped(
                f"not delivered by the deadline of the execution, {row.deadline_at.isoformat()}{because}",
                4000,
            ),
            remedy="mend what held it up, or give the task a later deadline, then run it again",
        ),
        attempts=attempts,
    )


def _later(row: Row, result: Postponed, *, attempt: int, now: datetime, pause: timedelta) -> Settle | Again:
    at = now + pause
    if at < row.give_up_at:
        return Again(at=at)
    # One last attempt as late as there is time for it, rather than none because the pause is long.
    last_chance = row.give_up_at - min(pause / 2, timedelta(seconds=5))
    if now < last_chance:
        return Again(at=last_chance)
    event = overdue(row, attempts=attempt, last=f"{result.code} {result.text}".strip())
    return Settle(State.FAILED, event)


def succeeded(row: Row, result: Delivered, *, attempts: int, now: datetime) -> DeliverySucceeded:
    """Return the event of a delivery that was accepted."""
    return DeliverySucceeded(
        execution_id=row.execution_id,
        task_id=row.task_id,
        delivery_id=row.id,
        channel=row.channel,
        target=row.planned.target,
        recipient_id=row.planned.recipient_id,
        attempts=attempts,
        test_mode=row.test_address is not None,
        accepted_at=now,
        files=result.files,
        message_id=result.message_id,
        hub=result.hub,
        detail=result.detail,
    )


def failed(row: Row, reason: Reason, *, attempts: int) -> DeliveryFailed:
    """Return the event of a delivery that is over without success."""
    return DeliveryFailed(
        execution_id=row.execution_id,
        task_id=row.task_id,
        delivery_id=row.id,
        channel=row.channel,
        target=row.planned.target,
        recipient_id=row.planned.recipient_id,
        attempts=attempts,
        test_mode=row.test_address is not None,
        reason=reason,
    )


def unknown(row: Row, text: str, *, attempts: int) -> DeliveryUnknown:
    """Return the event of a delivery of which nobody can know whether it was accepted."""
    return DeliveryUnknown(
        execution_id=row.execution_id,
        task_id=row.task_id,
        delivery_id=row.id,
        channel=row.channel,
        target=row.planned.target,
        recipient_id=row.planned.recipient_id,
        attempts=attempts,
        test_mode=row.test_address is not None,
        reason=Reason(
            code="outcome-unknown",
            message=clipped(f"the mail was handed over and no answer was recorded: {text}", 4000),
            remedy="ask the recipient or look into the mail server's log for the Message-ID; "
            "run the task again if it did not arrive",
        ),
    )


def skipped(row: Row, reason: Reason) -> DeliverySkipped:
    """Return the event of a delivery that had nothing to deliver."""
    return DeliverySkipped(
        execution_id=row.execution_id,
        task_id=row.task_id,
        delivery_id=row.id,
        channel=row.channel,
        target=row.planned.target,
        recipient_id=row.planned.recipient_id,
        attempts=0,
        test_mode=row.test_address is not None,
        reason=reason,
    )


def clipped(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return the text in one line, at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
