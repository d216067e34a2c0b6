"""Executions and units on a real MongoDB, with both drivers: settled once, whoever dies."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from contracts.base import ObjectRef, Reason
from contracts.events import Disposition, ExecutionPlanned, ReportRequested, ReportSkipped
from generator.adapters.mongo import UNITS, MongoExecutions, MongoUnits
from generator.ports import Busy, Claim, Settled
from runtime.clock import SystemClock
from runtime.store import Driver, Store
from standalone.mongo import Mongo
from support.clock import FakeClock
from support.stores import DRIVERS, fresh_store
from support.tasks import DEADLINE, EXECUTION, NOW, firing, trigger
from support.waiting import until

pytestmark = pytest.mark.integration
LEASE = timedelta(seconds=30)
REQUEST = ReportRequested(
    execution_id=EXECUTION,
    task_id="task",
    unit_id="unit",
    plan=ObjectRef(key="plans/x", size=1, sha256="a" * 64),
    report_name="Flights",
    format="xlsx",
    deadline_at=DEADLINE,
)
SKIPPED = ReportSkipped(
    execution_id=EXECUTION,
    task_id="task",
    unit_id="unit",
    report_name="Flights",
    reason=Reason(code="condition-not-met", message="none today"),
)
PLANNED = ExecutionPlanned(
    execution_id=EXECUTION,
    task_id="task",
    task_name="Flights daily",
    task_version=3,
    trigger=trigger(),
    disposition=Disposition.FAILED,
    reason=Reason(code="task-empty", message="nothing to do"),
    deadline_at=DEADLINE,
)


@pytest.fixture(params=DRIVERS)
async def store(mongo_server: Mongo, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    driver: Driver = request.param
    async with fresh_store(mongo_server.uri, driver=driver) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
async def units(store: Store, clock: FakeClock) -> MongoUnits:
    found = MongoUnits(store, clock, LEASE)
    await found.ensure_indexes()
    return found


async def claimed(units: MongoUnits) -> Claim:
    claim = await units.claim(REQUEST)
    assert isinstance(claim, Claim), claim
    return claim


async def test_an_execution_is_settled_once_and_remembered(store: Store, clock: FakeClock) -> None:
    executions = MongoExecutions(store, clock, LEASE)
    await executions.ensure_indexes()
    claim = await executions.claim(firing())
    assert isinstance(claim, Claim)
    assert (claim.attempt, claim.first_seen) == (1, NOW)
    assert isinstance(await executions.claim(firing()), Busy)
    assert await executions.settle(claim, PLANNED, clock.now())
    assert await executions.claim(firing()) == Settled(PLANNED, NOW)
    assert not await executions.settle(claim, PLANNED, clock.now())


async def test_a_unit_of_a_process_that_died_is_taken_over_and_its_late_outcome_refused(
    units: MongoUnits, clock: FakeClock
) -> None:
    dead = await claimed(units)
    assert isinstance(await units.claim(REQUEST), Busy)
    clock.advance(LEASE)
    heir = await claimed(units)
    assert (heir.attempt, heir.first_seen) == (2, NOW)
    assert not await units.settle(dead, SKIPPED, clock.now())
    assert await units.settle(heir, SKIPPED, clock.now())
    assert await units.claim(REQUEST) == Settled(SKIPPED, clock.now())


async def test_a_unit_that_was_put_off_is_due_in_time_with_what_was_asked_and_its_error(
    units: MongoUnits, store: Store, clock: FakeClock
) -> None:
    later = NOW + timedelta(seconds=5)
    await units.postpone(await claimed(units), later, Reason(code="out-of-order", message="the site is down"))
    assert await units.due() is None
    assert isinstance(await units.claim(REQUEST), Busy)
    clock.set(later)
    found = await units.due()
    assert found is not None
    claim, request = found
    assert (claim.attempt, request) == (2, REQUEST)
    assert await units.due() is None
    row = await store.db[UNITS].find_one({"_id": "unit"})
    assert row is not None
    assert row["attempts"][0]["error"]["message"] == "the site is down"


async def test_work_of_a_process_that_died_is_found_without_a_message(
    store: Store, units: MongoUnits, clock: FakeClock
) -> None:
    executions = MongoExecutions(store, clock, LEASE)
    await claimed(units)
    await executions.claim(firing())
    clock.advance(LEASE)
    found, planning = await units.due(), await executions.due()
    assert found is not None
    assert found[1] == REQUEST
    assert planning is not None
    assert planning[1] == firing()
    assert planning[0].first_seen == NOW


async def test_what_settled_is_unpublished_until_it_is_published(
    store: Store, units: MongoUnits, clock: FakeClock
) -> None:
    await units.settle(await claimed(units), SKIPPED, clock.now())
    soon = NOW + timedelta(seconds=1)
    assert await units.unpublished(NOW) == []
    row = await store.db[UNITS].find_one({"_id": "unit"})
    assert row is not None
    # One that this version cannot read keeps no other from being published.
    await store.db[UNITS].insert_one({**row, "_id": "damaged", "event": {"type": "unit-vanished"}})
    assert await units.unpublished(soon) == [Settled(SKIPPED, NOW)]
    await store.db[UNITS].delete_one({"_id": "damaged"})
    await units.published("unit", soon)
    await units.published("unit", soon + timedelta(hours=1))
    assert await units.unpublished(soon) == []
    row = await store.db[UNITS].find_one({"_id": "unit"})
    assert row is not None
    assert row["published_at"] == soon


async def test_of_ten_who_claim_at_once_one_gets_it(units: MongoUnits) -> None:
    found = await asyncio.gather(*(units.claim(REQUEST) for _ in range(10)))
    assert len([each for each in found if isinstance(each, Claim)]) == 1
    assert len([each for each in found if isinstance(each, Busy)]) == 9


async def test_a_claim_lives_as_long_as_work_goes_on(store: Store) -> None:
    units = MongoUnits(store, SystemClock(), timedelta(seconds=0.6))
    claim = await claimed(units)
    rows = store.db[UNITS]
    first = await rows.find_one({"_id": "unit"})
    assert first is not None

    async def extended_twice() -> bool:
        row = await rows.find_one({"_id": "unit"})
        return row is not None and row["lease_until"] >= first["lease_until"] + timedelta(seconds=0.3)

    async with units.kept(claim):
        await until(extended_twice, what="the extension of the lease")
        assert isinstance(await units.claim(REQUEST), Busy)
    assert await units.settle(claim, SKIPPED, SystemClock().now())
