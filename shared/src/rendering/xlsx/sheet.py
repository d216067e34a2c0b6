"""One worksheet: find its tags, lay it out, remember what is written."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rendering.language import Language, Scope
from rendering.model import RESERVED_COLUMNS, Scalar, TemplateError
from rendering.opc import child, local
from rendering.tags import (
    PICTURE_ROOTS,
    TEXT,
    Expression,
    Statement,
    expression,
    has_tags,
    opens_statement,
    pieces,
    statement,
)
from rendering.xlsx.formula import column_name, column_number, split_cell
from rendering.xlsx.known import MAX_KNOWN, Column
from rendering.xlsx.layout import Plan, Turn, lay_out, read
from rendering.xlsx.moves import Plans
from rendering.xlsx.strings import Strings, runs_of
from rendering.xlsx.totals import has_subtotal, is_subtotal

Element = Any
_TRUE = frozenset({"1", "true"})


@dataclass(frozen=True, slots=True)
class Tagged:
    """A cell with tags. ``whole`` is its expression when it is nothing else."""

    text: str
    texts: tuple[str, ...]
    whole: Expression | None
    item: Element


def expressions_in(text: str, place: str) -> Iterator[Expression]:
    """All expressions of a text, those inside statements too."""
    for piece in pieces(text, place):
        if piece.kind == "value":
            yield expression(piece.body, place)
        elif piece.kind == "statement":
            found = statement(piece.body, place)
            yield from (e for e in (found.over, found.condition) if e is not None)


@dataclass(slots=True)
class Sheet:
    """A worksheet part with what is known about it; ``plan`` is set once it is laid out."""

    name: str
    part: str
    root: Element
    scope: Scope
    rows: dict[int, Element] = field(default_factory=dict)
    tagged: dict[tuple[int, str], Tagged] = field(default_factory=dict)
    plan: Plan | None = None
    known: dict[str, Column] = field(default_factory=lambda: defaultdict(Column))
    pictures: list[tuple[str, int, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    title: str = ""  # the name it gets; empty: the one it has
    caches: list[str] = field(default_factory=list)  # data of pivot tables that look at this copy only
    stale: set[tuple[int, str]] = field(default_factory=set)  # cells whose results are no longer true
    charts: dict[str, Turn] = field(default_factory=dict)  # those in blocks: the turn of each part
    views: Plans | None = None  # how formulas of a copied sheet see the workbook
    subtotals: set[tuple[str, int]] = field(default_factory=set)  # cells that SUBTOTAL does not count
    _known_left: int = MAX_KNOWN

    @property
    def now(self) -> str:
        """The name it has in the report, in lower case."""
        return (self.title or self.name).lower()

    def scan(self, strings: Strings) -> None:
        """Number rows and cells, and find the tags."""
        data = child(self.root, "sheetData")
        if data is None:
            return
        at = 0
        for row in data:
            if local(row) != "row":
                continue
            at = int(row.get("r") or at + 1)
            row.set("r", str(at))
            self.rows[at] = row
            column = 0
            for cell in row:
                if local(cell) != "c":
                    continue
                column = column_number(split_cell(cell.get("r"))[0]) if cell.get("r") else column + 1
                cell.set("r", f"{column_name(column)}{at}")
                self._tag(cell, strings, at, column_name(column))

    def _tag(self, cell: Element, strings: Strings, row: int, column: str) -> None:
        kind = cell.get("t")
        if kind == "s":
            value = child(cell, "v")
            index = int(value.text) if value is not None and (value.text or "").strip().isdigit() else -1
            if index not in strings.tagged:
                return
            item = strings.items[index]
        elif kind == "inlineStr":
            item = child(cell, "is")
        else:
            return
        if item is None:
            return
        texts = tuple(t.text or "" for t in runs_of(item))
        text = "".join(texts)
        if not has_tags(text):
            return
        place = f"{self.name}!{column}{row}"
        found = list(pieces(text.strip(), place))
        whole = expression(found[0].body, place) if len(found) == 1 and found[0].kind == "value" else None
        self.tagged[row, column] = Tagged(text, texts, whole, item)

    def statements(self) -> dict[int, Statement]:
        """Rows that hold one statement and nothing else."""
        found: dict[int, Statement] = {}
        for (row, column), cell in self.tagged.items():
            parts = list(pieces(cell.text.strip(), f"{self.name}!{column}{row}"))
            if len(parts) == 1 and parts[0].kind == "statement" and not parts[0].body.startswith("sheet "):
                if row in found or self._filled(row) > 1:
                    raise TemplateError(
                        f"{self.name}, row {row}", "a statement shares its row with other cells",
                        "Give it a row of its own: that row vanishes",
                    )  # fmt: skip
                found[row] = statement(parts[0].body, f"{self.name}!{column}{row}")
        return found

    def rules(self) -> list[tuple[int, Statement]]:
        """Rows and statements that rule the whole sheet, ``{% sheet for c in t.rows %}``, outermost first."""
        found: list[tuple[int, Statement]] = []
        for (row, column), cell in sorted(self.tagged.items()):
            text = cell.text.strip()
            place = f"{self.name}!{column}{row}"
            first = next(iter(pieces(text, place))) if opens_statement(text) else None
            if first is not None and first.body.startswith("sheet "):
                found.append((row, statement(first.body, place)))
        return found

    def _filled(self, row: int) -> int:
        return sum(1 for cell in self.rows[row] if local(cell) == "c" and child(cell, "v") is not None)

    def lay_out(self, language: Language) -> Plan:
        """Decide where every row goes."""
        statements = self.statements()
        bound = {name for one in statements.values() for name in one.names} | set(self.scope.names)
        tables: dict[int, tuple[str, ...]] = {}
        ruling = frozenset(row for row, _ in self.rules())
        for (row, column), cell in sorted(self.tagged.items()):
            if row in statements or row in ruling:
                continue
            for one in expressions_in(cell.text, f"{self.name}!{column}{row}"):
                for path, _, _ in one.paths:
                    if is_column(path, bound) and path[0] in language.data.tables:
                        tables[row] = tuple(dict.fromkeys((*tables.get(row, ()), path[0])))
        nodes = read(statements, tables, self.name, ruling)
        self.plan = lay_out(sorted(self.rows), nodes, language, self.scope, self.name)
        return self.plan

    def hidden(self) -> list[tuple[int, int]]:
        """Output rows that a reader does not see, as the first and last of adjoining ones."""
        shape = child(self.root, "sheetFormatPr")
        usual = shape is not None and shape.get("zeroHeight") in _TRUE
        outs = self.plan.outs if self.plan is not None else ()
        return [(o.start, o.start + o.count - 1) for o in outs if usual or _is_hidden(self.rows[o.row])]

    def filled_rows(self) -> frozenset[int]:
        """Rows of the template that have tags."""
        return frozenset(row for row, _ in self.tagged)

    def note(self, column: str, row: int, value: Scalar) -> None:
        """Remember a value that was written; dates as the numbers they are."""
        if self._known_left > 0:
            self._known_left -= 1
            self.known[column].put(row, value)

    def note_result(self, column: str, row: int, value: Scalar, formula: str) -> None:
        """Remember the result of a formula."""
        if has_subtotal(formula):
            self.subtotals.add((column, row))
            if not is_subtotal(formula):
                return  # whether SUBTOTAL counts such a cell depends on the program
        self.note(column, row, value)

    def note_run(self, column: str, row: int, values: Sequence[Scalar]) -> None:
        """Remember values that were written from a row on downwards."""
        if self._known_left >= len(values):
            self._known_left -= len(values)
            self.known[column].extend(row, values)


def _is_hidden(row: Element) -> bool:
    height = row.get("ht", "")
    return row.get("hidden") in _TRUE or (height != "" and float(height) == 0)


def is_column(path: tuple[str, ...], bound: set[str]) -> bool:
    """Whether a path names a column of a table (and not a value, a loop variable or a part of a table)."""
    if len(path) < 2 or path[0] in bound or path[0] in PICTURE_ROOTS or path[0] == "meta":  # noqa: PLR2004
        return False
    return path[1] not in RESERVED_COLUMNS and not (len(path) == 2 and path[1] == TEXT)  # noqa: PLR2004
