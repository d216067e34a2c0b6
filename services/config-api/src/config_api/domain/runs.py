"""Run now: what a request to run a task becomes."""

from dataclasses import dataclass
from datetime import datetime

from config_api.domain.errors import ConflictError
from config_api.domain.rights import Actor
from contracts import ids
from contracts.configuration import TaskHead
from contracts.events import TaskTriggered, TriggerInfo, TriggerKind


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run somebody asked for."""

    execution_id: str
    task_id: str
    requested_by: str
    requested_at: datetime


def request_run(
    task: TaskHead, key: str, actor: Actor, now: datetime, timezone: str
) -> tuple[RunRequest, TaskTriggered]:
    """Return the request and the event that starts it.

    The execution is derived from task and key, so the same key asks for the same execution, however often it
    is sent. Raises ConflictError when the task is disabled.
    """
    if not task.enabled:
        raise ConflictError(
            f"The task {task.id!r} is disabled.", f"Enable it first: POST /api/v1/tasks/{task.id}/enable"
        )
    # A colon stands in no trigger id a task may have, so the two never meet.
    trigger_id = f"manual:{task.id}"
    execution = ids.execution_id(trigger_id, key)
    event = TaskTriggered(
        execution_id=execution,
        task_id=task.id,
        trigger=TriggerInfo(
            kind=TriggerKind.API if actor.via == "api-key" else TriggerKind.MANUAL,
            trigger_id=trigger_id,
            occurrence=key,
            due_at=now,
            timezone=timezone,
            requested_by=actor.name,
        ),
    )
    return RunRequest(execution, task.id, actor.name, now), event
