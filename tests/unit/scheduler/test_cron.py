"""Cron at changes of clocks, judged by counting minutes: every change that is not of whole hours."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import islice, product
from zoneinfo import ZoneInfo, available_timezones

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from contracts.triggers import CronRule, ScheduleTrigger
from scheduler.domain.cron import Cron, CronRuleError, change_over, moments_of
from scheduler.domain.rules import occurrences

MINUTE = timedelta(minutes=1)
AROUND = timedelta(hours=14)
LOOKED_AT = timedelta(hours=44)
# Set back after midnight, by two and three hours, a day left out, and ordinary ones.
WHOLE_HOURS = {
    "America/St_Johns": [datetime(2006, 4, 2, tzinfo=UTC), datetime(2006, 10, 29, tzinfo=UTC)],
    "Antarctica/Troll": [datetime(2024, 3, 31, tzinfo=UTC), datetime(2024, 10, 27, tzinfo=UTC)],
    "Antarctica/Casey": [datetime(2010, 3, 4, 15, tzinfo=UTC), datetime(2011, 10, 28, tzinfo=UTC)],
    "Pacific/Apia": [datetime(2011, 12, 30, 10, tzinfo=UTC)],
    "America/Havana": [datetime(2024, 3, 10, 5, tzinfo=UTC), datetime(2024, 11, 3, 5, tzinfo=UTC)],
    "Africa/Cairo": [datetime(2024, 4, 25, 22, tzinfo=UTC), datetime(2024, 10, 31, 21, tzinfo=UTC)],
    "Europe/Berlin": [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)],
}
ALL_MINUTES, ALL_HOURS = frozenset(range(60)), frozenset(range(24))


def any_day(day: date) -> bool:
    del day
    return True


# Each with what it means, written out: minutes, hours, days.
EXPRESSIONS: dict[str, tuple[frozenset[int], frozenset[int], Callable[[date], bool]]] = {
    "* * * * *": (ALL_MINUTES, ALL_HOURS, any_day),
    "30 * * * *": (frozenset({30}), ALL_HOURS, any_day),
    "*/15 1-3 * * *": (frozenset({0, 15, 30, 45}), frozenset({1, 2, 3}), any_day),
    "0 */2 * * *": (frozenset({0}), frozenset(range(0, 24, 2)), any_day),
    "0 0-4 * * *": (frozenset({0}), frozenset(range(5)), any_day),
    "45 1 * * *": (frozenset({45}), frozenset({1}), any_day),
    "0,15,30,45 2 * * *": (frozenset({0, 15, 30, 45}), frozenset({2}), any_day),
    "0 0 * * *": (frozenset({0}), frozenset({0}), any_day),
    "59 23 * * *": (frozenset({59}), frozenset({23}), any_day),
    "15 2 * * 0": (frozenset({15}), frozenset({2}), lambda day: day.weekday() == 6),
    "30 1 1-7 4,10 *": (frozenset({30}), frozenset({1}), lambda day: day.month in {4, 10} and day.day <= 7),
}


def changes_by_part_of_an_hour() -> Iterator[tuple[str, datetime]]:
    """Yield every change of 2006 to 2046 that is not of whole hours."""
    begin, end = datetime(2006, 1, 1, tzinfo=UTC), datetime(2046, 12, 31, tzinfo=UTC)
    for name in sorted(available_timezones()):
        where = ZoneInfo(name)
        week, offset = begin, begin.astimezone(where).utcoffset()
        while week < end:
            after = week + timedelta(days=7)
            new = after.astimezone(where).utcoffset()
            assert offset is not None
            assert new is not None
            if (new - offset) % timedelta(hours=1):
                low, high = week, after
                while high - low > timedelta(seconds=1):
                    middle = low + (high - low) // 2
                    low, high = (
                        (middle, high) if middle.astimezone(where).utcoffset() == offset else (low, middle)
                    )
                yield name, high.replace(microsecond=0)
            week, offset = after, new


@cache
def shown(where: ZoneInfo, around: datetime) -> dict[datetime, list[datetime]]:
    """Return the moments at which each local minute is shown, by looking at every one."""
    found: dict[datetime, list[datetime]] = {}
    moment = around.replace(second=0) - LOOKED_AT
    while moment < around + LOOKED_AT:
        found.setdefault(moment.astimezone(where).replace(tzinfo=None, fold=0), []).append(moment)
        moment += MINUTE
    return found


def skipped(wall: datetime, minutes: dict[datetime, list[datetime]]) -> datetime:
    """Return the first minute whose local time is later than one that no clock shows."""
    return min(when[0] for local, when in minutes.items() if local > wall)


def expected(expression: str, minutes: dict[datetime, list[datetime]], around: datetime) -> list[datetime]:
    """Return the due times by the rules that the documentation promises."""
    at_minutes, at_hours, on = EXPRESSIONS[expression]
    wildcard = any(field.startswith("*") for field in expression.split()[:2])
    due: set[datetime] = set()
    begin, end = min(minutes), max(minutes)
    days = [begin.date() + timedelta(days=count) for count in range((end - begin).days + 2)]
    for day, hour, minute in product(filter(on, days), at_hours, at_minutes):
        wall = datetime(day.year, day.month, day.day, hour, minute)
        if not begin <= wall <= end:
            continue
        when = minutes.get(wall, [])
        if wildcard:
            due.update(when)
        else:
            due.add(when[0] if when else skipped(wall, minutes))
    return sorted(moment for moment in due if around - AROUND < moment <= around + AROUND)


@cache
def cases() -> list[tuple[str, datetime]]:
    parts = list(changes_by_part_of_an_hour())
    assert {"Australia/Lord_Howe", "Asia/Pyongyang", "America/Caracas"} <= {name for name, _ in parts}
    # The same change under another name is the same case.
    return sorted({when: (name, when) for name, when in parts}.values()) + [
        (name, when) for name, times in WHOLE_HOURS.items() for when in times
    ]


def test_every_local_time_runs_as_promised_at_every_change_that_is_not_of_whole_hours() -> None:
    wrong = []
    for name, around in cases():
        where = ZoneInfo(name)
        minutes = shown(where, around)
        for expression in EXPRESSIONS:
            got = list(Cron(expression).moments(where, around - AROUND, around + AROUND))
            if expected(expression, minutes, around) != got:
                wrong.append((name, around.isoformat(), expression))

    assert [] == wrong


def test_times_of_day_of_windows_are_read_by_the_same_clocks() -> None:
    for name, around in cases():
        where = ZoneInfo(name)
        minutes = shown(where, around)
        wall = (around - AROUND).replace(tzinfo=None)
        while wall < (around + AROUND).replace(tzinfo=None):
            when = tuple(minutes.get(wall, []))
            assert when == moments_of(wall, where), (name, wall)
            if not when:
                assert skipped(wall, minutes) == change_over(wall, where), (name, wall)
            wall += 7 * MINUTE


@pytest.mark.parametrize(
    ("expression", "begin", "lost"),
    [
        ("30 * * * *", datetime(2024, 10, 5, 13, tzinfo=UTC), datetime(2024, 10, 5, 15, 30, tzinfo=UTC)),
        ("0 */2 * * *", datetime(2024, 4, 6, 12, tzinfo=UTC), datetime(2024, 4, 6, 15, 30, tzinfo=UTC)),
        ("30 * * * *", datetime(2024, 4, 6, 13, tzinfo=UTC), datetime(2024, 4, 6, 15, 0, tzinfo=UTC)),
    ],
)
def test_half_an_hour_on_lord_howe_loses_no_run(expression: str, begin: datetime, lost: datetime) -> None:
    trigger = ScheduleTrigger(
        id="t", rule=CronRule(expression=expression), start=begin, timezone="Australia/Lord_Howe"
    )

    assert lost in list(islice(occurrences(trigger, begin), 6))


FIELDS = st.tuples(
    st.sampled_from(["*", "*/7", "0", "5-50/9", "59", "1,2,40"]),
    st.sampled_from(["*", "*/5", "0", "23", "1-4", "6,18"]),
    st.sampled_from(["*", "1", "28", "L", "LW", "*/9", "10-20"]),
    st.sampled_from(["*", "2", "JAN-MAR", "*/5", "12"]),
    st.sampled_from(["*", "0", "7", "MON-FRI", "1#1", "5L", "*/3"]),
)


@given(FIELDS, st.datetimes(datetime(2001, 1, 1), datetime(2150, 1, 1)))
def test_without_a_change_of_clocks_the_due_times_are_those_of_cronsim(
    fields: tuple[str, ...], after: datetime
) -> None:
    expression, begin = " ".join(fields), after.replace(tzinfo=UTC)
    end = begin + timedelta(days=800)
    found = islice(Cron(expression).moments(ZoneInfo("Etc/UTC"), begin, end), 20)

    assert [moment for moment in islice(CronSim(expression, begin), 20) if moment <= end] == list(found)


@pytest.mark.parametrize(
    "expression", ["* * * *", "0 0 0 * * *", "60 * * * *", "0 0 31 2 *", "x", "* * * * 8"]
)
def test_an_expression_that_cannot_be_understood_is_named(expression: str) -> None:
    with pytest.raises(CronRuleError):
        Cron(expression)


@given(st.text(alphabet="0123456789*/,-#LWJANMO ²\u0663", min_size=0, max_size=30))
def test_any_text_is_an_expression_or_an_error_that_says_so(text: str) -> None:
    try:
        cron = Cron(text)
    except CronRuleError:
        return
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    list(islice(cron.moments(ZoneInfo("UTC"), begin, begin + timedelta(days=40)), 5))
