"""Watching executions: in any order, with any duplicates, ended once."""

import itertools
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from contracts.base import ObjectRef
from contracts.configuration import NotificationSettings
from contracts.events import Disposition, Outcome, TaskCompleted
from contracts.runs import RunOptions
from notifier.adapters.stored import StoredLogs
from notifier.domain.letters import Audience, Letter
from notifier.domain.model import Execution, Item, Planned, Status, Triggered
from notifier.use_cases.watch import Watch
from runtime.errors import Permanent, Transient
from runtime.plans import StoredPlans
from support.clock import FakeClock
from support.fake_ledger import FakeLedger
from support.fake_objects import FakeObjects
from support.notifier_kit import (
    DEADLINE,
    EXECUTION,
    NOW,
    TO,
    TRIGGER,
    FakeExecutions,
    FakeTasks,
    delivery,
    plan,
    planned,
    unit,
)

GENERATED, DELIVERED = unit(Status.GENERATED), delivery(Status.SUCCEEDED)


class Bench:
    """A watch on fakes."""

    def __init__(self) -> None:
        self.executions = FakeExecutions()
        self.objects = FakeObjects()
        self.tasks = FakeTasks()
        self.mails = FakeLedger()
        self.clock = FakeClock(NOW + timedelta(seconds=30))
        self.watch = Watch(
            executions=self.executions,
            plans=StoredPlans(self.objects),
            logs=StoredLogs(self.objects),
            tasks=self.tasks,
            mails=self.mails,
            clock=self.clock,
        )

    async def put_plan(self, **more: object) -> ObjectRef:
        data = plan(**more).model_dump_json().encode()
        return await self.objects.put(
            "plans/p.json", data, content_type="application/json", if_exists="replace"
        )

    async def triggered(self) -> None:
        await self.watch.triggered(EXECUTION, "t-1", Triggered(at=NOW, trigger=TRIGGER))

    async def planned(self, fact: Planned) -> None:
        await self.watch.planned(EXECUTION, "t-1", fact, DEADLINE)

    def completed(self) -> list[TaskCompleted]:
        return self.executions.completed()

    def letters(self) -> list[Letter]:
        return [Letter.model_validate(row["letter"]) for row in self.mails.rows.values()]

    async def log_text(self) -> str:
        (event,) = self.completed()
        assert event.log is not None
        return (await self.objects.get(event.log, max_bytes=10_000)).decode()


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_any_order_ends_in_the_same_single_event(bench: Bench, order: tuple[int, ...]) -> None:
    fact = planned(1, 1, plan=await bench.put_plan())
    steps: list[Callable[[], Awaitable[None]]] = [
        bench.triggered,
        lambda: bench.planned(fact),
        lambda: bench.watch.settled(GENERATED),
        lambda: bench.watch.settled(DELIVERED),
    ]
    for number in order:
        await steps[number]()
    (event,) = bench.completed()
    assert event.outcome is Outcome.SUCCESS
    assert (event.units.generated, event.deliveries.succeeded) == (1, 1)
    assert event.task_name == "Sales"
    assert event.completed_at == bench.clock.now()
    assert [mail.to for mail in bench.letters()] == ["ann@example.org"]


@pytest.mark.parametrize("seed", range(10))
async def test_duplicates_change_nothing(bench: Bench, seed: int) -> None:
    fact = planned(3, 2, plan=await bench.put_plan())
    items = [
        *(unit(Status.GENERATED, n) for n in range(3)),
        *(delivery(Status.SUCCEEDED, n) for n in range(2)),
    ]
    steps: list[Callable[[], Awaitable[None]]] = [bench.triggered, lambda: bench.planned(fact)] * 3
    steps += [lambda item=item: bench.watch.settled(item) for item in items * 3]  # type: ignore[misc]
    random.Random(seed).shuffle(steps)
    for step in steps:
        await step()
    (event,) = bench.completed()
    assert (event.outcome, event.units.generated, event.deliveries.succeeded) == (Outcome.SUCCESS, 3, 2)
    assert bench.executions.late == []
    assert len(bench.mails.rows) == 1


async def test_skipped_planning_ends_at_once_and_tells_nobody(bench: Bench) -> None:
    await bench.triggered()
    bench.tasks.answers["t-1", 3] = Audience(TO)
    await bench.planned(planned(0, 0, disposition=Disposition.SKIPPED))
    assert [each.outcome for each in bench.completed()] == [Outcome.SKIPPED]
    assert bench.mails.rows == {}


