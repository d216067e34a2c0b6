"""The engine's own port: WebSocket only, as on port 4747 of a real site."""

import asyncio
import http
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from qlik_simulator.engine.connection import SocketClosedError
from qlik_simulator.engine.gate import DirectGate, Reception, Refused


class WebSocket:
    """The `Socket` of the ``websockets`` package."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def send(self, frame: str) -> None:
        """Send a text frame."""
        try:
            await self._connection.send(frame)
        except ConnectionClosed as error:
            raise SocketClosedError from error

    async def receive(self) -> str:
        """The next frame as text."""
        try:
            frame = await self._connection.recv()
        except ConnectionClosed as error:
            raise SocketClosedError from error
        return frame if isinstance(frame, str) else frame.decode("utf-8", errors="replace")

    async def close(self, code: int, reason: str) -> None:
        """Close with a code."""
        await self._connection.close(code, reason)

    def cut(self) -> None:
        """Drop the connection without a close frame."""
        self._connection.transport.abort()


async def start_engine(
    gate: DirectGate, reception: Reception, host: str, port: int, **options: Any
) -> Server:
    """Listen for engine sockets; ``options`` go to ``websockets`` (such as ``ssl``)."""

    async def process_request(connection: ServerConnection, request: Request) -> Response | None:
        outcome = gate.admit(
            request.path, {name.lower(): value for name, value in request.headers.raw_items()}
        )
        if isinstance(outcome, Refused):
            return connection.respond(http.HTTPStatus(outcome.status), outcome.reason + "\n")
        connection.admitted = outcome  # type: ignore[attr-defined]
        return None

    async def handle(connection: ServerConnection) -> None:
        agent = connection.request.headers.get("User-Agent", "") if connection.request else ""
        await reception.serve(connection.admitted, WebSocket(connection), agent)  # type: ignore[attr-defined]

    return await serve(
        handle,
        host,
        port,
        process_request=process_request,
        ping_interval=None,  # a real engine does not ping
        max_size=2**24,
        compression=None,  # on loopback it costs time and saves nothing
        **options,
    )


def bound_port(server: Server) -> int:
    """The port a server listens on."""
    socket = next(iter(server.sockets))
    port: int = socket.getsockname()[1]
    return port


async def stop_engine(server: Server) -> None:
    """Close every socket, then the port."""
    server.close()
    async with asyncio.timeout(5):
        await server.wait_closed()
