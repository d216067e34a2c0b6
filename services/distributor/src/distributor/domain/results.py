"""What an attempt to deliver ended in, and what follows from it.

A mail has a state per address (`contracts.mailing`), and its delivery ends as its recipient's address does:
accepted, refused, or unknown. Copies that were deferred keep the row open, until they settle or there is no
time left; an address that accepted is in no later envelope.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, assert_never

from contracts.base import Reason
from contracts.configuration import UnknownPolicy
from contracts.events import (
    Channel,
    DeliveredFile,
    DeliveryEvent,
    DeliveryFailed,
    DeliverySkipped,
    DeliverySucceeded,
    DeliveryUnknown,
    HubPublication,
)
from contracts.mailing import (
    Addresses,
    AddressState,
    Answered,
    MailAddress,
    answered,
    closed,
    due,
    once_more,
)
from distributor.domain.rows import Acceptance, Row, State

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
class Mailed:
    """The mail server was asked, and this is what is known of each address of the envelope."""

    answers: Answered
    """Addresses that are not named were not reached, and are tried again."""
    code: str
    text: str
    files: tuple[DeliveredFile, ...] = ()
    detail: str = ""
    message_id: str | None = None
    reason: Reason | None = None
    """Why the recipient's address was refused."""
    unreachable: bool = False


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
    answers: Answered = field(default_factory=dict)
    """Addresses of which something is known all the same."""


@dataclass(frozen=True, slots=True)
class TooLate:
    """The attempt could not begin, or hand anything over, before its time was over."""


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """Somebody else owns the row by now; nothing may be written."""


Result = Delivered | Mailed | Rejected | Postponed | Uncertain | TooLate | LeaseLost


@dataclass(frozen=True, slots=True)
class Settle:
    """The delivery is over."""

    state: State
    event: DeliveryEvent


@dataclass(frozen=True, slots=True)
class Again:
    """Try again, not before `at`, with the row as it is now."""

    at: datetime
    row: Row


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
    row: Row,
    result: Result,
    *,
    attempt: int,
    now: datetime,
    policy: RetryPolicy,
    chance: float,
    last: str = "",
) -> Decision:
    """Return what follows from the result of an attempt that ended `now`.

    `last` is what the attempt before this one ended with, in words.
    """
    pause = policy.pause(attempt, chance)
    match result:
        case LeaseLost():
            return Nothing()
        case TooLate():
            return given_up(row, attempts=attempt, last=last)
        case Postponed(code=code, text=text) if row.channel is not Channel.EMAIL:
            return _later(row, f"{code} {text}".strip(), attempt=attempt, now=now, pause=pause)
        case Rejected(reason=reason) if row.channel is not Channel.EMAIL:
            return Settle(State.FAILED, failed(row, reason, attempts=attempt))
        case Delivered() if row.channel is not Channel.EMAIL:
            return Settle(State.SUCCEEDED, _delivered(row, result, attempts=attempt, now=now))
        case Delivered() | Mailed() | Rejected() | Postponed() | Uncertain():
            after = _after_mail(row, result, now)
            why = result.reason if isinstance(result, Mailed | Rejected) else None
            return _of_mail(after, attempt=attempt, now=now, pause=pause, reason=why)
        case _:
            assert_never(result)


def after_abandoned(row: Row, text: str, *, attempt: int, now: datetime) -> Settle | Again:
    """Return what follows when a worker stopped while the mail was on its way.

    Addresses under way may have accepted it; those that had been deferred before are tried at once.
    """
    lost = {each.address: (AddressState.UNKNOWN, text) for each in row.addresses if _is_sending(each)}
    after = row.model_copy(update={"addresses": answered(row.addresses, lost)})
    return _of_mail(after, attempt=attempt, now=now, pause=timedelta(0))


def _is_sending(each: MailAddress) -> bool:
    return each.state is AddressState.SENDING


def _after_mail(
    row: Row, result: Delivered | Mailed | Rejected | Postponed | Uncertain, now: datetime
) -> Row:
    """Return the row with what the result says of each address that was due."""
    acceptance = row.acceptance
    addresses = answered(row.addresses, _answers(row, result))
    first = acceptance is None and addresses[0].state is AddressState.ACCEPTED
    if first and isinstance(result, Delivered | Mailed):
        acceptance = Acceptance(
            at=now, files=result.files, message_id=result.message_id, detail=result.detail
        )
    return row.model_copy(update={"addresses": addresses, "acceptance": acceptance})


def _answers(row: Row, result: Delivered | Mailed | Rejected | Postponed | Uncertain) -> Answered:
    waiting = due(row.addresses)
    match result:
        case Mailed(answers=answers):
            return answers
        case Delivered(detail=detail):
            return dict.fromkeys(waiting, (AddressState.ACCEPTED, detail))
        case Rejected(reason=reason):
            return dict.fromkeys(waiting, (AddressState.REFUSED, clipped(reason.message)))
        case Postponed(code=code, text=text):
            return dict.fromkeys(waiting, (AddressState.PENDING, clipped(f"{code} {text}")))
        case Uncertain(text=text, answers=known):
            return {**dict.fromkeys(waiting, (AddressState.UNKNOWN, clipped(text))), **known}
        case _:
            assert_never(result)


def _of_mail(
    row: Row, *, attempt: int, now: datetime, pause: timedelta, reason: Reason | None = None
) -> Settle | Again:
    """Return what follows for a mail with these addresses.

    Resending what may have been accepted happens once per address, under the same Message-ID, and never
    after the row has been given up.
    """
    policy = row.planned.mail.unknown if row.planned.mail is not None else UnknownPolicy.HOLD
    if policy is UnknownPolicy.RESEND and now < row.give_up_at:
        addresses = once_more(row.addresses)
        if addresses != row.addresses:
            return Again(at=now, row=row.model_copy(update={"addresses": addresses}))
    if row.addresses[0].state is AddressState.REFUSED or not due(row.addresses):
        return _settled(row, attempts=attempt, reason=reason)
    return _later(row, _words(row.addresses), attempt=attempt, now=now, pause=pause)