async def test_failed_planning_is_told_to_those_the_version_names(bench: Bench) -> None:
    bench.tasks.answers["t-1", 3] = Audience(TO)
    await bench.planned(planned(0, 0, disposition=Disposition.FAILED))
    assert [each.outcome for each in bench.completed()] == [Outcome.ERROR]
    assert [(mail.to, mail.subject) for mail in bench.letters()] == [("ann@example.org", "Error: Sales")]


async def test_execution_that_was_never_planned_ends_after_its_provisional_deadline(bench: Bench) -> None:
    bench.tasks.answers["t-1", None] = Audience(TO)
    await bench.triggered()
    bench.clock.set(NOW + timedelta(hours=1, seconds=9))
    assert await bench.watch.sweep() == 0
    bench.clock.set(NOW + timedelta(hours=1, seconds=10))
    assert await bench.watch.sweep() == 1
    assert await bench.watch.sweep() == 0
    (event,) = bench.completed()
    assert (event.outcome, event.reasons[0].code) == (Outcome.ERROR, "deadline-passed")
    assert [mail.to for mail in bench.letters()] == ["ann@example.org"]


async def test_deadline_of_the_plan_replaces_the_provisional_one(bench: Bench) -> None:
    await bench.triggered()
    soon = NOW + timedelta(minutes=5)
    await bench.watch.planned(EXECUTION, "t-1", planned(1, 1, plan=await bench.put_plan()), soon)
    await bench.triggered()
    bench.clock.set(soon + timedelta(seconds=10))
    assert await bench.watch.sweep() == 1
    assert "MISSING" in await bench.log_text()


async def test_execution_of_which_only_an_item_was_heard_is_watched_too(bench: Bench) -> None:
    await bench.watch.settled(GENERATED)
    bench.clock.set(GENERATED.at + timedelta(hours=1, seconds=10))
    assert await bench.watch.sweep() == 1


async def test_what_comes_after_the_end_is_kept_and_ends_nothing_again(bench: Bench) -> None:
    await bench.planned(planned(1, 1, plan=await bench.put_plan()))
    bench.clock.set(DEADLINE + timedelta(minutes=1))
    await bench.watch.sweep()
    await bench.watch.settled(GENERATED)
    await bench.watch.settled(DELIVERED)
    assert [each.outcome for each in bench.completed()] == [Outcome.ERROR]
    assert bench.executions.late == ["u-1", "d-1"]


async def test_item_that_settles_while_the_end_is_decided_is_not_lost(bench: Bench) -> None:
    """At the deadline the last delivery comes in just before the end is written."""
    await bench.planned(planned(1, 1, plan=await bench.put_plan()))
    await bench.watch.settled(GENERATED)
    bench.clock.set(DEADLINE + timedelta(minutes=1))
    complete = bench.executions.complete
    raced: list[Item] = [DELIVERED]

    async def racing(*args: object) -> bool:
        if raced:
            await bench.executions.settled(raced.pop(), DEADLINE)
        return await complete(*args)  # type: ignore[arg-type]

    bench.executions.complete = racing  # type: ignore[method-assign,assignment]
    await bench.watch.sweep()
    (event,) = bench.completed()
    assert (event.outcome, event.deliveries.succeeded) == (Outcome.SUCCESS, 1)


async def test_before_the_deadline_the_log_is_waited_for(bench: Bench) -> None:
    fact = planned(1, 1, plan=await bench.put_plan())
    await bench.planned(fact)
    await bench.watch.settled(GENERATED)
    bench.objects.broken = True
    with pytest.raises(Transient):
        await bench.watch.settled(DELIVERED)
    assert bench.completed() == []
    bench.objects.broken = False
    await bench.watch.settled(DELIVERED)
    assert "COMPLETED  success" in await bench.log_text()


