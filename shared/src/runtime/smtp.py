"""One mail in conversation with an SMTP server, and what the server can have of it afterwards.

| result | who has the message | the caller may |
|---|---|---|
| Accepted | every address that is not in `refused` | settle those, try the deferred ones again |
| Refused | nobody; the server will not take this message | fail |
| Deferred | nobody; later the server may take it | try again later |
| Unknown | nobody can know for addresses not in `refused` | hold it, or follow the task's policy |

`refused` holds what the server answered to single addresses (RCPT), whatever became of the rest. A message is
complete only with its final dot (RFC 5321, 4.1.1.4). Until the dot leaves, a lost connection means that the
server has nothing; from then on it means that nobody can know.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from aiosmtplib import SMTP, SMTPException, SMTPRecipientRefused, SMTPResponse, SMTPResponseException

from runtime.ledger import LeaseLost

START_INPUT, CLOSING = 354, 421
_SUCCESS = range(200, 300)
_FAILURE = range(400, 600)
_FIRST_PERMANENT = 500
_PART_BYTES = 256 * 1024
_LOOK_EVERY_S = 0.02
_LOST_EARLY = "the connection was lost before the message was complete"


class Answer(NamedTuple):
    """What a server answered about one address."""

    code: int
    text: str

    @property
    def permanent(self) -> bool:
        """Whether the server will not take mail for the address later either (RFC 5321, 4.2.1)."""
        return self.code >= _FIRST_PERMANENT


Answers = Mapping[str, Answer]
"""By address as it stood in the envelope; addresses that the server took are not part of it."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server took responsibility for the message."""

    code: int
    text: str
    refused: Answers = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will not take the message, now or later; nobody got it."""

    code: int
    text: str
    refused: Answers = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Deferred:
    """The server does not have the message; later it may take it. `code` is None without an answer."""

    code: int | None
    text: str
    refused: Answers = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Unknown:
    """The message was sent to its end, or may have been, and no answer came."""

    text: str
    refused: Answers = field(default_factory=dict, compare=False)


MailResult = Accepted | Refused | Deferred | Unknown
BeforeData = Callable[[Answers], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as bytes, with its envelope."""

    data: bytes
    sender: str
    recipients: Sequence[str]
    required: str | None


async def converse(smtp: SMTP, mail: Mail, before_data: BeforeData, *, patience_s: float) -> MailResult:
    """Hand over one mail on a connection whose envelope is empty.

    `before_data` is called with the addresses the server refused, before DATA and, for a message of several
    parts, once more before the final dot. When it returns False, LeaseLost is raised and the server has
    nothing. `patience_s` is the longest time without progress while the content leaves, and the longest wait
    for the answer to it.
    """
    refused: dict[str, Answer] = {}
    ended = await _envelope(smtp, mail, refused) or _decisive(mail, refused)
    if ended is not None:
        return ended
    await _still_ours(before_data, refused)
    try:
        start = await smtp.execute_command(b"DATA")
    except (SMTPException, OSError) as error:
        # The content has not been sent, so the server cannot have it.
        return Deferred(None, line(f"{_LOST_EARLY}: {error}"), refused)
    if start.code != START_INPUT:
        return _whole(start.code, start.message, refused)
    return await _transmit(smtp, mail.data, before_data, refused, patience_s)


async def _still_ours(before_data: BeforeData, refused: Answers) -> None:
    if not await before_data(refused):
        raise LeaseLost("the lease of this mail was lost before its content was sent")


async def _envelope(smtp: SMTP, mail: Mail, refused: dict[str, Answer]) -> MailResult | None:
    """Announce sender and recipients; add the recipients the server does not take to `refused`."""
    try:
        if smtp.is_ehlo_or_helo_needed:
            await smtp.ehlo()
        options = [f"SIZE={len(mail.data)}"] if smtp.supports_extension("size") else []
        await smtp.mail(mail.sender, options=options)
        for recipient in mail.recipients:
            try:
                await smtp.rcpt(recipient)
            except SMTPRecipientRefused as error:
                if error.code == CLOSING:
                    return Deferred(CLOSING, line(error.message), refused)
                if error.code not in _SUCCESS:
                    refused[recipient] = Answer(error.code, line(error.message))
    except SMTPResponseException as error:
        return _whole(error.code, error.message, refused)
    except (SMTPException, OSError) as error:
        return Deferred(None, line(f"{_LOST_EARLY}: {error}"), refused)
    return None


