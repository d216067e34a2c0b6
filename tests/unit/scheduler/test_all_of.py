"""What becomes of a window: exactly one record, whatever is heard, when, and by whom."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.triggers import AllReloadsTrigger, LatePolicy
from scheduler.domain.all_of import Decided, Seen, current_cursor, decide_windows
from scheduler.domain.model import Cursor, Patience, Request, Skip
from scheduler.domain.reloads import Reload, ReloadStatus, awaited, known_since
from scheduler.domain.windows import windows

MADE = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPENS = datetime(2026, 3, 2, 4, tzinfo=UTC)
LATE = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def all_of(**changes: Any) -> AllReloadsTrigger:
    apps = [
        {"connection_id": "north", "app_id": "a"},
        {"connection_id": "north", "app_id": "b"},
        {"connection_id": "south", "app_id": "c", "name": "Costs"},
    ]
    base = {"id": "all", "apps": apps, "since": "04:00", "late_at": "06:30", "late": "start"}
    return AllReloadsTrigger.model_validate(base | changes)


def done(app: str, at: datetime, status: ReloadStatus = ReloadStatus.SUCCEEDED) -> Reload:
    return Reload("south" if app == "c" else "north", app, f"{app}@{at.isoformat()}", status, at)


def decided(
    *reloads: Reload,
    now: datetime,
    trigger: AllReloadsTrigger | None = None,
    cursor: Cursor | None = None,
    enabled: bool = True,
    read_at: datetime | None = None,
    **seen: Any,
) -> tuple[tuple[Decided, ...], Cursor]:
    trigger = trigger or all_of()
    heard = {
        "known": known_since(trigger, {}, MADE),
        "reloads": reloads,
        "read_at": dict.fromkeys(("north", "south"), read_at or now),
        **seen,
    }
    where = current_cursor(trigger, cursor, MADE)
    return decide_windows(trigger, where, Seen(**heard), now, task_enabled=enabled)


def test_the_run_starts_when_the_last_app_has_been_reloaded() -> None:
    a, b, c = (done(app, OPENS + n * SECOND) for n, app in enumerate("abc"))

    before, cursor = decided(a, b, now=OPENS + 3 * SECOND)
    (found,), after = decided(a, b, c, now=OPENS + 3 * SECOND, cursor=cursor)

    assert () == before
    assert Request(c.finished_at) == found.decision
    assert (a, b, c) == found.reloads
    assert ((), after) == decided(a, b, c, now=OPENS + 4 * SECOND, cursor=after)


def test_a_reload_just_before_the_window_does_not_count_and_one_at_its_opening_does() -> None:
    rest = [done("b", OPENS), done("c", OPENS)]

    assert () == decided(done("a", OPENS - SECOND / 1000), *rest, now=OPENS + SECOND)[0]
    assert 1 == len(decided(done("a", OPENS), *rest, now=OPENS + SECOND)[0])


def test_two_reloads_of_one_app_count_once_and_do_not_stand_for_another() -> None:
    twice = [done("a", OPENS), done("a", OPENS + SECOND), done("b", OPENS)]

    assert () == decided(*twice, now=OPENS + 2 * SECOND)[0]
    (found,), _ = decided(*twice, done("c", OPENS + 2 * SECOND), now=OPENS + 3 * SECOND)
    assert OPENS == found.reloads[0].finished_at


def test_a_late_run_starts_with_a_warning_that_names_what_is_missing() -> None:
    failed = done("c", OPENS + timedelta(minutes=70), ReloadStatus.FAILED)

    (found,), cursor = decided(done("a", OPENS), done("b", OPENS), failed, now=LATE)

    assert isinstance(found.decision, Request)
    assert LATE == found.decision.due_at
    (warning,) = found.decision.warnings
    assert "app-missing" == warning.code
    assert "Costs (c) on south was not reloaded between 2026-03-02 04:00 UTC and 2026-03-02 06:30 UTC" in (
        warning.message
    )
    assert "a reload of it failed at 2026-03-02 05:10 UTC" in warning.message
    assert OPENS == cursor.at


def test_a_late_window_of_a_trigger_that_skips_is_skipped_with_its_reason() -> None:
    (found,), _ = decided(done("a", OPENS), now=LATE, trigger=all_of(late="skip"))

    assert isinstance(found.decision, Skip)
    assert "apps-missing" == found.decision.reason.code
    assert "the app b on north" in found.decision.reason.message
    assert "Costs (c) on south" in found.decision.reason.message


def test_without_a_late_time_a_window_is_skipped_when_the_next_opens() -> None:
    trigger = all_of(late_at=None, late="skip")
    closes = OPENS + timedelta(days=1)

    assert () == decided(done("a", OPENS), now=closes - SECOND, trigger=trigger)[0]
    (found,), _ = decided(done("a", OPENS), now=closes, trigger=trigger)
    assert closes == found.decision.due_at
    assert isinstance(found.decision, Skip)


def test_the_late_decision_waits_for_a_site_that_was_not_read_since_but_not_for_ever() -> None:
    patience = Patience().late_s * SECOND
    seen: dict[str, Any] = {"read_at": LATE - SECOND}

    assert () == decided(done("a", OPENS), now=LATE + patience - SECOND, **seen)[0]
    (found,), _ = decided(done("a", OPENS), now=LATE + patience, **seen)
    assert isinstance(found.decision, Request)
    assert "the site was last read at 2026-03-02 06:29 UTC" in found.decision.warnings[0].message


def test_a_scheduler_that_comes_back_gives_the_sites_time_to_tell_what_it_missed() -> None:
    back = LATE + timedelta(hours=3)
    seen: dict[str, Any] = {"read_at": LATE - timedelta(hours=1), "awake_since": back}

    assert () == decided(done("a", OPENS), now=back + SECOND, **seen)[0]
    everything = [done(app, LATE - SECOND) for app in "abc"]
    (found,), _ = decided(*everything, now=back + 2 * SECOND, **seen)
    assert Request(LATE - SECOND) == found.decision


def test_a_reload_after_the_late_time_changes_nothing() -> None:
    (found,), cursor = decided(done("a", OPENS), done("b", OPENS), done("c", LATE), now=LATE + SECOND)

    assert isinstance(found.decision, Request)
    assert 1 == len(found.decision.warnings)
    assert () == decided(done("c", LATE + SECOND), now=LATE + 2 * SECOND, cursor=cursor)[0]


def test_the_latest_of_several_missed_windows_stands_for_the_others() -> None:
    now = LATE + timedelta(days=2)

    found, cursor = decided(*(done(app, OPENS) for app in "abc"), now=now)

    assert ["missed-caught-up", "missed-caught-up"] == [
        each.decision.reason.code for each in found if isinstance(each.decision, Skip)
    ]
    assert isinstance(found[-1].decision, Request)
    assert 2 == found[-1].decision.missed
    assert OPENS + timedelta(days=2) == cursor.at


def test_the_window_of_a_disabled_task_is_recorded_as_skipped() -> None:
    (found,), _ = decided(*(done(app, OPENS) for app in "abc"), now=OPENS + SECOND, enabled=False)

    assert isinstance(found.decision, Skip)
    assert "task-disabled" == found.decision.reason.code


def test_the_first_window_opens_after_the_trigger_was_made() -> None:
    now = LATE + SECOND
    made = OPENS + SECOND
    trigger = all_of()

    found, cursor = decide_windows(
        trigger,
        current_cursor(trigger, None, made),
        Seen(known=known_since(trigger, {}, made), reloads=(), read_at={}),
        now,
        task_enabled=True,
    )

    assert () == found
    assert made == cursor.at


def test_an_app_that_is_named_while_the_window_is_open_is_asked_for_from_the_next_one_on() -> None:
    before = all_of(apps=[{"connection_id": "north", "app_id": "a"}])
    known = known_since(all_of(), known_since(before, {}, MADE), OPENS + SECOND)

    (found,), _ = decided(done("a", OPENS + 2 * SECOND), now=OPENS + 3 * SECOND, known=known)

    assert Request(OPENS + 2 * SECOND) == found.decision


def test_another_time_of_day_applies_from_the_next_opening() -> None:
    _, cursor = decided(now=OPENS + SECOND)
    later = all_of(since="04:30")
    changed = OPENS + timedelta(minutes=31)

    assert changed == current_cursor(later, cursor, changed).at
    assert set(awaited(all_of())).isdisjoint(awaited(later))


def test_a_day_that_is_not_named_has_no_window_and_may_be_named_while_it_is_open() -> None:
    everything = [done(app, OPENS) for app in "abc"]

    found, cursor = decided(*everything, now=LATE + SECOND, trigger=all_of(days=["sun"]))
    assert () == found
    (monday,), _ = decided(*everything, now=LATE + 2 * SECOND, trigger=all_of(days=["mon"]), cursor=cursor)
    assert isinstance(monday.decision, Request)


def test_a_disabled_trigger_has_no_windows() -> None:
    off = all_of(enabled=False)
    found, cursor = decided(*(done(app, OPENS) for app in "abc"), now=LATE, trigger=off)

    assert () == found
    assert LATE == current_cursor(all_of(), cursor, LATE).at


minutes = st.integers(min_value=0, max_value=5 * 24 * 60)


@given(
    reloads=st.lists(
        st.tuples(st.sampled_from("abc"), minutes, st.sampled_from(ReloadStatus), st.integers(0, 20))
    ),
    ticks=st.lists(minutes, max_size=30),
    late=st.sampled_from(LatePolicy),
    late_at=st.sampled_from([None, "04:01", "06:30", "03:59"]),
)
def test_every_window_has_one_record_and_starts_without_warning_only_if_all_were_seen(
    reloads: list[tuple[str, int, ReloadStatus, int]],
    ticks: list[int],
    late: LatePolicy,
    late_at: str | None,
) -> None:
    trigger = all_of(late=late, late_at=late_at)
    start, end = OPENS - timedelta(hours=2), OPENS + timedelta(days=6)
    heard = [
        (at + timedelta(seconds=lag), done(app, at, status))
        for app, minute, status, lag in reloads
        for at in [start + timedelta(minutes=minute)]
    ]
    cursor: Cursor | None = None
    records: list[Decided] = []
    for now in sorted([*(start + timedelta(minutes=each, seconds=30) for each in ticks), end]):
        told = [each for at, each in heard if at <= now]
        found, cursor = decided(*told, now=now, trigger=trigger, cursor=cursor)
        records += found

    over = [each for each in _first_days(trigger, 5) if each.decides_at <= end]
    assert [each.opens_at for each in over] == [each.window.opens_at for each in records][: len(over)]
    assert len(records) == len({each.window.opens_at for each in records})
    for each in records:
        apps = {
            done.app_id
            for done in each.reloads
            if done.status is ReloadStatus.SUCCEEDED
            and each.window.opens_at <= done.finished_at < each.window.decides_at
        }
        if isinstance(each.decision, Request):
            assert (apps == set("abc")) == (not each.decision.warnings)
            assert late is LatePolicy.START or apps == set("abc")
        else:
            assert each.decision.reason.code in {"apps-missing", "missed-caught-up"}


def _first_days(trigger: AllReloadsTrigger, count: int) -> list[Any]:
    series = windows(trigger, MADE)
    return [next(series) for _ in range(count)]
