"""Faults on command: each of them really happens, where it was ordered, as often as it was ordered."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from qlik_simulator.app import Running
from support.simulator import FLIGHTS, USER, Json, RpcError, cube_definition, engine, http
from support.waiting import until

pytestmark = pytest.mark.integration
PAGE = [{"qLeft": 0, "qTop": 0, "qWidth": 2, "qHeight": 5}]


async def order(simulator: Running, place: str, **fault: object) -> None:
    async with http(simulator) as client:
        answer = await client.post("/_sim/fault", json={"place": place, "fault": fault})
        assert answer.status_code == 201, answer.text


async def test_drop_cuts_the_socket_without_a_close_frame(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        await order(simulator, "engine", kind="drop", method="OpenDoc")
        with pytest.raises(ConnectionClosedError) as failure:
            await rpc.open()
        assert failure.value.rcvd is None


async def test_stall_never_answers_but_the_socket_lives(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        await order(simulator, "engine", kind="stall", method="OpenDoc")
        waiting = await rpc.post(-1, "OpenDoc", FLIGHTS)
        with pytest.raises(TimeoutError):
            await rpc.reply(waiting, 0.1)
        assert (await rpc.call(-1, "EngineVersion"))["qVersion"]


async def test_a_late_reply_comes_after_later_ones(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        await order(simulator, "engine", kind="late", method="EngineVersion", seconds=0.2)
        late = await rpc.post(-1, "EngineVersion")
        soon = await rpc.post(-1, "GetAuthenticatedUser")
        assert (await rpc.read())["id"] == soon
        assert (await rpc.read())["id"] == late


async def test_a_malformed_frame_is_no_json(simulator: Running) -> None:
    async with engine(simulator, judged=False) as rpc:
        await order(simulator, "engine", kind="malformed", method="EngineVersion")
        await rpc.post(-1, "EngineVersion")
        with pytest.raises(json.JSONDecodeError):
            await rpc.read()


async def test_paging_can_be_aborted_at_a_page(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        properties = {"qInfo": {"qType": "t"}, "qHyperCubeDef": cube_definition(["dest"], ["Count(flight)"])}
        made = await rpc.handle(doc, "CreateSessionObject", properties)
        await order(simulator, "engine", kind="error", method="GetHyperCubeData", after=2)
        for _ in range(2):
            await rpc.call(made, "GetHyperCubeData", "/qHyperCubeDef", PAGE)
        with pytest.raises(RpcError) as failure:
            await rpc.call(made, "GetHyperCubeData", "/qHyperCubeDef", PAGE)
        assert failure.value.code == 15
        await rpc.call(made, "GetHyperCubeData", "/qHyperCubeDef", PAGE)


async def test_a_reload_between_two_pages_shows_in_the_change_list(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        properties = {"qInfo": {"qType": "t"}, "qHyperCubeDef": cube_definition(["dest"], ["Count(flight)"])}
        made = await rpc.handle(doc, "CreateSessionObject", properties)
        before = simulator.site.apps[FLIGHTS].last_reload_time
        await order(simulator, "engine", kind="reload", method="GetHyperCubeData", after=1)
        await rpc.call(made, "GetHyperCubeData", "/qHyperCubeDef", PAGE)
        assert "change" not in rpc.last
        await rpc.call(made, "GetHyperCubeData", "/qHyperCubeDef", PAGE)
        assert made in rpc.last["change"]
        assert simulator.site.apps[FLIGHTS].last_reload_time > before


@pytest.mark.parametrize("code", [4001, 4002, 4003, 4004, 4005, 4006, 4007])
async def test_every_close_code_can_be_ordered(simulator: Running, code: int) -> None:
    async with engine(simulator) as rpc:
        await order(simulator, "engine", kind="close", method="EngineVersion", code=code)
        with pytest.raises(ConnectionClosed) as failure:
            await rpc.call(-1, "EngineVersion")
        assert failure.value.rcvd is not None
        assert failure.value.rcvd.code == code


async def test_sessions_can_be_ended_from_outside(simulator: Running) -> None:
    async with engine(simulator) as rpc, http(simulator) as client:
        await rpc.open()
        assert (await client.post("/_sim/end-sessions", json={"code": 4004})).json()["ended"] >= 1
        with pytest.raises(ConnectionClosed) as failure:
            await rpc.read()
        assert failure.value.rcvd is not None
        assert failure.value.rcvd.code == 4004


async def test_too_many_requests_at_opening(simulator: Running) -> None:
    await order(simulator, "greeting", kind="close", code=4205)
    with pytest.raises(ConnectionClosed) as failure:
        async with engine(simulator):
            pass
    assert failure.value.rcvd is not None
    assert failure.value.rcvd.code == 4205


@pytest.mark.parametrize("status", [400, 401, 403, 503])
async def test_an_upgrade_can_be_refused(simulator: Running, status: int) -> None:
    await order(simulator, "upgrade", kind="refuse", code=status)
    with pytest.raises(InvalidStatus) as failure:
        async with engine(simulator):
            pass
    assert failure.value.response.status_code == status


async def test_greetings_can_fail(simulator: Running) -> None:
    await order(simulator, "greeting", kind="state", topic="SESSION_ERROR_NO_LICENSE")
    async with engine(simulator) as rpc:
        assert rpc.notifications[0]["params"]["qSessionState"] == "SESSION_ERROR_NO_LICENSE"
    await order(simulator, "greeting", kind="notify", topic="OnEngineWebsocketFailed")
    async with engine(simulator) as rpc:
        assert rpc.notifications[0]["method"] == "OnEngineWebsocketFailed"
        with pytest.raises(ConnectionClosed):
            await rpc.read()
    await order(simulator, "greeting", kind="silent")
    url = f"ws://127.0.0.1:{simulator.engine_port}/app/{FLIGHTS}/identity/silent/ttl/0"
    async with connect(url, additional_headers={"X-Qlik-User": USER}) as socket:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await socket.recv()


async def test_a_fault_hits_only_the_user_it_is_meant_for(simulator: Running) -> None:
    await order(simulator, "engine", kind="error", method="EngineVersion", user="DOMAIN\\victim")
    async with engine(simulator) as rpc:
        await rpc.call(-1, "EngineVersion")
    victim = {"X-Qlik-User": "UserDirectory=DOMAIN; UserId=victim"}
    async with engine(simulator, headers=victim) as rpc:
        with pytest.raises(RpcError):
            await rpc.call(-1, "EngineVersion")


async def test_an_open_is_refused_while_the_app_is_reloaded(simulator: Running) -> None:
    async with http(simulator) as client, engine(simulator) as rpc:
        command: Json = {"app_id": FLIGHTS, "seconds": 0.3}
        running = asyncio.create_task(client.post("/_sim/reload", json=command))
        await until(lambda: FLIGHTS in simulator.site.reloading, every=0.01, what="the reload")
        with pytest.raises(RpcError) as failure:
            await rpc.open()
        assert failure.value.code == 11000
        await running
        await rpc.open()
