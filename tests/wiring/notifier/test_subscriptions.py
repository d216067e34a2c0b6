"""What the notifier listens to, and what each message becomes."""

from datetime import timedelta

import pytest

from contracts.base import Artifact, Event, Reason
from contracts.catalog import topics
from contracts.envelope import decode, encode
from contracts.events import (
    EVENT_TYPES,
    Channel,
    DeliveryFailed,
    DeliverySkipped,
    DeliverySucceeded,
    DeliveryUnknown,
    Disposition,
    ExecutionPlanned,
    Outcome,
    ReportFailed,
    ReportGenerated,
    ReportSkipped,
    TaskTriggered,
    TriggerSkipped,
)
from notifier.adapters.stored import StoredLogs
from notifier.domain.model import Status
from notifier.handlers import subscriptions
from notifier.use_cases.watch import Watch
from runtime.plans import StoredPlans
from support.clock import FakeClock
from support.fake_ledger import FakeLedger
from support.fake_objects import FakeObjects
from support.notifier_kit import DEADLINE, EXECUTION, NOW, TRIGGER, FakeExecutions, FakeTasks

WHY = Reason(code="x", message="because")
ABOUT = {"execution_id": EXECUTION, "task_id": "t-1"}
UNIT = {**ABOUT, "report_name": "Sales", "iteration_value": "AA"}
DELIVERY = {**ABOUT, "channel": Channel.EMAIL, "target": "ann@example.org"}
FILE = Artifact(key="k", size=5, sha256="0" * 64, file_name="sales.xlsx")

UNITS: list[Event] = [
    ReportGenerated(**UNIT, unit_id="u-1", artifact=FILE, warnings=(WHY,)),
    ReportSkipped(**UNIT, unit_id="u-2", reason=WHY),
    ReportFailed(**UNIT, unit_id="u-3", reason=WHY),
]
DELIVERIES: list[Event] = [
    DeliverySucceeded(**DELIVERY, delivery_id="d-1", accepted_at=NOW, attempts=3, detail="250 ok"),
    DeliveryFailed(**DELIVERY, delivery_id="d-2", reason=WHY),
    DeliveryUnknown(**DELIVERY, delivery_id="d-3", reason=WHY),
    DeliverySkipped(**DELIVERY, delivery_id="d-4", reason=WHY),
]


@pytest.fixture
def executions() -> FakeExecutions:
    return FakeExecutions()


@pytest.fixture
def watch(executions: FakeExecutions) -> Watch:
    return Watch(
        executions=executions,
        plans=StoredPlans(FakeObjects()),
        logs=StoredLogs(FakeObjects()),
        tasks=FakeTasks(),
        mails=FakeLedger(),
        clock=FakeClock(NOW + timedelta(minutes=1)),
    )


async def hear(watch: Watch, *events: Event) -> None:
    """Hand events to the handlers as they come from the bus, each at the second of its place."""
    by_topic = {each.topic: each for each in subscriptions(watch)}
    for number, event in enumerate(events):
        message = encode(event, source="test", time=NOW + timedelta(seconds=number))
        handler = by_topic[message.topic].handler
        assert handler is not None
        await handler(decode(message.headers, message.body))


def planned(**more: object) -> ExecutionPlanned:
    return ExecutionPlanned.model_validate(
        {
            **ABOUT,
            "task_name": "Sales",
            "task_version": 3,
            "trigger": TRIGGER,
            "disposition": Disposition.PLANNED,
            "unit_count": 3,
            "delivery_count": 4,
            "deadline_at": DEADLINE,
            "test_mode": True,
            "problems": (WHY,),
            **more,
        }
    )


def test_it_reads_what_the_catalogue_says_it_reads_in_one_group(watch: Watch) -> None:
    made = subscriptions(watch, consumers=2)
    assert {each.topic for each in made} == {spec.name for spec in topics() if "notifier" in spec.consumers}
    assert {each.group for each in made} == {"notifier"}
    assert {each.topic: each.concurrency for each in made} == {
        "task-triggered": 1,
        "execution-planned": 1,
        "report-settled": 2,
        "delivery-settled": 2,
    }


def test_it_takes_every_event_of_its_topics(watch: Watch) -> None:
    for each in subscriptions(watch):
        assert set(each.events) == {cls for cls in EVENT_TYPES if each.topic == cls.TOPIC}


def test_everything_it_publishes_is_its_own() -> None:
    owned = {spec.name for spec in topics() if "notifier" in spec.producers}
    assert owned == {"task-completed", "notification-sent"}


async def test_trigger_begins_the_watch_with_the_moment_it_was_published(
    watch: Watch, executions: FakeExecutions
) -> None:
    await hear(watch, TaskTriggered(**ABOUT, trigger=TRIGGER))
    run = executions.rows[EXECUTION]
    assert run.triggered is not None
    assert (run.triggered.at, run.deadline_at, run.trigger) == (NOW, NOW + timedelta(hours=1), TRIGGER)


async def test_skipped_trigger_is_no_execution(watch: Watch, executions: FakeExecutions) -> None:
    await hear(watch, TriggerSkipped(**ABOUT, trigger=TRIGGER, reason=WHY))
    assert executions.rows == {}


async def test_plan_is_taken_over_with_everything_that_counts(
    watch: Watch, executions: FakeExecutions
) -> None:
    await hear(watch, planned())
    run = executions.rows[EXECUTION]
    assert run.planned is not None
    assert (run.deadline_at, run.expected, run.planned.test_mode) == (DEADLINE, 7, True)
    assert (run.planned.problems, run.planned.task_version, run.task_name) == ((WHY,), 3, "Sales")


async def test_every_outcome_counts_as_what_it_is(watch: Watch, executions: FakeExecutions) -> None:
    await hear(watch, *UNITS, *DELIVERIES)
    found = {item.id: item.status for item in executions.settled_items.values()}
    assert found == {
        "u-1": Status.GENERATED,
        "u-2": Status.SKIPPED,
        "u-3": Status.FAILED,
        "d-1": Status.SUCCEEDED,
        "d-2": Status.FAILED,
        "d-3": Status.UNKNOWN,
        "d-4": Status.SKIPPED,
    }
    unit, delivery = executions.settled_items["u-1"], executions.settled_items["d-1"]
    assert (unit.title, unit.detail, unit.warnings) == ("Sales, AA", "sales.xlsx, 5 bytes", (WHY,))
    assert (delivery.title, delivery.detail) == ("email to ann@example.org", "3 attempts, 250 ok")
    assert executions.settled_items["d-2"].reason == WHY


async def test_last_event_ends_the_execution(watch: Watch, executions: FakeExecutions) -> None:
    await hear(watch, TaskTriggered(**ABOUT, trigger=TRIGGER), *DELIVERIES, *UNITS, planned())
    (event,) = executions.completed()
    assert (event.outcome, event.triggered_at) == (Outcome.WARNING, NOW)
    assert (event.units.failed, event.deliveries.unknown) == (1, 1)
