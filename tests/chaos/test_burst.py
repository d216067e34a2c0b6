"""A burst of 500 units while everything dies in turn: all settles, nothing accepted is sent twice."""

import asyncio
import functools
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from standalone.web import http_client
from support.platforms import ARCHIVE, Stage, staged
from support.servers import unique
from support.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
UNITS = 500
LEASE_S = 10
FROZEN_S = LEASE_S + 2
QUIET = 3
SERVICES = ("scheduler", "qlik-listener", "generator-1", "distributor", "notifier", "config-api")


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
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
        yield opened


async def burst(stage: Stage) -> str:
    """Ask for 500 files, a mail, a stored file and a Hub file for each; return the execution."""
    tag = unique("burst")
    await asyncio.gather(
        *(
            stage.create(
                "recipients",
                id=f"{tag}-{name}",
                name=name,
                email=f"{name.lower()}@{tag}.example.com",
                attributes={"customer": name},
            )
            for name in stage.totals
        )
    )
    await stage.create("groups", id=tag, name=tag, members=[f"{tag}-{name}" for name in stage.totals])
    await stage.create(
        "tasks",
        id=tag,
        name="Burst",
        reports=[
            {
                "id": "letter",
                "report_id": "per-customer",
                "format": "html",
                "storage": [{"storage_id": "customers-archive", "path": tag}],
                "hub": {"publish": True},
            }
        ],
        recipients=[{"group_id": tag, "scope": "own", "scope_attribute": "customer"}],
        notification={"on_success": True, "on_warning": True, "on_error": True, "to": [f"owner@{tag}.com"]},
        deadline=780,
    )
    asked = await stage.rest.call("POST", f"/api/v1/tasks/{tag}/runs")
    return str(asked["execution_id"])


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
    else:
        print("chaos: the broker is not restarted: this one keeps nothing on disk")
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
    execution_id = await burst(stage)

    done = await violence(stage, random.Random(seed))
    await stage.finished(execution_id, seconds=800)

    await check_invariants(stage, execution_id)
    execution = await stage.execution(execution_id) or {}
    print(f"chaos: {len(done)} blows, {execution['deliveries']}", flush=True)


async def check_invariants(stage: Stage, execution_id: str) -> None:
    by_type = await trail(stage, execution_id)
    assert 1 == len(by_type["execution-planned"])
    assert 1 == len(by_type["task-completed"])
    planned = by_type["execution-planned"][0]

    units = Counter(
        each["unit_id"]
        for kind in ("report-generated", "report-skipped", "report-failed")
        for each in by_type.get(kind, [])
    )
    assert UNITS == planned["unit_count"] == len(units)
    assert {1} == set(units.values()), "a unit settles once"
    assert UNITS == len(by_type["report-generated"]), by_type.get("report-failed", [])[:3]

    deliveries = {
        each["delivery_id"]: (kind, each)
        for kind in ("delivery-succeeded", "delivery-failed", "delivery-unknown", "delivery-skipped")
        for each in by_type.get(kind, [])
    }
    assert planned["delivery_count"] == len(deliveries) == count(by_type, "delivery-"), (
        "a delivery settles once"
    )
    assert [] == by_type.get("delivery-failed", []), "the outages were shorter than the deadline"

    mails = await stage.inbox.messages()
    copies = Counter(each["message_id"] for each in mails)
    assert {1} == set(copies.values()), "nothing that was accepted is sent again"
    accepted = {each["message_id"] for each in mails}
    for kind, each in deliveries.values():
        if each["channel"] == "email" and kind == "delivery-succeeded":
            assert each["message_id"] in accepted, "what counts as delivered was accepted"
    assert await archived(stage) == UNITS
    verdict = await stage.rest.call("GET", "/api/v1/audit/verify")
    assert verdict["intact"], verdict

    async def shown() -> bool:
        execution = await stage.execution(execution_id)
        return execution is not None and execution["units"]["generated"] == UNITS

    await until(shown, what="the status to show every report")


async def trail(stage: Stage, execution_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return what was recorded, by type of event, once the trail has caught up and grows no more.

    Topics are recorded side by side: the end of an execution may stand there before all it ended.
    """
    sizes: list[int] = []
    found: dict[str, list[dict[str, Any]]] = {}

    async def caught_up() -> bool:
        found.clear()
        for record in await stage.audit(execution_id=execution_id):
            name = record["type"].removeprefix("io.broadsheet.").removesuffix(".v1")
            found.setdefault(name, []).append(record["data"])
        sizes.append(sum(map(len, found.values())))
        if "execution-planned" not in found:
            return False
        planned = found["execution-planned"][0]
        return (
            count(found, "delivery-") >= planned["delivery_count"]
            and count(found, "report-") >= planned["unit_count"]
            and len(set(sizes[-QUIET:])) == 1
        )

    await until(caught_up, seconds=180, every=1, what="an audit trail that holds every report and delivery")
    return found


def count(found: dict[str, list[dict[str, Any]]], prefix: str) -> int:
    """Return how many events of a kind settled something."""
    return sum(
        len(rows) for name, rows in found.items() if name.startswith(prefix) and name != "report-requested"
    )


async def archived(stage: Stage) -> int:
    """Return how many files lie in the storage space."""

    def count() -> int:
        pages = stage.platform.objects.client().get_paginator("list_objects_v2")
        return sum(len(page.get("Contents", [])) for page in pages.paginate(Bucket=ARCHIVE))

    return await asyncio.to_thread(count)
