"""SMTP: hands a message to the server and says what the server can have of it.

Mail cannot be sent exactly once. What can be had: before the first byte of content leaves, the caller writes
down that it is leaving; and of every failure it is known whether the server can have accepted the message.

| result | the server has the message | the caller may |
|---|---|---|
| Accepted | yes, for every address that is not in `refused` | settle |
| Refused | no, and it will not take it | fail |
| Deferred | no | try again later |
| Unknown | nobody can know | hold it, or follow the task's policy |
"""

import asyncio
import contextlib
import re
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from types import TracebackType
from typing import Annotated, Literal, Protocol, Self

import aiosmtplib
import structlog
from aiosmtplib import SMTP, SMTPException, SMTPResponse, SMTPResponseException
from prometheus_client import Counter
from pydantic import Field, SecretStr

from runtime.ledger import LeaseLost
from runtime.message import (
    Attachment,
    MailContent,
    build_message,
    envelope_address,
    message_bytes,
    message_id,
    redirected_subject,
)
from runtime.settings import RuntimeSettings

__all__ = [
    "Accepted",
    "Attachment",
    "BeforeData",
    "Deferred",
    "LeaseLost",
    "MailContent",
    "MailResult",
    "MailSender",
    "MailTransport",
    "Refused",
    "SmtpSettings",
    "Unknown",
    "build_message",
    "envelope_address",
    "message_bytes",
    "message_id",
    "redirected_subject",
]

log = structlog.get_logger(__name__)

MAILS = Counter("broadsheet_mails_total", "Attempts to hand a mail to the server, by result.", ["result"])

_IDLE_SECONDS = (
    20.0  # below the shortest idle timeout seen in the wild (Exchange Online and Postfix: minutes)
)
_MAILS_PER_CONNECTION = 50
_START_INPUT, _CLOSING = 354, 421
_SUCCESS = range(200, 300)
_FIRST_PERMANENT = 500


class SmtpSettings(RuntimeSettings):
    """Settings of a service that sends mail."""

    smtp_host: str = "127.0.0.1"
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 25
    smtp_tls: Literal["none", "starttls", "tls"] = "none"
    smtp_ca_file: str | None = Field(default=None, description="unset: the system's certificate authorities")
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_from: str = "broadsheet@localhost.localdomain"
    smtp_from_name: str = "Broadsheet"
    smtp_message_id_domain: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$")] = "broadsheet.invalid"
    smtp_connections: Annotated[int, Field(ge=1, le=100)] = 4
    smtp_command_timeout_s: Annotated[float, Field(gt=0)] = 20.0
    # RFC 5321, 4.5.3.2.6 allows a server ten minutes; the lease of a mail has to be longer than this.
    smtp_data_timeout_s: Annotated[float, Field(gt=0)] = 120.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server took responsibility for the message."""

    code: int
    text: str
    refused: Mapping[str, str] = field(default_factory=dict)
    """Addresses the server did not take, with its answer; the others it did."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will not take the message, now or later; nobody got it."""

    code: int
    text: str
    permanent: bool = True


