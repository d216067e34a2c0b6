"""What the notifier hears on the bus."""

import structlog

from contracts.base import Event, Reason
from contracts.envelope import Received
from contracts.events import (
    DeliveryEvent,
    DeliveryFailed,
    DeliverySkipped,
    DeliverySucceeded,
    DeliveryUnknown,
    ExecutionPlanned,
    ReportFailed,
    ReportGenerated,
    ReportSkipped,
    TaskTriggered,
    TriggerSkipped,
    UnitEvent,
)
from notifier.domain.model import Item, ItemKind, Planned, Status, Triggered
from notifier.use_cases.watch import Watch
from runtime.bus import Subscription
from runtime.telemetry import execution_span

log = structlog.get_logger(__name__)
GROUP = "notifier"

_STATUS: dict[type[Event], Status] = {
    ReportGenerated: Status.GENERATED,
    ReportSkipped: Status.SKIPPED,
    ReportFailed: Status.FAILED,
    DeliverySucceeded: Status.SUCCEEDED,
    DeliverySkipped: Status.SKIPPED,
    DeliveryFailed: Status.FAILED,
    DeliveryUnknown: Status.UNKNOWN,
}


def subscriptions(watch: Watch, *, consumers: int = 1) -> tuple[Subscription, ...]:
    """Return the subscriptions, with the use cases they call."""

    async def on_triggered(received: Received[TaskTriggered | TriggerSkipped]) -> None:
        event = received.event
        if isinstance(event, TriggerSkipped):
            log.info("trigger skipped", execution_id=event.execution_id, reason=event.reason.message)
            return
        fact = Triggered(at=received.time, trigger=event.trigger, options=event.options)
        with execution_span("watch execution", event.execution_id):
            await watch.triggered(event.execution_id, event.task_id, fact)

    async def on_planned(received: Received[ExecutionPlanned]) -> None:
        event = received.event
        fact = Planned.model_validate({**dict(event), "at": received.time})
        with execution_span("count execution", event.execution_id):
            await watch.planned(event.execution_id, event.task_id, fact, event.deadline_at)

    async def on_unit(received: Received[UnitEvent]) -> None:
        with execution_span("count unit", received.event.execution_id, unit_id=received.event.unit_id):
            await watch.settled(unit_item(received))

    async def on_delivery(received: Received[DeliveryEvent]) -> None:
        event = received.event
        with execution_span("count delivery", event.execution_id, delivery_id=event.delivery_id):
            await watch.settled(delivery_item(received))

    return (
        Subscription(
            topic=TaskTriggered.TOPIC,
            group=GROUP,
            handler=on_triggered,
            events=(TaskTriggered, TriggerSkipped),
        ),
        Subscription(
            topic=ExecutionPlanned.TOPIC, group=GROUP, handler=on_planned, events=(ExecutionPlanned,)
        ),
        Subscription(
            topic=UnitEvent.TOPIC,
            group=GROUP,
            handler=on_unit,
            events=(ReportGenerated, ReportSkipped, ReportFailed),
            concurrency=consumers,
        ),
        Subscription(
            topic=DeliveryEvent.TOPIC,
            group=GROUP,
            handler=on_delivery,
            events=(DeliverySucceeded, DeliverySkipped, DeliveryFailed, DeliveryUnknown),
            concurrency=consumers,
        ),
    )


def unit_item(received: Received[UnitEvent]) -> Item:
    """Return a unit as the notifier counts it."""
    event = received.event
    value = f", {event.iteration_value}" if event.iteration_value else ""
    detail = ""
    warnings: tuple[Reason, ...] = ()
    if isinstance(event, ReportGenerated):
        detail = f"{event.artifact.file_name}, {event.artifact.size} bytes"
        warnings = event.warnings
    return Item(
        id=event.unit_id,
        execution_id=event.execution_id,
        task_id=event.task_id,
        kind=ItemKind.UNIT,
        status=_STATUS[type(event)],
        at=received.time,
        title=f"{event.report_name}{value}",
        detail=detail,
        reason=getattr(event, "reason", None),
        warnings=warnings,
    )


def delivery_item(received: Received[DeliveryEvent]) -> Item:
    """Return a delivery as the notifier counts it."""
    event = received.event
    attempts = f"{event.attempts} attempts" if event.attempts > 1 else ""
    said = event.detail if isinstance(event, DeliverySucceeded) else ""
    return Item(
        id=event.delivery_id,
        execution_id=event.execution_id,
        task_id=event.task_id,
        kind=ItemKind.DELIVERY,
        status=_STATUS[type(event)],
        at=received.time,
        title=f"{event.channel.value} to {event.target}",
        detail=", ".join(each for each in (attempts, said) if each),
        reason=getattr(event, "reason", None),
        addresses=event.addresses,
    )
