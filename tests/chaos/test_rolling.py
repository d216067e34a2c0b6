"""What operators do to a running platform: restart every replica, compress topics, rewind consumer groups."""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from runtime.store import open_store
from runtime.topic_configs import set_settings
from standalone.kafka import ApacheKafka
from support.invariants import accepted_once, archived, check_execution, check_no_dead_letters
from support.letters import letters
from support.offsets import lag, rewind
from support.platforms import CUSTOMERS_APP, Stage, staged
from support.read_models import quiet, views
from support.servers import note
from support.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
UNITS = 8
REPLICAS = 2
SERVICES = ("scheduler", "qlik-listener", "generator", "distributor", "notifier", "config-api")
CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
READERS = {"generator-planner", "generator-renderer", "distributor", "notifier", "config-api-audit"}
COMPRESSED = (
    "task-triggered",
    "execution-planned",
    "report-requested",
    "report-settled",
    "delivery-settled",
    "task-completed",
)


@pytest.fixture(scope="module")
async def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """A platform with two replicas of every service."""
    async with staged(
        tmp_path_factory.mktemp("rolling"), customers=UNITS, generators=REPLICAS, replicas=REPLICAS
    ) as opened:
        note(request.config, f"broker of the rolling restarts: {opened.choice}")
        yield opened


def replicas(service: str) -> Iterator[str]:
    """Return the names of the processes of a service."""
    for number in range(1, REPLICAS + 1):
        yield service if number == 1 and service != "generator" else f"{service}-{number}"


async def ask(stage: Stage, task_id: str) -> str:
    """Run a task; return the execution's id."""
    asked = await stage.rest.call("POST", f"/api/v1/tasks/{task_id}/runs")
    return str(asked["execution_id"])


async def test_restarting_one_replica_after_the_other_loses_and_repeats_nothing(stage: Stage) -> None:
    """Each service is stopped with SIGTERM while it has work to do; the next one once it is ready again."""
    by_reload = await letters(
        stage,
        stage.totals,
        triggers=[
            {
                "kind": "qlik-reload",
                "id": "on-reload",
                "connection_id": "customers-site",
                "app_id": CUSTOMERS_APP,
            }
        ],
    )
    tasks = {service: await letters(stage, stage.totals) for service in SERVICES}
    # Some replicas are down after a test that needed one of each.
    await asyncio.gather(*(stage.platform.services.start_one(each) for each in stage.platform.processes))
    await watched(stage)
    executions: dict[str, str] = {}

    for service, task_id in tasks.items():
        for name in replicas(service):
            if name == "qlik-listener":
                await stage.platform.qlik.reload(CUSTOMERS_APP)
            elif task_id not in executions:
                executions[task_id] = await ask(stage, task_id)
            await restart(stage, name)
    executions[by_reload] = await started_by_reload(stage, by_reload)

    await asyncio.gather(*(stage.finished(each, seconds=180) for each in executions.values()))
    await asyncio.gather(*(check_execution(stage, each, units=UNITS) for each in executions.values()))
    for task_id in executions:
        await check_mails(stage, task_id)
    await check_no_dead_letters(stage)


async def check_mails(stage: Stage, task_id: str) -> None:
    """Fail unless each person of a task, and its owner, got exactly one mail."""
    owner = f"owner@{task_id}.com"

    async def told() -> bool:
        return bool(await stage.mails_for(owner))

    await until(told, seconds=60, what="the mail about the outcome")
    people = [f"{name.lower()}@{task_id}.example.com" for name in stage.totals]
    received = Counter(each for mail in await stage.inbox.messages() for each in mail["rcpt_to"])
    assert [] == [(each, received[each]) for each in (*people, owner) if received[each] != 1]


async def watched(stage: Stage) -> None:
    """Return once a listener polls the site: it does not take what happened before for a new reload."""
    wanted = 'broadsheet_reload_polls_total{connection="customers-site",result="ok"}'

    async def polled() -> bool:
        processes = stage.platform.processes
        return any([wanted in await processes[name].metrics() for name in replicas("qlik-listener")])

    await until(polled, seconds=60, every=0.5, what="a listener to poll the site")


async def stop(stage: Stage, name: str) -> None:
    """Stop a process with SIGTERM; fail when it has to be killed."""
    await stage.platform.services.stop_one(name)
    assert 0 == stage.platform.processes[name].returncode, f"{name} did not end by itself"


