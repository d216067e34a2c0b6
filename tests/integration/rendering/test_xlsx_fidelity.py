"""Filling one cell of a real workbook must leave everything else as it was."""

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from lxml import etree
from openpyxl.utils.cell import rows_from_range
from python_calamine import CalamineError, CalamineWorkbook

from rendering import OutputFormat, RenderOptions, TemplateError, TemplateKind, render
from rendering.opc import Package
from support.office_files import need_office_files, package_of, package_parts
from support.pages import differing, need_office, pictures, to_pdf
from support.report_data import report

FILES = need_office_files("xlsx")
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
SPACES = (MAIN, "{http://purl.oclc.org/ooxml/spreadsheetml/main}")
REFUSED = ("points outside itself", "macros or ActiveX", "macro sheets", "fetches from the network")
NO_SHEET = {"chartsheet02.xlsx"}
TAG, VALUE = "{{ probe }}", "Filled & kept"
CHANCE = (b"RANDBETWEEN", b"RAND()", b"NOW()")  # show something else each time
BETTER = {"ResizingTables"}  # its total is written with its result, whose formula LibreOffice cannot read
_LARGE = 200_000  # bytes of a file that openpyxl takes long for
SAMPLE = 8  # files whose pages are looked at by default; all of them in the slow run


def _sheets(parts: dict[str, bytes]) -> list[tuple[str, Any, str]]:
    """Name, root and namespace of the worksheets."""
    found = []
    for name, body in parts.items():
        root = etree.fromstring(body) if name.endswith(".xml") and "sheet" in name.lower() else None
        space = next((s for s in SPACES if root is not None and root.tag == s + "worksheet"), None)
        if root is not None and space is not None and root.find(space + "sheetData") is not None:
            found.append((name, root, space))
    return found


def _with_row(content: bytes, text: str) -> tuple[bytes, str]:
    """The workbook with one more row at the end of a sheet, its only cell this text; and the part."""
    parts = package_parts(content)
    for name, root, space in _sheets(parts):
        data = root.find(space + "sheetData")
        numbers = [int(row.get("r") or 0) for row in data]
        last = max([*numbers, len(numbers)], default=0) + 1
        row = etree.SubElement(data, f"{space}row", r=str(last))
        cell = etree.SubElement(row, f"{space}c", r=f"A{last}", t="inlineStr")
        etree.SubElement(etree.SubElement(cell, f"{space}is"), f"{space}t").text = text
        parts[name] = etree.tostring(root)
        return package_of(parts), name
    return b"", ""


def _with_cell(content: bytes, text: str) -> tuple[bytes, str]:
    """The workbook with the first text of a sheet replaced by this one; and that sheet's part."""
    parts = package_parts(content)
    strings = next((n for n in parts if n.lower().endswith("sharedstrings.xml")), "")
    for name, root, space in _sheets(parts) if strings else []:
        cell = next((c for c in root.iter(space + "c") if c.get("t") == "s"), None)
        if cell is None:
            continue
        texts = etree.fromstring(parts[strings])
        count = len(texts.findall(space + "si"))
        item = etree.Element(f"{space}si")
        etree.SubElement(item, f"{space}t").text = text
        texts.insert(count, item)
        cell.find(space + "v").text = str(count)
        cell.set("probe", "here")
        parts[name] = etree.tostring(root).replace(b' probe="here"', b"")
        parts[strings] = etree.tostring(texts)
        return package_of(parts), name
    return b"", ""


def _without_results(xml: bytes, touched: str, name: str) -> bytes:
    """A sheet without what filling may change: results of formulas; of the filled one positions."""
    root = etree.fromstring(xml)
    space = root.tag.removesuffix("worksheet")
    data = root.find(space + "sheetData")
    spilled = _spilled(root, space) | _PIVOTS.get(name, set())
    for row in data if data is not None else ():
        for one in row:
            if one.find(space + "f") is not None or one.get("r") in spilled:
                one.set("t", "")
                value = one.find(space + "v")
                if value is not None:
                    one.remove(value)
            if name == touched:
                one.set("r", "")
        if name == touched:
            row.set("r", "")
            row.tail = None
    if data is not None:
        data.text = data.tail = None
    return etree.tostring(root, method="c14n")