def _words(addresses: Addresses) -> str:
    """Return what was last said to an address that is still to be tried, the recipient's if it is."""
    return next((each.answer for each in addresses if each.state is AddressState.PENDING), "")


def _later(row: Row, words: str, *, attempt: int, now: datetime, pause: timedelta) -> Settle | Again:
    at = now + pause
    if at < row.give_up_at:
        return Again(at, row)
    # One last attempt as late as there is time for it, rather than none because the pause is long.
    last_chance = row.give_up_at - min(pause / 2, timedelta(seconds=5))
    if now < last_chance:
        return Again(last_chance, row)
    return given_up(row, attempts=attempt, last=words)


def given_up(row: Row, *, attempts: int, last: str = "", waiting: bool = False) -> Settle:
    """Return the end of a delivery whose time is over.

    `last` is what the last attempt ended with; `waiting` says that its files were not there yet.
    """
    words = (_words(row.addresses) if row.addresses else "") or last
    reason = overdue(row, last=words, waiting=waiting)
    if not row.addresses:
        return Settle(State.FAILED, failed(row, reason, attempts=attempts))
    return _settled(row, attempts=attempts, reason=reason, words=words or reason.message)


def _settled(row: Row, *, attempts: int, reason: Reason | None = None, words: str = "") -> Settle:
    """Return the end of a mail: it ends as the recipient's address does."""
    final = row.model_copy(update={"addresses": closed(row.addresses, clipped(words))})
    main = final.addresses[0]
    match main.state:
        case AddressState.ACCEPTED:
            return Settle(State.SUCCEEDED, _accepted(final, attempts=attempts))
        case AddressState.UNKNOWN:
            return Settle(State.UNKNOWN, unknown(final, main.answer, attempts=attempts))
        case AddressState.REFUSED | AddressState.DEFERRED:
            why = reason or Reason(code="mail-refused", message=main.answer)
            return Settle(State.FAILED, failed(final, why, attempts=attempts))
        case AddressState.PENDING | AddressState.SENDING | AddressState.NOT_SENT:
            raise ValueError(f"the address of delivery {row.id} has not settled")
        case _:
            assert_never(main.state)


def overdue(row: Row, *, last: str = "", waiting: bool = False) -> Reason:
    """Return why a delivery whose time has run out was not accepted."""
    if last:
        because = f"The last attempt ended with: {last}"
    elif waiting:
        because = "Its files were not ready in time."
    else:
        because = (
            "Its files were ready, but no attempt could begin in time: the distributor was stopped or busy, "
            "or the server did not answer other deliveries."
        )
    deadline = row.deadline_at.isoformat(timespec="seconds")
    return Reason(
        code="deadline",
        message=f"It was not delivered by the deadline of the execution, {deadline}. {because}",
        remedy="Repair what held it up, or give the task a later deadline, then run the task again.",
    )


def _delivered(row: Row, result: Delivered, *, attempts: int, now: datetime) -> DeliverySucceeded:
    return DeliverySucceeded(
        **_about(row, attempts),
        accepted_at=now,
        files=result.files,
        message_id=result.message_id,
        hub=result.hub,
        detail=result.detail,
    )


def _accepted(row: Row, *, attempts: int) -> DeliverySucceeded:
    acceptance = row.acceptance
    if acceptance is None:
        raise ValueError(f"delivery {row.id} has an address that accepted, but no acceptance")
    return DeliverySucceeded(
        **_about(row, attempts),
        accepted_at=acceptance.at,
        files=acceptance.files,
        message_id=acceptance.message_id,
        detail=acceptance.detail,
    )


def failed(row: Row, reason: Reason, *, attempts: int) -> DeliveryFailed:
    """Return the event of a delivery that is over without success."""
    return DeliveryFailed(**_about(row, attempts), reason=reason)


def unknown(row: Row, text: str, *, attempts: int) -> DeliveryUnknown:
    """Return the event of a delivery of which nobody can know whether it was accepted."""
    return DeliveryUnknown(
        **_about(row, attempts),
        reason=Reason(
            code="outcome-unknown",
            message=f"The mail was handed over and no answer was recorded: {text}",
            remedy="Ask the recipient, or look for the Message-ID in the mail server's log. "
            "Run the task again if the mail did not arrive.",
        ),
    )


def skipped(row: Row, reason: Reason) -> DeliverySkipped:
    """Return the event of a delivery that had nothing to deliver."""
    return DeliverySkipped(**_about(row, 0), reason=reason)


def _about(row: Row, attempts: int) -> Mapping[str, Any]:
    open_states = (AddressState.PENDING, AddressState.SENDING)
    return {
        "execution_id": row.execution_id,
        "task_id": row.task_id,
        "task_name": row.task_name,
        "delivery_id": row.id,
        "channel": row.channel,
        "target": row.planned.target,
        "recipient_id": row.planned.recipient_id,
        "attempts": attempts,
        "test_mode": row.test_address is not None,
        "addresses": tuple(each for each in row.addresses if each.state not in open_states),
    }


def clipped(text: str) -> str:
    """Return the text in one line, at most TEXT_LIMIT characters."""
    line = " ".join(text.split())
    return line if len(line) <= TEXT_LIMIT else line[: TEXT_LIMIT - 1] + "…"
