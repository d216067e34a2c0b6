"""Make the Word, PowerPoint and HTML examples and the pictures of what they become.

    PYTHONPATH=tests python -m support.make_examples

The templates are ordinary files: open and change them by hand as well. Needs the packages of the development
environment and, for the pictures, LibreOffice.
"""

from io import BytesIO
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
from docx.enum.text import WD_BREAK
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.shared import Pt, RGBColor
from PIL import Image
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches
from pptx.util import Pt as SlidePoints

from rendering import OutputFormat, RenderOptions, TemplateKind, render
from support.examples import sales
from support.pages import pictures, to_pdf

HERE = Path(__file__).parents[2] / "docs" / "templates" / "examples"
IMAGES = HERE.parent / "images"
COLUMNS = ("Product", "Units", "Revenue", "Growth")
CELLS = (
    "{{ r.product }}",
    "{{ r.units | number }}",
    "{{ r.revenue | number(2) }}",
    "{{ r.growth | percent }}",
)
TOTALS = (
    "Total",
    '{{ group.rows | sum(attribute="units") | number }}',
    '{{ group.rows | sum(attribute="revenue") | number(2) }}',
    "",
)
FOR_REGION = '{% for region in sales.rows | groupby("region") %}'
FOR_GROUP = '{% for group in region.rows | groupby("group") %}'
BELOW = '{% if region.rows | sum(attribute="revenue") < target %}'


def chart_workbook() -> bytes:
    """The data sheet of a chart: one row per group of the region."""
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.title = "Sheet1"
    for line in (
        ("Group", "Revenue"),
        (FOR_GROUP,),
        ("{{ group.grouper }}", '{{ group.rows | sum(attribute="revenue") }}'),
        ("{% endfor %}",),
    ):
        sheet.append(line)
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def _chart(frame: Any) -> None:
    """Give a chart of python-pptx the data sheet with tags, and ranges that mean its repeated row."""
    part = frame.chart.part
    part.chart_workbook.xlsx_part._blob = chart_workbook()
    for formula in part._element.iter("{*}f"):
        column = "B" if "$B$" in (formula.text or "") else "A"
        row = 1 if "$1" in (formula.text or "") else 3
        formula.text = f"Sheet1!${column}${row}" + ("" if row == 1 else f":${column}$3")


def _slide_chart(slide: Any, left: float, top: float, width: float, height: float) -> Any:
    data: Any = CategoryChartData()  # type: ignore[no-untyped-call]
    data.categories = ["x"]
    data.add_series("Revenue", (1,))
    frame = slide.shapes.add_chart(
        XL_CHART_TYPE.BAR_CLUSTERED, Inches(left), Inches(top), Inches(width), Inches(height), data
    )
    frame.chart.has_legend = False
    frame.chart.has_title = True
    frame.chart.chart_title.text_frame.text = "Revenue of {{ region.grouper }} by group"
    _chart(frame)
    return frame


def presentation() -> bytes:
    """A slide per region, in it a slide per group whose table runs over, and a chart on each."""
    deck = pptx.Presentation()
    deck.slide_width, deck.slide_height = Inches(10), Inches(5.625)

    def box(slide: Any, text: str, place: tuple[float, float, float, float], size: int = 14) -> Any:
        shape = slide.shapes.add_textbox(*(Inches(one) for one in place))
        shape.text_frame.word_wrap = True
        shape.text_frame.text = text
        for paragraph in shape.text_frame.paragraphs:
            for run in paragraph.runs:
                run.font.size = SlidePoints(size)
        return shape

    first = deck.slides.add_slide(deck.slide_layouts[6])
    box(first, "{{ meta.report }}", (0.5, 0.4, 6, 0.7), 32)
    box(first, "for {{ meta.recipient }}, {{ meta.now | date('%d %B %Y') }}", (0.5, 1.1, 6, 0.4))
    box(first, "{{ image('logo') }}", (8, 0.4, 1.5, 0.6))
    box(first, "{{ chart('by_region') }}", (0.5, 1.8, 9, 3.4))

    region = deck.slides.add_slide(deck.slide_layouts[6])
    box(region, '{% slide for region in sales.rows | groupby("region") %}', (0.2, 5.1, 6, 0.4))
    box(region, "{{ region.grouper }}", (0.5, 0.3, 6, 0.6), 28)
    box(
        region,
        BELOW + "Below the target of {{ target | number }}{% else %}On target{% endif %}",
        (6.5, 0.4, 3, 0.4),
    )
    _slide_chart(region, 0.5, 1.1, 9, 4)
    region.notes_slide.notes_text_frame.text = (
        "Speak about {{ region.rows | length }} products of {{ region.grouper }}."
    )

    group = deck.slides.add_slide(deck.slide_layouts[6])
    box(group, '{% slide for region in sales.rows | groupby("region") %}', (0.2, 5.1, 4, 0.4))
    box(group, '{% slide for group in region.rows | groupby("group") %}', (4.4, 5.1, 4, 0.4))
    box(group, "{{ region.grouper }}: {{ group.grouper }}", (0.5, 0.3, 6, 0.6), 28)
    box(group, "{{ image('logo') }}", (8, 0.3, 1.5, 0.6))
    lines = [COLUMNS, ("{% for r in group.rows %}", "", "", ""), CELLS, ("{% endfor %}", "", "", ""), TOTALS]
    frame = group.shapes.add_table(
        len(lines), 4, Inches(0.5), Inches(1.1), Inches(9), Inches(0.36 * len(lines))
    )
    for row, texts in zip(frame.table.rows, lines, strict=True):
        row.height = Inches(0.36)
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
            for run in cell.text_frame.paragraphs[0].runs:
                run.font.size = SlidePoints(12)
                run.font.bold = texts in (COLUMNS, TOTALS)
    box(group, "{% if group.rows | length == 1 %}Only one product here{% endif %}", (0.5, 4.6, 6, 0.4))
    frame.table.horz_banding = True
    out = BytesIO()
    deck.save(out)
    return out.getvalue()


