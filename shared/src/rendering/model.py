"""What goes into the engine and what comes out: plain, picklable data, nothing alive.

A renderer never sees a Qlik session, a database or an object of a service: only what this module
declares. That is the first half of the answer to hostile templates; the second is the process they run in.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

Scalar = str | int | float | bool | datetime | date | None
"""A value as the source knows it. Datetimes may be aware or naive; they are shown as they are."""


@dataclass(frozen=True, slots=True)
class Formatted:
    """A value together with the text its source showed for it.

    ``excel_format`` is used in cells whose template format is *General*.
    """

    value: Scalar
    text: str
    excel_format: str | None = None


Cell = Scalar | Formatted


class TemplateKind(StrEnum):
    """What a template file is."""

    XLSX = "xlsx"
    XLSM = "xlsm"  # a workbook with macros, which are kept as they are
    DOCX = "docx"
    PPTX = "pptx"
    HTML = "html"
    TABLE = "table"  # no template file: one table, exported as it is


class OutputFormat(StrEnum):
    """What a report can come out as."""

    XLSX = "xlsx"
    XLSM = "xlsm"
    DOCX = "docx"
    PPTX = "pptx"
    HTML = "html"
    PDF = "pdf"
    CSV = "csv"
    TXT = "txt"
    PARQUET = "parquet"
    PNG = "png"


ColumnKind = Literal["text", "number", "date", "datetime", "bool"]


@dataclass(frozen=True, slots=True)
class ColumnData:
    """One column of a table: the name tags use, the title people read."""

    name: str
    kind: ColumnKind = "text"
    excel_format: str | None = None
    title: str = ""

    @property
    def heading(self) -> str:
        """The title, or the name where there is none."""
        return self.title or self.name


RESERVED_COLUMNS = frozenset({"rows", "count", "totals"})
"""Names that mean something else after the name of a table."""


def check_widths(rows: Sequence[tuple[Cell, ...]], width: int) -> None:
    """Raise ValueError for a row that has not one cell per column."""
    for number, row in enumerate(rows):
        if len(row) != width:
            raise ValueError(f"row {number} has {len(row)} cells, the table has {width} columns")


@dataclass(frozen=True, slots=True)
class TableData:
    """A table: every row has exactly one cell per column; ``totals`` too, or is None."""

    columns: tuple[ColumnData, ...]
    rows: list[tuple[Cell, ...]]
    totals: tuple[Cell, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse a table whose shape would only show up in the middle of a report."""
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"a table has two columns of the same name: {names}; rename one")
        if clash := RESERVED_COLUMNS.intersection(names):
            raise ValueError(f"column names {sorted(clash)} are reserved in templates; rename the columns")
        width = len(names)
        if self.totals is not None and len(self.totals) != width:
            raise ValueError(f"the totals have {len(self.totals)} cells, the table has {width} columns")
        check_widths(self.rows, width)


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a chart; ``None`` leaves a gap."""

    name: str
    values: tuple[float | None, ...]
    kind: Literal["bar", "line"] = "bar"


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """A chart to be drawn by us: categories along the bottom, bars and lines over them.

    Sizes are CSS pixels. ``times`` says which date each category is, where the source knows it; otherwise
    categories are dates if their texts are written as ISO 8601 or in a date format of the report.
    """

    categories: tuple[str, ...]
    series: tuple[Series, ...]
    title: str = ""
    width: int = 800
    height: int = 400
    y_title: str = ""
    decimals: int | None = None
    times: tuple[date | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Meta:
    """Where the report comes from; ``rendering.vocabulary`` says how tags name each part.

    ``now`` is the only clock a template can see. ``recipient``, ``email`` and ``attributes`` are of the one
    person a file is for, and empty for a file that several people share.
    """

    now: datetime
    report: str = ""
    task: str = ""
    recipient: str = ""
    iteration: str = ""
    format: str = ""
    task_id: str = ""
    execution_id: str = ""
    iteration_field: str = ""
    filters: str = ""
    email: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a naive time: it would be shown as if it were in some zone."""
        if self.now.tzinfo is None:
            raise ValueError("meta.now must be aware: give it the time zone of the task")


