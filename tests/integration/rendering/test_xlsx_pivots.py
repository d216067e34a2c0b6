"""Pivot tables of real workbooks over a table that grows: their source follows, pages show new sums."""

import re
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from pypdf import PdfReader

from rendering import ColumnData, TableData
from rendering.xlsx.moves import split_range
from support.office_files import need_office_files, package_parts
from support.pages import to_pdf
from support.report_data import report
from support.workbooks import filled, part

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
GROWN = 50


def _source(parts: dict[str, bytes]) -> tuple[str, Any, Any] | None:
    """The first pivot source that is a range of a sheet: its part, its tree, and the element."""
    for name in [n for n in parts if "pivotCacheDefinition" in n and n.endswith(".xml")]:
        root = etree.fromstring(parts[name])
        source = root.find(f".//{MAIN}worksheetSource")
        if source is not None and source.get("sheet") and source.get("ref") and "xl/workbook.xml" in parts:
            return name, root, source
    return None


BOOKS = [p for p in need_office_files("xlsx") if _source(package_parts(p.read_bytes()))]


def _sheet_part(parts: dict[str, bytes], name: str) -> str:
    sheets = etree.fromstring(parts["xl/workbook.xml"]).iter(f"{MAIN}sheet")
    own = next(s for s in sheets if s.get("name") == name)
    number = next(v for k, v in own.attrib.items() if str(k).endswith("}id"))
    rels = etree.fromstring(parts["xl/_rels/workbook.xml.rels"])
    target = next(str(r.get("Target")) for r in rels if r.get("Id") == number)
    return "xl/" + target.removeprefix("/xl/")


def _grown(path: Path) -> tuple[bytes, str, str]:
    """The workbook with one row of tags as its data, filled; the part of that data, its new range."""
    parts = package_parts(path.read_bytes())
    found = _source(parts)
    assert found is not None
    cache, root, source = found
    left, head, right, last = split_range(source.get("ref")) or ("", 0, "", 0)
    sheet = _sheet_part(parts, source.get("sheet"))
    tree = etree.fromstring(parts[sheet])
    columns: dict[str, bool] = {}
    for row in list(tree.iter(f"{MAIN}row")):
        number = int(str(row.get("r")))
        for cell in row if number == head + 1 else ():
            column = re.sub(r"\d", "", str(cell.get("r")))
            columns[column.lower()] = cell.get("t") == "s"
            for one in list(cell):
                cell.remove(one)
            cell.set("t", "inlineStr")
            text = etree.SubElement(etree.SubElement(cell, f"{MAIN}is"), f"{MAIN}t")
            text.text = f"{{{{ d.{column.lower()} }}}}"
        parent = row.getparent()
        if head + 1 < number <= last and parent is not None:
            parent.remove(row)
    source.set("ref", f"{left}{head}:{right}{head + 1}")
    parts |= {cache: etree.tostring(root), sheet: etree.tostring(tree)}
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in parts.items():
            archive.writestr(name, body)
    rows: list[tuple[Any, ...]] = [
        tuple(f"v{i % 4}" if text else i for text in columns.values()) for i in range(GROWN)
    ]
    data = TableData(tuple(ColumnData(name) for name in columns), rows)
    content = filled(out.getvalue(), report(tables={"d": data}))
    return content, cache, f"{left}{head}:{right}{head + GROWN}"


@pytest.mark.parametrize("path", BOOKS, ids=[p.stem for p in BOOKS])
def test_the_source_of_a_real_pivot_follows_its_table(path: Path) -> None:
    content, cache, grown = _grown(path)
    root = part(content, cache)
    assert grown == root.find(f".//{MAIN}worksheetSource").get("ref")
    assert root.get("refreshOnLoad") == "1"


def test_pages_show_a_pivot_over_the_new_rows() -> None:
    """LibreOffice computes pivots anew when it opens a file, as it is asked to."""
    pdfs = to_pdf({f"{at}.xlsx": _grown(path)[0] for at, path in enumerate(BOOKS[:2])})
    texts = ["\n".join(p.extract_text() for p in PdfReader(BytesIO(pdf)).pages) for pdf in pdfs.values()]
    assert any(re.search(rf"Total Resu\S*.* {sum(range(GROWN))}\b", text) for text in texts)
