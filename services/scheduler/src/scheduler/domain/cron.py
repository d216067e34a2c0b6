"""The due times of a cron rule.

cronsim parses the expression and decides which days match. The moments of a day's local times are computed
here, from the zone's offsets alone, because cronsim misses times where a clock changes by less than an hour.

As in Debian's cron: where minute or hour begins with `*`, the rule runs at every moment whose local time
matches, so a repeated hour runs twice and a skipped one not at all. Other rules run once per local time: a
skipped one at the moment of the change, a repeated one at the first of its two moments.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_FIELDS = 5
_DAY = timedelta(days=1)
# Longer than a clock is ever set back or forward around midnight, but for a zone that changes its day.
_AROUND = timedelta(hours=6)
_PROBE = timedelta(hours=1)
# Shared by all expressions: one that runs every minute names 1,440 of them.
_OF_DAY = tuple(timedelta(minutes=minute) for minute in range(24 * 60))
_LEAP_YEAR = datetime(2024, 1, 1, tzinfo=UTC)


class CronRuleError(ValueError):
    """An expression that cannot be understood; `str()` says why."""


class Cron:
    """A parsed five-field expression. Raises CronRuleError."""

    def __init__(self, expression: str) -> None:
        """Take the expression: minute hour day-of-month month day-of-week."""
        parts = expression.split()
        if len(parts) != _FIELDS:
            raise CronRuleError("it does not have five fields")
        try:
            parsed = CronSim(expression, _LEAP_YEAR)
        except CronSimError as error:
            raise CronRuleError(str(error)) from error
        self._parsed = parsed
        self._times = tuple(
            _OF_DAY[60 * hour + minute] for hour in sorted(parsed.hours) for minute in sorted(parsed.minutes)
        )
        self._wildcard = parts[0].startswith("*") or parts[1].startswith("*")

    def moments(self, where: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the due times after `after`, up to and including `until`, ascending, in UTC."""
        # Times of a day whose clock changes may come before or after those of the next day.
        held: list[datetime] = []
        held_day: date | None = None
        for day in self._days(after.astimezone(where).date() - _DAY, until.astimezone(where).date() + _DAY):
            offset = _only_offset(day, where)
            if held and (offset is not None or held_day != day - _DAY):
                yield from _within(sorted(set(held)), after, until)
                held = []
            if offset is None:
                held += self._around_a_change(day, where)
                held_day = day
            else:
                midnight = datetime.combine(day, time(), tzinfo=UTC) - offset
                first = bisect_right(self._times, after - midnight)
                last = bisect_right(self._times, until - midnight)
                yield from (midnight + each for each in self._times[first:last])
        yield from _within(sorted(set(held)), after, until)

    def _days(self, first: date, last: date) -> Iterator[date]:
        day = first
        while day <= last:
            if day.month not in self._parsed.months:
                day = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
                continue
            if self._parsed.match_day(day):
                yield day
            day += _DAY

    def _around_a_change(self, day: date, where: ZoneInfo) -> Iterator[datetime]:
        midnight = datetime.combine(day, time())
        for each in self._times:
            wall = midnight + each
            found = moments_of(wall, where)
            if self._wildcard:
                yield from found
            else:
                yield found[0] if found else change_over(wall, where)


@lru_cache(maxsize=512)
def parsed(expression: str) -> Cron:
    """Return a parsed expression, kept for the next tick. Raises CronRuleError."""
    return Cron(expression)


def moments_of(wall: datetime, where: ZoneInfo) -> tuple[datetime, ...]:
    """Return the moments, in UTC, at which the clocks of a zone show a naive time: none, one or two."""
    both = (wall.replace(tzinfo=where, fold=fold).astimezone(UTC) for fold in (0, 1))
    return tuple(
        sorted({each for each in both if each.astimezone(where).replace(tzinfo=None, fold=0) == wall})
    )


def change_over(wall: datetime, where: ZoneInfo) -> datetime:
    """Return the moment, in UTC, at which the clocks of a zone skip a naive time."""
    # Read with the offset after the change it lies before it, and the other way round.
    before = wall.replace(tzinfo=where, fold=1).astimezone(UTC)
    after = wall.replace(tzinfo=where, fold=0).astimezone(UTC)
    offset = before.astimezone(where).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(where).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


@lru_cache(maxsize=4096)
def _only_offset(day: date, where: ZoneInfo) -> timedelta | None:
    """Return the offset that holds all through a local day and some hours around it; None if it changes."""
    midnight = datetime.combine(day, time(), tzinfo=where)
    offset = midnight.utcoffset()
    begin = midnight.astimezone(UTC) - _AROUND
    steps = int((_DAY + 2 * _AROUND) / _PROBE)
    same = all((begin + step * _PROBE).astimezone(where).utcoffset() == offset for step in range(steps + 1))
    return offset if same else None


def _within(moments: Sequence[datetime], after: datetime, until: datetime) -> Iterator[datetime]:
    return (each for each in moments if after < each <= until)
