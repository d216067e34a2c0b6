"""Results of formulas that are known without computing a workbook: totals over cells that were written.

A spreadsheet computes everything anew when it opens the file. Previews and readers of values do not, so the
plain totals are written with their result; any other formula keeps none rather than a wrong one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rendering.model import Scalar
from rendering.xlsx.known import Known, values
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
_HIDDEN_TOO = 100  # 109 sums what 9 sums, without hidden rows; there are none


def result(formula: str, sheet: str, known: Known, tables: Mapping[str, TableRange], own: str = "") -> Scalar:
    """The result of a formula, or None if it is not known here; ``own`` is the table it stands in."""
    call = _CALL.fullmatch(formula)
    if call is None:
        cells = _cells(formula.strip(), sheet, known, tables, own)
        return cells[0] if cells is not None and len(cells) == 1 else None
    name, code, argument = call[1].upper(), call[2], call[3]
    if name == "SUBTOTAL" and code:
        name = _SUBTOTAL.get(int(code) % _HIDDEN_TOO, "")
    elif code:
        return None
    function = _FUNCTIONS.get(name)
    cells = _cells(argument, sheet, known, tables, own) if function else None
    if function is None or cells is None:
        return None
    return function(_numbers(cells))


def _numbers(cells: list[Scalar]) -> list[Number]:
    """What a total takes: no texts and no truth values."""
    found: Any = cells if set(map(type, cells)) <= _PLAIN else [c for c in cells if type(c) in _PLAIN]
    return list(found)


def _cells(
    argument: str, sheet: str, known: Known, tables: Mapping[str, TableRange], own: str
) -> list[Scalar] | None:
    """The values of all cells of a reference, or None if one of them is not known."""
    table = _TABLE.fullmatch(argument)
    if table is not None:
        found = tables.get((table[1] or own).lower())
        column = found.columns.get(table[2].lower()) if found else None
        return _column(known, found.sheet, column, found.first, found.last) if found and column else None
    prefix = _SHEET.fullmatch(argument)
    if prefix is not None:
        sheet, argument = (prefix[1] or prefix[2]).replace("''", "'"), prefix[3]
    parts = split_range(argument.replace("$", ""))
    if parts is None or parts[0] != parts[2]:
        return None
    return _column(known, sheet.lower(), parts[0], parts[1], parts[3])


def _column(known: Known, sheet: str, column: str, first: int, last: int) -> list[Scalar] | None:
    return values(known, sheet, column, first, last) if last - first < MAX_CELLS else None


def is_plain(formula: str) -> bool:
    """Whether the result of a formula may be known here: a total, or a single reference."""
    return _CALL.fullmatch(formula) is not None or not re.search(r"[-+*/^&=<>%()\"]", formula)
