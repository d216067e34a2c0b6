"""Who may connect, to which session, and how the engine greets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qlik_simulator.engine.address import Address, bearer_of, parse_address, user_of
from qlik_simulator.engine.connection import Connection, Socket
from qlik_simulator.engine.session import SessionKey, Sessions
from qlik_simulator.site import Site

Json = dict[str, Any]


@dataclass(frozen=True)
class Refused:
    """An upgrade that is answered with an HTTP status instead."""

    status: int
    reason: str


@dataclass(frozen=True)
class Admitted:
    """An upgrade that goes through."""

    user: str
    address: Address


class Gate:
    """Admits sockets to sessions."""

    def __init__(
        self, site: Site, sessions: Sessions, reload: Callable[[str], None], *, trust_user_header: bool
    ) -> None:
        self._site = site
        self._sessions = sessions
        self._reload = reload
        self._trust_user_header = trust_user_header

    def admit(self, target: str, headers: Mapping[str, str]) -> Admitted | Refused:
        """Decide about an upgrade by its URL and its headers (names in lower case)."""
        address = parse_address(target)
        if address is None:
            return Refused(404, "Not Found")
        fault = self._site.faults.take("upgrade", address.app)
        if fault is not None:
            return Refused(fault.code, fault.topic or "refused on command")
        user = self._user(headers)
        if user is None:
            return Refused(401, "Unauthorized")
        return Admitted(user, address)

    def _user(self, headers: Mapping[str, str]) -> str | None:
        token = bearer_of(headers.get("authorization", ""))
        if token is not None:
            return self._site.tokens.get(token)
        if self._trust_user_header and "x-qlik-user" in headers:
            return user_of(headers["x-qlik-user"])
        return None

    async def serve(self, admitted: Admitted, socket: Socket) -> None:
        """Greet, then answer until the socket is gone."""
        address = admitted.address
        session, was_there = self._sessions.attach(SessionKey(admitted.user, address.app, address.identity))
        connection = Connection(self._site, session, socket, self._reload)
        session.listeners.append(connection)
        try:
            state = "SESSION_ATTACHED" if was_there else "SESSION_CREATED"
            fault = self._site.faults.take("greeting", address.app, admitted.user)
            if fault is not None and fault.kind == "state":
                state = fault.topic
            if fault is not None and fault.kind == "notify":
                connection.notify(fault.topic, {"severity": "fatal", "message": fault.topic})
                connection.end(1000, "")
            elif fault is None or fault.kind != "silent":
                connection.notify("OnConnected", {"qSessionState": state})
            await connection.serve()
        finally:
            self._sessions.detach(session, connection, address.ttl)
