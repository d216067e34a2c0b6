"""Templates of every kind that hold one text, and the text of what was made of them."""

import io

import docx
import openpyxl
import pptx
import xlsxwriter


def template_of(kind: str, text: str) -> bytes:
    """Return a template of a kind with one text."""
    return {"xlsx": _xlsx, "docx": _docx, "pptx": _pptx, "html": _html}[kind](text)


def text_of(kind: str, content: bytes) -> str:
    """Return the one text of a finished file."""
    return {"xlsx": _of_xlsx, "docx": _of_docx, "pptx": _of_pptx, "html": _of_html}[kind](content)


def _xlsx(text: str) -> bytes:
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True})
    book.add_worksheet("S").write_string("A1", f"[{text}]")
    book.close()
    return file.getvalue()


def _of_xlsx(content: bytes) -> str:
    return str(openpyxl.load_workbook(io.BytesIO(content))["S"]["A1"].value)[1:-1]


def _docx(text: str) -> bytes:
    document, file = docx.Document(), io.BytesIO()
    document.add_paragraph(f"[{text}]")
    document.save(file)
    return file.getvalue()


def _of_docx(content: bytes) -> str:
    return str(docx.Document(io.BytesIO(content)).paragraphs[0].text)[1:-1]


def _pptx(text: str) -> bytes:
    deck, file = pptx.Presentation(), io.BytesIO()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text_frame.text = f"[{text}]"
    deck.save(file)
    return file.getvalue()


def _of_pptx(content: bytes) -> str:
    return str(pptx.Presentation(io.BytesIO(content)).slides[0].shapes.title.text_frame.text)[1:-1]


def _html(text: str) -> bytes:
    return f"<p>{text}</p>".encode()


def _of_html(content: bytes) -> str:
    return content.decode()[3:-4]
