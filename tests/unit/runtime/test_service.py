"""What a service says about itself: live, started, ready, and warnings that do not take it out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from runtime.errors import Transient
from runtime.service import Service
from runtime.settings import RuntimeSettings
from support.waiting import until


async def answer(service: Service, path: str) -> tuple[int, str]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await service.health_app({"type": "http", "path": path}, None, send)
    return sent[0]["status"], sent[1]["body"].decode()


@asynccontextmanager
async def running(service: Service, start: Any) -> AsyncIterator[None]:
    work = asyncio.create_task(service.run(start))
    try:
        yield
    finally:
        service.stopping.set()
        await asyncio.wait_for(work, 30)


async def started(service: Service) -> bool:
    return (await answer(service, "/started"))[0] == 200


@pytest.fixture
def service() -> Service:
    return Service("test", RuntimeSettings())


async def test_a_service_that_waits_for_its_servers_is_live_but_neither_started_nor_ready(
    service: Service,
) -> None:
    available = False

    async def start(_: Service) -> None:
        if not available:
            raise Transient("MongoDB does not answer")

    async with running(service, start):
        assert (200, "alive\n") == await answer(service, "/live")
        assert (503, "starting\n") == await answer(service, "/started")
        assert (503, "starting\n") == await answer(service, "/ready")
        available = True
        await until(lambda: started(service), what="the start")
        assert (200, "ready\n") == await answer(service, "/ready")


async def test_a_warning_is_told_and_does_not_take_the_service_out(service: Service) -> None:
    kafka: list[str] = ["bus: no answer from Kafka"]
    store: list[str] = []

    async def bus_problems() -> list[str]:
        return kafka

    async def store_problems() -> list[str]:
        return store

    async def start(starting: Service) -> None:
        starting.warn_when(bus_problems)
        starting.ready_when(store_problems)

    async with running(service, start):
        await until(lambda: started(service), what="the start")
        assert (200, "ready\nwarning: bus: no answer from Kafka\n") == await answer(service, "/ready")
        store.append("store: no primary")
        status, body = await answer(service, "/ready")
        assert 503 == status
        assert "store: no primary\nwarning: bus: no answer from Kafka\n" == body
        kafka.clear()
        store.clear()
        assert (200, "ready\n") == await answer(service, "/ready")


async def test_a_check_that_fails_or_hangs_is_a_problem_and_the_probe_is_answered(service: Service) -> None:
    async def fails() -> list[str]:
        raise KeyError("bug")

    async def hangs() -> list[str]:
        await asyncio.Event().wait()
        return []

    async def start(starting: Service) -> None:
        starting.ready_when(fails)
        starting.ready_when(hangs)

    async with running(service, start):
        await until(lambda: started(service), what="the start")
        status, body = await answer(service, "/ready")
    assert 503 == status
    assert "fails: KeyError" in body
    assert "hangs: no answer within" in body


async def test_what_can_wait_is_opened_when_it_can_be_and_closed_at_the_end(service: Service) -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def bus() -> AsyncIterator[None]:
        seen.append("try")
        if len(seen) < 2:
            raise Transient("Kafka does not answer")
        seen.append("open")
        yield
        seen.append("closed")

    async def start(starting: Service) -> None:
        starting.enter_later(bus, name="bus")

    async with running(service, start):
        await until(lambda: started(service), what="the start without it")
        assert (200, "ready\n") == await answer(service, "/ready")
        await until(lambda: "open" in seen, what="the resource")
    assert ["try", "try", "open", "closed"] == seen


async def test_a_stop_does_not_wait_for_what_cannot_be_opened(service: Service) -> None:
    trying = asyncio.Event()

    @asynccontextmanager
    async def never() -> AsyncIterator[None]:
        trying.set()
        await asyncio.Event().wait()
        yield

    async def start(starting: Service) -> None:
        starting.enter_later(never, name="bus")

    async with running(service, start):
        await asyncio.wait_for(trying.wait(), 30)
