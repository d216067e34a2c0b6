"""Sheets that repeat, vanish or are named by the data; pictures in cells."""

import zipfile
from io import BytesIO
from typing import Any

import pytest
from lxml import etree

from rendering import ChartSpec, Series, TemplateError, TemplateKind, inspect
from support.report_data import report, table
from support.workbooks import build, filled, opened, part, texts, values

CARRIERS = table("code n", ("AA", 1), ("B/6", 2), ("aa", 3))


def test_a_sheet_per_value_with_tables_charts_and_names_of_its_own() -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.name = "S"
        sheet.write("A1", "{% sheet for c in carriers.rows %}")
        sheet.write("A2", "{{ c.code }}")
        sheet.add_table("A3:B4", {"name": "Data", "columns": [{"header": "k"}, {"header": "v"}]})
        sheet.write_row("A4", ["{{ d.k }}", "{{ d.v }}"])
        sheet.write_formula("C1", "=SUM(Data[v])")
        sheet.write_formula("C2", "=SUM(S!B4:B4)")
        sheet.print_area("A1:C4")
        chart = book.add_chart({"type": "column"})
        chart.add_series({"values": "=S!$B$4:$B$4"})
        chart.set_title({"name": "Of {{ c.code }}"})
        sheet.insert_chart("E1", chart)
        other = book.add_worksheet("Other")
        other.write_formula("A1", "=S!A2")
        other.print_area("A1:A1")

    template = build(fill)
    data = report(tables={"carriers": CARRIERS, "d": table("k v", ("a", 5), ("b", 6))})
    content = filled(template, data)
    book = opened(content)
    assert book.sheetnames == ["S", "S (2)", "S (3)", "Other"]
    assert [book[n]["A1"].value for n in book.sheetnames[:3]] == ["AA", "B/6", "aa"]
    assert book["Other"]["A1"].value == "=S!A1"
    assert book["S (2)"]["C1"].value == "=SUM('S (2)'!B3:B4)"
    assert [t.ref for s in book.worksheets for t in s.tables.values()] == ["A2:B4"] * 3
    assert [n for s in book.worksheets for n in s.tables] == ["Data", "Data_2", "Data_3"]
    assert [book[n].print_area for n in book.sheetnames] == [
        "'S'!$A$1:$C$4", "'S (2)'!$A$1:$C$4", "'S (3)'!$A$1:$C$4", "'Other'!$A$1",
    ]  # fmt: skip
    with zipfile.ZipFile(BytesIO(content)) as archive:
        charts = [n for n in archive.namelist() if n.startswith("xl/charts/")]
    titles = {t for n in charts for t in texts(part(content, n), "t")}
    assert titles == {"Of AA", "Of B/6", "Of aa"}
    assert {t for n in charts for t in texts(part(content, n), "f")} == {
        "S!$B$3:$B$4", "'S (2)'!$B$3:$B$4", "'S (3)'!$B$3:$B$4",
    }  # fmt: skip
    assert inspect(TemplateKind.XLSX, template).tables["carriers"] == {"code"}


def test_names_of_sheets_come_from_the_data_and_references_follow() -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.name = "{{ c.code }}"
        sheet.write("A1", "{% sheet for c in carriers.rows %}")
        sheet.write("A2", "{{ c.n }}")
        book.add_worksheet("Sum").write_formula("A1", "='{{ c.code }}'!A2*2")

    book = opened(filled(build(fill), report(tables={"carriers": CARRIERS})))
    assert book.sheetnames == ["AA", "B_6", "aa (2)", "Sum"]
    assert book["Sum"]["A1"].value == "=AA!A1*2"


def test_a_sheet_stands_only_under_its_condition() -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write("A1", "{% sheet if n > 5 %}")
        book.add_worksheet("Rest").write("A1", "{{ n }}")

    assert opened(filled(build(fill), report({"n": 1}))).sheetnames == ["Rest"]
    assert opened(filled(build(fill), report({"n": 9}))).sheetnames == ["S", "Rest"]


def test_a_workbook_without_any_sheet_is_refused() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write("A1", "{% sheet if n > 5 %}")

    with pytest.raises(TemplateError, match="no sheet is left"):
        filled(build(fill), report({"n": 1}))


def test_cells_ask_for_pictures_also_below_a_table() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write("A1", "{{ d.k }}")
        sheet.write("B2", "{{ chart('sales') }}")
        sheet.write_comment("A2", "a comment: its element must stay behind the drawing")

    chart = ChartSpec(("a", "b"), (Series("s", (1.0, 2.0)),), width=200, height=100)
    data = report(tables={"d": table("k", (1,), (2,), (3,))}, images={"sales": chart})
    content = filled(build(fill), data)
    sheet = opened(content)["S"]
    assert [(i.anchor._from.row, i.anchor._from.col) for i in sheet._images] == [(3, 1)]
    assert sheet._images[0]._data().startswith(b"\x89PNG")
    order = [etree.QName(e).localname for e in part(content, "xl/worksheets/sheet1.xml")]
    assert order.index("drawing") < order.index("legacyDrawing")
    assert "chart" not in str(values(content))
