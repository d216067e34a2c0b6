"""Send the outcome mails that are written down: each at most once, whatever dies in between."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from pydantic import ValidationError

from contracts.base import Reason
from contracts.events import NotificationEvent, NotificationFailed, NotificationSent
from contracts.mailing import (
    Addresses,
    AddressState,
    Answered,
    MailAddress,
    TestModeBreachError,
    answered,
    closed,
    due,
    guard,
    sending,
)
from notifier.domain.letters import Letter, attachment_name
from notifier.ports import Logs, MailLedger
from runtime.addresses import answers, single_answers, spelled, unusable
from runtime.clock import Clock
from runtime.errors import Permanent, Transient
from runtime.ledger import Lease, LeaseLost, lease_of
from runtime.mail import (
    Answers,
    Attachment,
    MailContent,
    MailSender,
    build_message,
    envelope_address,
    message_id,
)
from runtime.outbox import entry
from runtime.rounds import ROUND_ITEM_FAILURES
from runtime.telemetry import execution_span, trace_headers

log = structlog.get_logger(__name__)

_CUT = b"\n[cut here; the whole log is in the object store and in the console]\n"
_ABANDONED = "The notifier stopped while it sent this mail; the mail server may have it or not."
_UNKNOWN_REMEDY = "Ask the recipient or look into the mail server's log; it is not sent again."
_REFUSED_REMEDY = "Check the addresses of the task's notification, then the mail server."
_EXTENSIONS_PER_LEASE = 4


@dataclass(frozen=True, slots=True)
class _Sent:
    """How an attempt ended: what is known of each address, or why the mail cannot be sent at all."""

    answers: Answered
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """From whom outcome mails come."""

    address: str
    name: str
    message_id_domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Sends outcome mails and announces how each settled."""

    mails: MailLedger
    logs: Logs
    mailer: MailSender
    clock: Clock
    sender: Sender
    lease_for: timedelta
    """Extended while a mail is sent; a notifier that died holds up its mail this long."""
    retry_delays: tuple[timedelta, ...] = field(
        default=tuple(timedelta(seconds=each) for each in (5, 15, 60, 300, 900))
    )
    give_up_after: timedelta = timedelta(hours=6)
    max_log_bytes: int = 5 * 1024 * 1024
    settled: Callable[[], None] = lambda: None

    async def send_one(self) -> bool:
        """Send one mail that is due; False when none is."""
        lease = await self.mails.claim(self.clock.now(), lease_for=self.lease_for)
        if lease is None:
            return False
        letter = Letter.model_validate(lease.document["letter"])
        addresses = _addresses(lease.document, letter)
        with execution_span("send notification", letter.execution_id, notification_id=letter.id):
            try:
                async with self._kept(lease):
                    result = await self._send(lease, letter, addresses)
                await self._apply(lease, letter, addresses, result)
            except LeaseLost:
                log.warning("lease of a notification lost", notification_id=letter.id)
        return True

    @contextlib.asynccontextmanager
    async def _kept(self, lease: Lease) -> AsyncIterator[None]:
        """Extend the lease until the body ends. A lost lease shows when the result is written."""

        async def keep() -> None:
            while True:
                await asyncio.sleep(self.lease_for.total_seconds() / _EXTENSIONS_PER_LEASE)
                with contextlib.suppress(Transient):
                    await self.mails.extend(lease, self.clock.now(), self.lease_for)

        keeper = asyncio.create_task(keep(), name=f"lease of {lease.id}")
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _send(self, lease: Lease, letter: Letter, addresses: Addresses) -> _Sent:
        """Send the letter to the addresses that are due; copies that no mail can be sent to are refused."""
        try:
            letter.guarded()
            refused = unusable((*letter.cc, *letter.bcc, letter.to), main=letter.to)
            spelling = spelled(each for each in due(addresses) if each not in refused)
            if not spelling:
                return _Sent(refused)
            message = build_message(await self._content(letter, lease.document["written_at"], set(refused)))
            if letter.test_address is not None:
                own = (letter.test_address, envelope_address(letter.test_address))
                headers = [(name, str(value)) for name, value in message.items()]
                guard(own, envelope=tuple(spelling.values()), headers=headers)

            async def before_data(by_server: Answers) -> bool:
                known = refused | single_answers(by_server, spelling)
                return await self._transmitting(lease, sending(addresses, known))

            result = await self.mailer.send(
                message,
                self.sender.address,
                tuple(spelling),
                before_data=before_data,
                # Copies go out with the notification itself, or after it.
                required=envelope_address(letter.to) if letter.to in spelling.values() else None,
            )
        except TestModeBreachError as error:
            return _Sent(
                {}, Reason(code="test-mode-breach", message=str(error), remedy="Report this as a bug.")
            )
        except Permanent as error:
            return _Sent({}, error.reason)
        except Transient as error:
            words = (AddressState.PENDING, f"no answer: {error}"[:500])
            return _Sent(dict.fromkeys(due(addresses), words))
        return _Sent({**refused, **answers(result, spelling, main=letter.to)})

    async def _transmitting(self, lease: Lease, addresses: Addresses) -> bool:
        until = self.clock.now() + self.lease_for
        return await self.mails.mark(
            lease, state="transmitting", set={"addresses": _json(addresses)}, until=until
        )

    async def _content(self, letter: Letter, date: datetime, without: Collection[str]) -> MailContent:
        return MailContent(
            message_id=message_id(letter.id, self.sender.message_id_domain),
            # The moment it was written, not sent: each attempt has to give the same bytes.
            date=date,
            sender=self.sender.address,
            sender_name=self.sender.name,
            to=(letter.to,),
            cc=tuple(each for each in letter.cc if each not in without),
            subject=letter.subject,
            text=letter.text,
            attachments=await self._attachments(letter),
            headers={"Auto-Submitted": "auto-generated", "X-Broadsheet-Execution": letter.execution_id},
        )

    async def _attachments(self, letter: Letter) -> tuple[Attachment, ...]:
        if letter.log is None:
            return ()
        try:
            data = await self.logs.load(letter.log)
        except Permanent as error:
            # That an execution failed is worth a mail also when its log is lost.
            log.warning("task log cannot be attached", execution_id=letter.execution_id, reason=error.message)
            return ()
        if len(data) > self.max_log_bytes:
            data = data[: self.max_log_bytes] + _CUT
        return (Attachment(attachment_name(letter), "text/plain; charset=utf-8", data),)

    async def _apply(self, lease: Lease, letter: Letter, before: Addresses, sent: _Sent) -> None:
        if sent.reason is not None:
            refused = (AddressState.REFUSED, sent.reason.message[:500])
            after = answered(before, dict.fromkeys(due(before), refused))
        else:
            after = answered(before, sent.answers)
        await self._advance(lease, letter, after, sent.reason)

    async def _advance(
        self, lease: Lease, letter: Letter, addresses: Addresses, reason: Reason | None = None
    ) -> None:
        """Try the addresses that are still due again later, or settle the mail."""
        now, main = self.clock.now(), addresses[0]
        accepted_at = lease.document.get("accepted_at")
        if accepted_at is None and main.state is AddressState.ACCEPTED:
            accepted_at = now
        change = {"accepted_at": accepted_at}
        over = now >= lease.document["written_at"] + self.give_up_after
        if due(addresses) and main.state is not AddressState.REFUSED and not over:
            delay = self.retry_delays[min(lease.attempt, len(self.retry_delays)) - 1]
            words = next(each.answer for each in addresses if each.state is AddressState.PENDING)
            await self._release(lease, addresses, now + delay, words, change)
            return
        final = closed(addresses, f"given up after {lease.attempt} attempts")
        event = _event(letter, final, accepted_at, reason, self.sender.message_id_domain)
        state = _LEDGER_STATE.get(final[0].state, "failed")
        await self._settle(lease, state, event, {**change, "addresses": _json(final)})

    async def _release(
        self, lease: Lease, addresses: Addresses, at: datetime, words: str, change: dict[str, object]
    ) -> None:
        if not await self.mails.release(
            lease,
            next_attempt_at=at,
            error={"code": "mail-deferred", "message": words},
            set={**change, "addresses": _json(addresses)},
        ):
            raise LeaseLost

    async def _settle(
        self, lease: Lease, state: str, event: NotificationEvent, change: dict[str, object]
    ) -> None:
        now = self.clock.now()
        stored = entry(event, source="notifier", occurred_at=now, trace=trace_headers())
        if not await self.mails.settle(
            lease, state=state, set={**change, "settled_at": now}, events=[stored]
        ):
            raise LeaseLost
        self.settled()

    async def send_due(self, limit: int = 100) -> int:
        """Send what is due, at most `limit` mails; return how many were tried."""
        tried = 0
        while tried < limit and await self.send_one():
            tried += 1
        return tried

    async def resolve_abandoned(self) -> int:
        """Settle mails as unknown whose sender died while they were on their way; return how many.

        Copies that the server had deferred before are still tried.
        """
        number = 0
        async for row in self.mails.expired(self.clock.now()):
            try:
                number += await self._resolve(row)
            except ValidationError:
                # One mail this version cannot read must not keep the others from being settled.
                ROUND_ITEM_FAILURES.labels("abandoned mails").inc()
                log.exception("abandoned notification cannot be read", notification_id=str(row["_id"]))
        return number

    async def _resolve(self, row: Mapping[str, Any]) -> bool:
        letter = Letter.model_validate(row["letter"])
        with execution_span("give up notification", letter.execution_id, notification_id=letter.id):
            # Rows from before there were addresses were on their way to all of them.
            before = _addresses(row, letter, on_its_way=True)
            lost = {
                each.address: (AddressState.UNKNOWN, _ABANDONED)
                for each in before
                if each.state is AddressState.SENDING
            }
            try:
                await self._advance(lease_of(row), letter, answered(before, lost))
            except LeaseLost:
                log.info("abandoned notification was settled by another", notification_id=letter.id)
                return False
        return True


