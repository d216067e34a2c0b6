"""What Qlik gave, as what templates show."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime

import qlik
from contracts.configuration import ChartItem, FieldItem, TableItem
from contracts.naming import column_names
from qlik.formats import cell_codes, cell_value
from rendering.model import (
    Cell,
    ChartSpec,
    ColumnData,
    ColumnKind,
    Formatted,
    RenderOptions,
    Series,
    TableData,
    raw,
)
from runtime.errors import Permanent

FIELD_COLUMN = "value"
"""The name of the one column of a table made from a field item."""

Maker = Callable[[qlik.Cell], Cell]

_KINDS: dict[str, ColumnKind] = {
    "number": "number",
    # Excel counts times and durations in days, and its format shows them.
    "time": "number",
    "interval": "number",
    "date": "date",
    "timestamp": "datetime",
    "text": "text",
}


def cell_of(value: qlik.Value, layout: qlik.AppLayout) -> Cell:
    """Return the result of an expression with the text Qlik showed for it.

    A date that is written as the app writes dates is a date. Any other text that does not write its number,
    such as 007, stays a text.
    """
    number, text = value.number, value.text
    if number is None:
        return text
    for pattern, kind in ((layout.date_format, "date"), (layout.timestamp_format, "timestamp")):
        moment = qlik.moment(text, number, pattern)
        if moment is not None:
            return Formatted(moment.date() if kind == "date" else moment, text)
    return _maker(_RESULT)(qlik.Cell(cell_value(text, number, _RESULT), text))


_RESULT = qlik.Column("", "number", None, "measure")


def field_table(
    item: FieldItem, values: Sequence[qlik.Value], column: qlik.Column | None = None
) -> TableData:
    """Return the values of a field as a table with the column `value`.

    `column` is the field as Qlik describes it; without one it is of numbers if all its values are.
    """
    if column is None:
        numeric = bool(values) and all(value.number is not None for value in values)
        column = qlik.Column(item.field, "number" if numeric else "text")
    rows: list[qlik.Row] = [
        (qlik.Cell(cell_value(value.text, value.number, column), value.text),) for value in values
    ]
    return _table(qlik.Table((column,), rows), [(FIELD_COLUMN, item.field)])


def named_table(item: TableItem, table: qlik.Table) -> TableData:
    """Return an ad-hoc table under the column names of its item."""
    return _table(table, named_columns(item))


def named_columns(item: TableItem) -> list[tuple[str, str]]:
    """Return name and title of each column of an ad-hoc table."""
    defined = (*item.dimensions, *item.measures)
    return [(column.name, column.label or column.name) for column in defined]


def object_table(table: qlik.Table) -> TableData:
    """Return a visualisation's table; columns are named after their labels, in letters, digits and '_'."""
    return _table(table, object_columns(table.columns))


def object_columns(columns: Sequence[qlik.Column]) -> list[tuple[str, str]]:
    """Return name and title of each column of a visualisation."""
    labels = [column.name for column in columns]
    return list(zip(column_names(labels), labels, strict=True))


def column_data(columns: Sequence[qlik.Column], names: Sequence[tuple[str, str]]) -> tuple[ColumnData, ...]:
    """Return columns of Qlik under the names and titles that templates use."""
    return tuple(
        ColumnData(name, _KINDS[column.kind], _excel(column), title)
        for (name, title), column in zip(names, columns, strict=True)
    )


def scalars(rows: Sequence[Sequence[qlik.Cell]], makers: Sequence[Maker]) -> list[tuple[Cell, ...]]:
    """Return rows as values, for exports of long tables.

    Qlik's texts are left out, except where a cell has a number format of its own.
    """
    return [
        tuple(
            made if isinstance(made, Formatted) and made.excel_format else raw(made)
            for made in [make(cell) for make, cell in zip(makers, row, strict=True)]
        )
        for row in rows
    ]


def makers(columns: Sequence[qlik.Column]) -> list[Maker]:
    """Return what makes the cells of each column."""
    return [_maker(column) for column in columns]


def settled(columns: Sequence[ColumnData], mixed: Collection[int]) -> tuple[ColumnData, ...]:
    """Return columns as they turned out to be, with the places of those that have texts among their numbers.

    A column of codes such as 007 is a column of texts, or a typed export would leave the codes out.
    """
    return tuple(
        replace(column, kind="text") if place in mixed else column for place, column in enumerate(columns)
    )


