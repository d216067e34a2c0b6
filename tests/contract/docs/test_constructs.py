"""The page of every construct has an example for every kind of template, and it gives what the page says."""

import re
from collections.abc import Callable
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from pptx.util import Inches

from rendering import OutputFormat, RenderOptions, TemplateKind, inspect, render
from support.examples import sales

PAGES = Path(__file__).parents[3] / "docs" / "templates" / "constructs"
NAMES = {
    "excel": TemplateKind.XLSX,
    "word": TemplateKind.DOCX,
    "powerpoint": TemplateKind.PPTX,
    "html": TemplateKind.HTML,
}
CONSTRUCTS = sorted(page.stem for page in PAGES.glob("*.md") if page.stem != "README")
PICTURE = "[picture]"


def blocks(construct: str) -> dict[str, str]:
    """The fenced blocks of a page by their language."""
    page = (PAGES / f"{construct}.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^```(\w+)\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL))


def saved(document: Any) -> bytes:
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def excel(text: str) -> bytes:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    for line in text.splitlines():
        sheet.append([cell.strip() for cell in line.split("||")])
    return saved(book)


def _rows(block: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("||")] for line in block.splitlines()]


def word(text: str) -> bytes:
    document = docx.Document()
    grid: Any = None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("||")]
        if len(cells) == 1:
            grid = None
            document.add_paragraph(line)
            continue
        grid = grid or document.add_table(0, len(cells))
        for cell, own in zip(grid.add_row().cells, cells, strict=True):
            cell.text = own
    return saved(document)


def powerpoint(text: str) -> bytes:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    for number, block in enumerate(text.strip().split("\n\n")):
        rows = _rows(block)
        place = Inches(1), Inches(number), Inches(6), Inches(0.2)
        if len(rows[0]) == 1:
            slide.shapes.add_textbox(*place).text_frame.text = block
            continue
        table = slide.shapes.add_table(len(rows), len(rows[0]), *place).table
        for row, cells in zip(table.rows, rows, strict=True):
            for cell, own in zip(row.cells, cells, strict=True):
                cell.text = own
    return saved(deck)


def shown_excel(content: bytes) -> list[str]:
    book: Any = openpyxl.load_workbook(BytesIO(content))
    values = [
        v
        for sheet in book.worksheets
        for row in sheet.iter_rows(values_only=True)
        for v in row
        if v is not None
    ]
    texts = [f"{v:g}" if isinstance(v, float) else str(v) for v in values]
    return texts + [PICTURE for sheet in book.worksheets for _ in sheet._images]


def _xml_texts(root: Any) -> list[str]:
    found = ("".join(t.text or "" for t in p.iter("{*}t")) for p in root.iter("{*}p"))
    return [text for text in found if text] + [PICTURE for _ in root.iter("{*}pic")]


def shown_word(content: bytes) -> list[str]:
    return _xml_texts(docx.Document(BytesIO(content)).element.body)


def shown_powerpoint(content: bytes) -> list[str]:
    deck = pptx.Presentation(BytesIO(content))
    return [text for slide in deck.slides for text in _xml_texts(slide._element)]


def shown_html(content: bytes) -> list[str]:
    page = re.sub(r"<img\b[^>]*>", PICTURE, content.decode())
    return [text for part in re.split(r"<[^>]*>", page) if (text := unescape(part).strip())]


MAKE: dict[str, Callable[[str], bytes]] = {
    "excel": excel,
    "word": word,
    "powerpoint": powerpoint,
    "html": str.encode,
}
SHOWN = {"excel": shown_excel, "word": shown_word, "powerpoint": shown_powerpoint, "html": shown_html}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_the_example_gives_what_the_page_says(construct: str, name: str) -> None:
    found = blocks(construct)
    kind = NAMES[name]
    template = MAKE[name](found[name])
    assert inspect(kind, template).problems == ()
    result = render(kind, template, sales(), RenderOptions(), OutputFormat(kind.value))
    assert found["gives"].splitlines() == SHOWN[name](result.content)


def test_every_construct_is_on_the_list_and_has_a_page() -> None:
    listed = re.findall(
        r"^\| \[(\w+)\.md\]", (PAGES / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert sorted(listed) == CONSTRUCTS
