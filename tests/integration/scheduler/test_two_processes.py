"""Two schedulers as two processes on one MongoDB: every due time becomes exactly one execution."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.configuration import TaskHead, TaskVersion, TriggerSeries
from contracts.envelope import Received
from contracts.events import TaskTriggered, TriggerSkipped
from contracts.triggers import CatchUp, IntervalRule, ScheduleTrigger
from runtime.bus import Bus, Subscription
from runtime.configuration import TASK_VERSIONS, TASKS, task_version_key, to_document
from runtime.store import Store
from standalone.broker import BrokerServer
from standalone.mongo import Mongo
from support.servers import unique
from support.stores import fresh_store
from support.topics import bus_settings, create_topics
from support.waiting import until

pytestmark = pytest.mark.integration
TASK_IDS = ("first", "second", "third")
DUE_TIMES = 12


@asynccontextmanager
async def scheduler(environment: dict[str, str], name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `python -m scheduler`; it is killed at the end, as a machine that fails would."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "scheduler",
        env={**os.environ, **environment, "BROADSHEET_REPLICA": name},
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def configure(store: Store, start: datetime) -> None:
    """Three tasks whose triggers have one id, each due every second."""
    for task_id in TASK_IDS:
        trigger = ScheduleTrigger(
            id="every-second",
            rule=IntervalRule(every_seconds=1),
            start=start,
            end=start + timedelta(seconds=DUE_TIMES - 1),
            catch_up=CatchUp.ALL,
        )
        version = TaskVersion(
            task_id=task_id,
            version=1,
            name=task_id,
            triggers=(trigger,),
            series={"every-second": TriggerSeries(since=start - timedelta(minutes=1))},
            created_at=start - timedelta(minutes=1),
            created_by="test",
        )
        key = task_version_key(task_id, 1)
        await store.db[TASK_VERSIONS].insert_one(to_document(key, version))
        head = TaskHead(id=task_id, name=task_id, current_version=1)
        await store.db[TASKS].insert_one(to_document(task_id, head))


async def test_every_due_time_of_two_processes_becomes_one_execution_though_one_is_killed(
    broker_server: BrokerServer, mongo_server: Mongo
) -> None:
    await create_topics(broker_server)
    settings = bus_settings(broker_server)
    heard: list[TaskTriggered | TriggerSkipped] = []

    async def hear(received: Received[Any]) -> None:
        if received.event.task_id in TASK_IDS:
            heard.append(received.event)

    listen = Subscription(
        topic=TaskTriggered.TOPIC,
        group=unique("listener"),
        handler=hear,
        events=(TaskTriggered, TriggerSkipped),
    )
    async with fresh_store(mongo_server.uri) as store, Bus(settings, service="t", subscriptions=[listen]):
        environment = {
            "BROADSHEET_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
            "BROADSHEET_KAFKA_IDEMPOTENT": str(settings.kafka_idempotent),
            "BROADSHEET_MONGO_URI": mongo_server.uri,
            "BROADSHEET_MONGO_DATABASE": store.db.name,
            "BROADSHEET_TICK_S": "0.1",
        }
        start = datetime.now(tz=UTC).replace(microsecond=0) - timedelta(seconds=2)
        await configure(store, start)
        ledger = store.db["scheduler_occurrences"]

        async def recorded(number: int) -> bool:
            return await ledger.count_documents({}) >= number

        async with scheduler(environment, "a") as first, scheduler(environment, "b"):
            await until(lambda: recorded(len(TASK_IDS) * DUE_TIMES // 2), seconds=90, what="half of the runs")
            first.kill()
            await until(lambda: recorded(len(TASK_IDS) * DUE_TIMES), seconds=90, what="all of the runs")
            await until(
                lambda: len({each.execution_id for each in heard}) >= len(TASK_IDS) * DUE_TIMES,
                seconds=90,
                what="all of the events",
            )

    expected = {
        (task_id, start + timedelta(seconds=second)) for task_id in TASK_IDS for second in range(DUE_TIMES)
    }
    runs = {each.execution_id: each for each in heard if isinstance(each, TaskTriggered)}
    assert {1} == set(Counter((each.task_id, each.trigger.due_at) for each in runs.values()).values())
    assert expected == {(each.task_id, each.trigger.due_at) for each in runs.values()}
    assert [] == [each for each in heard if isinstance(each, TriggerSkipped)]
