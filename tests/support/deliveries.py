"""Plans, rows and events for tests of the distributor."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts import ids
from contracts.base import Artifact, ObjectRef, Reason
from contracts.configuration import OutputFormat, UnknownPolicy
from contracts.events import (
    Channel,
    Disposition,
    ExecutionPlanned,
    ReportFailed,
    ReportGenerated,
    ReportSkipped,
    TriggerInfo,
    TriggerKind,
    UnitEvent,
)
from contracts.plan import (
    ExecutionPlan,
    PlannedDelivery,
    PlannedHub,
    PlannedMail,
    PlannedReport,
    PlannedStorage,
    PlannedUnit,
)
from distributor.domain.rows import Row, SettledUnit, rows_of, settled_unit

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
EXECUTION = ids.execution_id("trigger-1", "2026-03-02T08:00:00+00:00")
TRIGGER = TriggerInfo(
    kind=TriggerKind.SCHEDULE, trigger_id="trigger-1", occurrence="2026-03-02T08:00:00+00:00", due_at=START
)


def artifact(
    unit: str, content: bytes, *, name: str | None = None, kind: str = "application/pdf"
) -> Artifact:
    return Artifact(
        key=f"artifacts/{EXECUTION}/{unit}/file",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        content_type=kind,
        file_name=name or f"{unit}.pdf",
    )


def generated(
    unit: str, content: bytes = b"bytes", execution: str = EXECUTION, **about: Any
) -> ReportGenerated:
    return ReportGenerated(
        execution_id=execution,
        task_id="task-1",
        unit_id=unit,
        report_name="Sales",
        artifact=artifact(unit, content, **about),
    )


def skipped(unit: str, message: str = "the condition 'has data' is not met") -> ReportSkipped:
    return ReportSkipped(
        execution_id=EXECUTION,
        task_id="task-1",
        unit_id=unit,
        report_name="Sales",
        reason=Reason(code="condition-not-met", message=message),
    )


def failed(unit: str, message: str = "Qlik said no at qlik.example:4747") -> ReportFailed:
    return ReportFailed(
        execution_id=EXECUTION,
        task_id="task-1",
        unit_id=unit,
        report_name="Sales",
        reason=Reason(code="qlik-refused", message=message),
    )


def mail_delivery(
    *units: str, to: str = "ann@example.com", unknown: UnknownPolicy = UnknownPolicy.HOLD, **mail: Any
) -> PlannedDelivery:
    return PlannedDelivery(
        id=ids.delivery_id(EXECUTION, "email", to),
        channel=Channel.EMAIL,
        target=to,
        recipient_id="recipient-1",
        units=units,
        mail=PlannedMail(
            to=to, **{"subject": "Sales of the week", "attach": units, "unknown": unknown, **mail}
        ),
    )


def storage_delivery(paths: dict[str, str], *, storage: str = "space-1", zip_path: str | None = None) -> Any:
    return PlannedDelivery(
        id=ids.delivery_id(EXECUTION, "storage", storage, paths),
        channel=Channel.STORAGE,
        target=storage,
        units=tuple(paths),
        storage=PlannedStorage(storage_id=storage, paths=paths, zip_path=zip_path),
    )


def hub_delivery(unit: str, *, keep: int = 5) -> PlannedDelivery:
    return PlannedDelivery(
        id=ids.delivery_id(EXECUTION, "hub", unit),
        channel=Channel.HUB,
        target="Hub",
        units=(unit,),
        hub=PlannedHub(visible_to=("recipient-1",), keep=keep),
    )


def plan(
    *deliveries: PlannedDelivery,
    test_address: str | None = None,
    deadline: timedelta = timedelta(hours=1),
    planned_at: datetime = START,
    execution: str = EXECUTION,
) -> ExecutionPlan:
    units = dict.fromkeys(unit for delivery in deliveries for unit in delivery.units)
    return ExecutionPlan(
        execution_id=execution,
        task_id="task-1",
        task_name="Weekly sales",
        task_version=3,
        trigger=TRIGGER,
        planned_at=planned_at,
        deadline_at=planned_at + deadline,
        test_address=test_address,
        reports=(
            PlannedReport(
                id="report-1",
                report_id="r",
                name="Sales",
                format=OutputFormat.PDF,
                connection_id="c",
                app_id="a",
            ),
        ),
        units=tuple(
            PlannedUnit(id=unit, report="report-1", file_name=f"{unit}.pdf", iteration_value=unit)
            for unit in units
        ),
        deliveries=deliveries,
    )


def planned(ref: ObjectRef | None = None, made: ExecutionPlan | None = None) -> ExecutionPlanned:
    made = made or plan()
    return ExecutionPlanned(
        execution_id=made.execution_id,
        task_id=made.task_id,
        task_name=made.task_name,
        task_version=made.task_version,
        trigger=made.trigger,
        disposition=Disposition.PLANNED,
        plan=ref or ObjectRef(key="plans/x.json", size=2, sha256="0" * 64),
        unit_count=len(made.units),
        delivery_count=len(made.deliveries),
        deadline_at=made.deadline_at,
    )


def row(delivery: PlannedDelivery, **about: Any) -> Row:
    return rows_of(plan(delivery, **about), margin=timedelta(0))[0]


def outcomes(*events: UnitEvent) -> dict[str, SettledUnit]:
    return {event.unit_id: settled_unit(event) for event in events}


class FixedPlans:
    """Plans by the key of their claim check; any key gives the only plan there is."""

    def __init__(self, only: ExecutionPlan) -> None:
        self.only = only

    async def load(self, ref: ObjectRef) -> ExecutionPlan:
        return self.only
