"""Whether a report binds every name that its template shows: values, tables with their columns, pictures."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from config_api.domain.errors import Problem
from contracts.configuration import (
    ChartItem,
    DataItem,
    ExpressionItem,
    FieldItem,
    TableItem,
    TemplateUses,
    VariableItem,
)
from rendering.vocabulary import begins_a_name

FIELD_COLUMN = "value"
"""The one column of a field's table (docs/architecture/generation.md)."""
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Inspected:
    """What was found in a template file."""

    uses: TemplateUses
    problems: tuple[Problem, ...] = ()


def unbound(uses: TemplateUses, data: Sequence[DataItem]) -> list[Problem]:
    """Return a problem for each name the template shows and the data does not give.

    The columns of a Qlik object are known to its app only, so they are not looked at here.
    """
    return [*_values(uses, data), *_tables(uses, data), *_pictures(uses, data)]


def columns_of(item: DataItem) -> tuple[str, ...] | None:
    """Return the columns of an item; None when it is no table, or only the app knows them."""
    if isinstance(item, TableItem):
        return tuple(column.name for column in (*item.dimensions, *item.measures))
    return (FIELD_COLUMN,) if isinstance(item, FieldItem) else None


def _values(uses: TemplateUses, data: Sequence[DataItem]) -> Iterator[Problem]:
    # A loop may name a table without naming a column, so a table is as good as a value here.
    bound = [item.name for item in data if not isinstance(item, ChartItem)]
    for name in uses.values:
        if name not in bound and not begins_a_name((name,)):
            yield _missing(uses, name, name, "a value", bound)


def _tables(uses: TemplateUses, data: Sequence[DataItem]) -> Iterator[Problem]:
    tables = {item.name: item for item in data if is_table(item)}
    values = {item.name for item in data if isinstance(item, ExpressionItem | VariableItem)}
    for name, columns in uses.tables.items():
        if name in values:
            place = _place(uses, name)
            message = f"{name!r} is one value, and the template ({place}) takes columns or rows of it"
            yield Problem("data", message, "bind a table under this name, or show the value alone")
        elif name not in tables and columns and all(begins_a_name((name, each)) for each in columns):
            continue  # a name about the report itself, such as task.name
        elif name not in tables:
            yield _missing(uses, name, name, "a table", tables)
        elif (known := columns_of(tables[name])) is not None:
            for column in columns:
                if column not in known:
                    yield _missing(uses, f"{name}.{column}", column, f"a column of the table {name!r}", known)


def _pictures(uses: TemplateUses, data: Sequence[DataItem]) -> Iterator[Problem]:
    bound = [item.name for item in data if is_picture(item)]
    for name in uses.images:
        if name not in bound:
            yield _missing(uses, f"images.{name}", name, "a chart or picture", bound)


def is_table(item: DataItem) -> bool:
    """Return whether templates see the item as a table."""
    return item.kind in {"table", "object", "field"}


def is_picture(item: DataItem) -> bool:
    """Return whether templates see the item as a picture."""
    return item.kind in {"chart", "image"}


def _missing(uses: TemplateUses, path: str, name: str, what: str, known: Iterable[str]) -> Problem:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1)
    there = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "") or "none"
    hint = f"did you mean {close[0]!r}? " if close else ""
    return Problem(
        "data",
        f"the template shows {name!r} as {what} ({_place(uses, path)}), and the report has none of this name",
        f"{hint}add it to 'data', or correct the tag in the template; there are: {there}",
    )


def _place(uses: TemplateUses, path: str) -> str:
    return uses.places.get(path, "template")
