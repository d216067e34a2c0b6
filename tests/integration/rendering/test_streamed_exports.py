"""A table of any length leaves in the memory of a few thousand rows."""

import csv
import subprocess
import sys
from datetime import date
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
from python_calamine import CalamineWorkbook

from rendering import ColumnData, OutputFormat, TemplateError
from rendering.plain import EXPORTS, export, open_export

_CHILD = """
import resource, sys
from pathlib import Path
from rendering import ColumnData, OutputFormat
from rendering.plain import export

path, output, count, room = Path(sys.argv[1]), OutputFormat(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
columns = [ColumnData(f"c{i}", "text" if i % 2 else "number") for i in range(10)]

def batches(count):
    for start in range(0, count, 5_000):
        yield [tuple(f"text {n} {i} \\u00fc" if i % 2 else n * 1.5 for i in range(10))
               for n in range(start, min(start + 5_000, count))]

# Once over every path, so that libraries and threads have what they take whatever the length.
export(columns, batches(210_000 if output is OutputFormat.PARQUET else 2_000), path, output)
path.unlink()
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + room * 2**20,) * 2)
print(export(columns, batches(count), path, output))
"""
_ROOM = {OutputFormat.PARQUET: 256}
_LITTLE = 32


def _exported(path: Path, output: OutputFormat, count: int) -> None:
    room = str(_ROOM.get(output, _LITTLE))
    call = [sys.executable, "-c", _CHILD, str(path), output.value, str(count), room]
    done = subprocess.run(call, capture_output=True, text=True, timeout=170, check=False)
    assert (done.stdout.strip(), done.stderr) == (str(count), "")


@pytest.mark.parametrize("output", [OutputFormat.CSV, OutputFormat.XLSX])
def test_a_long_table_needs_no_more_memory_than_a_short_one(tmp_path: Path, output: OutputFormat) -> None:
    """Its rows as Python objects would be four times the room there is."""
    _exported(tmp_path / "table", output, 120_000)


@pytest.mark.slow
@pytest.mark.parametrize("output", sorted(EXPORTS))
def test_a_million_rows_need_no_more_memory_than_a_few(tmp_path: Path, output: OutputFormat) -> None:
    path = tmp_path / "table"
    _exported(path, output, 1_000_000)
    match output:
        case OutputFormat.PARQUET:
            assert pl.scan_parquet(path).select(pl.len()).collect().item() == 1_000_000
            last = pl.scan_parquet(path).select("c0", "c1").tail(1).collect().row(0)
            assert last == (999_999 * 1.5, "text 999999 1 ü")
        case OutputFormat.XLSX:
            sheet = CalamineWorkbook.from_path(path).get_sheet_by_index(0)
            assert sheet.height == 1_000_001
        case _:
            with path.open(newline="", encoding="utf-8") as lines:
                assert sum(1 for _ in lines) == 1_000_001


COLUMNS = (ColumnData("name"), ColumnData("n", "number"), ColumnData("on", "date"))
ROWS = [(f"n{i}", i / 2, date(2026, 1, 1 + i % 28)) for i in range(450)]


@pytest.mark.parametrize("output", sorted(EXPORTS))
def test_batches_give_the_file_that_all_rows_at_once_give(tmp_path: Path, output: OutputFormat) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert export(COLUMNS, [ROWS], whole, output, title="Data") == 450
    assert export(COLUMNS, iter([ROWS[:200], ROWS[200:], []]), parts, output, title="Data") == 450
    assert whole.read_bytes() == parts.read_bytes()


def test_a_parquet_file_of_many_batches_keeps_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rendering.parquet_export._HELD", 100)
    path = tmp_path / "table"
    export(COLUMNS, (ROWS[i : i + 30] for i in range(0, 450, 30)), path, OutputFormat.PARQUET)
    assert pl.read_parquet(path).rows() == ROWS


def test_texts_beyond_the_shared_ones_stand_in_their_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rendering.sheet_export._SHARED", 1)
    out = BytesIO()
    file = open_export(out, COLUMNS[:1], OutputFormat.XLSX)
    file.write([("first",), ("=second & <third>",), ("first",), (" x_x0041_\0",)])
    file.close()
    rows = CalamineWorkbook.from_filelike(BytesIO(out.getvalue())).get_sheet_by_index(0).to_python()
    assert rows == [["name"], ["first"], ["=second & <third>"], ["first"], [" x_x0041_"]]


@pytest.mark.parametrize("output", sorted(EXPORTS))
def test_a_table_without_rows_is_a_file_with_headings(tmp_path: Path, output: OutputFormat) -> None:
    path = tmp_path / "table"
    assert export(COLUMNS, [], path, output) == 0
    match output:
        case OutputFormat.PARQUET:
            assert pl.read_parquet(path).columns == ["name", "n", "on"]
        case OutputFormat.XLSX:
            assert CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python() == [["name", "n", "on"]]
        case _:
            delimiter = "\t" if output is OutputFormat.TXT else ","
            with path.open(newline="", encoding="utf-8") as file:
                assert list(csv.reader(file, delimiter=delimiter)) == [["name", "n", "on"]]


@pytest.mark.parametrize("output", sorted(EXPORTS))
def test_a_file_that_cannot_be_finished_is_removed(tmp_path: Path, output: OutputFormat) -> None:
    path = tmp_path / "table"
    with pytest.raises(ValueError, match="row 0 has 2 cells"):
        export(COLUMNS, [[("too", 1)]], path, output)
    assert not path.exists()


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        export(COLUMNS, [], path, OutputFormat.CSV)
    assert path.read_bytes() == b"mine"


def test_a_sheet_takes_no_more_rows_than_excel_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rendering.sheet_export._MAX_ROWS", 300)
    file = open_export(BytesIO(), COLUMNS, OutputFormat.XLSX)
    file.write(ROWS[:300])
    with pytest.raises(TemplateError, match="301 rows do not fit"):
        file.write(ROWS[300:301])


def test_a_table_becomes_no_picture() -> None:
    with pytest.raises(TemplateError, match="csv, parquet, txt, xlsx"):
        open_export(BytesIO(), COLUMNS, OutputFormat.PNG)
