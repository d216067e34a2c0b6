"""What is due: every occurrence has exactly one decision, whatever the restarts, late ticks and clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.triggers import CatchUp, CronRule, IntervalRule, ScheduleTrigger
from scheduler.domain.due import current_cursor, due, first_cursor
from scheduler.domain.model import Cursor, Patience, Request, Skip
from scheduler.domain.rules import InvalidRuleError, fingerprint, occurrences, out_of_range

START = datetime(2026, 3, 1, tzinfo=UTC)


def schedule(
    rule: CronRule | IntervalRule | None = None,
    *,
    timezone: str = "UTC",
    catch_up: CatchUp = CatchUp.LATEST,
    enabled: bool = True,
    end: datetime | None = None,
    start: datetime = START,
) -> ScheduleTrigger:
    return ScheduleTrigger(
        id="trigger",
        rule=rule or IntervalRule(every_seconds=60),
        timezone=timezone,
        start=start,
        end=end,
        catch_up=catch_up,
        enabled=enabled,
    )


def cursor(trigger: ScheduleTrigger, at: datetime) -> Cursor:
    return Cursor(at=at, rule=fingerprint(trigger))


def test_an_occurrence_on_time_is_requested_once_and_the_cursor_passes_it() -> None:
    trigger = schedule()

    first = due(trigger, cursor(trigger, START), START + timedelta(seconds=61), task_enabled=True)
    second = due(trigger, first.cursor, START + timedelta(seconds=62), task_enabled=True)

    assert (Request(START + timedelta(seconds=60)),) == first.decisions
    assert () == second.decisions


def test_after_an_outage_one_run_stands_for_all_that_were_missed() -> None:
    trigger = schedule()
    now = START + timedelta(seconds=50 * 60 + 3600)

    decided = due(
        schedule(end=START + timedelta(seconds=50 * 60)), cursor(trigger, START), now, task_enabled=True
    ).decisions

    skips = [each for each in decided if isinstance(each, Skip)]
    requests = [each for each in decided if isinstance(each, Request)]
    assert [Request(START + timedelta(seconds=50 * 60), missed=49)] == requests
    assert 49 == len(skips)
    assert {"missed-caught-up"} == {each.reason.code for each in skips}


def test_a_run_on_time_stands_for_those_missed_before_it() -> None:
    trigger = schedule()

    decided = due(
        trigger, cursor(trigger, START), START + timedelta(seconds=300), task_enabled=True
    ).decisions

    assert [Request(START + timedelta(seconds=240), missed=3), Request(START + timedelta(seconds=300))] == [
        each for each in decided if isinstance(each, Request)
    ]


@pytest.mark.parametrize(("policy", "requested", "skipped"), [(CatchUp.ALL, 50, 0), (CatchUp.NONE, 0, 50)])
def test_the_catch_up_policy_decides_about_missed_runs(policy: CatchUp, requested: int, skipped: int) -> None:
    trigger = schedule(catch_up=policy, end=START + timedelta(minutes=50))

    decided = due(trigger, cursor(trigger, START), START + timedelta(days=1), task_enabled=True).decisions

    assert requested == sum(isinstance(each, Request) for each in decided)
    assert skipped == sum(isinstance(each, Skip) for each in decided)


def test_every_due_time_of_a_disabled_task_is_recorded_as_skipped() -> None:
    trigger = schedule()

    decided = due(trigger, cursor(trigger, START), START + timedelta(minutes=3), task_enabled=False).decisions

    assert ["task-disabled"] * 3 == [each.reason.code for each in decided if isinstance(each, Skip)]


def test_a_disabled_trigger_makes_up_for_nothing_when_it_is_enabled() -> None:
    off = schedule(enabled=False)
    switched_off = current_cursor(off, cursor(schedule(), START), START + timedelta(hours=1))
    later = due(off, switched_off, START + timedelta(hours=5), task_enabled=True)
    switched_on = current_cursor(schedule(), later.cursor, START + timedelta(hours=5))

    decided = due(schedule(), switched_on, START + timedelta(hours=5, seconds=30), task_enabled=True)

    assert () == later.decisions
    assert () == decided.decisions


def test_a_changed_rule_is_not_applied_to_the_past() -> None:
    before = schedule(CronRule(expression="0 12 * * *"))
    after = schedule(CronRule(expression="0 * * * *"))
    changed_at = START + timedelta(hours=20)

    now = current_cursor(after, cursor(before, START + timedelta(hours=12)), changed_at)

    assert changed_at == now.at


def test_a_new_trigger_begins_when_it_was_made_even_if_its_start_lies_before() -> None:
    made = START + timedelta(days=30)

    assert made == first_cursor(schedule(), made).at


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        # 2026-03-29 02:30 does not exist in Berlin: it runs at the moment of the change.
        ("30 2 * * *", datetime(2026, 3, 28, 12), ["2026-03-29T01:00", "2026-03-30T00:30"]),
        # 2026-10-25 02:30 exists twice: it runs once.
        ("30 2 * * *", datetime(2026, 10, 24, 12), ["2026-10-25T00:30", "2026-10-26T01:30"]),
        # Half-hourly runs go through both of the hours.
        ("*/30 2 * * *", datetime(2026, 10, 25, 1, 59), ["2026-10-25T00:00", "2026-10-25T00:30"]),
    ],
)
def test_cron_at_a_change_of_clocks(expression: str, after: datetime, expected: list[str]) -> None:
    zone = ZoneInfo("Europe/Berlin")
    trigger = schedule(CronRule(expression=expression), timezone="Europe/Berlin")
    found = occurrences(trigger, after.replace(tzinfo=zone).astimezone(UTC))

    assert expected == [next(found).strftime("%Y-%m-%dT%H:%M") for _ in expected]


@pytest.mark.parametrize(
    ("rule", "timezone", "words"),
    [
        (CronRule(expression="61 * * * *"), "UTC", "Bad minute"),
        (CronRule(expression="not a cron rule"), "UTC", "five fields"),
        (CronRule(expression="0 8 * * *"), "Europe/Atlantis", "Europe/Atlantis"),
        (CronRule(expression="0 8 * * *"), "../etc/passwd", "not known"),
    ],
)
def test_a_rule_that_cannot_be_understood_says_why(rule: CronRule, timezone: str, words: str) -> None:
    trigger = schedule(rule, timezone=timezone)

    with pytest.raises(InvalidRuleError, match=words):
        due(trigger, cursor(trigger, START), START + timedelta(days=2), task_enabled=True)


@pytest.mark.parametrize("rule", [CronRule(expression="0 6 * * *"), IntervalRule(every_seconds=86400)])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize(
    ("start", "end", "runs"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), None, 2),
        (datetime(1, 1, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), 2),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), None, 0),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), 0),
    ],
)
def test_dates_stored_before_they_were_limited_get_an_answer_and_a_reason(
    rule: CronRule | IntervalRule, zone: str, start: datetime, end: datetime | None, runs: int
) -> None:
    trigger = schedule(rule, timezone=zone, start=start, end=end, catch_up=CatchUp.ALL)
    now = START + timedelta(days=2)

    decided = due(trigger, current_cursor(trigger, None, START), now, task_enabled=True).decisions

    assert runs == len(decided)
    reason = out_of_range(trigger)
    assert reason is not None
    assert "trigger-date-out-of-range" == reason.code


def test_very_many_missed_runs_share_a_record_that_counts_them() -> None:
    trigger = schedule(IntervalRule(every_seconds=1), catch_up=CatchUp.NONE)
    patience = Patience(grace_s=0, max_records=10)

    decided = due(
        trigger,
        cursor(trigger, START),
        START + timedelta(seconds=1000),
        task_enabled=True,
        patience=patience,
    ).decisions

    counted = sum(1 + each.missed for each in decided)
    assert 12 == len(decided)
    assert 1000 == counted


@given(
    ticks=st.lists(st.integers(min_value=1, max_value=400), min_size=1, max_size=25),
    every=st.integers(min_value=1, max_value=90),
    policy=st.sampled_from(CatchUp),
    steps=st.integers(min_value=1, max_value=200),
)
def test_every_occurrence_is_decided_exactly_once_whenever_the_ticks_come(
    ticks: list[int], every: int, policy: CatchUp, steps: int
) -> None:
    trigger = schedule(IntervalRule(every_seconds=every), catch_up=policy)
    patience = Patience(grace_s=30, max_steps=steps)
    where, now = cursor(trigger, START), START
    decided: list[datetime] = []
    for seconds in ticks:
        now += timedelta(seconds=seconds)
        result = due(trigger, where, now, task_enabled=True, patience=patience)
        decided += [each.due_at for each in result.decisions]
        where = result.cursor
    while where.at < now:
        result = due(trigger, where, now, task_enabled=True, patience=patience)
        decided += [each.due_at for each in result.decisions]
        where = result.cursor

    total = int((now - START).total_seconds()) // every
    assert [START + timedelta(seconds=every * n) for n in range(1, total + 1)] == decided
