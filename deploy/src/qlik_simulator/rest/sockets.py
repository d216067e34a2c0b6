"""Engine sockets on the HTTP port, as on a proxy or a Cloud tenant, where one port serves everything."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from qlik_simulator.engine.connection import SocketClosedError
from qlik_simulator.engine.gate import Reception, Refused, WebGate
from qlik_simulator.site import Site

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
_PING: Final = "simulator.ping"
_TRANSPORT: Final = "simulator.transport"


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol that also tells the application of pings and hands it the transport."""

    def handle_connect(self, event: Request) -> None:
        """An upgrade request has come."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["state"][_TRANSPORT] = self.transport

    def handle_ping(self) -> None:
        """Answer the ping, and say that there was one."""
        super().handle_ping()
        event: Any = {"type": _PING}
        self.queue.put_nowait(event)


class AsgiSocket:
    """The `Socket` of an ASGI server."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, site: Site) -> None:
        self._transport = scope.get("state", {}).get(_TRANSPORT)
        self._receive = receive
        self._send = send
        self._site = site
        self._is_deaf = False

    async def send(self, frame: str) -> None:
        """Send a text frame."""
        try:
            await self._send({"type": "websocket.send", "text": frame})
        except (RuntimeError, OSError) as error:
            raise SocketClosedError from error

    async def receive(self) -> str:
        """The next text frame; one is lost after a ping when the proxy is told to hang."""
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                raise SocketClosedError
            if event["type"] == _PING:
                self._is_deaf = self._site.policy.hang_after_ping
            elif event["type"] == "websocket.receive":
                if not self._is_deaf:
                    return str(
                        event.get("text") or (event.get("bytes") or b"").decode("utf-8", errors="replace")
                    )
                self._is_deaf = False

    async def close(self, code: int, reason: str) -> None:
        """Close with a code."""
        with contextlib.suppress(RuntimeError, OSError):
            await self._send({"type": "websocket.close", "code": code, "reason": reason})

    def cut(self) -> None:
        """Drop the connection without a close frame."""
        if isinstance(self._transport, asyncio.Transport):
            self._transport.abort()


def with_sockets(api: Application, site: Site, gate: WebGate, reception: Reception) -> Application:
    """An application that serves engine sockets itself and hands everything else on."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await api(scope, receive, send)
            return
        await receive()  # websocket.connect
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        query = scope.get("query_string", b"").decode("latin-1")
        path = scope.get("raw_path", b"").decode("latin-1") or scope["path"]
        outcome = gate.admit(f"{path}?{query}", headers)
        if isinstance(outcome, Refused):
            start = {"type": "websocket.http.response.start", "status": outcome.status, "headers": []}
            await send(start)
            await send({"type": "websocket.http.response.body", "body": outcome.reason.encode()})
            return
        cookie = outcome.session.cookie if outcome.session is not None and outcome.is_new else ""
        given = [(b"set-cookie", f"{cookie}; Path=/; HttpOnly".encode())] if cookie else []
        await send({"type": "websocket.accept", "headers": given})
        await reception.serve(outcome, AsgiSocket(scope, receive, send, site), headers.get("user-agent", ""))

    return application
