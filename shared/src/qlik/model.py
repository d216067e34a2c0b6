"""What the client takes and gives: selections, values, tables. No engine words, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from qlik.excel import code
from qlik.patterns import NumberPattern

FieldValue = str | float


class Selection(BaseModel):
    """Values to select in one field.

    Text values are compared as text, numbers as numbers. `numbers` has, for each value, the number behind its
    text where it is known; such a value has to have both. Friendly to JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str = Field(min_length=1)
    values: tuple[FieldValue, ...] = Field(min_length=1)
    numbers: tuple[float | None, ...] = ()

    @model_validator(mode="after")
    def _one_number_for_each_value(self) -> Self:
        if self.numbers and len(self.numbers) != len(self.values):
            raise ValueError("numbers has to have one entry, which may be null, for each of the values")
        return self


@dataclass(frozen=True, slots=True)
class Value:
    """One value as Qlik holds it: what the user saw, and the number behind it if there is one."""

    text: str
    number: float | int | None = None


@dataclass(frozen=True, slots=True)
class ProvedSelection:
    """A filter that was read back from the engine and found exactly as asked: locked, and nothing more.

    `forced` says that nobody asked for it: the app's author set the field so that one value is always
    selected.
    """

    field: str
    values: tuple[Value, ...]
    forced: bool = False


@dataclass(frozen=True, slots=True)
class QlikNumberFormat(NumberPattern):
    """How Qlik shows a number.

    `type` is its letter code (U A I R F M D T TS IV), `pattern` as in Qlik's dialog.
    """

    @property
    def excel(self) -> str:
        """The Excel format code that shows the same, or 'General' when Qlik has no format."""
        return code(self)


ColumnKind = Literal["number", "date", "timestamp", "time", "interval", "text"]
CellValue = float | int | datetime | str | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    `kind` says what the cells are: `number`, `time` and `interval` are numbers (the last two in days, as
    Excel wants them), `date` and `timestamp` are datetimes without a zone (Qlik knows none), `text` is text.
    Single cells may still be text where the data is mixed. `role` says whether it groups or is calculated.
    """

    name: str
    kind: ColumnKind
    number_format: QlikNumberFormat | None = None
    role: Literal["dimension", "measure"] = "dimension"


class Cell(NamedTuple):
    """A cell: `value` to calculate with, `text` that the user saw in Qlik (locale of the app)."""

    value: CellValue
    text: str

    @property
    def is_null(self) -> bool:
        """Whether Qlik had no value here."""
        return self.value is None


Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class RowPage:
    """Some rows of a table in order; `first_row` counts from 0."""

    first_row: int
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Table:
    """A table read completely, from one state of the data.

    `total_rows` is what Qlik has; it is larger than `len(rows)` only when the caller asked to cut off.
    `totals` has one cell per measure column, as Qlik calculated it (not a sum of the rows).
    """

    columns: tuple[Column, ...]
    rows: list[Row]
    totals: tuple[Cell, ...] = ()
    total_rows: int = 0
    title: str = ""

    @property
    def truncated(self) -> bool:
        """Whether rows were left out, because the caller allowed that."""
        return self.total_rows > len(self.rows)

    def values(self) -> list[list[CellValue]]:
        """The rows as plain values."""
        return [[cell.value for cell in row] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Dimension:
    """A grouping column.

    A field name, an expression that starts with `=`, or a master item by `library_id`.
    """

    field: str = ""
    label: str = ""
    library_id: str = ""
    suppress_null: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """A calculated column: an expression, or a master item by `library_id`."""

    expression: str = ""
    label: str = ""
    library_id: str = ""
    number_format: QlikNumberFormat | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """Sort by the column with this index (dimensions first, then measures), counted from 0."""

    column: int
    descending: bool = False


@dataclass(frozen=True, slots=True)
class AppLayout:
    """What the engine says about the open app. `last_reload_time` is aware UTC, or None if never loaded."""

    app_id: str
    title: str
    last_reload_time: datetime | None
    has_data: bool
    has_script: bool = False
    state_names: tuple[str, ...] = ()
    decimal_separator: str = "."
    thousand_separator: str = ","
    money_format: str = ""
    date_format: str = ""
    timestamp_format: str = ""
    direct_query: bool = False


@dataclass(frozen=True, slots=True)
class AppInfo:
    """An app the signed-in user sees. `space` is the stream (client-managed) or the space id (Cloud)."""

    id: str
    name: str
    last_reload_time: datetime | None = None
    space: str = ""
    description: str = ""
    published: bool = False
    extra: dict[str, str] = field(default_factory=dict)
