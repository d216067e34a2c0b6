"""Windows on a real MongoDB: two schedulers, two listeners and crashes ask for one run a window."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from contracts.configuration import TaskVersion
from contracts.envelope import Message, decode
from contracts.events import TaskTriggered, TriggerSkipped
from contracts.triggers import AllReloadsTrigger, LatePolicy, WatchedApp
from runtime.outbox import OutboxRelay
from runtime.store import Store
from scheduler.adapters.mongo import MongoOccurrences, MongoReloadMarks
from scheduler.adapters.sightings import MongoSightings
from scheduler.domain.reloads import Reload, ReloadStatus
from scheduler.ports import ConfiguredTask
from scheduler.use_cases import tick, watch_reloads
from standalone.mongo import Mongo
from support.fake_scheduler import FakeReloadSource, FakeTasks
from support.stores import fresh_store

pytestmark = pytest.mark.integration
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAYS, TRIGGERS = 5, 3
STEP = timedelta(minutes=30)


@pytest.fixture
async def store(mongo_server: Mongo) -> AsyncIterator[Store]:
    async with fresh_store(mongo_server.uri) as opened:
        yield opened


class Collected:
    """A bus that keeps what is published."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def publish_message(self, message: Message) -> None:
        self.messages.append(message)

    def events(self) -> list[TaskTriggered | TriggerSkipped]:
        found = [decode(dict(message.headers), message.body).event for message in self.messages]
        return [event for event in found if isinstance(event, TaskTriggered | TriggerSkipped)]


def tasks(count: int, late: LatePolicy = LatePolicy.START) -> FakeTasks:
    apps = tuple(
        WatchedApp(connection_id=site, app_id=app)
        for site, app in (("north", "a"), ("north", "b"), ("south", "c"))
    )
    return FakeTasks(
        *(
            ConfiguredTask(
                enabled=True,
                version=TaskVersion(
                    task_id=f"task-{number}",
                    version=1,
                    name=f"Task {number}",
                    triggers=(
                        AllReloadsTrigger(
                            id=f"trigger-{number}", apps=apps, since="04:00", late_at="06:30", late=late
                        ),
                    ),
                    created_at=START,
                    created_by="test",
                ),
            )
            for number in range(count)
        )
    )


def reloads(site: str) -> FakeReloadSource:
    """A and B are reloaded every night, C on every second one, two times."""
    found = []
    for day in range(1, DAYS + 1):
        opens = START.replace(hour=4) + timedelta(days=day)
        nightly = {"north": ["a", "b"], "south": ["c", "c"] if day % 2 else []}[site]
        for number, app in enumerate(nightly):
            at = opens + timedelta(minutes=20 * (number + 1))
            found.append(Reload(site, app, f"{app}-{day}-{number}", ReloadStatus.SUCCEEDED, at))
    return FakeReloadSource(*found)


async def test_two_schedulers_and_two_listeners_ask_for_one_run_a_window(store: Store) -> None:
    configured, bus = tasks(TRIGGERS), Collected()
    relay = OutboxRelay(MongoOccurrences(store).collection, bus)
    await relay.ensure_indexes()
    await MongoSightings(store).ensure_indexes()

    async def listen(offset: timedelta) -> None:
        occurrences, sightings = MongoOccurrences(store), MongoSightings(store)
        marks = MongoReloadMarks(store)
        for now in (START + offset + number * STEP for number in range(2 * 24 * DAYS)):
            if now.hour not in {4, 5, 6, 7} and now - offset != START:
                continue
            for site in ("north", "south"):
                there = [each for each in reloads(site).reloads if each.finished_at <= now]
                await watch_reloads(
                    site,
                    now,
                    source=FakeReloadSource(*there),
                    marks=marks,
                    tasks=configured,
                    occurrences=occurrences,
                    sightings=sightings,
                )
            await schedule(now)

    async def schedule(now: datetime) -> None:
        ledger, sightings, marks = MongoOccurrences(store), MongoSightings(store), MongoReloadMarks(store)
        await tick(now, tasks=configured, occurrences=ledger, sightings=sightings, marks=marks)
        if now.hour == 7:
            # a crash between record and cursor: the cursor is as it was some windows ago
            before = await ledger.cursor("trigger-0")
            if before is not None:
                back = type(before)(before.at - timedelta(days=1), before.rule)
                await ledger.move("trigger-0", before, back)
        await relay.run_once()

    await asyncio.gather(listen(timedelta(0)), listen(timedelta(minutes=7)))
    await relay.run_once(1000)

    found = bus.events()
    by_window = {(event.trigger.trigger_id, event.trigger.occurrence): event for event in found}
    assert len(by_window) == len(found) == TRIGGERS * DAYS
    assert all(isinstance(event, TaskTriggered) for event in found)
    for (_, occurrence), event in by_window.items():
        complete = datetime.fromisoformat(occurrence.removeprefix("window:")).day % 2 == 0
        assert complete == (not event.trigger.warnings)
        assert (3 if complete else 2) == len(event.trigger.reloads)


async def test_the_late_decision_is_taken_although_nothing_was_ever_heard(store: Store) -> None:
    ledger, sightings, marks = MongoOccurrences(store), MongoSightings(store), MongoReloadMarks(store)
    configured = tasks(1, LatePolicy.SKIP)
    late = START.replace(hour=6, minute=30) + timedelta(days=1)
    ports = {"occurrences": ledger, "sightings": sightings, "marks": marks}

    for at in (START, late, late + timedelta(seconds=59)):
        assert 0 == await tick(at, tasks=configured, **ports)  # type: ignore[arg-type]  # three ports
    assert 1 == await tick(late + timedelta(seconds=60), tasks=configured, **ports)  # type: ignore[arg-type]

    document = await ledger.collection.find_one({})
    assert document is not None
    assert document["skipped"]
    assert late == document["due_at"]
