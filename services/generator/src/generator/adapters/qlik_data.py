"""What Qlik gave, as what templates show."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime

import qlik
from contracts.configuration import ChartItem, FieldItem, TableItem
from contracts.naming import column_names
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

_KINDS: dict[str, ColumnKind] = {
    "number": "number",
    # Excel counts times and durations in days, and its format shows them.
    "time": "number",
    "interval": "number",
    "date": "date",
    "timestamp": "datetime",
    "text": "text",
}


def cell_of(value: qlik.Value) -> Cell:
    """Return a single value with the text Qlik showed for it."""
    return value.text if value.number is None else Formatted(value.number, value.text)


def field_table(item: FieldItem, values: Sequence[qlik.Value]) -> TableData:
    """Return the values of a field as a table with the column `value`."""
    numeric = bool(values) and all(value.number is not None for value in values)
    column = ColumnData(FIELD_COLUMN, "number" if numeric else "text", title=item.field)
    return TableData((column,), [(cell_of(value),) for value in values])


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


def scalars(rows: Sequence[Sequence[qlik.Cell]], columns: Sequence[ColumnData]) -> list[tuple[Cell, ...]]:
    """Return rows as values without Qlik's texts, for exports of long tables."""
    return [tuple(raw(cell) for cell in _cells(row, columns)) for row in rows]


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
    columns = column_data(table.columns, names)
    rows = [tuple(_cells(row, columns)) for row in table.rows]
    totals: tuple[Cell, ...] | None = None
    if table.totals:
        grouping = len(columns) - len(table.totals)
        totals = (*(None for _ in range(grouping)), *_cells(table.totals, columns[grouping:]))
    try:
        return TableData(columns, rows, totals)
    except ValueError as error:
        raise Permanent("report-data-wrong", str(error), "rename the columns in the report's data") from error


def _excel(column: qlik.Column) -> str | None:
    return column.number_format.excel if column.number_format else None


def _cells(row: Sequence[qlik.Cell], columns: Sequence[ColumnData]) -> Iterator[Cell]:
    for cell, column in zip(row, columns, strict=True):
        value = cell.value
        if value is None or value == cell.text:
            yield value
        elif column.kind == "date" and isinstance(value, datetime):
            yield Formatted(value.date(), cell.text)
        else:
            yield Formatted(value, cell.text)


def _text(cell: Cell) -> str:
    if isinstance(cell, Formatted):
        return cell.text
    return cell.isoformat() if isinstance(cell, date) else "" if cell is None else str(cell)


def _number(cell: Cell) -> float | None:
    value = raw(cell)
    return float(value) if isinstance(value, int | float) else None


def _chart_wrong(item: ChartItem, message: str) -> Permanent:
    return Permanent(
        "chart-data-wrong", f"the chart {item.name!r}: {message}", "correct the chart of the report"
    )
