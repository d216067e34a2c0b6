"""Workbook templates made for a test, and independent eyes on what became of them."""

import warnings
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import openpyxl
import xlsxwriter
from lxml import etree
from python_calamine import CalamineWorkbook

from rendering import OutputFormat, RenderData, RenderOptions, TemplateKind, render


def build(fill: Callable[[Any, Any], None]) -> bytes:
    """A workbook with one sheet called S, made by XlsxWriter."""
    out = BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    fill(book, book.add_worksheet("S"))
    book.close()
    return out.getvalue()


def filled(template: bytes, data: RenderData) -> bytes:
    """The template rendered; twice, because the same input must give the same bytes."""
    once = render(TemplateKind.XLSX, template, data, RenderOptions(), OutputFormat.XLSX)
    again = render(TemplateKind.XLSX, template, data, RenderOptions(), OutputFormat.XLSX)
    assert once.content == again.content
    return once.content


def values(content: bytes, sheet: str = "S") -> list[list[Any]]:
    """What a reader of values sees."""
    return (
        CalamineWorkbook.from_filelike(BytesIO(content))
        .get_sheet_by_name(sheet)
        .to_python(skip_empty_area=False)
    )


def opened(content: bytes) -> Any:
    """The workbook as openpyxl sees it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return openpyxl.load_workbook(BytesIO(content))


def part(content: bytes, name: str) -> Any:
    """One part, parsed."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return etree.fromstring(archive.read(name))


def texts(root: Any, name: str) -> list[str | None]:
    """Texts of all elements of a local name."""
    return [e.text for e in root.iter() if etree.QName(e).localname == name]
