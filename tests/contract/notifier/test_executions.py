"""What the store of executions promises: the fake, and MongoDB on both drivers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from contracts.events import Outcome, TaskCompleted
from notifier.adapters.mongo import EXECUTIONS, ITEMS, MAILS, MongoExecutions
from notifier.adapters.stored import StoredLogs
from notifier.domain.model import Completion, Execution, Item, Status, Triggered
from notifier.ports import Executions
from notifier.use_cases.watch import Watch
from runtime.ledger import Ledger
from runtime.plans import StoredPlans
from runtime.store import Driver, Store
from standalone.mongo import Mongo
from support.clock import FakeClock
from support.fake_objects import FakeObjects
from support.notifier_kit import (
    DEADLINE,
    EXECUTION,
    NOW,
    TRIGGER,
    FakeExecutions,
    FakeTasks,
    delivery,
    planned,
    unit,
)
from support.stores import DRIVERS, fresh_store

TRIGGERED = Triggered(at=NOW, trigger=TRIGGER)
LATER = NOW + timedelta(hours=2)
OTHER = EXECUTION.replace("0123", "9999")


class ExecutionsContract:
    """Run against every implementation."""

    async def test_nothing_known_is_none(self, executions: Executions) -> None:
        assert await executions.get(EXECUTION) is None
        assert await executions.items(EXECUTION) == []

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 1, 2, 0, 1, 2)])
    async def test_facts_add_up_in_any_order(self, executions: Executions, order: tuple[int, ...]) -> None:
        for number in order:
            if number == 0:
                await executions.triggered(EXECUTION, "t-1", TRIGGERED, LATER)
            elif number == 1:
                assert await executions.planned(EXECUTION, "t-1", planned(2, 1), DEADLINE)
            else:
                assert await executions.settled(unit(Status.GENERATED), LATER)
        found = await get(executions)
        assert (found.triggered, found.planned, found.deadline_at, found.seen) == (
            TRIGGERED,
            planned(2, 1),
            DEADLINE,
            1,
        )
        assert await executions.items(EXECUTION) == [unit(Status.GENERATED)]

    async def test_first_outcome_of_an_item_stays(self, executions: Executions) -> None:
        await executions.settled(unit(Status.GENERATED), LATER)
        await executions.settled(unit(Status.FAILED), LATER)
        assert [each.status for each in await executions.items(EXECUTION)] == [Status.GENERATED]

    async def test_items_of_other_executions_are_not_shown(self, executions: Executions) -> None:
        await executions.settled(unit(Status.GENERATED, 1), LATER)
        await executions.settled(unit(Status.GENERATED, 2, execution_id=OTHER), LATER)
        assert [each.id for each in await executions.items(EXECUTION)] == ["u-1"]

    async def test_end_is_written_once(self, executions: Executions) -> None:
        await executions.planned(EXECUTION, "t-1", planned(1, 0), DEADLINE)
        run = await get(executions)
        assert await end(executions, run)
        assert not await end(executions, run)
        assert not await end(executions, await get(executions))
        found = await get(executions)
        assert found.completion == COMPLETION

    async def test_end_is_refused_when_an_item_came_in_between(self, executions: Executions) -> None:
        await executions.planned(EXECUTION, "t-1", planned(1, 0), DEADLINE)
        run = await get(executions)
        await executions.settled(unit(Status.GENERATED), LATER)
        assert not await end(executions, run)
        assert await end(executions, await get(executions))

    async def test_end_is_refused_when_the_plan_came_in_between(self, executions: Executions) -> None:
        await executions.triggered(EXECUTION, "t-1", TRIGGERED, LATER)
        run = await get(executions)
        await executions.planned(EXECUTION, "t-1", planned(1, 0), DEADLINE)
        assert not await end(executions, run)

    async def test_what_comes_after_the_end_is_told_apart_from_copies(self, executions: Executions) -> None:
        await executions.planned(EXECUTION, "t-1", planned(1, 1), DEADLINE)
        await executions.settled(unit(Status.GENERATED), LATER)
        assert await end(executions, await get(executions))
        assert await executions.settled(unit(Status.GENERATED), LATER)
        assert await executions.planned(EXECUTION, "t-1", planned(1, 1), DEADLINE)
        assert not await executions.settled(delivery(Status.SUCCEEDED), LATER)
        assert (await get(executions)).completion == COMPLETION

    async def test_plan_after_the_end_is_late(self, executions: Executions) -> None:
        await executions.triggered(EXECUTION, "t-1", TRIGGERED, LATER)
        assert await end(executions, await get(executions))
        assert not await executions.planned(EXECUTION, "t-1", planned(1, 1), DEADLINE)

    async def test_overdue_are_those_that_have_not_ended(self, executions: Executions) -> None:
        await executions.triggered(EXECUTION, "t-1", TRIGGERED, NOW + timedelta(minutes=2))
        await executions.triggered(OTHER, "t-1", TRIGGERED, NOW + timedelta(minutes=1))
        assert [each async for each in executions.overdue(NOW)] == []
        assert [each async for each in executions.overdue(NOW + timedelta(minutes=2))] == [OTHER, EXECUTION]
        assert await end(executions, await get(executions))
        assert [each async for each in executions.overdue(LATER)] == [OTHER]

    async def test_unannounced_until_announced(self, executions: Executions) -> None:
        await executions.triggered(EXECUTION, "t-1", TRIGGERED, LATER)
        assert [each async for each in executions.unannounced()] == []
        await end(executions, await get(executions))
        assert [each async for each in executions.unannounced()] == [EXECUTION]
        await executions.announced(EXECUTION)
        assert [each async for each in executions.unannounced()] == []


class TestFakeExecutions(ExecutionsContract):
    @pytest.fixture
    def executions(self) -> FakeExecutions:
        return FakeExecutions()


@pytest.mark.integration
@pytest.mark.parametrize("driver", DRIVERS, scope="class")
class TestMongoExecutions(ExecutionsContract):
    @pytest.fixture
    async def store(self, driver: Driver, mongo_server: Mongo) -> AsyncIterator[Store]:
        async with fresh_store(mongo_server.uri, driver=driver) as store:
            yield store

    @pytest.fixture
    async def executions(self, store: Store) -> MongoExecutions:
        executions = MongoExecutions(store)
        await executions.ensure_indexes()
        return executions

    async def test_many_first_facts_at_once_make_one_execution(
        self, executions: MongoExecutions, store: Store
    ) -> None:
        items = [unit(Status.GENERATED, n) for n in range(20)]
        await asyncio.gather(
            *(executions.settled(item, LATER) for item in [*items, *items]),
            executions.triggered(EXECUTION, "t-1", TRIGGERED, LATER),
            executions.planned(EXECUTION, "t-1", planned(20, 0), DEADLINE),
        )
        assert await store.db[EXECUTIONS].count_documents({}) == 1
        found = await get(executions)
        assert (found.seen >= 20, found.deadline_at) == (True, DEADLINE)
        assert len(await executions.items(EXECUTION)) == 20

    async def test_late_items_can_be_looked_at(self, executions: MongoExecutions, store: Store) -> None:
        await executions.triggered(EXECUTION, "t-1", TRIGGERED, LATER)
        await end(executions, await get(executions))
        await executions.settled(unit(Status.FAILED), LATER)
        found = await store.db[EXECUTIONS].find_one({"_id": EXECUTION})
        assert found is not None
        assert [(each["id"], each["status"]) for each in found["late"]] == [("u-1", "failed")]

    async def test_an_execution_is_forgotten_once_it_is_old_and_nothing_of_it_waits(
        self, executions: MongoExecutions, store: Store
    ) -> None:
        mails = Ledger(store.collection(MAILS))
        await executions.triggered(EXECUTION, "t-1", TRIGGERED, LATER)
        await executions.settled(unit(Status.GENERATED), LATER)
        later = COMPLETION.at + timedelta(seconds=1)
        assert await executions.forget(later) == 0, "it has not ended"
        await end(executions, await get(executions))
        await mails.add([{"_id": "m-1", "execution_id": EXECUTION, "outbox": [{"id": "e-1"}]}])
        assert await executions.forget(later) == 0, "its mails are not written"
        await executions.announced(EXECUTION)
        assert await executions.forget(later) == 0, "its event is not published"
        await store.db[EXECUTIONS].update_one({"_id": EXECUTION}, {"$set": {"outbox": []}})
        assert await executions.forget(later) == 0, "the event of its mail is not published"
        await store.db[MAILS].update_one({"_id": "m-1"}, {"$set": {"outbox": []}})
        assert await executions.forget(COMPLETION.at) == 0, "it is not old enough"
        assert await executions.forget(later) == 1
        left = [await store.db[name].count_documents({}) for name in (EXECUTIONS, ITEMS, MAILS)]
        assert left == [0, 0, 0]

    async def test_item_that_was_stored_but_not_counted_is_counted_by_its_second_copy(
        self, executions: MongoExecutions
    ) -> None:
        """A notifier died between the two writes."""
        await executions._insert(unit(Status.GENERATED))
        assert await executions.settled(unit(Status.GENERATED), LATER)
        assert (await get(executions)).seen == 1

    async def test_notifiers_side_by_side_end_an_execution_once(
        self, executions: MongoExecutions, store: Store
    ) -> None:
        watches = [watch(store, FakeObjects()) for _ in range(3)]
        items: list[Item] = [unit(Status.GENERATED, n) for n in range(6)]
        items += [delivery(Status.SUCCEEDED, n) for n in range(6)]
        await executions.planned(EXECUTION, "t-1", planned(6, 6), DEADLINE)
        await asyncio.gather(*(each.settled(item) for item in items for each in watches))
        found = await store.db[EXECUTIONS].find_one({"_id": EXECUTION})
        assert found is not None
        events = [TaskCompleted.model_validate_json(each["body"]) for each in found["outbox"]]
        assert [(each.outcome, each.units.generated, each.deliveries.succeeded) for each in events] == [
            (Outcome.SUCCESS, 6, 6)
        ]
        assert found["mails"] == "written"

    async def test_notifiers_side_by_side_end_an_overdue_execution_once(
        self, executions: MongoExecutions, store: Store
    ) -> None:
        for key in (EXECUTION, OTHER):
            await executions.triggered(key, "t-1", TRIGGERED, NOW)
        watches = [watch(store, FakeObjects()) for _ in range(4)]
        assert sum(await asyncio.gather(*(each.sweep() for each in watches))) == 2
        outboxes = [each["outbox"] async for each in store.db[EXECUTIONS].find({})]
        assert [len(each) for each in outboxes] == [1, 1]


COMPLETION = Completion(at=NOW + timedelta(minutes=1), outcome=Outcome.ERROR)


async def get(executions: Executions) -> Execution:
    found = await executions.get(EXECUTION)
    assert found is not None
    return found


async def end(executions: Executions, run: Execution) -> bool:
    event = TaskCompleted(
        execution_id=run.id,
        task_id=run.task_id,
        task_name=run.task_name,
        outcome=COMPLETION.outcome,
        triggered_at=run.triggered_at,
        completed_at=COMPLETION.at,
    )
    return await executions.complete(run, COMPLETION, event)


def watch(store: Store, objects: FakeObjects) -> Watch:
    return Watch(
        executions=MongoExecutions(store),
        plans=StoredPlans(objects),
        logs=StoredLogs(objects),
        tasks=FakeTasks(),
        mails=Ledger(store.db[MAILS]),
        clock=FakeClock(NOW + timedelta(minutes=1)),
    )
