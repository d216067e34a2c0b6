"""The events of whole executions, for read models and the audit trail."""

from datetime import UTC, datetime, timedelta
from typing import Any

from contracts import ids
from contracts.base import Artifact, Event, ObjectRef, Reason
from contracts.events import (
    Channel,
    DeliveredFile,
    DeliveryFailed,
    DeliverySkipped,
    DeliverySucceeded,
    DeliveryUnknown,
    Disposition,
    ExecutionPlanned,
    HubPublication,
    NotificationFailed,
    NotificationSent,
    Outcome,
    ReportFailed,
    ReportGenerated,
    ReportRequested,
    ReportSkipped,
    TaskCompleted,
    TaskTriggered,
    TriggerInfo,
    TriggerKind,
)

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
REASON = Reason(code="some-reason", message="because", remedy="mend it")
REF = ObjectRef(key="k", size=1, sha256="0" * 64)
ARTIFACT = Artifact(key="a", size=3, sha256="1" * 64, file_name="report.html", content_type="text/html")


def road(task: str, number: int) -> list[Event]:
    """Return the events of one execution, in the order they happen."""
    execution = ids.execution_id(task, str(number))
    about: dict[str, Any] = {"execution_id": execution, "task_id": task}
    trigger = TriggerInfo(
        kind=TriggerKind.SCHEDULE,
        trigger_id=f"{task}.t",
        occurrence=str(number),
        due_at=NOW + timedelta(days=number),
    )
    unit = {name: ids.unit_id(execution, name) for name in ("made", "skipped", "failed")}
    requested = [
        ReportRequested(**about, unit_id=key, plan=REF, report_name="R", format="html", deadline_at=NOW)
        for key in unit.values()
    ]
    delivery = {name: ids.delivery_id(execution, "hub", name) for name in ("ok", "no", "maybe", "none")}
    sent: dict[str, Any] = {**about, "channel": Channel.EMAIL, "target": "a@example.com"}
    return [
        TaskTriggered(**about, trigger=trigger),
        ExecutionPlanned(
            **about,
            task_name="Task",
            task_version=1,
            trigger=trigger,
            disposition=Disposition.PLANNED,
            plan=REF,
            unit_count=3,
            delivery_count=4,
            deadline_at=NOW + timedelta(hours=1, microseconds=7),
        ),
        *requested,
        ReportGenerated(**about, unit_id=unit["made"], report_name="R", artifact=ARTIFACT),
        ReportSkipped(**about, unit_id=unit["skipped"], report_name="R", reason=REASON),
        ReportFailed(**about, unit_id=unit["failed"], report_name="R", reason=REASON, attempts=3),
        DeliverySucceeded(
            **{**sent, "channel": Channel.HUB},
            delivery_id=delivery["ok"],
            accepted_at=NOW + timedelta(days=number, microseconds=1234),
            files=(DeliveredFile(unit_id=unit["made"], artifact=ARTIFACT, path="report.html"),),
            hub=HubPublication(report_name="R", task_name="Task", visible_to=("bob", "ann"), keep=2),
        ),
        DeliveryFailed(**sent, delivery_id=delivery["no"], reason=REASON, attempts=5),
        DeliveryUnknown(**sent, delivery_id=delivery["maybe"], reason=REASON),
        DeliverySkipped(**sent, delivery_id=delivery["none"], reason=REASON),
        TaskCompleted(
            **about,
            task_name="Task",
            outcome=Outcome.WARNING,
            reasons=(REASON,),
            triggered_at=NOW + timedelta(microseconds=999),
            completed_at=NOW + timedelta(days=number, minutes=2, microseconds=1),
            log=REF,
        ),
        NotificationSent(
            **about,
            notification_id=ids.notification_id(execution, "o"),
            address="o@example.com",
            outcome=Outcome.WARNING,
            message_id="m",
            accepted_at=NOW,
        ),
        NotificationFailed(
            **about,
            notification_id=ids.notification_id(execution, "p"),
            address="p@example.com",
            outcome=Outcome.WARNING,
            reason=REASON,
            unknown=True,
        ),
    ]
