"""Tables exported as they are: csv and text, Parquet, and a plain styled workbook; streamed, or at once.

``export`` takes the rows in batches and never holds more than a batch or two of them, so a million rows need
the memory of some thousands. ``open_export`` is the same for rows that arrive: write batches, then close.
"""

import csv
from collections.abc import Iterable, Sequence
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import IO, Protocol

from rendering.model import (
    Cell,
    ColumnData,
    Formatted,
    OutputFormat,
    RenderData,
    RenderOptions,
    TableData,
    TemplateError,
    check_widths,
)
from rendering.parquet_export import ParquetExport
from rendering.sheet_export import SheetExport
from rendering.values import clean, display

EXPORTS = frozenset({OutputFormat.CSV, OutputFormat.TXT, OutputFormat.XLSX, OutputFormat.PARQUET})
# The last four are the wide forms, which some spreadsheets read as the narrow ones.
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_BATCH = 10_000


class Export(Protocol):
    """A file that is being written. Rows have one cell per column, else ValueError."""

    def write(self, rows: Sequence[tuple[Cell, ...]]) -> None:
        """Add rows."""

    def close(self) -> None:
        """Finish the file. What it is written into stays open. Without this the file is of no use."""


def open_export(
    out: IO[bytes],
    columns: Sequence[ColumnData],
    output: OutputFormat,
    options: RenderOptions | None = None,
    title: str = "",
) -> Export:
    """Begin a file in ``out``, which has to be able to seek; raises TemplateError for other formats.

    ``title`` names the sheet of a workbook. The same rows in the same batches give the same bytes.
    """
    options = options or RenderOptions()
    match output:
        case OutputFormat.CSV:
            return CsvExport(out, columns, options)
        case OutputFormat.TXT:
            return CsvExport(out, columns, options, "\t")
        case OutputFormat.XLSX:
            return SheetExport(out, columns, title)
        case OutputFormat.PARQUET:
            return ParquetExport(out, columns)
        case _:
            known = ", ".join(sorted(EXPORTS))
            raise TemplateError("export", f"a table cannot become {output.value}", f"Choose one of: {known}")


def export(
    columns: Sequence[ColumnData],
    batches: Iterable[Sequence[tuple[Cell, ...]]],
    path: Path,
    output: OutputFormat,
    *,
    options: RenderOptions | None = None,
    title: str = "",
) -> int:
    """Write a table of any length into a new file; returns the number of rows.

    ``batches`` is read once, a batch at a time. A file that cannot be finished is removed.
    """
    count = 0
    try:
        with path.open("xb") as out:
            target = open_export(out, columns, output, options, title)
            for batch in batches:
                target.write(batch)
                count += len(batch)
            target.close()
    except BaseException as error:
        if not isinstance(error, FileExistsError):
            path.unlink(missing_ok=True)
        raise
    return count


def to_bytes(table: TableData, output: OutputFormat, options: RenderOptions, title: str = "") -> bytes:
    """The same for a table that is at hand."""
    out = BytesIO()
    target = open_export(out, table.columns, output, options, title)
    for start in range(0, len(table.rows), _BATCH):
        target.write(table.rows[start : start + _BATCH])
    target.close()
    return out.getvalue()


def table_of(data: RenderData, options: RenderOptions) -> TableData:
    """The table a plain export takes."""
    name = options.table or (next(iter(data.tables)) if len(data.tables) == 1 else "")
    if name not in data.tables:
        known = ", ".join(sorted(data.tables)) or "none"
        raise TemplateError("export", f"there is no table {name!r} to export", f"Choose one of: {known}")
    return data.tables[name]


class CsvExport:
    """Separated values (RFC 4180), UTF-8; texts a spreadsheet would run get an apostrophe."""

    def __init__(
        self, out: IO[bytes], columns: Sequence[ColumnData], options: RenderOptions, separator: str = ""
    ) -> None:
        encoding = "utf-8-sig" if options.csv_bom else "utf-8"
        self._text = TextIOWrapper(out, encoding, errors="replace", newline="", write_through=False)
        delimiter = separator or options.csv_separator
        self._writer = csv.writer(self._text, delimiter=delimiter, lineterminator="\r\n")
        self._options = options
        self._width = len(columns)
        self._writer.writerow([self._guarded(column.heading) for column in columns])

    def write(self, rows: Sequence[tuple[Cell, ...]]) -> None:
        """Add rows."""
        check_widths(rows, self._width)
        self._writer.writerows([self._shown(cell) for cell in row] for row in rows)

    def close(self) -> None:
        """Hand over what is still held."""
        self._text.flush()
        self._text.detach()

    def _shown(self, cell: Cell) -> str:
        value = cell.value if isinstance(cell, Formatted) else cell
        if isinstance(value, str):
            return self._guarded(clean(value))
        return str(value) if type(value) is int else display(value, self._options)

    def _guarded(self, text: str) -> str:
        # Most texts begin with a letter, and asking that is cheap.
        if not self._options.csv_guard or text[:1].isalnum():
            return text
        return "'" + text if text.lstrip(" ").startswith(_RISKY) else text
