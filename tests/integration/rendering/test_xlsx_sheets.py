"""Sheets that repeat, vanish or are named by the data; pictures in cells."""

import re
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from lxml import etree

from rendering import (
    ChartSpec,
    OutputFormat,
    RenderOptions,
    Series,
    TemplateError,
    TemplateKind,
    inspect,
    render,
)
from support.office_files import package_of, package_parts
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


def test_only_one_copy_is_selected_and_the_first_sheet_shown_stays_the_same() -> None:
    """Several selected sheets are edited together: a reader would change all of them at once."""

    def fill(book: Any, sheet: Any) -> None:
        sheet.write("A1", "{% sheet for c in carriers.rows %}")
        sheet.write("A2", "{{ c.code }}")
        book.add_worksheet("Last").activate()

    content = filled(build(fill), report(tables={"carriers": CARRIERS}))
    book = opened(content)
    assert [bool(s.sheet_view.tabSelected) for s in book.worksheets] == [False, False, False, True]
    assert book.active.title == "Last"
    shown = filled(build(lambda b, s: s.write("A1", "{% sheet for c in carriers.rows %}")), report(
        tables={"carriers": CARRIERS}))  # fmt: skip
    assert [s.sheet_view.tabSelected for s in opened(shown).worksheets].count(True) == 1


def test_what_looks_at_a_dropped_sheet_says_so_and_nothing_of_it_stays_behind() -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write("A1", "{% sheet for c in carriers.rows %}")
        sheet.write("A2", "{{ c.n }}")
        chart = book.add_chart({"type": "pie"})
        chart.add_series({"values": "=S!$A$2:$A$2"})
        chart.set_title({"name": "{{ c.code }}"})
        sheet.insert_chart("C1", chart)
        rest = book.add_worksheet("Rest")
        rest.write_formula("A1", "=SUM(S!A2:A2)+1", value=7)
        other = book.add_chart({"type": "pie"})
        other.add_series({"values": "=S!$A$2:$A$2"})
        rest.insert_chart("C1", other)

    content = filled(build(fill), report(tables={"carriers": table("code n")}))
    book = opened(content)
    assert book.sheetnames == ["Rest"]
    assert book["Rest"]["A1"].value == "=SUM(#REF!)+1"
    with zipfile.ZipFile(BytesIO(content)) as archive:
        names = archive.namelist()
        assert [n for n in names if "/charts/chart" in n] == ["xl/charts/chart2.xml"]
        assert b"S!" not in archive.read("xl/charts/chart2.xml")
        assert b"sheet1.xml" not in archive.read("[Content_Types].xml")


def test_results_that_are_no_longer_true_are_not_kept_on_other_sheets() -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write("A1", "{{ n }}")
        sheet.add_table("C1:C3", {"name": "T", "columns": [{"header": "k"}]})
        book.define_name("total", "=S!$A$1")
        direct = book.add_worksheet("Direct")
        direct.write_formula("A1", "=S!A1", value=-1)
        direct.write_formula("A2", "=A1*2", value=-2)
        book.add_worksheet("ByName").write_formula("A1", "=total*2", value=-1)
        book.add_worksheet("ByTable").write_formula("A1", "=COUNTA(T[k])", value=-1)
        book.add_worksheet("Second").write_formula("A1", "=Direct!A2", value=-1)
        book.add_worksheet("Alone").write_formula("A1", "=1+1", value=2)

    content = filled(build(fill), report({"n": 5}))
    kept = {name: values(content, name) for name in ("Direct", "ByName", "ByTable", "Second", "Alone")}
    assert kept == {"Direct": [], "ByName": [], "ByTable": [], "Second": [], "Alone": [[2]]}


PIVOT = (
    '<pivotTableDefinition xmlns="{main}" name="P" cacheId="5" dataCaption="v">'
    '<location ref="D6:E9" firstHeaderRow="1" firstDataRow="1" firstDataCol="1"/></pivotTableDefinition>'
)
CACHE = (
    '<pivotCacheDefinition xmlns="{main}"><cacheSource type="worksheet">'
    '<worksheetSource ref="A2:B3" sheet="S"/></cacheSource></pivotCacheDefinition>'
)


