"""Who a caller is: API keys, OAuth tokens, proxy sessions, tickets, and JWTs signed with a key we trust."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

TOKEN_LIFETIME: Final = timedelta(hours=6)  # of an OAuth access token
TICKET_LIFETIME: Final = timedelta(minutes=1)
PROXY_SESSION_IDLE: Final = timedelta(minutes=30)  # the default of a virtual proxy


@dataclass(frozen=True)
class ProxySession:
    """A session of the proxy: what its cookie stands for. ``csrf`` is set for sessions that a JWT opened."""

    id: str
    user: str
    prefix: str
    csrf: str = ""

    @property
    def cookie(self) -> str:
        """The name and value of the cookie."""
        return f"X-Qlik-Session{'-' if self.prefix else ''}{self.prefix}={self.id}"


@dataclass
class Credentials:
    """Everything that lets a caller in."""

    now: Callable[[], datetime]
    new_id: Callable[[], str]
    api_keys: dict[str, str] = field(default_factory=dict)  # key -> user
    clients: dict[str, str] = field(default_factory=dict)  # OAuth client id -> secret
    token_lifetime: timedelta = TOKEN_LIFETIME
    jwt_key: bytes | None = None  # PEM of the public key; without one every JWT is rejected
    tokens: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    tickets: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    proxy_sessions: dict[str, ProxySession] = field(default_factory=dict)
    last_used: dict[str, datetime] = field(default_factory=dict)  # by the id of the proxy session
    open_sockets: dict[str, int] = field(default_factory=dict)  # likewise

    def bearer(self, token: str) -> str | None:
        """The user of an API key or of an access token that has not expired."""
        if token in self.api_keys:
            return self.api_keys[token]
        user, ends = self.tokens.get(token, ("", self.now()))
        return user if user and self.now() < ends else None

    def issue_token(self, user: str) -> str:
        """A new access token."""
        token = f"sim-{self.new_id()}"
        self.tokens[token] = (user, self.now() + self.token_lifetime)
        return token

    def expire_tokens(self) -> int:
        """Every access token stops working; the answer is how many."""
        count = len(self.tokens)
        self.tokens.clear()
        return count

    def new_ticket(self, user: str) -> str:
        """A ticket: one use within a minute."""
        ticket = self.new_id().replace("-", "")[:16]
        self.tickets[ticket] = (user, self.now() + TICKET_LIFETIME)
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """The user of a ticket, which is used up."""
        user, ends = self.tickets.pop(ticket, ("", self.now()))
        return user if user and self.now() < ends else None

    def open_session(self, user: str, prefix: str, *, by_jwt: bool) -> ProxySession:
        """A proxy session."""
        csrf = self.new_id() if by_jwt else ""
        made = ProxySession(self.new_id(), user, prefix, csrf)
        self.proxy_sessions[made.id] = made
        self.last_used[made.id] = self.now()
        return made

    def proxy_session(self, session_id: str) -> ProxySession | None:
        """The proxy session of a cookie, unless it was idle for too long; it is in use now."""
        session = self.proxy_sessions.get(session_id)
        if session is None or session not in self.live_sessions(session.user):
            return None
        self.last_used[session_id] = self.now()
        return session

    def live_sessions(self, user: str) -> list[ProxySession]:
        """The proxy sessions that count for a user, oldest first: until they are idle for 30 minutes."""
        idle = self.now() - PROXY_SESSION_IDLE
        return [
            kept
            for kept in self.proxy_sessions.values()
            if kept.user == user and (self.open_sockets.get(kept.id) or self.last_used[kept.id] > idle)
        ]

    def socket_opened(self, session_id: str) -> None:
        """A socket of a proxy session is open."""
        self.open_sockets[session_id] = self.open_sockets.get(session_id, 0) + 1

    def socket_closed(self, session_id: str) -> None:
        """A socket of a proxy session is closed; from now on it is idle."""
        self.open_sockets[session_id] = self.open_sockets.get(session_id, 1) - 1
        self.last_used[session_id] = self.now()

    def close_session(self, session_id: str) -> ProxySession | None:
        """End one proxy session, and nothing else of its user."""
        return self.proxy_sessions.pop(session_id, None)

    def close_sessions(self, user: str, prefix: str) -> list[ProxySession]:
        """Log a user out of a virtual proxy."""
        closed = [kept for kept in self.proxy_sessions.values() if (kept.user, kept.prefix) == (user, prefix)]
        for session in closed:
            del self.proxy_sessions[session.id]
        return closed

    def jwt_user(self, token: str) -> str | None:
        """The user of a JWT (RS256, claims ``userId`` and ``userDirectory``); None when it is rejected."""
        claims = None if self.jwt_key is None else verified_claims(token, self.jwt_key)
        if claims is None or "userId" not in claims:
            return None
        ends = claims.get("exp")
        if isinstance(ends, int | float) and self.now().timestamp() >= ends:
            return None
        return f"{claims.get('userDirectory', 'JWT')}\\{claims['userId']}"


def verified_claims(token: str, public_key: bytes) -> Mapping[str, Any] | None:
    """The claims of an RS256 token when its signature is right; None otherwise."""
    key = serialization.load_pem_public_key(public_key)
    parts = token.split(".")
    if not isinstance(key, rsa.RSAPublicKey) or len(parts) != 3:  # noqa: PLR2004 - header, claims, signature
        return None
    try:
        header, claims = json.loads(_decoded(parts[0])), json.loads(_decoded(parts[1]))
        signed = f"{parts[0]}.{parts[1]}".encode()
        key.verify(_decoded(parts[2]), signed, padding.PKCS1v15(), hashes.SHA256())
    except (ValueError, InvalidSignature):
        return None
    return claims if isinstance(claims, dict) and header.get("alg") == "RS256" else None


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