def _decisive(mail: Mail, refused: dict[str, Answer]) -> MailResult | None:
    """Return the result when the message is not sent at all because of refused addresses."""
    if mail.required is not None and mail.required in refused:
        deciding, others = mail.required, 0
    elif len(refused) == len(mail.recipients):
        # One address that may be taken later is a reason to come again.
        deciding, others = min(refused, key=lambda each: refused[each].code), len(refused) - 1
    else:
        return None
    answer = refused[deciding]
    result = _whole(answer.code, f"{deciding}: {answer.text}", refused)
    if others and isinstance(result, Refused):
        return Refused(result.code, f"{result.text} (and {others} more)", refused)
    return result


async def _transmit(
    smtp: SMTP, data: bytes, before_data: BeforeData, refused: Answers, patience_s: float
) -> MailResult:
    """Send the content, then its end, and wait for the answer.

    aiosmtplib's own `data` cannot tell how much of the content had left when the connection broke, and that
    is all that matters here.
    """
    protocol = smtp.protocol
    if protocol is None or protocol.transport is None:
        return Deferred(None, _LOST_EARLY, refused)
    content = re.sub(rb"(?m)^\.", b"..", data)
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    answer = asyncio.ensure_future(protocol.read_response())
    try:
        if (problem := await _leave(smtp, content, answer, patience_s)) is not None:
            # Half a message is on its way: the connection is of no use for another one.
            smtp.close()
            return _cut_off(problem, answer, refused)
        if len(content) > _PART_BYTES:
            # Minutes may have passed; whoever lost the mail meanwhile can still stop it.
            await _still_ours(before_data, refused)
        try:
            protocol.write(b".\r\n")
        except (SMTPException, OSError) as error:
            return Deferred(None, line(f"{_LOST_EARLY}: {error}"), refused)
        return await _answered(smtp, answer, refused, patience_s)
    finally:
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)


async def _leave(
    smtp: SMTP, content: bytes, answer: asyncio.Future[SMTPResponse], patience_s: float
) -> str | None:
    """Send the content without its final dot. Return what stopped it, or None when all of it has left."""
    protocol, clock = smtp.protocol, asyncio.get_running_loop().time
    if protocol is None or protocol.transport is None:
        return _LOST_EARLY
    transport = cast(asyncio.WriteTransport, protocol.transport)
    written, fewest, moved_at = 0, len(content), clock()
    while not answer.done():
        waiting = transport.get_write_buffer_size()
        if written < len(content) and waiting < _PART_BYTES:
            try:
                protocol.write(content[written : written + _PART_BYTES])
            except (SMTPException, OSError) as error:
                return f"{_LOST_EARLY}: {error}"
            written += _PART_BYTES
            waiting = transport.get_write_buffer_size()
        left = max(len(content) - written, 0) + waiting
        if left == 0:
            return None
        if left < fewest:
            fewest, moved_at = left, clock()
        elif clock() - moved_at >= patience_s:
            return f"the mail server took no more of the message for {patience_s:g} seconds"
        await asyncio.wait({answer}, timeout=_LOOK_EVERY_S)
    return _LOST_EARLY


def _cut_off(problem: str, answer: asyncio.Future[SMTPResponse], refused: Answers) -> MailResult:
    """Return what a message means whose final dot was never sent."""
    if not answer.done() or answer.cancelled():
        return Deferred(None, line(problem), refused)
    if (error := answer.exception()) is not None:
        return Deferred(None, line(f"{problem}: {error}"), refused)
    code, text = answer.result()
    if code in _FAILURE:
        return _whole(code, text, refused)
    return Unknown(line(f"the mail server answered {code} {text} before the message was complete"), refused)


async def _answered(
    smtp: SMTP, answer: asyncio.Future[SMTPResponse], refused: Answers, patience_s: float
) -> MailResult:
    done, _ = await asyncio.wait({answer}, timeout=patience_s)
    if not done:
        smtp.close()
        return Unknown(f"no answer for {patience_s:g} seconds after the message was sent", refused)
    if (error := answer.exception()) is not None:
        smtp.close()
        return Unknown(line(f"no answer after the message was sent: {error}"), refused)
    code, text = answer.result()
    if code in _SUCCESS:
        return Accepted(code, line(text), refused)
    if code in _FAILURE:
        return _whole(code, text, refused)
    smtp.close()
    return Unknown(line(f"the mail server answered {code} {text} to the message"), refused)


def _whole(code: int, text: str, refused: Answers) -> MailResult:
    """Return what a refusing answer means for the whole message (RFC 5321, 4.2.1)."""
    if code >= _FIRST_PERMANENT:
        return Refused(code, line(text), refused)
    return Deferred(code, line(text), refused)


def line(text: str) -> str:
    """Return a server's text as one bounded line: it comes from outside and goes into logs and events."""
    return re.sub(r"[\x00-\x1f\x7f\s]+", " ", text).strip()[:500]
