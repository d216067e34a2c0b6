"""What is wrong with the triggers of tasks: written by scheduler and listener, shown by config-api."""

from typing import Annotated

from pydantic import Field

from contracts.base import Id, Reason, Utc, Wire

TRIGGER_PROBLEMS = "scheduler_trigger_problems"
"""The collection; scheduler and listener are its only writers."""


class TriggerProblem(Wire):
    """Why a trigger does not start its task, or may not. It is deleted when that is over."""

    task_id: Id
    trigger_id: Annotated[str, Field(max_length=200, description="empty: every trigger of the task")] = ""
    source: Annotated[
        str, Field(max_length=300, description="who found it: scheduler, listener or site:<connection id>")
    ]
    reason: Reason
    since: Utc
