"""A unit settles once: generated, skipped or failed, whatever happens on the way."""

from datetime import timedelta

import pytest

from contracts.base import Reason, Selection
from contracts.configuration import Condition
from contracts.events import ReportFailed, ReportGenerated, ReportRequested, ReportSkipped
from generator.domain.outcomes import requests
from generator.domain.request import Verdict
from generator.ports import Reading, Unmet
from generator.use_cases.making import MakeFile
from generator.use_cases.render_report import RenderReport
from rendering.model import OutputFormat, TemplateKind
from runtime.errors import Permanent, Transient
from support.clock import FakeClock
from support.fake_generator import (
    FakeFiles,
    FakePlans,
    FakePublisher,
    FakeReader,
    FakeRenderer,
    FakeUnits,
)
from support.fake_vault import FakeVault
from support.tasks import DEADLINE, NOW, catalog, condition, entry, made, over, report, task

PROVED = (Selection(field="Airline", values=("AA",)),)


class World:
    """The use case with all its ports faked, and one unit to make."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW)
        self.units = FakeUnits(self.clock)
        self.plans = FakePlans()
        self.reader = FakeReader(Reading(PROVED, NOW, values={"total": 3}))
        self.files = FakeFiles()
        self.renderer = FakeRenderer()
        self.publisher = FakePublisher()
        self.render = RenderReport(
            units=self.units,
            plans=self.plans,
            make=MakeFile(
                reader=self.reader,
                files=self.files,
                renderer=self.renderer,
                vault=FakeVault(),
                clock=self.clock,
            ),
            publisher=self.publisher,
            clock=self.clock,
            attempts=4,
            budget=timedelta(seconds=30),
        )

    async def request(self, *conditions: Condition, holds: bool = True) -> ReportRequested:
        plan = made(
            task(reports=(entry(conditions=conditions),)),
            catalog(reports=[report(iteration=over())]),
            values=["AA"],
            verdict=Verdict(holds=holds, detail="it was '0'"),
        )
        return next(requests(plan, await self.plans.put(plan)))

    @property
    def settled(self) -> ReportGenerated | ReportSkipped | ReportFailed:
        (event,) = (event for event, _ in self.publisher.events)
        assert isinstance(event, ReportGenerated | ReportSkipped | ReportFailed)
        return event


async def test_a_file_is_made_kept_and_announced_with_what_was_proved() -> None:
    world = World()
    request = await world.request()
    await world.render(request)
    event = world.settled
    assert isinstance(event, ReportGenerated)
    assert event.selections == PROVED
    assert event.app_reloaded_at == NOW
    assert event.artifact.file_name == "Flights.xlsx"
    assert event.artifact.key.startswith(f"artifacts/{request.execution_id}/{request.unit_id}/")
    assert world.files.artifacts[event.artifact.key] == b"made from templates/" + b"a" * 64
    assert [each.message for each in event.warnings] == ["mind the gap"]
    (job,) = world.renderer.jobs
    assert (job.kind, job.output) == (TemplateKind.XLSX, OutputFormat.XLSX)
    assert job.data.meta.now.isoformat() == "2026-03-02T09:00:00+01:00"
    assert (job.data.meta.report, job.data.meta.task, job.data.meta.iteration, job.data.meta.recipient) == (
        "Flights",
        "Flights daily",
        "AA",
        "",
    )


async def test_a_message_that_comes_again_publishes_the_same_and_makes_nothing() -> None:
    world = World()
    request = await world.request()
    await world.render(request)
    world.clock.advance(timedelta(minutes=1))
    await world.render(request)
    assert world.publisher.events[0] == world.publisher.events[1]
    assert len(world.renderer.jobs) == 1


async def test_a_unit_that_planning_skipped_is_skipped_without_asking_qlik() -> None:
    world = World()
    await world.render(await world.request(condition(), holds=False))
    assert isinstance(world.settled, ReportSkipped)
    assert world.settled.reason.code == "condition-not-met"
    assert world.reader.asked == []


async def test_an_unmet_condition_skips_the_unit() -> None:
    world = World()
    world.reader.reading = Unmet(Reason(code="condition-not-met", message="none today"))
    await world.render(await world.request())
    assert isinstance(world.settled, ReportSkipped)
    assert world.files.artifacts == {}


@pytest.mark.parametrize("code", ["selection-not-proved", "template-error", "render-too-slow"])
async def test_what_cannot_succeed_fails_at_once_with_reason_and_remedy(code: str) -> None:
    world = World()
    world.reader.failing = [Permanent(code, "it is wrong", "mend it")]
    await world.render(await world.request())
    assert isinstance(world.settled, ReportFailed)
    assert (world.settled.reason.code, world.settled.reason.remedy) == (code, "mend it")
    assert world.settled.attempts == 1


async def test_a_failure_tells_the_name_of_its_task_so_that_readers_need_no_second_look() -> None:
    world = World()
    request = await world.request()
    world.reader.failing = [Permanent("template", "the template cannot be read", "correct it")]
    await world.render(request)
    assert isinstance(world.settled, ReportFailed)
    assert task().name == request.task_name == world.settled.task_name


async def test_trouble_that_passes_holds_up_no_message_and_is_tried_again() -> None:
    world = World()
    world.reader.failing = [Transient("the site is busy")]
    await world.render(await world.request())
    assert world.publisher.events == []
    assert world.units.errors[0].message.startswith("the site is busy")
    assert not await world.render.resume()
    world.clock.advance(timedelta(seconds=1))
    assert await world.render.resume()
    assert isinstance(world.settled, ReportGenerated)
    assert not await world.render.resume()


async def test_trouble_that_does_not_pass_fails_after_the_last_attempt() -> None:
    world = World()
    world.reader.failing = [Transient("the site is down") for _ in range(9)]
    await world.render(await world.request())
    pauses = []
    while world.units.waiting:
        (until,) = world.units.waiting.values()
        pauses.append((until - world.clock.now()).total_seconds())
        world.clock.set(until)
        assert await world.render.resume()
    assert pauses == [1, 5, 15]
    assert isinstance(world.settled, ReportFailed)
    assert world.settled.attempts == 4
    assert "the site is down" in world.settled.reason.message


async def test_a_unit_that_was_put_off_fails_at_the_deadline() -> None:
    world = World()
    request = await world.request()
    world.clock.set(DEADLINE - timedelta(seconds=0.5))
    world.reader.failing = [Transient("down")]
    await world.render(request)
    assert list(world.units.waiting.values()) == [DEADLINE]
    world.clock.set(DEADLINE)
    assert await world.render.resume()
    assert isinstance(world.settled, ReportFailed)
    assert world.settled.reason.code == "deadline"


async def test_a_bug_settles_the_unit_in_the_end_and_quotes_nothing() -> None:
    world = World()
    world.reader.failing = [LookupError("secret text") for _ in range(3)]
    await world.render(await world.request())
    for _ in range(2):
        world.clock.advance(timedelta(seconds=5))
        assert await world.render.resume()
    assert isinstance(world.settled, ReportFailed)
    assert (world.settled.reason.code, world.settled.attempts) == ("internal-error", 3)
    assert "LookupError" in world.settled.reason.message
    assert "secret text" not in world.settled.model_dump_json()


async def test_what_settled_and_was_not_published_is_published_later() -> None:
    world = World()
    world.publisher.failing = [Transient("no broker")]
    with pytest.raises(Transient):
        await world.render(await world.request())
    world.clock.advance(timedelta(seconds=61))
    await world.render.republish(timedelta(seconds=60))
    await world.render.republish(timedelta(seconds=60))
    assert isinstance(world.settled, ReportGenerated)
    assert len(world.renderer.jobs) == 1


async def test_after_the_deadline_nothing_is_made() -> None:
    world = World()
    request = await world.request()
    world.clock.set(DEADLINE)
    await world.render(request)
    assert isinstance(world.settled, ReportFailed)
    assert world.settled.reason.code == "deadline"
    assert world.reader.asked == []


async def test_an_attempt_that_fails_past_the_deadline_is_the_last() -> None:
    world = World()
    request = await world.request()
    world.clock.set(DEADLINE - timedelta(seconds=1))
    world.reader.failing = [Transient("down")]
    original = world.reader.read

    async def slow(*unit):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN202
        world.clock.advance(timedelta(minutes=1))
        return await original(*unit)

    world.reader.read = slow  # type: ignore[method-assign]
    await world.render(request)
    assert isinstance(world.settled, ReportFailed)
    assert world.settled.reason.code == "deadline"
    assert "down" in world.settled.reason.message


async def test_names_that_clash_in_the_data_are_the_reports_fault() -> None:
    world = World()
    world.reader.reading = Reading(PROVED, NOW, values={"meta": 1})
    await world.render(await world.request())
    assert isinstance(world.settled, ReportFailed)
    assert world.settled.reason.code == "report-data-wrong"


async def test_a_plan_without_the_unit_fails_it() -> None:
    world = World()
    request = (await world.request()).model_copy(update={"unit_id": "another"})
    await world.render(request)
    assert isinstance(world.settled, ReportFailed)
    assert world.settled.reason.code == "unit-unknown"


async def test_a_unit_in_other_hands_is_left_to_them() -> None:
    world = World()
    request = await world.request()
    await world.units.claim(request)
    await world.render(request)
    assert world.reader.asked == []
    assert world.publisher.events == []


async def test_a_renderer_that_was_overtaken_announces_nothing() -> None:
    world = World()
    world.units.taken_over = True
    await world.render(await world.request())
    assert world.publisher.events == []
