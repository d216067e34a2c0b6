"""What the rendering bench compares: for each kind our engine, the usual library, and the limit.

Every contender is made once from the table and then called; only the call is timed. All of one kind make the
same document, as far as the library can: what one cannot is said beside it.
"""

import zipfile
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any

from rendering import (
    ColumnData,
    Meta,
    OutputFormat,
    RenderData,
    RenderOptions,
    TableData,
    TemplateKind,
    render,
)

Make = Callable[[], bytes]
Write = Callable[[], int]
"""Makes a file too long to be held, and returns its size."""
COLUMNS = ("id", "day", "city", "street", "note", "owner", "pieces", "amount", "share", "status")
_KINDS = ("number", "date", "text", "text", "text", "text", "number", "number", "number", "text")
_HEAD = 5  # the repeating row of the workbook, from 1
_ON_SLIDE = 25


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to make a document: ``prepare`` takes the number of rows and returns what is timed."""

    kind: str
    name: str
    prepare: Callable[[int], Make | Write]


def rows_of(count: int) -> list[tuple[Any, ...]]:
    """Ten columns with what breaks writers that do not escape."""
    return list(made_rows(count))


def made_rows(count: int) -> Iterator[tuple[Any, ...]]:
    """The same, a row at a time."""
    first = date(2026, 1, 1)
    cities = [f"Zürich & <Umgebung> {i}" for i in range(200)]
    streets = [f"Große Straße {i}" for i in range(1_000)]
    owners = [f'O\'Neill "{i}"' for i in range(50)]
    for i in range(count):
        yield (
            i,
            first + timedelta(days=i % 365),
            cities[i % 200],
            streets[i % 1_000],
            f"note no. {i}",
            owners[i % 50],
            i % 977,
            (i * 37 % 100_000) / 100,
            (i % 101) / 100,
            ("open", "done", "late")[i % 3],
        )


def data_of(count: int) -> RenderData:
    """The table as the engine takes it."""
    kinds: Any = _KINDS
    columns = tuple(ColumnData(name, kind) for name, kind in zip(COLUMNS, kinds, strict=True))
    meta = Meta(datetime(2026, 3, 2, tzinfo=UTC), report="bench")
    return RenderData(meta, {"title": "Orders"}, {"t": TableData(columns, rows_of(count))})


def ours(kind: TemplateKind, output: OutputFormat, template: Callable[[], bytes]) -> Callable[[int], Make]:
    def prepare(count: int) -> Make:
        data, content = data_of(count), template()
        return lambda: render(kind, content, data, RenderOptions(), output).content

    return prepare


def _packing(first: Callable[[int], Make]) -> Callable[[int], Make]:
    """The limit of a package: its finished parts, packed as we pack them, and nothing else."""

    def prepare(count: int) -> Make:
        from rendering.packing import pack  # noqa: PLC0415 - the runner itself stays small
        from rendering.zipped import ZipWriter  # noqa: PLC0415

        with zipfile.ZipFile(BytesIO(first(count)())) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}

        def make() -> bytes:
            out = BytesIO()
            writer = ZipWriter(out)
            for name, content in parts.items():
                writer.add(name, pack(content))
            writer.close()
            return out.getvalue()

        return make

    return prepare


# workbooks


def workbook_template() -> bytes:
    """A styled table with a total, two charts over it, a data bar and a filter."""
    import xlsxwriter  # noqa: PLC0415

    out = BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet("Orders")
        head = book.add_format({"bold": True, "bg_color": "#1F6F8B", "font_color": "white"})
        sheet.write("A1", "{{ title }}", book.add_format({"bold": True, "font_size": 16}))
        sheet.write_row("A4", [name.title() for name in COLUMNS], head)
        for column, (name, kind) in enumerate(zip(COLUMNS, _KINDS, strict=True)):
            code = {"date": "yyyy-mm-dd", "number": "#,##0.00"}.get(kind, "@")
            sheet.write(_HEAD - 1, column, f"{{{{ t.{name} }}}}", book.add_format({"num_format": code}))
        sheet.write("A6", "Total", head)
        for letter in "GH":
            sheet.write_formula(f"{letter}6", f"=SUM({letter}5:{letter}5)", head)
        sheet.conditional_format("H5:H5", {"type": "data_bar", "data_bar_2010": True})
        sheet.autofilter("A4:J5")
        for kind, place in (("line", "L2"), ("column", "L20")):
            chart = book.add_chart({"type": kind})
            chart.add_series({"categories": "=Orders!$A$5:$A$5", "values": "=Orders!$H$5:$H$5"})
            sheet.insert_chart(place, chart)
    return out.getvalue()


def _openpyxl(count: int) -> Make:
    """Fill the template; the total is moved and widened by hand, charts and formats stay where they were."""
    import openpyxl  # noqa: PLC0415

    template, rows = workbook_template(), rows_of(count)

    def make() -> bytes:
        book = openpyxl.load_workbook(BytesIO(template))
        sheet: Any = book["Orders"]
        sheet["A1"] = "Orders"
        styles = [copy(cell._style) for cell in sheet[_HEAD]]
        total = [copy(cell._style) for cell in sheet[_HEAD + 1]]
        for number, row in enumerate(rows, _HEAD):
            for column, value in enumerate(row, 1):
                cell = sheet.cell(number, column, value)
                cell._style = styles[column - 1]
        last = _HEAD + len(rows)
        for column in (1, 7, 8):
            letter = "ABCDEFGHIJ"[column - 1]
            text = "Total" if column == 1 else f"=SUM({letter}{_HEAD}:{letter}{last - 1})"
            sheet.cell(last, column, text)._style = total[column - 1]
        out = BytesIO()
        book.save(out)
        return out.getvalue()

    return make


def _xlsxwriter(count: int) -> Make:
    """The same workbook from nothing."""
    import xlsxwriter  # noqa: PLC0415

    rows = rows_of(count)

    def make() -> bytes:
        out = BytesIO()
        with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
            sheet = book.add_worksheet("Orders")
            head = book.add_format({"bold": True, "bg_color": "#1F6F8B", "font_color": "white"})
            codes = [{"date": "yyyy-mm-dd", "number": "#,##0.00"}.get(kind, "@") for kind in _KINDS]
            formats = [book.add_format({"num_format": code}) for code in codes]
            sheet.write("A1", "Orders")
            sheet.write_row("A4", [name.title() for name in COLUMNS], head)
            for number, row in enumerate(rows, _HEAD - 1):
                for column, (value, look) in enumerate(zip(row, formats, strict=True)):
                    if isinstance(value, date):
                        sheet.write_datetime(number, column, value, look)
                    elif isinstance(value, str):
                        sheet.write_string(number, column, value, look)
                    else:
                        sheet.write_number(number, column, value, look)
            last = _HEAD + len(rows)
            sheet.write(f"A{last}", "Total", head)
            for letter in "GH":
                sheet.write_formula(f"{letter}{last}", f"=SUM({letter}{_HEAD}:{letter}{last - 1})", head)
            sheet.conditional_format(f"H5:H{last - 1}", {"type": "data_bar", "data_bar_2010": True})
            sheet.autofilter(f"A4:J{last - 1}")
            for kind, place in (("line", "L2"), ("column", "L20")):
                chart = book.add_chart({"type": kind})
                chart.add_series(
                    {"categories": f"=Orders!$A$5:$A${last - 1}", "values": f"=Orders!$H$5:$H${last - 1}"}
                )
                sheet.insert_chart(place, chart)
        return out.getvalue()

    return make


# documents


def _document(rows: list[list[str]]) -> bytes:
    import docx  # noqa: PLC0415

    document = docx.Document()
    document.add_heading("{{ title }}", 1)
    table = document.add_table(0, len(COLUMNS), style="Table Grid")
    for row in ([name.title() for name in COLUMNS], *rows):
        cells = table.add_row().cells
        for cell, text in zip(cells, row, strict=True):
            cell.text = text
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def docx_template() -> bytes:
    return _document([[f"{{{{ t.{name} }}}}" for name in COLUMNS]])


def _docxtpl(count: int) -> Make:
    from docxtpl import DocxTemplate  # noqa: PLC0415

    def line(first: str) -> list[str]:
        return [first] + [""] * (len(COLUMNS) - 1)

    template = _document(
        [line("{%tr for r in rows %}"), [f"{{{{ r.{n} }}}}" for n in COLUMNS], line("{%tr endfor %}")]
    )
    context = {"title": "Orders", "rows": [dict(zip(COLUMNS, row, strict=True)) for row in rows_of(count)]}

    def make() -> bytes:
        document = DocxTemplate(BytesIO(template))
        document.render(context, autoescape=True)
        out = BytesIO()
        document.save(out)
        return out.getvalue()

    return make


# presentations


def _deck(tables: list[list[list[str]]]) -> bytes:
    import pptx  # noqa: PLC0415
    from pptx.util import Inches, Pt  # noqa: PLC0415

    deck = pptx.Presentation()
    for rows in tables:
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        slide.shapes.title.text = "Orders"
        size = Inches(0.2), Inches(1.4), Inches(9.6), Inches(0.2 * len(rows))
        table = slide.shapes.add_table(len(rows), len(COLUMNS), *size).table
        for row, texts in zip(table.rows, rows, strict=True):
            row.height = Inches(0.2)
            for cell, text in zip(row.cells, texts, strict=True):
                cell.text = text
                cell.text_frame.paragraphs[0].runs[0].font.size = Pt(7) if text else None
    out = BytesIO()
    deck.save(out)
    return out.getvalue()


_TITLES = [name.title() for name in COLUMNS]


def pptx_template() -> bytes:
    return _deck([[_TITLES, [f"{{{{ t.{name} }}}}" for name in COLUMNS]]])


def _python_pptx(count: int) -> Make:
    rows = [[str(value) for value in row] for row in rows_of(count)]

    def pages() -> Iterator[list[list[str]]]:
        for start in range(0, len(rows), _ON_SLIDE):
            yield [_TITLES, *rows[start : start + _ON_SLIDE]]

    return lambda: _deck(list(pages()))


# pages

_STYLE = "<style>table{border-collapse:collapse;font-size:7pt}td,th{border:1px solid #999}</style>"
_THEAD = "<thead><tr>" + "".join(f"<th>{title}</th>" for title in _TITLES) + "</tr></thead>"
_ROW = "<tr>" + "".join(f"<td>{{{{ r.{name} }}}}</td>" for name in COLUMNS) + "</tr>"


def _page(over: str) -> str:
    body = f"<h1>{{{{ title }}}}</h1><table>{_THEAD}<tbody>{{% for r in {over} %}}{_ROW}{{% endfor %}}"
    return f"<!DOCTYPE html><html lang='en'><head>{_STYLE}</head><body>{body}</tbody></table></body></html>"


def _context(count: int) -> dict[str, Any]:
    rows = [[str(value) if isinstance(value, date) else value for value in row] for row in rows_of(count)]
    return {"title": "Orders", "rows": [dict(zip(COLUMNS, row, strict=True)) for row in rows]}


def _jinja(count: int) -> Make:
    import jinja2  # noqa: PLC0415

    page, context = jinja2.Environment(autoescape=True).from_string(_page("rows")), _context(count)
    return lambda: page.render(context).encode()


def _minijinja(count: int) -> Make:
    import minijinja  # noqa: PLC0415

    source, context = _page("rows"), _context(count)
    engine = minijinja.Environment(templates={"page.html": source})
    return lambda: engine.render_template("page.html", **context).encode()


def _weasyprint(count: int) -> Make:
    import weasyprint  # noqa: PLC0415

    page = _minijinja(count)().decode()
    return lambda: weasyprint.HTML(string=page).write_pdf() or b""


def _template_page() -> bytes:
    return _page("t.rows").encode()


_WORKBOOK = ours(TemplateKind.XLSX, OutputFormat.XLSX, workbook_template)
_DOCUMENT = ours(TemplateKind.DOCX, OutputFormat.DOCX, docx_template)
_DECK = ours(TemplateKind.PPTX, OutputFormat.PPTX, pptx_template)

CONTENDERS = (
    Contender("xlsx", "ours", _WORKBOOK),
    Contender("xlsx", "openpyxl, template", _openpyxl),
    Contender("xlsx", "XlsxWriter, from nothing", _xlsxwriter),
    Contender("xlsx", "limit: packing", _packing(_WORKBOOK)),
    Contender("docx", "ours", _DOCUMENT),
    Contender("docx", "docxtpl", _docxtpl),
    Contender("docx", "limit: packing", _packing(_DOCUMENT)),
    Contender("pptx", "ours", _DECK),
    Contender("pptx", "python-pptx, from nothing", _python_pptx),
    Contender("pptx", "limit: packing", _packing(_DECK)),
    Contender("html", "ours", ours(TemplateKind.HTML, OutputFormat.HTML, _template_page)),
    Contender("html", "Jinja2", _jinja),
    Contender("html", "limit: minijinja", _minijinja),
    Contender("pdf", "ours", ours(TemplateKind.HTML, OutputFormat.PDF, _template_page)),
    Contender("pdf", "limit: WeasyPrint", _weasyprint),
)
