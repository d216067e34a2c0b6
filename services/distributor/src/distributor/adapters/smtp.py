"""Mails over SMTP, and what the server's answers mean for a delivery, address by address."""

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from contracts.base import Reason
from contracts.mailing import guard
from distributor.domain.mailing import Letter
from distributor.domain.results import LeaseLost, Mailed, Result, clipped
from distributor.ports import Commit
from runtime.addresses import answers, single_answers, spelled, unusable
from runtime.ledger import LeaseLost as LeaseLostError
from runtime.mail import (
    Accepted,
    Answers,
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
from runtime.smtp import CLOSING

_PERMANENT = 500
_REMEDIES = {
    550: "Check the recipient's address, and whether the mail server may send to it.",
    552: "The mail is too large for the server: lower BROADSHEET_MAIL_MAX_BYTES, or use a storage space.",
    554: "Ask the operator of the mail server why it refuses the mail.",
}
_ASK = "The words are the mail server's. Ask its operator."


class SmtpMailer:
    """Hands mails to the mail server of the settings."""

    def __init__(self, transport: MailSender) -> None:
        """Take the transport."""
        self._transport = transport

    async def send(self, letter: Letter, *, test_address: str | None, commit: Commit) -> Result:
        """Hand a mail to the server, asking `commit` before its content goes out.

        An address of a copy that no mail can be sent to is refused without asking the server; the others
        get the mail. Raises TestModeBreachError, before anything is sent, when others than the test address
        would get it, and Permanent for a recipient or headers that no mail can have.
        """
        main, envelope = letter.addressing.to[0], letter.addressing.envelope
        refused = unusable((*letter.addressing.cc, *envelope), main=main)
        spelling = spelled(each for each in envelope if each not in refused)
        cc = tuple(each for each in letter.addressing.cc if each not in refused)
        message = build_message(_content(letter, cc))
        if test_address is not None:
            # The last look, at what really goes out, whoever made it.
            guard(
                (test_address, envelope_address(test_address)),
                envelope=envelope,
                headers=[(name, str(value)) for name, value in message.items()],
            )
        if not spelling:
            return Mailed(refused, "address-invalid", "no mail can be sent to these addresses")

        async def before_data(by_server: Answers) -> bool:
            return await commit(refused | single_answers(by_server, spelling))

        try:
            answer = await self._transport.send(
                message,
                letter.sender.address,
                tuple(spelling),
                before_data=before_data,
                # Copies go out with the mail of the recipient, or after it.
                required=envelope_address(main) if main in spelling.values() else None,
            )
        except LeaseLostError:
            return LeaseLost()
        result = _result(letter, answer, spelling)
        return replace(result, answers={**refused, **result.answers})


def _content(letter: Letter, cc: tuple[str, ...]) -> MailContent:
    return MailContent(
        message_id=letter.message_id,
        date=letter.date,
        sender=letter.sender.address,
        sender_name=letter.sender.name,
        to=letter.addressing.to,
        cc=cc,
        subject=letter.addressing.subject,
        text=letter.text,
        html=letter.html,
        attachments=tuple(Attachment(a.file_name, a.content_type, a.content) for a in letter.attachments),
        headers=letter.headers,
    )


def _result(letter: Letter, answer: MailResult, spelling: Mapping[str, str]) -> Mailed:
    """Return what the answer means for the delivery."""
    said = answers(answer, spelling, main=letter.addressing.to[0])
    match answer:
        case Accepted():
            single = single_answers(answer.refused, spelling)
            return Mailed(
                said,
                "succeeded",
                clipped("; ".join(f"{address}: {words}" for address, (_, words) in single.items())),
                files=letter.files,
                detail=letter.detail,
                message_id=letter.message_id,
            )
        case Refused(code=code, text=text):
            reason = Reason(
                code="mail-refused", message=clipped(f"{code} {text}"), remedy=_REMEDIES.get(code, _ASK)
            )
            return Mailed(said, reason.code, reason.message, reason=reason)
        case Deferred(code=number, text=text):
            # A 5xx deferral is about our sign-in or the connection, never about this mail.
            unreachable = number is None or number == CLOSING or number >= _PERMANENT
            return Mailed(said, str(number or "no-connection"), clipped(text), unreachable=unreachable)
        case Unknown(text=text):
            return Mailed(said, "unknown", clipped(text))
        case _:
            assert_never(answer)
