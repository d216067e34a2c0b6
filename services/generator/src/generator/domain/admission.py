"""Whether an execution is planned at all: disabled tasks, dates, deadlines."""

from dataclasses import dataclass
from datetime import datetime

from contracts.base import EARLIEST, LATEST, Reason
from contracts.configuration import TaskHead, TaskVersion
from contracts.events import TriggerKind
from generator.domain.request import Firing, Limits, TaskSetup

_TRIGGERED = frozenset({TriggerKind.SCHEDULE, TriggerKind.QLIK_RELOAD})


@dataclass(frozen=True, slots=True)
class Skip:
    """The execution is over without work, as somebody wanted it."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Fail:
    """The execution is over because it cannot be planned."""

    reason: Reason
    problems: tuple[Reason, ...] = ()
    deliveries: int = 0
    """How many deliveries were to be made and cannot be planned."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The execution is to be planned, from this version."""

    head: TaskHead
    task: TaskVersion


def deadline(firing: Firing, setup: TaskSetup, limits: Limits) -> datetime:
    """Return when the execution has to be over: the task's deadline, counted from when the trigger fired."""
    return firing.fired_at + (setup.version.deadline if setup.version else limits.default_deadline)


def admit(
    firing: Firing, setup: TaskSetup, *, now: datetime, deadline_at: datetime
) -> Admitted | Skip | Fail:
    """Return whether the execution is planned.

    A disabled task is refused whoever asks for it: switching it off has to mean that it is off.
    """
    if setup.head is None or setup.version is None:
        return Fail(_reason("task-unknown", f"there is no task {firing.task_id!r}", "create the task again"))
    head, task = setup.head, setup.version
    if not head.enabled:
        return Skip(
            _reason(
                "task-disabled", f"the task {task.name!r} is disabled", "enable the task and run it again"
            )
        )
    if not EARLIEST <= firing.trigger.due_at <= LATEST:
        return Fail(
            _reason(
                "due-time-out-of-range",
                f"The run is due at {firing.trigger.due_at.isoformat()}, which is outside the years "
                f"{EARLIEST:%Y} to {LATEST:%Y}.",
                "Check the dates of the trigger, and the clock of whatever asked for the run.",
            )
        )
    if (out := _out_of_dates(task, now) or _trigger_refusal(firing, task)) is not None:
        return Skip(out)
    if now >= deadline_at:
        return Fail(late(deadline_at))
    return Admitted(head, task)


def late(deadline_at: datetime, detail: str = "") -> Reason:
    """Return the reason of what was not done before the deadline; `detail` says what held it up."""
    over = f"the execution had to be over by {deadline_at.isoformat(timespec='seconds')}"
    return _reason(
        "deadline",
        f"{over}; {detail}" if detail else over,
        "see what took so long, give the task a later deadline, or add generators",
    )


def _out_of_dates(task: TaskVersion, now: datetime) -> Reason | None:
    remedy = "change the dates of the task"
    if task.valid_from is not None and now < task.valid_from:
        return _reason("task-not-yet-valid", f"the task is valid from {task.valid_from.isoformat()}", remedy)
    if task.valid_until is not None and now > task.valid_until:
        return _reason(
            "task-no-longer-valid", f"the task was valid until {task.valid_until.isoformat()}", remedy
        )
    return None


def _trigger_refusal(firing: Firing, task: TaskVersion) -> Reason | None:
    if firing.trigger.kind not in _TRIGGERED:
        return None
    found = next((item for item in task.triggers if item.id == firing.trigger.trigger_id), None)
    if found is None:
        return _reason(
            "trigger-removed", "the trigger was removed from the task", "run the task by hand if needed"
        )
    if not found.enabled:
        return _reason("trigger-disabled", "the trigger is disabled", "enable the trigger")
    # The due time decides, not the moment of planning: an occurrence that was due in time may run late.
    due = firing.trigger.due_at
    if (found.start is not None and due < found.start) or (found.end is not None and due > found.end):
        return _reason(
            "trigger-out-of-dates", f"{due.isoformat()} is out of the trigger's dates", "change its dates"
        )
    return None


def _reason(code: str, message: str, remedy: str) -> Reason:
    return Reason(code=code, message=message, remedy=remedy)
