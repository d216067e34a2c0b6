"""Replicas that share a gate stay below what a proxy allows one user; replicas that do not run into it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from generator.adapters.qlik_gate import MongoBreaker, MongoGate
from qlik import Limits, QlikClient, QlikSite, SiteBusy, TicketAuth
from runtime.clock import SystemClock
from standalone.mongo import Mongo
from support.qlik_site import FLIGHTS, SimulatedSite, simulated_site
from support.stores import fresh_store

pytestmark = pytest.mark.integration

ALLOWED = 5  # by a proxy, for one user


@pytest.fixture(scope="module")
async def proxied() -> AsyncIterator[SimulatedSite]:
    async with simulated_site() as made:
        yield made


def site(simulated: SimulatedSite, user: str) -> QlikSite:
    return QlikSite(
        kind="client-managed",
        engine_url=simulated.http_url.replace("http", "ws"),
        auth=TicketAuth(qps_url=simulated.http_url, user_directory="CORP", user_id=user),
        limits=Limits(connect_s=30, open_s=30, call_s=30, ttl_s=1, sessions_per_user=ALLOWED),
    )


async def most_open(simulated: SimulatedSite, replicas: list[QlikClient]) -> int:
    """Run a dozen jobs over the replicas; how many sessions they had at most at one time."""
    most = now = 0

    async def job(client: QlikClient) -> None:
        nonlocal most, now
        async with client.session(FLIGHTS) as session:
            now += 1
            most = max(most, now)
            assert 336_776 == (await session.evaluate("Count(flight)")).number
            now -= 1

    async with asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(job(replicas[number % len(replicas)]))
    return most


async def test_three_replicas_that_share_a_gate_are_never_refused(
    proxied: SimulatedSite, mongo_server: Mongo
) -> None:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(fresh_store(mongo_server.uri))
        replicas = []
        for _ in range(3):
            gate = MongoGate(store, SystemClock(), lease_for=timedelta(seconds=30))
            await gate.ensure_indexes()
            breaker = MongoBreaker(store, SystemClock())
            client = QlikClient(site(proxied, "shared"), gate=gate, breaker=breaker)
            replicas.append(await stack.enter_async_context(client))
        assert await most_open(proxied, replicas) <= ALLOWED


async def test_three_replicas_that_count_for_themselves_are_refused(proxied: SimulatedSite) -> None:
    """The test above can see what it is about."""
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(QlikClient(site(proxied, "alone"))) for _ in range(3)]
        with pytest.raises(ExceptionGroup) as caught:
            await most_open(proxied, replicas)
    assert caught.group_contains(SiteBusy)
