"""Consumers on a real broker: every compression is read, and one that stands still is seen to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiokafka.record.default_records
import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from contracts import ids
from contracts.envelope import Received, encode
from contracts.events import TaskTriggered, TriggerInfo, TriggerKind
from runtime.bus import Bus, Subscription
from runtime.errors import Transient
from standalone.broker import BrokerServer
from standalone.kafka import ApacheKafka, missing_for_kafka
from support.servers import running, unique
from support.topics import bus_settings, create_topics
from support.waiting import until

pytestmark = pytest.mark.integration

needs_kafka = pytest.mark.skipif(
    missing_for_kafka() is not None, reason=f"Apache Kafka cannot run here: {missing_for_kafka()}"
)
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
TOPIC = "task-triggered"


@pytest.fixture(scope="module")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApacheKafka]:
    async with running(ApacheKafka(tmp_path_factory.mktemp("kafka"))) as server:
        await create_topics(server)
        yield server


class Inbox:
    """What arrived; a handler that does as it is told."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.before: Callable[[], Awaitable[None]] | None = None

    async def handle(self, received: Received[TaskTriggered]) -> None:
        if self.before is not None:
            await self.before()
        self.seen.add(received.event.task_id)


def bus(broker: BrokerServer, inbox: Inbox, **settings: Any) -> Bus:
    subscription = Subscription(
        topic=TOPIC, group=unique("group"), handler=inbox.handle, events=(TaskTriggered,)
    )
    chosen = bus_settings(broker, consumer_stalled_after_s=2, transient_pause_s=0.1, **settings)
    return Bus(chosen, service="test", subscriptions=[subscription])


async def send(broker: BrokerServer, *tasks: str, compression: str | None = None) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap_servers,
        compression_type=compression,
        linger_ms=50,
        enable_idempotence=broker.capabilities.idempotent_producer,
    ) as producer:
        sent = []
        for task in tasks:
            event = TaskTriggered(
                execution_id=ids.execution_id("consumers", task),
                task_id=task,
                # Compressible, so that the producer does compress.
                trigger=TriggerInfo(kind=TriggerKind.API, trigger_id="x" * 100, occurrence=task, due_at=NOW),
            )
            message = encode(event, source="test", time=NOW)
            headers = [(name, value.encode()) for name, value in message.headers.items()]
            sent.append(await producer.send(TOPIC, message.body, key=b"same", headers=headers))
        await asyncio.gather(*sent)


def total(metric: str) -> float:
    return sum(
        sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == metric and sample.labels["topic"] == TOPIC
    )


@needs_kafka
@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
async def test_every_compression_of_kafka_is_read(kafka: ApacheKafka, compression: str) -> None:
    inbox, tasks = Inbox(), [unique(compression) for _ in range(20)]
    await send(kafka, *tasks, compression=compression)
    async with bus(kafka, inbox) as reading:
        await until(lambda: set(tasks) <= inbox.seen, what=f"messages compressed with {compression}")
        assert await reading.problems() == []


@needs_kafka
async def test_a_consumer_that_cannot_read_is_not_ready_until_it_can(
    kafka: ApacheKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, task, knows_zstd = Inbox(), unique("task"), False
    await send(kafka, task, compression="zstd")
    monkeypatch.setattr(aiokafka.record.default_records.codecs, "has_zstd", lambda: knows_zstd)
    with capture_logs() as logs:
        async with bus(kafka, inbox) as reading:
            await until(lambda: says(reading, "stalled", "UnsupportedCodecError"), what="the stall")
            await until(lambda: total("broadsheet_consumer_stalled") >= 1, what="the metric of the stall")
            assert total("broadsheet_consumer_lag") >= 1
            assert task not in inbox.seen
            events = {(entry["event"], entry["log_level"]) for entry in logs}
            assert {("consumer cannot read", "error"), ("consumer stalled", "error")} <= events
            knows_zstd = True
            await until(lambda: task in inbox.seen, seconds=60, what="the message once the codec is there")
            await until(lambda: ready(reading), what="ready again")
            await until(lambda: total("broadsheet_consumer_stalled") == 0, what="the metric back at 0")


async def test_a_message_that_keeps_failing_makes_not_ready_until_it_succeeds(
    broker_server: BrokerServer,
) -> None:
    inbox, task = Inbox(), unique("task")

    async def fail() -> None:
        raise Transient("the archive does not answer")

    await create_topics(broker_server)
    async with bus(broker_server, inbox) as reading:
        inbox.before = fail
        await send(broker_server, task)
        await until(lambda: says(reading, "is retried", "the archive does not answer"), what="the retries")
        inbox.before = None
        await until(lambda: task in inbox.seen, what="the message")
        await until(lambda: ready(reading), what="ready again")


async def test_a_busy_handler_leaves_its_consumer_ready_and_counts_what_waits(
    broker_server: BrokerServer,
) -> None:
    inbox, tasks, go_on = Inbox(), [unique("task") for _ in range(3)], asyncio.Event()

    async def wait() -> None:
        started.set()
        await go_on.wait()

    await create_topics(broker_server)
    started = asyncio.Event()
    async with bus(broker_server, inbox) as reading:
        inbox.before = wait
        await send(broker_server, *tasks)
        await asyncio.wait_for(started.wait(), 30)
        # Longer than a stall takes; what is waited for is the clock of the handler itself.
        await until(lambda: total("broadsheet_consumer_handler_seconds") > 4, what="a long handler")
        assert await reading.problems() == []
        # Only the running message is certain where the broker does not tell where a partition ends.
        least = 3 if broker_server.capabilities.reliable_latest else 1
        assert total("broadsheet_consumer_lag") >= least
        go_on.set()
        await until(lambda: set(tasks) <= inbox.seen, what="the messages")
        await until(lambda: total("broadsheet_consumer_lag") == 0, what="no lag")


async def ready(reading: Bus) -> bool:
    return await reading.problems() == []


async def says(reading: Bus, *words: str) -> bool:
    return any(all(word in problem for word in words) for problem in await reading.problems())
