"""A Word template filled, read back by python-docx."""

from io import BytesIO
from typing import Any

import docx
import pytest
from docx.shared import Pt

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


def save(document: Any) -> bytes:
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def filled(template: bytes, data: RenderData) -> Any:
    once = render(TemplateKind.DOCX, template, data, RenderOptions(), OutputFormat.DOCX)
    again = render(TemplateKind.DOCX, template, data, RenderOptions(), OutputFormat.DOCX)
    assert once.content == again.content
    return docx.Document(BytesIO(once.content))


def test_a_tag_split_over_runs_is_one_tag_and_looks_stay() -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("Dear ")
    first = paragraph.add_run("{{ na")
    first.bold = True
    paragraph.add_run("me")
    paragraph.add_run(" }}, {{ flights | number }} flights").italic = True
    result = filled(save(document), report({"name": "<Ada> & Co", "flights": 12345}))
    runs = result.paragraphs[0].runs
    assert result.paragraphs[0].text == "Dear <Ada> & Co, 12,345 flights"
    assert [(r.text, r.bold) for r in runs if r.text][1] == ("<Ada> & Co", True)
    assert runs[-1].italic


@pytest.mark.parametrize("count", [0, 1, 40])
def test_a_row_repeats_with_its_looks_and_the_rest_follows(count: int) -> None:
    document = docx.Document()
    grid = document.add_table(rows=3, cols=2)
    for cell, text in zip(grid.rows[0].cells, ("Name", "Number"), strict=True):
        cell.text = text
    grid.rows[1].cells[0].text = "{{ d.name }}"
    grid.rows[1].cells[1].paragraphs[0].add_run("no. {{ d.n | number(1) }}").font.size = Pt(7)
    grid.rows[2].cells[0].text = "Total"
    grid.rows[2].cells[1].text = "{{ d.totals.n }}"
    rows = [(f"row {i}", i) for i in range(count)]
    result = filled(save(document), report(tables={"d": table("name n", *rows, totals=(None, 99))}))
    cells = [[c.text for c in r.cells] for r in result.tables[0].rows]
    assert cells == [["Name", "Number"], *([n, f"no. {i}.0"] for n, i in rows), ["Total", "99"]]
    if count:
        assert result.tables[0].rows[count].cells[1].paragraphs[0].runs[0].font.size == Pt(7)


def test_blocks_conditions_and_levels() -> None:
    document = docx.Document()
    for text in [
        "{% for g in d.rows | groupby('area') %}",
        "Area {{ g.grouper }}",
        "{% if g.rows | length > 1 %}",
        "many",
        "{% else %}",
        "one",
        "{% endif %}",
        "{% for r in g.rows %}",
        "- {{ r.n }}",
        "{% endfor %}",
        "{% endfor %}",
        "end",
    ]:
        document.add_paragraph(text)
    grid = document.add_table(rows=3, cols=1)
    grid.rows[0].cells[0].text = "{% for r in d.rows if r.n > 1 %}"
    grid.rows[1].cells[0].text = "cell {{ r.n }}"
    grid.rows[2].cells[0].text = "{% endfor %}"
    data = report(tables={"d": table("area n", ("N", 1), ("S", 2), ("N", 3))})
    result = filled(save(document), data)
    assert [p.text for p in result.paragraphs] == [
        "Area N",
        "many",
        "- 1",
        "- 3",
        "Area S",
        "one",
        "- 2",
        "end",
    ]
    assert [r.cells[0].text for r in result.tables[0].rows] == ["cell 2", "cell 3"]
    assert inspect(TemplateKind.DOCX, save(document)).tables == {"d": frozenset({"area", "n"})}


def test_headers_footers_and_inner_tables_are_filled() -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "{{ meta.report }} for {{ meta.recipient }}"
    document.sections[0].footer.paragraphs[0].text = "{% if true %}yes{% endif %}"
    outer = document.add_table(rows=1, cols=1)
    inner = outer.rows[0].cells[0].add_table(1, 1)
    inner.rows[0].cells[0].text = "{{ d.n }}"
    result = filled(save(document), report(tables={"d": table("n", (1,), (2,))}))
    assert result.sections[0].header.paragraphs[0].text == "Sales for Ada"
    assert result.sections[0].footer.paragraphs[0].text == "yes"
    assert len(result.tables[0].rows) == 1
    assert [r.cells[0].text for r in result.tables[0].rows[0].cells[0].tables[0].rows] == ["1", "2"]


def test_pictures_stand_where_they_are_asked_for() -> None:
    document = docx.Document()
    document.add_paragraph("{{ chart('sales') }}")
    result = filled(save(document), report(images={"sales": CHART}))
    assert len(result.inline_shapes) == 1
    image = next(p for p in result.part.package.iter_parts() if p.partname.endswith(".png"))
    assert image.blob.startswith(b"\x89PNG")


def test_line_ends_become_breaks_and_control_characters_vanish() -> None:
    document = docx.Document()
    document.add_paragraph("{{ text }}")
    result = filled(save(document), report({"text": "a\nb\0\x0bc"}))
    assert result.paragraphs[0].text == "a\nbc"


@pytest.mark.parametrize(
    ("text", "message"), [("{{ nope }}", "no value"), ("{% for r in d.rows %}", "never closed")]
)
def test_mistakes_name_the_part(text: str, message: str) -> None:
    document = docx.Document()
    document.add_paragraph(text)
    with pytest.raises(TemplateError, match=message) as caught:
        filled(save(document), report(tables={"d": table("n")}))
    assert caught.value.place.startswith("document")
