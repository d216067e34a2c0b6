"""A table as a plain workbook, written row by row: a million rows in the memory of a few thousand."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import date
from math import isfinite
from typing import IO
from xml.sax.saxutils import escape

from rendering.model import Cell, ColumnData, Formatted, TemplateError, check_widths, raw
from rendering.packing import pack
from rendering.values import cell_text, clean, serial
from rendering.xlsx.formula import column_name
from rendering.zipped import ZipWriter

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOC = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAX_ROWS = 1_048_575  # below the heading
_MAX_TEXT = 32_767
_MAX_EXACT = 10**15
_MIN_WIDTH, _MAX_WIDTH, _LOOK = 8, 60, 200
_SHARED = 50_000  # texts kept to be shared; what comes later stands in its cell
_SHARED_CHARS = 2 * 1024 * 1024
_SHEET = "xl/worksheets/sheet1.xml"
_MAX_STYLES = 60_000  # of a workbook; Excel opens none with more than 65,490


class SheetExport:
    """One sheet with a heading that stays, a filter, and a format for every column.

    Widths are those the first rows need. Formulas cannot come about: a text is written as a text.
    """

    def __init__(self, out: IO[bytes], columns: Sequence[ColumnData], title: str) -> None:
        self._columns = tuple(columns)
        self._letters = [column_name(n + 1) for n in range(len(self._columns))]
        self._number = 1
        self._strings: dict[str, int] = {}
        self._room = _SHARED_CHARS
        self._zip = ZipWriter(out)
        for name, text in _parts(title).items():
            self._zip.add(name, pack(text.encode()))
        # Styles are written last: single cells may have a number format of their own.
        self._formats = _formats(self._columns)
        self._styles: dict[str, str] = {}
        self._open = ExitStack()
        self._write: Callable[[str], None] | None = None

    def write(self, rows: Sequence[tuple[Cell, ...]]) -> None:
        """Add rows. Raises TemplateError when the sheet is full."""
        check_widths(rows, len(self._columns))
        write = self._begun(rows)
        count = self._number - 1 + len(rows)
        if count > _MAX_ROWS:
            raise TemplateError("export", f"{count} rows do not fit a sheet", "Export as csv, or filter")
        cell, number = self._cell, self._number
        heads = [(f'<c r="{letter}', f'" s="{place + 2}"') for place, letter in enumerate(self._letters)]
        for row in rows:
            number += 1
            cells = [
                cell(start, number, style, value) for (start, style), value in zip(heads, row, strict=True)
            ]
            write(f'<row r="{number}">{"".join(cells)}</row>')
        self._number = number

    def close(self) -> None:
        """Finish the file, which stays open."""
        write = self._begun([])
        write(f'</sheetData><autoFilter ref="A1:{self._letters[-1]}{self._number}"/></worksheet>')
        self._open.close()
        with self._zip.part("xl/sharedStrings.xml") as text:
            text(f'{_XML}<sst xmlns="{_MAIN}">')
            for one in self._strings:
                text(f"<si>{_t(one)}</si>")
            text("</sst>")
        self._zip.add("xl/styles.xml", pack(_styles(self._formats).encode()))
        self._zip.close()

    def _begun(self, rows: Sequence[tuple[Cell, ...]]) -> Callable[[str], None]:
        if self._write is None:
            self._write = write = self._open.enter_context(self._zip.part(_SHEET))
            write(f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">')
            write('<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView>')
            write("</sheetViews><cols>")
            for position, wide in enumerate(_widths(self._columns, rows[:_LOOK]), 1):
                write(f'<col min="{position}" max="{position}" width="{wide}" customWidth="1"/>')
            write('</cols><sheetData><row r="1">')
            for letter, column in zip(self._letters, self._columns, strict=True):
                write(self._cell(f'<c r="{letter}', 1, '" s="1"', column.heading))
            write("</row>")
        return self._write

    def _cell(self, start: str, number: int, style: str, value: Cell) -> str:
        if isinstance(value, Formatted):
            if value.excel_format:
                style = self._style(value.excel_format)
            value = value.value
        if isinstance(value, str):
            return self._text(f"{start}{number}{style}", value)
        if value is None:
            return f"{start}{number}{style}/>"
        if isinstance(value, bool):
            return f'{start}{number}{style} t="b"><v>{int(value)}</v></c>'
        if isinstance(value, date):
            value = serial(value)
        if isinstance(value, float) and not isfinite(value):
            return f"{start}{number}{style}/>"
        if isinstance(value, int) and abs(value) >= _MAX_EXACT:
            return self._text(f"{start}{number}{style}", str(value))
        return f"{start}{number}{style}><v>{value!r}</v></c>"

    def _style(self, code: str) -> str:
        found = self._styles.get(code)
        if found is None and len(self._formats) >= _MAX_STYLES:
            return '" s="0"'
        if found is None:
            found = self._styles[code] = f'" s="{len(self._formats) + 2}"'
            self._formats.append(code)
        return found

    def _text(self, head: str, value: str) -> str:
        index = self._strings.get(value)
        if index is None:
            kept = clean(value)[:_MAX_TEXT]
            if not kept:
                return f"{head}/>"
            index = self._strings.get(kept)
            if index is None:
                if len(kept) > self._room or len(self._strings) >= _SHARED:
                    return f'{head} t="inlineStr"><is>{_t(kept)}</is></c>'
                self._room -= len(kept)
                index = self._strings[kept] = len(self._strings)
        return f'{head} t="s"><v>{index}</v></c>'


def _t(text: str) -> str:
    return f'<t xml:space="preserve">{escape(cell_text(text))}</t>'


def _widths(columns: Sequence[ColumnData], rows: Sequence[tuple[Cell, ...]]) -> Iterable[int]:
    for position, column in enumerate(columns):
        shown = [raw(row[position]) for row in rows]
        lengths = [len(str(value)) for value in shown if value is not None]
        yield max(_MIN_WIDTH, min(_MAX_WIDTH, max([len(column.heading) + 3, *lengths]) + 2))


def _formats(columns: Sequence[ColumnData]) -> list[str]:
    standard = {"date": "yyyy-mm-dd", "datetime": "yyyy-mm-dd hh:mm"}
    return [column.excel_format or standard.get(column.kind, "General") for column in columns]


def _parts(title: str) -> dict[str, str]:
    pointers = {"rId1": ("worksheet", "worksheets/sheet1.xml"), "rId2": ("styles", "styles.xml"),
                "rId3": ("sharedStrings", "sharedStrings.xml")}  # fmt: skip
    return {
        "[Content_Types].xml": _CONTENT_TYPES,
        "_rels/.rels": _rels({"rId1": ("officeDocument", "xl/workbook.xml")}),
        "xl/workbook.xml": _workbook(title),
        "xl/_rels/workbook.xml.rels": _rels(pointers),
    }


def _styles(formats: Iterable[str]) -> str:
    codes = [escape(code, {'"': "&quot;"}) for code in formats]
    numbers = "".join(f'<numFmt numFmtId="{164 + i}" formatCode="{code}"/>' for i, code in enumerate(codes))
    xfs = "".join(
        f'<xf numFmtId="{164 + i}" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        for i in range(len(codes))
    )
    return "".join(
        (
            f'{_XML}<styleSheet xmlns="{_MAIN}"><numFmts count="{len(codes)}">{numbers}</numFmts>',
            '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>',
            '<font><b/><sz val="11"/><color rgb="FFFFFFFF"/><name val="Calibri"/></font></fonts>',
            '<fills count="3"><fill><patternFill patternType="none"/></fill>',
            '<fill><patternFill patternType="gray125"/></fill>',
            '<fill><patternFill patternType="solid"><fgColor rgb="FF1F6F8B"/></patternFill></fill></fills>',
            '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>',
            '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>',
            f'<cellXfs count="{len(codes) + 2}">',
            '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>',
            '<xf numFmtId="0" fontId="1" fillId="2" borderId="0" xfId="0" applyFont="1" applyFill="1"/>',
            f"{xfs}</cellXfs>",
            '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>',
            "</styleSheet>",
        )
    )


def _workbook(title: str) -> str:
    name = "".join(c for c in clean(title) if c not in "[]:*?/\\'")[:31].strip() or "Data"
    quoted = escape(name, {'"': "&quot;"})
    return (
        f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_DOC}"><sheets>'
        f'<sheet name="{quoted}" sheetId="1" r:id="rId1"/></sheets></workbook>'
    )


def _rels(targets: dict[str, tuple[str, str]]) -> str:
    lines = "".join(
        f'<Relationship Id="{i}" Type="{_DOC}/{kind}" Target="{t}"/>' for i, (kind, t) in targets.items()
    )
    return f'{_XML}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{lines}</Relationships>'


_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_SHEETML = "application/vnd.openxmlformats-officedocument.spreadsheetml."
_CONTENT_TYPES = (
    f'{_XML}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_SHEETML}sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_SHEETML}worksheet+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_SHEETML}styles+xml"/>'
    f'<Override PartName="/xl/sharedStrings.xml" ContentType="{_SHEETML}sharedStrings+xml"/></Types>'
)
