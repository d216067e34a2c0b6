"""When the windows of an all-of trigger open, are decided and close.

A window belongs to a calendar day in the trigger's zone. It opens at `since` and closes when the next day's
would open; the windows of a trigger therefore never overlap, and every moment after the first lies in one. At
a change of clocks a time of day that does not exist is the moment of the change, one that exists twice is the
first of the two, as for cron rules.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from contracts.base import LATEST
from contracts.triggers import AllReloadsTrigger, Weekday
from scheduler.domain.cron import change_over, moments_of
from scheduler.domain.rules import zone

_DAY = timedelta(days=1)
_DAYS = tuple(Weekday)


@dataclass(frozen=True, slots=True)
class Window:
    """One day's window, in UTC: reloads that end at or after `opens_at` and before `decides_at` count."""

    day: date
    opens_at: datetime
    decides_at: datetime
    closes_at: datetime


def windows(trigger: AllReloadsTrigger, after: datetime) -> Iterator[Window]:
    """Yield the windows of every day that open after `after`, ascending. Raises InvalidRuleError."""
    where = zone(trigger.timezone)
    # A zone may be a day ahead of UTC or behind it.
    day = after.astimezone(where).date() - _DAY
    while day <= LATEST.date():
        found = _window(trigger, day, where)
        if found.opens_at > after and found.opens_at < found.closes_at:
            yield found
        day += _DAY


def opened_at(trigger: AllReloadsTrigger, moment: datetime) -> datetime:
    """Return when the window opened in which a moment lies, whatever the day. Raises InvalidRuleError."""
    where = zone(trigger.timezone)
    day = moment.astimezone(where).date() + _DAY
    while (opens := moment_of(day, _time(trigger.since), where)) > moment:
        day -= _DAY
    return opens


def counts(trigger: AllReloadsTrigger, window: Window) -> bool:
    """Return whether a window is one of the trigger's: its day is named, and it lies inside the dates."""
    return (
        _DAYS[window.day.weekday()] in trigger.days
        and (trigger.start is None or window.opens_at >= trigger.start)
        and (trigger.end is None or window.decides_at <= trigger.end)
    )


def moment_of(day: date, at: time, where: ZoneInfo) -> datetime:
    """Return a time of day as a moment in UTC; see above for changes of clocks."""
    wall = datetime.combine(day, at)
    found = moments_of(wall, where)
    return found[0] if found else change_over(wall, where)


def _window(trigger: AllReloadsTrigger, day: date, where: ZoneInfo) -> Window:
    since = _time(trigger.since)
    opens, closes = moment_of(day, since, where), moment_of(day + _DAY, since, where)
    if trigger.late_at is None:
        return Window(day, opens, closes, closes)
    late = _time(trigger.late_at)
    decides = moment_of(day if late > since else day + _DAY, late, where)
    if decides <= opens:
        # Both times fall into an hour that is left out: the window keeps its length.
        decides = opens + _length(since, late)
    return Window(day, opens, min(decides, closes), closes)


def _length(since: time, late: time) -> timedelta:
    any_day = date.min
    return datetime.combine(any_day, late) - datetime.combine(any_day, since)


def _time(text: str) -> time:
    return time.fromisoformat(text)
