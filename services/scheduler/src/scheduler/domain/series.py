"""What identifies the occurrences of a trigger, and since when they count."""

from dataclasses import dataclass
from datetime import datetime

from contracts.configuration import TaskVersion


@dataclass(frozen=True, slots=True)
class Series:
    """The occurrences of one trigger of one task.

    Execution ids, cursors and what was seen of reloads are stored under `key`. `since` is when the trigger
    was last added to its task; None if that was before it was recorded.
    """

    key: str
    task_id: str
    since: datetime | None


def series_of(task: TaskVersion, trigger_id: str) -> Series:
    """Return the series of a trigger.

    Triggers made while ids were unique over all tasks keep the trigger id as their key (ADR-0021).
    """
    known = task.series.get(trigger_id)
    if known is None or known.by_trigger_id:
        return Series(trigger_id, task.task_id, known.since if known else None)
    # No id of a task or a trigger has a slash in it.
    return Series(f"{task.task_id}/{trigger_id}", task.task_id, known.since)