@dataclass(frozen=True, slots=True)
class Deferred:
    """The server does not have the message; later it may take it. `code` is None without an answer."""

    code: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The message was sent to its end, or may have been, and no answer came."""

    text: str


MailResult = Accepted | Refused | Deferred | Unknown
BeforeData = Callable[[], Awaitable[bool]]


class MailSender(Protocol):
    """What use cases send with."""

    async def send(
        self,
        message: EmailMessage,
        envelope_from: str,
        envelope_to: Sequence[str],
        *,
        before_data: BeforeData,
        required: str | None = None,
    ) -> MailResult:
        """Hand over a message; see MailTransport."""
        ...


@dataclass(frozen=True, slots=True)
class _Mail:
    data: bytes
    sender: str
    recipients: Sequence[str]
    required: str | None


@dataclass(slots=True)
class _Connection:
    smtp: SMTP
    idle_since: float
    used: int = 0


class MailTransport:
    """A few connections to one mail server, kept for a short while and used again."""

    def __init__(self, settings: SmtpSettings) -> None:
        """Take where the server is; nothing is connected before the first mail."""
        self._settings = settings
        self._idle: deque[_Connection] = deque()
        self._slots = asyncio.Semaphore(settings.smtp_connections)

    @property
    def longest_send_s(self) -> float:
        """How long one `send` can take at most after `before_data`; a lease has to be longer."""
        return self._settings.smtp_command_timeout_s + self._settings.smtp_data_timeout_s

    async def send(
        self,
        message: EmailMessage,
        envelope_from: str,
        envelope_to: Sequence[str],
        *,
        before_data: BeforeData,
        required: str | None = None,
    ) -> MailResult:
        """Hand over a message to the envelope's addresses.

        When the server refuses the `required` one, nobody gets the message and its answer is the result:
        copies of a mail that its recipient did not get yet would be sent again with it.

        `before_data` is awaited when the server has taken the envelope and nothing of the message has left:
        there the caller writes down that it is being transmitted. When it returns False, LeaseLost is raised
        and the server has nothing. Raises Permanent for an address that may not stand in an envelope.
        """
        mail = _Mail(
            data=message_bytes(message),
            sender=envelope_address(envelope_from),
            recipients=[envelope_address(each) for each in dict.fromkeys(envelope_to)],
            required=envelope_address(required) if required is not None else None,
        )
        if not mail.recipients:
            raise ValueError("a mail needs at least one address in its envelope")
        async with self._slots:
            result = await self._attempt(mail, before_data)
        MAILS.labels(type(result).__name__.lower()).inc()
        return result

    async def _attempt(self, mail: _Mail, before_data: BeforeData) -> MailResult:
        try:
            connection = await self._connection()
        except (SMTPException, OSError, ssl.SSLError) as error:
            return _not_connected(error)
        healthy = False
        try:
            result = await _converse(
                connection.smtp, mail, before_data, data_timeout_s=self._settings.smtp_data_timeout_s
            )
            healthy = not isinstance(result, Unknown)
        finally:
            # Also after LeaseLost, an error of the caller's and cancellation: RSET would be a courtesy, but a
            # closed connection leaves no doubt about what the server has.
            await self._give_back(connection, healthy=healthy)
        return result

    async def _connection(self) -> _Connection:
        """Return a connection with a clean envelope, one that was kept or a new one."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            kept = self._idle.pop()
            if now - kept.idle_since < _IDLE_SECONDS and kept.used < _MAILS_PER_CONNECTION:
                with contextlib.suppress(SMTPException, OSError):
                    await kept.smtp.rset()
                    return kept
            kept.smtp.close()
        return _Connection(smtp=await self._connect(), idle_since=now)

    async def _connect(self) -> SMTP:
        settings = self._settings
        context = None
        if settings.smtp_tls != "none":
            context = ssl.create_default_context(cafile=settings.smtp_ca_file)
        password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
        smtp = SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            timeout=settings.smtp_command_timeout_s,
            use_tls=settings.smtp_tls == "tls",
            start_tls=settings.smtp_tls == "starttls",
            tls_context=context,
            username=settings.smtp_username,
            password=password,
            local_hostname=settings.smtp_message_id_domain,
        )
        await smtp.connect()
        return smtp

    async def _give_back(self, connection: _Connection, *, healthy: bool) -> None:
        connection.used += 1
        connection.idle_since = asyncio.get_running_loop().time()
        if healthy and connection.smtp.is_connected:
            self._idle.append(connection)
        else:
            connection.smtp.close()

    async def __aenter__(self) -> Self:
        """Return the transport, to be closed at the end."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say good-bye on the kept connections."""
        while self._idle:
            kept = self._idle.pop()
            with contextlib.suppress(SMTPException, OSError):
                await kept.smtp.quit(timeout=2)
            kept.smtp.close()


