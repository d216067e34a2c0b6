"""One look at a Qlik site: record what its reloads start, and note what bears on windows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from contracts.events import TaskTriggered, TriggerSkipped
from contracts.triggers import AllReloadsTrigger, ScheduleTrigger
from scheduler.domain.reloads import Reload, ReloadStatus, Waiting, decide
from scheduler.domain.series import Series, series_of
from scheduler.domain.windows import opened_at
from scheduler.ports import (
    Note,
    Occurrences,
    ReloadMarks,
    ReloadSource,
    Sightings,
    Tasks,
    TriggerProblems,
    UnreadableTask,
)
from scheduler.use_cases.problems import Findings
from scheduler.use_cases.recording import event_of, known, record, reload_info

log = structlog.get_logger(__name__)

# Clocks of listeners differ by less; a mark further in the future was set by a clock that ran ahead.
_CLOCKS_DIFFER = timedelta(seconds=60)
# How far back a site is read then. Reloads that were read before keep their execution ids.
_READ_AGAIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of reading a site: how many records were new, and the reloads that were noticed just now."""

    recorded: int = 0
    fresh: tuple[Reload, ...] = ()


@dataclass(frozen=True, slots=True)
class _Gathering:
    series: Series
    trigger: AllReloadsTrigger


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
    problems: TriggerProblems | None = None,
) -> Heard:
    """Read the reloads of a site since the mark and record what they start.

    The mark moves to the end of the last reload that was read, and reading starts `overlap` before it, since
    a site may show a reload later than one that ended after it. What bears on windows is noted for the
    scheduler, which decides about them. Whatever a trigger fails with is written down in `problems` and stops
    no other; its reloads are read again while they are no older than `overlap`. Raises Transient.
    """
    findings = Findings(f"site:{connection_id}", "reloads", now)
    # Every round: a trigger is known from the first round after it was made, not from its first reload.
    waiting, gathering = await _waiting(connection_id, tasks, sightings, findings)
    mark = await marks.get(connection_id)
    if mark is None:
        # History from before Broadsheet was pointed at the site starts nothing.
        await marks.advance(connection_id, now)
        await marks.read(connection_id, now)
        await findings.finish(problems)
        return Heard()
    if mark > now + _CLOCKS_DIFFER:
        log.warning(
            "the mark of a site was ahead of the clock", connection=connection_id, mark=mark.isoformat()
        )
        mark = now - _READ_AGAIN
        await marks.set_back(connection_id, mark)
    reloads = await source.since(mark - overlap)
    recorded = 0
    for each in waiting:
        recorded += await _start(each, reloads, occurrences, now, findings)
    notes = [note for each in gathering for note in _notes(each, reloads, findings)]
    await sightings.note(notes)
    # Before the mark moves: what could not be recorded is read again.
    await findings.finish(problems)
    if reloads:
        # A site whose clock is wrong must not make the listener skip what is still to come.
        await marks.advance(connection_id, min(now, max(reload.finished_at for reload in reloads)))
    # What has not settled was not read: a late decision must not take it for missing.
    await marks.read(connection_id, now - source.settle)
    return Heard(recorded, tuple(reload for reload in reloads if reload.finished_at > mark))


async def _start(
    each: tuple[Series, Waiting],
    reloads: Sequence[Reload],
    occurrences: Occurrences,
    now: datetime,
    findings: Findings,
) -> int:
    """Record what reloads start of one trigger; return how many records were new."""
    series, waiting = each
    events: list[TaskTriggered | TriggerSkipped] = []
    for reload in reloads:
        try:
            events += [
                event_of(series, waiting.trigger, decision, _occurrence(reload), reload=reload_info(reload))
                for _, decision in decide(reload, [waiting])
            ]
        except Exception as error:  # noqa: BLE001 - one reload in an odd form hides no other
            findings.failed(waiting.task_id, waiting.trigger.id, error)
    try:
        recorded = await record(series, events, occurrences, now)
        findings.went_well()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this trigger's own
        findings.failed(waiting.task_id, waiting.trigger.id, error)
        return 0
    return recorded


def _occurrence(reload: Reload) -> str:
    """Return what makes a reload itself.

    A task that is tried again after a failure keeps its execution id, so each way to end counts once.
    """
    succeeded = reload.status is ReloadStatus.SUCCEEDED
    return reload.reload_id if succeeded else f"{reload.reload_id}:{reload.status.value}"


async def _waiting(
    connection_id: str, tasks: Tasks, sightings: Sightings, findings: Findings
) -> tuple[list[tuple[Series, Waiting]], list[_Gathering]]:
    """Return the triggers that fire at single reloads of a site, and those that gather them in windows."""
    waiting: list[tuple[Series, Waiting]] = []
    gathering: list[_Gathering] = []
    async for task in tasks.all():
        if isinstance(task, UnreadableTask):
            continue  # the scheduler says so
        for trigger in task.version.triggers:
            if isinstance(trigger, ScheduleTrigger) or connection_id not in {
                app.connection_id for app in trigger.watched
            }:
                continue
            series = series_of(task.version, trigger.id)
            try:
                since = await known(series, trigger, task, sightings)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this trigger's own
                findings.failed(task.version.task_id, trigger.id, error)
                continue
            if isinstance(trigger, AllReloadsTrigger):
                gathering.append(_Gathering(series, trigger))
            else:
                waiting.append((series, Waiting(task.version.task_id, task.enabled, trigger, since)))
    return waiting, gathering


def _notes(each: _Gathering, reloads: Iterable[Reload], findings: Findings) -> Iterator[Note]:
    if not each.trigger.enabled:
        return
    apps = {(app.connection_id, app.app_id) for app in each.trigger.apps}
    for reload in reloads:
        if (reload.connection_id, reload.app_id) not in apps:
            continue
        try:
            yield Note(each.series.key, opened_at(each.trigger, reload.finished_at), reload)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this trigger's own
            findings.failed(each.series.task_id, each.trigger.id, error)