async def test_an_execution_that_cannot_be_read_keeps_no_other_from_ending(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = EXECUTION[:-1] + ("0" if EXECUTION[-1] != "0" else "1")
    await bench.watch.triggered(damaged, "t-2", Triggered(at=NOW, trigger=TRIGGER))
    await bench.triggered()
    read = bench.executions.get

    async def get(execution_id: str) -> Execution | None:
        if execution_id == damaged:
            raise ValueError("the stored execution does not fit")
        return await read(execution_id)

    monkeypatch.setattr(bench.executions, "get", get)
    bench.clock.set(NOW + timedelta(hours=2))
    assert await bench.watch.sweep() == 1
    assert [EXECUTION] == [event.execution_id for event in bench.completed()]


async def test_after_the_deadline_the_execution_ends_without_a_log_and_is_told_later(bench: Bench) -> None:
    await bench.planned(planned(1, 1, plan=await bench.put_plan()))
    bench.objects.broken = True
    bench.clock.set(DEADLINE + timedelta(minutes=1))
    assert await bench.watch.sweep() == 1
    (event,) = bench.completed()
    assert event.log is None
    assert [each.code for each in event.reasons] == ["deadline-passed", "log-not-stored"]
    assert bench.mails.rows == {}
    bench.objects.broken = False
    await bench.watch.sweep()
    assert [mail.to for mail in bench.letters()] == ["ann@example.org"]
    await bench.watch.sweep()
    assert len(bench.mails.rows) == 1


async def test_plan_that_is_damaged_does_not_keep_the_execution_from_its_end(bench: Bench) -> None:
    fact = planned(1, 1, plan=await bench.put_plan())
    bench.objects.contents["plans/p.json"] = (b"{}", "application/json")
    bench.tasks.answers["t-1", 3] = Audience(TO)
    await bench.planned(fact)
    await bench.watch.settled(GENERATED)
    await bench.watch.settled(DELIVERED)
    assert [each.outcome for each in bench.completed()] == [Outcome.SUCCESS]
    assert len(bench.mails.rows) == 1


async def test_in_test_mode_only_the_test_address_is_told(bench: Bench) -> None:
    settings = NotificationSettings(on_success=True, to=("ann@example.org",), cc=("boss@example.org",))
    reference = await bench.put_plan(test_address="test@example.org", notification=settings)
    await bench.planned(planned(1, 1, plan=reference, test_mode=True))
    await bench.watch.settled(GENERATED)
    await bench.watch.settled(DELIVERED)
    assert [mail.envelope for mail in bench.letters()] == [("test@example.org",)]


async def test_without_the_test_address_nobody_is_told_of_a_test(bench: Bench) -> None:
    bench.tasks.answers["t-1", 3] = Audience(TO)
    await bench.planned(planned(0, 0, disposition=Disposition.FAILED, test_mode=True))
    assert len(bench.completed()) == 1
    assert bench.mails.rows == {}


async def test_configuration_that_does_not_fit_keeps_nobody_waiting(bench: Bench) -> None:
    async def broken(task_id: str, version: int | None) -> Audience | None:
        raise Permanent("configuration-invalid", "The stored task does not fit.")

    bench.tasks.audience = broken  # type: ignore[method-assign]
    await bench.planned(planned(0, 0, disposition=Disposition.FAILED))
    assert len(bench.completed()) == 1
    assert bench.executions.pending == set()


async def test_one_execution_that_cannot_end_does_not_keep_the_others(bench: Bench) -> None:
    await bench.triggered()
    other = EXECUTION.replace("0123", "9999")
    await bench.watch.triggered(other, "t-2", Triggered(at=NOW + timedelta(seconds=1), trigger=TRIGGER))
    items = bench.executions.items

    async def broken(execution_id: str) -> object:
        if execution_id == EXECUTION:
            raise Transient("no answer")
        return await items(execution_id)

    bench.executions.items = broken  # type: ignore[method-assign,assignment]
    bench.clock.set(NOW + timedelta(hours=2))
    assert await bench.watch.sweep() == 1
    assert [each.execution_id for each in bench.completed()] == [other]


RUN_AS_TEST = RunOptions.model_validate({"test_mode": {"address": "test@example.org"}})


@pytest.mark.parametrize("first", ["trigger", "plan"])
async def test_a_run_in_test_mode_that_cannot_be_planned_tells_the_test_address_alone(
    bench: Bench, first: str
) -> None:
    bench.tasks.answers["t-1", 3] = Audience(TO)
    if first == "trigger":
        await bench.watch.triggered(EXECUTION, "t-1", Triggered(at=NOW, trigger=TRIGGER, options=RUN_AS_TEST))
    await bench.planned(planned(0, 0, disposition=Disposition.FAILED, test_mode=True, options=RUN_AS_TEST))
    assert [mail.envelope for mail in bench.letters()] == [("test@example.org",)]


async def test_a_run_in_test_mode_that_is_never_planned_tells_the_test_address_alone(bench: Bench) -> None:
    bench.tasks.answers["t-1", None] = Audience(TO)
    await bench.watch.triggered(EXECUTION, "t-1", Triggered(at=NOW, trigger=TRIGGER, options=RUN_AS_TEST))
    bench.clock.advance(timedelta(days=1))
    await bench.watch.sweep()
    assert [mail.envelope for mail in bench.letters()] == [("test@example.org",)]
