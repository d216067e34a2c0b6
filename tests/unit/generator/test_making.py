"""The making of a file: passwords opened at the last moment, long files stored from where they lie."""

from pathlib import Path

import pytest

from contracts.configuration import OutputFormat
from contracts.plan import PlannedReport, PlannedUnit
from generator.ports import Reading, RenderedFile, Spooled, Unmet
from generator.use_cases.making import Made, MakeFile
from rendering.model import ColumnData, Meta
from runtime.errors import Permanent
from support.clock import FakeClock
from support.fake_generator import FakeFiles, FakeReader, FakeRenderer
from support.fake_vault import FakeVault
from support.tasks import NOW

REPORT = PlannedReport(
    id="tr1", report_id="r", name="Flights", format=OutputFormat.PDF, connection_id="site", app_id="app"
)
META = Meta(now=NOW)


class World:
    """The use case with its ports faked."""

    def __init__(self, reading: Reading | None = None) -> None:
        self.reader = FakeReader(reading or Reading((), None))
        self.files, self.renderer = FakeFiles(), FakeRenderer()
        self.make = MakeFile(
            reader=self.reader,
            files=self.files,
            renderer=self.renderer,
            vault=FakeVault(),
            clock=FakeClock(),
        )

    async def made(self, file_name: str = "Flights.pdf", **sealed: str) -> Made:
        unit = PlannedUnit(id="u", report="tr1", file_name=file_name, sealed=sealed)
        found = await self.make(REPORT, unit, META, folder="artifacts/x")
        assert not isinstance(found, Unmet)
        return found


@pytest.mark.parametrize("name", ["Flights.pdf.zip", "Flights.pdf (2).zip"])
async def test_the_file_in_an_archive_keeps_its_ending(name: str) -> None:
    world = World()
    await world.made(name, zip="sealed:correct horse")
    assert world.renderer.jobs[0].passwords.name.endswith(".pdf")


async def test_passwords_are_opened_for_the_renderer_and_never_shown() -> None:
    world = World()
    await world.made(open="sealed:correct horse", edit="sealed:battery staple")
    (job,) = world.renderer.jobs
    assert ("correct horse", "battery staple", "") == (
        job.passwords.open,
        job.passwords.edit,
        job.passwords.zip,
    )
    assert "correct horse" not in repr(job)
    assert "battery staple" not in repr(job)


async def test_a_password_that_cannot_be_opened_makes_no_file() -> None:
    world = World()
    with pytest.raises(Permanent) as told:
        await world.made(open="of another key")
    assert "secret-unreadable" == told.value.code
    assert {} == world.files.artifacts


async def test_a_long_table_is_stored_from_the_file_it_was_written_to(tmp_path: Path) -> None:
    rows, file = tmp_path / "rows", tmp_path / "file"
    file.write_bytes(b"a;b\r\n1;2\r\n")
    world = World(Reading((), None, spooled=Spooled(rows, (ColumnData("a"),), 1)))
    world.renderer.gives = RenderedFile(file, "text/csv")

    made = await world.made()

    spooled = world.renderer.jobs[0].spooled
    assert spooled is not None
    assert rows == spooled.path
    assert b"a;b\r\n1;2\r\n" == world.files.artifacts[made.artifact.key]
    assert ("text/csv", 10) == (made.artifact.content_type, made.artifact.size)
