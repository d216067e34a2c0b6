"""The example templates of the docs: rows, sections or slides, and pages, each in the other."""

import re
from io import BytesIO
from pathlib import Path

import docx
import pptx
import pypdf
import pytest
from docx.oxml import parse_xml

from rendering import OutputFormat, RenderOptions, TemplateKind, inspect, render
from support.examples import REGIONS, rows, sales
from support.pages import pictures, to_pdf

EXAMPLES = Path(__file__).parents[3] / "docs" / "templates" / "examples"
GROUPS = [(region, group) for region, groups in REGIONS.items() for group in groups]
HEADING = ["Product", "Units", "Revenue", "Growth"]


def filled(kind: TemplateKind, output: OutputFormat, more: int = 0) -> bytes:
    template = (EXAMPLES / f"sales.{kind.value}").read_bytes()
    return render(kind, template, sales(more), RenderOptions(), output).content


def products(region: str, group: str) -> list[str]:
    return [line[2] for line in rows() if line[:2] == (region, group)]


def revenue(region: str) -> list[float]:
    """The revenue of every group of a region, in order."""
    return [sum(line[4] for line in rows() if line[:2] == (region, group)) for group in REGIONS[region]]


@pytest.mark.parametrize("kind", [TemplateKind.DOCX, TemplateKind.PPTX, TemplateKind.HTML])
def test_all_examples_ask_for_the_same_data(kind: TemplateKind) -> None:
    asked = inspect(kind, (EXAMPLES / f"sales.{kind.value}").read_bytes())
    assert asked.problems == ()
    assert asked.tables == {"sales": {"region", "group", "product", "units", "revenue", "growth"}}
    assert asked.images == {"logo", "by_region"}
    assert asked.values - {"total"} == {"target"}


def test_the_document_has_a_page_per_region_a_section_per_group_a_row_per_product() -> None:
    document = docx.Document(BytesIO(filled(TemplateKind.DOCX, OutputFormat.DOCX)))
    headings = [
        p.text
        for p in document.paragraphs
        if p.style is not None and p.style.name in {"Heading 1", "Heading 2"}
    ]
    assert headings == [h for region, groups in REGIONS.items() for h in (region, *groups)]
    tables = [[c.text for c in row.cells] for table in document.tables for row in table.rows]
    assert [line[0] for line in tables] == [
        cell for region, group in GROUPS for cell in ("Product", *products(region, group), "Total")
    ]
    told = [p.text for p in document.paragraphs if "arget" in p.text]
    assert told == ["Below the target of 10,000.", "On target."]
    assert not [p.text for p in document.paragraphs if "{%" in p.text or "{{" in p.text]


def test_every_page_of_the_document_has_a_chart_of_its_own() -> None:
    document = docx.Document(BytesIO(filled(TemplateKind.DOCX, OutputFormat.DOCX)))
    used = [e.get(f"{{{e.nsmap['r']}}}id") for e in document.element.iter("{*}chart")]
    charts = [document.part.related_parts[rel] for rel in used]
    assert len({chart.partname for chart in charts}) == len(REGIONS)
    for chart, region in zip(charts, REGIONS, strict=True):
        root = parse_xml(chart.blob)
        shown = [float(v.text or "nan") for v in next(root.iter("{*}val")).iter("{*}v")]
        assert shown == revenue(region)
        assert region in "".join(t.text or "" for t in root.iter("{*}t"))
    numbers = [e.get("id") for e in document.element.iter("{*}docPr")]
    assert len(numbers) == len(set(numbers)) == 2 + len(REGIONS), "a logo, a chart picture, two native charts"
    names = [p.partname for p in document.part.package.iter_parts() if "/charts/" in p.partname]
    assert len(names) == len(REGIONS), "the chart of the template is gone"


def test_the_presentation_has_slides_per_region_and_per_group_and_runs_over() -> None:
    deck = pptx.Presentation(BytesIO(filled(TemplateKind.PPTX, OutputFormat.PPTX, more=25)))
    slides = list(deck.slides)
    titles = [next(s.text_frame.text for s in slide.shapes if s.has_text_frame) for slide in slides]
    assert titles[1:3] == list(REGIONS)
    assert list(dict.fromkeys(titles[3:])) == [f"{region}: {group}" for region, group in GROUPS]
    assert titles.count("South: Coffee") == 4, "28 rows, 9 on a slide"
    for slide in slides[3:]:
        table = next(s for s in slide.shapes if s.has_table)
        lines = [[c.text for c in row.cells] for row in table.table.rows]
        assert lines[0] == HEADING
        assert lines[-1][0] == "Total"
        assert table.top + sum(r.height for r in table.table.rows) <= deck.slide_height
    told = [s.text_frame.text for slide in slides[1:3] for s in slide.shapes if s.has_text_frame][1::2]
    assert told == ["Below the target of 10,000", "On target"]


def test_slides_have_charts_notes_and_pictures_of_their_own() -> None:
    deck = pptx.Presentation(BytesIO(filled(TemplateKind.PPTX, OutputFormat.PPTX)))
    for slide, region in zip(list(deck.slides)[1:3], REGIONS, strict=True):
        chart = next(s.chart for s in slide.shapes if s.has_chart)
        assert list(chart.plots[0].categories) == list(REGIONS[region])
        assert list(chart.plots[0].series[0].values) == revenue(region)
        count = sum(line[0] == region for line in rows())
        assert slide.notes_slide.notes_text_frame is not None
        assert slide.notes_slide.notes_text_frame.text == f"Speak about {count} products of {region}."
    pictures_on = [sum(s.shape_type == 13 for s in slide.shapes) for slide in deck.slides]
    assert pictures_on == [2, 0, 0, *([1] * len(GROUPS))]


def test_the_page_has_sections_rows_conditions_and_pictures_in_one_file() -> None:
    page = filled(TemplateKind.HTML, OutputFormat.HTML).decode()
    assert re.findall(r"<h([23])[^>]*>(\w+)</h", page) == [
        each for region, groups in REGIONS.items() for each in (("2", region), *(("3", g) for g in groups))
    ]
    assert re.findall(r"<tr>\s*<td[^>]*>(\w+)", page) == [line[2] for line in rows()]
    assert page.count('src="data:image/') == 2
    assert page.count("Below the target of 10,000.") == page.count("On target.") == 1


def test_the_pdf_has_a_page_per_region_page_numbers_and_repeated_heads() -> None:
    reader = pypdf.PdfReader(BytesIO(filled(TemplateKind.HTML, OutputFormat.PDF, more=90)))
    texts = [page.extract_text() for page in reader.pages]
    assert len(texts) > 1 + len(REGIONS)
    assert [f"Page {n} of {len(texts)}" in text for n, text in enumerate(texts, 1)] == [True] * len(texts)
    assert all("Product" in text for text in texts if "Blend" in text), "the head stands on every page"


def test_the_pages_of_the_examples_are_what_the_docs_show() -> None:
    files = {
        "document.docx": filled(TemplateKind.DOCX, OutputFormat.DOCX),
        "deck.pptx": filled(TemplateKind.PPTX, OutputFormat.PPTX),
    }
    pdfs = to_pdf(files)
    assert {name: len(pictures(pdf)) for name, pdf in pdfs.items()} == {
        "document.docx": 1 + len(REGIONS),
        "deck.pptx": 1 + len(REGIONS) + len(GROUPS),
    }
