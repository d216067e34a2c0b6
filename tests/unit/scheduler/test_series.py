"""What identifies the runs of a trigger: its task and its id, and for older triggers the id alone."""

from datetime import UTC, datetime, timedelta

from contracts.configuration import TaskVersion, TriggerSeries
from contracts.events import TaskTriggered
from contracts.ids import execution_id
from contracts.triggers import CatchUp, IntervalRule, OnReloadTrigger, ReloadTrigger, ScheduleTrigger
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
HOURLY = ScheduleTrigger(id="daily", rule=IntervalRule(every_seconds=3600), start=NOW, catch_up=CatchUp.ALL)
ON_RELOAD = ReloadTrigger(id="daily", connection_id="site", app_id="app")


def task(
    task_id: str,
    trigger: ScheduleTrigger | OnReloadTrigger = HOURLY,
    series: TriggerSeries | None = None,
    created_at: datetime = NOW - timedelta(hours=1),
) -> ConfiguredTask:
    version = TaskVersion(
        task_id=task_id,
        version=1,
        name=task_id,
        triggers=(trigger,),
        series={"daily": series} if series else {},
        created_at=created_at,
        created_by="somebody",
    )
    return ConfiguredTask(enabled=True, version=version)


async def ticked(occurrences: FakeOccurrences, at: datetime, *tasks: ConfiguredTask) -> list[tuple[str, str]]:
    await tick(
        at,
        tasks=FakeTasks(*tasks),
        occurrences=occurrences,
        sightings=FakeSightings(),
        marks=FakeReloadMarks(),
    )
    found = [each for each in occurrences.recorded.values() if isinstance(each, TaskTriggered)]
    return [(each.task_id, each.trigger.due_at.strftime("%H")) for each in found]


async def test_two_tasks_may_have_a_trigger_of_one_id() -> None:
    new = TriggerSeries(since=NOW - timedelta(hours=1))

    runs = await ticked(FakeOccurrences(), NOW, task("a", series=new), task("b", series=new), task("old"))

    assert [("a", "12"), ("b", "12"), ("old", "12")] == sorted(runs)


async def test_a_trigger_made_before_keeps_its_execution_ids_and_its_cursor_when_its_task_is_saved() -> None:
    occurrences = FakeOccurrences()
    await ticked(occurrences, NOW, task("a"))

    runs = await ticked(
        occurrences, NOW + timedelta(hours=1), task("a", series=TriggerSeries(by_trigger_id=True))
    )

    assert [("a", "12"), ("a", "13")] == runs
    assert execution_id("daily", NOW.isoformat()) in occurrences.recorded
    assert {"daily"} == set(occurrences.cursors)


async def test_a_trigger_that_is_added_again_runs_nothing_from_while_it_was_gone() -> None:
    occurrences = FakeOccurrences()
    first = TriggerSeries(since=NOW - timedelta(hours=1))
    await ticked(occurrences, NOW + timedelta(hours=1), task("a", series=first))
    again_at = NOW + timedelta(hours=5, minutes=30)
    again = task("a", series=TriggerSeries(since=again_at), created_at=again_at)

    await ticked(occurrences, again_at + timedelta(minutes=1), again)
    runs = await ticked(occurrences, NOW + timedelta(hours=6), again)

    assert [("a", "12"), ("a", "13"), ("a", "18")] == runs


async def test_a_reload_trigger_that_is_added_again_starts_nothing_from_while_it_was_gone() -> None:
    occurrences, sightings, marks = FakeOccurrences(), FakeSightings(), FakeReloadMarks()
    marks.marks["site"] = NOW - timedelta(minutes=1)
    source = FakeReloadSource()

    async def poll(at: datetime, configured: ConfiguredTask) -> None:
        await watch_reloads(
            "site",
            at,
            source=source,
            marks=marks,
            tasks=FakeTasks(configured),
            occurrences=occurrences,
            sightings=sightings,
        )

    await poll(NOW, task("a", ON_RELOAD, TriggerSeries(since=NOW - timedelta(hours=1))))
    source.reloads.append(Reload("site", "app", "gone", ReloadStatus.SUCCEEDED, NOW + timedelta(seconds=10)))
    again = task("a", ON_RELOAD, TriggerSeries(since=NOW + timedelta(minutes=1)))
    await poll(NOW + timedelta(minutes=1), again)
    source.reloads.append(Reload("site", "app", "back", ReloadStatus.SUCCEEDED, NOW + timedelta(minutes=2)))
    await poll(NOW + timedelta(minutes=3), again)

    assert ["back"] == [each.trigger.occurrence for each in occurrences.recorded.values()]
