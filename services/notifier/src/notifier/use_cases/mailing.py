"""Send the outcome mails that are written down: each at most once, whatever dies in between."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog

from contracts.base import Reason
from contracts.events import NotificationEvent, NotificationFailed, NotificationSent
from notifier.domain.letters import Letter, TestModeBreachError, attachment_name
from notifier.ports import Logs, MailLedger
from runtime.clock import Clock
from runtime.errors import Permanent, Transient
from runtime.ledger import Lease, LeaseLost, lease_of
from runtime.mail import (
    Accepted,
    Attachment,
    Deferred,
    MailContent,
    MailResult,
    MailSender,
    Refused,
    Unknown,
    build_message,
    message_id,
)
from runtime.outbox import entry
from runtime.telemetry import execution_span, trace_headers

log = structlog.get_logger(__name__)

_CUT = b"\n[cut here; the whole log is in the object store and in the console]\n"
_ABANDONED = Reason(
    code="mail-unknown",
    message="The notifier stopped while it sent this mail; the mail server may have it or not.",
    remedy="Ask the recipient or look into the mail server's log; it is not sent again.",
)


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
    """Longer than a send can take, or a mail still on its way would count as abandoned."""
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
        with execution_span("send notification", letter.execution_id, notification_id=letter.id):
            try:
                await self._apply(lease, letter, await self._send(lease, letter))
            except LeaseLost:
                log.warning("lease of a notification lost", notification_id=letter.id)
        return True

    async def _send(self, lease: Lease, letter: Letter) -> MailResult | Permanent:
        try:
            message = build_message(await self._content(letter, lease.document["written_at"]))
            return await self.mailer.send(
                message,
                self.sender.address,
                letter.guarded().envelope,
                before_data=partial(self._transmitting, lease),
                # Copies alone would be a notification that nobody can repeat.
                required=letter.to,
            )
        except TestModeBreachError as error:
            return Permanent("test-mode-breach", str(error), "Report this as a fault of Broadsheet.")
        except Permanent as error:
            return error
        except Transient as error:
            return Deferred(None, str(error)[:500])

    async def _transmitting(self, lease: Lease) -> bool:
        until = self.clock.now() + self.lease_for
        return await self.mails.mark(lease, state="transmitting", until=until)

    async def _content(self, letter: Letter, date: datetime) -> MailContent:
        return MailContent(
            message_id=message_id(letter.id, self.sender.message_id_domain),
            # The moment it was written, not sent: each attempt has to give the same bytes.
            date=date,
            sender=self.sender.address,
            sender_name=self.sender.name,
            to=(letter.to,),
            cc=letter.cc,
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

    async def _apply(self, lease: Lease, letter: Letter, result: MailResult | Permanent) -> None:
        now = self.clock.now()
        match result:
            case Accepted(text=text, refused=refused):
                sent = NotificationSent(
                    **_about(letter),
                    message_id=message_id(letter.id, self.sender.message_id_domain),
                    accepted_at=now,
                )
                await self._settle(lease, "succeeded", sent, {"answer": text, "refused": dict(refused)})
            case Permanent():
                await self._fail(lease, letter, result.reason)
            case Refused(code=code, text=text):
                await self._fail(lease, letter, _refused(f"{code} {text}"))
            case Unknown(text=text):
                reason = Reason(code="mail-unknown", message=text, remedy=_ABANDONED.remedy)
                await self._fail(lease, letter, reason, unknown=True)
            case Deferred(code=code, text=text):
                await self._later(lease, letter, f"{code or 'no answer'}: {text}")

    async def _later(self, lease: Lease, letter: Letter, text: str) -> None:
        now = self.clock.now()
        if now >= lease.document["written_at"] + self.give_up_after:
            await self._fail(lease, letter, _refused(f"given up after {lease.attempt} attempts; {text}"))
            return
        delay = self.retry_delays[min(lease.attempt, len(self.retry_delays)) - 1]
        error = {"code": "mail-deferred", "message": text}
        if not await self.mails.release(lease, next_attempt_at=now + delay, error=error):
            raise LeaseLost

    async def _fail(self, lease: Lease, letter: Letter, reason: Reason, *, unknown: bool = False) -> None:
        event = NotificationFailed(**_about(letter), reason=reason, unknown=unknown)
        await self._settle(
            lease, "unknown" if unknown else "failed", event, {"reason": reason.model_dump(mode="json")}
        )

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
        """Settle mails as unknown whose sender died while they were on their way; return how many."""
        number = 0
        async for row in self.mails.expired(self.clock.now()):
            letter = Letter.model_validate(row["letter"])
            with execution_span("give up notification", letter.execution_id, notification_id=letter.id):
                try:
                    await self._fail(lease_of(row), letter, _ABANDONED, unknown=True)
                    number += 1
                except LeaseLost:
                    log.info("abandoned notification was settled by another", notification_id=letter.id)
        return number


def _about(letter: Letter) -> dict[str, object]:
    return {
        "execution_id": letter.execution_id,
        "task_id": letter.task_id,
        "notification_id": letter.id,
        "address": letter.to,
        "outcome": letter.outcome,
    }


def _refused(text: str) -> Reason:
    return Reason(
        code="mail-refused",
        message=text,
        remedy="Check the addresses of the task's notification, then the mail server.",
    )
