"""Repeated rows as text, column by column: building elements would cost ten times as much.

A row of a table is written for thousands of records at once: each cell of the pattern makes the texts of its
whole column, and the columns are woven together. What is long is packed as it grows.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from rendering.language import Language, Scope
from rendering.model import Cell, Scalar, TableData, TemplateError
from rendering.opc import child, local, namespace
from rendering.packing import Packed, Packer
from rendering.tags import TEXT, Expression
from rendering.text import fill, fill_runs
from rendering.values import shown
from rendering.xlsx.cells import Cells, Look
from rendering.xlsx.formula import split_cell
from rendering.xlsx.layout import Out
from rendering.xlsx.moves import split_range
from rendering.xlsx.sheet import Sheet, Tagged, expressions_in

Element = Any
CHUNK = 4_096  # rows written at a time
_LONG = 1 << 20  # characters: a longer block is packed while it grows

Down = Callable[[str, Out], tuple[str, list[int]] | None]
"""A formula of a repeated row with ``%d`` for row numbers, and these numbers in the first repetition."""


class Block:
    """Rows that stand below each other."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._size = 0
        self._packer: Packer | None = None

    def add(self, text: str) -> None:
        """Put rows below those there are."""
        self._texts.append(text)
        self._size += len(text)
        if self._size > _LONG:
            self._packer = self._packer or Packer()
            self._packer.add("".join(self._texts).encode())
            self._texts, self._size = [], 0

    def pieces(self) -> list[bytes | Packed]:
        """What there is, as stretches of the part."""
        rest: list[bytes | Packed] = ["".join(self._texts).encode()]
        return rest if self._packer is None else [self._packer.stretch(), *rest]


@dataclass
class Span:
    """Some repetitions of a row: the first, and the numbers of the rows they become."""

    out: Out
    first: int
    rows: list[str]
    tables: dict[str, TableData] = field(default_factory=dict)

    @cached_property
    def scopes(self) -> list[Scope]:
        """What names mean in each row; a table has no record past its end."""
        stop = self.first + len(self.rows)
        found: dict[str, list[Any]] = {}
        for name, table in self.tables.items():
            names = [column.name for column in table.columns]
            own = [dict(zip(names, row, strict=True)) for row in table.rows[self.first : stop]]
            found[name] = [*own, *[None] * (len(self.rows) - len(own))]
        return [
            self.out.scope.with_rows({name: rows[at] for name, rows in found.items()})
            for at in range(len(self.rows))
        ]


Pattern = Callable[[Span], list[str]]
"""Writes a cell of the pattern in all rows of a span."""


