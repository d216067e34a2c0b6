"""What stands in cells: kind, text and style of a value, one by one or a column at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import compress
from math import isfinite
from types import NoneType
from typing import Any
from xml.sax.saxutils import escape

from rendering.model import Cell, Formatted, Scalar, raw
from rendering.values import cell_text, clean, serial
from rendering.xlsx.strings import MAX_TEXT, RISKY, Strings, Styles

MAX_EXACT = 10**15  # a spreadsheet keeps 15 digits; longer whole numbers are written as text
_DAYS_TO_1904 = 1_462  # of workbooks whose days are counted from 1904, as old Macs did
_NUMBERS = frozenset({int, float})
_DATES = frozenset({date, datetime})


@dataclass(frozen=True, slots=True)
class Look:
    """How the cells of a column are written: ``opening`` up to the row number, prefix, style and the rest.

    ``code`` is the number format of the source for cells whose style leaves it open.
    """

    opening: str
    prefix: str
    style: str = ""
    extra: str = ""
    code: str | None = None

    def shape(self, style: str, kind: str = "n") -> str:
        """What stands between the row number and the content."""
        return f'"{styled(style)}{f" t={chr(34)}{kind}{chr(34)}" if kind != "n" else ""}{self.extra}'

    def empty(self, number: str) -> str:
        """A cell without a value."""
        return f"{self.opening}{number}{self.shape(self.style)}/>"

    def cell(self, number: str, style: str, kind: str, text: str) -> str:
        """A cell; ``text`` is XML."""
        tag = f"<{self.prefix}is><{self.prefix}t{_KEPT}>" if kind == "inlineStr" else f"<{self.prefix}v>"
        end = f"</{self.prefix}t></{self.prefix}is>" if kind == "inlineStr" else f"</{self.prefix}v>"
        return f"{self.opening}{number}{self.shape(style, kind)}>{tag}{text}{end}</{self.prefix}c>"

    def numbers(self, rows: Sequence[str], style: str, found: Sequence[Scalar], kind: str = "n") -> list[str]:
        """Cells of numbers, or of numbers of shared texts."""
        opening, shape = self.opening, f"{self.shape(style, kind)}><{self.prefix}v>"
        end = f"</{self.prefix}v></{self.prefix}c>"
        return [f"{opening}{row}{shape}{value!r}{end}" for row, value in zip(rows, found, strict=True)]


_KEPT = ' xml:space="preserve"'


def styled(style: str) -> str:
    """The attribute of a style."""
    return f' s="{style}"' if style else ""


class Cells:
    """Writes values; adds the texts and styles they need to the workbook."""

    def __init__(
        self, strings: Strings, styles: Styles, warnings: list[str], *, from_1904: bool = False
    ) -> None:
        self.strings = strings
        self._epoch = _DAYS_TO_1904 if from_1904 else 0
        self.styles = styles
        self.warnings = warnings

    def content(self, cell: Cell, place: str, *, shared: bool = True) -> tuple[str, str]:
        """Kind and text of a cell: a number, a text, a truth value, or nothing.

        A text is written into the shared strings, unless these are many and it need not be ``shared``.
        """
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
            return "n", repr(self.serial(value))
        text = clean(value)
        if len(text) > MAX_TEXT:
            self.warnings.append(f"{place}: a text was cut to {MAX_TEXT} characters, all a cell can hold")
            text = text[:MAX_TEXT]
        number = self.strings.many([text]) if not shared else [self.strings.add(text)]
        return ("s", str(number[0])) if number else ("inlineStr", escape(cell_text(text)))

    def style(self, style: str, cell: Cell, code: str | None) -> str:
        """The style of a cell that had one: with a number format where that was left open."""
        value = raw(cell)
        if isinstance(value, date):
            return self.styles.dated(style, with_time=isinstance(value, datetime))
        if isinstance(value, int | float) and not isinstance(value, bool):
            wanted = (cell.excel_format if isinstance(cell, Formatted) else None) or code
            return self.styles.formatted(style, wanted) if wanted else style
        return self.styles.quoted(style) if isinstance(value, str) and value.startswith(RISKY) else style

    def serial(self, value: date) -> float:
        """A date as this workbook counts."""
        return serial(value) - self._epoch

    def seen(self, value: Scalar) -> Scalar:
        """A value as the noted cells have it: dates as numbers."""
        if isinstance(value, date):
            return self.serial(value)
        if isinstance(value, int) and abs(value) >= MAX_EXACT:
            return str(value)  # a text, as no number of a workbook has so many digits
        return None if isinstance(value, float) and not isfinite(value) else value

    def column(
        self, found: Sequence[Cell], rows: Sequence[str], look: Look, place: str
    ) -> tuple[list[str], Sequence[Scalar]]:
        """The cells of values below each other, and what a reader will see in them (dates as numbers)."""
        kinds: set[Any] = set(map(type, found))
        plain: Sequence[Any] = found
        if Formatted in kinds:
            plain = [raw(cell) for cell in found]
            kinds = set(map(type, plain))
        if NoneType in kinds and len(kinds) > 1:
            return self._sparse(found, plain, rows, look, place)
        if kinds == {NoneType}:
            return [look.empty(row) for row in rows], plain
        if kinds == {str}:
            written = self._texts(plain, rows, look)
        elif kinds <= _DATES and len(kinds) == 1:
            serials = {day: self.serial(day) for day in set(plain)}
            plain = [serials[day] for day in plain]
            style = self.styles.dated(look.style, with_time=kinds == {datetime})
            return look.numbers(rows, style, plain), plain
        elif (
            kinds <= _NUMBERS
            and all(map(isfinite, plain))
            and -MAX_EXACT < min(plain) <= max(plain) < MAX_EXACT
        ):
            written = self._numbers(found, plain, rows, look)
        else:
            written = None
        if written is None:
            written = [self._one(cell, row, look, place) for cell, row in zip(found, rows, strict=True)]
            plain = [self.seen(value) for value in plain]
        return written, plain

    def _sparse(
        self, found: Sequence[Cell], plain: Sequence[Any], rows: Sequence[str], look: Look, place: str
    ) -> tuple[list[str], Sequence[Scalar]]:
        """A column with gaps: what is there as a column of its own, and the gaps between."""
        there = [value is not None for value in plain]
        cells, values = self.column(list(compress(found, there)), list(compress(rows, there)), look, place)
        written, seen = iter(cells), iter(values)
        return (
            [next(written) if full else look.empty(row) for full, row in zip(there, rows, strict=True)],
            [next(seen) if full else None for full in there],
        )

    def _texts(self, texts: Sequence[str], rows: Sequence[str], look: Look) -> list[str] | None:
        if not all(texts) or max(map(len, texts)) > MAX_TEXT:
            return None
        numbers = self.strings.many(texts)
        if numbers is None or not self.strings.risky.isdisjoint(numbers):
            return None
        return look.numbers(rows, look.style, numbers, "s")

    def _numbers(
        self, found: Sequence[Cell], plain: Sequence[Any], rows: Sequence[str], look: Look
    ) -> list[str] | None:
        if self.styles.settled(look.style):
            return look.numbers(rows, look.style, plain)
        codes = (
            {None}
            if found is plain
            else {c.excel_format if isinstance(c, Formatted) else None for c in found}
        )
        if len(codes) > 1:
            return None
        code = codes.pop() or look.code
        style = self.styles.formatted(look.style, code) if code else look.style
        return look.numbers(rows, style, plain)

    def _one(self, cell: Cell, row: str, look: Look, place: str) -> str:
        kind, text = self.content(cell, place, shared=False)
        if kind == "empty":
            return look.empty(row)
        return look.cell(row, self.style(look.style, cell, look.code), kind, text)
