"""Presentations whose slides multiply: sections, notes, links and tables stay in order."""

from io import BytesIO
from typing import Any

import pptx
from lxml import etree
from pptx.util import Inches

from rendering import OutputFormat, RenderData, RenderOptions, TemplateKind, render
from support.report_data import report, table

DATA = report(
    {"n": 3},
    {"d": table("area name n", *((f"A{i % 3}", f"row {i}", i) for i in range(30)), totals=(None, None, 435))},
)
_SECTIONS = (
    '<p:ext xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'uri="{{521415D9-36F7-43E2-AB2F-B90AF26B5E84}}">'
    '<p14:sectionLst xmlns:p14="http://schemas.microsoft.com/office/powerpoint/2010/main">{}</p14:sectionLst></p:ext>'
)


def _section(number: int, ids: list[str]) -> str:
    slides = "".join(f'<p14:sldId id="{one}"/>' for one in ids)
    return f'<p14:section name="S{number}" id="{number}"><p14:sldIdLst>{slides}</p14:sldIdLst></p14:section>'


def filled(deck: Any, data: RenderData = DATA) -> Any:
    out = BytesIO()
    deck.save(out)
    return pptx.Presentation(
        BytesIO(render(TemplateKind.PPTX, out.getvalue(), data, RenderOptions(), OutputFormat.PPTX).content)
    )


def slide(deck: Any, *texts: str) -> Any:
    new = deck.slides.add_slide(deck.slide_layouts[6])
    for number, text in enumerate(texts):
        new.shapes.add_textbox(Inches(1), Inches(number), Inches(4), Inches(1)).text_frame.text = text
    return new


def grid(on: Any, *rows: str) -> None:
    shape = on.shapes.add_table(len(rows), 1, Inches(1), Inches(1), Inches(5), Inches(0.5 * len(rows)))
    for row, text in zip(shape.table.rows, rows, strict=True):
        row.height = Inches(0.5)
        row.cells[0].text = text


def shown(one: Any) -> list[str]:
    return [s.text_frame.text for s in one.shapes if s.has_text_frame]


def lines(one: Any) -> list[str]:
    return [r.cells[0].text for s in one.shapes if s.has_table for r in s.table.rows]


def test_slides_repeat_in_slides() -> None:
    deck = pptx.Presentation()
    slide(
        deck,
        "{% slide for g in d.rows | groupby('area') %}",
        "{% slide for r in g.rows if r.n < 4 %}",
        "{{ g.grouper }} {{ r.name }}",
    )
    assert [shown(s) for s in filled(deck).slides] == [["A0 row 0"], ["A0 row 3"], ["A1 row 1"], ["A2 row 2"]]


def test_sections_list_the_new_slides_and_forget_the_removed() -> None:
    deck = pptx.Presentation()
    slide(deck, "first")
    slide(deck, "{% slide for g in d.rows | groupby('area') %}", "{{ g.grouper }}")
    slide(deck, "{% slide if n > 5 %}", "never")
    presentation: Any = deck.part._element
    ids = [e.get("id") for e in presentation.sldIdLst]
    listed = "".join(_section(n, part) for n, part in enumerate((ids[:1], ids[1:])))
    extensions = deck.part._element.makeelement(deck.part._element.tag.replace("}presentation", "}extLst"))
    extensions.append(etree.fromstring(_SECTIONS.format(listed)))
    deck.part._element.append(extensions)
    result = filled(deck)
    root: Any = result.part._element
    sections = [[e.get("id") for e in s.iter("{*}sldId")] for s in root.iter("{*}section")]
    assert [i for section in sections for i in section] == [e.get("id") for e in root.sldIdLst]
    assert [len(section) for section in sections] == [1, 3]
    assert [shown(s) for s in result.slides] == [["first"], ["A0"], ["A1"], ["A2"]]
    parts = [part for part in result.part.package.iter_parts() if "/slides/slide" in part.partname]
    assert len(parts) == len(result.slides), "a slide that is not shown is not in the file"


def test_notes_are_filled_and_every_copy_has_its_own() -> None:
    deck = pptx.Presentation()
    one = slide(deck, "{% slide for g in d.rows | groupby('area') %}")
    one.notes_slide.notes_text_frame.text = "say {{ g.grouper }}"
    slides = list(filled(deck).slides)
    assert [s.notes_slide.notes_text_frame.text for s in slides] == ["say A0", "say A1", "say A2"]
    assert [s.notes_slide.part.part_related_by(_SLIDE).partname for s in slides] == [
        s.part.partname for s in slides
    ]


_SLIDE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/slide"


def test_a_table_of_a_loop_runs_over_with_its_head_and_total_on_every_slide() -> None:
    deck = pptx.Presentation()
    grid(
        slide(deck), "Head", "{% for r in d.rows %}", "{{ r.name }}", "{% endfor %}", "Total {{ d.totals.n }}"
    )
    slides = [lines(s) for s in filled(deck).slides]
    assert len(slides) == 3
    assert {(one[0], one[-1]) for one in slides} == {("Head", "Total 435")}
    assert [text for one in slides for text in one[1:-1]] == [f"row {i}" for i in range(30)]


def test_groups_in_a_table_run_over_in_order() -> None:
    deck = pptx.Presentation()
    grid(
        slide(deck),
        "{% for g in d.rows | groupby('area') %}",
        "Area {{ g.grouper }}",
        "{% for r in g.rows %}",
        "{{ r.n }}",
        "{% endfor %}",
        "{% endfor %}",
    )
    slides = [lines(s) for s in filled(deck).slides]
    expected = [t for a in range(3) for t in (f"Area A{a}", *(str(n) for n in range(a, 30, 3)))]
    assert [text for one in slides for text in one] == expected
    assert max(map(len, slides)) <= 12


def test_two_tables_on_a_slide_keep_their_rows_in_order() -> None:
    deck = pptx.Presentation()
    on = slide(deck)
    grid(on, "A", "{{ d.name }}", "B", "{{ short.x }}", "C")
    data = report(tables={"d": table("name", ("a",), ("b",)), "short": table("x", (1,))})
    assert lines(filled(deck, data).slides[0]) == ["A", "a", "b", "B", "1", "C"]


def test_layouts_and_masters_are_filled() -> None:
    deck = pptx.Presentation()
    title: Any = deck.slide_masters[0].placeholders[0]
    title.text_frame.text = "{{ meta.report }}"
    slide(deck, "x")
    assert filled(deck).slide_masters[0].placeholders[0].text_frame.text == "Sales"
