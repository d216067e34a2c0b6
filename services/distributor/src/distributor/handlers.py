"""What the distributor hears on the bus."""

from collections.abc import Awaitable, Callable

from contracts.envelope import Received
from contracts.events import ExecutionPlanned, ReportFailed, ReportGenerated, ReportSkipped, UnitEvent
from runtime.bus import Subscription
from runtime.telemetry import execution_span

GROUP = "distributor"


def subscriptions(
    *,
    plan: Callable[[ExecutionPlanned], Awaitable[None]],
    settle: Callable[[UnitEvent], Awaitable[None]],
    consumers: int = 1,
) -> tuple[Subscription, ...]:
    """Return the subscriptions, with the use cases they call."""

    async def on_execution_planned(received: Received[ExecutionPlanned]) -> None:
        with execution_span("plan deliveries", received.event.execution_id):
            await plan(received.event)

    async def on_report_settled(received: Received[UnitEvent]) -> None:
        with execution_span("settle unit", received.event.execution_id, unit_id=received.event.unit_id):
            await settle(received.event)

    return (
        Subscription(
            topic=ExecutionPlanned.TOPIC,
            group=GROUP,
            handler=on_execution_planned,
            events=(ExecutionPlanned,),
        ),
        Subscription(
            topic=UnitEvent.TOPIC,
            group=GROUP,
            handler=on_report_settled,
            events=(ReportGenerated, ReportSkipped, ReportFailed),
            concurrency=consumers,
        ),
    )
