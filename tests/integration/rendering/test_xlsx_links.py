"""Links of a workbook to other workbooks are cut: what they showed stays, nothing points outside."""

import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest

from rendering import OutputFormat, Rendered, RenderOptions, TemplateKind, inspect, render
from support.office_files import package_of, package_parts
from support.report_data import report, table
from support.workbooks import build, opened, part, values

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELS = "http://schemas.openxmlformats.org/package/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.externalLink+xml"
PATH = "file:///C:\\Users\\ada\\Secret%20plans\\rates%202026.xlsx"
CUT = "the links to rates 2026.xlsx were cut: their last stored values are shown as plain values"


def linked(fill: Callable[[Any, Any], None], path: str = PATH) -> bytes:
    """The workbook with a link to another one, ``[1]`` in formulas."""
    parts = package_parts(build(fill))
    parts["xl/externalLinks/externalLink1.xml"] = (
        f'<externalLink xmlns="{MAIN}"><externalBook xmlns:r="{OFFICE}" r:id="rId1"/></externalLink>'.encode()
    )
    parts["xl/externalLinks/_rels/externalLink1.xml.rels"] = (
        f'<Relationships xmlns="{RELS}"><Relationship Id="rId1" Type="{OFFICE}/externalLinkPath" '
        f'Target="{path}" TargetMode="External"/></Relationships>'
    ).encode()
    rels, types = "xl/_rels/workbook.xml.rels", "[Content_Types].xml"
    link = f'<Relationship Id="rId77" Type="{OFFICE}/externalLink" Target="externalLinks/externalLink1.xml"/>'
    parts[rels] = parts[rels].replace(b"</Rel", link.encode() + b"</Rel")
    entry = f'<Override PartName="/xl/externalLinks/externalLink1.xml" ContentType="{TYPE}"/>'
    parts[types] = parts[types].replace(b"</Types", entry.encode() + b"</Types")
    book = parts["xl/workbook.xml"]
    at = book.index(b"</sheets>") + len(b"</sheets>")
    reference = b'<externalReferences><externalReference r:id="rId77"/></externalReferences>'
    parts["xl/workbook.xml"] = book[:at] + reference + book[at:]
    return package_of(parts)


def rendered(template: bytes) -> Rendered:
    assert inspect(TemplateKind.XLSX, template).problems == ()
    data = report({"n": 7}, {"t": table("a", (1,), (2,))})
    return render(TemplateKind.XLSX, template, data, RenderOptions(), OutputFormat.XLSX)


def test_what_a_link_showed_stays_as_a_value_and_nothing_of_the_link_is_left() -> None:
    def fill(book: Any, sheet: Any) -> None:
        book.define_name("rate", "='[1]My rates'!$A$1")
        book.define_name("here", "=S!$A$1")
        sheet.write("A1", "{{ n }}")
        for row, formula in enumerate(
            ["='[1]My rates'!B2", "=SUM([1]Rates!B2:B9)", "=rate*2", "=[1]!total"], 2
        ):
            sheet.write_formula(f"B{row}", formula, None, 40 + row)
        sheet.write_formula("C2", '="[1]Rates!A1"&"x"', None, "kept")
        sheet.write_formula("C3", "=1+1", None, 2)
        rule = {"type": "formula", "criteria": "=rate>1", "format": book.add_format({"bold": True})}
        sheet.conditional_format("D1:D9", rule)

    found = rendered(linked(fill))
    assert (CUT,) == found.warnings
    root = part(found.content, "xl/worksheets/sheet1.xml")
    cells = {c.get("r"): (c.findtext("{*}f"), c.findtext("{*}v")) for c in root.iter("{*}c")}
    assert {f"B{row}": (None, str(40 + row)) for row in range(2, 6)} == {
        name: cell for name, cell in cells.items() if name[0] == "B"
    }
    assert (cells["C2"][0], cells["C3"][0]) == ('"[1]Rates!A1"&"x"', "1+1")
    with zipfile.ZipFile(BytesIO(found.content)) as archive:
        assert not [n for n in archive.namelist() if "externalLink" in n or b"Secret" in archive.read(n)]
        assert b"externalReference" not in archive.read("xl/workbook.xml")
    assert ["here"] == list(opened(found.content).defined_names)
    assert 7 == values(found.content)[0][0]
    assert root.find("{*}conditionalFormatting") is None


def test_a_value_that_also_depends_on_the_report_is_left_out_and_named() -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write("A1", "{{ t.a }}")
        sheet.write_formula("B1", "=A1*[1]Rates!B2", None, 99)
        sheet.write_formula("B2", "=[1]Rates!B2+SUM(A1:A1)", None, 99)
        other = book.add_worksheet("Other")
        other.write_formula("A1", "=S!A1*[1]Rates!B2", None, 99)
        other.write_formula("A2", "=[1]Rates!B3", None, 5)

    found = rendered(linked(fill))
    assert 2 == len(found.warnings)
    assert all(cell in found.warnings[1] for cell in ("S!B1", "S!B2", "Other!A1"))
    assert [[1], [2]] == [row[:1] for row in values(found.content)][:2]
    assert 99 not in [cell for name in ("S", "Other") for row in values(found.content, name) for cell in row]
    assert 5 in [cell for row in values(found.content, "Other") for cell in row]


@pytest.mark.filterwarnings("ignore:Unknown worksheet reference")
def test_charts_over_another_workbook_keep_what_they_stored() -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write("A1", "{{ n }}")
        chart = book.add_chart({"type": "column"})
        chart.add_series({
            "name": "=[1]Rates!$A$1", "categories": "=[1]Rates!$A$2:$A$3", "values": "=[1]Rates!$B$2:$B$3",
            "values_data": [3, 4], "categories_data": ["x", "y"], "name_formula": "=[1]Rates!$A$1",
        })  # fmt: skip
        sheet.insert_chart("D1", chart)

    root = part(rendered(linked(fill)).content, "xl/charts/chart1.xml")
    assert not [f for f in root.iter("{*}f") if "[1]" in (f.text or "")]
    assert ["3", "4"] == [v.text for v in root.find(".//{*}val/{*}numLit").iter("{*}v")]
    assert ["x", "y"] == [v.text for v in next(root.iter("{*}cat")).iter("{*}v")]


def test_links_to_programs_and_in_other_parts_are_still_refused() -> None:
    for old, new in (("externalLinkPath", "oleObject"), ("xl/externalLinks/", "xl/worksheets/")):
        parts = package_parts(linked(lambda _, sheet: sheet.write("A1", "{{ n }}")))
        rels = "xl/externalLinks/_rels/externalLink1.xml.rels"
        body = parts.pop(rels)
        parts[rels.replace(old, new)] = body.replace(old.encode(), new.encode())
        (problem,) = inspect(TemplateKind.XLSX, package_of(parts)).problems
        assert "points outside itself" in problem.message
