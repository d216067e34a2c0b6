"""Opening a web socket, and what a refusal means."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.typing import Origin

from qlik import greeting
from qlik.errors import ConfigurationError, ProtocolError, Transient
from qlik.reach import Reach, anywhere
from qlik.site import Limits

# The library's own logger writes every header and frame at DEBUG, tickets and tokens included: it gets a deaf
# one.
_DEAF = logging.Logger("qlik.socket", level=logging.CRITICAL + 1)  # noqa: LOG001 - of no hierarchy on purpose


@dataclass(frozen=True)
class Upgrade:
    """Everything a web socket upgrade needs.

    `url` and `headers` may carry secrets: never log them unmasked.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    origin: str | None = None
    tls: ssl.SSLContext | None = None
    reach: Reach = field(default=anywhere, repr=False)


class _Connect(connect):
    """The library's connect, but a redirect is an answer and never followed: X-Qlik-User would go along."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def connect_here(upgrade: Upgrade, limits: Limits) -> ClientConnection:
    """Open the socket; the caller limits the time.

    Raises:
        QlikError: by what the refusal means; a certificate that is not trusted is a ConfigurationError.

    """
    parts = urlsplit(upgrade.url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    addresses = await upgrade.reach(parts.hostname or "", port)
    for address in addresses[:-1]:
        try:
            return await _connect_to(address, upgrade, limits)
        except Transient as error:
            if error.code != "unreachable":
                raise
    return await _connect_to(addresses[-1], upgrade, limits)


async def _connect_to(address: str, upgrade: Upgrade, limits: Limits) -> ClientConnection:
    try:
        return await _Connect(
            upgrade.url,
            # The name in the address stays what the certificate and the Host header are about.
            host=address,
            additional_headers=dict(upgrade.headers),
            origin=Origin(upgrade.origin) if upgrade.origin else None,
            ssl=upgrade.tls if upgrade.url.startswith("wss:") else None,
            open_timeout=None,  # connect_s around all of it
            ping_interval=None,
            max_size=limits.max_frame_bytes,
            user_agent_header=None,
            proxy=None,
            logger=_DEAF,
            compression=None,  # engines do not offer it
        )
    except InvalidStatus as refused:
        response = refused.response
        raise greeting.upgrade_refused(
            response.status_code,
            bytes(response.body or b"")[:500].decode("utf-8", "replace"),
        ) from None
    except InvalidURI:
        raise ConfigurationError("The engine address is not valid", code="address") from None
    except ssl.SSLCertVerificationError as error:
        raise ConfigurationError(
            f"The engine's certificate is not trusted: {error.verify_message}",
            code="tls",
            remedy="Give the site's root.pem as ca_pem, and the host name the certificate is made for.",
        ) from None
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"No TLS connection: {error.reason}", code="tls", remedy="Check client_pem and key_pem."
        ) from None
    except (InvalidMessage, InvalidHandshake, WebSocketException) as error:
        if upgrade.url.startswith("wss:") and _hung_up(error):
            # with TLS 1.3 a server refuses our certificate only after the handshake is over on our side, and
            # the alert that says so does not come through; a service that stops looks the same
            raise Transient(
                "The engine hung up right after TLS was agreed, without a word",
                code="hung-up",
                remedy="So it refuses a client certificate it does not know: export client.pem and "
                "client_key.pem from the QMC of this very site. Or the service is just stopping.",
            ) from None
        raise ProtocolError(f"No web socket at the engine's address: {type(error).__name__}") from None
    except OSError as error:
        raise Transient(
            f"The engine is not reachable: {error.strerror or type(error).__name__}", code="unreachable"
        ) from None


def _hung_up(error: BaseException) -> bool:
    """Whether the other side closed the connection before it sent anything."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, EOFError | ConnectionError | ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
