"""Recording what is due: once per occurrence, whatever is repeated or restarted."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.configuration import TaskVersion
from contracts.events import TaskTriggered, TriggerKind, TriggerSkipped
from contracts.triggers import (
    AnyReloadTrigger,
    CronRule,
    IntervalRule,
    OnReloadTrigger,
    ReloadTrigger,
    ScheduleTrigger,
    WatchedApp,
)
from scheduler.domain.reloads import Reload, ReloadStatus
from scheduler.ports import ConfiguredTask
from scheduler.use_cases import tick, watch_reloads
from support.fake_scheduler import (
    FakeOccurrences,
    FakeReloadMarks,
    FakeReloadSource,
    FakeSightings,
    FakeTasks,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def task(*triggers: ScheduleTrigger | OnReloadTrigger, enabled: bool = True) -> ConfiguredTask:
    return ConfiguredTask(
        enabled=enabled,
        version=TaskVersion(
            task_id="task",
            version=1,
            name="Task",
            triggers=triggers,
            created_at=NOW - timedelta(hours=1),
            created_by="somebody",
        ),
    )


def every_minute(trigger_id: str = "minutely") -> ScheduleTrigger:
    return ScheduleTrigger(id=trigger_id, rule=IntervalRule(every_seconds=60), start=NOW)


def on_reload(**changes: object) -> ReloadTrigger:
    return ReloadTrigger.model_validate(
        {"id": "reloaded", "connection_id": "site", "app_id": "app", **changes}
    )


def reload(
    reload_id: str = "r1",
    *,
    at: datetime = NOW,
    status: ReloadStatus = ReloadStatus.SUCCEEDED,
    app: str = "app",
) -> Reload:
    return Reload(connection_id="site", app_id=app, reload_id=reload_id, status=status, finished_at=at)


async def ticked(at: datetime, *, tasks: FakeTasks, occurrences: FakeOccurrences) -> int:
    return await tick(
        at, tasks=tasks, occurrences=occurrences, sightings=FakeSightings(), marks=FakeReloadMarks()
    )


async def test_two_schedulers_that_tick_together_record_one_occurrence() -> None:
    tasks, occurrences = FakeTasks(task(every_minute())), FakeOccurrences()
    at = NOW + timedelta(seconds=70)

    assert 2 == await ticked(at, tasks=tasks, occurrences=occurrences)
    occurrences.cursors.clear()
    assert 0 == await ticked(at, tasks=tasks, occurrences=occurrences)


async def test_a_crash_between_record_and_cursor_records_the_same_again() -> None:
    tasks, occurrences = FakeTasks(task(every_minute())), FakeOccurrences()
    await ticked(NOW + timedelta(seconds=1), tasks=tasks, occurrences=occurrences)
    before = dict(occurrences.cursors)
    await ticked(NOW + timedelta(seconds=61), tasks=tasks, occurrences=occurrences)
    first = dict(occurrences.recorded)

    occurrences.cursors = before
    again = await ticked(NOW + timedelta(seconds=62), tasks=tasks, occurrences=occurrences)

    assert 0 == again
    assert first == occurrences.recorded


async def test_a_broken_rule_stops_no_other_trigger() -> None:
    broken = ScheduleTrigger(id="broken", rule=CronRule(expression="99 99 * * *"), start=NOW)
    occurrences = FakeOccurrences()

    new = await ticked(
        NOW + timedelta(seconds=61), tasks=FakeTasks(task(broken, every_minute())), occurrences=occurrences
    )

    assert 2 == new


async def test_a_disabled_task_has_its_due_times_recorded_as_skipped() -> None:
    occurrences = FakeOccurrences()

    await ticked(
        NOW + timedelta(seconds=61),
        tasks=FakeTasks(task(every_minute(), enabled=False)),
        occurrences=occurrences,
    )

    assert all(isinstance(event, TriggerSkipped) for event in occurrences.recorded.values())
    assert 2 == len(occurrences.recorded)


async def watched(
    source: FakeReloadSource,
    tasks: FakeTasks,
    occurrences: FakeOccurrences,
    marks: FakeReloadMarks,
    now: datetime = NOW,
    *,
    sightings: FakeSightings | None = None,
) -> int:
    heard = await watch_reloads(
        "site",
        now,
        source=source,
        marks=marks,
        tasks=tasks,
        occurrences=occurrences,
        sightings=sightings if sightings is not None else FakeSightings(),
    )
    return heard.recorded


async def test_a_reload_starts_each_waiting_task_once_however_often_it_is_seen() -> None:
    marks, occurrences, tasks = FakeReloadMarks(), FakeOccurrences(), FakeTasks(task(on_reload()))
    source = FakeReloadSource()
    await watched(source, tasks, occurrences, marks, NOW - timedelta(minutes=1))
    source.reloads.append(reload())

    assert 1 == await watched(source, tasks, occurrences, marks)
    assert 0 == await watched(source, tasks, occurrences, marks)
    (event,) = occurrences.recorded.values()
    assert isinstance(event, TaskTriggered)
    assert TriggerKind.QLIK_RELOAD == event.trigger.kind
    assert event.trigger.reload is not None
    assert "r1" == event.trigger.reload.reload_id


async def test_reloads_from_before_the_site_was_known_start_nothing() -> None:
    marks, occurrences = FakeReloadMarks(), FakeOccurrences()

    first = await watched(
        FakeReloadSource(reload(at=NOW - timedelta(minutes=2))),
        FakeTasks(task(on_reload())),
        occurrences,
        marks,
    )

    assert 0 == first
    assert {"site": NOW} == marks.marks


async def test_a_failed_reload_and_a_foreign_app_start_nothing() -> None:
    marks, occurrences = FakeReloadMarks(), FakeOccurrences()
    marks.marks["site"] = NOW - timedelta(minutes=1)

    new = await watched(
        FakeReloadSource(reload("r1", status=ReloadStatus.FAILED), reload("r2", app="other")),
        FakeTasks(task(on_reload())),
        occurrences,
        marks,
    )

    assert 0 == new


async def test_a_reload_of_a_disabled_task_is_recorded_as_skipped() -> None:
    marks, occurrences = FakeReloadMarks(), FakeOccurrences()
    marks.marks["site"] = NOW - timedelta(minutes=1)

    await watched(FakeReloadSource(reload()), FakeTasks(task(on_reload(), enabled=False)), occurrences, marks)

    (event,) = occurrences.recorded.values()
    assert isinstance(event, TriggerSkipped)
    assert "task-disabled" == event.reason.code


async def test_editing_a_task_does_not_lose_a_reload_that_ended_just_before() -> None:
    marks, occurrences, tasks = FakeReloadMarks(), FakeOccurrences(), FakeTasks(task(on_reload()))
    source, sightings = FakeReloadSource(), FakeSightings()
    await watched(source, tasks, occurrences, marks, NOW - timedelta(minutes=1), sightings=sightings)
    source.reloads.append(reload(at=NOW))
    edited = task(on_reload())
    tasks.tasks = [
        ConfiguredTask(
            enabled=True,
            version=edited.version.model_copy(
                update={"version": 2, "created_at": NOW + timedelta(seconds=5)}
            ),
        )
    ]

    now = NOW + timedelta(seconds=6)
    assert 1 == await watched(source, tasks, occurrences, marks, now, sightings=sightings)


async def test_a_reload_outside_the_dates_of_the_trigger_is_recorded_as_skipped() -> None:
    marks, occurrences = FakeReloadMarks(), FakeOccurrences()
    marks.marks["site"] = NOW - timedelta(minutes=1)

    await watched(
        FakeReloadSource(reload()),
        FakeTasks(task(on_reload(end=NOW - timedelta(days=1)))),
        occurrences,
        marks,
    )

    (event,) = occurrences.recorded.values()
    assert isinstance(event, TriggerSkipped)
    assert "outside-dates" == event.reason.code


@pytest.mark.parametrize(
    ("on", "started"),
    [("succeeded", ["good"]), ("failed", ["bad"]), ("finished", ["bad", "good"])],
)
async def test_a_trigger_fires_at_reloads_that_ended_as_it_says(on: str, started: list[str]) -> None:
    marks, occurrences = FakeReloadMarks(), FakeOccurrences()
    marks.marks["site"] = NOW - timedelta(minutes=1)
    source = FakeReloadSource(
        reload("good"),
        reload("bad", status=ReloadStatus.FAILED),
        reload("stopped", status=ReloadStatus.CANCELLED),
    )

    await watched(source, FakeTasks(task(on_reload(on=on))), occurrences, marks)

    found = [event.trigger.reload for event in occurrences.recorded.values()]
    assert started == sorted(each.reload_id for each in found if each)
    assert {each.reload_id: each.reload_id == "good" for each in found if each} == {
        each.reload_id: each.succeeded for each in found if each
    }


async def test_any_of_several_apps_starts_one_run_a_reload() -> None:
    marks, occurrences = FakeReloadMarks(), FakeOccurrences()
    marks.marks["site"] = NOW - timedelta(minutes=1)
    trigger = AnyReloadTrigger(
        id="any",
        apps=(
            WatchedApp(connection_id="site", app_id="a"),
            WatchedApp(connection_id="other", app_id="b"),
            WatchedApp(connection_id="site", app_id="c"),
        ),
    )
    source = FakeReloadSource(*(reload(f"r-{app}", app=app) for app in "abc"))

    assert 2 == await watched(source, FakeTasks(task(trigger)), occurrences, marks)
    assert 0 == await watched(source, FakeTasks(task(trigger)), occurrences, marks)


async def test_switching_a_trigger_on_again_makes_up_for_no_reload_and_no_due_time() -> None:
    sightings, occurrences, marks = FakeSightings(), FakeOccurrences(), FakeReloadMarks()
    marks.marks["site"] = NOW - timedelta(minutes=1)

    def configured(version: int, at: datetime, *, enabled: bool) -> FakeTasks:
        made = task(on_reload(enabled=enabled), every_minute().model_copy(update={"enabled": enabled}))
        return FakeTasks(
            ConfiguredTask(
                enabled=True,
                version=made.version.model_copy(update={"version": version, "created_at": at}),
            )
        )

    async def ticks(at: datetime, tasks: FakeTasks) -> int:
        return await tick(at, tasks=tasks, occurrences=occurrences, sightings=sightings, marks=marks)

    on_again = NOW + timedelta(minutes=3)
    await ticks(NOW - timedelta(minutes=2), configured(1, NOW - timedelta(minutes=3), enabled=True))
    await ticks(NOW - timedelta(minutes=1), configured(2, NOW - timedelta(minutes=1), enabled=False))
    await ticks(NOW + timedelta(minutes=2), configured(2, NOW - timedelta(minutes=1), enabled=False))
    tasks = configured(3, on_again, enabled=True)

    assert 0 == await ticks(on_again + timedelta(seconds=1), tasks)
    source = FakeReloadSource(reload("while it was off", at=NOW))
    assert 0 == await watched(
        source, tasks, occurrences, marks, on_again + timedelta(seconds=2), sightings=sightings
    )
    assert 1 == await ticks(on_again + timedelta(seconds=61), tasks)


async def test_a_site_with_a_wrong_clock_does_not_make_the_listener_skip_what_is_to_come() -> None:
    marks, occurrences, tasks = FakeReloadMarks(), FakeOccurrences(), FakeTasks(task(on_reload()))
    marks.marks["site"] = NOW - timedelta(minutes=1)
    source = FakeReloadSource(reload("ahead", at=NOW + timedelta(days=365)))

    assert 1 == await watched(source, tasks, occurrences, marks, NOW)
    source.reloads.append(reload("in time", at=NOW + timedelta(minutes=1)))
    assert 1 == await watched(source, tasks, occurrences, marks, NOW + timedelta(minutes=2))


async def test_a_task_that_is_tried_again_under_one_id_counts_its_failure_and_its_success() -> None:
    marks, occurrences = FakeReloadMarks(), FakeOccurrences()
    marks.marks["site"] = NOW - timedelta(minutes=1)
    tasks = FakeTasks(task(on_reload(on="finished")))
    source = FakeReloadSource(reload("r1", status=ReloadStatus.FAILED))

    assert 1 == await watched(source, tasks, occurrences, marks)
    source.reloads.append(reload("r1", at=NOW + timedelta(minutes=1)))
    assert 1 == await watched(source, tasks, occurrences, marks, NOW + timedelta(minutes=2))
    assert 0 == await watched(source, tasks, occurrences, marks, NOW + timedelta(minutes=2))


async def test_a_site_counts_as_read_up_to_what_has_settled() -> None:
    marks = FakeReloadMarks()
    marks.marks["site"] = NOW - timedelta(minutes=1)
    source = FakeReloadSource(settle=timedelta(seconds=15))

    await watched(source, FakeTasks(task(on_reload())), FakeOccurrences(), marks, NOW)

    assert {"site": NOW - timedelta(seconds=15)} == marks.reads
