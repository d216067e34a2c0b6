"""Load, decide, record. Publishing is the outbox relay's work, from what was recorded."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from contracts.events import ReloadInfo, TaskTriggered, TriggerInfo, TriggerKind, TriggerSkipped
from contracts.ids import execution_id
from contracts.triggers import AllReloadsTrigger, OnReloadTrigger, ScheduleTrigger
from scheduler.domain.all_of import Seen, decide_windows
from scheduler.domain.all_of import current_cursor as current_cursor_of_windows
from scheduler.domain.due import current_cursor, due
from scheduler.domain.model import DEFAULT_PATIENCE, Decision, Patience, Request
from scheduler.domain.reloads import Awaited, Reload, ReloadStatus, Waiting, decide, known_since
from scheduler.domain.rules import InvalidRuleError
from scheduler.domain.windows import opened_at
from scheduler.ports import ConfiguredTask, Note, Occurrences, ReloadMarks, ReloadSource, Sightings, Tasks

log = structlog.get_logger(__name__)


async def tick(
    now: datetime,
    *,
    tasks: Tasks,
    occurrences: Occurrences,
    sightings: Sightings,
    marks: ReloadMarks,
    patience: Patience = DEFAULT_PATIENCE,
    awake_since: datetime | None = None,
) -> int:
    """Record every occurrence that is due by now; return how many were new. Raises Transient.

    `awake_since` is when this scheduler began. A trigger whose rule cannot be understood is logged and stops
    no other.
    """
    recorded = 0
    async for task in tasks.all():
        for trigger in task.version.triggers:
            try:
                if isinstance(trigger, ScheduleTrigger):
                    recorded += await _record_due(task, trigger, now, occurrences, patience)
                    continue
                known = await _known(trigger, task, sightings)
                if isinstance(trigger, AllReloadsTrigger):
                    window = _Deciding(occurrences, sightings, marks, patience, awake_since)
                    recorded += await window.record(task, trigger, known, now)
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
    events = [_event(task.version.task_id, trigger, each, each.due_at.isoformat()) for each in todo.decisions]
    # Recorded before the cursor moves: a crash in between records the same ids again, which changes nothing.
    new = await occurrences.record(events, now) if events else 0
    if events or stored is None or stored.rule != todo.cursor.rule:
        await occurrences.move(trigger.id, stored, todo.cursor)
    return new


@dataclass(frozen=True, slots=True)
class _Deciding:
    """What the decision about windows needs."""

    occurrences: Occurrences
    sightings: Sightings
    marks: ReloadMarks
    patience: Patience
    awake_since: datetime | None

    async def record(
        self,
        task: ConfiguredTask,
        trigger: AllReloadsTrigger,
        known: Mapping[Awaited, datetime],
        now: datetime,
    ) -> int:
        """Record what can be decided about the windows of a trigger; return how many records were new."""
        stored = await self.occurrences.cursor(trigger.id)
        cursor = current_cursor_of_windows(trigger, stored, task.version.created_at)
        seen = Seen(
            known=known,
            reloads=await self.sightings.noted(trigger.id, cursor.at),
            read_at=await self.marks.read_at({app.connection_id for app in trigger.watched}),
            awake_since=self.awake_since,
        )
        decided, after = decide_windows(
            trigger, cursor, seen, now, task_enabled=task.enabled, patience=self.patience
        )
        events = [
            _event(
                task.version.task_id,
                trigger,
                each.decision,
                f"window:{each.window.opens_at.isoformat()}",
                reloads=tuple(_info(reload) for reload in each.reloads),
            )
            for each in decided
        ]
        # Recorded before the cursor moves, as for schedules: a crash in between records the same ids again.
        new = await self.occurrences.record(events, now) if events else 0
        if stored != after:
            await self.occurrences.move(trigger.id, stored, after)
        return new


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of reading a site: how many records were new, and the reloads that were noticed just now."""

    recorded: int = 0
    fresh: tuple[Reload, ...] = ()


