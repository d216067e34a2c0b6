"""A workbook template filled, read back by readers that know nothing of the engine."""

import zipfile
from datetime import date, datetime
from io import BytesIO
from typing import Any

import pytest
import xlsxwriter
from lxml import etree

from rendering import (
    ColumnData,
    Formatted,
    OutputFormat,
    RenderOptions,
    TableData,
    TemplateError,
    TemplateKind,
    inspect,
    render,
)
from support.report_data import report, table
from support.workbooks import build, filled, opened, part, texts, values


def months(count: int) -> TableData:
    """A table of count rows: month number, flights, a text."""
    return TableData(
        (ColumnData("month"), ColumnData("flights", "number"), ColumnData("note")),
        [(i + 1, (i + 1) * 10, f"n{i}") for i in range(count)],
        (None, 999, None),
    )


def test_values_keep_their_types() -> None:
    def fill(book: Any, sheet: Any) -> None:
        bold = book.add_format({"bold": True, "num_format": "0.0%"})
        for row, tag in enumerate(
            ["whole", "share", "day", "moment", "yes", "text", "none", "long", "shown"]
        ):
            sheet.write(row, 0, f"{{{{ {tag} }}}}", bold if tag == "share" else None)
        sheet.write(9, 0, "{{ whole }} flights on {{ day | date('%d.%m.') }}")
        sheet.write(10, 0, "{{ shown.text }}")

    data = report(
        {
            "whole": 1234,
            "share": 0.25,
            "day": date(2026, 3, 9),
            "moment": datetime(2026, 3, 9, 12, 0),
            "yes": True,
            "text": "=1+1",
            "none": None,
            "long": 12345678901234567890,
            "shown": Formatted(5.5, "5,50 €", "#,##0.00 €"),
        }
    )
    content = filled(build(fill), data)
    sheet = opened(content)["S"]
    assert [c.value for c in sheet["A"]] == [
        1234,
        0.25,
        datetime(2026, 3, 9),
        datetime(2026, 3, 9, 12, 0),
        True,
        "=1+1",
        None,
        "12345678901234567890",
        5.5,
        "1234 flights on 09.03.",
        "5,50 €",
    ]
    assert sheet["A6"].data_type == "s", "a text that looks like a formula stays a text"
    assert sheet["A2"].number_format == "0.0%", "the format of the template wins"
    assert sheet["A9"].number_format == "#,##0.00 €", "a General cell takes the format of the source"
    assert sheet["A2"].font.bold


def _sheet_around_a_table() -> bytes:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write_row("A4", ["Month", "Flights", "Double"])
        sheet.write_row("A5", ["{{ m.month }}", "{{ m.flights }}"], book.add_format({"italic": True}))
        sheet.write_formula("C5", "=B5*2+$B$1")
        sheet.write_formula("D5", "=SUM(B$5:B5)")
        sheet.write("A6", "Total")
        sheet.write_formula("B6", "=SUM(B5)")
        sheet.write_formula("C6", "=SUM(C5:C5)")
        sheet.write_formula("B1", "=B6")
        sheet.merge_range("A8:C8", "below")
        sheet.write_comment("A8", "a comment")
        sheet.write_url("A9", "https://example.org", string="link")
        sheet.conditional_format("B5:B5", {"type": "data_bar", "data_bar_2010": True})
        sheet.data_validation("A5", {"validate": "integer", "criteria": ">", "value": 0})
        sheet.autofilter("A4:C5")
        sheet.print_area("A1:D9")
        sheet.set_h_pagebreaks([6])
        sheet.add_sparkline("E5", {"range": "S!B5:C5"})
        chart = book.add_chart({"type": "line"})
        chart.add_series({"name": "=S!$B$4", "categories": "=S!$A$5:$A$5", "values": "=S!$B$5:$B$5"})
        sheet.insert_chart("A11", chart)
        book.define_name("flights", "=S!$B$5:$B$5")
        other = book.add_worksheet("Other")
        other.write_formula("A1", "=SUM(S!B5:B5)+S!B6")

    return build(fill)


