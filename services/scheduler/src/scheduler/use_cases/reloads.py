"""One look at a Qlik site: record what its reloads start, and note what bears on windows."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from contracts.base import Reason
from contracts.events import TaskTriggered, TriggerSkipped
from contracts.triggers import AllReloadsTrigger, OnReloadTrigger, ScheduleTrigger
from runtime.errors import Transient
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
    """What came of reading a site: how many records were new, and the reloads that were noticed just now.

    `warnings` say which apps the site does not have that triggers wait for.
    """

    recorded: int = 0
    fresh: tuple[Reload, ...] = ()
    warnings: tuple[str, ...] = ()


SiteApps = Callable[[Collection[str]], Awaitable[Collection[str]]]
"""Takes the ids of the apps that are waited for, returns those of the apps the site has. Raises Transient."""


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
    apps: SiteApps | None = None,
) -> Heard:
    """Read the reloads of a site since the mark and record what they start.

    The mark moves to the end of the last reload that was read, and reading starts `overlap` before it, since
    a site may show a reload later than one that ended after it. What bears on windows is noted for the
    scheduler, which decides about them. Whatever a trigger fails with is written down in `problems` and stops
    no other; its reloads are read again while they are no older than `overlap`. An app that the site does not
    have is written down as well, when `apps` tells which it has. Raises Transient.
    """
    findings = Findings(f"site:{connection_id}", "reloads", now)
    # Every round: a trigger is known from the first round after it was made, not from its first reload.
    waiting, gathering = await _waiting(connection_id, tasks, sightings, findings)
    mark = await marks.get(connection_id)
    if mark is None:
        # History from before Broadsheet was pointed at the site starts nothing.
        await marks.advance(connection_id, now)
        await marks.read(connection_id, now)
        warnings = await _missing_apps(connection_id, waiting, gathering, apps, findings)
        await findings.finish(problems)
        return Heard(warnings=warnings)
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
    warnings = await _missing_apps(connection_id, waiting, gathering, apps, findings)
    # Before the mark moves: what could not be recorded is read again.
    await findings.finish(problems)
    if reloads:
        # A site whose clock is wrong must not make the listener skip what is still to come.
        await marks.advance(connection_id, min(now, max(reload.finished_at for reload in reloads)))
    # What has not settled was not read: a late decision must not take it for missing.
    await marks.read(connection_id, now - source.settle)
    return Heard(recorded, tuple(reload for reload in reloads if reload.finished_at > mark), warnings)


async def site_unavailable(
    connection_id: str, why: str, now: datetime, *, tasks: Tasks, problems: TriggerProblems
) -> None:
    """Write down at each trigger that waits for a site that it cannot be read. Raises Transient.

    The next time it is read this is over.
    """
    findings = Findings(f"site:{connection_id}", "reloads", now)
    reason = Reason(
        code="site-unavailable",
        message=(
            f"The Qlik site {connection_id!r} cannot be read, so reloads of its apps do not start the task: "
            f"{why}"
        )[:4000],
        remedy="See the page Qlik sites. Reloads that end meanwhile are picked up when it can be read again.",
    )
    async for task in tasks.all():
        if isinstance(task, UnreadableTask):
            continue
        for trigger in task.version.triggers:
            if isinstance(trigger, ScheduleTrigger) or not trigger.enabled:
                continue
            if connection_id in {app.connection_id for app in trigger.watched}:
                findings.add(task.version.task_id, trigger.id, reason)
    await findings.finish(problems)


async def _missing_apps(
    connection_id: str,
    waiting: Sequence[tuple[Series, Waiting]],
    gathering: Sequence[_Gathering],
    apps: SiteApps | None,
    findings: Findings,
) -> tuple[str, ...]:
    """Write down at each trigger which apps it waits for that the site does not have; return it by app."""
    triggers: list[tuple[str, OnReloadTrigger]] = [(each.task_id, each.trigger) for _, each in waiting]
    triggers += [(each.series.task_id, each.trigger) for each in gathering]
    wanted = {
        app.app_id: f"{app.name} ({app.app_id})" if app.name else app.app_id
        for _, trigger in triggers
        if trigger.enabled
        for app in trigger.watched
        if app.connection_id == connection_id
    }
    if apps is None or not wanted:
        return ()
    try:
        there = set(await apps(list(wanted)))
    except Transient as error:
        # The reloads were read all the same.
        log.warning("the apps of a site cannot be listed", connection=connection_id, error=str(error)[:500])
        return (f"It is not known whether the site has the apps that triggers wait for: {error}",)
    missing = {app_id: name for app_id, name in wanted.items() if app_id not in there}
    named: dict[str, list[str]] = {}
    for task_id, trigger in triggers:
        lost = [
            app.app_id
            for app in trigger.watched
            if app.connection_id == connection_id and app.app_id in missing and trigger.enabled
        ]
        if lost:
            findings.add(task_id, trigger.id, _app_missing(connection_id, [missing[each] for each in lost]))
        for app_id in lost:
            named.setdefault(app_id, []).append(f"{task_id}/{trigger.id}")
    return tuple(
        f"The site does not have the app {missing[app_id]}, which these triggers wait for: {', '.join(who)}."
        for app_id, who in sorted(named.items())
    )


def _app_missing(connection_id: str, names: Sequence[str]) -> Reason:
    return Reason(
        code="app-not-found",
        message=(
            f"The Qlik site {connection_id!r} does not have the app {', '.join(names)}, or its user may not "
            "see it. The trigger waits for reloads that cannot come."
        )[:4000],
        remedy="If the app was published again under another id, change the trigger to that id.",
    )


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