async def _converse(smtp: SMTP, mail: _Mail, before_data: BeforeData, *, data_timeout_s: float) -> MailResult:
    try:
        refused = await _envelope(smtp, mail)
    except SMTPResponseException as error:
        return _answer(error.code, error.message)
    except (SMTPException, OSError) as error:
        return Deferred(None, _line(f"connection lost before the message was sent: {error}"))
    if decisive := _decisive(mail, refused):
        return _nobody_accepted(decisive)
    if not await before_data():
        raise LeaseLost("the lease of this mail was lost before its content was sent")
    try:
        start = await smtp.execute_command(b"DATA")
    except (SMTPException, OSError) as error:
        # The content has not been sent, so the server cannot have it.
        return Deferred(None, _line(f"connection lost before the message was sent: {error}"))
    if start.code != _START_INPUT:
        return _answer(start.code, start.message)
    return await _transmit(smtp, mail.data, refused, data_timeout_s)


async def _envelope(smtp: SMTP, mail: _Mail) -> dict[str, SMTPResponse]:
    """Announce sender and recipients; return the recipients that were refused, with the answer."""
    if smtp.is_ehlo_or_helo_needed:
        await smtp.ehlo()
    options = [f"SIZE={len(mail.data)}"] if smtp.supports_extension("size") else []
    await smtp.mail(mail.sender, options=options)
    refused: dict[str, SMTPResponse] = {}
    for recipient in mail.recipients:
        try:
            await smtp.rcpt(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            refused[recipient] = SMTPResponse(error.code, error.message)
            if error.code == _CLOSING:
                raise
    return refused


async def _transmit(
    smtp: SMTP, data: bytes, refused: Mapping[str, SMTPResponse], timeout_s: float
) -> MailResult:
    """Send the content and its end, and wait for the answer.

    aiosmtplib's own `data` cannot tell whether the content had begun to leave when the connection broke, and
    that is all that matters here.
    """
    protocol = smtp.protocol
    if protocol is None:
        return Deferred(None, "connection lost before the message was sent")
    stuffed = re.sub(rb"(?m)^\.", b"..", data)
    ending = b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"
    try:
        protocol.write(stuffed + ending)
        response = await protocol.read_response(timeout=timeout_s)
    except (SMTPException, OSError) as error:
        smtp.close()
        return Unknown(_line(f"no answer after the message was sent: {error}"))
    if response.code not in _SUCCESS:
        return _answer(response.code, response.message)
    return Accepted(
        response.code,
        _line(response.message),
        {address: f"{answer.code} {_line(answer.message)}" for address, answer in refused.items()},
    )


def _answer(code: int, text: str) -> MailResult:
    """Return what a refusing answer of the server means (RFC 5321, 4.2.1)."""
    if code >= _FIRST_PERMANENT:
        return Refused(code, _line(text))
    return Deferred(code, _line(text))


def _decisive(mail: _Mail, refused: Mapping[str, SMTPResponse]) -> Mapping[str, SMTPResponse]:
    """Return the refusals that keep the message from being sent; empty when it is sent to the others."""
    if mail.required is not None and mail.required in refused:
        return {mail.required: refused[mail.required]}
    return refused if len(refused) == len(mail.recipients) else {}


def _nobody_accepted(refused: Mapping[str, SMTPResponse]) -> MailResult:
    # One address that may be taken later is a reason to come again.
    address, answer = min(refused.items(), key=lambda item: item[1].code)
    result = _answer(answer.code, f"{address}: {answer.message}")
    others = len(refused) - 1
    if others and isinstance(result, Refused):
        return Refused(result.code, f"{result.text} (and {others} more)")
    return result


def _not_connected(error: Exception) -> Deferred:
    """Return a deferral: with the server out of reach or the password wrong, the mail is not at fault."""
    log.warning("mail server cannot be used", error=_line(str(error)))
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return Deferred(error.code, "the mail server refuses the user name or password of Broadsheet")
    code = error.code if isinstance(error, SMTPResponseException) else None
    return Deferred(code, _line(f"the mail server cannot be used: {error}"))


def _line(text: str) -> str:
    """Return a server's text as one bounded line: it comes from outside and goes into logs and events."""
    return re.sub(r"[\x00-\x1f\x7f\s]+", " ", text).strip()[:500]