async def restart(stage: Stage, name: str) -> None:
    """Stop a process, and return when its successor is ready."""
    await stop(stage, name)
    await stage.platform.services.start_one(name)


async def started_by_reload(stage: Stage, task_id: str) -> str:
    """Return the id of the one execution that a reload has started."""
    found: list[dict[str, Any]] = []

    async def started() -> bool:
        page = await stage.rest.call("GET", "/api/v1/executions", params={"task_id": task_id})
        found[:] = page["items"]
        return bool(found)

    await until(started, seconds=60, every=0.5, what="an execution after the reload")
    (execution,) = found
    return str(execution["id"])


async def test_topics_may_be_compressed_in_any_way_while_a_task_runs(stage: Stage) -> None:
    """The broker compresses what producers send, whatever it was; consumers read all of it."""
    broker = stage.choice.server
    if not isinstance(broker, ApacheKafka):
        pytest.skip(f"{broker.title} does not compress topics; Apache Kafka does")
    task_id = await letters(stage, stage.totals)
    executions: list[str] = []
    try:
        for codec in CODECS:
            executions.append(await ask(stage, task_id))
            await compress(stage, codec)
            execution = await stage.finished(executions[-1])
            assert "success" == execution["outcome"], codec
    finally:
        await compress(stage, "producer")

    await asyncio.gather(*(check_execution(stage, each, units=UNITS) for each in executions))
    for topic in ("report-settled", "delivery-settled"):
        assert set(CODECS.values()) <= codecs_of(broker, topic), topic
    await check_no_dead_letters(stage)


async def compress(stage: Stage, codec: str) -> None:
    """Set `compression.type` of the topics an execution uses."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stage.choice.server.bootstrap_servers)
    try:
        await admin.start()
        for topic in COMPRESSED:
            await set_settings(admin, topic, {"compression.type": codec})
    finally:
        await admin.close()


def codecs_of(broker: ApacheKafka, topic: str) -> set[int]:
    """Return the codecs of a topic's batches on disk: bits 0 to 2 of a batch's attributes (KIP-98)."""
    found: set[int] = set()
    for segment in broker.data.glob(f"logs/{topic}-*/*.log"):
        found |= set(_codecs(segment))
    return found


def _codecs(segment: Path) -> Iterator[int]:
    content, at = segment.read_bytes(), 0
    while at + 23 <= len(content):
        _, length, _, _, _, attributes = struct.unpack_from(">qiibIh", content, at)
        if length <= 0:  # preallocated, or being written
            return
        yield attributes & 7
        at += 12 + length


async def test_reading_every_topic_again_from_the_start_changes_nothing(stage: Stage) -> None:
    """All consumer groups are set back: nobody gets anything again, and what is shown stays as it is."""
    broker = stage.choice.server
    if not broker.capabilities.reliable_latest:
        pytest.skip(f"{broker.title} does not tell where a topic ends, so its lag is unknown")
    platform = stage.platform
    task_id = await letters(stage, stage.totals)
    await check_execution(stage, (await stage.run(task_id))["id"], units=UNITS)
    await settled(stage)
    before = await everything(stage)

    await asyncio.gather(*(stop(stage, each) for each in platform.processes))
    again = await rewind(platform.settings())
    # One replica of each is enough to read everything again.
    await asyncio.gather(*(platform.services.start_one(next(replicas(each))) for each in SERVICES))
    await settled(stage)

    assert {group.partition(".")[0] for group, messages in again.items() if messages} >= READERS, again
    assert before == await everything(stage)
    await accepted_once(stage)
    verdict = await stage.rest.call("GET", "/api/v1/audit/verify")
    assert verdict["intact"], verdict
    await check_no_dead_letters(stage)


async def settled(stage: Stage) -> None:
    """Return once every group has read everything and the audit trail grows no more."""

    async def read() -> bool:
        return await lag(stage.platform.settings()) == 0

    await until(read, seconds=120, every=1, what="consumer groups without lag")
    await quiet(stage)


async def everything(stage: Stage) -> dict[str, object]:
    """Return what was sent and stored, what is shown, and how many documents each collection has."""
    settings = stage.platform.settings()
    async with open_store(settings.mongo_uri.get_secret_value(), settings.mongo_database) as store:
        counts = {
            name: await store.db[name].count_documents({})
            for name in sorted(await store.db.list_collection_names())
        }
        return {
            "documents": counts,
            "shown": await views(store),
            "mails": sorted(each["message_id"] for each in await stage.inbox.messages()),
            "files": await archived(stage),
        }
