"""Who may connect, to which session, and how the engine greets."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any, Final, Literal

from qlik_simulator.credentials import ProxySession
from qlik_simulator.engine.address import Address, bearer_of, parse_address, user_of
from qlik_simulator.engine.connection import Connection, Socket
from qlik_simulator.engine.session import SessionKey, Sessions
from qlik_simulator.recording import Recorder
from qlik_simulator.site import Site, iso

Json = dict[str, Any]
COOKIE: Final = "X-Qlik-Session"
_A_MOMENT: Final = 0.02  # seconds from the upgrade to the greeting


@dataclass(frozen=True)
class Refused:
    """An upgrade that is answered with an HTTP status instead."""

    status: int
    reason: str


@dataclass(frozen=True)
class Admitted:
    """An upgrade that goes through.

    What the caller finds behind it depends on ``manner``: ``engine`` greets at once; ``proxy`` tells who
    the caller is first, and minds the session limit; ``login`` says that the caller has to log in;
    ``silent`` closes without a greeting, as for a cookie that has expired.
    """

    user: str
    address: Address
    manner: Literal["engine", "proxy", "login", "silent"] = "engine"
    session: ProxySession | None = None  # the proxy's, which its cookie stands for
    is_new: bool = False  # whether the answer to the upgrade gives the cookie


def cookie_name(prefix: str) -> str:
    """The name of the session cookie of a virtual proxy."""
    return f"{COOKIE}-{prefix}" if prefix else COOKIE


def proxy_session(site: Site, prefix: str, headers: Mapping[str, str]) -> ProxySession | None:
    """The proxy session that the cookie stands for."""
    found = SimpleCookie(headers.get("cookie", "")).get(cookie_name(prefix))
    session = None if found is None else site.credentials.proxy_session(found.value)
    return session if session is not None and session.prefix == prefix else None


class DirectGate:
    """The engine's own port.

    The caller names the user (as a certificate lets it), or shows a bearer token.
    """

    def __init__(self, site: Site, *, trust_user_header: bool) -> None:
        self._site = site
        self._trust_user_header = trust_user_header

    def admit(self, target: str, headers: Mapping[str, str]) -> Admitted | Refused:
        """Decide about an upgrade by its URL and its headers (names in lower case)."""
        address = parse_address(target)
        if address is None:
            return Refused(404, "Not Found")
        fault = self._site.faults.take("upgrade", address.app)
        if fault is not None:
            return Refused(fault.code, fault.topic or "refused on command")
        token = bearer_of(headers.get("authorization", ""))
        if token is not None:
            user = self._site.credentials.bearer(token)
        else:
            user = user_of(headers.get("x-qlik-user", "")) if self._trust_user_header else None
        return Refused(401, "Unauthorized") if user is None else Admitted(user, address)


class WebGate:
    """The port of the proxy, and of a Cloud tenant.

    Bearer tokens, cookies, tickets, JWT sessions with CSRF tokens.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    def admit(self, target: str, headers: Mapping[str, str]) -> Admitted | Refused:
        """Decide about an upgrade by its URL and its headers (names in lower case)."""
        address = parse_address(target)
        if address is None:
            return Refused(404, "Not Found")
        fault = self._site.faults.take("upgrade", address.app)
        if fault is not None:
            return Refused(fault.code, fault.topic or "refused on command")
        if address.prefix not in self._site.policy.prefixes:
            return Refused(400, "Bad Request")  # the virtual proxy is not linked to the central proxy
        token = bearer_of(headers.get("authorization", "")) or address.parameter("accessToken")
        if token and cookie_name(address.prefix) not in headers.get("cookie", ""):
            user = self._site.credentials.bearer(token)
            return Refused(401, "Unauthorized") if user is None else Admitted(user, address)
        return self._proxied(address, headers, has_token=bool(token))

    def _proxied(
        self, address: Address, headers: Mapping[str, str], *, has_token: bool
    ) -> Admitted | Refused:
        origins = self._site.policy.origins
        if origins and headers.get("origin", "") not in origins:
            return Refused(403, "Forbidden")
        if ticket := address.parameter("QlikTicket"):
            return self._by_ticket(address, ticket)
        if cookie_name(address.prefix) not in headers.get("cookie", ""):
            return Admitted("", address, "login")
        session = proxy_session(self._site, address.prefix, headers)
        if session is None:
            return Admitted("", address, "silent")
        if session.csrf and (address.parameter("qlik-csrf-token") != session.csrf or has_token):
            return Refused(403, "Forbidden")
        return Admitted(session.user, address, "proxy", session)

    def _by_ticket(self, address: Address, ticket: str) -> Admitted:
        user = self._site.credentials.redeem(ticket)
        if user is None:
            return Admitted("", address, "login")
        opened = self._site.credentials.open_session(user, address.prefix, by_jwt=False)
        return Admitted(user, address, "proxy", opened, is_new=True)