@dataclass(frozen=True, slots=True)
class RenderData:
    """Everything a template may show. ``images`` holds PNG, JPEG, GIF or SVG bytes, or a chart to draw."""

    meta: Meta
    values: Mapping[str, Cell] = field(default_factory=dict)
    tables: Mapping[str, TableData] = field(default_factory=dict)
    images: Mapping[str, bytes | ChartSpec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse names that a tag could not tell apart."""
        if both := set(self.values) & set(self.tables):
            raise ValueError(f"{sorted(both)} name both a value and a table; rename one")
        if clash := {"meta", "charts", "images"} & (set(self.values) | set(self.tables)):
            raise ValueError(f"{sorted(clash)} are reserved names in templates; rename them")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a template may hold and a report may grow to. Bytes are of unpacked data."""

    template_bytes: int = 50 * 1024 * 1024
    part_bytes: int = 200 * 1024 * 1024
    total_bytes: int = 500 * 1024 * 1024
    ratio: int = 200  # sheets of equal cells pack 100:1 in files Excel itself wrote
    ratio_floor: int = 1024 * 1024  # a part smaller than this is harmless whatever its ratio
    parts: int = 5_000
    text_template_bytes: int = 1024 * 1024
    html_bytes: int = 50 * 1024 * 1024
    html_table_rows: int = 5_000  # beyond that HTML to PDF costs gigabytes
    rows: int = 1_048_576
    cells: int = 20_000_000


PageSize = Literal["A4", "A3", "A5", "Letter", "Legal"]
PdfArchive = Literal["", "1b", "2b", "3b"]
"""A level of PDF/A (ISO 19005), or none."""

MAX_QUALITY = 100
MIN_DPI, MAX_DPI = 36, 600


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How values are written where the template leaves it open."""

    decimal: str = "."
    thousands: str = ","
    date_format: str = "%Y-%m-%d"
    datetime_format: str = "%Y-%m-%d %H:%M"
    page_size: PageSize = "A4"
    landscape: bool = False
    table: str = ""  # which table a plain export takes; empty: the only one
    csv_separator: str = ","
    csv_guard: bool = True  # an apostrophe before texts a spreadsheet would run
    csv_bom: bool = False
    language: str = "en"  # also that of the names of months and days
    pdf_archive: PdfArchive = ""
    image_quality: int = 0  # of JPEG pictures in a PDF, 1 to 100; 0 leaves pictures as they are
    image_dpi: int = (
        0  # most dots per inch of pictures in a PDF, and those of a page as PNG; 0: as they are, 110
    )
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Refuse separators that make numbers unreadable."""
        if len(self.decimal) != 1 or self.decimal == self.thousands:
            raise ValueError("decimal must be one character and differ from thousands")
        if len(self.csv_separator) != 1:
            raise ValueError("csv_separator must be one character")
        if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", self.language):
            raise ValueError("language must be a language tag such as 'en' or 'de-CH'")
        if not 0 <= self.image_quality <= MAX_QUALITY:
            raise ValueError(
                f"image_quality must be between 1 and {MAX_QUALITY}, or 0 for pictures as they are"
            )
        if self.image_dpi and not MIN_DPI <= self.image_dpi <= MAX_DPI:
            raise ValueError(
                f"image_dpi must be between {MIN_DPI} and {MAX_DPI}, or 0 for pictures as they are"
            )


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished file. ``warnings`` are for the task log: the file is good, but somebody may wonder."""

    content: bytes
    content_type: str
    extension: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a template: where, what, and what to do about it."""

    place: str
    message: str
    remedy: str

    def __str__(self) -> str:
        """All three in one line."""
        return f"{self.place}: {self.message}. {self.remedy}"


@dataclass(frozen=True, slots=True)
class TemplateReport:
    """What a template asks for. ``tables`` maps a table to the columns used; ``images`` has charts too.

    ``places`` says where each name stands first: a value or table by its name, a column as ``table.column``,
    a picture as ``images.name``. ``recipient`` says whether it shows the person a file is for.
    """

    values: frozenset[str] = frozenset()
    tables: Mapping[str, frozenset[str]] = field(default_factory=dict)
    images: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    recipient: bool = False


class TemplateError(Exception):
    """A template that cannot be rendered. Never the fault of the data: retrying does not help."""

    def __init__(self, place: str, message: str, remedy: str) -> None:
        super().__init__(place, message, remedy)
        self.place = place
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """Place, what is wrong and how to correct it, in one line."""
        return str(self.problem)

    @property
    def problem(self) -> Problem:
        """The same as a value."""
        return Problem(self.place, self.message, self.remedy)


CONTENT_TYPES: Mapping[OutputFormat, str] = {
    OutputFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    OutputFormat.XLSM: "application/vnd.ms-excel.sheet.macroEnabled.12",
    OutputFormat.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    OutputFormat.PPTX: "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    OutputFormat.HTML: "text/html; charset=utf-8",
    OutputFormat.PDF: "application/pdf",
    OutputFormat.CSV: "text/csv; charset=utf-8",
    OutputFormat.TXT: "text/plain; charset=utf-8",
    OutputFormat.PARQUET: "application/vnd.apache.parquet",
    OutputFormat.PNG: "image/png",
}


def raw(cell: Cell) -> Scalar:
    """The value of a cell without the text that was shown for it."""
    return cell.value if isinstance(cell, Formatted) else cell


def records(table: TableData) -> Iterator[dict[str, Cell]]:
    """Rows as mappings from column name to cell."""
    names = [column.name for column in table.columns]
    for row in table.rows:
        yield dict(zip(names, row, strict=True))
