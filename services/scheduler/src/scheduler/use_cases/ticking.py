"""One tick: record what is due of every schedule and window."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contracts.triggers import AllReloadsTrigger, OnReloadTrigger, ScheduleTrigger
from scheduler.domain.all_of import Seen, decide_windows
from scheduler.domain.all_of import current_cursor as current_cursor_of_windows
from scheduler.domain.due import current_cursor, due
from scheduler.domain.model import DEFAULT_PATIENCE, Cursor, Patience
from scheduler.domain.reloads import Awaited
from scheduler.domain.rules import out_of_range
from scheduler.domain.series import Series, series_of
from scheduler.domain.windows import opened_at
from scheduler.ports import (
    ConfiguredTask,
    Occurrences,
    ReloadMarks,
    Sightings,
    Tasks,
    TriggerProblems,
    UnreadableTask,
)
from scheduler.use_cases.problems import Findings
from scheduler.use_cases.recording import event_of, known, record, reload_info

# Clocks of schedulers differ by less; a cursor further in the future was moved by a clock that ran ahead.
_CLOCKS_DIFFER = timedelta(seconds=60)


def _unreported(key: str, ahead: datetime) -> None:
    del key, ahead


async def tick(
    now: datetime,
    *,
    tasks: Tasks,
    occurrences: Occurrences,
    sightings: Sightings,
    marks: ReloadMarks,
    patience: Patience = DEFAULT_PATIENCE,
    awake_since: datetime | None = None,
    problems: TriggerProblems | None = None,
    set_back: Callable[[str, datetime], None] = _unreported,
) -> int:
    """Record every occurrence that is due by now; return how many were new. Raises Transient.

    `awake_since` is when this scheduler began. Whatever a trigger fails with is written down in `problems`
    and stops no other. `set_back` is told of each cursor that a clock which ran ahead had moved into the
    future, and that was set back to now.
    """
    ledger = _Ledger(occurrences, sightings, marks, patience, awake_since, set_back)
    findings = Findings("scheduler", "tick", now)
    recorded = 0
    async for task in tasks.all():
        if isinstance(task, UnreadableTask):
            findings.add(task.task_id, "", task.reason)
            continue
        for trigger in task.version.triggers:
            try:
                recorded += await ledger.serve(task, trigger, now)
                findings.went_well()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this trigger's own
                findings.failed(task.version.task_id, trigger.id, error)
            if (reason := out_of_range(trigger)) is not None:
                findings.add(task.version.task_id, trigger.id, reason)
    await findings.finish(problems)
    return recorded


@dataclass(frozen=True, slots=True)
class _Ledger:
    """What deciding about a trigger needs."""

    occurrences: Occurrences
    sightings: Sightings
    marks: ReloadMarks
    patience: Patience
    awake_since: datetime | None
    set_back: Callable[[str, datetime], None]

    async def serve(
        self, task: ConfiguredTask, trigger: ScheduleTrigger | OnReloadTrigger, now: datetime
    ) -> int:
        """Record what is due of one trigger; return how many records were new."""
        series = series_of(task.version, trigger.id)
        if isinstance(trigger, ScheduleTrigger):
            return await self._due(series, task, trigger, now)
        since = await known(series, trigger, task, self.sightings)
        if isinstance(trigger, AllReloadsTrigger):
            return await self._windows(series, task, trigger, since, now)
        return 0

    async def _due(
        self, series: Series, task: ConfiguredTask, trigger: ScheduleTrigger, now: datetime
    ) -> int:
        # What ran within the last minute has its record, and does not run again.
        stored = await self._cursor(series, now, back_to=now - _CLOCKS_DIFFER)
        cursor = current_cursor(trigger, stored, task.version.created_at, since=series.since)
        todo = due(trigger, cursor, now, task_enabled=task.enabled, patience=self.patience)
        events = [event_of(series, trigger, each, each.due_at.isoformat()) for each in todo.decisions]
        # Recorded before the cursor moves: after a crash in between the same ids are recorded again.
        new = await record(series, events, self.occurrences, now, ahead=cursor.ahead)
        if events or stored is None or stored.rule != todo.cursor.rule or cursor.ahead != todo.cursor.ahead:
            await self.occurrences.move(series.key, stored, todo.cursor)
        return new

    async def _windows(
        self,
        series: Series,
        task: ConfiguredTask,
        trigger: AllReloadsTrigger,
        since: Mapping[Awaited, datetime],
        now: datetime,
    ) -> int:
        # The window that is open now may have been decided while the clock was ahead.
        back_to = opened_at(trigger, now) - timedelta(milliseconds=1)
        stored = await self._cursor(series, now, back_to=back_to)
        cursor = current_cursor_of_windows(trigger, stored, task.version.created_at, since=series.since)
        seen = Seen(
            known=since,
            reloads=await self.sightings.noted(series.key, cursor.at),
            read_at=await self.marks.read_at({app.connection_id for app in trigger.watched}),
            awake_since=self.awake_since,
        )
        decided, after = decide_windows(
            trigger, cursor, seen, now, task_enabled=task.enabled, patience=self.patience
        )
        events = [
            event_of(
                series,
                trigger,
                each.decision,
                f"window:{each.window.opens_at.isoformat()}",
                reloads=tuple(reload_info(reload) for reload in each.reloads),
            )
            for each in decided
        ]
        # Recorded before the cursor moves, as for schedules: a crash in between records the same ids again.
        new = await record(series, events, self.occurrences, now, ahead=cursor.ahead)
        if stored != after:
            await self.occurrences.move(series.key, stored, after)
        return new

    async def _cursor(self, series: Series, now: datetime, *, back_to: datetime) -> Cursor | None:
        """Return the stored cursor, set back when a clock that ran ahead had moved it into the future."""
        stored = await self.occurrences.cursor(series.key)
        if stored is None or stored.at <= now + _CLOCKS_DIFFER:
            return stored
        earlier = replace(stored, at=back_to, ahead=max(stored.at, stored.ahead or stored.at))
        if await self.occurrences.move(series.key, stored, earlier):
            self.set_back(series.key, stored.at)
        # Read back: the store keeps milliseconds, and another scheduler may have been faster.
        return await self.occurrences.cursor(series.key)
