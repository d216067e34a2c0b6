"""Run now: what a request to run a task becomes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import ConfigDict

from config_api.domain.errors import ConflictError, InvalidError, Problem
from config_api.domain.rights import Actor
from config_api.domain.validation import email_problems
from contracts import ids
from contracts.configuration import TaskHead
from contracts.events import TaskTriggered, TriggerInfo, TriggerKind
from contracts.runs import RunOptions


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run somebody asked for."""

    execution_id: str
    task_id: str
    requested_by: str
    requested_at: datetime
    options: RunOptions | None = None


class RunDraft(RunOptions):
    """Options of this run alone; the task stays as it is."""

    model_config = ConfigDict(extra="forbid")

    def options(self) -> RunOptions:
        """Return the options as events and stores keep them."""
        return RunOptions.model_validate(self.model_dump())


@dataclass(frozen=True, slots=True)
class Known:
    """Who may be chosen for a run of a task, by recipient id."""

    in_task: frozenset[str]
    enabled: Mapping[str, bool]
    """Recipients that exist, and whether they are enabled."""


def check_run(options: RunOptions, known: Known) -> list[Problem]:
    """Return what is wrong with the options of a run."""
    problems = email_problems("test_mode.address", options.test_mode.address) if options.test_mode else []
    for number, chosen in enumerate(options.recipients or ()):
        place = f"recipients.{number}"
        if chosen not in known.enabled:
            problems.append(
                Problem(place, f"there is no recipient {chosen!r}", "list the recipients to see their ids")
            )
        elif chosen not in known.in_task:
            problems.append(
                Problem(
                    place,
                    f"{chosen!r} is not a recipient of this task, directly or through a group",
                    "add the recipient to the task first, or name somebody else",
                )
            )
        elif not known.enabled[chosen]:
            problems.append(
                Problem(place, f"the recipient {chosen!r} is disabled", "enable the recipient first")
            )
    return problems


def same_request(stored: RunRequest, asked: RunRequest) -> RunRequest:
    """Return the request that was stored under an idempotency key, for one that uses the key again.

    Raises InvalidError when the two ask for different runs.
    """
    if (stored.options or RunOptions()) != (asked.options or RunOptions()):
        raise InvalidError(
            Problem(
                "Idempotency-Key",
                "was used before for a run with other options",
                "send a new key for a new run, or repeat the first request without changes",
            )
        )
    return stored


def request_run(
    task: TaskHead,
    key: str,
    actor: Actor,
    now: datetime,
    timezone: str,
    *,
    options: RunOptions | None = None,
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
        options=options,
    )
    return RunRequest(execution, task.id, actor.name, now, options), event
