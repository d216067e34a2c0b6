"""A preview goes the road of a real report, is narrowed and never widened, and always ends in an event."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from contracts.base import Reason, Selection
from contracts.configuration import Recipient, Report, Template
from contracts.events import PreviewRequested, PreviewSettled
from generator.ports import Reading, Unmet
from generator.use_cases.making import MakeFile
from generator.use_cases.preview_report import PreviewReport
from runtime.errors import Permanent, Transient
from support.clock import FakeClock
from support.fake_generator import FakeFiles, FakePublisher, FakeQuestions, FakeReader, FakeRenderer
from support.fake_vault import FakeVault
from support.tasks import by_attribute, fixed, over, person, report, template


class Configured:
    """The configuration, as runtime.configuration reads it."""

    def __init__(self, found: Report | None) -> None:
        self.found = found

    async def report(self, report_id: str) -> Report | None:
        return self.found if self.found and self.found.id == report_id else None

    async def template(self, template_id: str) -> Template | None:
        return template() if template_id == "template" else None

    async def recipients(self, ids: Iterable[str]) -> Mapping[str, Recipient]:
        return {"ann": person("ann", airline="AA")} if "ann" in list(ids) else {}


class World:
    """The use case with all its ports faked."""

    def __init__(self, found: Report | None = None, values: tuple[str, ...] = ()) -> None:
        self.clock, self.publisher = FakeClock(), FakePublisher()
        self.reader = FakeReader(Reading((), None))
        self.files, self.renderer = FakeFiles(), FakeRenderer()
        self.preview = PreviewReport(
            sources=Configured(found or report()),
            qlik=FakeQuestions(values),
            make=MakeFile(
                reader=self.reader,
                files=self.files,
                renderer=self.renderer,
                vault=FakeVault(),
                clock=self.clock,
            ),
            publisher=self.publisher,
            clock=self.clock,
            budget=timedelta(seconds=30),
        )

    async def settled(self, **changes: Any) -> PreviewSettled:
        request = {
            "preview_id": "p1",
            "report_id": "flights",
            "format": "xlsx",
            "requested_by": "dev@example.com",
            "deadline_at": self.clock.now() + timedelta(minutes=1),
            **changes,
        }
        await self.preview(PreviewRequested.model_validate(request))
        ((event, _),) = self.publisher.events
        assert isinstance(event, PreviewSettled)
        return event


async def test_the_file_lies_apart_from_artifacts_of_executions() -> None:
    world = World()
    settled = await world.settled()
    assert settled.artifact is not None
    assert settled.artifact.key.startswith("previews/p1/")
    assert "Flights.xlsx" == settled.artifact.file_name
    assert settled.artifact.key in world.files.artifacts


async def test_own_filters_narrow_those_of_the_report() -> None:
    world = World(report(filters=(fixed("Origin", "JFK", "LGA"), by_attribute("Airline", "airline"))))
    await world.settled(recipient_id="ann", selections=[Selection(field="Origin", values=("JFK", "EWR"))])
    (unit,) = world.reader.asked
    assert {"Origin": ("JFK",), "Airline": ("AA",)} == {each.field: each.values for each in unit.selections}


async def test_options_are_those_of_the_wish() -> None:
    world = World()
    await world.settled(options={"decimal": ",", "csv_separator": ";"})
    (job,) = world.renderer.jobs
    assert (",", ".", ";") == (job.options.decimal, job.options.thousands, job.options.csv_separator)


async def test_filters_that_leave_nothing_make_no_file() -> None:
    world = World(report(filters=(fixed("Origin", "JFK"),)))
    settled = await world.settled(selections=[Selection(field="Origin", values=("EWR",))])
    assert settled.reason is not None
    assert "filters-exclude-each-other" == settled.reason.code
    assert [] == world.reader.asked


async def test_without_a_value_the_first_is_shown() -> None:
    world = World(report(iteration=over()), values=("AA", "UA"))
    settled = await world.settled()
    assert "AA" == settled.iteration_value
    assert (Selection(field="Airline", values=("AA",)),) == world.reader.asked[0].selections


async def test_with_a_value_that_one_is_shown() -> None:
    world = World(report(iteration=over()))
    assert "UA" == (await world.settled(iteration_value="UA")).iteration_value


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"report_id": "gone"}, "report-unknown"),
        ({"recipient_id": "gone"}, "recipient-unknown"),
        ({"deadline_at": "2020-01-01T00:00:00Z"}, "deadline"),
    ],
)
async def test_what_cannot_be_shown_is_told(changes: dict[str, Any], code: str) -> None:
    settled = await World().settled(**changes)
    assert settled.reason is not None
    assert code == settled.reason.code
    assert settled.artifact is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Permanent("selection-not-proved", "no", "mend it"), "selection-not-proved"),
        (Transient("Qlik is away"), "out-of-order"),
        (TimeoutError(), "too-slow"),
        (LookupError("with data in its text"), "internal-error"),
    ],
)
async def test_every_failure_ends_in_an_event_without_data(error: Exception, code: str) -> None:
    world = World()
    world.reader.failing = [error]
    settled = await world.settled()
    assert settled.reason is not None
    assert code == settled.reason.code
    assert "with data" not in settled.reason.message


async def test_a_condition_that_is_not_met_is_told() -> None:
    world = World()
    world.reader.reading = Unmet(Reason(code="condition-not-met", message="none today"))
    settled = await world.settled()
    assert settled.reason is not None
    assert "condition-not-met" == settled.reason.code


async def test_what_is_left_in_the_scratch_folder_goes_with_it() -> None:
    world = World()
    await world.settled()
    (folder,) = world.reader.folders
    assert not folder.exists()
