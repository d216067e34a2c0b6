"""Numbered lists of Word in loops begin again where a reader expects it."""

from io import BytesIO
from typing import Any

import docx
import pytest

from rendering import OutputFormat, RenderOptions, TemplateKind, render
from support.report_data import report, table

DATA = report({"n": 1}, {"d": table("area name", ("N", "a"), ("N", "b"), ("S", "c"), ("S", "d"), ("W", "e"))})
GROUPS, ROWS, END = "{% for g in d.rows | groupby('area') %}", "{% for r in g.rows %}", "{% endfor %}"
ITEM, ALL = "# {{ r.name }}", "{% for r in d.rows %}"


def shown(*texts: str, heading: bool = False) -> list[str]:
    """The paragraphs of the report with their numbers, as Word counts; ``#`` makes a paragraph of a list."""
    template = docx.Document()
    for text in texts:
        style = {"#": "List Number", "-": "List Number 2"}.get(text[0])
        paragraph = template.add_paragraph(text.lstrip("#- "), style)
        if heading and style:
            paragraph.paragraph_format.element.get_or_add_pPr().append(_outline(paragraph))
    out = BytesIO()
    template.save(out)
    content = render(TemplateKind.DOCX, out.getvalue(), DATA, RenderOptions(), OutputFormat.DOCX).content
    return _numbered(docx.Document(BytesIO(content)))


def _outline(paragraph: Any) -> Any:
    one = paragraph._p.makeelement(paragraph._p.tag.replace("}p", "}outlineLvl"))
    one.set(one.tag.replace("outlineLvl", "val"), "0")
    return one


def _numbered(document: Any) -> list[str]:
    numbering = document.part.numbering_part.element
    counts: dict[str, int] = {}
    found = []
    for paragraph in document.element.body.iter("{*}p"):
        text = "".join(t.text or "" for t in paragraph.iter("{*}t"))
        number = paragraph.find(".//{*}numId")
        style = paragraph.find(".//{*}pStyle")
        if number is None and (style is None or not style.val.startswith("ListNumber")):
            found.append(text)
            continue
        key = style.val if number is None else str(number.val)
        if number is not None and key not in counts:
            entry = next(one for one in numbering.num_lst if one.numId == number.val)
            assert entry.find("{*}lvlOverride/{*}startOverride") is not None
        counts[key] = counts.get(key, 0) + 1
        found.append(f"{counts[key]} {text}")
    return found


def test_a_list_in_a_loop_over_groups_begins_again_in_every_group() -> None:
    expected = ["N", "1 a", "2 b", "S", "1 c", "2 d", "W", "1 e"]
    assert expected == shown(GROUPS, "{{ g.grouper }}", ROWS, ITEM, END, END)


def test_a_list_of_fixed_items_begins_again_in_every_turn() -> None:
    expected = ["N", "1 read", "2 sign", "S", "1 read", "2 sign", "W", "1 read", "2 sign"]
    assert expected == shown(GROUPS, "{{ g.grouper }}", "# read", "# sign", END)


@pytest.mark.parametrize(
    "around", [(), ("# first",), ("{% if n %}",)], ids=["alone", "after an item", "in a condition"]
)
def test_a_list_whose_items_a_loop_makes_goes_on_over_its_turns(around: tuple[str, ...]) -> None:
    close = ("{% endif %}",) if around[:1] == ("{% if n %}",) else ()
    names = ["first", *"abcde"] if around[:1] == ("# first",) else list("abcde")
    expected = [f"{at} {name}" for at, name in enumerate(names, 1)]
    assert expected == shown(*around, ALL, ITEM, END, *close)


def test_a_list_over_two_loops_without_other_text_goes_on() -> None:
    assert ["1 a", "2 b", "3 c", "4 d", "5 e"] == shown(GROUPS, ROWS, ITEM, END, END)


def test_numbered_headings_go_on() -> None:
    expected = ["1 N", "text", "2 S", "text", "3 W", "text"]
    assert expected == shown(GROUPS, "# {{ g.grouper }}", "text", END, heading=True)


def test_numbers_of_the_rows_of_a_table_go_on() -> None:
    template = docx.Document()
    rows = template.add_table(3, 2)
    rows.cell(0, 0).text, rows.cell(2, 0).text = ALL, END
    rows.cell(1, 0).paragraphs[0].style = "List Number"
    rows.cell(1, 1).text = "{{ r.name }}"
    out = BytesIO()
    template.save(out)
    content = render(TemplateKind.DOCX, out.getvalue(), DATA, RenderOptions(), OutputFormat.DOCX).content
    got = [text for text in _numbered(docx.Document(BytesIO(content))) if text]
    assert [text for at, name in enumerate("abcde", 1) for text in (f"{at} ", name)] == got