def _spilled(root: Any, space: str) -> set[str]:
    """The cells that array formulas and what-if tables fill."""
    found: set[str] = set()
    for formula in root.iter(space + "f"):
        if formula.get("t") in {"array", "dataTable"} and formula.get("ref"):
            for cells in rows_from_range(formula.get("ref")):
                found.update(cells)
    return found


def _workbook(xml: bytes) -> bytes:
    """A workbook part without the wish to compute everything anew."""
    root = etree.fromstring(xml)
    for element in list(root):
        if etree.QName(element).localname == "calcPr":
            root.remove(element)
    for element in root.iter():
        element.tail = None
    return etree.tostring(root, method="c14n")


def _strings(xml: bytes) -> list[bytes]:
    items = [e for e in etree.fromstring(xml) if etree.QName(e).localname == "si"]
    return [etree.tostring(item, method="c14n", with_tail=False) for item in items]


def _filled(template: bytes) -> bytes | None:
    """The report; None if the file is refused for a reason that is written down."""
    data = report({"probe": VALUE})
    try:
        return render(TemplateKind.XLSX, template, data, RenderOptions(), OutputFormat.XLSX).content
    except TemplateError as refusal:
        if not any(reason in refusal.message for reason in REFUSED):
            raise
        return None


def _same(before: bytes, after: bytes, touched: str) -> None:
    old, new = package_parts(before), package_parts(after)
    added = [name for name in new if name not in old]
    linked = any("externalLinks/" in name for name in old)
    if linked:  # cut, with what hangs on it
        old = {name: body for name, body in old.items() if name in new}
        assert not [name for name in new if "externalLinks/" in name]
    assert list(old) == [name for name in new if name in old]
    assert all("sharedStrings" in name for name in added), "only texts may be new"
    for name in old:
        if old[name] == new[name]:
            continue
        if linked and name.endswith((".rels", "workbook.xml", "[Content_Types].xml", touched)):
            continue
        if name.endswith("workbook.xml"):
            assert _workbook(old[name]) == _workbook(new[name])
        elif name.lower().endswith("sharedstrings.xml"):
            kept, now = _strings(old[name]), _strings(new[name])
            assert len(now) == len(kept) + 1
            assert all(a == b for a, b in zip(kept, now, strict=False) if TAG.encode() not in a)
            assert b"Filled &amp; kept" in now[-1]
        elif added and (name.endswith(".rels") or name == "[Content_Types].xml"):
            assert len(etree.fromstring(new[name])) == len(etree.fromstring(old[name])) + 1
        elif "/charts/" in name or "pivotCacheDefinition" in name:  # the cell is one of those they show
            assert _shown(old[name]) == _shown(new[name]), name
        else:
            assert "sheet" in name, name
            assert _bare(old[name], touched, name) == _bare(new[name], touched, name), name


def _shown(xml: bytes) -> bytes:
    """A chart without its stored values, the data of a pivot table without the wish to be read anew."""
    root: Any = etree.fromstring(xml)
    root.attrib.pop("refreshOnLoad", None)
    for element in list(root.iter()):
        if etree.QName(element).localname in {"strCache", "numCache", "multiLvlStrCache"}:
            element.getparent().remove(element)
    return etree.tostring(root, method="c14n")


def _bare(xml: bytes, touched: str, name: str) -> bytes:
    """The same, and without the one cell that was filled: the last text in the one, the tag in the other."""
    if name != touched:
        return _without_results(xml, touched, name)
    root = etree.fromstring(xml)
    space = root.tag.removesuffix("worksheet")
    for cell in root.iter(space + "c"):
        if cell.get("t") in {"s", "inlineStr"}:
            cell.set("t", "text")
            if cell.get("r") == _PLACE[name]:
                for one in list(cell):
                    cell.remove(one)
    return _without_results(etree.tostring(root), touched, name)


