"""A web socket server that plays an engine by script, for frames that no simulator should produce."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Event

CONNECTED = {"jsonrpc": "2.0", "method": "OnConnected", "params": {"qSessionState": "SESSION_CREATED"}}

Handler = Callable[[dict[str, Any]], Any]


class _Counting(ServerConnection):
    """Counts the pings that come."""

    pings = 0

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.opcode is Opcode.PING:
            _Counting.pings += 1
        super().process_event(event)


class ScriptedEngine:
    """Answers by method name.

    An answer is a result, a full frame (with `frame`), raw text, a coroutine, or None for silence. `requests`
    holds every request in the order of arrival, `greeting` the frames sent first, `refuse` an HTTP answer in
    place of the upgrade.
    """

    def __init__(self) -> None:
        self.greeting: list[Any] = [CONNECTED]
        self.close_after_greeting: tuple[int, str] | None = None
        self.refuse: Response | None = None
        self.answers: dict[str, Handler | dict[str, Any]] = {
            "EngineVersion": {"qVersion": {"qComponentVersion": "12.2528.0"}},
            "OpenDoc": {"qReturn": {"qType": "Doc", "qHandle": 1, "qGenericId": "app"}},
            "GetAppLayout": {
                "qLayout": {"qTitle": "App", "qHasData": True, "qLastReloadTime": "2024-05-01T10:00:00.000Z"}
            },
            "CheckExpression": {"qErrorMsg": "", "qBadFieldNames": [], "qDangerousFieldNames": []},
            "ClearAll": {},
        }
        self.requests: list[dict[str, Any]] = []
        self.upgrades: list[Request] = []
        self.sockets: list[ServerConnection] = []
        self.port = 0
        self._pings_before = _Counting.pings
        self._running: set[asyncio.Task[None]] = set()

    @property
    def pings(self) -> int:
        """How many protocol-level pings have come since this engine was made."""
        return _Counting.pings - self._pings_before

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def methods(self) -> list[str]:
        return [request["method"] for request in self.requests]

    async def push(self, frame: Any) -> None:
        """Send a frame to every client, unasked."""
        for socket in self.sockets:
            await socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def _serve(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        try:
            for frame in self.greeting:
                await socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))
            if self.close_after_greeting is not None:
                await socket.close(*self.close_after_greeting)
                return
            async for text in socket:
                task = asyncio.create_task(self._answer(socket, json.loads(text)))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        except ConnectionClosed:
            pass

    async def _answer(self, socket: ServerConnection, request: dict[str, Any]) -> None:
        self.requests.append(request)
        answer: Any = self.answers.get(request["method"], {})
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer is None:
            return
        try:
            if isinstance(answer, str | bytes):
                await socket.send(answer)
            elif "frame" in answer:
                await socket.send(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer["frame"]}))
            else:
                await socket.send(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": answer}))
        except ConnectionClosed:
            pass

    def _upgrade(self, socket: ServerConnection, request: Request) -> Response | None:
        self.upgrades.append(request)
        return self.refuse


@asynccontextmanager
async def scripted_engine() -> AsyncIterator[ScriptedEngine]:
    engine = ScriptedEngine()
    async with serve(
        engine._serve,
        "127.0.0.1",
        0,
        process_request=engine._upgrade,
        close_timeout=0.5,
        create_connection=_Counting,
    ) as server:
        engine.port = next(iter(server.sockets)).getsockname()[1]
        yield engine


def error(code: int, message: str = "said", parameter: str = "") -> dict[str, Any]:
    return {"frame": {"error": {"code": code, "message": message, "parameter": parameter}}}
