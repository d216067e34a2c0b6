"""How a task report writes numbers and dates, where it differs from the app."""

from collections.abc import Mapping
from dataclasses import replace

from contracts.output import OutputOptions
from rendering.model import Cell, Formatted, RenderOptions, TableData


def options_for(wanted: OutputOptions, app: RenderOptions) -> RenderOptions:
    """Return the app's way of writing, with what a task report wants in its place.

    A separator that is only half given keeps the other one readable: ',' for decimals makes '.' of the app's
    ',' for thousands.
    """
    decimal = app.decimal if wanted.decimal is None else wanted.decimal
    thousands = app.thousands if wanted.thousands is None else wanted.thousands
    if decimal == thousands:
        if wanted.decimal is None:
            decimal = app.thousands if app.thousands != thousands else "." if thousands != "." else ","
        else:
            thousands = app.decimal if app.decimal != decimal else ""
    return replace(
        app,
        decimal=decimal,
        thousands=thousands,
        date_format=wanted.date_format or app.date_format,
        datetime_format=wanted.datetime_format or app.datetime_format,
        language=wanted.language or app.language,
        page_size=wanted.page_size,
        landscape=wanted.landscape,
        pdf_archive=wanted.pdf_a or "",
        image_dpi=wanted.image_dpi or 0,
        image_quality=wanted.image_quality or 0,
        csv_separator=wanted.csv_separator,
        csv_bom=wanted.csv_bom,
        table=wanted.table,
    )


def localised(
    values: Mapping[str, Cell], tables: Mapping[str, TableData], app: RenderOptions, wanted: RenderOptions
) -> tuple[Mapping[str, Cell], Mapping[str, TableData]]:
    """Return values and tables whose texts of numbers, as Qlik wrote them, have the wanted separators."""
    if (app.decimal, app.thousands) == (wanted.decimal, wanted.thousands):
        return values, tables
    signs = {ord(app.decimal): wanted.decimal}
    if app.thousands:
        signs[ord(app.thousands)] = wanted.thousands

    def cell(each: Cell) -> Cell:
        if not isinstance(each, Formatted) or isinstance(each.value, bool):
            return each
        if not isinstance(each.value, int | float):
            return each
        return replace(each, text=each.text.translate(signs))

    def row(each: tuple[Cell, ...]) -> tuple[Cell, ...]:
        return tuple(map(cell, each))

    def table(each: TableData) -> TableData:
        totals = None if each.totals is None else row(each.totals)
        return TableData(each.columns, [row(cells) for cells in each.rows], totals)

    return (
        {name: cell(value) for name, value in values.items()},
        {name: table(each) for name, each in tables.items()},
    )