@pytest.mark.parametrize("count", [0, 1, 2, 12, 3000])
def test_everything_below_and_around_a_table_follows_it(count: int) -> None:
    rows = max(count, 1)
    shift = rows - 1
    content = filled(_sheet_around_a_table(), report(tables={"m": months(count)}))
    book = opened(content)
    sheet = book["S"]
    last = 4 + rows
    if count:
        assert [c[0].value for c in sheet.iter_rows(min_row=5, max_row=last, max_col=1)] == list(
            range(1, count + 1)
        )
        assert sheet.cell(last, 3).value == f"=B{last}*2+$B$1"
        assert sheet.cell(last, 4).value == f"=SUM(B$5:B{last})"
        assert sheet.cell(last, 2).font.italic
    else:
        assert {c.value for c in sheet[5]} == {None}
    assert sheet.cell(last + 1, 2).value == f"=SUM(B5:B{last})" if count > 1 else "=SUM(B5)"
    assert sheet.cell(last + 1, 3).value == f"=SUM(C5:C{last})"
    assert sheet["B1"].value == f"=B{last + 1}"
    assert [str(r) for r in sheet.merged_cells.ranges] == [f"A{8 + shift}:C{8 + shift}"]
    assert sheet.cell(8 + shift, 1).comment.text == "a comment"
    assert sheet.cell(9 + shift, 1).hyperlink.target == "https://example.org"
    assert sheet.auto_filter.ref == f"A4:C{last}"
    assert sheet.print_area == f"'S'!$A$1:$D${9 + shift}"
    assert [b.id for b in sheet.row_breaks.brk] == [6 + shift]
    assert book.defined_names["flights"].attr_text == f"S!$B$5:$B${last}"
    assert book["Other"]["A1"].value == f"=SUM(S!B5:B{last})+S!B{last + 1}"
    grown = f"B5:B{last}" if rows > 1 else "B5"
    assert [str(v.sqref) for v in sheet.data_validations.dataValidation] == [grown.replace("B", "A")]
    xml = part(content, "xl/worksheets/sheet1.xml")
    assert next(xml.iter("{*}conditionalFormatting")).get("sqref") == grown
    assert texts(xml, "sqref").count(grown) >= 1, "the twin of the data bar for Excel 2010"
    lines = [e for e in xml.iter() if etree.QName(e).localname == "sparkline"]
    assert len(lines) == rows
    assert [e.text for e in lines[-1]] == [f"S!B{last}:C{last}", f"E{last}"]
    chart = part(content, "xl/charts/chart1.xml")
    assert texts(chart, "f") == ["S!$B$4", f"S!$A$5:$A${last}", f"S!$B$5:$B${last}"]
    cached = [p for p in chart.iter() if etree.QName(p).localname == "numCache"][-1]
    assert [e.text for e in cached.iter() if etree.QName(e).localname == "v"] == [
        str((i + 1) * 10) for i in range(count)
    ]
    rows_of = [int(t or 0) for t in texts(part(content, "xl/drawings/drawing1.xml"), "row")]
    assert rows_of[0] == 10 + shift
    with zipfile.ZipFile(BytesIO(content)) as archive:
        vml = archive.read("xl/drawings/vmlDrawing1.vml").decode()
    assert f"<x:Row>{7 + shift}</x:Row>" in vml
    assert values(content)[last][1] == sum((i + 1) * 10 for i in range(count)), (
        "a plain total is written with its result"
    )


def test_an_excel_table_and_its_total_follow() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.add_table("A1:B3", {"name": "Months", "total_row": True, "columns": [
            {"header": "{{ head }}", "total_string": "{{ m.totals.flights }}"},
            {"header": "Flights", "total_function": "sum"}]})  # fmt: skip
        sheet.write_row("A2", ["{{ m.month }}", "{{ m.flights }}"])

    content = filled(build(fill), report({"head": "Month"}, {"m": months(12)}))
    xml = part(content, "xl/tables/table1.xml")
    assert xml.get("ref") == "A1:B14"
    assert [e.get("name") for e in xml.iter() if etree.QName(e).localname == "tableColumn"] == [
        "Month",
        "Flights",
    ]
    assert "{{" not in etree.tostring(xml).decode()
    assert values(content)[-1] == [999, 780]


