"""What the outbox relay promises, on both drivers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from contracts.base import Reason
from contracts.events import NotificationFailed, NotificationSent, Outcome
from runtime.errors import Transient
from runtime.ledger import Ledger
from runtime.outbox import OutboxEntry, OutboxRelay, entry, message_of
from runtime.store import Driver, Store
from standalone.mongo import Mongo
from support.clock import FakeClock
from support.outbox_bus import OutboxBus
from support.stores import DRIVERS, fresh_store

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
EXECUTION = "01234567-89ab-4cde-8f01-23456789abcd"


def event(number: int, *, at: datetime = NOW) -> OutboxEntry:
    sent = NotificationSent(
        execution_id=EXECUTION,
        task_id="t",
        notification_id=f"n-{number:03}",
        address="a@example.org",
        outcome=Outcome.ERROR,
        message_id="<m@x>",
        accepted_at=NOW,
    )
    return entry(sent, source="notifier", occurred_at=at)


def test_entry_keeps_the_event_and_the_trace() -> None:
    failed = NotificationFailed(
        execution_id=EXECUTION,
        task_id="t",
        notification_id="n",
        address="a@example.org",
        outcome=Outcome.ERROR,
        reason=Reason(code="x", message="Zeitüberschreitung"),
    )
    stored = entry(failed, source="notifier", occurred_at=NOW, trace={"traceparent": "00-1-2-01"})
    message = message_of(stored)
    assert message.topic == "notification-sent"
    assert message.key == EXECUTION.encode()
    assert message.headers["traceparent"] == "00-1-2-01"
    assert message.headers["ce_id"] == stored["event_id"]
    assert NotificationFailed.model_validate_json(message.body) == failed


@pytest.mark.integration
@pytest.mark.parametrize("driver", DRIVERS, scope="class")
class TestOutboxRelay:
    @pytest.fixture
    async def store(self, driver: Driver, mongo_server: Mongo) -> AsyncIterator[Store]:
        async with fresh_store(mongo_server.uri, driver=driver) as store:
            yield store

    @pytest.fixture
    def bus(self) -> OutboxBus:
        return OutboxBus()

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock(NOW)

    @pytest.fixture
    async def relay(self, store: Store, bus: OutboxBus, clock: FakeClock) -> OutboxRelay:
        relay = OutboxRelay(store.db["rows"], bus, clock=clock, concurrency=3)
        await relay.ensure_indexes()
        return relay

    async def test_events_of_a_document_are_published_in_order_and_taken_out(
        self, store: Store, bus: OutboxBus, relay: OutboxRelay
    ) -> None:
        await put(store, "a", [event(n) for n in range(5)])
        assert await relay.run_once() == 5
        assert [each.identity() for each in bus.events()] == [f"n-{n:03}" for n in range(5)]
        assert await waiting(store) == 0
        assert await relay.run_once() == 0

    async def test_all_documents_are_published_up_to_the_limit(
        self, store: Store, bus: OutboxBus, relay: OutboxRelay
    ) -> None:
        for n in range(10):
            await put(store, str(n), [event(n)])
        assert await relay.run_once(limit=4) == 4
        assert await relay.run_once() == 6
        assert len({each.identity() for each in bus.events()}) == 10

    async def test_what_cannot_be_published_stays_and_is_published_later_once(
        self, store: Store, bus: OutboxBus, relay: OutboxRelay, clock: FakeClock
    ) -> None:
        await put(store, "a", [event(1), event(2)])
        bus.fail_next = 3
        with pytest.raises(Transient):
            await relay.run_once()
        assert await waiting(store) == 2
        bus.fail_next = 0
        clock.advance(timedelta(seconds=2))
        assert await relay.run_once() == 2
        assert [each.identity() for each in bus.events()] == ["n-001", "n-002"]

    async def test_bad_documents_hold_up_nobody_and_are_counted(
        self, store: Store, bus: OutboxBus, relay: OutboxRelay, clock: FakeClock
    ) -> None:
        # More of them than places, and the oldest of all: they come first whenever they may.
        for n in range(5):
            damaged = event(100 + n, at=NOW - timedelta(hours=1))
            del damaged["topic"]
            await put(store, f"damaged-{n}", [damaged])
        await store.db["rows"].insert_one({"_id": "empty", "outbox": [{"what": "is this"}]})
        large = event(200, at=NOW - timedelta(hours=1))
        bus.refused = {large["event_id"]}
        await put(store, "large", [large])
        for n in range(5):
            await put(store, f"good-{n}", [event(n, at=NOW - timedelta(seconds=30))])
        before = failures("broadsheet_round_item_failures_total")
        assert await relay.run_once() == 5
        assert {each.identity() for each in bus.events()} == {f"n-{n:03}" for n in range(5)}
        assert failures("broadsheet_round_item_failures_total") - before == 7
        assert await relay.run_once() == 0, "they are left alone for a while"
        assert 3600 == await relay.measure()
        clock.advance(timedelta(minutes=2))
        bus.refused.clear()
        assert await relay.run_once() == 1, "what became possible is published"

    async def test_part_that_was_published_before_a_failure_is_not_published_again(
        self, store: Store, bus: OutboxBus, relay: OutboxRelay, clock: FakeClock
    ) -> None:
        await put(store, "a", [event(1), event(2)])
        bus.poisoned = {event(2)["event_id"]}
        with pytest.raises(Transient):
            await relay.run_once()
        bus.poisoned = set()
        clock.advance(timedelta(seconds=2))
        assert await relay.run_once() == 1
        assert [each.identity() for each in bus.events()] == ["n-001", "n-002"]

    async def test_document_that_cannot_be_published_does_not_hold_up_the_others(
        self, store: Store, bus: OutboxBus, relay: OutboxRelay
    ) -> None:
        await put(store, "a", [event(1)])
        for n in range(2, 9):
            await put(store, str(n), [event(n, at=NOW + timedelta(seconds=n))])
        bus.poisoned = {event(1)["event_id"]}
        with pytest.raises(Transient):
            await relay.run_once()
        assert len(bus.events()) == 7

    async def test_relays_side_by_side_publish_each_event_once(
        self, store: Store, bus: OutboxBus, clock: FakeClock
    ) -> None:
        for n in range(30):
            await put(store, str(n), [event(n)])
        relays = [OutboxRelay(store.db["rows"], bus, clock=clock) for _ in range(3)]
        assert sum(await asyncio.gather(*(each.run_once() for each in relays))) == 30
        assert len(bus.messages) == 30

    async def test_document_of_a_relay_that_died_is_published_by_another(
        self, store: Store, bus: OutboxBus, relay: OutboxRelay, clock: FakeClock
    ) -> None:
        await put(store, "a", [event(1)])
        dead = OutboxRelay(store.db["rows"], bus, clock=clock)
        await dead._claim()
        assert await relay.run_once() == 0
        clock.advance(timedelta(seconds=15))
        assert await relay.run_once() == 1

    async def test_settling_and_announcing_is_one_write(
        self, store: Store, bus: OutboxBus, relay: OutboxRelay
    ) -> None:
        ledger = Ledger(store.db["rows"])
        await ledger.add([{"_id": "a"}])
        lease = await ledger.claim(NOW, lease_for=timedelta(minutes=1))
        assert lease is not None
        assert await ledger.settle(lease, state="succeeded", events=[event(1)])
        assert await relay.run_once() == 1
        assert [each.identity() for each in bus.events()] == ["n-001"]

    async def test_oldest_unsent_event_is_measured(
        self, store: Store, relay: OutboxRelay, clock: FakeClock
    ) -> None:
        assert await relay.measure() == 0
        await put(store, "a", [event(1, at=NOW - timedelta(seconds=40)), event(2)])
        assert await relay.measure() == 40

    async def test_the_age_is_known_while_nothing_can_be_published(
        self, store: Store, bus: OutboxBus, clock: FakeClock
    ) -> None:
        await put(store, "a", [event(1, at=NOW - timedelta(seconds=40))])
        bus.poisoned = {event(1)["event_id"]}
        await OutboxRelay(store.db["rows"], bus, clock=clock)._round()
        assert REGISTRY.get_sample_value("broadsheet_outbox_oldest_seconds", {"collection": "rows"}) == 40

    async def test_nudged_relay_publishes_at_once_and_stops_when_told(
        self, store: Store, bus: OutboxBus
    ) -> None:
        relay = OutboxRelay(store.db["rows"], bus)
        stopping = asyncio.Event()
        running = asyncio.create_task(relay.run(stopping, every_s=3600))
        try:
            await until(lambda: relay._nudged.is_set() is False)
            await put(store, "a", [event(1)])
            relay.nudge()
            await until(lambda: len(bus.messages) == 1)
            await put(store, "b", [event(2)])
        finally:
            stopping.set()
            await asyncio.wait_for(running, timeout=20)
        assert len(bus.messages) == 2

    async def test_only_documents_with_unsent_events_are_looked_at(
        self, store: Store, relay: OutboxRelay
    ) -> None:
        await store.db["rows"].insert_many([{"_id": f"old-{n}", "outbox": []} for n in range(50)])
        await put(store, "a", [event(1)])
        explained = await store.db.command(
            "explain",
            {
                "find": "rows",
                "filter": {"outbox.0": {"$exists": True}},
                "sort": {"outbox.occurred_at": 1},
                "limit": 1,
            },
            verbosity="executionStats",
        )
        assert explained["executionStats"]["totalDocsExamined"] <= 1


async def put(store: Store, key: str, events: list[OutboxEntry]) -> None:
    await store.db["rows"].insert_one({"_id": key, "outbox": events})


async def waiting(store: Store) -> int:
    rows = [each async for each in store.db["rows"].find({})]
    return sum(len(each["outbox"]) for each in rows)


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is in another task
            await asyncio.sleep(0.01)


def failures(metric: str) -> float:
    return REGISTRY.get_sample_value(metric, {"loop": "outbox rows"}) or 0.0
