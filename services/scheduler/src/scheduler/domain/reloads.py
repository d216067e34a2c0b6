"""What a Qlik reload means to the triggers that wait for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from contracts.base import Reason
from contracts.configuration import ReloadTrigger
from scheduler.domain.due import TASK_DISABLED
from scheduler.domain.model import Decision, Request, Skip


@dataclass(frozen=True, slots=True)
class Reload:
    """A reload that ended."""

    connection_id: str
    app_id: str
    reload_id: str
    succeeded: bool
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """A reload trigger of a task, and since when it is configured."""

    task_id: str
    task_enabled: bool
    trigger: ReloadTrigger
    known_since: datetime


def decide(reload: Reload, waiting: Iterable[Waiting]) -> list[tuple[Waiting, Decision]]:
    """Return what each trigger does about a reload; triggers it does not concern are left out.

    A failed reload starts nothing. A reload from before the trigger was made is none of its business.
    """
    if not reload.succeeded:
        return []
    return [
        (each, _decide(reload, each))
        for each in waiting
        if each.trigger.enabled
        and each.trigger.connection_id == reload.connection_id
        and each.trigger.app_id == reload.app_id
        and reload.finished_at > each.known_since
    ]


def _decide(reload: Reload, waiting: Waiting) -> Decision:
    trigger = waiting.trigger
    outside = (trigger.start is not None and reload.finished_at < trigger.start) or (
        trigger.end is not None and reload.finished_at > trigger.end
    )
    if outside:
        return Skip(
            reload.finished_at,
            Reason(
                code="outside-dates",
                message="the app was reloaded outside the dates of the trigger",
                remedy="change start or end of the trigger",
            ),
        )
    if not waiting.task_enabled:
        return Skip(reload.finished_at, TASK_DISABLED)
    return Request(reload.finished_at)