_PLACE: dict[str, str] = {}
_PIVOTS: dict[str, set[str]] = {}  # cells of pivot tables by sheet, which hold results too


def _pivots(template: bytes) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    package = Package(template)
    for name in package.names():
        for pivot in package.related(name, "pivotTable"):
            place = package.xml(pivot).find("{*}location").get("ref")
            found.setdefault(name, set()).update(c for row in rows_from_range(place) for c in row)
    return found


def _place(template: bytes, touched: str) -> str:
    """Where the tag stands."""
    parts = package_parts(template)
    root = etree.fromstring(parts[touched])
    space = root.tag.removesuffix("worksheet")
    strings = next((_strings(b) for n, b in parts.items() if n.lower().endswith("sharedstrings.xml")), [])
    tagged = {str(at) for at, text in enumerate(strings) if TAG.encode() in text}
    for cell in root.iter(space + "c"):
        text = "".join(str(one) for one in cell.itertext())
        if text == TAG or (cell.get("t") == "s" and text in tagged):
            return str(cell.get("r") or "")
    raise AssertionError("the template has no tag")


@pytest.mark.parametrize("path", FILES, ids=[p.name for p in FILES])
def test_filling_one_cell_changes_nothing_else(path: Path) -> None:
    for make in (_with_row, _with_cell):
        template, touched = make(path.read_bytes(), TAG)
        if not template:
            assert make is _with_cell or path.name in NO_SHEET, "a workbook without a worksheet has no cell"
            continue
        result = _filled(template)
        if result is not None:
            _PLACE[touched] = _place(template, touched)
            _PIVOTS.clear()
            _PIVOTS.update(_pivots(template))
            _same(template, result, touched)
            for read in (_by_calamine, _by_openpyxl):
                if read(template, TAG):  # what the reader makes of the template itself is its own affair
                    assert read(result, VALUE), f"{read.__name__} does not see the value"


def _by_calamine(content: bytes, text: str) -> bool:
    """Whether a cell of the workbook reads as this text."""
    try:
        book = CalamineWorkbook.from_filelike(BytesIO(content))
        return any(
            text in row for name in book.sheet_names for row in book.get_sheet_by_name(name).to_python()
        )
    except CalamineError:
        return False


def _by_openpyxl(content: bytes, text: str) -> bool:
    if len(content) > _LARGE:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            book = openpyxl.load_workbook(BytesIO(content), read_only=True)
            return any(text in row for sheet in book.worksheets for row in sheet.iter_rows(values_only=True))
        except Exception:  # noqa: BLE001 - it raises whatever it comes across in a file it cannot read
            return False


def _look(files: list[Path]) -> list[str]:
    """The workbooks whose pages are not those of the same workbook with the text typed in by hand."""
    need_office()
    books: dict[str, bytes] = {}
    for path in files:
        template, _ = _with_cell(path.read_bytes(), TAG)
        result = _filled(template) if template else None
        bodies = package_parts(path.read_bytes()).values()
        chance = any(word in body for body in bodies for word in CHANCE)
        if result is not None and not chance and path.stem not in BETTER:
            books[f"{path.stem}-before.xlsx"] = _with_cell(path.read_bytes(), VALUE)[0]
            books[f"{path.stem}-after.xlsx"] = result
    pdfs = to_pdf(books)
    wrong = []
    for name in [n for n in books if n.endswith("-before.xlsx") and n in pdfs]:
        other = name.replace("-before", "-after")
        assert other in pdfs, f"{other} does not open in LibreOffice"
        if differing(pictures(pdfs[name]), pictures(pdfs[other])):
            wrong.append(name)
    assert pdfs
    return wrong


def test_pages_of_some_reports_look_as_before() -> None:
    assert [] == _look(FILES[:: max(1, len(FILES) // SAMPLE)])


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_pages_of_all_reports_look_as_before() -> None:
    wrong = [name for at in range(0, len(FILES), 15) for name in _look(FILES[at : at + 15])]
    assert [] == wrong
