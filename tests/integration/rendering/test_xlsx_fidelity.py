"""Filling one cell of a real workbook must leave everything else as it was."""

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from rendering import OutputFormat, RenderOptions, TemplateError, TemplateKind, render
from support.office_files import need_office_files
from support.report_data import report

FILES = need_office_files("xlsx")
SPACES = (
    "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}",
    "{http://purl.oclc.org/ooxml/spreadsheetml/main}",
)
REFUSED = ("points outside itself", "macros or ActiveX")
NO_SHEET = {"chartsheet02.xlsx"}


def _parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return {i.filename: archive.read(i) for i in archive.infolist() if not i.is_dir()}


def _with_tag(content: bytes) -> tuple[bytes, str]:
    """The workbook with one more row at the end of a sheet, its only cell a tag; and that sheet's part."""
    parts = _parts(content)
    for name in parts:
        is_sheet = name.endswith(".xml") and "sheet" in name.lower()
        root = etree.fromstring(parts[name]) if is_sheet else None
        space = next((s for s in SPACES if root is not None and root.tag == s + "worksheet"), None)
        data = root.find(space + "sheetData") if root is not None and space else None
        if root is None or data is None:
            continue
        numbers = [int(row.get("r") or 0) for row in data]
        last = max([*numbers, len(numbers)], default=0) + 1
        row = etree.SubElement(data, f"{space}row", r=str(last))
        cell = etree.SubElement(row, f"{space}c", r=f"A{last}", t="inlineStr")
        etree.SubElement(etree.SubElement(cell, f"{space}is"), f"{space}t").text = "{{ probe }}"
        parts[name] = etree.tostring(root)
        out = BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for one, body in parts.items():
                archive.writestr(one, body)
        return out.getvalue(), name
    return b"", ""


def _sheet(xml: bytes) -> tuple[bytes, Any]:
    """A sheet without what filling may change: results of formulas, written positions; and its last cell."""
    root = etree.fromstring(xml)
    space = root.tag.removesuffix("worksheet")
    data = root.find(space + "sheetData")
    assert data is not None
    last = data[-1]
    cell = last[0]
    data.remove(last)
    for row in data:
        row.set("r", "")
        row.tail = None
        for one in row:
            one.set("r", "")
            if one.find(space + "f") is not None:
                one.set("t", "")
                value = one.find(space + "v")
                if value is not None:
                    one.remove(value)
    data.text = data.tail = None
    return etree.tostring(root, method="c14n"), cell


def _workbook(xml: bytes) -> bytes:
    """A workbook part without the wish to compute everything anew."""
    root = etree.fromstring(xml)
    for element in list(root):
        if etree.QName(element).localname == "calcPr":
            root.remove(element)
    for element in root.iter():
        element.tail = None
    return etree.tostring(root, method="c14n")


@pytest.mark.parametrize("path", FILES, ids=[p.name for p in FILES])
def test_filling_one_cell_changes_nothing_else(path: Path) -> None:
    template, touched = _with_tag(path.read_bytes())
    if not template:
        assert path.name in NO_SHEET, "a workbook without a worksheet has no cell to fill"
        return
    data = report({"probe": 42})
    try:
        result = render(TemplateKind.XLSX, template, data, RenderOptions(), OutputFormat.XLSX)
    except TemplateError as refusal:
        if not any(reason in refusal.message for reason in REFUSED):
            raise
        return
    before, after = _parts(template), _parts(result.content)
    assert list(before) == list(after)
    for name in before:
        if name == touched:
            old, _ = _sheet(before[name])
            new, cell = _sheet(after[name])
            assert new == old
            assert [(e.tag.rpartition("}")[2], e.text) for e in cell] == [("v", "42")]
            assert cell.get("t") is None
        elif name.endswith("workbook.xml"):
            assert _workbook(after[name]) == _workbook(before[name])
        else:
            assert after[name] == before[name], name