class Repeats:
    """Writes the rows of one sheet that are no longer those of the template."""

    def __init__(
        self, sheet: Sheet, language: Language, cells: Cells, move: Callable[[str, Out, int], str], down: Down
    ) -> None:
        self.sheet = sheet
        self.language = language
        self.cells = cells
        self.move = move
        self.down = down
        space = namespace(sheet.root)
        prefix = next((p for p, uri in sheet.root.nsmap.items() if uri == space[1:-1]), None)
        self.prefix = f"{prefix}:" if prefix else ""
        self._known: dict[int, tuple[str, list[Pattern]]] = {}

    def many(self, row: Element, out: Out, block: Block) -> None:
        """Write a row once for every record of its tables."""
        assert out.repeat is not None  # noqa: S101 - the caller looked
        attributes = self._attributes(row)
        patterns = [self._pattern(cell, out) for cell in row if local(cell) == "c"]
        tables = {name: self.language.data.tables[name] for name in out.repeat.tables}
        for first in range(0, out.count, CHUNK):
            last = min(first + CHUNK, out.count)
            rows = [str(out.start + turn) for turn in range(first, last)]
            block.add(self._woven(attributes, patterns, Span(out, first, rows, tables)))

    def once(self, row: Element, out: Out, block: Block) -> None:
        """Write a row of a loop or condition."""
        known = self._known.get(out.row)
        if known is None:
            patterns = [self._pattern(cell, out) for cell in row if local(cell) == "c"]
            known = self._known[out.row] = self._attributes(row), patterns
        block.add(self._woven(*known, Span(out, 0, [str(out.start)])))

    def _woven(self, attributes: str, patterns: list[Pattern], span: Span) -> str:
        width = len(patterns) + 2
        parts = [f"</{self.prefix}row>"] * (width * len(span.rows))
        parts[0::width] = [f'<{self.prefix}row r="{row}"{attributes}>' for row in span.rows]
        for position, pattern in enumerate(patterns, 1):
            parts[position::width] = pattern(span)
        return "".join(parts)

    @staticmethod
    def _attributes(element: Element, without: Iterable[str] = ("r",)) -> str:
        found = ((k, v) for k, v in element.attrib.items() if k not in without)
        return "".join(f" {_name(element, key)}={quoteattr(value)}" for key, value in found)

    def _pattern(self, cell: Element, out: Out) -> Pattern:
        column = split_cell(cell.get("r"))[0]
        opening = f'<{self.prefix}c r="{column}'
        extra = self._attributes(cell, ("r", "s", "t"))
        look = Look(opening, self.prefix, cell.get("s", ""), extra)
        tagged = self.sheet.tagged.get((out.row, column))
        formula = child(cell, "f")
        if tagged is not None:
            return self._value(look, tagged, column, out)
        if formula is not None:
            return self._formula(look, column, formula, out)
        if (out.row, column) in self.sheet.stale:
            return lambda span: [look.empty(row) for row in span.rows]
        return self._static(cell, look, column)

    def _static(self, cell: Element, look: Look, column: str) -> Pattern:
        value, certain = static(cell, self.cells), is_certain(cell)
        opening, tail = look.opening, look.shape(look.style, cell.get("t", "n"))
        inner = "".join(self._copied(e) for e in cell)
        tail += f">{inner}</{self.prefix}c>" if inner else "/>"

        def write(span: Span) -> list[str]:
            if certain:
                self.sheet.note_run(column, span.out.start + span.first, [value] * len(span.rows))
            return [f"{opening}{row}{tail}" for row in span.rows]

        return write

    def _copied(self, element: Element) -> str:
        if local(element) == "v" and not len(element):
            return f"<{self.prefix}v>{escape(element.text or '')}</{self.prefix}v>"
        return etree.tostring(element, encoding="unicode", with_tail=False)

    def _formula(self, look: Look, column: str, formula: Element, out: Out) -> Pattern:
        opening, end = look.opening, f"</{self.prefix}f></{self.prefix}c>"
        array = self._array(column, formula, out)
        start = f"{look.shape(look.style)}><{self.prefix}f"
        text = formula.text or ""

        def write(span: Span) -> list[str]:
            if span.out.empty:
                return [look.empty(row) for row in span.rows]
            found = self._filled_down(text, span)
            if array is None:
                return [
                    f"{opening}{row}{start}>{each}{end}" for row, each in zip(span.rows, found, strict=True)
                ]
            return [
                f'{opening}{row}{start} t="array" ref="{array % {"row": row}}">{each}{end}'
                for row, each in zip(span.rows, found, strict=True)
            ]

        return write

    def _array(self, column: str, formula: Element, out: Out) -> str | None:
        """The cells an array formula fills in each row; None for an ordinary formula.

        Raises TemplateError for one that fills other rows too: its copies would lie over each other.
        """
        kind = formula.get("t", "normal")
        if kind not in {"array", "dataTable"}:
            return None
        corners = split_range(formula.get("ref") or f"{column}{out.row}")
        if kind == "dataTable" or corners is None or corners[1] != corners[3]:
            raise TemplateError(
                f"{self.sheet.name}!{column}{out.row}",
                "a formula that fills several rows stands in a row that repeats",
                "Let it fill cells of its own row only, or move it out of the row that repeats",
            )
        left, _, right, _ = corners
        return f"{left}%(row)s" if left == right else f"{left}%(row)s:{right}%(row)s"

    def _filled_down(self, text: str, span: Span) -> Sequence[str]:
        turns = range(span.first, span.first + len(span.rows))
        read = self.down(text, span.out) if len(turns) > 1 else None
        if read is None:
            return [escape(self.move(text, span.out, turn)) for turn in turns]
        pattern, starts = escape(read[0]), read[1]
        if not starts:
            return [pattern % ()] * len(turns)
        series = [range(start + span.first, start + span.first + len(turns)) for start in starts]
        return [pattern % numbers for numbers in zip(*series, strict=True)]

    def _value(self, look: Look, tagged: Tagged, column: str, out: Out) -> Pattern:
        place = f"{self.sheet.name}!{column}{out.row}"
        whole = tagged.whole
        if whole is not None and whole.picture:
            return self._picture(look, column, whole.picture)
        if len(tagged.texts) > 1 and out.repeat is None:
            return self._rich(look, tagged, column, place)
        read = self._reader(tagged, out, place)
        look = Look(look.opening, look.prefix, look.style, look.extra, self._code(whole))

        def write(span: Span) -> list[str]:
            found: Sequence[Cell] = [None] * len(span.rows) if span.out.empty else read(span)
            texts, values = self.cells.column(found, span.rows, look, place)
            self.sheet.note_run(column, span.out.start + span.first, values)
            return texts

        return write

    def _picture(self, look: Look, column: str, name: str) -> Pattern:
        def write(span: Span) -> list[str]:
            if not span.out.empty:
                self.sheet.pictures.extend((column, int(row), name) for row in span.rows)
            return [look.empty(row) for row in span.rows]

        return write

    def _rich(self, look: Look, tagged: Tagged, column: str, place: str) -> Pattern:
        """A text of several looks in a row of a loop."""

        def write(span: Span) -> list[str]:
            texts = fill_runs(list(tagged.texts), self.language, span.out.scope, place)
            number = self.cells.strings.add_rich(tagged.item, texts)
            self.sheet.note_run(column, span.out.start, ["".join(texts)])
            return [look.cell(row, look.style, "s", str(number)) for row in span.rows]

        return write

    def _reader(self, tagged: Tagged, out: Out, place: str) -> Callable[[Span], Sequence[Cell]]:
        """How to get the values; the common case, one column and nothing else, without any evaluation."""
        whole, language = tagged.whole, self.language
        used = list(expressions_in(tagged.text, place)) if whole is None else [whole]
        path = whole.simple if whole is not None else None
        table = language.data.tables.get(path[0]) if path and path[0] not in out.scope.names else None
        names = [c.name for c in table.columns] if table is not None else []
        is_text = path is not None and path[2:] == (TEXT,)
        if path and out.repeat and path[1:2] and path[1] in names and (len(path) == 2 or is_text):  # noqa: PLR2004
            name, at = path[0], names.index(path[1])
            return lambda span: _taken(span, name, at, self.language if is_text else None)

        def one(scope: Scope) -> Cell:
            if _past_end(used, scope):
                return "" if whole is None else None
            if whole is None:
                return fill(tagged.text, language, scope, place)
            return language.value(whole, scope, place)

        return lambda span: [one(scope) for scope in span.scopes]

    def _code(self, whole: Expression | None) -> str | None:
        """The number format of a column that a cell consists of."""
        path = whole.simple if whole else None
        table = self.language.data.tables.get(path[0]) if path else None
        if table is None or path is None or len(path) != 2:  # noqa: PLR2004 - table.column
            return None
        return next((c.excel_format for c in table.columns if c.name == path[1]), None)


