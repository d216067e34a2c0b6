"""The SMTP side: aiosmtpd in front of the store, with the faults in between."""

import asyncio
import hmac
import logging
import ssl
from dataclasses import dataclass
from functools import partial

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from standalone.inbox.faults import Faults
from standalone.inbox.store import Inbox

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SmtpOptions:
    """How it listens. `user` with `password` makes AUTH a must, `tls` makes STARTTLS one."""

    host: str
    port: int
    max_bytes: int
    user: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None


class Handler:
    """aiosmtpd's hooks. A message is on disk before its 250 is sent."""

    def __init__(self, inbox: Inbox, faults: Faults) -> None:
        self._inbox = inbox
        self._faults = faults

    async def handle_RCPT(  # noqa: N802 - aiosmtpd looks it up by this name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take the address, unless a fault says otherwise."""
        await asyncio.sleep(self._faults.delay_s("rcpt"))
        if fault := self._faults.for_recipient(address):
            return f"{fault.code} {fault.text}"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the message, then answer; or what the faults say."""
        if fault := self._faults.reject_data():
            return f"{fault.code} {fault.text}"
        drop = self._faults.drop()
        reply = "250 OK"
        if drop is None or drop.keep:
            reply = await self._keep(session, envelope)
        await asyncio.sleep(self._faults.delay_s("data"))
        if drop and isinstance(server.transport, asyncio.WriteTransport):
            server.transport.abort()
            await asyncio.Event().wait()  # the lost connection cancels this; a return would send a reply
        return reply

    async def _keep(self, session: Session, envelope: Envelope) -> str:
        content, login = envelope.content, session.auth_data
        keep = partial(
            self._inbox.keep,
            content if isinstance(content, bytes) else (content or "").encode(),
            mail_from=envelope.mail_from or "",
            rcpt_to=[str(address) for address in envelope.rcpt_tos],
            tls=session.ssl is not None,
            user=login.login.decode("utf-8", "replace") if isinstance(login, LoginPassword) else None,
        )
        try:
            message = await asyncio.to_thread(keep)
        except OSError:
            _log.exception("the message could not be written")
            return "452 insufficient system storage"
        _log.info("kept %s for %s", message.id, ", ".join(message.rcpt_to))
        return f"250 OK kept as {message.id}"


class SmtpServer:
    """Listens, and can stop listening for a while and go on."""

    def __init__(self, handler: Handler, options: SmtpOptions) -> None:
        self._handler = handler
        self._options = options
        self._server: asyncio.Server | None = None
        self._again: asyncio.TimerHandle | None = None
        self._resuming: asyncio.Task[None] | None = None

    @property
    def listening(self) -> bool:
        """Whether connections are taken now."""
        return self._server is not None

    async def listen(self) -> None:
        """Take connections from now on; nothing happens when it does already."""
        if self._again:
            self._again.cancel()
            self._again = None
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._protocol, self._options.host, self._options.port)

    def refuse_for(self, seconds: float) -> None:
        """Stop listening now, listen again after some seconds. Open connections go on."""
        self.close()
        self._again = asyncio.get_running_loop().call_later(seconds, self._resume)

    def close(self) -> None:
        """Stop listening."""
        if self._server:
            self._server.close()
            self._server = None

    def _resume(self) -> None:
        self._resuming = asyncio.create_task(self.listen())

    def _protocol(self) -> SMTP:
        options = self._options
        return SMTP(
            self._handler,
            data_size_limit=options.max_bytes,
            enable_SMTPUTF8=True,
            hostname="inbox.localhost",
            ident="Broadsheet inbox",
            tls_context=options.tls,
            require_starttls=options.tls is not None,
            auth_required=options.user is not None,
            auth_require_tls=options.tls is not None,
            authenticator=self._authenticate,
        )

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object
    ) -> AuthResult:
        options = self._options
        if options.user is None or not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        right = hmac.compare_digest(data.login, options.user.encode()) and hmac.compare_digest(
            data.password, (options.password or "").encode()
        )
        return AuthResult(success=right, handled=False, auth_data=data)
