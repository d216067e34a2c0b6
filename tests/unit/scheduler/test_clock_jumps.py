"""A clock that jumps ahead and back: noticed, no due time runs twice, and schedules do not go silent."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from contracts.configuration import TaskVersion
from contracts.events import TaskTriggered
from contracts.triggers import (
    AllReloadsTrigger,
    CatchUp,
    CronRule,
    IntervalRule,
    LatePolicy,
    OnReloadTrigger,
    ReloadTrigger,
    ScheduleTrigger,
    WatchedApp,
)
from scheduler.clock_watch import ClockWatch
from scheduler.domain.reloads import Reload, ReloadStatus
from scheduler.ports import ConfiguredTask, Note
from scheduler.use_cases import tick, watch_reloads
from support.clock import FakeClock
from support.fake_scheduler import (
    FakeOccurrences,
    FakeReloadMarks,
    FakeReloadSource,
    FakeSightings,
    FakeTasks,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
THREE_DAYS = timedelta(days=3)


class Scheduler:
    def __init__(self, *triggers: ScheduleTrigger | OnReloadTrigger) -> None:
        version = TaskVersion(
            task_id="task",
            version=1,
            name="Task",
            triggers=triggers,
            created_at=NOW - timedelta(days=2),
            created_by="somebody",
        )
        self.tasks = FakeTasks(ConfiguredTask(enabled=True, version=version))
        self.occurrences, self.sightings, self.marks = FakeOccurrences(), FakeSightings(), FakeReloadMarks()
        self.set_back: list[datetime] = []

    async def tick(self, at: datetime) -> None:
        await tick(
            at,
            tasks=self.tasks,
            occurrences=self.occurrences,
            sightings=self.sightings,
            marks=self.marks,
            set_back=lambda _, ahead: self.set_back.append(ahead),
        )

    def runs(self) -> list[datetime]:
        found = [each for each in self.occurrences.recorded.values() if isinstance(each, TaskTriggered)]
        return [each.trigger.due_at for each in found]


def hourly(catch_up: CatchUp = CatchUp.LATEST) -> ScheduleTrigger:
    return ScheduleTrigger(
        id="hourly", rule=CronRule(expression="0 * * * *"), start=NOW - timedelta(days=1), catch_up=catch_up
    )


async def through_three_days(scheduler: Scheduler) -> None:
    """Tick now, three days ahead, and then every half hour until the time has caught up, and longer."""
    await scheduler.tick(NOW)
    for minutes in (0, 1, 90):
        await scheduler.tick(NOW + THREE_DAYS + timedelta(minutes=minutes))
    for halves in range(1, 2 * 80):
        await scheduler.tick(NOW + timedelta(minutes=30 * halves, seconds=1))


@pytest.mark.parametrize("policy", list(CatchUp))
async def test_no_due_time_runs_twice_and_none_is_lost(policy: CatchUp) -> None:
    scheduler = Scheduler(hourly(policy))

    await through_three_days(scheduler)

    due = Counter(scheduler.runs())
    assert {1} == set(due.values()), "nothing is run twice"
    expected = {NOW + timedelta(hours=hours) for hours in range(1, 80)}
    assert set() == expected - set(due), "and schedules are not silent until the time has caught up"


async def test_a_jump_back_is_told_once_for_each_schedule() -> None:
    scheduler = Scheduler(hourly())

    await through_three_days(scheduler)

    assert [NOW + THREE_DAYS + timedelta(minutes=90)] == scheduler.set_back


async def test_two_jumps_in_a_row_run_nothing_twice() -> None:
    scheduler = Scheduler(hourly())
    await scheduler.tick(NOW)
    for _ in range(3):
        await scheduler.tick(NOW + THREE_DAYS)
        await scheduler.tick(NOW + timedelta(seconds=1))

    await through_three_days(scheduler)

    due = Counter(scheduler.runs())
    assert {1} == set(due.values())
    assert {NOW + timedelta(hours=hours) for hours in range(1, 80)} <= set(due)


async def test_more_due_times_than_have_a_record_of_their_own_run_when_they_are_due() -> None:
    every_minute = ScheduleTrigger(id="m", rule=IntervalRule(every_seconds=60), start=NOW)
    scheduler = Scheduler(every_minute)
    await scheduler.tick(NOW)
    await scheduler.tick(NOW + THREE_DAYS)

    for minute in range(1, 4 * 24 * 60, 7):
        await scheduler.tick(NOW + timedelta(minutes=minute))

    due = Counter(scheduler.runs())
    assert {1} == set(due.values())
    # What is more than a minute late is caught up by one run, as always.
    assert set() == {NOW + timedelta(minutes=minute) for minute in range(1, 4 * 24 * 60, 7)} - set(due)


async def test_clocks_that_differ_by_seconds_set_nothing_back() -> None:
    scheduler = Scheduler(hourly())

    for seconds in (0, 40, 1, 3601, 3570, 3602):
        await scheduler.tick(NOW + timedelta(seconds=seconds))

    assert [] == scheduler.set_back
    assert {1} == set(Counter(scheduler.runs()).values())


async def test_a_start_in_the_future_sets_nothing_back() -> None:
    later = hourly().model_copy(update={"start": NOW + timedelta(days=30)})
    scheduler = Scheduler(later)

    await scheduler.tick(NOW)
    await scheduler.tick(NOW + timedelta(hours=2))

    assert [] == scheduler.set_back
    assert [] == scheduler.runs()


async def test_a_window_that_was_decided_by_a_clock_ahead_is_decided_again_when_it_is_time() -> None:
    window = AllReloadsTrigger(
        id="window",
        apps=(WatchedApp(connection_id="site", app_id="app"),),
        since="04:00",
        late_at="13:00",
        late=LatePolicy.SKIP,
    )
    scheduler = Scheduler(window)
    await scheduler.tick(NOW)
    await scheduler.tick(NOW + THREE_DAYS)
    opened = NOW.replace(hour=4)
    await scheduler.tick(NOW + timedelta(seconds=1))

    reload = Reload("site", "app", "r1", ReloadStatus.SUCCEEDED, NOW + timedelta(minutes=5))
    await scheduler.sightings.note([Note("window", opened, reload)])
    await scheduler.tick(NOW + timedelta(minutes=6))
    await scheduler.tick(NOW + timedelta(minutes=7))

    assert [NOW + timedelta(minutes=5)] == scheduler.runs()


async def test_a_mark_of_a_site_set_by_a_clock_ahead_hides_no_reload() -> None:
    scheduler = Scheduler(ReloadTrigger(id="r", connection_id="site", app_id="app"))
    source = FakeReloadSource()

    async def poll(at: datetime) -> None:
        await watch_reloads(
            "site",
            at,
            source=source,
            marks=scheduler.marks,
            tasks=scheduler.tasks,
            occurrences=scheduler.occurrences,
            sightings=scheduler.sightings,
        )

    await poll(NOW + THREE_DAYS)
    source.reloads.append(Reload("site", "app", "r1", ReloadStatus.SUCCEEDED, NOW + timedelta(minutes=1)))
    for minutes in (2, 3, 4):
        await poll(NOW + timedelta(minutes=minutes))

    assert [NOW + timedelta(minutes=1)] == scheduler.runs()


class Passing:
    """The seconds that pass by themselves, whatever the clock shows."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def test_a_clock_that_jumps_is_reported_for_a_quarter_of_an_hour() -> None:
    clock, passed = FakeClock(NOW), Passing()
    watch = ClockWatch(clock, seconds=passed)

    for jump in (timedelta(0), THREE_DAYS, -THREE_DAYS):
        passed.seconds += 1
        clock.advance(timedelta(seconds=1) + jump)
        assert clock.now() == watch.look()
        assert bool(jump) == bool(await watch.problems()), jump
        if jump:
            (problem,) = await watch.problems()
            assert ("forward" if jump > timedelta(0) else "back") in problem
    passed.seconds += 901
    clock.advance(timedelta(seconds=901))
    watch.look()

    assert [] == await watch.problems()


async def test_a_machine_that_slept_or_was_busy_has_not_jumped() -> None:
    clock, passed = FakeClock(NOW), Passing()
    watch = ClockWatch(clock, seconds=passed)
    passed.seconds += 7200
    clock.advance(timedelta(seconds=7200))
    watch.look()

    assert [] == await watch.problems()


async def test_schedules_that_a_clock_ahead_had_moved_are_reported() -> None:
    watch = ClockWatch(FakeClock(NOW), seconds=Passing())

    watch.set_back("task/hourly", NOW + THREE_DAYS)

    assert "2026-03-05T12:00:00" in (await watch.problems())[0]
