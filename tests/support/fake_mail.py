"""runtime.mail.MailTransport in memory, held to it by tests/contract/runtime/test_mail_transport.py."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage

from runtime.ledger import LeaseLost
from runtime.mail import (
    Accepted,
    BeforeData,
    Deferred,
    MailResult,
    Refused,
    Unknown,
    envelope_address,
)


@dataclass(frozen=True)
class Sent:
    """A message whose content reached the server."""

    message: EmailMessage
    envelope_from: str
    envelope_to: tuple[str, ...]


class FakeMail:
    """A mail server that answers as `results` say, one by one, and accepts when they are used up.

    Refused and Deferred answer the envelope, or with `after_data` the content.
    `sent` holds what left, `mailbox` what the server answers for.
    """

    def __init__(self, *results: MailResult | Exception, after_data: bool = False) -> None:
        self.results: deque[MailResult | Exception] = deque(results)
        self.after_data = after_data
        self.sent: list[Sent] = []
        self.mailbox: list[Sent] = []

    async def send(
        self,
        message: EmailMessage,
        envelope_from: str,
        envelope_to: Sequence[str],
        *,
        before_data: BeforeData,
        required: str | None = None,
    ) -> MailResult:
        sent = Sent(
            message, envelope_address(envelope_from), tuple(envelope_address(each) for each in envelope_to)
        )
        result = self.results.popleft() if self.results else Accepted(250, "2.0.0 Ok: queued")
        if isinstance(result, Refused | Deferred) and not self.after_data:
            return result
        if not await before_data(result.refused if isinstance(result, Accepted | Unknown) else {}):
            raise LeaseLost("the lease of this mail was lost")
        self.sent.append(sent)
        if isinstance(result, Exception):
            raise result
        if isinstance(result, Accepted):
            self.mailbox.append(sent)
        return result
