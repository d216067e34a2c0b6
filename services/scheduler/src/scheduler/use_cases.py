"""Load, decide, record. Publishing is the outbox relay's work, from what was recorded."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import structlog

from contracts.configuration import ReloadTrigger, ScheduleTrigger
from contracts.events import ReloadInfo, TaskTriggered, TriggerInfo, TriggerKind, TriggerSkipped
from contracts.ids import execution_id
from scheduler.domain.due import current_cursor, due
from scheduler.domain.model import DEFAULT_PATIENCE, Cursor, Decision, Patience, Request
from scheduler.domain.reloads import Reload, Waiting, decide
from scheduler.domain.rules import InvalidRuleError
from scheduler.ports import ConfiguredTask, Occurrences, ReloadMarks, ReloadSource, Tasks

log = structlog.get_logger(__name__)


async def tick(
    now: datetime, *, tasks: Tasks, occurrences: Occurrences, patience: Patience = DEFAULT_PATIENCE
) -> int:
    """Record every occurrence that is due by now; return how many were new. Raises Transient.

    A trigger whose rule cannot be understood is logged and stops no other.
    """
    recorded = 0
    async for task in tasks.all():
        for trigger in task.version.triggers:
            if not isinstance(trigger, ScheduleTrigger):
                continue
            try:
                recorded += await _record_due(task, trigger, now, occurrences, patience)
            except InvalidRuleError as error:
                log.error(  # noqa: TRY400 - the message says it all, the stack nothing
                    "trigger cannot be scheduled", trigger=trigger.id, error=str(error)
                )
    return recorded


async def _record_due(
    task: ConfiguredTask,
    trigger: ScheduleTrigger,
    now: datetime,
    occurrences: Occurrences,
    patience: Patience,
) -> int:
    stored = await occurrences.cursor(trigger.id)
    cursor = current_cursor(trigger, stored, task.version.created_at)
    todo = due(trigger, cursor, now, task_enabled=task.enabled, patience=patience)
    events = [_event(task.version.task_id, trigger, each) for each in todo.decisions]
    # Recorded before the cursor moves: a crash in between records the same ids again, which changes nothing.
    new = await occurrences.record(events, now) if events else 0
    if events or stored is None or stored.rule != todo.cursor.rule:
        await occurrences.move(trigger.id, stored, todo.cursor)
    return new


async def watch_reloads(
    connection_id: str,
    now: datetime,
    *,
    source: ReloadSource,
    marks: ReloadMarks,
    tasks: Tasks,
    occurrences: Occurrences,
    overlap: timedelta = timedelta(minutes=5),
) -> int:
    """Read the reloads of a site since the mark and record what they start; return how many were new.

    The mark moves to the end of the last reload that was read, and reading starts `overlap` before it, since
    a site may show a reload later than one that ended after it. Raises Transient.
    """
    # Every round: a trigger is known from the first round after it was made, not from its first reload.
    waiting = [each async for each in _waiting(connection_id, tasks, occurrences)]
    mark = await marks.get(connection_id)
    if mark is None:
        # History from before Broadsheet was pointed at the site starts nothing.
        await marks.advance(connection_id, now)
        return 0
    reloads = await source.since(mark - overlap)
    recorded = 0
    for reload in reloads:
        events = [
            _event(each.task_id, each.trigger, decision, reload) for each, decision in decide(reload, waiting)
        ]
        recorded += await occurrences.record(events, now) if events else 0
    if reloads:
        await marks.advance(connection_id, max(reload.finished_at for reload in reloads))
    return recorded


async def _waiting(connection_id: str, tasks: Tasks, occurrences: Occurrences) -> AsyncIterator[Waiting]:
    async for task in tasks.all():
        for trigger in task.version.triggers:
            if isinstance(trigger, ReloadTrigger) and trigger.connection_id == connection_id:
                since = await _known_since(trigger, task.version.created_at, occurrences)
                yield Waiting(task.version.task_id, task.enabled, trigger, since)


async def _known_since(trigger: ReloadTrigger, created_at: datetime, occurrences: Occurrences) -> datetime:
    """Return since when the trigger waits for this app.

    Kept apart from the task's version: any later edit of the task would otherwise make the trigger look new,
    and a reload just before the edit would be lost.
    """
    stored = await occurrences.cursor(trigger.id)
    rule = f"reload:{trigger.connection_id}:{trigger.app_id}"
    if stored is not None and stored.rule == rule:
        return stored.at
    await occurrences.move(trigger.id, stored, Cursor(created_at, rule))
    return created_at


def _event(
    task_id: str,
    trigger: ScheduleTrigger | ReloadTrigger,
    decision: Decision,
    reload: Reload | None = None,
) -> TaskTriggered | TriggerSkipped:
    occurrence = reload.reload_id if reload else decision.due_at.isoformat()
    info = TriggerInfo(
        kind=TriggerKind.QLIK_RELOAD if reload else TriggerKind.SCHEDULE,
        trigger_id=trigger.id,
        occurrence=occurrence,
        due_at=decision.due_at,
        timezone=trigger.timezone,
        missed=decision.missed,
        reload=reload
        and ReloadInfo(
            connection_id=reload.connection_id,
            app_id=reload.app_id,
            reload_id=reload.reload_id,
            finished_at=reload.finished_at,
        ),
    )
    execution = execution_id(trigger.id, occurrence)
    if isinstance(decision, Request):
        return TaskTriggered(execution_id=execution, task_id=task_id, trigger=info, priority=trigger.priority)
    return TriggerSkipped(execution_id=execution, task_id=task_id, trigger=info, reason=decision.reason)