def test_tables_side_by_side_end_where_they_end() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(
            "A1", ["{{ m.month }}", "no. {{ m.month }}", "", "{{ d.x }}", "{{ d.x | number(1) }}"]
        )
        sheet.write("A2", "end")

    content = filled(build(fill), report(tables={"m": months(2), "d": table("x", (1,), (2,), (3,))}))
    assert values(content) == [
        [1, "no. 1", "", 1, "1.0"],
        [2, "no. 2", "", 2, "2.0"],
        ["", "", "", 3, "3.0"],
        ["end", "", "", "", ""],
    ]


def test_several_tables_below_each_other() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write("A1", "{{ m.month }}")
        sheet.write_formula("A2", "=SUM(A1:A1)")
        sheet.write("A3", "{{ d.x }}")
        sheet.write_formula("A4", "=SUM(A3:A3)+A2")

    sheet = opened(filled(build(fill), report(tables={"m": months(3), "d": table("x", (7,), (8,))})))["S"]
    assert [c.value for c in sheet["A"]] == [1, 2, 3, "=SUM(A1:A3)", 7, 8, "=SUM(A5:A6)+A4"]


def test_levels_and_conditions_repeat_blocks_of_rows() -> None:
    """A block per group with its own heading, rows, subtotal and merged cells; a condition drops rows."""

    def fill(_: Any, sheet: Any) -> None:
        sheet.write("A1", "{% for g in d.rows | groupby('area') %}")
        sheet.merge_range("A2:B2", "Area {{ g.grouper }}")
        sheet.write("A3", "{% for r in g.rows if r.n > 1 %}")
        sheet.write_row("A4", ["{{ r.name }}", "{{ r.n }}"])
        sheet.write("A5", "{% endfor %}")
        sheet.write("A6", "Sum")
        sheet.write_formula("B6", "=SUM(B4:B4)")
        sheet.write("A7", "{% endfor %}")
        sheet.write("A8", "{% if total > 100 %}")
        sheet.write("A9", "a lot")
        sheet.write("A10", "{% else %}")
        sheet.write("A11", "little")
        sheet.write("A12", "{% endif %}")
        sheet.write("A13", "end")
        sheet.write_formula("B13", "=SUM(B4:B6)")

    data = report(
        {"total": 5},
        {"d": table("area name n", ("N", "a", 2), ("S", "b", 3), ("N", "c", 4), ("N", "d", 1))},
    )
    content = filled(build(fill), data)
    sheet = opened(content)["S"]
    assert [[c.value for c in row] for row in sheet.iter_rows(max_col=2)] == [
        ["Area N", None], ["a", 2], ["c", 4], ["Sum", "=SUM(B2:B3)"],
        ["Area S", None], ["b", 3], ["Sum", "=SUM(B6:B6)"],
        ["little", None], ["end", "=SUM(B2:B7)"],
    ]  # fmt: skip
    assert sorted(str(r) for r in sheet.merged_cells.ranges) == ["A1:B1", "A5:B5"]
    assert inspect(TemplateKind.XLSX, build(fill)).tables == {"d": frozenset({"area", "name", "n"})}


def test_looks_of_runs_stay() -> None:
    def fill(book: Any, sheet: Any) -> None:
        bold = book.add_format({"bold": True})
        sheet.write_rich_string("A1", bold, "Bold {{ na", "me }} plain ", bold, "{{ name }}")

    content = filled(build(fill), report({"name": "<Ada>"}))
    assert values(content)[0][0] == "Bold <Ada> plain <Ada>"
    strings = part(content, "xl/sharedStrings.xml")
    assert "{{" not in "".join(t or "" for t in texts(strings, "t")), "tags do not stay behind"


def test_tags_in_headers_titles_and_shapes() -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write("A1", "{{ name }}")
        sheet.set_header('&L&"Arial,Bold"{{ name }}&RPage &P')
        sheet.insert_textbox("C3", "Hello {{ name }}")
        chart = book.add_chart({"type": "line"})
        chart.add_series({"values": "=S!$B$1:$B$2"})
        chart.set_title({"name": "Sales of {{ name }}"})
        sheet.insert_chart("D5", chart)

    content = filled(build(fill), report({"name": "A & B"}))
    sheet = part(content, "xl/worksheets/sheet1.xml")
    assert texts(sheet, "oddHeader") == ['&L&"Arial,Bold"A && B&RPage &P']
    assert "Hello A & B" in texts(part(content, "xl/drawings/drawing1.xml"), "t")
    assert "Sales of A & B" in texts(part(content, "xl/charts/chart1.xml"), "t")


