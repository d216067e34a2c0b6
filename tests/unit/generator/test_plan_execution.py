"""An execution is planned once, and published as often as it is asked for, with the same facts."""

from datetime import timedelta

import pytest

from contracts.events import Disposition, ExecutionPlanned, ReportRequested
from generator.domain.request import Firing, Limits
from generator.use_cases.plan_execution import PlanExecution
from runtime.errors import Permanent, Transient
from support.clock import FakeClock
from support.fake_generator import (
    FakeConfiguration,
    FakeExecutions,
    FakePlans,
    FakePublisher,
    FakeQuestions,
)
from support.fake_vault import FakeVault
from support.tasks import EXECUTION, NOW, catalog, firing, over, report, setup


class World:
    """The use case with all its ports faked."""

    def __init__(self, *, enabled: bool = True, deadline: timedelta = timedelta(hours=1)) -> None:
        self.clock = FakeClock(NOW)
        self.executions = FakeExecutions(self.clock)
        self.configuration = FakeConfiguration(
            setup(enabled=enabled, deadline=deadline), catalog(reports=[report(iteration=over())])
        )
        self.qlik = FakeQuestions(["AA", "UA"])
        self.plans = FakePlans()
        self.publisher = FakePublisher()
        self.plan = PlanExecution(
            executions=self.executions,
            configuration=self.configuration,
            qlik=self.qlik,
            plans=self.plans,
            publisher=self.publisher,
            clock=self.clock,
            limits=Limits(units=100, deliveries=100),
            vault=FakeVault(),
            budget=timedelta(seconds=30),
        )

    @property
    def outcome(self) -> ExecutionPlanned:
        (event,) = (event for event, _ in self.publisher.events if isinstance(event, ExecutionPlanned))
        return event


async def test_the_outcome_goes_first_and_then_every_unit() -> None:
    world = World()
    await world.plan(firing())
    first, *rest = [event for event, _ in world.publisher.events]
    assert isinstance(first, ExecutionPlanned)
    assert (first.disposition, first.unit_count, first.delivery_count) == (Disposition.PLANNED, 2, 1)
    assert first.deadline_at == NOW + timedelta(hours=1)
    assert first.plan is not None
    plan = await world.plans.load(first.plan)
    assert all(isinstance(event, ReportRequested) and event.plan == first.plan for event in rest)
    assert [event.unit_id for event in rest] == [unit.id for unit in plan.units]  # type: ignore[attr-defined]
    assert world.executions.published_ids == [EXECUTION]


async def test_a_message_that_comes_again_publishes_the_same_and_plans_nothing() -> None:
    world = World()
    await world.plan(firing())
    before = list(world.publisher.events)
    world.clock.advance(timedelta(minutes=5))
    world.qlik.values = ["changed"]
    await world.plan(firing())
    assert world.publisher.events == before * 2
    assert world.qlik.rounds == 1


async def test_a_crash_before_publishing_is_mended_by_the_message_that_comes_again() -> None:
    world = World()
    world.publisher.failing = [Transient("no broker")]
    with pytest.raises(Transient):
        await world.plan(firing())
    await world.plan(firing())
    assert len(world.publisher.events) == 3
    assert world.qlik.rounds == 1


async def test_a_disabled_task_is_skipped_with_a_reason() -> None:
    world = World(enabled=False)
    await world.plan(firing())
    assert world.outcome.disposition is Disposition.SKIPPED
    assert world.outcome.reason is not None
    assert world.outcome.reason.code == "task-disabled"
    assert len(world.publisher.events) == 1


async def test_a_final_error_is_recorded() -> None:
    world = World()
    world.configuration.failing = [Permanent("configuration-invalid", "no good", "save it again")]
    await world.plan(firing())
    assert world.outcome.disposition is Disposition.FAILED
    assert world.outcome.reason is not None
    assert (world.outcome.reason.code, world.outcome.reason.remedy) == (
        "configuration-invalid",
        "save it again",
    )


async def test_a_site_that_is_down_holds_up_no_message_and_is_asked_again() -> None:
    world = World()
    world.qlik.failing = [Transient("the site is down"), Transient("the site is down")]
    await world.plan(firing())
    assert world.publisher.events == []
    assert not await world.plan.resume()
    world.clock.advance(timedelta(seconds=1))
    assert await world.plan.resume()
    assert not await world.plan.resume()
    world.clock.advance(timedelta(seconds=5))
    assert await world.plan.resume()
    assert world.outcome.disposition is Disposition.PLANNED
    assert [each.message for each in world.executions.errors] == ["the site is down"] * 2


async def test_an_execution_that_was_put_off_fails_at_its_deadline() -> None:
    world = World(deadline=timedelta(seconds=3))
    world.qlik.failing = [Transient("the site is down") for _ in range(9)]
    await world.plan(firing())
    world.clock.advance(timedelta(seconds=1))
    assert await world.plan.resume()
    world.clock.advance(timedelta(seconds=2))
    assert await world.plan.resume()
    assert world.outcome.reason is not None
    assert world.outcome.reason.code == "deadline"


async def test_after_the_deadline_a_site_that_is_down_fails_the_execution() -> None:
    world = World()
    down = Transient("the site is down")
    world.qlik.failing = [down]
    original = world.qlik.answers

    async def slow(questions):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        world.clock.advance(timedelta(hours=2))
        return await original(questions)

    world.qlik.answers = slow  # type: ignore[method-assign]
    await world.plan(firing())
    assert world.outcome.disposition is Disposition.FAILED
    assert world.outcome.reason is not None
    assert world.outcome.reason.code == "deadline"
    assert "the site is down" in world.outcome.reason.message


async def test_a_message_that_arrives_after_the_deadline_fails() -> None:
    world = World()
    world.clock.advance(timedelta(hours=2))
    await world.plan(firing())
    assert world.outcome.reason is not None
    assert world.outcome.reason.code == "deadline"


async def test_the_deadline_counts_from_the_first_sight_of_the_execution() -> None:
    world = World()
    world.qlik.failing = [Transient("down")]
    await world.plan(firing())
    world.clock.advance(timedelta(minutes=30))
    again = firing()
    await world.plan(Firing(again.execution_id, again.task_id, again.trigger, world.clock.now()))
    assert world.outcome.deadline_at == NOW + timedelta(hours=1)


async def test_what_was_planned_and_not_published_is_published_later() -> None:
    """As after a crash in between, with the message long acknowledged."""
    world = World()
    world.publisher.failing = [Transient("no broker")]
    with pytest.raises(Transient):
        await world.plan(firing())
    await world.plan.republish(timedelta(seconds=60))
    assert world.publisher.events == []
    world.clock.advance(timedelta(seconds=61))
    await world.plan.republish(timedelta(seconds=60))
    assert len(world.publisher.events) == 3
    await world.plan.republish(timedelta(seconds=60))
    assert len(world.publisher.events) == 3


async def test_an_execution_in_other_hands_is_left_to_them() -> None:
    world = World()
    await world.executions.claim(firing())
    await world.plan(firing())
    assert world.publisher.events == []
    assert world.qlik.rounds == 0


async def test_a_planner_that_was_overtaken_publishes_nothing() -> None:
    world = World()
    world.executions.taken_over = True
    await world.plan(firing())
    assert world.publisher.events == []


async def test_a_store_that_is_down_keeps_the_message() -> None:
    world = World()
    world.qlik.failing = [Transient("the site is down")]

    async def down(*_: object) -> None:
        raise Transient("the store is down")

    world.executions.postpone = down  # type: ignore[assignment]
    with pytest.raises(Transient, match="store is down"):
        await world.plan(firing())
