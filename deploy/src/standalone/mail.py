"""The inbox as a child process."""

import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from standalone.inbox.__main__ import PASSWORD
from standalone.ports import HOST
from standalone.server import ProcessServer, connects
from standalone.web import http_client


class MailInbox(ProcessServer):
    """An SMTP server that keeps what it gets, with a web page and a JSON API.

    Durable: a message is on disk before its 250. With `user` it asks for AUTH, with a random password; with
    `tls_certificate` (a PEM file that has the key, too) it insists on STARTTLS.
    """

    name = "inbox"
    title = "SMTP inbox (aiosmtpd)"
    port_option = "--smtp-port and --inbox-port"

    def __init__(
        self,
        data: Path,
        *,
        port: int = 0,
        http_port: int = 0,
        user: str | None = None,
        tls_certificate: Path | None = None,
    ) -> None:
        super().__init__(data, {"smtp": port, "http": http_port})
        self.user = user
        self.password = secrets.token_urlsafe(18) if user else None
        self._tls_certificate = tls_certificate

    @property
    def host(self) -> str:
        """Host of the SMTP side."""
        return HOST

    @property
    def port(self) -> int:
        """Port of the SMTP side."""
        return self.ports["smtp"]

    @property
    def api_url(self) -> str:
        """Root of web page and JSON API, without a slash at the end."""
        return f"http://{HOST}:{self.ports['http']}"

    @property
    def addresses(self) -> Mapping[str, str]:
        """Both sides."""
        return {"smtp": f"{HOST}:{self.port}", "web": self.api_url}

    def _environment(self) -> dict[str, str]:
        return super()._environment() | ({PASSWORD: self.password} if self.password else {})

    async def _argv(self) -> Sequence[str]:
        ports = ("--smtp-port", str(self.port), "--http-port", str(self.ports["http"]))
        argv = [sys.executable, "-m", "standalone.inbox", "--folder", str(self.data / "messages"), *ports]
        if self.user:
            argv += ["--user", self.user]
        if self._tls_certificate:
            argv += ["--tls-certificate", str(self._tls_certificate.absolute())]
        return argv

    async def _ready(self) -> bool:
        return await connects(self.ports["http"]) and await self._listens()

    async def _listens(self) -> bool:
        async with http_client(timeout=2.0) as http:
            try:
                reply = await http.get(f"{self.api_url}/api/faults")
            except httpx.TransportError:
                return False
        return reply.status_code == httpx.codes.OK and bool(reply.json()["listening"])
