"""The ledger of due times on a real MongoDB: schedulers, crashes and outages neither lose nor double one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.configuration import TaskVersion
from contracts.envelope import Message, decode
from contracts.events import TaskTriggered, TriggerSkipped
from contracts.triggers import CatchUp, IntervalRule, ScheduleTrigger
from runtime.outbox import OutboxRelay
from runtime.store import Store, open_store
from scheduler.adapters.mongo import MongoOccurrences, MongoReloadMarks
from scheduler.adapters.sightings import MongoSightings
from scheduler.domain.model import Cursor
from scheduler.ports import ConfiguredTask
from scheduler.use_cases import tick
from standalone.mongo import Mongo
from support.fake_scheduler import FakeTasks
from support.servers import unique

pytestmark = pytest.mark.integration
START = datetime(2026, 3, 1, tzinfo=UTC)


class Collected:
    """A bus that keeps what is published."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def publish_message(self, message: Message) -> None:
        self.messages.append(message)

    def events(self) -> list[TaskTriggered | TriggerSkipped]:
        found = [decode(dict(message.headers), message.body).event for message in self.messages]
        return [event for event in found if isinstance(event, TaskTriggered | TriggerSkipped)]


@pytest.fixture
async def store(mongo_server: Mongo) -> AsyncIterator[Store]:
    async with open_store(mongo_server.uri, unique("scheduler")) as opened:
        yield opened


def tasks(count: int, every_s: int, end: datetime, catch_up: CatchUp) -> FakeTasks:
    return FakeTasks(
        *(
            ConfiguredTask(
                enabled=True,
                version=TaskVersion(
                    task_id=f"task-{number}",
                    version=1,
                    name=f"Task {number}",
                    triggers=(
                        ScheduleTrigger(
                            id=f"trigger-{number}",
                            rule=IntervalRule(every_seconds=every_s),
                            start=START,
                            end=end,
                            catch_up=catch_up,
                        ),
                    ),
                    created_at=START - timedelta(days=1),
                    created_by="test",
                ),
            )
            for number in range(count)
        )
    )


async def test_two_schedulers_over_a_thousand_due_times_ask_for_a_thousand_executions(
    store: Store,
) -> None:
    configured = tasks(20, 60, START + timedelta(minutes=49), CatchUp.ALL)
    ledgers = [MongoOccurrences(store), MongoOccurrences(store)]
    ports: Any = {"sightings": MongoSightings(store), "marks": MongoReloadMarks(store)}
    bus = Collected()
    relays = [OutboxRelay(ledger.collection, bus) for ledger in ledgers]
    await relays[0].ensure_indexes()

    async def schedule(ledger: MongoOccurrences, relay: OutboxRelay, offset_s: int) -> None:
        for minute in range(0, 60, 3):
            at = START + timedelta(minutes=minute, seconds=offset_s)
            await tick(at, tasks=configured, occurrences=ledger, **ports)
            await relay.run_once()

    await asyncio.gather(
        *(
            schedule(ledger, relay, 7 * n)
            for n, (ledger, relay) in enumerate(zip(ledgers, relays, strict=True))
        )
    )
    await asyncio.gather(*(relay.run_once(2_000) for relay in relays))

    asked = [event.execution_id for event in bus.events() if isinstance(event, TaskTriggered)]
    assert 1000 == len(set(asked))
    assert 1000 == await ledgers[0].collection.count_documents({})
    assert 1000 == len(asked), "healthy relays publish each event once"


async def test_a_scheduler_that_was_down_over_fifty_due_times_catches_up_once_and_records_it(
    store: Store,
) -> None:
    configured = tasks(1, 60, START + timedelta(minutes=49), CatchUp.LATEST)
    ledger, bus = MongoOccurrences(store), Collected()
    ports: Any = {"sightings": MongoSightings(store), "marks": MongoReloadMarks(store)}
    relay = OutboxRelay(ledger.collection, bus)

    for hours in (2, 3):
        await tick(START + timedelta(hours=hours), tasks=configured, occurrences=ledger, **ports)
        await relay.run_once()

    runs = [event for event in bus.events() if isinstance(event, TaskTriggered)]
    skips = [event for event in bus.events() if isinstance(event, TriggerSkipped)]
    assert (1, 49) == (len(runs), len(skips))
    assert 49 == runs[0].trigger.missed
    assert START + timedelta(minutes=49) == runs[0].trigger.due_at
    assert {"missed-caught-up"} == {event.reason.code for event in skips}


async def test_a_cursor_is_moved_by_one_of_two(store: Store) -> None:
    ledger = MongoOccurrences(store)
    first = Cursor(START, "rule")
    assert await ledger.move("t", None, first)

    moved = await asyncio.gather(
        *(ledger.move("t", first, Cursor(START + timedelta(seconds=n), "rule")) for n in (1, 2))
    )

    assert [False, True] == sorted(moved)
    assert not await ledger.move("t", None, first)


async def test_a_cursor_keeps_to_the_milliseconds_that_are_stored(store: Store) -> None:
    ledger = MongoOccurrences(store)
    exact = Cursor(START + timedelta(microseconds=1234567), "rule")
    await ledger.move("t", None, exact)

    assert await ledger.move("t", exact, Cursor(START + timedelta(seconds=9), "rule"))


async def test_a_reload_mark_never_moves_back(store: Store) -> None:
    marks = MongoReloadMarks(store)
    assert await marks.get("site") is None

    await marks.advance("site", START)
    await marks.advance("site", START - timedelta(hours=1))

    assert START == await marks.get("site")
