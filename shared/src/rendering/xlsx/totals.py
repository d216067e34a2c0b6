"""Results of formulas that are known without computing a workbook: totals over cells that were written.

A spreadsheet computes everything anew when it opens the file. Previews and readers of values do not, so the
plain totals are written with their result; any other formula has none rather than a wrong one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from rendering.model import Scalar
from rendering.xlsx.known import Known, Written, values
from rendering.xlsx.moves import split_range

Number = int | float
_PLAIN = frozenset({int, float})

_CALL = re.compile(r"\s*([A-Za-z]+)\(\s*(?:(\d{1,3})\s*,\s*)?([^(),]+?)\s*\)\s*")
_TABLE = re.compile(r"([^\W\d][\w.]*)?\[([^\[\]#@]+)\]")
_SHEET = re.compile(r"(?:'((?:[^']|'')+)'|([^\W\d][\w.]*))!(.+)")
MAX_CELLS = 1_048_576


@dataclass(frozen=True, slots=True)
class TableRange:
    """Where the data rows of an Excel table stand, and the letter of each of its columns."""

    sheet: str
    first: int
    last: int
    columns: Mapping[str, str]
    filled: bool = False  # whether tags stood in it


def _sum(numbers: Sequence[Number]) -> Number:
    return sum(numbers)


def _average(numbers: Sequence[Number]) -> Number | None:
    return sum(numbers) / len(numbers) if numbers else None


_FUNCTIONS: Mapping[str, Callable[[Sequence[Number]], Number | None]] = {
    "SUM": _sum,
    "AVERAGE": _average,
    "MIN": lambda numbers: min(numbers, default=0),
    "MAX": lambda numbers: max(numbers, default=0),
    "COUNT": len,
}
_SUBTOTAL = {1: "AVERAGE", 2: "COUNT", 4: "MAX", 5: "MIN", 9: "SUM"}
_SUBTOTAL |= {100 + code: name for code, name in _SUBTOTAL.items()}  # the same, without rows hidden by hand
_SKIPPED = re.compile(r"(?<![\w.])(?:SUBTOTAL|AGGREGATE)\s*\(", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """The cell a formula stands in; ``sheet`` is in lower case."""

    sheet: str
    column: str
    row: int


def result(formula: str, place: Place, written: Written, tables: Mapping[str, TableRange]) -> Scalar:
    """The result of a formula in a cell, or None if it is not known for certain."""
    call = _CALL.fullmatch(formula)
    if call is None:
        span = _span(formula.strip(), place, tables)
        cells = _values(span, written.known) if span is not None and span.first == span.last else None
        return cells[0] if cells is not None else None
    name, code, argument = call[1].upper(), call[2], call[3]
    subtotal = name == "SUBTOTAL" and bool(code)
    if subtotal:
        name = _SUBTOTAL.get(int(code), "")
    elif code:
        return None
    function = _FUNCTIONS.get(name)
    span = _span(argument, place, tables) if function else None
    cells = _values(span, written.known) if span is not None else None
    if function is None or span is None or cells is None:
        return None
    if subtotal and _some_hidden(span, written):
        return None
    if subtotal:
        _leave_out_subtotals(span, cells, written)
    found = function(_numbers(cells))
    return found if found is None or isfinite(found) else None


def has_subtotal(formula: str) -> bool:
    """Whether a formula calls SUBTOTAL or AGGREGATE: SUBTOTAL leaves its cell out of what it counts."""
    return _SKIPPED.search(formula) is not None


def is_subtotal(formula: str) -> bool:
    """Whether a formula is such a call and nothing else."""
    return has_subtotal(formula) and _CALL.fullmatch(formula) is not None


def _some_hidden(span: "_Span", written: Written) -> bool:
    """Whether a range has hidden rows: those of a filter never count, those hidden by hand sometimes."""
    return any(
        first <= span.last and span.first <= last for first, last in written.hidden.get(span.sheet, ())
    )


def _leave_out_subtotals(span: "_Span", cells: list[Scalar], written: Written) -> None:
    """Blank the cells SUBTOTAL leaves out: otherwise a grand total counts every value twice."""
    for column, row in written.subtotals.get(span.sheet, ()):
        if column == span.column and span.first <= row <= span.last:
            cells[row - span.first] = None


def _numbers(cells: list[Scalar]) -> list[Number]:
    """What a total takes: no texts and no truth values."""
    found: Any = cells if set(map(type, cells)) <= _PLAIN else [c for c in cells if type(c) in _PLAIN]
    return list(found)


@dataclass(frozen=True, slots=True)
class _Span:
    """Cells below each other."""

    sheet: str
    column: str
    first: int
    last: int


def _span(argument: str, place: Place, tables: Mapping[str, TableRange]) -> _Span | None:
    """The cells of a reference along one column, or None if it is something else."""
    table = _TABLE.fullmatch(argument)
    if table is not None:
        found = tables.get(table[1].lower()) if table[1] else _table_around(place, tables)
        column = found.columns.get(table[2].lower()) if found else None
        return _Span(found.sheet, column, found.first, found.last) if found and column else None
    prefix = _SHEET.fullmatch(argument)
    sheet = place.sheet
    if prefix is not None:
        sheet, argument = (prefix[1] or prefix[2]).replace("''", "'"), prefix[3]
    parts = split_range(argument.replace("$", ""))
    if parts is None or parts[0] != parts[2]:
        return None
    return _Span(sheet.lower(), parts[0], parts[1], parts[3])


def _table_around(place: Place, tables: Mapping[str, TableRange]) -> TableRange | None:
    """The table a cell stands in: by its columns too, as tables side by side share rows."""
    around = [
        each
        for each in tables.values()
        if each.sheet == place.sheet
        and each.first <= place.row <= each.last + 1  # the total row
        and place.column in each.columns.values()
    ]
    return around[0] if len(around) == 1 else None


def _values(span: _Span, known: Known) -> list[Scalar] | None:
    """The values of all cells of a range, or None if one of them is not known."""
    if span.last - span.first >= MAX_CELLS:
        return None
    return values(known, span.sheet, span.column, span.first, span.last)


def is_plain(formula: str) -> bool:
    """Whether the result of a formula may be known here: a total, or a single reference."""
    return _CALL.fullmatch(formula) is not None or not re.search(r"[-+*/^&=<>%()\"]", formula)
