"""What to do about every occurrence of a schedule since it was last looked at."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice

from contracts.base import EARLIEST, LATEST, Reason
from contracts.triggers import CatchUp, ScheduleTrigger
from scheduler.domain.model import DEFAULT_PATIENCE, Cursor, Decision, Due, Patience, Request, Skip
from scheduler.domain.rules import fingerprint, occurrences

TASK_DISABLED = Reason(
    code="task-disabled",
    message="the task was disabled when its trigger was due",
    remedy="enable the task; runs that were skipped are not made up for",
)


def first_cursor(trigger: ScheduleTrigger, known_since: datetime) -> Cursor:
    """Return the cursor of a trigger seen for the first time, configured at `known_since`."""
    start = min(max(trigger.start, EARLIEST), LATEST)
    return Cursor(at=max(start - timedelta(microseconds=1), known_since), rule=fingerprint(trigger))


def current_cursor(
    trigger: ScheduleTrigger, stored: Cursor | None, known_since: datetime, *, since: datetime | None = None
) -> Cursor:
    """Return the cursor to go on from: the stored one, unless the rule was changed since.

    `since` is when the trigger was added to its task, if that is known: before that nothing was due.
    """
    if stored is None:
        return first_cursor(trigger, known_since)
    if stored.rule == fingerprint(trigger):
        return stored if since is None or since <= stored.at else stored.moved(since)
    # The new rule must not be due at times before somebody made it.
    return Cursor(max(stored.at, known_since), fingerprint(trigger), stored.ahead)


def due(
    trigger: ScheduleTrigger,
    cursor: Cursor,
    now: datetime,
    *,
    task_enabled: bool,
    patience: Patience = DEFAULT_PATIENCE,
) -> Due:
    """Return what to do about every occurrence after the cursor, up to now.

    A disabled trigger has no occurrences, and enabling it changes its rule, which makes up for nothing. The
    occurrences of an enabled trigger of a disabled task are recorded as skipped. Raises InvalidRuleError.
    """
    if not trigger.enabled:
        return Due((), cursor)
    moments = list(islice(occurrences(trigger, cursor.at, now), patience.max_steps))
    complete = len(moments) < patience.max_steps
    reached = now if complete else moments[-1]
    if not task_enabled:
        return Due(_recorded(moments, TASK_DISABLED, patience), cursor.moved(reached))
    border = now - timedelta(seconds=patience.grace_s)
    missed = [moment for moment in moments if moment < border]
    on_time = [moment for moment in moments if moment >= border]
    decisions = _caught_up(trigger.catch_up, missed, on_time, patience)
    return Due(decisions, cursor.moved(reached))


def _caught_up(
    policy: CatchUp, missed: Sequence[datetime], on_time: Sequence[datetime], patience: Patience
) -> tuple[Decision, ...]:
    if not missed or policy is CatchUp.ALL:
        return tuple(Request(moment) for moment in (*missed, *on_time))
    if policy is CatchUp.NONE:
        reason = Reason(
            code="missed", message="the scheduler was not running, and the trigger makes up nothing"
        )
        return (*_recorded(missed, reason, patience), *(Request(moment) for moment in on_time))
    # One run stands for all that were missed: the first one on time, else the latest missed.
    standing_for = list(missed) if on_time else list(missed[:-1])
    runs = list(on_time) or [missed[-1]]
    reason = Reason(
        code="missed-caught-up",
        message=f"the scheduler was not running; the run due at {runs[0].isoformat()} stands for this one",
    )
    return (
        *_recorded(standing_for, reason, patience),
        Request(runs[0], missed=len(standing_for)),
        *(Request(moment) for moment in runs[1:]),
    )


def _recorded(moments: Sequence[datetime], reason: Reason, patience: Patience) -> tuple[Decision, ...]:
    """Record each, but the oldest of very many together."""
    many = max(0, len(moments) - patience.max_records)
    if not many:
        return tuple(Skip(moment, reason) for moment in moments)
    return (
        Skip(moments[many - 1], reason, missed=many - 1),
        *(Skip(moment, reason) for moment in moments[many:]),
    )
