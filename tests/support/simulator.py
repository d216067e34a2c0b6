"""A raw client for tests of the simulator: frames and nothing else, each judged by Qlik's own description."""

import asyncio
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
from websockets.asyncio.client import ClientConnection, connect

from qlik_simulator.app import Running
from support.openrpc import FrameJudge, description_path, openrpc
from support.qix_frames import WRONG_ON_PURPOSE

Json = dict[str, Any]
FLIGHTS: Final = "3b1c6a52-9f0d-4c9e-8a0b-f11640201301"
USER: Final = "UserDirectory=INTERNAL; UserId=sa_engine"
XRFKEY: Final = "0123456789abcdef"


class RpcError(Exception):
    """An error reply."""

    def __init__(self, error: Json) -> None:
        self.code: int = error["code"]
        self.parameter: str = error["parameter"]
        super().__init__(f"{error['code']} {error['message']}: {error['parameter']}")


class Rpc:
    """One engine socket. Every frame of it is judged where the description is at hand."""

    def __init__(self, socket: ClientConnection, *, judged: bool = True) -> None:
        self.socket = socket
        self.notifications: list[Json] = []
        self.pushes: list[Json] = []
        self.last: Json = {}
        self._ids = itertools.count(1)
        self._replies: dict[int, Json] = {}
        self.judge = FrameJudge(openrpc()) if judged and description_path().exists() else None

    async def post(self, handle: int, method: str, *params: Any, delta: bool = False) -> int:
        """Send a request without waiting; gives its id."""
        request_id = next(self._ids)
        request = {
            "jsonrpc": "2.0",
            "id": request_id,
            "handle": handle,
            "method": method,
            "params": list(params),
            "delta": delta,
        }
        frame = json.dumps(request)
        if self.judge is not None:
            self.judge.sent(frame)
        await self.socket.send(frame)
        return request_id

    async def reply(self, request_id: int, seconds: float = 20.0) -> Json:
        """The result of a request. Raises `RpcError`."""
        while request_id not in self._replies:
            await self.read(seconds)
        frame = self.last = self._replies.pop(request_id)
        if "error" in frame:
            raise RpcError(frame["error"])
        result: Json = frame["result"]
        return result

    async def read(self, seconds: float = 20.0) -> Json:
        """The next frame, whatever it is."""
        async with asyncio.timeout(seconds):
            text = await self.socket.recv()
        frame: Json = json.loads(text)
        if self.judge is not None:
            self.judge.received(str(text))
        if "method" in frame:
            self.notifications.append(frame)
        elif "id" in frame:
            self._replies[frame["id"]] = frame
        else:
            self.pushes.append(frame)
        return frame

    async def call(self, handle: int, method: str, *params: Any, delta: bool = False) -> Json:
        """Send a request and wait for its result. Raises `RpcError`."""
        return await self.reply(await self.post(handle, method, *params, delta=delta))

    async def handle(self, handle: int, method: str, *params: Any) -> int:
        """Call a method that gives an object; its handle."""
        found: int = (await self.call(handle, method, *params))["qReturn"]["qHandle"]
        return found

    async def open(self, app: str = FLIGHTS) -> int:
        """Open an app; its handle."""
        return await self.handle(-1, "OpenDoc", app)

    async def cube(self, doc: int, dimensions: list[Any], measures: list[Any], **more: Any) -> Json:
        """The layout of a session cube with all of its rows."""
        definition = cube_definition(dimensions, measures, **more)
        made = await self.handle(
            doc, "CreateSessionObject", {"qInfo": {"qType": "t"}, "qHyperCubeDef": definition}
        )
        layout: Json = (await self.call(made, "GetLayout"))["qLayout"]["qHyperCube"]
        return layout

    async def select(self, doc: int, field: str, *values: str | float) -> bool:
        """Select values of a field by text, or by number where one is given."""
        found = await self.handle(doc, "GetField", field)
        wanted = [
            {"qText": value} if isinstance(value, str) else {"qIsNumeric": True, "qNumber": value}
            for value in values
        ]
        done: bool = (await self.call(found, "SelectValues", wanted))["qReturn"]
        return done

    async def selections(self, doc: int) -> dict[str, Json]:
        """The current selections by field."""
        properties = {"qInfo": {"qType": "SelectionObject"}, "qSelectionObjectDef": {}}
        made = await self.handle(doc, "CreateSessionObject", properties)
        layout = (await self.call(made, "GetLayout"))["qLayout"]["qSelectionObject"]
        return {entry["qField"]: entry for entry in layout["qSelections"]}


def cube_definition(dimensions: list[Any], measures: list[Any], **more: Any) -> Json:
    """A ``HyperCubeDef`` from field names and expressions (or ready definitions)."""
    width = max(len(dimensions) + len(measures), 1)
    return {
        "qDimensions": [
            {"qDef": {"qFieldDefs": [entry], "qSortCriterias": [{"qSortByNumeric": 1, "qSortByAscii": 1}]}}
            if isinstance(entry, str)
            else entry
            for entry in dimensions
        ],
        "qMeasures": [{"qDef": {"qDef": entry}} if isinstance(entry, str) else entry for entry in measures],
        "qInitialDataFetch": [{"qLeft": 0, "qTop": 0, "qWidth": width, "qHeight": 10_000 // width}],
        **more,
    }


def rows(cube: Json) -> list[list[Any]]:
    """The cells of the first page of a cube: texts for dimensions, numbers for measures."""
    count = len(cube["qDimensionInfo"])
    return [
        [cell["qText"] if index < count else cell["qNum"] for index, cell in enumerate(row)]
        for row in cube["qDataPages"][0]["qMatrix"]
    ]


@asynccontextmanager
async def engine(
    simulator: Running,
    app: str = FLIGHTS,
    *,
    identity: str | None = None,
    ttl: str = "/ttl/0",
    headers: Mapping[str, str] | None = None,
    judged: bool = True,
) -> AsyncIterator[Rpc]:
    """A socket to the simulator, greeted; its own session unless ``identity`` says otherwise."""
    token = uuid.uuid4().hex if identity is None else identity
    url = (
        f"ws://{simulator.host}:{simulator.engine_port}/app/{app}{f'/identity/{token}' if token else ''}{ttl}"
    )
    sent = {"X-Qlik-User": USER} if headers is None else dict(headers)
    async with connect(
        url,
        additional_headers=sent,
        user_agent_header="raw test client" if judged else WRONG_ON_PURPOSE,
        max_size=None,
        ping_interval=None,
        compression=None,
    ) as socket:
        rpc = Rpc(socket, judged=judged)
        await rpc.read()
        yield rpc
        if rpc.judge is not None:
            assert not rpc.judge.complaints, "\n".join(rpc.judge.complaints[:20])


@asynccontextmanager
async def http(
    simulator: Running, headers: Mapping[str, str] | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the repository and of the control API, with the xrfkey in place."""
    sent = {"X-Qlik-Xrfkey": XRFKEY, "X-Qlik-User": USER} if headers is None else dict(headers)
    url = f"http://{simulator.host}:{simulator.http_port}"
    async with httpx.AsyncClient(base_url=url, headers=sent, params={"xrfkey": XRFKEY}) as client:
        yield client
