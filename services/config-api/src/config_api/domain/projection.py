"""How events become read models: a fold per document, in the order of the audit trail.

Events of different topics arrive in any order, so a document has to make sense whichever part of it comes
first. A document depends on the events that concern it and on nothing else: no clock, no other document.
That is why deleting every view and replaying gives the same views, byte for byte.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from config_api.domain.audit import milliseconds
from contracts.base import Event
from contracts.events import (
    DeliveryEvent,
    DeliveryFailed,
    DeliverySkipped,
    DeliverySucceeded,
    DeliveryUnknown,
    Disposition,
    ExecutionPlanned,
    NotificationEvent,
    NotificationFailed,
    NotificationSent,
    PreviewRequested,
    PreviewSettled,
    ReportFailed,
    ReportGenerated,
    ReportRequested,
    ReportSkipped,
    TaskCompleted,
    TaskTriggered,
    TriggerSkipped,
    UnitEvent,
)

Document = dict[str, Any]

EXECUTIONS = "view_executions"
UNITS = "view_units"
DELIVERIES = "view_deliveries"
NOTIFICATIONS = "view_notifications"
HUB = "view_hub"
TASK_RUNS = "view_task_runs"
PREVIEWS = "view_previews"
VIEWS = (EXECUTIONS, UNITS, DELIVERIES, NOTIFICATIONS, HUB, TASK_RUNS, PREVIEWS)


@dataclass(frozen=True, slots=True)
class Target:
    """A document of a view."""

    view: str
    id: str


@dataclass(frozen=True, slots=True)
class Fact:
    """An event as the trail holds it."""

    seq: int
    event: Event
    occurred_at: datetime
    """In milliseconds, as every moment in a view: what is stored has to equal what was computed."""


def targets(event: Event) -> tuple[Target, ...]:
    """Return the documents an event changes."""
    if isinstance(event, TaskTriggered | TriggerSkipped | ExecutionPlanned | TaskCompleted):
        return (Target(EXECUTIONS, event.execution_id), Target(TASK_RUNS, event.task_id))
    if isinstance(event, ReportRequested):
        return (Target(UNITS, event.unit_id),)
    if isinstance(event, UnitEvent):
        return (Target(EXECUTIONS, event.execution_id), Target(UNITS, event.unit_id))
    if isinstance(event, DeliveryEvent):
        files = event.files if isinstance(event, DeliverySucceeded) and event.hub is not None else ()
        return (
            Target(EXECUTIONS, event.execution_id),
            Target(DELIVERIES, event.delivery_id),
            *(Target(HUB, hub_id(event.delivery_id, file.unit_id)) for file in files),
        )
    return _one_target(event)


def _one_target(event: Event) -> tuple[Target, ...]:
    if isinstance(event, NotificationEvent):
        return (Target(NOTIFICATIONS, event.notification_id),)
    if isinstance(event, PreviewRequested | PreviewSettled):
        return (Target(PREVIEWS, event.preview_id),)
    return ()


def fold(target: Target, document: Mapping[str, Any] | None, fact: Fact) -> Document:
    """Return the document after an event that `targets` names it for."""
    before: Document = dict(document or {})
    if target.view == HUB:
        return _hub(target.id, fact)
    if target.view == NOTIFICATIONS:
        return _notification(fact)
    return _FOLDS[target.view](before, fact)


def replay(documents: MutableMapping[Target, Document], facts: Iterable[Fact]) -> set[Target]:
    """Apply facts in order to `documents`, which holds those that exist. Return the targets that changed."""
    changed: set[Target] = set()
    for fact in facts:
        for target in targets(fact.event):
            documents[target] = fold(target, documents.get(target), fact)
            changed.add(target)
    return changed


def hub_id(delivery_id: str, unit_id: str) -> str:
    """Return the id of a file in the Hub: one unit of one delivery."""
    return hashlib.sha256(f"{delivery_id}/{unit_id}".encode()).hexdigest()[:32]


def series_id(task_id: str, report_name: str, iteration_value: str | None, file_name: str) -> str:
    """Return what makes two files versions of each other: task, report, iteration value and format."""
    extension = file_name.rpartition(".")[2].lower()
    parts = json.dumps([task_id, report_name, iteration_value, extension])
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _execution(before: Document, fact: Fact) -> Document:
    event = fact.event
    after: Document = {
        "state": "triggered",
        "outcome": None,
        "started_at": fact.occurred_at,
        "units": dict.fromkeys(("planned", "generated", "skipped", "failed"), 0),
        "deliveries": dict.fromkeys(("planned", "succeeded", "failed", "unknown", "skipped"), 0),
        "reasons": [],
        "options": None,
        **before,
        "task_id": getattr(event, "task_id", None),
    }
    if isinstance(event, TaskTriggered | TriggerSkipped):
        after |= {"trigger": event.trigger.model_dump(mode="json"), "started_at": fact.occurred_at}
        if isinstance(event, TaskTriggered):
            after["options"] = _json(event.options)
        if isinstance(event, TriggerSkipped):
            after |= {"state": "completed", "outcome": "skipped", "reasons": [_json(event.reason)]}
            after["completed_at"] = fact.occurred_at
    elif isinstance(event, ExecutionPlanned):
        _planned(after, event, fact)
    elif isinstance(event, UnitEvent):
        after["units"] = _counted(after["units"], _UNIT_STATES.get(type(event)))
    elif isinstance(event, DeliveryEvent):
        after["deliveries"] = _counted(after["deliveries"], _DELIVERY_STATES.get(type(event)))
    elif isinstance(event, TaskCompleted):
        after |= {
            "state": "completed",
            "outcome": event.outcome.value,
            "task_name": event.task_name,
            "completed_at": milliseconds(event.completed_at),
            "started_at": milliseconds(event.triggered_at),
            "reasons": [_json(reason) for reason in event.reasons],
            "log": _json(event.log),
        }
    return after


def _planned(after: Document, event: ExecutionPlanned, fact: Fact) -> None:
    after |= {
        "task_name": event.task_name,
        "task_version": event.task_version,
        "trigger": event.trigger.model_dump(mode="json"),
        "disposition": event.disposition.value,
        "planned_at": fact.occurred_at,
        "deadline_at": milliseconds(event.deadline_at),
        "test_mode": event.test_mode,
        "problems": [_json(problem) for problem in event.problems],
        "units": {**after["units"], "planned": event.unit_count},
        "deliveries": {**after["deliveries"], "planned": event.delivery_count},
    }
    if event.disposition is Disposition.FAILED:
        after["deliveries"] |= {"failed": event.delivery_count}
    if after["state"] == "triggered":
        after["state"] = "running" if event.disposition is Disposition.PLANNED else "ending"
    if event.reason is not None and not after["reasons"]:
        after["reasons"] = [_json(event.reason)]


def _task_runs(before: Document, fact: Fact) -> Document:
    event = fact.event
    after: Document = {"outcomes": {}, "runs": 0, **before}
    if isinstance(event, TaskTriggered):
        after["runs"] += 1
        # Two triggers of a task may be published out of order; the later due time is the last run.
        due = event.trigger.due_at.isoformat()
        if due >= after.get("last_due_at", ""):
            after |= {"last_due_at": due, "last_execution_id": event.execution_id}
    elif isinstance(event, TaskCompleted):
        after["outcomes"] = _counted(after["outcomes"], event.outcome.value)
        completed_at = milliseconds(event.completed_at)
        if "last_completed_at" not in after or completed_at >= after["last_completed_at"]:
            after |= {
                "last_completed_at": completed_at,
                "last_outcome": event.outcome.value,
                "last_completed_execution_id": event.execution_id,
            }
    return after


_UNIT_STATES: dict[type[Event], str] = {
    ReportGenerated: "generated",
    ReportSkipped: "skipped",
    ReportFailed: "failed",
}


def _unit(before: Document, fact: Fact) -> Document:
    event = fact.event
    after: Document = {"state": "requested", **before}
    if isinstance(event, ReportRequested):
        after |= {"format": event.format, "requested_at": fact.occurred_at}
    if isinstance(event, ReportRequested | UnitEvent):
        after |= {
            "execution_id": event.execution_id,
            "task_id": event.task_id,
            "report_name": event.report_name,
            "iteration_value": event.iteration_value,
        }
    if isinstance(event, UnitEvent):
        after |= {"state": _UNIT_STATES.get(type(event), "unknown"), "settled_at": fact.occurred_at}
    if isinstance(event, ReportGenerated):
        after |= event.model_dump(
            mode="json", include={"artifact", "selections", "app_reloaded_at", "timings", "warnings"}
        )
    if isinstance(event, ReportSkipped | ReportFailed):
        after["reason"] = _json(event.reason)
    if isinstance(event, ReportFailed):
        after["attempts"] = event.attempts
    return after


_DELIVERY_STATES: dict[type[Event], str] = {
    DeliverySucceeded: "succeeded",
    DeliveryFailed: "failed",
    DeliveryUnknown: "unknown",
    DeliverySkipped: "skipped",
}


def _delivery(before: Document, fact: Fact) -> Document:
    event = fact.event
    assert isinstance(event, DeliveryEvent)  # noqa: S101 - targets() names deliveries for these only
    after: Document = {
        **before,
        "execution_id": event.execution_id,
        "task_id": event.task_id,
        "channel": event.channel.value,
        "target": event.target,
        "recipient_id": event.recipient_id,
        "attempts": event.attempts,
        "test_mode": event.test_mode,
        "state": _DELIVERY_STATES.get(type(event), "unknown"),
        "settled_at": fact.occurred_at,
        "reason": _json(getattr(event, "reason", None)),
        "addresses": [_json(each) for each in event.addresses],
    }
    if isinstance(event, DeliverySucceeded):
        after |= {
            "accepted_at": milliseconds(event.accepted_at),
            "message_id": event.message_id,
            "detail": event.detail,
            "files": [_json(file) for file in event.files],
        }
    return after


def _hub(target_id: str, fact: Fact) -> Document:
    event = fact.event
    assert isinstance(event, DeliverySucceeded)  # noqa: S101 - targets() names Hub files for these only
    assert event.hub is not None  # noqa: S101 - the same
    file = next(each for each in event.files if hub_id(event.delivery_id, each.unit_id) == target_id)
    hub = event.hub
    return {
        "series": series_id(event.task_id, hub.report_name, hub.iteration_value, file.artifact.file_name),
        "execution_id": event.execution_id,
        "task_id": event.task_id,
        "delivery_id": event.delivery_id,
        "unit_id": file.unit_id,
        "report_name": hub.report_name,
        "task_name": hub.task_name,
        "iteration_value": hub.iteration_value,
        "visible_to": sorted(hub.visible_to),
        "keep": hub.keep,
        "published_at": milliseconds(event.accepted_at),
        "artifact": _json(file.artifact),
    }


def _notification(fact: Fact) -> Document:
    event = fact.event
    assert isinstance(event, NotificationEvent)  # noqa: S101 - targets() names notifications for these only
    failed = isinstance(event, NotificationFailed)
    return {
        "execution_id": event.execution_id,
        "task_id": event.task_id,
        "address": event.address,
        "addresses": [_json(each) for each in event.addresses],
        "outcome": event.outcome.value,
        "state": ("unknown" if getattr(event, "unknown", False) else "failed") if failed else "sent",
        "settled_at": fact.occurred_at,
        "reason": _json(event.reason) if isinstance(event, NotificationFailed) else None,
        "message_id": event.message_id if isinstance(event, NotificationSent) else None,
    }


def _preview(before: Document, fact: Fact) -> Document:
    event = fact.event
    after: Document = {"state": "requested", **before, "report_id": getattr(event, "report_id", None)}
    if isinstance(event, PreviewRequested):
        after |= event.model_dump(
            mode="json", include={"format", "iteration_value", "recipient_id", "requested_by"}
        )
        after["asked_selections"] = [_json(each) for each in event.selections]
        after["requested_at"] = fact.occurred_at
    if isinstance(event, PreviewSettled):
        after |= event.model_dump(mode="json", include={"artifact", "selections", "warnings", "reason"})
        after |= {
            "state": "made" if event.artifact else "failed",
            "report_name": event.report_name,
            "shown_value": event.iteration_value,
            "settled_at": fact.occurred_at,
        }
    return after


def _counted(counts: Mapping[str, int], name: str | None) -> dict[str, int]:
    return dict(counts) if name is None else {**counts, name: counts.get(name, 0) + 1}


def _json(value: Any) -> Any:
    return None if value is None else value.model_dump(mode="json")


_FOLDS: dict[str, Callable[[Document, Fact], Document]] = {
    EXECUTIONS: _execution,
    TASK_RUNS: _task_runs,
    UNITS: _unit,
    DELIVERIES: _delivery,
    PREVIEWS: _preview,
}