def test_shared_and_array_formulas_below_a_table_move() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write("A1", "{{ m.month }}")
        sheet.write_array_formula("B3:B3", "{=SUM(A1:A1*A1:A1)}")

    template = build(fill)
    with zipfile.ZipFile(BytesIO(template)) as archive:
        parts = {n: archive.read(n) for n in archive.namelist()}
    shared = (
        b'<row r="4"><c r="A4"><f t="shared" ref="A4:B4" si="0">A$1+A3</f><v>0</v></c>'
        b'<c r="B4"><f t="shared" si="0"/><v>0</v></c></row>'
    )
    name = "xl/worksheets/sheet1.xml"
    parts[name] = parts[name].replace(b"</sheetData>", shared + b"</sheetData>")
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for one, body in parts.items():
            archive.writestr(one, body)
    sheet = opened(filled(out.getvalue(), report(tables={"m": months(3)})))["S"]
    assert (sheet["A6"].value, sheet["B6"].value) == ("=A$1+A5", "=B$1+B5")
    assert (sheet["B5"].value.ref, sheet["B5"].value.text) == ("B5", "=SUM(A1:A3*A1:A3)")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"A1": "{{ nope }}"}, "S!A1: there is no value or table called 'nope'"),
        ({"A1": "{{ m.nope }}"}, "no column 'nope'"),
        ({"A1": "{% for r in m.rows %}"}, "S, row 1: 'for' is never closed"),
        ({"A1": "{% endif %}"}, "closes nothing"),
        ({"A1": "{% if true %}", "B1": "x", "A2": "{% endif %}"}, "row of its own"),
    ],
)
def test_mistakes_name_the_cell(cells: dict[str, str], message: str) -> None:
    def fill(_: Any, sheet: Any) -> None:
        for cell, text in cells.items():
            sheet.write(cell, text)

    with pytest.raises(TemplateError, match=message):
        filled(build(fill), report(tables={"m": months(1)}))


def test_texts_from_the_source_cannot_break_the_file() -> None:
    hostile = ["a\0b\x0bc", "]]>&<x>", "\ud800", "x" * 40_000, "_x0041_", "  spaces ", "line\nbreak"]
    data = report(tables={"d": TableData((ColumnData("x"),), [(text,) for text in hostile])})

    def fill(_: Any, sheet: Any) -> None:
        sheet.write("A1", "{{ d.x }}")

    result = render(TemplateKind.XLSX, build(fill), data, RenderOptions(), OutputFormat.XLSX)
    got = [row[0] for row in values(result.content)]
    assert got[:3] == ["abc", "]]>&<x>", ""]
    assert len(got[3]) == 32_767
    assert got[4:] == ["_x0041_", "  spaces ", "line\nbreak"]
    assert "cut to 32767" in result.warnings[0]


def test_a_pivot_over_the_table_is_refreshed() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row("A1", ["month", "flights"])
        sheet.write_row("A2", ["{{ m.month }}", "{{ m.flights }}"])

    template = build(fill)
    with zipfile.ZipFile(BytesIO(template)) as archive:
        parts = {n: archive.read(n) for n in archive.namelist()}
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    parts["xl/pivotCache/pivotCacheDefinition1.xml"] = (
        f'<pivotCacheDefinition xmlns="{space}"><cacheSource type="worksheet">'
        '<worksheetSource ref="A1:B2" sheet="S"/></cacheSource></pivotCacheDefinition>'
    ).encode()
    rels = "xl/_rels/workbook.xml.rels"
    parts[rels] = parts[rels].replace(
        b"</Relationships>",
        b'<Relationship Id="rId99" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
        b'pivotCacheDefinition" Target="pivotCache/pivotCacheDefinition1.xml"/></Relationships>',
    )
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for one, body in parts.items():
            archive.writestr(one, body)
    xml = part(
        filled(out.getvalue(), report(tables={"m": months(9)})), "xl/pivotCache/pivotCacheDefinition1.xml"
    )
    assert xml.get("refreshOnLoad") == "1"
    assert xml[0][0].get("ref") == "A1:B10"


