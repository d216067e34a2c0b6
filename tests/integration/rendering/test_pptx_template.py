"""A PowerPoint template filled, read back by python-pptx."""

from io import BytesIO
from typing import Any

import openpyxl
import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from rendering import (
    ChartSpec,
    OutputFormat,
    RenderData,
    RenderOptions,
    Series,
    TemplateError,
    TemplateKind,
    inspect,
    render,
)
from support.report_data import report, table

CHART = ChartSpec(("a", "b"), (Series("s", (1.0, 2.0)),))


def save(deck: Any) -> bytes:
    out = BytesIO()
    deck.save(out)
    return out.getvalue()


def filled(template: bytes, data: RenderData) -> Any:
    once = render(TemplateKind.PPTX, template, data, RenderOptions(), OutputFormat.PPTX)
    again = render(TemplateKind.PPTX, template, data, RenderOptions(), OutputFormat.PPTX)
    assert once.content == again.content
    return pptx.Presentation(BytesIO(once.content))


def box(slide: Any, text: str, top: float = 1) -> Any:
    shape = slide.shapes.add_textbox(Inches(1), Inches(top), Inches(4), Inches(2))
    shape.text_frame.text = text
    return shape


def texts(slide: Any) -> list[str]:
    return [s.text_frame.text for s in slide.shapes if s.has_text_frame and s.text_frame.text]


def grid(slide: Any, rows: list[list[str]]) -> None:
    shape = slide.shapes.add_table(
        len(rows), len(rows[0]), Inches(1), Inches(1), Inches(5), Inches(0.4 * len(rows))
    )
    for row, line in zip(shape.table.rows, rows, strict=True):
        row.height = Inches(0.4)
        for cell, text in zip(row.cells, line, strict=True):
            cell.text = text


def cells(slide: Any) -> list[list[str]]:
    return next([[c.text for c in r.cells] for r in s.table.rows] for s in slide.shapes if s.has_table)


def chart(slide: Any, category: str, value: Any) -> None:
    """A chart whose embedded workbook has tags where a person would have typed them."""
    data: Any = CategoryChartData()  # type: ignore[no-untyped-call]
    data.categories = ["x"]
    data.add_series("Sales of {{ who }}", (1,))
    frame = slide.shapes.add_chart(
        XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(3), Inches(4), Inches(3), data
    )
    part = frame.chart.part.chart_workbook.xlsx_part
    book = openpyxl.load_workbook(BytesIO(part.blob))
    sheet = book["Sheet1"]
    sheet["A2"], sheet["B2"] = category, value
    out = BytesIO()
    book.save(out)
    part._blob = out.getvalue()


def test_texts_and_tables_are_filled() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    shape = box(slide, "")
    paragraph = shape.text_frame.paragraphs[0]
    for text, bold in (("Hello {{ wh", True), ("o }} and", False), (" bye", None)):
        run = paragraph.add_run()
        run.text, run.font.bold = text, bold
    grid(slide, [["Name", "N"], ["{{ d.name }}", "{{ d.n | number(1) }}"], ["Total", "{{ d.totals.n }}"]])
    data = report({"who": "<Ada>\nLovelace"}, {"d": table("name n", ("a", 1), ("b", 2), totals=(None, 3))})
    slide = filled(save(deck), data).slides[0]
    assert texts(slide) == ["Hello <Ada>\vLovelace and bye"]
    assert cells(slide) == [["Name", "N"], ["a", "1.0"], ["b", "2.0"], ["Total", "3"]]


def test_native_charts_follow_their_workbook() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    chart(slide, "{{ d.name }}", "{{ d.n }}")
    template = save(deck)
    data = report({"who": "Ada"}, {"d": table("name n", *((f"r{i}", i) for i in range(30)))})
    found = filled(template, data).slides[0].shapes[0].chart
    assert list(found.plots[0].categories) == [f"r{i}" for i in range(30)]
    assert [(s.name, list(s.values)) for s in found.plots[0].series] == [
        ("Sales of Ada", [float(i) for i in range(30)])
    ]
    book = openpyxl.load_workbook(BytesIO(found.part.chart_workbook.xlsx_part.blob))
    assert book["Sheet1"]["A31"].value == "r29"
    assert inspect(TemplateKind.PPTX, template).tables == {"d": frozenset({"name", "n"})}


def test_a_slide_repeats_with_charts_of_its_own() -> None:
    deck = pptx.Presentation()
    box(deck.slides.add_slide(deck.slide_layouts[6]), "first")
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    box(slide, "{% slide for g in d.rows | groupby('area') %}")
    box(slide, "Area {{ g.grouper }}")
    chart(slide, "{{ g.grouper }}", "{{ g.rows | sum(attribute='n') }}")
    box(deck.slides.add_slide(deck.slide_layouts[6]), "last")
    data = report({"who": "x"}, {"d": table("area n", ("N", 1), ("S", 2), ("N", 5))})
    slides = list(filled(save(deck), data).slides)
    assert [texts(s) for s in slides] == [["first"], ["Area N"], ["Area S"], ["last"]]
    charts = [next(s.chart for s in slide.shapes if s.has_chart) for slide in slides[1:3]]
    assert [list(c.plots[0].series[0].values) for c in charts] == [[6.0], [2.0]]
    assert len({c.part.partname for c in charts}) == 2


def test_a_slide_stands_only_under_its_condition() -> None:
    deck = pptx.Presentation()
    for rule in ("{% slide if n > 1 %}", "{% slide if n > 5 %}"):
        slide = deck.slides.add_slide(deck.slide_layouts[6])
        box(slide, rule)
        box(slide, rule[3:-3])
    assert [texts(s) for s in filled(save(deck), report({"n": 3})).slides] == [["slide if n > 1"]]


def test_a_long_table_runs_over_to_further_slides() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    grid(slide, [["All {{ d.count }}"], ["{{ d.name }}"]])
    rows = [(f"row {i}",) for i in range(40)]
    slides = list(filled(save(deck), report(tables={"d": table("name", *rows)})).slides)
    assert len(slides) == 3
    assert all(cells(s)[0] == ["All 40"] for s in slides)
    assert [line for s in slides for line in cells(s)[1:]] == [list(row) for row in rows]
    assert max(len(cells(s)) for s in slides) * 0.4 + 1 < 7.5, "no slide is fuller than it is high"


def test_a_shape_becomes_the_picture_it_asks_for() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    shape = box(slide, "{{ chart('sales') }}")
    found = filled(save(deck), report(images={"sales": CHART})).slides[0].shapes[0]
    assert found.image.content_type == "image/png"
    assert (found.left, found.width) == (shape.left, shape.width)
    assert found.height <= shape.height


def test_mistakes_name_the_slide() -> None:
    deck = pptx.Presentation()
    box(deck.slides.add_slide(deck.slide_layouts[6]), "{{ nope }}")
    with pytest.raises(TemplateError, match=r"slide 1, .TextBox 1., paragraph 1: there is no value"):
        filled(save(deck), report())