def mixed(rows: Iterable[Sequence[qlik.Cell]], columns: Sequence[qlik.Column]) -> set[int]:
    """Return the places of fields that are numbers or dates in general and have texts in these rows."""
    watched = [
        place for place, column in enumerate(columns) if column.role == "dimension" and column.kind != "text"
    ]
    return {place for row in rows for place in watched if isinstance(row[place].value, str)}


def chart(item: ChartItem, tables: dict[str, TableData]) -> ChartSpec:
    """Return a chart of a table that was read. Raises Permanent when table or columns do not exist."""
    table = tables.get(item.table)
    if table is None:
        known = ", ".join(sorted(tables)) or "none"
        raise _chart_wrong(item, f"there is no table {item.table!r}; there are: {known}")
    columns = {column.name: place for place, column in enumerate(table.columns)}
    missing = [name for name in (item.category, *item.series) if name not in columns]
    if missing:
        raise _chart_wrong(item, f"{item.table!r} has no column {missing[0]!r}; it has: {', '.join(columns)}")
    return ChartSpec(
        categories=tuple(_text(row[columns[item.category]]) for row in table.rows),
        series=tuple(
            Series(
                table.columns[columns[name]].heading,
                tuple(_number(row[columns[name]]) for row in table.rows),
                item.chart,
            )
            for name in item.series
        ),
        title=item.title,
        times=tuple(time_of(row[columns[item.category]]) for row in table.rows),
    )


def sort_of(item: TableItem) -> list[qlik.Sort]:
    """Return the order a table item asks for. Raises Permanent for a column it does not have."""
    names = [column.name for column in (*item.dimensions, *item.measures)]
    order: list[qlik.Sort] = []
    for wish in item.sort:
        name = wish.removeprefix("-")
        if name not in names:
            raise Permanent(
                "sort-column-unknown",
                f"the table {item.name!r} is sorted by {name!r}, which is none of its columns",
                f"sort by one of: {', '.join(names)}",
            )
        order.append(qlik.Sort(names.index(name), descending=wish.startswith("-")))
    return order


def options_of(layout: qlik.AppLayout) -> RenderOptions:
    """Return options that write numbers as the app does, so that they agree with the texts Qlik made."""
    decimal, thousands = layout.decimal_separator, layout.thousand_separator
    if len(decimal) != 1 or decimal == thousands:
        return RenderOptions()
    return RenderOptions(decimal=decimal, thousands=thousands)


def _table(table: qlik.Table, names: Sequence[tuple[str, str]]) -> TableData:
    columns = settled(column_data(table.columns, names), mixed(table.rows, table.columns))
    make = makers(table.columns)
    rows = [tuple([one(cell) for one, cell in zip(make, row, strict=True)]) for row in table.rows]
    totals: tuple[Cell, ...] | None = None
    if table.totals:
        grouping = len(columns) - len(table.totals)
        totals = (
            *(None for _ in range(grouping)),
            *(one(cell) for one, cell in zip(make[grouping:], table.totals, strict=True)),
        )
    try:
        return TableData(columns, rows, totals)
    except ValueError as error:
        raise Permanent("report-data-wrong", str(error), "rename the columns in the report's data") from error


def _excel(column: qlik.Column) -> str | None:
    return column.number_format.excel if column.number_format else None


def _maker(column: qlik.Column) -> Maker:
    code, whole_days = cell_codes(column), column.kind == "date"

    def make(cell: qlik.Cell) -> Cell:
        value = cell.value
        if value is None or value == cell.text:
            return value
        if whole_days and isinstance(value, datetime):
            return Formatted(value.date(), cell.text)
        return Formatted(value, cell.text, code(cell) if code is not None else None)

    return make


def _text(cell: Cell) -> str:
    if isinstance(cell, Formatted):
        return cell.text
    return cell.isoformat() if isinstance(cell, date) else "" if cell is None else str(cell)


def time_of(cell: Cell) -> date | None:
    """Return the date or time of a cell, None for what is neither."""
    value = raw(cell)
    return value if isinstance(value, date) else None


def _number(cell: Cell) -> float | None:
    value = raw(cell)
    return float(value) if isinstance(value, int | float) else None


def _chart_wrong(item: ChartItem, message: str) -> Permanent:
    return Permanent(
        "chart-data-wrong", f"the chart {item.name!r}: {message}", "correct the chart of the report"
    )
