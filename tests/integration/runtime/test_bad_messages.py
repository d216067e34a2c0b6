"""Bad messages on a real broker: the good ones are unaffected, the bad ones lie in the dead-letter topic."""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from contracts import ids
from contracts.envelope import Received, encode
from contracts.events import TaskTriggered, TriggerInfo, TriggerKind
from runtime import deadletters
from runtime.bus import Bus, DeadLetterProducer, Subscription
from runtime.failure import DeadLetter
from standalone.broker import BrokerServer
from standalone.choose import choose_broker, preference_from_environment
from support.servers import running
from support.topics import bus_settings, create_topics
from support.waiting import until

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
GOOD, BAD, LARGE = 1_000, 10_000, 20
BIG_ENOUGH = 10 * 1024 * 1024
# Another topic than the flood's, so that the tests may run in any order.
REPLAYED = "configuration-changed"


@pytest.fixture(scope="module")
async def own_broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BrokerServer]:
    """A broker for this module alone: 11,000 messages are nobody else's business."""
    choice = choose_broker(
        tmp_path_factory.mktemp("broker"),
        prefer=preference_from_environment(),
        message_max_bytes=BIG_ENOUGH,
    )
    async with running(choice.server) as server:
        await create_topics(server)
        yield server


def good(number: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    event = TaskTriggered(
        execution_id=ids.execution_id("good", str(number)),
        task_id=f"task-{number}",
        trigger=TriggerInfo(kind=TriggerKind.API, trigger_id="good", occurrence=str(number), due_at=NOW),
    )
    message = encode(event, source="test", time=NOW)
    return message.body, [(name, value.encode()) for name, value in message.headers.items()]


def bad(number: int) -> tuple[bytes, list[tuple[str, bytes]]]:
    body, headers = good(number)
    if number < LARGE:
        return b"x" * 5_000_000, headers
    document: dict[str, Any] = json.loads(body)
    match number % 6:
        case 0:
            return b"{no json", headers
        case 1:
            return body, [(name, value.replace(b".v1", b".v7")) for name, value in headers]
        case 2:
            del document["task_id"]
        case 3:
            document["execution_id"] = number
        case 4:
            return body, []
        case _:
            return b"\xff\xfe" * 10, [("ce_id", b"\xff\xfe"), ("reply_to", b"task-completed")]
    return json.dumps(document).encode(), headers


async def send_all(broker: BrokerServer) -> None:
    messages = [good(number) for number in range(GOOD)] + [bad(number) for number in range(BAD)]
    random.Random(7).shuffle(messages)
    async with AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap_servers, max_request_size=BIG_ENOUGH, linger_ms=5
    ) as producer:
        sent = []
        for number, (body, headers) in enumerate(messages):
            sent.append(
                await producer.send("task-triggered", value=body, key=str(number).encode(), headers=headers)
            )
        await asyncio.gather(*sent)


async def test_ten_thousand_bad_messages_among_a_thousand_good_ones(own_broker: BrokerServer) -> None:
    """Every good one is handled once, every bad one is a dead letter with a reason, none stops another."""
    await send_all(own_broker)
    seen: Counter[str] = Counter()

    async def handler(received: Received[TaskTriggered]) -> None:
        seen[received.event.task_id] += 1

    settings = bus_settings(own_broker, log_level="error")
    subscription = Subscription(
        topic="task-triggered",
        group="reader",
        handler=handler,
        events=(TaskTriggered,),
        concurrency=6,
    )
    async with Bus(settings, service="test", subscriptions=[subscription]) as bus:
        await until(lambda: len(seen) == GOOD, seconds=120, what="all good messages")
        letters: list[deadletters.Record] = []

        async def all_buried() -> bool:
            nonlocal letters
            letters = deadletters.open_letters(
                await deadletters.read(settings, "task-triggered"), deadletters.Wish()
            )
            return len(letters) >= BAD

        await until(all_buried, seconds=120, every=1.0, what="all bad messages")
        assert [] == await bus.problems()

    assert {1} == set(seen.values())
    assert BAD == len(letters)
    assert {"malformed"} == {letter.about("x-error-kind") for letter in letters}
    reasons = Counter(_kind(letter.about("x-error")) for letter in letters)
    assert {"large", "json", "version", "missing", "type", "attributes"} == set(reasons)
    assert LARGE == reasons["large"]
    originals = {body for body, _ in map(bad, range(BAD))}
    assert {letter.body for letter in letters} == originals


def _kind(error: str) -> str:
    for word, kind in (
        ("more than the", "large"),
        ("is not known here", "version"),
        ("Field required", "missing"),
        ("Input should be a valid string", "type"),
        ("no CloudEvents attributes", "attributes"),
        ("Invalid JSON", "json"),
    ):
        if word in error:
            return kind
    return error


async def test_a_dry_run_sends_nothing_and_a_replay_sends_each_once(
    own_broker: BrokerServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = bus_settings(own_broker)
    monkeypatch.setenv("BROADSHEET_KAFKA_BOOTSTRAP", settings.kafka_bootstrap)
    monkeypatch.setenv("BROADSHEET_KAFKA_IDEMPOTENT", str(settings.kafka_idempotent))
    body, headers = good(1)
    async with contextlib.AsyncExitStack() as stack:
        sink = DeadLetterProducer(settings, service="test")
        await sink.start()
        stack.push_async_callback(sink.stop)
        await sink.write(
            DeadLetter(
                topic=REPLAYED,
                partition=99,
                offset=1,
                group="reader",
                key=b"key",
                headers=tuple(headers),
                body=body,
                kind="bug",
                error="KeyError: 'mended since'",
                attempts=3,
            )
        )
    before = await deadletters.read(settings, REPLAYED)
    offset = str(before[-1].offset)

    async def run(*arguments: str) -> str:
        status = await asyncio.to_thread(
            deadletters.main, [*arguments, "--topic", REPLAYED, "--offset", offset]
        )
        assert 0 == status
        return capsys.readouterr().out

    assert f"1 would be sent to {REPLAYED} again; nothing was sent" in await run("replay", "--dry-run")
    assert len(before) == len(await deadletters.read(settings, REPLAYED))
    assert f"1 sent to {REPLAYED} again" in await run("replay")
    assert f"0 sent to {REPLAYED} again" in await run("replay")
