"""The generator hears the right topics under the right groups, and hands over what it heard."""

from contracts.base import ObjectRef
from contracts.envelope import Received, decode, encode
from contracts.events import ReportRequested, TaskTriggered
from generator.domain.request import Firing
from generator.handlers import PLANNER_GROUP, RENDERER_GROUP, planning, rendering
from runtime.bus import Subscription
from support.tasks import DEADLINE, EXECUTION, NOW, trigger


def received(event: TaskTriggered | ReportRequested) -> Received[TaskTriggered | ReportRequested]:
    message = encode(event, source="test", time=NOW)
    return decode(dict(message.headers), message.body)  # type: ignore[return-value]


async def deliver(subscription: Subscription, event: TaskTriggered | ReportRequested) -> None:
    assert subscription.handler is not None
    await subscription.handler(received(event))


async def test_a_triggered_task_is_planned_from_the_moment_it_was_published() -> None:
    heard: list[Firing] = []

    async def plan(firing: Firing) -> None:
        heard.append(firing)

    subscription = planning(plan)
    assert (subscription.topic, subscription.group) == ("task-triggered", PLANNER_GROUP)
    assert (subscription.events, subscription.concurrency) == ((TaskTriggered,), 1)
    await deliver(subscription, TaskTriggered(execution_id=EXECUTION, task_id="task", trigger=trigger()))
    assert heard == [Firing(EXECUTION, "task", trigger(), NOW)]


async def test_requested_reports_are_rendered_by_several_consumers() -> None:
    heard: list[ReportRequested] = []

    async def render(request: ReportRequested) -> None:
        heard.append(request)

    subscription = rendering(render, at_once=4)
    assert (subscription.topic, subscription.group) == ("report-requested", RENDERER_GROUP)
    assert (subscription.events, subscription.concurrency) == ((ReportRequested,), 4)
    request = ReportRequested(
        execution_id=EXECUTION,
        task_id="task",
        unit_id="unit",
        plan=ObjectRef(key="plans/x", size=1, sha256="a" * 64),
        report_name="Flights",
        format="xlsx",
        deadline_at=DEADLINE,
    )
    await deliver(subscription, request)
    assert heard == [request]


def test_both_groups_differ_so_that_each_event_is_heard_once_by_each() -> None:
    assert PLANNER_GROUP != RENDERER_GROUP