def _taken(span: Span, name: str, at: int, language: Language | None) -> list[Cell]:
    """The cells of a column of data; of its texts if a language is given. None past the end of its table."""
    rows = span.tables[name].rows[span.first : span.first + len(span.rows)]
    found: list[Cell] = [row[at] for row in rows]
    if language is not None:
        found = [shown(cell, language.options) for cell in found]
    return found + [None] * (len(span.rows) - len(found))


def _past_end(used: Iterable[Expression], scope: Scope) -> bool:
    return any(
        path[0] in scope.rows and scope.rows[path[0]] is None for one in used for path, _, _ in one.paths
    )


def static(cell: Element, cells: Cells) -> Scalar:
    """The value of a cell of the template."""
    value = child(cell, "v")
    text: str | None = value.text if value is not None else None
    if text is None:
        return None
    kind = cell.get("t", "n")
    if kind == "s":
        return cells.strings.text(int(text))
    if kind == "b":
        return text.strip() in {"1", "true"}
    try:
        return float(text) if kind == "n" else text
    except ValueError:
        return text


def is_certain(cell: Element) -> bool:
    """Whether a total over a cell of the template is known: not over errors, and dates as texts."""
    return cell.get("t") not in {"e", "d"}


def _name(element: Element, key: str) -> str:
    """An attribute name as it is written, with its prefix."""
    if not key.startswith("{"):
        return key
    uri, _, name = key[1:].partition("}")
    prefix = next((p for p, u in element.nsmap.items() if u == uri and p), None)
    return f"{prefix}:{name}" if prefix else name
