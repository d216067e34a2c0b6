"""JSON-RPC 2.0 over one web socket to a QIX engine: matching by id, push, keep-alive, and a typed end.

One `EngineConnection` is one engine session. It is never resumed: selections are part of a report's result,
so a lost socket fails the step and the job starts again in a clean session.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import (
    ConnectionClosed,
)

from qlik import greeting
from qlik.bulk import without_collector
from qlik.errors import Aborted, ConfigurationError, ProtocolError, QlikError, Transient, engine_error
from qlik.site import Limits
from qlik.upgrade import Upgrade, connect_here

log = structlog.get_logger(__name__)

GLOBAL = -1

# Error 15 is meant to be retried for these; not for paging calls, because after it the cube is another one.
_RETRY_ABORTED = ("Get", "Create", "OpenDoc", "Evaluate", "CheckExpression", "ExpandExpression")
_NO_RETRY_ABORTED = ("GetHyperCube", "GetListObject")
_ABORT_TRIES = 3  # gopherciser and the enigma.js example try up to three times
_MODAL = 6003
_NOT_FOUND = 2
_BY_US = "closed-by-us"


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """An engine object in this session, from an ObjectInterface."""

    handle: int
    type: str = ""
    id: str = ""


class EngineConnection:
    """One open socket. Build it with `open`, end it with `aclose`."""

    def __init__(self, socket: ClientConnection, limits: Limits) -> None:
        self._socket = socket
        self._limits = limits
        self._ids = iter(range(1, 2**53))  # ids are never reused: a late reply must find nobody
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._slots = asyncio.Semaphore(limits.calls_in_flight)
        self._versions: defaultdict[int, int] = defaultdict(int)
        self._gone: set[int] = set()
        self._greeting: asyncio.Future[greeting.Outcome] = asyncio.get_running_loop().create_future()
        self._end: QlikError | None = None
        self._last_traffic = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self.doc: ObjectRef | None = None  # set once an app is open; selection dialogs belong to it

    @classmethod
    async def open(cls, upgrade: Upgrade, limits: Limits) -> Self:
        """Connect and wait for the greeting, both within `connect_s` seconds.

        Raises:
            PermissionDenied, SiteBusy, ConfigurationError, Transient: as the upgrade answer or greeting says.

        """
        try:
            async with asyncio.timeout(limits.connect_s):
                socket = await connect_here(upgrade, limits)
                connection = cls(socket, limits)
                try:
                    await connection._start()
                except BaseException:
                    await connection.aclose()
                    raise
                return connection
        except TimeoutError:
            raise Transient(
                f"No greeting from the engine within {limits.connect_s:g} s",
                code="connect-timeout",
                remedy="Check the address and that the engine runs; raise connect_s for a slow start.",
            ) from None

    @property
    def attached(self) -> bool:
        """Whether the engine joined us to a session that was there before."""
        return self._greeting.done() and self._greeting.result() == "attached"

    @property
    def ended(self) -> QlikError | None:
        """Why the connection is over; None while it is open."""
        return self._end

    def version(self, handle: int) -> int:
        """A number that grows whenever the engine says that this handle's layout is no longer valid."""
        return self._versions[handle]

    async def call(
        self, handle: int, method: str, *params: Any, within_s: float | None = None
    ) -> dict[str, Any]:
        """Send a request and return its `result`.

        Calls that only read are sent again when the engine answers 15 (aborted), and any call once after an
        open selection dialog was closed (6003). Paging calls are not repeated: after an abort the cube is
        another one.

        Raises:
            QlikError: the class the engine's code belongs to; Transient when the answer takes longer than
                `within_s` (default `call_s`) seconds, after which the engine is told to cancel it.

        """
        tries = _ABORT_TRIES if _repeatable(method) else 1
        modal_closed = False
        while True:
            try:
                return await self._call_once(handle, method, params, within_s or self._limits.call_s)
            except Aborted:
                tries -= 1
                if tries <= 0:
                    raise
            except QlikError as error:
                if error.code != _MODAL or modal_closed or self.doc is None:
                    raise
                modal_closed = True
                await self._call_once(self.doc.handle, "AbortModal", (False,), self._limits.call_s)

    async def call_object(
        self, handle: int, method: str, *params: Any, missing: str, within_s: float | None = None
    ) -> ObjectRef:
        """A call that answers an ObjectInterface.

        Nothing found is no error to the engine, so it is made one here.

        Raises:
            ConfigurationError: with the text `missing`, when the engine answers an empty handle.

        """
        try:
            result = await self.call(handle, method, *params, within_s=within_s)
        except ConfigurationError as error:
            if error.code != _NOT_FOUND:
                raise
            raise ConfigurationError(missing, code=_NOT_FOUND) from None
        found = result.get("qReturn") or {}
        number = found.get("qHandle")
        if not isinstance(number, int):
            raise ConfigurationError(missing, code=_NOT_FOUND)
        self._versions.pop(number, None)
        self._gone.discard(number)
        return ObjectRef(
            number,
            str(found.get("qGenericType") or found.get("qType") or ""),
            str(found.get("qGenericId") or ""),
        )

    async def post(self, handle: int, method: str, *params: Any) -> None:
        """Send a request whose answer nobody needs; never raises."""
        if self._end is None:
            with contextlib.suppress(QlikError):
                await self._send(next(self._ids), handle, method, params)

    async def survives_ping(self, *, within_s: float) -> bool:
        """Send one protocol-level ping, and return whether the next call is still answered in time.

        For checks: behind some proxies it is not, and then this connection is of no more use.
        """
        try:
            await self._socket.ping()
            await self._call_once(GLOBAL, "EngineVersion", (), within_s)
        except (Transient, ConnectionClosed):
            return False
        return True

    async def aclose(self) -> None:
        """Close the socket; waiting calls fail with Transient.

        Never raises, never takes longer than two seconds.
        """
        self._finish(Transient("The connection was closed by us", code=_BY_US))
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(
                self._socket.close(), timeout=2
            )  # a dead peer must not hold up a job's end
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- inside -------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        self._touch()
        self._tasks.append(asyncio.create_task(self._read(), name="qlik-read"))
        await asyncio.shield(self._greeting)
        # gopherciser's order: greeting first, then a cheap call that only a live engine answers
        await self._call_once(GLOBAL, "EngineVersion", (), self._limits.connect_s)
        self._tasks.append(asyncio.create_task(self._keep_alive(), name="qlik-keep-alive"))

    async def _call_once(
        self, handle: int, method: str, params: Sequence[Any], within_s: float
    ) -> dict[str, Any]:
        async with self._slots:
            if self._end is not None:
                raise self._end
            if handle in self._gone:
                raise Aborted(f"{method}: the engine has closed this object", code="handle-closed")
            number = next(self._ids)
            reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
            self._waiting[number] = reply
            try:
                await self._send(number, handle, method, params)
                async with asyncio.timeout(within_s):
                    frame = await reply
            except TimeoutError:
                await self._cancel(number)
                raise Transient(
                    f"{method} took longer than {within_s:g} s",
                    code="call-timeout",
                    remedy="Narrow the report with filters, or raise call_s (open_s for opening an app).",
                ) from None
            except asyncio.CancelledError:
                await self._cancel(number)
                raise
            finally:
                self._waiting.pop(number, None)
        error = frame.get("error")
        if error is not None:
            raise engine_error(error if isinstance(error, dict) else {}, doing=method)
        result = frame.get("result")
        if not isinstance(result, dict):
            raise ProtocolError(f"{method}: the reply has neither a result nor an error", code="no-result")
        return result

    async def _send(self, number: int, handle: int, method: str, params: Sequence[Any]) -> None:
        request = {
            "jsonrpc": "2.0",
            "id": number,
            "handle": handle,
            "method": method,
            "params": list(params),
            "delta": False,
        }
        self._touch()
        try:
            await self._socket.send(json.dumps(request))
        except ConnectionClosed as closed:
            raise self._finish(_lost(closed, greeted=self._greeting.done())) from None

    async def _cancel(self, number: int) -> None:
        """Tell the engine not to go on with a call nobody waits for; its late reply finds no taker."""
        await self.post(GLOBAL, "CancelRequest", number)

    async def _read(self) -> None:
        try:
            async for text in self._socket:
                self._touch()
                self._take(text)
            self._finish(
                greeting.closed(
                    self._socket.close_code, self._socket.close_reason or "", greeted=self._greeted()
                )
            )
        except ConnectionClosed as closed:
            self._finish(_lost(closed, greeted=self._greeted()))
        except QlikError as error:
            self._finish(error)
        except Exception as error:  # noqa: BLE001 - whatever a hostile frame does, callers get a typed end
            self._finish(ProtocolError(f"A frame of the engine could not be read: {type(error).__name__}"))
        finally:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._socket.close(), timeout=2)

    def _take(self, text: str | bytes) -> None:
        try:
            with without_collector():
                frame = json.loads(text)
        except (ValueError, RecursionError):
            raise ProtocolError("The engine sent a frame that is no JSON", code="not-json") from None
        if not isinstance(frame, dict):
            raise ProtocolError("The engine sent a frame that is no object", code="not-an-object")
        for handle in _handles(frame.get("change")):
            self._versions[handle] += 1
        for handle in (*_handles(frame.get("close")), *_handles(frame.get("suspend"))):
            self._versions[handle] += 1
            self._gone.add(handle)
        number = frame.get("id")
        if isinstance(number, int):
            waiting = self._waiting.pop(number, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)
            return
        method = frame.get("method")
        if isinstance(method, str):
            params = frame.get("params")
            self._notified(method, params if isinstance(params, dict) else {})
        elif "error" in frame and isinstance(frame["error"], dict):
            raise engine_error(frame["error"], doing="A request")

    def _notified(self, method: str, params: Mapping[str, Any]) -> None:
        if self._greeting.done():
            error = greeting.fatal(method, params)
            if error is not None:
                raise error
            return
        outcome = greeting.read(method, params)
        if isinstance(outcome, QlikError):
            raise outcome
        if outcome != "waiting":
            self._greeting.set_result(outcome)

    def _finish(self, error: QlikError) -> QlikError:
        """Record why it is over, the first reason wins, and tell everybody who waits."""
        if self._end is None:
            self._end = error
            if error.code != _BY_US:
                log.info("qlik connection lost", code=error.code, reason=error.message)
        for waiting in list(self._waiting.values()):
            if not waiting.done():
                waiting.set_exception(self._end)
        if not self._greeting.done():
            self._greeting.set_exception(self._end)
            self._greeting.exception()  # seen: nobody may be waiting any more
        return self._end

    async def _keep_alive(self) -> None:
        """A cheap call after a quiet time.

        Protocol pings are off: behind a proxy the next request was seen to hang.
        """
        loop = asyncio.get_running_loop()
        while self._end is None:
            quiet = loop.time() - self._last_traffic
            if quiet < self._limits.keep_alive_s:
                await asyncio.sleep(self._limits.keep_alive_s - quiet)
                continue
            number = next(self._ids)
            reply: asyncio.Future[dict[str, Any]] = loop.create_future()
            self._waiting[number] = reply
            try:
                await self._send(number, GLOBAL, "EngineVersion", ())
                # while the engine calculates for another call it may answer late: then that call's limit
                # decides
                async with asyncio.timeout(self._limits.call_s):
                    await reply
            except TimeoutError:
                self._finish(Transient("The engine no longer answers", code="keep-alive"))
            except QlikError:
                return
            finally:
                self._waiting.pop(number, None)

    def _touch(self) -> None:
        self._last_traffic = asyncio.get_running_loop().time()

    def _greeted(self) -> bool:
        return self._greeting.done() and not self._greeting.cancelled() and self._greeting.exception() is None


def _repeatable(method: str) -> bool:
    return method.startswith(_RETRY_ABORTED) and not method.startswith(_NO_RETRY_ABORTED)


def _handles(raw: object) -> list[int]:
    return [item for item in raw if isinstance(item, int)] if isinstance(raw, list) else []


def _lost(closed: ConnectionClosed, *, greeted: bool) -> QlikError:
    frame = closed.rcvd or closed.sent
    return greeting.closed(frame.code if frame else None, frame.reason if frame else "", greeted=greeted)