def _with_pivot(template: bytes) -> bytes:
    """The workbook with a pivot table on its first sheet, over its own cells."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    with zipfile.ZipFile(BytesIO(template)) as archive:
        parts = {n: archive.read(n) for n in archive.namelist()}

    def rel(number: str, kind: str, target: str) -> bytes:
        office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        return f'<Relationship Id="{number}" Type="{office}/{kind}" Target="{target}"/>'.encode()

    head = b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    cache = "/xl/pivotCache/pivotCacheDefinition1.xml"
    parts[cache[1:]] = CACHE.format(main=main).encode()
    parts["xl/pivotTables/pivotTable1.xml"] = PIVOT.format(main=main).encode()
    parts["xl/pivotTables/_rels/pivotTable1.xml.rels"] = (
        head + rel("rId1", "pivotCacheDefinition", cache) + b"</Relationships>"
    )
    parts["xl/worksheets/_rels/sheet1.xml.rels"] = (
        head + rel("rId1", "pivotTable", "/xl/pivotTables/pivotTable1.xml") + b"</Relationships>"
    )
    rels = "xl/_rels/workbook.xml.rels"
    parts[rels] = parts[rels].replace(b"</Rel", rel("rId90", "pivotCacheDefinition", cache) + b"</Rel")
    caches = b'<pivotCaches><pivotCache cacheId="5" r:id="rId90"/></pivotCaches></workbook>'
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace(b"</workbook>", caches)
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_a_pivot_table_of_a_repeated_sheet_shows_its_own_sheet() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write("A1", "{% sheet for c in carriers.rows %}")
        sheet.write_row("A2", ["k", "v"])
        sheet.write_row("A3", ["{{ d.k }}", "{{ d.v }}"])

    data = report(tables={"carriers": CARRIERS, "d": table("k v", ("a", 5), ("b", 6), ("c", 7))})
    content = filled(_with_pivot(build(fill)), data)
    with zipfile.ZipFile(BytesIO(content)) as archive:
        pivots = [n for n in archive.namelist() if n.startswith("xl/pivotTables/") and n.endswith(".xml")]
    ids = {part(content, n).get("cacheId") for n in pivots}
    assert {"5", "6", "7"} == ids
    assert {"D7:E10"} == {part(content, n)[0].get("ref") for n in pivots}, "one row up, two down"
    book = part(content, "xl/workbook.xml")
    entries = {e.get("cacheId"): e for e in book.iter("{*}pivotCache")}
    assert ids == set(entries)
    rels = {e.get("Id"): e.get("Target") for e in part(content, "xl/_rels/workbook.xml.rels")}
    sources = [
        part(content, rels[v].removeprefix("/"))[0][0]
        for e in entries.values()
        for k, v in e.attrib.items()
        if k.endswith("}id")
    ]
    assert [("S", "A1:B4"), ("S (2)", "A1:B4"), ("S (3)", "A1:B4")] == [
        (s.get("sheet"), s.get("ref")) for s in sources
    ]


def test_a_pivot_table_over_new_rows_is_empty_until_it_is_computed_and_named() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row("A2", ["k", "v"])
        sheet.write_row("A3", ["{{ d.k }}", "{{ d.v }}"])
        sheet.write_row("D7", ["a", 99])
        sheet.write_formula("F6", "=E7*2", None, 198)

    template = _with_pivot(build(fill))
    data = report(tables={"d": table("k v", ("a", 5))})
    found = render(TemplateKind.XLSX, template, data, RenderOptions(), OutputFormat.XLSX)
    root = part(found.content, "xl/worksheets/sheet1.xml")
    stored = {c.get("r"): c.findtext("{*}v") for c in root.iter("{*}c")}
    assert (None, None, None) == (stored["D7"], stored["E7"], stored["F6"])
    assert ("S: the pivot table 'P' is empty until a spreadsheet program opens the report",) == found.warnings


def test_a_sheet_with_slicers_is_not_repeated() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write("A1", "{% sheet for c in carriers.rows %}")

    template = _with_pivot(build(fill))
    with zipfile.ZipFile(BytesIO(template)) as archive:
        parts = {n: archive.read(n) for n in archive.namelist()}
    rels = "xl/worksheets/_rels/sheet1.xml.rels"
    parts[rels] = parts[rels].replace(b'/pivotTable"', b'/slicer"')
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(TemplateError, match="slicers"):
        filled(out.getvalue(), report(tables={"carriers": CARRIERS}))
    (problem,) = inspect(TemplateKind.XLSX, out.getvalue()).problems
    assert "slicers" in problem.message


FLIGHTS = table(
    "region carrier month n",
    ("N", "AA", 1, 5), ("N", "AA", 2, 6), ("N", "BB", 1, 7),
    ("S", "AA", 1, 8), ("S", "CC", 1, 9), ("S", "CC", 2, 10),
)  # fmt: skip


def _levels(inner: Callable[[Any, Any], None]) -> bytes:
    """Rows 1 to 9: regions, in them carriers, in them months."""

    def fill(book: Any, sheet: Any) -> None:
        sheet.write("A1", "{% for g in d.rows | groupby('region') %}")
        sheet.write("A2", "Region {{ g.grouper }}")
        sheet.write("A3", "{% for c in g.rows | groupby('carrier') %}")
        sheet.write("A4", "{{ c.grouper }}")
        sheet.write("A5", "{% for r in c.rows %}")
        sheet.write_row("A6", ["{{ r.month }}", "{{ r.n }}"])
        for row, word in ((7, "endfor"), (9, "endfor"), (10, "endfor")):
            sheet.write(f"A{row}", f"{{% {word} %}}")
        inner(book, sheet)

    return build(fill)


def test_charts_and_pictures_in_blocks_are_repeated_two_deep_each_over_its_own_rows() -> None:
    def inner(book: Any, sheet: Any) -> None:
        chart = book.add_chart({"type": "column"})
        chart.add_series({"categories": "=S!$A$6:$A$6", "values": "=S!$B$6:$B$6", "name": "=S!$A$4"})
        chart.set_title({"name": "{{ g.grouper }} / {{ c.grouper }}"})
        sheet.insert_chart("D4", chart)
        sheet.insert_textbox("H2", "Region {{ g.grouper }}")
        sheet.write("F8", "{{ chart('sales') }}")
        sheet.write_comment("A4", "stands with the first")

    spec = ChartSpec(("a",), (Series("s", (1.0,)),), width=20, height=10)
    content = filled(_levels(inner), report(tables={"d": FLIGHTS}, images={"sales": spec}))
    assert [row[0] for row in values(content)] == [
        "Region N", "AA", 1, 2, "", "BB", 1, "", "Region S", "AA", 1, "", "CC", 1, 2,
    ]  # fmt: skip
    with zipfile.ZipFile(BytesIO(content)) as archive:
        charts = sorted(n for n in archive.namelist() if n.startswith("xl/charts/"))
    shown = {
        "".join(t or "" for t in texts(part(content, n), "t")): texts(part(content, n), "f") for n in charts
    }
    assert shown == {
        "N / AA": ["S!$A$2", "S!$A$3:$A$4", "S!$B$3:$B$4"],
        "N / BB": ["S!$A$6", "S!$A$7:$A$7", "S!$B$7:$B$7"],
        "S / AA": ["S!$A$10", "S!$A$11:$A$11", "S!$B$11:$B$11"],
        "S / CC": ["S!$A$13", "S!$A$14:$A$15", "S!$B$14:$B$15"],
    }
    drawing = part(content, "xl/drawings/drawing1.xml")
    anchors = [
        (int(e[0][2].text), "".join(t or "" for t in texts(e, "t"))) for e in drawing.iter("{*}twoCellAnchor")
    ]
    assert sorted(anchors) == [(0, "Region N"), (1, ""), (5, ""), (8, "Region S"), (9, ""), (12, "")]
    pictures = [int(e[0][2].text) for e in drawing.iter("{*}oneCellAnchor")]
    assert pictures == [4, 7, 11, 15]
    ids = [e.get("id") for e in drawing.iter("{*}cNvPr")]
    assert len(ids) == len(set(ids))
    assert opened(content)["S"]["A2"].comment.text == "stands with the first"


def test_what_stands_in_a_block_that_is_left_out_vanishes_with_it() -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write("A1", "{% if n > 5 %}")
        sheet.write("A2", "many: {{ n }}")
        sheet.add_table("C2:C4", {"name": "T", "columns": [{"header": "k"}]})
        sheet.write_comment("A2", "gone")
        chart = book.add_chart({"type": "pie"})
        chart.add_series({"values": "=S!$A$2:$A$3"})
        sheet.insert_chart("E2", chart)
        sheet.write("A5", "{% endif %}")
        sheet.write("A6", "end")
        sheet.write_comment("A6", "here")

    few, many = (filled(build(fill), report({"n": n})) for n in (1, 9))
    sheet = opened(few)["S"]
    assert ([c.value for c in sheet["A"]], len(sheet._charts), list(sheet.tables)) == (["end"], 0, [])
    assert sheet["A1"].comment.text == "here"
    with zipfile.ZipFile(BytesIO(few)) as archive:
        assert not [n for n in archive.namelist() if "/charts/" in n or "/tables/" in n]
        assert archive.read("xl/drawings/vmlDrawing1.vml").count(b"<v:shape ") == 1
    sheet = opened(many)["S"]
    assert (sheet["A1"].value, len(sheet._charts), list(sheet.tables)) == ("many: 9", 1, ["T"])


def test_an_excel_table_in_a_loop_is_refused() -> None:
    def inner(_: Any, sheet: Any) -> None:
        sheet.add_table("G4:H6", {"name": "Inside", "columns": [{"header": "k"}, {"header": "v"}]})

    template = _levels(inner)
    with pytest.raises(TemplateError, match="'Inside' stands in a loop") as caught:
        filled(template, report(tables={"d": FLIGHTS}))
    assert "sheet for" in caught.value.remedy
    assert (caught.value.problem,) == inspect(TemplateKind.XLSX, template).problems, "said on upload, too"


def test_rules_of_a_sheet_stand_in_each_other() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.name = "{{ g.grouper }} {{ c.grouper }}"
        sheet.write("A1", "{% sheet for g in d.rows | groupby('region') %}")
        sheet.write("A2", "{% sheet for c in g.rows | groupby('carrier') %}")
        sheet.write("A3", "{% sheet if c.rows | length > 1 %}")
        sheet.write("A4", "{% for r in c.rows %}")
        sheet.write("A5", "{{ r.n }}")
        sheet.write("A6", "{% endfor %}")

    content = filled(build(fill), report(tables={"d": FLIGHTS}))
    assert {name: values(content, name) for name in opened(content).sheetnames} == {
        "N AA": [[5], [6]],
        "S CC": [[9], [10]],
    }


def test_parts_have_the_names_that_readers_look_for() -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write("A1", "{% sheet for c in carriers.rows %}")
        sheet.write("A2", "{{ c.code }}")
        sheet.write("A3", "{{ image('logo') }}")
        chart = book.add_chart({"type": "column"})
        chart.add_series({"values": "=S!$A$2:$A$2"})
        sheet.insert_chart("C1", chart)

    logo = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>"
    content = filled(build(fill), report(tables={"carriers": CARRIERS}, images={"logo": logo}))
    with zipfile.ZipFile(BytesIO(content)) as archive:
        names = set(archive.namelist())
    for number in (1, 2, 3):
        for series in ("worksheets/sheet", "charts/chart", "drawings/drawing"):
            assert f"xl/{series}{number}.xml" in names
    assert "xl/sharedStrings.xml" in names
    assert "xl/media/image1.png" in names
    assert values(content, "S (3)")[0][0] == "aa"


def test_a_workbook_without_shared_strings_gets_them_under_their_usual_name() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write("A1", "{{ n }} and text")

    with zipfile.ZipFile(BytesIO(build(fill))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    del parts["xl/sharedStrings.xml"]
    kept = re.compile(rb"<(?:Override|Relationship) [^>]*sharedStrings[^>]*/>")
    inline = b't="inlineStr"><is><t>{{ n }} and text</t></is>'
    parts = {name: kept.sub(b"", body).replace(b't="s"><v>0</v>', inline) for name, body in parts.items()}
    content = filled(package_of(parts), report({"n": 7}))
    assert "xl/sharedStrings.xml" in package_parts(content)
    assert [["7 and text"]] == values(content)
    assert "7 and text" == opened(content)["S"]["A1"].value