class Reception:
    """Greets admitted sockets and serves them."""

    def __init__(
        self, site: Site, sessions: Sessions, reload: Callable[[str], None], recorder: Recorder
    ) -> None:
        self._site = site
        self._sessions = sessions
        self._reload = reload
        self._recorder = recorder

    async def serve(self, admitted: Admitted, socket: Socket, agent: str = "") -> None:
        """Greet, then answer until the socket is gone; ``agent`` is what the caller says it is."""
        if admitted.manner == "silent":
            await socket.close(1000, "")
            return
        address = admitted.address
        key = SessionKey(admitted.user, address.app, address.identity)
        refusal = self._refusal(admitted, key)
        session, was_there = self._sessions.attach(key)
        connection = Connection(self._site, session, socket, self._reload, self._recorder.socket(agent))
        session.listeners.append(connection)
        held = admitted.session.id if admitted.session is not None else ""
        self._site.credentials.socket_opened(held)
        try:
            # As on a real site: a client must not rely on finding the greeting right there.
            await asyncio.sleep(_A_MOMENT)
            self._introduce(admitted, connection)
            if refusal is not None:
                self._end(connection, refusal)
            else:
                self._greet(admitted, connection, "SESSION_ATTACHED" if was_there else "SESSION_CREATED")
            await connection.serve()
        finally:
            self._site.credentials.socket_closed(held)
            self._sessions.detach(session, connection, 0 if refusal is not None else address.ttl)

    def _refusal(self, admitted: Admitted, key: SessionKey) -> str | None:
        if admitted.manner == "login":
            return ""
        if admitted.manner != "proxy":
            return None
        if admitted.user in self._site.policy.unlicensed:
            return "OnLicenseAccessDenied"
        if self._too_many(admitted, key):
            return "OnMaxParallelSessionsExceeded"
        if key.app and key.app not in self._site.apps:
            return "OnNoEngineAvailable"
        return None

    def _too_many(self, admitted: Admitted, key: SessionKey) -> bool:
        """Whether this would be one session too many of the user.

        A proxy counts its own sessions, by their cookies, until they are idle for long or logged out. Engine
        sessions at a time are counted, too: no public source rules it out, and who keeps to both is safe.
        """
        most = self._site.policy.most_sessions
        if not self._sessions.has(key) and self._sessions.count(admitted.user) >= most:
            return True
        live = self._site.credentials.live_sessions(admitted.user)
        if admitted.session is None or admitted.session not in live[most:]:
            return False
        self._site.credentials.close_session(admitted.session.id)
        return True

    def _introduce(self, admitted: Admitted, connection: Connection) -> None:
        if admitted.manner == "login":
            params: Json = {"loginUri": "https://localhost/login", "mustAuthenticate": True}
            connection.notify("OnAuthenticationInformation", params)
        elif admitted.manner == "proxy":
            directory, _, user = admitted.user.partition("\\")
            prefix = f"/{admitted.address.prefix}" if admitted.address.prefix else ""
            params = {
                "userId": user,
                "userDirectory": directory,
                "logoutUri": f"https://localhost{prefix}/qps/user",
                "mustAuthenticate": False,
            }
            connection.notify("OnAuthenticationInformation", params)

    def _end(self, connection: Connection, topic: str) -> None:
        if topic:
            self._fatal(connection, topic)
        connection.end(1000, "")

    def _fatal(self, connection: Connection, topic: str) -> None:
        moment = iso(self._site.now())
        connection.notify(topic, {"severity": "fatal", "timestamp": moment, "message": topic})

    def _greet(self, admitted: Admitted, connection: Connection, state: str) -> None:
        fault = self._site.faults.take("greeting", admitted.address.app, admitted.user)
        match None if fault is None else fault.kind:
            case "silent":
                return
            case "notify":
                self._end(connection, fault.topic if fault is not None else "")
            case "close":
                connection.end(fault.code if fault is not None else 1000, "")
            case "state":
                connection.notify(
                    "OnConnected", {"qSessionState": fault.topic if fault is not None else state}
                )
            case _:
                connection.notify("OnConnected", {"qSessionState": state})
