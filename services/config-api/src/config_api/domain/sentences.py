"""What a recorded event says, in one sentence for people; the record itself stays the source."""

from collections.abc import Callable, Mapping
from typing import Any

Data = Mapping[str, Any]
_ACTIONS = {
    "created": "created",
    "changed": "changed",
    "enabled": "enabled",
    "disabled": "disabled",
    "deleted": "deleted",
}


def short_type(ce_type: str) -> str:
    """Return `task-triggered` for `io.broadsheet.task-triggered.v1`."""
    name = ce_type.removeprefix("io.broadsheet.")
    stem, dot, version = name.rpartition(".v")
    return stem if dot and version.isdigit() else name


def sentence(ce_type: str, data: object) -> str:
    """Return what happened. Never raises: another version may have written the record."""
    short = short_type(ce_type)
    words = short.replace("-", " ").capitalize() or "Unknown record"
    write = _SENTENCES.get(short)
    if write is None or not isinstance(data, Mapping):
        return words
    try:
        return write(data)
    except (KeyError, TypeError, AttributeError, ValueError):
        return words


def _changed(data: Data) -> str:
    fields = ", ".join(str(each) for each in data.get("changed_fields") or ())
    name = data["name"] or data["entity_id"]
    text = f"{data['actor']} {_ACTIONS[data['action']]} {str(data['entity']).replace('-', ' ')} “{name}”"
    return f"{text}: {fields}" if fields and data["action"] == "changed" else text


def _triggered(data: Data) -> str:
    trigger = data["trigger"]
    by = trigger.get("requested_by")
    return (
        f"{by} started task {data['task_id']}"
        if by
        else f"A {trigger['kind']} trigger started task {data['task_id']}"
    )


def _planned(data: Data) -> str:
    if data.get("reason"):
        return f"Execution of “{data['task_name']}” was not started{_because(data)}"
    counts = f"{data['unit_count']} files, {data['delivery_count']} deliveries"
    return f"Execution of “{data['task_name']}” planned: {counts}"


def _because(data: Data) -> str:
    return f": {data['reason']['message']}" if data.get("reason") else ""


def _report(verb: str) -> Callable[[Data], str]:
    def write(data: Data) -> str:
        value = f" for {data['iteration_value']}" if data.get("iteration_value") else ""
        return f"Report “{data['report_name']}”{value} {verb}{_because(data)}"

    return write


def _delivery(verb: str) -> Callable[[Data], str]:
    return lambda data: f"Delivery by {data['channel']} to {data['target']} {verb}{_because(data)}"


def _notification(verb: str) -> Callable[[Data], str]:
    return lambda data: f"Outcome mail to {data['address']} {verb}{_because(data)}"


_SENTENCES: Mapping[str, Callable[[Data], str]] = {
    "configuration-changed": _changed,
    "task-triggered": _triggered,
    "trigger-skipped": lambda data: f"A trigger of task {data['task_id']} was skipped{_because(data)}",
    "execution-planned": _planned,
    "report-requested": _report("requested"),
    "report-generated": _report("generated"),
    "report-skipped": _report("skipped"),
    "report-failed": _report("failed"),
    "delivery-succeeded": _delivery("succeeded"),
    "delivery-failed": _delivery("failed"),
    "delivery-unknown": _delivery("may or may not have arrived"),
    "delivery-skipped": _delivery("skipped"),
    "task-completed": lambda data: f"Task “{data['task_name']}” ended with {data['outcome']}",
    "notification-sent": _notification("sent"),
    "notification-failed": _notification("failed"),
}
