"""A burst of 500 units while everything dies in turn: all settles, nothing accepted is sent twice."""

import asyncio
import functools
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from standalone.web import http_client
from support.invariants import archived, check_execution
from support.letters import letters
from support.platforms import Stage, staged
from support.servers import note

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
UNITS = 500
LEASE_S = 10
FROZEN_S = LEASE_S + 2
SERVICES = ("scheduler", "qlik-listener", "generator-1", "distributor", "notifier", "config-api")


@pytest.fixture(scope="module")
async def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """A platform for this module alone, whose services are started again when they die."""
    async with staged(
        tmp_path_factory.mktemp("chaos"),
        customers=UNITS,
        variables={
            # What was in the hands of a process that was killed is taken up this soon.
            "BROADSHEET_GENERATOR_LEASE_S": str(LEASE_S),
            "BROADSHEET_DELIVERY_LEASE_S": str(LEASE_S),
            "BROADSHEET_SMTP_DATA_TIMEOUT_S": "5",
            "BROADSHEET_SMTP_COMMAND_TIMEOUT_S": "2",
            "BROADSHEET_DELIVERY_RETRY_DELAYS_S": "[1, 2, 4]",
        },
    ) as opened:
        note(request.config, f"broker of the burst: {opened.choice}")
        if not opened.choice.server.capabilities.durable:
            note(request.config, "the broker was not restarted during the burst: it keeps nothing on disk")
        yield opened


async def violence(stage: Stage, pick: random.Random) -> list[str]:
    """Strike at random moments; return what was done."""
    done: list[str] = []
    for name, blow in blows(stage, pick):
        await asyncio.sleep(pick.uniform(0.5, 4))
        print(f"chaos: {name}", flush=True)
        await blow()
        done.append(name)
    return done


def blows(stage: Stage, pick: random.Random) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
    """Return each service's kill in any order, and what befalls the servers and processes in between."""
    found: list[tuple[str, Callable[[], Awaitable[None]]]] = [
        (f"kill -9 {name}", functools.partial(kill, stage, name)) for name in SERVICES
    ]
    pick.shuffle(found)
    if stage.choice.server.capabilities.durable:
        found.insert(2, ("kill -9 and restart the broker", functools.partial(restart_broker, stage)))
    found.insert(4, ("stop MongoDB for 10 s", functools.partial(stop_mongo, stage)))
    found.insert(1, ("stop SMTP for 30 s", functools.partial(refuse_mail, stage)))
    freezing = f"freeze a generator and the distributor for {FROZEN_S} s"
    found.insert(len(found) // 2, (freezing, functools.partial(freeze, stage)))
    return found


async def kill(stage: Stage, name: str) -> None:
    process = stage.platform.processes[name]
    if process.pid is not None:
        await process.kill()
    await stage.platform.services.wait_ready(name, 120)


async def restart_broker(stage: Stage) -> None:
    await stage.platform.servers.kill("kafka")
    await stage.platform.servers.start_one("kafka")


async def stop_mongo(stage: Stage) -> None:
    await stage.platform.servers.stop_one("mongo")
    await asyncio.sleep(10)
    await stage.platform.servers.start_one("mongo")


async def refuse_mail(stage: Stage) -> None:
    async with http_client() as http:
        reply = await http.post(f"{stage.inbox.url}/api/faults", json={"kind": "refuse", "seconds": 30})
    reply.raise_for_status()


async def freeze(stage: Stage) -> None:
    """Hold two services still, as a partition does: they wake up with leases that others may have."""
    frozen = [stage.platform.processes[name] for name in ("generator-1", "distributor")]
    for number, pause in ((signal.SIGSTOP, FROZEN_S), (signal.SIGCONT, 0)):
        for process in frozen:
            if process.pid is not None:
                os.killpg(process.pid, number)
        await asyncio.sleep(pause)


async def test_whatever_dies_every_unit_and_delivery_settles_and_nothing_is_sent_twice(stage: Stage) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"chaos: seed {seed}, broker {stage.choice}", flush=True)
    task_id = await letters(stage, stage.totals, deadline=780)
    asked = await stage.rest.call("POST", f"/api/v1/tasks/{task_id}/runs")
    execution_id = str(asked["execution_id"])

    done = await violence(stage, random.Random(seed))
    await stage.finished(execution_id, seconds=800)

    await check_execution(stage, execution_id, units=UNITS)
    assert UNITS == len(await archived(stage))
    execution = await stage.execution(execution_id) or {}
    print(f"chaos: {len(done)} blows, {execution['deliveries']}", flush=True)
