"""Which stored results of formulas are no longer true once cells are filled.

A spreadsheet computes everything anew when it opens the file. Readers of values (previews, phones) show what
is stored: no result is better than one of other data, and one that nothing touched is kept, since it may come
from a place no reader can ask (a cube, a circular model). Dependence is followed by rows: a row with one new
cell counts as new.
"""

import re
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rendering.opc import child, local
from rendering.xlsx.formula import (
    MAX_ROW,
    Mention,
    SheetMention,
    column_name,
    column_number,
    parsed,
    split_cell,
    translate,
    unquoted,
)
from rendering.xlsx.moves import split_range

Element = Any
_WORD = re.compile(r"(?:[^\W\d]|\\)[\w.?\\]*")
_OUTSIDE = re.compile(r"(?<![\w.])(?:CUBE\w+|RTD)\s*\(", re.IGNORECASE)
_COLUMNS = re.compile(
    r"""(?<![\w.])(?P<sheet>'(?:[^']|'')+'!|[^\W\d][\w.]*!)?\$?[A-Za-z]{1,3}:\$?[A-Za-z]{1,3}(?![\w.(!])"""
)  # whole columns, without strings and what stands in brackets
UNSTEADY = frozenset(
    {"indirect", "offset", "rand", "randbetween", "randarray", "now", "today", "cell", "info", "getpivotdata"}
)  # functions whose result depends on more than what stands in their brackets
_MOST_ROUNDS = 20
_MOST_FORMULAS = 20_000
_MOST_CELLS = 100_000


@dataclass(slots=True)
class Formula:
    """A cell with a formula, and the cells its results fill."""

    row: int
    column: str
    text: str
    fills: tuple[tuple[int, str], ...] = ()


def formulas_of(rows: Iterable[tuple[int, Element]]) -> list[Formula]:
    """The formulas of a sheet, shared ones written out."""
    found: list[Formula] = []
    masters: dict[str, tuple[str, int, str]] = {}
    for row, element in rows:
        for cell in element:
            formula = child(cell, "f") if local(cell) == "c" else None
            if formula is None or not cell.get("r"):
                continue
            column, text = split_cell(cell.get("r"))[0], formula.text or ""
            if formula.get("t") == "shared" and text:
                masters[formula.get("si", "")] = text, row, column
            elif formula.get("t") == "shared" and formula.get("si", "") in masters:
                text, first, left = masters[formula.get("si", "")]
                text = translate(text, row - first, column_number(column) - column_number(left))
            if formula.get("t") == "dataTable":
                text = _what_if(formula)
            found.append(Formula(row, column, text, _fills(formula)))
    return found


def formulas_in(root: Element) -> list[Formula]:
    """The formulas of a worksheet."""
    data = child(root, "sheetData")
    at, numbered = 0, []
    for row in data if data is not None else ():
        if local(row) == "row":
            at = int(row.get("r") or at + 1)
            numbered.append((at, row))
    return formulas_of(numbered)


def _what_if(formula: Element) -> str:
    """What a what-if table is computed from: its inputs, and the formulas and values at its edges."""
    corners = split_range(formula.get("ref", ""))
    inputs = [formula.get(name, "") for name in ("r1", "r2") if formula.get(name)]
    if corners is None:
        return "+".join(inputs)
    left, top = column_name(max(column_number(corners[0]) - 1, 1)), max(corners[1] - 1, 1)
    return "+".join([*inputs, f"SUM({left}{top}:{corners[2]}{corners[3]})"])


def _fills(formula: Element) -> tuple[tuple[int, str], ...]:
    corners = split_range(formula.get("ref", "")) if formula.get("t") in {"array", "dataTable"} else None
    if corners is None:
        return ()
    left, right = column_number(corners[0]), column_number(corners[2])
    if (right - left + 1) * (corners[3] - corners[1] + 1) > _MOST_CELLS:
        return ()
    return tuple(
        (row, column_name(column))
        for row in range(corners[1], corners[3] + 1)
        for column in range(left, right + 1)
    )


