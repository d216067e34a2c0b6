"""What to do about each window of an all-of trigger: start, start late, skip, or wait."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from contracts.base import Reason
from contracts.triggers import AllReloadsTrigger, LatePolicy, WatchedApp
from scheduler.domain.due import TASK_DISABLED
from scheduler.domain.model import DEFAULT_PATIENCE, Cursor, Decision, Patience, Request, Skip
from scheduler.domain.reloads import Awaited, Reload, ReloadStatus, window_rule
from scheduler.domain.rules import OFF, zone
from scheduler.domain.windows import Window, counts, windows

_WINDOWS_AT_ONCE = 400


@dataclass(frozen=True, slots=True)
class Seen:
    """What was heard that bears on the windows of a trigger."""

    known: Mapping[Awaited, datetime]
    """Since when the trigger waits for each app."""
    reloads: Sequence[Reload]
    """The reloads noted since the cursor, in any order."""
    read_at: Mapping[str, datetime]
    """When each site was last read with success, by connection."""
    awake_since: datetime | None = None
    """When whoever decides began to; what it missed until then, it has to give sites the time to tell."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One window and what to do about it."""

    window: Window
    decision: Decision
    reloads: tuple[Reload, ...] = ()


@dataclass(frozen=True, slots=True)
class _Verdict:
    window: Window
    due_at: datetime
    gathered: tuple[Reload, ...]
    missing: tuple[Reason, ...] = field(default=())


def current_cursor(
    trigger: AllReloadsTrigger, stored: Cursor | None, known_since: datetime, *, since: datetime | None = None
) -> Cursor:
    """Return the cursor to go on from: every window that opened up to it has its record or needs none.

    A trigger's first window, and the first after its time of day or zone was changed, opens after that; so
    does the first after `since`, when the trigger was added to its task.
    """
    rule = window_rule(trigger) if trigger.enabled else OFF
    if stored is None:
        return Cursor(known_since, rule)
    if stored.rule == rule:
        return stored if since is None or since <= stored.at else stored.moved(since)
    return Cursor(max(stored.at, known_since), rule, stored.ahead)


def decide_windows(
    trigger: AllReloadsTrigger,
    cursor: Cursor,
    seen: Seen,
    now: datetime,
    *,
    task_enabled: bool,
    patience: Patience = DEFAULT_PATIENCE,
) -> tuple[tuple[Decided, ...], Cursor]:
    """Return what to record about the windows that can be decided at `now`, and the cursor after it.

    Of several windows whose decision was missed the latest that may start stands for the others. A disabled
    trigger has no windows. Raises InvalidRuleError.
    """
    if not trigger.enabled:
        return (), cursor
    verdicts: list[_Verdict] = []
    reached = cursor.at
    for window in islice(windows(trigger, cursor.at), _WINDOWS_AT_ONCE):
        if window.opens_at > now:
            break
        required = _required(trigger, window, seen.known)
        if required and counts(trigger, window):
            verdict = _verdict(trigger, window, required, seen, now, patience=patience)
            if verdict is None:
                break
            verdicts.append(verdict)
        elif now < window.closes_at:
            # Its day or dates may still be named while it is open.
            break
        reached = window.opens_at
    return tuple(_decided(trigger, verdicts, task_enabled=task_enabled)), cursor.moved(reached)


def _required(
    trigger: AllReloadsTrigger, window: Window, known: Mapping[Awaited, datetime]
) -> tuple[WatchedApp, ...]:
    """Return the apps that were named when the window opened; others are asked for from the next one on."""
    return tuple(
        app
        for app in trigger.apps
        if (since := known.get(_awaited(trigger, app))) is not None and since <= window.opens_at
    )