async def watch_reloads(
    connection_id: str,
    now: datetime,
    *,
    source: ReloadSource,
    marks: ReloadMarks,
    tasks: Tasks,
    occurrences: Occurrences,
    sightings: Sightings,
    overlap: timedelta = timedelta(minutes=5),
) -> Heard:
    """Read the reloads of a site since the mark and record what they start.

    The mark moves to the end of the last reload that was read, and reading starts `overlap` before it, since
    a site may show a reload later than one that ended after it. What bears on windows is noted for the
    scheduler, which decides about them. Raises Transient.
    """
    # Every round: a trigger is known from the first round after it was made, not from its first reload.
    waiting, gathering = await _waiting(connection_id, tasks, sightings)
    mark = await marks.get(connection_id)
    if mark is None:
        # History from before Broadsheet was pointed at the site starts nothing.
        await marks.advance(connection_id, now)
        await marks.read(connection_id, now)
        return Heard()
    reloads = await source.since(mark - overlap)
    events = [
        _event(each.task_id, each.trigger, decision, _occurrence(reload), reload=_info(reload))
        for reload in reloads
        for each, decision in decide(reload, waiting)
    ]
    recorded = await occurrences.record(events, now) if events else 0
    await sightings.note([note for reload in reloads for note in _notes(reload, gathering)])
    if reloads:
        # A site whose clock is wrong must not make the listener skip what is still to come.
        await marks.advance(connection_id, min(now, max(reload.finished_at for reload in reloads)))
    # What has not settled was not read: a late decision must not take it for missing.
    await marks.read(connection_id, now - source.settle)
    return Heard(recorded, tuple(reload for reload in reloads if reload.finished_at > mark))


def _occurrence(reload: Reload) -> str:
    """Return what makes a reload itself.

    A task that is tried again after a failure keeps its execution id, so each way to end counts once.
    """
    succeeded = reload.status is ReloadStatus.SUCCEEDED
    return reload.reload_id if succeeded else f"{reload.reload_id}:{reload.status.value}"


async def _waiting(
    connection_id: str, tasks: Tasks, sightings: Sightings
) -> tuple[list[Waiting], list[AllReloadsTrigger]]:
    """Return the triggers that fire at single reloads of a site, and those that gather them in windows."""
    waiting: list[Waiting] = []
    gathering: list[AllReloadsTrigger] = []
    async for task in tasks.all():
        for trigger in task.version.triggers:
            if isinstance(trigger, ScheduleTrigger) or connection_id not in {
                app.connection_id for app in trigger.watched
            }:
                continue
            known = await _known(trigger, task, sightings)
            if isinstance(trigger, AllReloadsTrigger):
                gathering.append(trigger)
            else:
                waiting.append(Waiting(task.version.task_id, task.enabled, trigger, known))
    return waiting, gathering


async def _known(
    trigger: OnReloadTrigger, task: ConfiguredTask, sightings: Sightings
) -> Mapping[Awaited, datetime]:
    stored = await sightings.known(trigger.id)
    known = known_since(trigger, stored, task.version.created_at)
    if known.keys() != stored.keys():
        await sightings.keep(trigger.id, known)
    return known


def _notes(reload: Reload, gathering: Iterable[AllReloadsTrigger]) -> Iterator[Note]:
    app = (reload.connection_id, reload.app_id)
    for trigger in gathering:
        if not trigger.enabled or app not in {(each.connection_id, each.app_id) for each in trigger.apps}:
            continue
        try:
            yield Note(trigger.id, opened_at(trigger, reload.finished_at), reload)
        except InvalidRuleError:
            # The scheduler says so at every tick.
            log.debug("reload not noted", trigger=trigger.id)


def _info(reload: Reload) -> ReloadInfo:
    return ReloadInfo(
        connection_id=reload.connection_id,
        app_id=reload.app_id,
        reload_id=reload.reload_id,
        finished_at=reload.finished_at,
        succeeded=reload.status is ReloadStatus.SUCCEEDED,
    )


def _event(
    task_id: str,
    trigger: ScheduleTrigger | OnReloadTrigger,
    decision: Decision,
    occurrence: str,
    *,
    reload: ReloadInfo | None = None,
    reloads: tuple[ReloadInfo, ...] = (),
) -> TaskTriggered | TriggerSkipped:
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
    execution = execution_id(trigger.id, occurrence)
    if isinstance(decision, Request):
        return TaskTriggered(execution_id=execution, task_id=task_id, trigger=info, priority=trigger.priority)
    return TriggerSkipped(execution_id=execution, task_id=task_id, trigger=info, reason=decision.reason)
