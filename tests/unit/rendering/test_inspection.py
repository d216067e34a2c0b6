"""Looking into a template finds every mistake, each with a place a person can find and a way to mend it."""

import zipfile
from io import BytesIO
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from docx.shared import Inches as DocumentInches
from pptx.util import Inches

from rendering import TemplateKind, inspect

MISTAKES = ("{{ a b }}", "{{ name | shout }}", "{{ open", "{{ name is nice }}", "{{ x.__class__ }}")
SAID = ("'a b' cannot be read", "'shout' is not available", "is not closed", "no test 'nice'", "underscore")


def saved(document: Any) -> bytes:
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def told(kind: TemplateKind, template: bytes) -> list[tuple[str, str]]:
    """Places and messages; every problem has a remedy."""
    problems = inspect(kind, template).problems
    assert all(problem.remedy for problem in problems)
    return [(problem.place, problem.message) for problem in problems]


def assert_told(found: list[tuple[str, str]], expected: list[tuple[str, str]]) -> None:
    assert [place for place, _ in expected] == [place for place, _ in found]
    for (_, part), (_, message) in zip(expected, found, strict=True):
        assert part in message


def test_all_mistakes_of_a_page_are_told_by_line_and_column() -> None:
    page = "\n".join(f"  {mistake}" for mistake in MISTAKES) + "\n{% for r in t.rows %}\n{% if x %}\n"
    assert_told(
        sorted(told(TemplateKind.HTML, page.encode())),
        [
            *((f"template, line {n}, column 3", part) for n, part in enumerate(SAID, 1)),
            ("template, line 6, column 1", "never closed"),
            ("template, line 7, column 1", "never closed"),
        ],
    )


def test_all_mistakes_of_a_document_are_told_by_paragraph_table_and_part() -> None:
    document = docx.Document()
    document.add_paragraph("fine {{ name }}")
    for mistake in MISTAKES:
        document.add_paragraph(mistake)
    document.add_paragraph("{{ a c }} and {{ name | loud }}")
    document.add_paragraph("{% endif %}")
    grid = document.add_table(rows=2, cols=2)
    grid.rows[1].cells[1].text = "{{ t.a b }}"
    document.add_paragraph("{% for r in t.rows %}")
    document.sections[0].footer.paragraphs[0].text = "{{ a d }}"
    found = sorted(set(told(TemplateKind.DOCX, saved(document))))
    assert_told(
        found,
        [
            *((f"document, paragraph {n}", part) for n, part in enumerate(SAID, 2)),
            ("document, paragraph 7", "'a c' cannot be read"),
            ("document, paragraph 7", "'loud' is not available"),
            ("document, paragraph 8", "closes nothing"),
            ("document, paragraph 9", "never closed"),
            ("document, table 1, row 2, cell 2, paragraph 1", "'t.a b' cannot be read"),
            ("footer, paragraph 1", "'a d' cannot be read"),
        ],
    )


def test_all_mistakes_of_a_presentation_are_told_by_slide_and_shape() -> None:
    deck = pptx.Presentation()
    for texts in (("{{ name }}", "{{ a b }}"), ("{% slide for x %}", "{% for r in t.rows %}")):
        slide = deck.slides.add_slide(deck.slide_layouts[6])
        for number, text in enumerate(texts):
            box = slide.shapes.add_textbox(Inches(1), Inches(number), Inches(4), Inches(1))
            box.name, box.text_frame.text = f"Box {number}", text
        slide.notes_slide.notes_text_frame.text = "{{ name | shout }}"
    assert_told(
        sorted(told(TemplateKind.PPTX, saved(deck))),
        [
            ("slide 1, 'Box 1', paragraph 1", "'a b' cannot be read"),
            ("slide 1, notes, 'Notes Placeholder 2'", "'shout' is not available"),
            ("slide 2, 'Box 0'", "is no loop"),
            ("slide 2, 'Box 1', paragraph 1", "never closed"),
            ("slide 2, notes, 'Notes Placeholder 2'", "'shout' is not available"),
        ],
    )


def test_all_mistakes_of_a_workbook_are_told_by_cell() -> None:
    book: Any = openpyxl.Workbook()
    book.active.title = "Sales"
    for line in (
        ["{% for r in t.rows %}"],
        ["{{ r.a b }}", "{{ r.n | shout }}"],
        ["{% if r.n %}"],
        ["{% endfor %}", "beside"],
        ["{% else %}"],
        ["{% sheet for g in t.rows %}"],
        ["{% if r.n %}fine{% endif %}"],
    ):
        book.active.append(line)
    book.create_sheet("Other").append(["{% endif %}"])
    assert_told(
        sorted(told(TemplateKind.XLSX, saved(book))),
        [
            ("Other!A1", "closes nothing"),
            ("Sales!A1", "never closed"),
            ("Sales!A2", "'r.a b' cannot be read"),
            ("Sales!A3", "never closed"),
            ("Sales!A4", "shares its row"),
            ("Sales!B2", "'shout' is not available"),
        ],
    )


def test_pictures_asked_for_by_alternative_text_are_found() -> None:
    picture = BytesIO(bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
    ))  # fmt: skip
    document = docx.Document()
    shape = document.add_picture(picture, width=DocumentInches(1))
    shape._inline.docPr.set("descr", "{{ image('logo') }}")
    deck = pptx.Presentation()
    picture.seek(0)
    shown = deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_picture(picture, 0, 0)
    shown._element.nvPicPr.cNvPr.set("descr", "{{ chart('sales') }}")
    assert inspect(TemplateKind.DOCX, saved(document)).images == {"logo"}
    assert inspect(TemplateKind.PPTX, saved(deck)).images == {"sales"}


def test_tags_where_nothing_fills_them_are_told() -> None:
    document = saved(docx.Document())
    out = BytesIO(document)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(
            "word/diagrams/data1.xml",
            '<d:dataModel xmlns:d="d" xmlns:a="a"><a:p><a:r><a:t>{{ name }}</a:t></a:r></a:p></d:dataModel>',
        )
    assert_told(
        told(TemplateKind.DOCX, out.getvalue()),
        [("word/diagrams/data1.xml", "SmartArt graphic are not filled")],
    )


@pytest.mark.parametrize("kind", [TemplateKind.DOCX, TemplateKind.PPTX, TemplateKind.XLSX])
def test_what_is_no_such_file_is_told(kind: TemplateKind) -> None:
    assert len(told(kind, b"PK\3\4 nonsense")) == 1