def test_texts_that_look_like_formulas_stay_texts_when_somebody_edits_them() -> None:
    def fill(book: Any, sheet: Any) -> None:
        bold = book.add_format({"bold": True})
        sheet.write("A1", "{{ one }}", bold)
        sheet.write("B1", "{{ one }} and more")
        sheet.write_row("A2", ["{{ d.x }}", "{{ d.n }}"], bold)

    texts_in = ("=cmd|' /C calc'!A0", "plain", "@SUM(1)", "+49 1", "-1+1")
    data = report({"one": "=1+1"}, {"d": table("x n", *((text, -5) for text in texts_in))})
    sheet = opened(filled(build(fill), data))["S"]
    assert [c.value for c in sheet["A"]] == ["=1+1", *texts_in]
    assert {c.data_type for c in sheet["A"]} == {"s"}
    assert [c.quotePrefix for c in sheet["A"]] == [True, True, False, True, True, True]
    assert sheet["B1"].quotePrefix
    assert all(c.font.bold for c in sheet["A"])
    assert not any(c.quotePrefix for c in sheet["B"][1:]), "numbers are numbers"


def test_dates_count_from_1904_where_the_workbook_does() -> None:
    out = BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "date_1904": True})
    sheet = book.add_worksheet("S")
    sheet.write("A1", "{{ day }}")
    sheet.write("A2", "{{ d.day }}")
    sheet.write_formula("A3", "=MAX(A2:A2)")
    book.close()
    days = (date(2026, 3, 9), date(2026, 3, 10))
    content = filled(out.getvalue(), report({"day": days[0]}, {"d": table("day", *((d,) for d in days))}))
    assert [c.value for c in opened(content)["S"]["A"][:3]] == [datetime(2026, 3, d) for d in (9, 9, 10)]
    assert texts(part(content, "xl/worksheets/sheet1.xml"), "v")[-1] == "44629", "a total counts so, too"


def test_results_are_kept_where_nothing_they_depend_on_was_filled() -> None:
    """A cube or a circular model cannot be computed by whoever reads the file next."""

    def fill(book: Any, sheet: Any) -> None:
        book.define_name("rate", "=S!$A$1")
        sheet.write("A1", "{{ n }}")
        kept = {
            "B23": "=1+1", "B24": "=B23*2", "B25": "=B25+1", "B26": '=CUBEVALUE("x",A1)', "B27": "=Away!A1",
        }  # fmt: skip
        dropped = {"C3": "=A1+1", "C8": "=C3*2", "C9": "=SUM(C7:C8)", "C10": "=rate*3", "C11": "=TODAY()"}
        for cell, formula in (kept | dropped).items():
            sheet.write_formula(cell, formula, value=7)
        sheet.write_array_formula("E12:E13", "{=A1:A2*2}", value=7)
        sheet.write_number("E13", 7)
        away = book.add_worksheet("Away")
        away.write_formula("A1", "=2+2", value=7)
        away.write_formula("A2", "=S!C8+1", value=7)
        away.write_formula("A3", "=A2+1", value=7)
        away.write_formula("A4", "=A1+1", value=7)

    content = filled(build(fill), report({"n": 5}))
    sheet = part(content, "xl/worksheets/sheet1.xml")
    stored = {c.get("r"): c.findtext("{*}v") for c in sheet.iter("{*}c") if c.get("r") != "A1"}
    assert {r for r, v in stored.items() if v == "7"} == {"B23", "B24", "B25", "B26", "B27"}
    assert {r for r, v in stored.items() if v is None} == {"C3", "C8", "C9", "C10", "C11", "E12", "E13"}
    away = part(content, "xl/worksheets/sheet2.xml")
    assert ["7", None, None, "7"] == [c.findtext("{*}v") for c in away.iter("{*}c")]
