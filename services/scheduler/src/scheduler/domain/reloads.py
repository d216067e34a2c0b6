"""What a Qlik reload means to the triggers that wait for one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from contracts.base import Reason
from contracts.triggers import AllReloadsTrigger, AnyReloadTrigger, OnReloadTrigger, ReloadOn, ReloadTrigger
from scheduler.domain.due import TASK_DISABLED
from scheduler.domain.model import Decision, Request, Skip


class ReloadStatus(StrEnum):
    """How a reload ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Reload:
    """A reload that ended."""

    connection_id: str
    app_id: str
    reload_id: str
    status: ReloadStatus
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Awaited:
    """One thing a trigger waits for: an app and how its reload ends, under a rule that may change."""

    connection_id: str
    app_id: str
    status: ReloadStatus
    rule: str = ""


_STATUSES = {
    ReloadOn.SUCCEEDED: (ReloadStatus.SUCCEEDED,),
    ReloadOn.FAILED: (ReloadStatus.FAILED,),
    ReloadOn.FINISHED: (ReloadStatus.SUCCEEDED, ReloadStatus.FAILED),
}


def awaited(trigger: OnReloadTrigger) -> Iterator[Awaited]:
    """Yield everything a trigger waits for."""
    if isinstance(trigger, AllReloadsTrigger):
        rule = window_rule(trigger)
        for app in trigger.apps:
            yield Awaited(app.connection_id, app.app_id, ReloadStatus.SUCCEEDED, rule)
        return
    for app in trigger.watched:
        for status in _STATUSES[trigger.on]:
            yield Awaited(app.connection_id, app.app_id, status)


def window_rule(trigger: AllReloadsTrigger) -> str:
    """Return what identifies the windows of a trigger: a change of it starts a new series."""
    return f"window {trigger.since} {trigger.timezone}"


def known_since(
    trigger: OnReloadTrigger, stored: Mapping[Awaited, datetime], created_at: datetime
) -> dict[Awaited, datetime]:
    """Return since when the trigger waits for each; what is new is known from `created_at`.

    Kept apart from the task's version: any later edit of the task would otherwise make the trigger look new,
    and a reload just before the edit would be lost. A disabled trigger waits for nothing, so that enabling it
    makes up for nothing.
    """
    return {each: stored.get(each, created_at) for each in awaited(trigger)} if trigger.enabled else {}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A trigger of a task that fires at single reloads, and since when it waits for what."""

    task_id: str
    task_enabled: bool
    trigger: ReloadTrigger | AnyReloadTrigger
    known: Mapping[Awaited, datetime]


def decide(reload: Reload, waiting: Iterable[Waiting]) -> list[tuple[Waiting, Decision]]:
    """Return what each trigger does about a reload; triggers it does not concern are left out.

    A reload from before the trigger waited for it is none of its business.
    """
    wanted = Awaited(reload.connection_id, reload.app_id, reload.status)
    return [
        (each, _decide(reload, each))
        for each in waiting
        if wanted in each.known and reload.finished_at > each.known[wanted]
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
