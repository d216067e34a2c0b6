"""Mails over SMTP, and what the server's answers mean for a delivery."""

from contracts.base import Reason
from distributor.domain.mailing import Letter, guard
from distributor.domain.results import (
    Delivered,
    LeaseLost,
    Postponed,
    Rejected,
    Result,
    Uncertain,
    clipped,
)
from distributor.ports import Commit
from runtime.ledger import LeaseLost as LeaseLostError
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
    envelope_address,
)

_CLOSING, _PERMANENT = 421, 500
_REMEDIES = {
    550: "check the recipient's address, and whether the mail server may send to it",
    552: "the mail is too large for the server: lower BROADSHEET_MAIL_MAX_BYTES, or use a storage space",
    554: "ask the operator of the mail server why it refuses the mail",
}


class SmtpMailer:
    """Hands mails to the mail server of the settings."""

    def __init__(self, transport: MailSender) -> None:
        """Take the transport."""
        self._transport = transport

    async def send(self, letter: Letter, *, test_address: str | None, commit: Commit) -> Result:
        """Hand a mail to the server, asking `commit` before its content goes out.

        Raises TestModeBreachError, before anything is sent, when others than the test address would get it,
        and Permanent for headers or addresses no mail can have.
        """
        message = build_message(_content(letter))
        envelope = letter.addressing.envelope
        if test_address is not None:
            # The last look, at what really goes out, whoever made it.
            guard(
                (test_address, envelope_address(test_address)),
                envelope=envelope,
                headers=[(name, str(value)) for name, value in message.items()],
            )
        try:
            answer = await self._transport.send(
                message,
                letter.sender.address,
                envelope,
                before_data=commit,
                # Copies alone would be a delivery that nobody can repeat.
                required=letter.addressing.to[0],
            )
        except LeaseLostError:
            return LeaseLost()
        return _result(letter, answer)


def _content(letter: Letter) -> MailContent:
    return MailContent(
        message_id=letter.message_id,
        date=letter.date,
        sender=letter.sender.address,
        sender_name=letter.sender.name,
        to=letter.addressing.to,
        cc=letter.addressing.cc,
        subject=letter.addressing.subject,
        text=letter.text,
        html=letter.html,
        attachments=tuple(Attachment(a.file_name, a.content_type, a.content) for a in letter.attachments),
        headers=letter.headers,
    )


def _result(letter: Letter, answer: MailResult) -> Result:
    match answer:
        case Accepted():
            return _accepted(letter, answer)
        case Refused(code=code, text=text):
            remedy = _REMEDIES.get(code, "the words are the mail server's; ask its operator")
            return Rejected(Reason(code="mail-refused", message=clipped(f"{code} {text}"), remedy=remedy))
        case Deferred(code=code, text=text):
            # A 5xx deferral is about our sign-in or the connection, never about this mail.
            unreachable = code is None or code == _CLOSING or code >= _PERMANENT
            return Postponed(str(code or "no-connection"), clipped(text), unreachable=unreachable)
        case Unknown(text=text):
            return Uncertain(clipped(text))


def _accepted(letter: Letter, answer: Accepted) -> Result:
    refused = "; ".join(f"{address}: {why}" for address, why in answer.refused.items())
    notes = [letter.detail, f"copies refused: {refused}" if refused else ""]
    return Delivered(
        files=letter.files,
        detail=clipped("; ".join(note for note in notes if note)),
        message_id=letter.message_id,
    )