_LEDGER_STATE = {AddressState.ACCEPTED: "succeeded", AddressState.UNKNOWN: "unknown"}


def _addresses(row: Mapping[str, Any], letter: Letter, *, on_its_way: bool = False) -> Addresses:
    if stored := row.get("addresses"):
        return tuple(MailAddress.model_validate(each) for each in stored)
    new = letter.addresses()
    return sending(new, {}) if on_its_way else new


def _json(addresses: Addresses) -> list[dict[str, Any]]:
    return [each.model_dump(mode="json") for each in addresses]


def _event(
    letter: Letter, final: Addresses, accepted_at: datetime | None, reason: Reason | None, domain: str
) -> NotificationEvent:
    about: dict[str, Any] = {
        "execution_id": letter.execution_id,
        "task_id": letter.task_id,
        "task_name": letter.task_name,
        "notification_id": letter.id,
        "address": letter.to,
        "outcome": letter.outcome,
        "addresses": final,
    }
    main = final[0]
    if main.state is AddressState.ACCEPTED and accepted_at is not None:
        return NotificationSent(**about, message_id=message_id(letter.id, domain), accepted_at=accepted_at)
    unknown = main.state is AddressState.UNKNOWN
    why = reason or Reason(
        code="mail-unknown" if unknown else "mail-refused",
        message=main.answer,
        remedy=_UNKNOWN_REMEDY if unknown else _REFUSED_REMEDY,
    )
    return NotificationFailed(**about, reason=why, unknown=unknown)