@dataclass(slots=True)
class Results:
    """What is new in a workbook: rows by sheet, names; and the cells whose results are not true.

    Sheets are in lower case. ``everything`` has sheets of which all is new; ``tables`` says where the Excel
    tables stand.
    """

    formulas: Mapping[str, list[Formula]]
    names: Mapping[str, str]
    tables: Mapping[str, tuple[str, int, int]]
    rows: dict[str, list[int]]
    everything: set[str] = field(default_factory=set)
    fresh: set[str] = field(default_factory=set)
    stale: dict[str, set[tuple[int, str]]] = field(default_factory=dict)

    def follow(self) -> "Results":
        """Find all that depends on what is new."""
        names = {name: _needs(text, "") for name, text in self.names.items()}
        many = sum(map(len, self.formulas.values())) > _MOST_FORMULAS
        waiting = {
            sheet: [(one, None if many else _needs(one.text, sheet)) for one in found]
            for sheet, found in self.formulas.items()
        }
        for number in range(_MOST_ROUNDS + 1):
            last = many or number == _MOST_ROUNDS  # a model this large or winding: nothing of it is kept
            again = self._names(names)
            for sheet, found in waiting.items():
                left: list[tuple[Formula, _Needs | None]] = []
                for one, needs in found:
                    if last or needs is None or self._new(needs):
                        self._mark(sheet, one)
                    else:
                        left.append((one, needs))
                again |= len(left) < len(found)
                waiting[sheet] = left
            if not again:
                break
        return self

    def _mark(self, sheet: str, formula: Formula) -> None:
        cells = self.stale.setdefault(sheet, set())
        for row, column in ((formula.row, formula.column), *formula.fills):
            cells.add((row, column))
            known = self.rows.setdefault(sheet, [])
            at = bisect_left(known, row)
            if at == len(known) or known[at] != row:
                insort(known, row)

    def touches(self, reference: str) -> bool:
        """Whether a reference of a chart, a pivot table or a shape holds anything that is new."""
        return self._new(_needs(reference, ""))

    def empty(self, sheet: str, cells: Iterable[tuple[int, str]]) -> bool:
        """Count cells without a formula as not true any longer; True if they were not before."""
        known = self.stale.setdefault(sheet, set())
        more = set(cells) - known
        known |= more
        self.rows[sheet] = sorted({*self.rows.get(sheet, ()), *(row for row, _ in more)})
        return bool(more)

    def _names(self, names: Mapping[str, "_Needs"]) -> bool:
        """Add the names of what is new; True if there were any."""
        found = {name for name, needs in names.items() if name not in self.fresh and self._new(needs)}
        found |= {
            name for name, (sheet, first, last) in self.tables.items() if self._touched(sheet, first, last)
        }
        more = found - self.fresh
        self.fresh |= more
        return bool(more)

    def _touched(self, sheet: str, first: int, last: int) -> bool:
        if sheet in self.everything:
            return True
        rows = self.rows.get(sheet, [])
        at = bisect_left(rows, first)
        return at < len(rows) and rows[at] <= last

    def _new(self, needs: "_Needs") -> bool:
        if (
            needs.always
            or not needs.words.isdisjoint(self.fresh)
            or not needs.sheets.isdisjoint(self.everything)
        ):
            return True
        if needs.own_table and self.rows.get(needs.own_table):
            return True
        return any(self._touched(*span) for span in needs.spans)


@dataclass(frozen=True, slots=True)
class _Needs:
    """What a formula is computed from; ``own_table`` is its sheet if it names columns of a table there."""

    spans: frozenset[tuple[str, int, int]] = frozenset()
    sheets: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    own_table: str = ""
    always: bool = False


def _needs(formula: str, sheet: str) -> _Needs:
    if not formula or _OUTSIDE.search(formula):
        return _Needs()
    parts = parsed(formula)
    refs = [part.ref for part in parts if isinstance(part, Mention)]
    columns, strange = _whole_columns(parts, sheet)
    sheets = frozenset(part.name.lower() for part in parts if isinstance(part, SheetMention))
    words = frozenset(word.lower() for word in _WORD.findall(formula))
    bracket = any(
        isinstance(part, str) and part.startswith("[") and not part[1:-1].isdigit() for part in parts
    )  # a number is another workbook
    return _Needs(
        columns | {((ref.sheet or sheet).lower(), ref.first, ref.last or ref.first) for ref in refs},
        sheets,
        words,
        sheet if bracket else "",
        always=strange or not words.isdisjoint(UNSTEADY) or any(":" in name for name in sheets),
    )


def _whole_columns(
    parts: Sequence[str | Mention | SheetMention], sheet: str
) -> tuple[frozenset[tuple[str, int, int]], bool]:
    """References to whole columns, and whether there are ranges of other kinds (``A1:INDEX(...)``)."""
    text = "".join(
        part if isinstance(part, str) and part[:1] not in {'"', "["}
        else part.text if isinstance(part, SheetMention)
        else "_"
        for part in parts
    )  # fmt: skip
    found = list(_COLUMNS.finditer(text))
    sheets = (unquoted(match["sheet"]) if match["sheet"] else sheet for match in found)
    between = sum(1 for part in parts if part == ":")
    return frozenset((name.lower(), 1, MAX_ROW) for name in sheets), between > len(found)
