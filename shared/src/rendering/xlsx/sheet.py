"""One worksheet: find its tags, lay it out, write its rows."""

import re
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime
from math import isfinite
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from rendering.language import Language, Scope
from rendering.model import RESERVED_COLUMNS, Cell, Formatted, Scalar, TableData, TemplateError, raw
from rendering.opc import child, local, namespace
from rendering.tags import PICTURE_ROOTS, TEXT, Expression, Statement, expression, has_tags, pieces, statement
from rendering.text import fill, fill_runs
from rendering.values import clean, serial, shown
from rendering.xlsx.formula import column_name, column_number, split_cell
from rendering.xlsx.layout import Out, Plan, lay_out, read, records_of
from rendering.xlsx.moves import Plans
from rendering.xlsx.strings import MAX_TEXT, Strings, Styles, runs_of

Element = Any
MAX_EXACT = 10**15  # a spreadsheet keeps 15 digits; longer whole numbers are written as text
MAX_KNOWN = 400_000  # cells whose values are kept for chart caches and known totals
_MARK = "broadsheet-rows"

Move = Callable[[str, Out, int], str]
"""Moves a formula of an output row: the formula, the row, and which repetition."""


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
    known: dict[str, dict[int, Scalar]] = field(default_factory=dict)
    pictures: list[tuple[str, int, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    title: str = ""  # the name it gets; empty: the one it has
    views: Plans | None = None  # how formulas of a copied sheet see the workbook
    _known_left: int = MAX_KNOWN

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

    def rule(self) -> tuple[int, Statement | None]:
        """The row and the statement that rule the whole sheet: ``{% sheet for c in carriers.rows %}``."""
        for (row, column), cell in self.tagged.items():
            text = cell.text.strip()
            if text.startswith("{%") and text[2:].lstrip("-+ ").startswith("sheet "):
                place = f"{self.name}!{column}{row}"
                return row, statement(next(iter(pieces(text, place))).body, place)
        return 0, None

    def _filled(self, row: int) -> int:
        return sum(1 for cell in self.rows[row] if local(cell) == "c" and child(cell, "v") is not None)

    def lay_out(self, language: Language) -> Plan:
        """Decide where every row goes."""
        statements = self.statements()
        bound = {name for one in statements.values() for name in one.names} | set(self.scope.names)
        tables: dict[int, tuple[str, ...]] = {}
        for (row, column), cell in sorted(self.tagged.items()):
            if row in statements or row == self.rule()[0]:
                continue
            for one in expressions_in(cell.text, f"{self.name}!{column}{row}"):
                for path, _, _ in one.paths:
                    if is_column(path, bound) and path[0] in language.data.tables:
                        tables[row] = tuple(dict.fromkeys((*tables.get(row, ()), path[0])))
        nodes = read(statements, tables, self.name, self.rule()[0])
        self.plan = lay_out(sorted(self.rows), nodes, language, self.scope, self.name)
        return self.plan

    def filled_rows(self) -> frozenset[int]:
        """Rows of the template that have tags."""
        return frozenset(row for row, _ in self.tagged)

    def note(self, column: str, row: int, value: Scalar) -> None:
        """Remember a value that was written."""
        if self._known_left > 0:
            self._known_left -= 1
            self.known.setdefault(column, {})[row] = serial(value) if isinstance(value, date) else value


def is_column(path: tuple[str, ...], bound: set[str]) -> bool:
    """Whether a path names a column of a table (and not a value, a loop variable or a part of a table)."""
    if len(path) < 2 or path[0] in bound or path[0] in PICTURE_ROOTS or path[0] == "meta":  # noqa: PLR2004
        return False
    return path[1] not in RESERVED_COLUMNS and not (len(path) == 2 and path[1] == TEXT)  # noqa: PLR2004


class Writer:
    """Writes the rows of one sheet."""

    def __init__(
        self, sheet: Sheet, language: Language, strings: Strings, styles: Styles, move: Move
    ) -> None:
        self.sheet = sheet
        self.language = language
        self.strings = strings
        self.styles = styles
        self.move = move
        space = namespace(sheet.root)
        self.space = space
        prefix = next((p for p, uri in sheet.root.nsmap.items() if uri == space[1:-1]), None)
        self.prefix = f"{prefix}:" if prefix else ""
        self.blocks: list[list[str]] = []

    def rows(self) -> None:
        """Replace the rows of the sheet by the rows of its plan; repeats are left as marks for ``bytes``."""
        plan, sheet = self.sheet.plan, self.sheet
        data = child(sheet.root, "sheetData")
        if plan is None or data is None:
            return
        result: list[Element] = []
        for out in plan.outs:
            source = sheet.rows[out.row]
            if out.repeat:
                result.append(etree.ProcessingInstruction(_MARK, str(len(self.blocks))))
                self.blocks.append(list(self._repeat(source, out)))
            else:
                result.append(self._row(source if out.turn is plan.root else deepcopy(source), out))
        data[:] = result

    def bytes(self, serialized: bytes) -> bytes:
        """The serialized sheet with the marks replaced by the rows they stand for."""
        parts = re.split(rb"<\?" + _MARK.encode() + rb" (\d+)\?>", serialized)
        out: list[bytes] = []
        for position, part in enumerate(parts):
            out.append("".join(self.blocks[int(part)]).encode() if position % 2 else part)
        return b"".join(out)

    # single rows: edited in place

    def _row(self, row: Element, out: Out) -> Element:
        row.set("r", str(out.start))
        row.tail = None
        for cell in row:
            if local(cell) != "c":
                continue
            column = split_cell(cell.get("r"))[0]
            cell.set("r", f"{column}{out.start}")
            tagged = self.sheet.tagged.get((out.row, column))
            if tagged is not None:
                self._fill(cell, tagged, column, out)
            else:
                self._keep(cell, column, out)
        return row

    def _keep(self, cell: Element, column: str, out: Out) -> None:
        formula = child(cell, "f")
        if formula is not None:
            if formula.text:
                formula.text = self.move(formula.text, out, 0)
            for name in ("ref", "r1", "r2"):
                if formula.get(name):
                    formula.set(name, self.move(formula.get(name), out, 0))
            value = child(cell, "v")
            if value is not None:
                cell.remove(value)
            cell.attrib.pop("t", None)
        else:
            self.sheet.note(column, out.start, self._static(cell))

    def _static(self, cell: Element) -> Scalar:
        value = child(cell, "v")
        text: str | None = value.text if value is not None else None
        if text is None:
            return None
        kind = cell.get("t", "n")
        if kind == "s":
            return self.strings.text(int(text))
        try:
            return float(text) if kind == "n" else text
        except ValueError:
            return text

    def _fill(self, cell: Element, tagged: Tagged, column: str, out: Out) -> None:
        place = f"{self.sheet.name}!{column}{out.row}"
        for one in list(cell):
            if local(one) in {"v", "is", "f"}:
                cell.remove(one)
        cell.attrib.pop("t", None)
        if tagged.whole is not None and tagged.whole.picture:
            self.sheet.pictures.append((column, out.start, tagged.whole.picture))
            return
        if tagged.whole is not None:
            value = self.language.value(tagged.whole, out.scope, place)
            style = self._style(cell.get("s", ""), value, None)
        elif len(tagged.texts) > 1:
            texts = fill_runs(list(tagged.texts), self.language, out.scope, place)
            self._set(cell, "s", str(self.strings.add_rich(tagged.item, texts)))
            self.sheet.note(column, out.start, "".join(texts))
            return
        else:
            value, style = fill(tagged.text, self.language, out.scope, place), cell.get("s", "")
        if style:
            cell.set("s", style)
        kind, text = self._content(value, place)
        self.sheet.note(column, out.start, raw(value))
        if kind != "empty":
            self._set(cell, kind, text)

    def _set(self, cell: Element, kind: str, text: str) -> None:
        if kind != "n":
            cell.set("t", kind)
        value = cell.makeelement(self.space + "v")
        value.text = text
        cell.insert(0, value)

    def _style(self, style: str, cell: Cell, column_format: str | None) -> str:
        value = raw(cell)
        if isinstance(value, date):
            return self.styles.dated(style, with_time=isinstance(value, datetime))
        if isinstance(value, int | float) and not isinstance(value, bool):
            code = (cell.excel_format if isinstance(cell, Formatted) else None) or column_format
            return self.styles.formatted(style, code) if code else style
        return style

    def _content(self, cell: Cell, place: str) -> tuple[str, str]:
        """Kind and text of a cell: a number, a shared string, a truth value, or nothing."""
        value = raw(cell)
        if value is None or value == "":
            return "empty", ""
        if isinstance(value, bool):
            return "b", "1" if value else "0"
        if isinstance(value, int) and abs(value) >= MAX_EXACT:
            value = str(value)
        if isinstance(value, int | float):
            return ("n", repr(value)) if isfinite(value) else ("empty", "")
        if isinstance(value, date):
            return "n", repr(serial(value))
        text = clean(value)
        if len(text) > MAX_TEXT:
            self.sheet.warnings.append(
                f"{place}: a text was cut to {MAX_TEXT} characters, all a cell can hold"
            )
            text = text[:MAX_TEXT]
        return "s", str(self.strings.add(text))

    # repeated rows: written as text, since building elements would cost ten times as much

    def _repeat(self, row: Element, out: Out) -> Iterator[str]:
        assert out.repeat is not None  # noqa: S101 - the caller looked
        attributes = "".join(
            f' {_name(row, key)}="{escape(value, {chr(34): "&quot;"})}"'
            for key, value in row.attrib.items()
            if key != "r"
        )
        cells = [self._pattern(cell, out) for cell in row if local(cell) == "c"]
        opening, closing = f'<{self.prefix}row r="', f"</{self.prefix}row>"
        for turn, rows in enumerate(records_of(out.repeat, self.language.data)):
            number = str(out.start + turn)
            scope = out.scope.with_rows(rows)
            yield (
                f'{opening}{number}"{attributes}>'
                + "".join([c(number, turn, scope) for c in cells])
                + closing
            )

    def _pattern(self, cell: Element, out: Out) -> Callable[[str, int, Scope], str]:
        """A function that writes this cell of the pattern in a given row."""
        column = split_cell(cell.get("r"))[0]
        style = cell.get("s", "")
        head = f'<{self.prefix}c r="{column}'
        extra = "".join(
            f' {_name(cell, k)}="{escape(v)}"' for k, v in cell.attrib.items() if k not in {"r", "s", "t"}
        )
        tagged = self.sheet.tagged.get((out.row, column))
        formula = child(cell, "f")
        if tagged is not None:
            return self._pattern_value(head, (style, extra), tagged, column, out)
        if formula is not None and formula.text:
            return self._pattern_formula(head, extra, style, formula.text, out)
        value = self._static(cell)
        kind = f' t="{cell.get("t")}"' if cell.get("t") else ""
        tail = f'"{_s(style)}{kind}{extra}>' + "".join(
            etree.tostring(e, encoding="unicode", with_tail=False) for e in cell
        )
        tail += f"</{self.prefix}c>"

        def static(number: str, _turn: int, _scope: Scope) -> str:
            self.sheet.note(column, int(number), value)
            return head + number + tail

        return static

    def _pattern_formula(
        self, head: str, extra: str, style: str, text: str, out: Out
    ) -> Callable[[str, int, Scope], str]:
        tail = f'"{_s(style)}{extra}><{self.prefix}f>'
        end = f"</{self.prefix}f></{self.prefix}c>"

        def formula(number: str, turn: int, _scope: Scope) -> str:
            if out.empty:
                return f'{head}{number}"{_s(style)}/>'
            return head + number + tail + escape(self.move(text, out, turn)) + end

        return formula

    def _pattern_value(
        self, head: str, look: tuple[str, str], tagged: Tagged, column: str, out: Out
    ) -> Callable[[str, int, Scope], str]:
        style, extra = look
        place = f"{self.sheet.name}!{column}{out.row}"
        read = self._reader(tagged, out, place)
        column_format = self._column_format(tagged.whole)
        prefix, note = self.prefix, self.sheet.note

        def value(number: str, _turn: int, scope: Scope) -> str:
            if tagged.whole is not None and tagged.whole.picture:
                if not out.empty:
                    self.sheet.pictures.append((column, int(number), tagged.whole.picture))
                return f'{head}{number}"{_s(style)}{extra}/>'
            found = None if out.empty else read(scope)
            kind, text = self._content(found, place)
            note(column, int(number), raw(found))
            if kind == "empty":
                return f'{head}{number}"{_s(style)}{extra}/>'
            shape = _s(self._style(style, found, column_format)) + (f' t="{kind}"' if kind != "n" else "")
            return f'{head}{number}"{shape}{extra}><{prefix}v>{text}</{prefix}v></{prefix}c>'

        return value

    def _reader(self, tagged: Tagged, out: Out, place: str) -> Callable[[Scope], Cell]:
        """How to get the value; the common case, one column and nothing else, without any evaluation."""
        whole, language = tagged.whole, self.language
        if whole is None:
            return lambda scope: self._text_in_row(tagged, scope, place)
        path = whole.simple
        if (
            path
            and path[0] in language.data.tables
            and path[0] not in out.scope.names
            and len(path) in {2, 3}
        ):
            table = language.data.tables[path[0]]
            if path[1] in {c.name for c in table.columns} and (len(path) == 2 or path[2] == TEXT):  # noqa: PLR2004
                if len(path) == 2:  # noqa: PLR2004
                    return lambda scope: (scope.rows.get(path[0]) or {}).get(path[1])
                return lambda scope: shown((scope.rows.get(path[0]) or {}).get(path[1]), language.options)
        return lambda scope: None if _past_end([whole], scope) else language.value(whole, scope, place)

    def _text_in_row(self, tagged: Tagged, scope: Scope, place: str) -> str:
        """A text in a repeated row; empty past the end of its own table beside a longer one."""
        if _past_end(expressions_in(tagged.text, place), scope):
            return ""
        return fill(tagged.text, self.language, scope, place)

    def _column_format(self, whole: Expression | None) -> str | None:
        path = whole.simple if whole else None
        table: TableData | None = self.language.data.tables.get(path[0]) if path else None
        if table is None or path is None or len(path) != 2:  # noqa: PLR2004 - table.column
            return None
        return next((c.excel_format for c in table.columns if c.name == path[1]), None)


def _past_end(used: Iterable[Expression], scope: Scope) -> bool:
    return any(
        path[0] in scope.rows and scope.rows[path[0]] is None for one in used for path, _, _ in one.paths
    )


def _s(style: str) -> str:
    return f' s="{style}"' if style else ""


def _name(element: Element, key: str) -> str:
    """An attribute name as it is written, with its prefix."""
    if not key.startswith("{"):
        return key
    uri, _, name = key[1:].partition("}")
    prefix = next((p for p, u in element.nsmap.items() if u == uri and p), None)
    return f"{prefix}:{name}" if prefix else name
