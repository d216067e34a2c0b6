"""Reloads are noticed on both kinds of site: by subscription, by polling, by webhook, and once each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from qlik import ApiKeyAuth, ConfigurationError, Limits, QlikClient, QlikSite, Transient
from qlik.webhooks import parse_qrs_changes
from support.qlik_site import FLIGHTS, SimulatedSite

pytestmark = pytest.mark.integration


@pytest.fixture
async def tenant(simulated: SimulatedSite) -> AsyncIterator[QlikClient]:
    site = QlikSite(
        kind="cloud",
        engine_url=simulated.http_url.replace("http", "ws"),
        tenant_url=simulated.http_url,
        auth=ApiKeyAuth(key=SecretStr("sim-api-key")),
        limits=Limits(connect_s=5),
    )
    async with QlikClient(site) as client:
        yield client


async def reload(site: SimulatedSite, **given: Any) -> Any:
    return await site.control("POST", "/_sim/reload", json={"app_id": FLIGHTS, **given})


async def test_executions_and_apps_are_found_by_polling_from_a_mark(simulated: SimulatedSite) -> None:
    mark = datetime.now(tz=UTC) - timedelta(seconds=1)
    good = await reload(simulated)
    bad = await reload(simulated, status="fail")
    async with simulated.client() as client:
        seen = {item.reload_id: item for item in await client.repository.executions_since(mark)}
        assert seen[good["execution_id"]].status == "succeeded"
        assert seen[bad["execution_id"]].status == "failed"
        assert seen[good["execution_id"]].app_id == FLIGHTS
        assert seen[good["execution_id"]].finished_at is not None
        (app,) = await client.repository.app_reload_times_since(mark)
        assert app.app_id == FLIGHTS
        later = datetime.now(tz=UTC) + timedelta(minutes=1)
        assert await client.repository.executions_since(later) == []
        assert await client.repository.app_reload_times_since(later) == []


async def test_a_reload_outside_the_scheduler_shows_on_the_app_only(simulated: SimulatedSite) -> None:
    mark = datetime.now(tz=UTC)
    await reload(simulated, with_task=False)
    async with simulated.client() as client:
        assert await client.repository.executions_since(mark) == []
        assert [item.app_id for item in await client.repository.app_reload_times_since(mark)] == [FLIGHTS]


async def test_a_callback_names_an_execution_that_is_then_read(simulated: SimulatedSite) -> None:
    bodies: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        bodies.put_nowait(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callback"
    async with server, simulated.client() as client:
        handle = await client.repository.subscribe("ExecutionResult", url)
        try:
            done = await reload(simulated)
            found = None
            async with asyncio.timeout(10):
                while found is None or not found.over:
                    (change, *_) = parse_qrs_changes(await bodies.get())
                    assert change.object_type == "ExecutionResult"
                    found = await client.repository.execution(change.object_id)
            assert (found.status, found.reload_id) == ("succeeded", done["execution_id"])
        finally:
            await client.repository.unsubscribe(handle)
        await client.repository.unsubscribe(handle)


@pytest.mark.parametrize("forged", ["../../qrs/app/full", "x?filter=1", "", "00000000"])
async def test_a_forged_id_of_a_callback_never_becomes_an_address(
    simulated: SimulatedSite, forged: str
) -> None:
    async with simulated.client() as client:
        with pytest.raises(ConfigurationError, match="not an id"):
            await client.repository.execution(forged)
        assert await client.repository.execution("00000000-1111-2222-3333-444444444444") is None


async def test_reloads_of_a_tenant_are_found_by_polling_and_by_id(
    simulated: SimulatedSite, tenant: QlikClient
) -> None:
    mark = datetime.now(tz=UTC) - timedelta(seconds=1)
    made = await reload(simulated)
    seen = await tenant.tenant.reloads_since(mark, app_id=FLIGHTS)
    assert made["cloud_reload_id"] in {item.reload_id for item in seen}
    one = await tenant.tenant.reload(made["cloud_reload_id"])
    assert one is not None
    assert one.status == "succeeded"
    assert await tenant.tenant.reload("00000000-1111-2222-3333-444444444444") is None
    assert await tenant.tenant.reloads_since(datetime.now(tz=UTC) + timedelta(minutes=1)) == []


async def test_a_passing_fault_of_the_repository_is_tried_again(simulated: SimulatedSite) -> None:
    await simulated.control(
        "POST", "/_sim/fault", json={"place": "qrs", "fault": {"kind": "refuse", "code": 503}}
    )
    async with simulated.client() as client:
        assert await client.apps()


async def test_a_tenant_that_asks_to_wait_is_waited_for(simulated: SimulatedSite, tenant: QlikClient) -> None:
    fault = {"kind": "refuse", "code": 429, "seconds": 1}
    await simulated.control("POST", "/_sim/fault", json={"place": "cloud", "fault": fault})
    began = asyncio.get_running_loop().time()
    assert await tenant.apps()
    assert asyncio.get_running_loop().time() - began >= 1


async def test_a_repository_that_is_away_is_transient() -> None:
    site = QlikSite.model_validate({
        "kind": "client-managed", "engine_url": "ws://127.0.0.1:9", "qrs_url": "http://127.0.0.1:9",
        "auth": {"kind": "certificate", "user_directory": "D", "user_id": "u"},
    })  # fmt: skip
    async with QlikClient(site) as client:
        with pytest.raises(Transient):
            await client.apps()
