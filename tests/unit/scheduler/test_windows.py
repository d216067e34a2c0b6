"""When windows open, are decided and close: one after the other, whatever the zone does to its clocks."""

from datetime import UTC, datetime, time, timedelta
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.triggers import AllReloadsTrigger
from scheduler.domain.rules import InvalidRuleError
from scheduler.domain.windows import counts, moment_of, opened_at, windows

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]


def all_of(since: str = "04:00", **changes: Any) -> AllReloadsTrigger:
    return AllReloadsTrigger.model_validate(
        {"id": "all", "apps": [{"connection_id": "site", "app_id": "a"}], "since": since, **changes}
    )


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_window_opens_at_the_time_of_day_of_its_zone_and_closes_when_the_next_opens() -> None:
    trigger = all_of(late_at="06:30", timezone="Europe/Berlin")

    first, second = islice(windows(trigger, utc("2026-01-10T12:00")), 2)

    assert utc("2026-01-11T03:00") == first.opens_at
    assert utc("2026-01-11T05:30") == first.decides_at
    assert utc("2026-01-12T03:00") == first.closes_at == second.opens_at


def test_a_late_time_on_the_next_day_crosses_midnight() -> None:
    trigger = all_of("22:00", late_at="02:15", late_next_day=True)

    (found,) = islice(windows(trigger, utc("2026-01-10T12:00")), 1)

    assert utc("2026-01-10T22:00") == found.opens_at
    assert utc("2026-01-11T02:15") == found.decides_at


@pytest.mark.parametrize(
    ("since", "late_at", "day", "opens", "decides"),
    [
        # 02:00 to 03:00 is left out on 2026-03-29: the times are the moment of the change.
        ("02:30", "06:30", "2026-03-29", "2026-03-29T01:00", "2026-03-29T04:30"),
        ("01:30", "02:30", "2026-03-29", "2026-03-29T00:30", "2026-03-29T01:00"),
        # both inside: the window keeps its length
        ("02:15", "02:45", "2026-03-29", "2026-03-29T01:00", "2026-03-29T01:30"),
        # 02:00 to 03:00 comes twice on 2026-10-25: the first counts.
        ("02:30", "06:30", "2026-10-25", "2026-10-25T00:30", "2026-10-25T05:30"),
        ("01:30", "02:30", "2026-10-25", "2026-10-24T23:30", "2026-10-25T00:30"),
    ],
)
def test_windows_at_a_change_of_clocks(since: str, late_at: str, day: str, opens: str, decides: str) -> None:
    trigger = all_of(since, late_at=late_at, timezone="Europe/Berlin")

    (found,) = islice(windows(trigger, utc(f"{day}T00:00") - timedelta(hours=12)), 1)

    assert day == str(found.day)
    assert utc(opens) == found.opens_at
    assert utc(decides) == found.decides_at


def test_days_and_dates_say_which_windows_count() -> None:
    trigger = all_of(days=["mon", "tue"], start="2026-01-06T00:00Z", end="2026-01-13T03:59Z", late_at="06:00")

    found = [each for each in islice(windows(trigger, utc("2026-01-04T00:00")), 20) if counts(trigger, each)]

    # Monday the 5th opens before the start, Tuesday the 13th is decided after the end.
    assert ["2026-01-06", "2026-01-12"] == [str(each.day) for each in found]


def test_a_zone_that_is_none_is_named() -> None:
    with pytest.raises(InvalidRuleError, match="Europe/Atlantis"):
        next(windows(all_of(timezone="Europe/Atlantis"), utc("2026-01-01T00:00")))


times = st.times().map(lambda each: f"{each:%H:%M}")
moments = st.datetimes(datetime(2009, 1, 1), datetime(2030, 1, 1)).map(lambda each: each.replace(tzinfo=UTC))


@given(since=times, late_at=st.none() | times, zone=st.sampled_from(ZONES), after=moments)
def test_windows_follow_each_other_without_gap_or_overlap(
    since: str, late_at: str | None, zone: str, after: datetime
) -> None:
    trigger = all_of(since, late_at=late_at, timezone=zone)

    found = list(islice(windows(trigger, after), 5))

    assert after < found[0].opens_at <= after + timedelta(hours=49)
    for each in found:
        assert each.opens_at < each.decides_at <= each.closes_at
    for each, following in pairwise(found):
        assert each.closes_at == following.opens_at


@given(since=times, zone=st.sampled_from(ZONES), moment=moments, data=st.data())
def test_every_moment_lies_in_the_window_that_opened_last(
    since: str, zone: str, moment: datetime, data: st.DataObject
) -> None:
    trigger = all_of(since, timezone=zone)
    (window,) = islice(windows(trigger, moment), 1)

    # A window does not hold the moment it closes at: that is the next one's first.
    last = (window.closes_at - window.opens_at) // timedelta(microseconds=1) - 1
    inside = window.opens_at + timedelta(microseconds=data.draw(st.integers(0, last)))

    assert window.opens_at == opened_at(trigger, inside)
    assert opened_at(trigger, moment) <= moment < window.opens_at


@given(zone=st.sampled_from(ZONES), moment=moments)
def test_a_time_of_day_that_exists_is_read_as_it_stands(zone: str, moment: datetime) -> None:
    where = ZoneInfo(zone)
    local = moment.astimezone(where)

    found = moment_of(local.date(), local.time().replace(fold=0), where).astimezone(where)

    assert local.replace(tzinfo=None, fold=0) == found.replace(tzinfo=None, fold=0)


def test_a_day_that_a_zone_left_out_has_no_window() -> None:
    # Samoa went from the 29th to the 31st of December 2011.
    trigger = all_of("00:00", timezone="Pacific/Apia")
    where = ZoneInfo("Pacific/Apia")

    found = list(islice(windows(trigger, utc("2011-12-28T12:00")), 3))

    assert ["2011-12-29", "2011-12-31", "2012-01-01"] == [str(each.day) for each in found]
    assert {time(0)} == {each.opens_at.astimezone(where).time() for each in found}
