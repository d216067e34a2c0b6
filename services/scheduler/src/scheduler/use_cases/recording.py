"""Decisions as events in the ledger of due times, once each."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from contracts.events import ReloadInfo, TaskTriggered, TriggerInfo, TriggerKind, TriggerSkipped
from contracts.ids import execution_id
from contracts.triggers import OnReloadTrigger, ScheduleTrigger
from scheduler.domain.model import Decision, Request
from scheduler.domain.reloads import Awaited, Reload, ReloadStatus, known_since
from scheduler.domain.series import Series
from scheduler.ports import ConfiguredTask, Occurrences, Sightings

# Each is a clock that ran ahead and was set back.
_TIMES_AHEAD = 10


async def record(
    series: Series,
    events: Sequence[TaskTriggered | TriggerSkipped],
    occurrences: Occurrences,
    now: datetime,
    *,
    ahead: datetime | None = None,
) -> int:
    """Record occurrences of a trigger; return how many were new. Raises Transient.

    `ahead` is a moment up to which a clock that ran ahead may have skipped occurrences that are due now.
    Their records stay, and the runs get an id of their own; what has run already is not run again.
    """
    if not events:
        return 0
    new = await occurrences.record(events, now)
    runs = [event for event in events if isinstance(event, TaskTriggered)]
    number = 1
    while ahead is not None and runs and number < _TIMES_AHEAD:
        number += 1
        skipped = await occurrences.skipped_after([event.execution_id for event in runs], now)
        runs = [_again(series, event, number) for event in runs if event.execution_id in skipped]
        new += await occurrences.record(runs, now) if runs else 0
    return new


def _again(series: Series, event: TaskTriggered, number: int) -> TaskTriggered:
    occurrence = f"{event.trigger.occurrence.partition('~')[0]}~{number}"
    return event.model_copy(
        update={
            "execution_id": execution_id(series.key, occurrence),
            "trigger": event.trigger.model_copy(update={"occurrence": occurrence}),
        }
    )


async def known(
    series: Series, trigger: OnReloadTrigger, task: ConfiguredTask, sightings: Sightings
) -> Mapping[Awaited, datetime]:
    """Return since when a trigger waits for what, and keep it. Raises Transient."""
    stored = await sightings.known(series.key)
    found = known_since(trigger, stored, task.version.created_at)
    if series.since is not None:
        found = {each: max(since, series.since) for each, since in found.items()}
    if found != stored:
        await sightings.keep(series.key, found)
    return found


def reload_info(reload: Reload) -> ReloadInfo:
    """Return a reload as events carry it."""
    return ReloadInfo(
        connection_id=reload.connection_id,
        app_id=reload.app_id,
        reload_id=reload.reload_id,
        finished_at=reload.finished_at,
        succeeded=reload.status is ReloadStatus.SUCCEEDED,
    )


def event_of(
    series: Series,
    trigger: ScheduleTrigger | OnReloadTrigger,
    decision: Decision,
    occurrence: str,
    *,
    reload: ReloadInfo | None = None,
    reloads: tuple[ReloadInfo, ...] = (),
) -> TaskTriggered | TriggerSkipped:
    """Return a decision as an event."""
    scheduled = isinstance(trigger, ScheduleTrigger)
    info = TriggerInfo(
        kind=TriggerKind.SCHEDULE if scheduled else TriggerKind.QLIK_RELOAD,
        trigger_id=trigger.id,
        occurrence=occurrence,
        due_at=decision.due_at,
        timezone=trigger.timezone,
        missed=decision.missed,
        reload=reload,
        reloads=reloads,
        warnings=decision.warnings if isinstance(decision, Request) else (),
    )
    execution, task_id = execution_id(series.key, occurrence), series.task_id
    if isinstance(decision, Request):
        return TaskTriggered(execution_id=execution, task_id=task_id, trigger=info, priority=trigger.priority)
    return TriggerSkipped(execution_id=execution, task_id=task_id, trigger=info, reason=decision.reason)
