"""One socket: frames in, frames out.

The JSON-RPC envelope, handles, delta, change and close lists, aborts.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

import orjson

from qlik_simulator.domain.delta import difference, whole
from qlik_simulator.domain.errors import Code, QixError
from qlik_simulator.engine import (
    bookmarks,
    doc_methods,
    field_methods,
    global_methods,
    library_methods,
    object_methods,
    variable_methods,
)
from qlik_simulator.engine.calls import Call, Method, Target
from qlik_simulator.engine.session import EngineSession
from qlik_simulator.faults import Fault
from qlik_simulator.recording import SocketRecord
from qlik_simulator.site import Site

Json = dict[str, Any]
_LOG: Final = logging.getLogger(__name__)
METHODS: Final[dict[str, dict[str, Method]]] = {
    "Global": global_methods.METHODS,
    "Doc": doc_methods.METHODS,
    "Field": field_methods.FIELD_METHODS,
    "GenericObject": object_methods.METHODS,
    "GenericVariable": variable_methods.VARIABLE_METHODS,
    "GenericBookmark": bookmarks.METHODS,
    "GenericDimension": library_methods.DIMENSION_METHODS,
    "GenericMeasure": library_methods.MEASURE_METHODS,
}
_CHANGING: Final = frozenset({"Doc", "GenericObject", "GenericVariable"})  # what is told about changes
_NO_DELTA: Final = frozenset({"GetProperties", "GetFullPropertyTree"})  # clients ask for these without delta


class SocketClosedError(Exception):
    """The other side is gone."""


class Socket(Protocol):
    """A WebSocket, whoever serves it."""

    async def send(self, frame: str) -> None:
        """Send a text frame. Raises `SocketClosedError`."""

    async def receive(self) -> str:
        """The next text frame. Raises `SocketClosedError`."""

    async def close(self, code: int, reason: str) -> None:
        """Close with a code."""

    def cut(self) -> None:
        """Drop the connection without a close frame."""


class Connection:
    """Serves one socket of a session until either side closes it."""

    def __init__(
        self,
        site: Site,
        session: EngineSession,
        socket: Socket,
        reload: Callable[[str], None],
        record: SocketRecord,
    ) -> None:
        self._site = site
        self._session = session
        self._socket = socket
        self._reload = reload
        self._record = record
        self._handles: dict[int, Target] = {-1: Target("Global")}
        self._by_target: dict[Target, int] = {}
        self._last_handle = 0
        self._known: dict[tuple[int, str, str], Any] = {}
        self._changed: set[int] = set()
        self._closed: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._outgoing: asyncio.Queue[str] = asyncio.Queue()

    # what methods use

    def give(self, target: Target) -> Json:
        """The ``ObjectInterface`` of a target, with the same handle every time."""
        handle = self._by_target.get(target)
        if handle is None:
            self._last_handle += 1
            handle = self._last_handle
            self._by_target[target] = handle
            self._handles[handle] = target
        interface: Json = {"qType": target.kind, "qHandle": handle}
        if target.type:
            interface["qGenericType"] = target.type
        if target.id and target.kind != "Field":
            interface["qGenericId"] = target.id
        return interface

    def release(self, object_ids: set[str]) -> None:
        """Objects are gone; their handles are reported as closed."""
        for handle, target in list(self._handles.items()):
            if target.id in object_ids and target.kind not in {"Doc", "Field"}:
                self._forget(handle)
                self._closed.add(handle)

    def _forget(self, handle: int) -> None:
        target = self._handles.pop(handle)
        self._by_target.pop(target, None)
        self._known = {key: value for key, value in self._known.items() if key[0] != handle}

    def _mark_changed(self) -> None:
        self._changed |= {handle for handle, target in self._handles.items() if target.kind in _CHANGING}

    def _state_changed(self) -> None:
        self._mark_changed()
        self._session.changed(self)

    # what the session uses

    def push_changes(self) -> None:
        """Somebody else changed the session: say so without being asked."""
        self._mark_changed()
        self._post({"jsonrpc": "2.0", **self._lists()})

    def end(self, code: int, reason: str) -> None:
        """Close the socket."""
        self._spawn(self._close(code, reason))

    def cut(self) -> None:
        """Drop the connection without a close frame."""
        self._socket.cut()

    def notify(self, topic: str, params: Json) -> None:
        """Send a notification."""
        self._post({"jsonrpc": "2.0", "method": topic, "params": params})

    # the loop

    async def serve(self) -> None:
        """Answer requests until the socket is closed."""
        sender = asyncio.create_task(self._send_all())
        try:
            with contextlib.suppress(SocketClosedError):
                while True:
                    self._accept(await self._socket.receive())
        finally:
            sender.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(sender, *self._tasks, return_exceptions=True)

    async def flush(self) -> None:
        """Wait until everything that was posted is sent."""
        await self._outgoing.join()

    async def _send_all(self) -> None:
        while True:
            frame = await self._outgoing.get()
            try:
                await self._socket.send(frame)
            except SocketClosedError:
                return
            finally:
                self._outgoing.task_done()

    async def _close(self, code: int, reason: str) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._outgoing.join(), timeout=1.0)
        await self._socket.close(code, reason)

    def _post(self, frame: Json) -> None:
        text = orjson.dumps(frame).decode()
        self._record.sent(frame, text)
        self._outgoing.put_nowait(text)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accept(self, frame: str) -> None:
        self._record.received(frame)
        try:
            request = json.loads(frame)
        except ValueError:
            self._fail(None, QixError(Code.PARSE_ERROR))
            return
        if not isinstance(request, dict) or not isinstance(request.get("method"), str) or "id" not in request:
            self._fail(
                request.get("id") if isinstance(request, dict) else None, QixError(Code.INVALID_REQUEST)
            )
            return
        fault = self._site.faults.take("engine", request["method"], self._session.key.user)
        if fault is not None:
            self._misbehave(fault, request)
            return
        self._answer(request)

    def _answer(self, request: Json) -> None:
        try:
            call, method = self._resolve(request)
            version = self._session.version
            outcome = method.run(call)
        except QixError as error:
            self._fail(request["id"], error)
        except Exception:  # noqa: BLE001 - a bug in one method must not end the socket
            _LOG.exception("a request failed: %s", request.get("method"))
            self._fail(request["id"], QixError(Code.RPC_INTERNAL))
        else:
            if callable(outcome):
                self._spawn(self._work(request, outcome, version))
            else:
                self._reply(request, outcome)

    def _resolve(self, request: Json) -> tuple[Call, Method]:
        target = self._handles.get(request.get("handle", -1))
        if target is None:
            raise QixError(
                Code.INVALID_PARAMETERS, f"there is no handle {request.get('handle')}", "Invalid handle"
            )
        method = METHODS[target.kind].get(request["method"])
        if method is None:
            raise QixError(Code.METHOD_NOT_FOUND, request["method"])
        params = method.arguments(request.get("params", []))
        return Call(self._site, self._session, self, target, params, self._state_changed), method

    async def _work(self, request: Json, work: Callable[[], Json], version: int) -> None:
        try:
            result = await asyncio.to_thread(work)
        except QixError as error:
            self._fail(request["id"], error)
        except Exception:  # noqa: BLE001 - as above
            _LOG.exception("a calculation failed: %s", request.get("method"))
            self._fail(request["id"], QixError(Code.RPC_INTERNAL))
        else:
            if self._session.version != version or request["id"] in self._session.aborted:
                self._session.aborted.discard(request["id"])
                self._fail(request["id"], QixError(Code.ABORTED, "Failure"))
            else:
                self._reply(request, result)

    def _lists(self) -> Json:
        lists: Json = {}
        if self._changed:
            lists["change"] = sorted(self._changed & set(self._handles))
        if self._closed:
            lists["close"] = sorted(self._closed)
        self._changed, self._closed = set(), set()
        return lists

    def _reply(self, request: Json, result: Json) -> None:
        frame: Json = {"jsonrpc": "2.0", "id": request["id"]}
        if request.get("delta") is True and request["method"] not in _NO_DELTA:
            frame["delta"] = True
            frame["result"] = {name: self._patches(request, name, value) for name, value in result.items()}
        else:
            frame["result"] = result
        self._post({**frame, **self._lists()})

    def _patches(self, request: Json, name: str, value: Any) -> list[Json]:
        key = (int(request.get("handle", -1)), str(request["method"]), name)
        before = self._known.get(key)
        self._known[key] = value
        return whole(value) if before is None else difference(before, value)

    def _fail(self, request_id: Any, error: QixError) -> None:
        body: Json = {"code": int(error.code), "parameter": error.parameter, "message": error.message}
        self._post({"jsonrpc": "2.0", "id": request_id, "error": body, **self._lists()})

    # faults on command

    def _misbehave(self, fault: Fault, request: Json) -> None:
        match fault.kind:
            case "drop":
                self._socket.cut()
            case "stall":
                pass
            case "late":
                self._spawn(self._later(fault.seconds, request))
            case "malformed":
                broken = '{"jsonrpc":"2.0","id":' + json.dumps(request["id"]) + ',"result":{"qRet'
                self._record.broken(broken)
                self._outgoing.put_nowait(broken)
            case "close":
                self._spawn(self._close(fault.code, fault.topic))
            case "notify":
                self.notify(fault.topic, {"severity": "fatal", "message": fault.topic})
                self._spawn(self._close(1000, ""))
            case "reload":
                if self._session.document is not None:
                    self._reload(self._session.document.app.id)
                self._state_changed()
                self._answer(request)
            case _:
                self._fail(request["id"], QixError(fault.code, "Failure"))

    async def _later(self, seconds: float, request: Json) -> None:
        await asyncio.sleep(seconds)
        self._answer(request)
