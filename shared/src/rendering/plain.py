"""Tables exported as they are: csv and text, and a plain styled workbook."""

import csv
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from io import BytesIO, StringIO
from math import isfinite
from typing import Any
from xml.sax.saxutils import escape

from rendering.model import Cell, ColumnKind, RenderData, RenderOptions, Scalar, TableData, TemplateError, raw
from rendering.opc import build
from rendering.values import cell_text, clean, display, serial
from rendering.xlsx.formula import column_name

_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOC = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAX_ROWS = 1_048_575  # below the heading
_MAX_TEXT = 32_767
_MAX_EXACT = 10**15
_MIN_WIDTH, _MAX_WIDTH, _LOOK = 8, 60, 200


def table_of(data: RenderData, options: RenderOptions) -> TableData:
    """The table a plain export takes."""
    name = options.table or (next(iter(data.tables)) if len(data.tables) == 1 else "")
    if name not in data.tables:
        known = ", ".join(sorted(data.tables)) or "none"
        raise TemplateError("export", f"there is no table {name!r} to export", f"Choose one of: {known}")
    return data.tables[name]


def to_csv(table: TableData, options: RenderOptions, separator: str = "") -> bytes:
    """Comma separated values (RFC 4180), UTF-8; texts a spreadsheet would run get an apostrophe."""
    out = StringIO()
    writer = csv.writer(out, delimiter=separator or options.csv_separator, lineterminator="\r\n")
    guard = options.csv_guard
    writer.writerow([_guarded(c.heading) if guard else c.heading for c in table.columns])
    for row in table.rows:
        writer.writerow([_text(cell, options, guard=guard) for cell in row])
    return out.getvalue().encode("utf-8-sig" if options.csv_bom else "utf-8", "replace")


def to_parquet(table: TableData) -> bytes:
    """A typed column file: numbers, dates and truth values by the kind of the column, texts otherwise."""
    import polars as pl  # noqa: PLC0415 - only this export needs it

    kinds: dict[str, Any] = {
        "number": pl.Float64,
        "date": pl.Date,
        "datetime": pl.Datetime("us"),
        "bool": pl.Boolean,
        "text": pl.String,
    }
    columns = []
    for position, column in enumerate(table.columns):
        values = [_typed(raw(row[position]), column.kind) for row in table.rows]
        columns.append(pl.Series(column.name, values, dtype=kinds[column.kind], strict=False))
    out = BytesIO()
    pl.DataFrame(columns).write_parquet(out, compression="zstd", statistics=True)
    return out.getvalue()


def _typed(value: Scalar, kind: ColumnKind) -> Scalar:
    """The value as its column has it; what does not fit is missing, except that anything can be a text."""
    if isinstance(value, bool) or value is None:
        return value if kind == "bool" else None if kind != "text" or value is None else str(value).lower()
    fits: Scalar = None
    if kind == "text":
        fits = value if isinstance(value, str) else display(value, RenderOptions())
    elif kind == "number" and isinstance(value, int | float):
        fits = float(value)
    elif kind == "date" and isinstance(value, date):
        fits = value.date() if isinstance(value, datetime) else value
    elif kind == "datetime" and isinstance(value, date):
        fits = value if isinstance(value, datetime) else datetime.combine(value, time())
        fits = fits.replace(tzinfo=None)
    return fits


def _text(cell: Cell, options: RenderOptions, *, guard: bool) -> str:
    value = raw(cell)
    if isinstance(value, str):
        return _guarded(clean(value)) if guard else clean(value)
    return display(value, options)


def _guarded(text: str) -> str:
    return "'" + text if text.lstrip(" ").startswith(_RISKY) else text


def to_xlsx(table: TableData, title: str) -> bytes:
    """One sheet with a heading that stays, a filter, and a format for every column."""
    if len(table.rows) > _MAX_ROWS:
        raise TemplateError(
            "export", f"{len(table.rows)} rows do not fit a sheet", "Export as csv, or filter"
        )
    strings: dict[str, int] = {}
    formats = _formats(table)
    parts = {
        "[Content_Types].xml": [_CONTENT_TYPES],
        "_rels/.rels": [_rels({"rId1": ("officeDocument", "xl/workbook.xml")})],
        "xl/workbook.xml": [_workbook(title)],
        "xl/_rels/workbook.xml.rels": [
            _rels({"rId1": ("worksheet", "worksheets/sheet1.xml"), "rId2": ("styles", "styles.xml"),
                   "rId3": ("sharedStrings", "sharedStrings.xml")})
        ],
        "xl/styles.xml": [_styles(formats)],
        "xl/worksheets/sheet1.xml": _sheet(table, strings, formats),
        "xl/sharedStrings.xml": _strings(strings),
    }  # fmt: skip
    return build(parts)


def _formats(table: TableData) -> list[str]:
    standard = {"date": "yyyy-mm-dd", "datetime": "yyyy-mm-dd hh:mm"}
    return [c.excel_format or standard.get(c.kind, "General") for c in table.columns]


def _sheet(table: TableData, strings: dict[str, int], formats: list[str]) -> Iterator[str]:
    width = len(table.columns)
    last = column_name(width)
    yield f'{_XML}<worksheet xmlns="{_MAIN}"><dimension ref="A1:{last}{len(table.rows) + 1}"/>'
    yield '<sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" '
    yield 'activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><cols>'
    for position, wide in enumerate(_widths(table), 1):
        yield f'<col min="{position}" max="{position}" width="{wide}" customWidth="1"/>'
    yield "</cols><sheetData>"
    names = [column_name(n + 1) for n in range(width)]
    yield (
        '<row r="1">'
        + "".join(_cell(f"{n}1", c.heading, 1, strings) for n, c in zip(names, table.columns, strict=True))
        + "</row>"
    )
    styles = [2 + position for position in range(len(formats))]
    for number, row in enumerate(table.rows, 2):
        yield (
            f'<row r="{number}">'
            + "".join(
                [
                    _cell(f"{n}{number}", raw(cell), s, strings)
                    for n, s, cell in zip(names, styles, row, strict=True)
                ]
            )
            + "</row>"
        )
    yield f'</sheetData><autoFilter ref="A1:{last}{len(table.rows) + 1}"/></worksheet>'


def _cell(place: str, value: object, style: int, strings: dict[str, int]) -> str:
    if isinstance(value, bool):
        return f'<c r="{place}" s="{style}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, date | datetime):
        value = serial(value)
    if isinstance(value, float) and not isfinite(value):
        value = None
    if isinstance(value, int) and abs(value) >= _MAX_EXACT:
        value = str(value)
    if value is None or value == "":
        return f'<c r="{place}" s="{style}"/>'
    if isinstance(value, int | float):
        return f'<c r="{place}" s="{style}"><v>{value!r}</v></c>'
    index = strings.setdefault(clean(str(value))[:_MAX_TEXT], len(strings))
    return f'<c r="{place}" s="{style}" t="s"><v>{index}</v></c>'


def _widths(table: TableData) -> Iterator[int]:
    for position, column in enumerate(table.columns):
        lengths = [
            len(str(raw(row[position]))) for row in table.rows[:_LOOK] if raw(row[position]) is not None
        ]
        yield max(_MIN_WIDTH, min(_MAX_WIDTH, max([len(column.heading) + 3, *lengths]) + 2))


def _strings(strings: dict[str, int]) -> Iterator[str]:
    """Read after the sheet was written: the order of parts is the order of use."""
    yield f'{_XML}<sst xmlns="{_MAIN}">'
    for text in strings:
        yield f'<si><t xml:space="preserve">{escape(cell_text(text))}</t></si>'
    yield "</sst>"


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
