"""Plain exports: row by row from Qlik into a file, whatever the number of rows; locked where asked."""

import asyncio
import csv
import sys
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pyzipper  # type: ignore[import-untyped]

from contracts.configuration import (
    ColumnDef,
    DataItem,
    ObjectItem,
    OutputFormat,
    TableItem,
)
from contracts.output import OutputOptions
from contracts.plan import PlannedReport, PlannedUnit
from generator.adapters.finishing import export_table
from generator.adapters.qlik_reader import QlikReader
from generator.adapters.qlik_sites import QlikSites
from generator.adapters.render_pool import RenderPool
from generator.adapters.render_worker import WorkerLimits
from generator.adapters.spooling import long_table
from generator.ports import Passwords, Reading, RenderedFile, RenderJob
from rendering.model import Meta, RenderData, RenderOptions, TemplateKind
from rendering.model import OutputFormat as Output
from support.loopback import LOOPBACK
from support.qlik_site import FLIGHTS, SimulatedSite, simulated_site
from support.render_engines import misbehaving
from support.stored_connections import Connections, client_managed

pytestmark = pytest.mark.integration
TABLE = TableItem(
    name="by_dest",
    dimensions=(ColumnDef(name="dest", expression="dest", label="Destination"),),
    measures=(ColumnDef(name="flights", expression="Count(flight)"),),
    sort=("dest",),
)
LIMITS = WorkerLimits(memory_bytes=1500 * 2**20, cpu_s=60, wall_s=60, output_bytes=10_000_000)


@pytest.fixture(scope="module")
async def site() -> AsyncIterator[SimulatedSite]:
    async with simulated_site() as found:
        yield found


def report(*data: DataItem, output: OutputFormat = OutputFormat.CSV, **changes: Any) -> PlannedReport:
    return PlannedReport(
        id="tr",
        report_id="r",
        name="R",
        format=output,
        connection_id="site",
        app_id=FLIGHTS,
        data=data,
        **changes,
    )


async def read(site: SimulatedSite, planned: PlannedReport, folder: Path) -> Reading:
    sites = QlikSites(Connections(client_managed(site)), None, egress=LOOPBACK)  # type: ignore[arg-type]  # the one method used
    try:
        found = await QlikReader(sites).read(planned, PlannedUnit(id="u", report="tr", file_name="r"), folder)
    finally:
        await sites.aclose()
    assert isinstance(found, Reading)
    return found


async def test_a_table_without_a_template_is_spooled_and_written_row_by_row(
    site: SimulatedSite, tmp_path: Path
) -> None:
    reading = await read(site, report(TABLE), tmp_path)
    assert reading.spooled is not None
    assert {} == reading.tables

    file = export_table(reading.spooled, Output.CSV, RenderOptions(), "R")

    rows = list(csv.reader(file.path.read_text("utf-8").splitlines()))
    whole = await read(site, report(TABLE, output=OutputFormat.PDF), tmp_path)
    expected = [[str(cell) for cell in row[:1]] for row in whole.tables["by_dest"].rows]
    assert ["Destination", "flights"] == rows[0]
    assert expected == [row[:1] for row in rows[1:]]


async def test_an_object_is_spooled_and_a_pivot_is_read_whole(site: SimulatedSite, tmp_path: Path) -> None:
    table = await read(site, report(ObjectItem(name="o", object_id="table-airlines")), tmp_path)
    pivot = await read(site, report(ObjectItem(name="o", object_id="pivot-origin")), tmp_path)

    assert table.spooled is not None
    assert table.spooled.rows > 0
    assert pivot.spooled is None
    assert pivot.tables["o"].rows


def test_only_plain_exports_of_one_table_are_spooled() -> None:
    other = TABLE.model_copy(update={"name": "other"})
    assert TABLE == long_table(report(TABLE))
    assert long_table(report(TABLE, other)) is None
    assert other == long_table(report(TABLE, other, options=OutputOptions(table="other")))
    assert long_table(report(TABLE, output=OutputFormat.HTML)) is None


async def test_a_worker_writes_a_long_table_beside_its_rows_and_locks_it(
    site: SimulatedSite, tmp_path: Path
) -> None:
    reading = await read(site, report(TABLE), tmp_path)
    meta = Meta(now=datetime(2026, 3, 2, tzinfo=UTC), report="R")
    job = RenderJob(
        kind=TemplateKind.TABLE,
        template=b"",
        template_sha256="",
        data=RenderData(meta=meta),
        output=Output.CSV,
        passwords=Passwords(zip="correct horse", name="R.csv"),
        spooled=reading.spooled,
    )
    async with RenderPool(workers=1, limits=LIMITS, engine=misbehaving) as pool:
        file = await pool.render(job)

    assert isinstance(file, RenderedFile)
    assert "application/zip" == file.content_type
    with pyzipper.AESZipFile(file.path) as archive:
        with pytest.raises(RuntimeError):
            archive.read("R.csv")
        archive.setpassword(b"correct horse")
        assert archive.read("R.csv").startswith(b"Destination,flights")
    assert zipfile.is_zipfile(file.path)


async def peak_kib(rows: int, output: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.long_table",
        str(rows),
        output,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    answer, _ = await process.communicate()
    assert 0 == process.returncode
    count, size, peak = map(int, answer.split())
    assert rows == count
    assert size > 0
    return peak


async def test_ten_times_the_rows_take_hardly_more_memory() -> None:
    few, many = await asyncio.gather(peak_kib(10_000, "xlsx"), peak_kib(100_000, "xlsx"))
    assert many - few < 60 * 1024, "a hundred thousand rows of this table take 60 MiB and more when held"


@pytest.mark.slow
@pytest.mark.parametrize("output", ["csv", "xlsx", "parquet"])
async def test_a_million_rows_take_hardly_more_memory_than_ten_thousand(output: str) -> None:
    few, many = await asyncio.gather(peak_kib(10_000, output), peak_kib(1_000_000, output))
    assert many - few < 150 * 1024, "a million rows of this table take 600 MiB and more when held"
