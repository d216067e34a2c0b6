"""What the generator hears on the bus."""

from collections.abc import Awaitable, Callable

from contracts.envelope import Received
from contracts.events import PreviewRequested, ReportRequested, TaskTriggered
from generator.domain.request import Firing
from runtime.bus import Subscription

PLANNER_GROUP = "generator-planner"
RENDERER_GROUP = "generator-renderer"
PREVIEW_GROUP = "generator-preview"
_PREVIEWS_AT_ONCE = 2


def planning(plan: Callable[[Firing], Awaitable[None]]) -> Subscription:
    """Return the planner's subscription, with the use case it calls."""

    async def on_task_triggered(received: Received[TaskTriggered]) -> None:
        event = received.event
        await plan(Firing(event.execution_id, event.task_id, event.trigger, received.time, event.options))

    return Subscription(
        topic=TaskTriggered.TOPIC, group=PLANNER_GROUP, handler=on_task_triggered, events=(TaskTriggered,)
    )


def rendering(render: Callable[[ReportRequested], Awaitable[None]], *, at_once: int) -> Subscription:
    """Return the renderers' subscription, `at_once` consumers of it, with the use case they call."""

    async def on_report_requested(received: Received[ReportRequested]) -> None:
        await render(received.event)

    return Subscription(
        topic=ReportRequested.TOPIC,
        group=RENDERER_GROUP,
        handler=on_report_requested,
        events=(ReportRequested,),
        concurrency=at_once,
    )


def previewing(preview: Callable[[PreviewRequested], Awaitable[None]]) -> Subscription:
    """Return the subscription of previews, with the use case it calls."""

    async def on_preview_requested(received: Received[PreviewRequested]) -> None:
        await preview(received.event)

    return Subscription(
        topic=PreviewRequested.TOPIC,
        group=PREVIEW_GROUP,
        handler=on_preview_requested,
        events=(PreviewRequested,),
        concurrency=_PREVIEWS_AT_ONCE,
    )
