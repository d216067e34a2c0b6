"""SMTP: connections to the mail server, kept for a short while, and mails handed over on them.

Mail cannot be sent exactly once. What can be had: before the first byte of content leaves, the caller writes
down that it is leaving; and of every failure it is known, address by address, whether the server can have
accepted the message (`runtime.smtp`).
"""

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from types import TracebackType
from typing import Annotated, Literal, Protocol, Self

import aiosmtplib
import structlog
from aiosmtplib import SMTP, SMTPException, SMTPResponseException
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
)
from runtime.settings import RuntimeSettings
from runtime.smtp import (
    Accepted,
    Answer,
    Answers,
    BeforeData,
    Deferred,
    Mail,
    MailResult,
    Refused,
    Unknown,
    converse,
    line,
)

__all__ = [
    "Accepted",
    "Answer",
    "Answers",
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
]

log = structlog.get_logger(__name__)

MAILS = Counter("broadsheet_mails_total", "Attempts to hand a mail to the server, by result.", ["result"])

_IDLE_SECONDS = (
    20.0  # below the shortest idle timeout seen in the wild (Exchange Online and Postfix: minutes)
)
_MAILS_PER_CONNECTION = 50
_SEND_BUFFER_BYTES = 128 * 1024


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
    # RFC 5321, 4.5.3.2.6 allows a server ten minutes for its answer.
    smtp_data_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=120.0,
        description="the longest time without progress while a mail is sent, and the longest wait for the "
        "answer to it; how large the mail is does not matter",
    )


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
        copies go out with the mail of the recipient, or after it, and never without it.

        `before_data` is awaited when the server has taken the envelope and nothing of the message has left:
        there the caller writes down which addresses it is being transmitted to, all but those it is called
        with. For a large message it is asked once more before the final dot. When it returns False, LeaseLost
        is raised and the server has nothing. Raises Permanent for an address that cannot stand in an
        envelope.
        """
        mail = Mail(
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

    async def _attempt(self, mail: Mail, before_data: BeforeData) -> MailResult:
        try:
            connection = await self._connection()
        except (SMTPException, OSError, ssl.SSLError) as error:
            return _not_connected(error)
        healthy = False
        try:
            result = await converse(
                connection.smtp, mail, before_data, patience_s=self._settings.smtp_data_timeout_s
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
        if smtp.transport is not None and (line_out := smtp.transport.get_extra_info("socket")) is not None:
            # What lies in the kernel counts as sent. Little of it may, or a broken connection says little
            # about what the server has, and a server that stopped reading is noticed late.
            line_out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
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


def _not_connected(error: Exception) -> Deferred:
    """Return a deferral: with the server out of reach or the password wrong, the mail is not at fault."""
    log.warning("mail server cannot be used", error=line(str(error)))
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return Deferred(error.code, "the mail server refuses the user name or password of Broadsheet")
    code = error.code if isinstance(error, SMTPResponseException) else None
    return Deferred(code, line(f"the mail server cannot be used: {error}"))
