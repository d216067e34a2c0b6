"""The rows of a laid-out sheet: those that stand once are edited in place, repeated ones written as text."""

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from lxml import etree

from rendering.language import Language
from rendering.model import raw
from rendering.opc import child, local, namespace
from rendering.packing import Packed
from rendering.text import fill, fill_runs
from rendering.xlsx.cells import Cells
from rendering.xlsx.formula import split_cell
from rendering.xlsx.layout import Out
from rendering.xlsx.repeats import Block, Down, Repeats, is_certain, static
from rendering.xlsx.sheet import Sheet, Tagged
from rendering.xlsx.totals import is_plain

Element = Any
_MARK = "broadsheet-rows"

Move = Callable[[str, Out, int], str]
"""Moves a formula of an output row: the formula, the row, and which repetition."""


class Writer:
    """Writes the rows of one sheet."""

    def __init__(self, sheet: Sheet, language: Language, cells: Cells, move: Move, down: Down) -> None:
        self.sheet = sheet
        self.language = language
        self.cells = cells
        self.move = move
        self.space = namespace(sheet.root)
        self.repeats = Repeats(sheet, language, cells, move, down)
        self.blocks: list[Block] = []

    def rows(self) -> None:
        """Replace the rows of the sheet by the rows of its plan; repeats are left as marks for ``pieces``."""
        plan, sheet = self.sheet.plan, self.sheet
        data = child(sheet.root, "sheetData")
        if plan is None or data is None:
            return
        result: list[Element] = []
        in_block = False
        for out in plan.outs:
            source = sheet.rows[out.row]
            if out.repeat is None and (out.turn is plan.root or self._in_tree(source)):
                result.append(self._row(source if out.turn is plan.root else deepcopy(source), out))
                in_block = False
                continue
            if not in_block:
                result.append(etree.ProcessingInstruction(_MARK, str(len(self.blocks))))
                self.blocks.append(Block())
                in_block = True
            if out.repeat is not None:
                self.repeats.many(source, out, self.blocks[-1])
            else:
                self.repeats.once(source, out, self.blocks[-1])
        data[:] = result

    @staticmethod
    def _in_tree(row: Element) -> bool:
        """Whether a formula of the row may get its result when all values are known."""
        formulas = (child(cell, "f") for cell in row)
        return any(f is not None and is_plain(f.text or "") for f in formulas)

    def pieces(self, serialized: bytes) -> list[bytes | Packed]:
        """The serialized sheet with the marks replaced by the rows they stand for."""
        parts = re.split(rb"<\?" + _MARK.encode() + rb" (\d+)\?>", serialized)
        out: list[bytes | Packed] = []
        for position, part in enumerate(parts):
            out.extend(self.blocks[int(part)].pieces() if position % 2 else [part])
        return out

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
        if value is None or (out.row, column) not in self.sheet.stale:
            if formula is not None and value is not None and is_certain(cell):
                self.sheet.note_result(column, out.start, static(cell, self.cells), formula.text or "")
            elif formula is None and is_certain(cell):
                self.sheet.note(column, out.start, static(cell, self.cells))
            return
        cell.remove(value)
        cell.attrib.pop("t", None)

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
        elif len(tagged.texts) > 1:
            texts = fill_runs(list(tagged.texts), self.language, out.scope, place)
            self._set(cell, "s", str(self.cells.strings.add_rich(tagged.item, texts)))
            self.sheet.note(column, out.start, "".join(texts))
            return
        else:
            value = fill(tagged.text, self.language, out.scope, place)
        style = self.cells.style(cell.get("s", ""), value, None)
        if style:
            cell.set("s", style)
        kind, text = self.cells.content(value, place)
        self.sheet.note(column, out.start, self.cells.seen(raw(value)))
        if kind != "empty":
            self._set(cell, kind, text)

    def _set(self, cell: Element, kind: str, text: str) -> None:
        if kind != "n":
            cell.set("t", kind)
        value = cell.makeelement(self.space + "v")
        value.text = text
        cell.insert(0, value)