def document() -> bytes:
    """A page per region with its chart, in it a section per group with a table, conditions and pictures."""
    document = docx.Document()
    header = document.sections[0].header.paragraphs[0]
    header.text = "{{ meta.report }} for {{ meta.recipient }}"
    document.sections[0].footer.paragraphs[0].text = "Made {{ meta.now | date('%d %B %Y') }}"
    document.add_paragraph("{{ image('logo') }}")
    document.add_heading("{{ meta.report }}", 0)
    document.add_paragraph("Revenue of all regions: {{ total | number(2) }}.")
    document.add_paragraph("{{ chart('by_region') }}")
    document.add_paragraph(FOR_REGION)
    document.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
    document.add_heading("{{ region.grouper }}", 1)
    document.add_paragraph(BELOW)
    warning = document.add_paragraph().add_run("Below the target of {{ target | number }}.")
    warning.bold, warning.font.color.rgb = True, RGBColor(0xC0, 0x39, 0x2B)
    document.add_paragraph("{% else %}")
    document.add_paragraph("On target.")
    document.add_paragraph("{% endif %}")
    _document_chart(document)
    document.add_paragraph(FOR_GROUP)
    document.add_heading("{{ group.grouper }}", 2)
    lines = [COLUMNS, ("{% for r in group.rows %}", "", "", ""), CELLS, ("{% endfor %}", "", "", ""), TOTALS]
    table = document.add_table(len(lines), 4, style="Light Grid Accent 1")
    for row, texts in zip(table.rows, lines, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
            for run in cell.paragraphs[0].runs:
                run.font.size = Pt(9)
    document.add_paragraph("{% endfor %}")
    document.add_paragraph("{% endfor %}")
    document.add_paragraph("{{ sales.count }} products in all.")
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def _document_chart(document: Any) -> None:
    """Put a native chart into a document: python-docx has no way to, so one of python-pptx moves in."""
    deck = pptx.Presentation()
    frame = _slide_chart(deck.slides.add_slide(deck.slide_layouts[6]), 0, 0, 6, 2.4)
    source = frame.chart.part
    package = document.part.package
    book = Part(
        PackURI("/word/embeddings/sales.xlsx"),
        source.chart_workbook.xlsx_part.content_type,
        chart_workbook(),
        package,
    )
    part = Part(PackURI("/word/charts/chart1.xml"), source.content_type, b"", package)
    rel = part.relate_to(book, RELATIONSHIP_TYPE.PACKAGE)
    xml = source.blob.decode().replace(
        source._element.find(".//{*}externalData").get(
            "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
        ),
        rel,
    )
    part._blob = xml.encode()
    shown = document.part.relate_to(part, RELATIONSHIP_TYPE.CHART)
    run = document.add_paragraph().add_run()
    run._r.append(
        parse_xml(
            '<w:drawing xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
            'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
            'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
            'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
            'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
            f'<wp:inline><wp:extent cx="{Inches(6)}" cy="{Inches(2.4)}"/>'
            '<wp:docPr id="50" name="Revenue by group"/>'
            "<wp:cNvGraphicFramePr/><a:graphic><a:graphicData "
            'uri="http://schemas.openxmlformats.org/drawingml/2006/chart">'
            f'<c:chart r:id="{shown}"/></a:graphicData></a:graphic></wp:inline></w:drawing>'
        )
    )


def sheet_of_pages(pdf: bytes, name: str, across: int, most: int = 9, dpi: int = 56) -> None:
    """Save pages side by side as one picture of the docs."""
    pages = pictures(pdf, dpi=dpi, most=most)
    width, height = pages[0].size
    down = -(-len(pages) // across)
    whole = Image.new("RGB", (across * (width + 8) + 8, down * (height + 8) + 8), "#888888")
    for number, page in enumerate(pages):
        whole.paste(page, (8 + (number % across) * (width + 8), 8 + (number // across) * (height + 8)))
    whole.quantize(255).save(IMAGES / name, optimize=True)


def main() -> None:
    """Write the templates and the pictures."""
    IMAGES.mkdir(exist_ok=True)
    (HERE / "sales.docx").write_bytes(document())
    (HERE / "sales.pptx").write_bytes(presentation())
    office = {}
    for kind in (TemplateKind.DOCX, TemplateKind.PPTX):
        template = (HERE / f"sales.{kind.value}").read_bytes()
        done = render(kind, template, sales(), RenderOptions(), OutputFormat(kind.value))
        office[f"{kind.value}-filled.{kind.value}"] = done.content
        office[f"{kind.value}-template.{kind.value}"] = template
    pdfs = to_pdf(office)
    sheet_of_pages(pdfs["docx-filled.docx"], "example-word.png", across=3)
    sheet_of_pages(pdfs["docx-template.docx"], "example-word-template.png", across=2)
    sheet_of_pages(pdfs["pptx-filled.pptx"], "example-powerpoint.png", across=3)
    sheet_of_pages(pdfs["pptx-template.pptx"], "example-powerpoint-template.png", across=3)
    page = (HERE / "sales.html").read_bytes()
    pdf = render(TemplateKind.HTML, page, sales(), RenderOptions(), OutputFormat.PDF)
    sheet_of_pages(pdf.content, "example-html.png", across=3)


if __name__ == "__main__":
    main()
