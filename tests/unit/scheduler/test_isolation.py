"""Whatever one trigger, task or reload fails with is its own problem; the others go on."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.base import Reason
from contracts.configuration import TaskVersion
from contracts.events import TaskTriggered
from contracts.triggers import (
    AllReloadsTrigger,
    CronRule,
    IntervalRule,
    OnReloadTrigger,
    ReloadTrigger,
    ScheduleTrigger,
    WatchedApp,
)
from runtime.errors import Permanent, Transient
from scheduler.domain.reloads import Reload, ReloadStatus
from scheduler.ports import ConfiguredTask, UnreadableTask
from scheduler.use_cases import Heard, site_unavailable, tick, watch_reloads
from support.fake_scheduler import (
    FakeOccurrences,
    FakeReloadMarks,
    FakeReloadSource,
    FakeSightings,
    FakeSiteApps,
    FakeTasks,
    FakeTriggerProblems,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON = NOW + timedelta(seconds=60)


def task(task_id: str, *triggers: ScheduleTrigger | OnReloadTrigger) -> ConfiguredTask:
    return ConfiguredTask(
        enabled=True,
        version=TaskVersion(
            task_id=task_id,
            version=1,
            name=task_id,
            triggers=triggers,
            created_at=NOW - timedelta(hours=1),
            created_by="somebody",
        ),
    )


def minutely(trigger_id: str) -> ScheduleTrigger:
    return ScheduleTrigger(id=trigger_id, rule=IntervalRule(every_seconds=60), start=NOW)


def on_reload(trigger_id: str) -> ReloadTrigger:
    return ReloadTrigger(id=trigger_id, connection_id="site", app_id="app")


def runs(occurrences: FakeOccurrences) -> list[str]:
    found = [each for each in occurrences.recorded.values() if isinstance(each, TaskTriggered)]
    return sorted(each.trigger.trigger_id for each in found)


async def ticked(
    tasks: FakeTasks, occurrences: FakeOccurrences, problems: FakeTriggerProblems, at: datetime = SOON
) -> int:
    return await tick(
        at,
        tasks=tasks,
        occurrences=occurrences,
        sightings=FakeSightings(),
        marks=FakeReloadMarks(),
        problems=problems,
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OverflowError("date value out of range"), "trigger-failed"),
        (KeyError("rule"), "trigger-failed"),
        (Permanent("document-too-large", "A record is too large."), "document-too-large"),
    ],
)
async def test_whatever_a_trigger_fails_with_the_others_run(error: Exception, code: str) -> None:
    occurrences, problems = FakeOccurrences(), FakeTriggerProblems()
    occurrences.broken["bad"] = error
    tasks = FakeTasks(task("a", minutely("bad"), minutely("good")), task("b", minutely("other")))

    await ticked(tasks, occurrences, problems)

    assert ["good", "good", "other", "other"] == runs(occurrences)
    assert {"bad": code} == problems.codes()


async def test_a_problem_is_over_when_its_trigger_is_served_again() -> None:
    occurrences, problems = FakeOccurrences(), FakeTriggerProblems()
    tasks = FakeTasks(task("a", minutely("bad")))
    occurrences.broken["bad"] = ValueError()
    await ticked(tasks, occurrences, problems)

    occurrences.broken.clear()
    await ticked(tasks, occurrences, problems)

    assert {} == problems.codes()
    assert ["bad", "bad"] == runs(occurrences), "and what was due meanwhile is not lost"


async def test_a_rule_that_cannot_be_understood_is_shown_at_its_trigger() -> None:
    problems = FakeTriggerProblems()
    broken = ScheduleTrigger(id="broken", rule=CronRule(expression="99 99 * * *"), start=NOW)

    await ticked(FakeTasks(task("a", broken)), FakeOccurrences(), problems)

    assert {"broken": "trigger-invalid"} == problems.codes()


async def test_a_date_stored_before_dates_were_limited_is_shown_and_the_trigger_runs() -> None:
    occurrences, problems = FakeOccurrences(), FakeTriggerProblems()
    first = minutely("year-one").model_copy(update={"start": datetime(1, 1, 1, tzinfo=UTC)})

    await ticked(FakeTasks(task("a", first, minutely("good"))), occurrences, problems)

    assert {"good", "year-one"} == set(runs(occurrences))
    assert {"year-one": "trigger-date-out-of-range"} == problems.codes()


async def test_a_task_that_cannot_be_read_is_shown_and_stops_no_other() -> None:
    occurrences, problems = FakeOccurrences(), FakeTriggerProblems()
    unreadable = UnreadableTask("a", Reason(code="configuration-invalid", message="It does not fit."))

    await ticked(FakeTasks(unreadable, task("b", minutely("good"))), occurrences, problems)

    assert ["good", "good"] == runs(occurrences)
    assert {"": "configuration-invalid"} == problems.codes()


async def test_a_timeout_at_one_trigger_serves_the_others_and_fails_the_round() -> None:
    occurrences = FakeOccurrences()
    occurrences.broken["slow"] = Transient("timed out")

    with pytest.raises(Transient, match="timed out"):
        await ticked(
            FakeTasks(task("a", minutely("slow"), minutely("good"))), occurrences, FakeTriggerProblems()
        )

    assert ["good", "good"] == runs(occurrences)


async def test_a_store_that_is_unavailable_is_not_tried_for_every_trigger() -> None:
    occurrences = FakeOccurrences()
    occurrences.broken |= {f"t{number}": Transient(f"no primary {number}") for number in range(10)}
    tasks = FakeTasks(task("a", *(minutely(f"t{number}") for number in range(10)), minutely("good")))

    with pytest.raises(Transient, match="no primary 2"):
        await ticked(tasks, occurrences, FakeTriggerProblems())

    assert [] == runs(occurrences)


async def watched(
    tasks: FakeTasks,
    occurrences: FakeOccurrences,
    problems: FakeTriggerProblems,
    *reloads: Reload,
    apps: FakeSiteApps | None = None,
) -> tuple[FakeReloadMarks, Heard]:
    marks = FakeReloadMarks()
    marks.marks["site"] = NOW - timedelta(minutes=1)
    heard = await watch_reloads(
        "site",
        SOON,
        source=FakeReloadSource(*reloads),
        marks=marks,
        tasks=tasks,
        occurrences=occurrences,
        sightings=FakeSightings(),
        problems=problems,
        apps=apps,
    )
    return marks, heard


def reload(reload_id: str, *, at: datetime = NOW) -> Reload:
    return Reload("site", "app", reload_id, ReloadStatus.SUCCEEDED, at)


async def test_a_reload_in_an_odd_form_hides_no_other_and_is_shown() -> None:
    occurrences, problems = FakeOccurrences(), FakeTriggerProblems()
    tasks = FakeTasks(task("a", on_reload("r")))

    marks, _ = await watched(tasks, occurrences, problems, reload("x" * 5000), reload("fine"))

    assert ["r"] == runs(occurrences)
    assert {"r": "trigger-failed"} == problems.codes("site:site")
    assert NOW == marks.marks["site"]


async def test_a_trigger_that_cannot_be_recorded_stops_no_other_of_its_site() -> None:
    occurrences, problems = FakeOccurrences(), FakeTriggerProblems()
    occurrences.broken["bad"] = KeyError("rule")

    await watched(
        FakeTasks(task("a", on_reload("bad")), task("b", on_reload("good"))),
        occurrences,
        problems,
        reload("r"),
    )

    assert ["good"] == runs(occurrences)
    assert {"bad": "trigger-failed"} == problems.codes("site:site")


async def test_a_window_in_a_zone_that_is_gone_stops_no_other_of_its_site() -> None:
    occurrences, problems = FakeOccurrences(), FakeTriggerProblems()
    window = AllReloadsTrigger(
        id="window",
        apps=(WatchedApp(connection_id="site", app_id="app"),),
        since="04:00",
        timezone="Europe/Atlantis",
    )

    await watched(
        FakeTasks(task("a", window), task("b", on_reload("good"))), occurrences, problems, reload("r")
    )

    assert ["good"] == runs(occurrences)
    assert {"window": "trigger-invalid"} == problems.codes("site:site")


async def test_an_app_that_the_site_no_longer_has_is_shown_at_the_trigger_and_the_site() -> None:
    problems, apps = FakeTriggerProblems(), FakeSiteApps("app")
    tasks = FakeTasks(
        task(
            "a",
            on_reload("there"),
            on_reload("gone").model_copy(update={"app_id": "old", "app_name": "Sales"}),
        ),
        task("b", on_reload("off").model_copy(update={"app_id": "older", "enabled": False})),
    )

    _, heard = await watched(tasks, FakeOccurrences(), problems, apps=apps)

    assert {"gone": "app-not-found"} == problems.codes("site:site")
    (warning,) = heard.warnings
    assert "Sales (old)" in warning
    assert "a/gone" in warning

    apps.ids.add("old")
    _, heard = await watched(tasks, FakeOccurrences(), problems, apps=apps)
    assert {} == problems.codes("site:site")
    assert () == heard.warnings


async def test_apps_that_cannot_be_listed_keep_no_reload_from_starting_its_task() -> None:
    occurrences, apps = FakeOccurrences(), FakeSiteApps()
    apps.away = Transient("403: listing apps is not allowed")

    marks, heard = await watched(
        FakeTasks(task("a", on_reload("r"))), occurrences, FakeTriggerProblems(), reload("r1"), apps=apps
    )

    assert ["r"] == runs(occurrences)
    assert NOW == marks.marks["site"]
    assert "403" in heard.warnings[0]


async def test_a_site_that_cannot_be_read_is_shown_at_every_trigger_that_waits_for_it() -> None:
    problems = FakeTriggerProblems()
    other = on_reload("elsewhere").model_copy(update={"connection_id": "other"})
    tasks = FakeTasks(task("a", on_reload("r"), minutely("m")), task("b", other))

    await site_unavailable("site", "connection refused", NOW, tasks=tasks, problems=problems)
    assert {"r": "site-unavailable"} == problems.codes("site:site")

    await watched(tasks, FakeOccurrences(), problems)
    assert {} == problems.codes("site:site")