def _verdict(
    trigger: AllReloadsTrigger,
    window: Window,
    required: Sequence[WatchedApp],
    seen: Seen,
    now: datetime,
    *,
    patience: Patience,
) -> _Verdict | None:
    """Return what can be said about a window now, None while it is open."""
    inside = [each for each in seen.reloads if window.opens_at <= each.finished_at < window.decides_at]
    first = _first(inside, ReloadStatus.SUCCEEDED)
    gathered = tuple(first[key] for app in required if (key := _key(app)) in first)
    missing = [app for app in required if _key(app) not in first]
    if not missing:
        return _Verdict(window, max(each.finished_at for each in gathered), gathered)
    if now < window.decides_at:
        return None
    unread = {
        app.connection_id
        for app in missing
        if (read := seen.read_at.get(app.connection_id)) is None or read < window.decides_at
    }
    waits_from = max(window.decides_at, seen.awake_since or window.decides_at)
    if unread and now < waits_from + timedelta(seconds=patience.late_s):
        return None
    failed = _first(inside, ReloadStatus.FAILED)
    told = (
        _missing(trigger, window, app)
        + _failure(trigger, failed.get(_key(app)))
        + (_unread(trigger, seen.read_at.get(app.connection_id)) if app.connection_id in unread else "")
        for app in missing
    )
    return _Verdict(window, window.decides_at, gathered, tuple(_reason(text) for text in told))


def _decided(
    trigger: AllReloadsTrigger, verdicts: Sequence[_Verdict], *, task_enabled: bool
) -> Iterator[Decided]:
    starting = [each for each in verdicts if not each.missing or trigger.late is LatePolicy.START]
    last = starting[-1] if starting else None
    for each in verdicts:
        yield Decided(
            each.window,
            _decision(each, starting, last) if task_enabled else Skip(each.due_at, TASK_DISABLED),
            each.gathered,
        )


def _decision(each: _Verdict, starting: Sequence[_Verdict], last: _Verdict | None) -> Decision:
    if each is last:
        return Request(each.due_at, missed=len(starting) - 1, warnings=each.missing)
    if each in starting and last is not None:
        standing = f"the window decided at {last.due_at.isoformat(timespec='seconds')} stands for this one"
        reason = Reason(code="missed-caught-up", message=f"the scheduler was not running; {standing}")
        return Skip(each.due_at, reason)
    told = "; ".join(reason.message for reason in each.missing)
    return Skip(
        each.due_at,
        Reason(
            code="apps-missing",
            message=f"nothing is started: {told}"[:4000],
            remedy="see why the apps were not reloaded, then run the task by hand if it is still wanted",
        ),
    )


def _missing(trigger: AllReloadsTrigger, window: Window, app: WatchedApp) -> str:
    name = f"{app.name} ({app.app_id})" if app.name else app.app_id
    opened, decided = _local(trigger, window.opens_at), _local(trigger, window.decides_at)
    return f"the app {name} on {app.connection_id} was not reloaded between {opened} and {decided}"


def _failure(trigger: AllReloadsTrigger, failed: Reload | None) -> str:
    return f"; a reload of it failed at {_local(trigger, failed.finished_at)}" if failed else ""


def _unread(trigger: AllReloadsTrigger, read: datetime | None) -> str:
    return f"; the site was last read at {_local(trigger, read)}" if read else "; the site was never read"


def _reason(text: str) -> Reason:
    return Reason(
        code="app-missing", message=text[:4000], remedy="see in Qlik why it was not reloaded in time"
    )


def _local(trigger: AllReloadsTrigger, moment: datetime) -> str:
    return f"{moment.astimezone(zone(trigger.timezone)):%Y-%m-%d %H:%M} {trigger.timezone}"


def _first(reloads: Iterable[Reload], status: ReloadStatus) -> dict[tuple[str, str], Reload]:
    found: dict[tuple[str, str], Reload] = {}
    for each in sorted(reloads, key=lambda each: each.finished_at):
        if each.status is status:
            found.setdefault((each.connection_id, each.app_id), each)
    return found


def _key(app: WatchedApp) -> tuple[str, str]:
    return app.connection_id, app.app_id


def _awaited(trigger: AllReloadsTrigger, app: WatchedApp) -> Awaited:
    return Awaited(app.connection_id, app.app_id, ReloadStatus.SUCCEEDED, window_rule(trigger))
