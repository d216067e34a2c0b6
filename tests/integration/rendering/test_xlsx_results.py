"""A result that stands in a report is right, or it is left to the program that opens the file."""

from collections.abc import Callable
from typing import Any

import pytest

from rendering import ColumnData, TableData
from rendering.model import RenderData
from support.report_data import report
from support.workbooks import build, filled, part

TABLE = TableData(
    (ColumnData("region"), ColumnData("units", "number")), [("N", 1), ("N", 2), ("N", 3), ("S", 4), ("S", 5)]
)
STALE = 99
DATA: RenderData = report({"n": 7}, {"t": TABLE})


def _results(fill: Callable[[Any, Any], None], sheet: int = 1) -> dict[str, str | None]:
    """The stored result of every formula, by its cell."""
    root = part(filled(build(fill), DATA), f"xl/worksheets/sheet{sheet}.xml")
    return {c.get("r"): c.findtext("{*}v") for c in root.iter("{*}c") if c.find("{*}f") is not None}


def _excel_table(sheet: Any, place: str, units: list[int]) -> None:
    total = {"header": "Units", "total_function": "sum", "total_value": STALE}
    columns = [{"header": "P", "total_string": "Total"}, total]
    rows = [["x", each] for each in units]
    sheet.add_table(place, {"total_row": True, "data": rows, "columns": columns})


def test_a_total_of_an_excel_table_is_that_of_the_table_around_its_cell() -> None:
    def fill(_: Any, sheet: Any) -> None:
        _excel_table(sheet, "A1:B5", [100, 200, 300])
        _excel_table(sheet, "D1:E5", [7, 8, 9])
        _excel_table(sheet, "G1:H4", [40, 50])
        sheet.write("K5", "{{ n }}")

    assert _results(fill) == {"B5": "600.0", "E5": "24.0", "H4": "90.0"}


def test_a_grand_total_counts_no_subtotal_twice() -> None:
    def fill(_: Any, sheet: Any) -> None:
        rows = ['{% for g in t.rows | groupby("region") %}', "{% for r in g.rows %}", "{{ r.units }}"]
        for number, text in enumerate([*rows, "{% endfor %}", "=SUBTOTAL(9,A3:A3)", "{% endfor %}"]):
            sheet.write(number, 0, text, None, *([STALE] if text.startswith("=") else []))
        sheet.write_formula("A7", "=SUBTOTAL(9,A3:A5)", None, STALE)
        sheet.write_formula("A8", "=SUM(A3:A5)", None, STALE)

    assert _results(fill) == {"A4": "6", "A7": "9", "A8": "15", "A9": "30"}


def test_a_subtotal_over_hidden_rows_is_left_to_the_spreadsheet() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write("A1", "{{ n }}")
        sheet.write("A2", 5)
        sheet.set_row(1, None, None, {"hidden": True})
        for number, formula in enumerate(["SUBTOTAL(109,A1:A2)", "SUBTOTAL(9,A1:A2)", "SUM(A1:A2)"]):
            sheet.write_formula(2, number, "=" + formula, None, STALE)

    assert _results(fill) == {"A3": None, "B3": None, "C3": "12.0"}


def test_totals_count_what_a_spreadsheet_counts() -> None:
    """No truth values, no text that looks like a number; an error makes the total an error."""

    def fill(_: Any, sheet: Any) -> None:
        sheet.write("A1", "{{ n }}")
        sheet.write_boolean("A2", True)
        sheet.write("A3", "{{ '12' }}")
        sheet.write("B1", "{{ n }}")
        sheet.write_formula("B2", "=NA()", None, "#N/A")
        sheet.write("C1", "{{ n }}")
        for column in "ABC":
            sheet.write_formula(f"{column}5", f"=SUM({column}1:{column}3)", None, STALE)
        sheet.write_blank("C2", None, None)

    results = _results(fill)
    assert (results["A5"], results["B5"]) == ("7", None)
    assert STALE not in {float(each) for each in results.values() if each and each[0] != "#"}


def test_a_total_that_is_no_number_is_not_written() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write("A1", "{{ n }}")
        sheet.write("A2", "{{ n }}")
        sheet.write_formula("A3", "=SUM(A1:A2)", None, STALE)

    template = build(fill)
    for value, expected in ((1e308, None), (10**20, "0")):
        root = part(filled(template, report({"n": value})), "xl/worksheets/sheet1.xml")
        assert expected == next(c.findtext("{*}v") for c in root.iter("{*}c") if c.get("r") == "A3"), value


@pytest.mark.parametrize(
    "formula",
    ["SUM(A:A)", "SUM($A:$B)*2", "SUM(S!A:A)", "SUM('S'!$A:A)+1", "SUM(C1:INDEX(C:C,3))", "SUM(A1:last)",
     "whole", "SUM(back\\slash)", "SUM(1:3)"],
)  # fmt: skip
def test_no_formula_over_a_filled_cell_keeps_the_result_of_the_template(formula: str) -> None:
    def fill(book: Any, sheet: Any) -> None:
        book.define_name("whole", "=S!$A:$A")
        book.define_name("back\\slash", "=S!$A$1")
        book.define_name("last", "=S!$A$9")
        other = book.add_worksheet("Other")
        sheet.write("A5", "{{ n }}")
        sheet.write("A1", "{{ n }}")
        where = f"SUM(S!{formula[4:]}" if "1:3" in formula or "last" in formula else formula
        sheet.write_formula("D20", f"={formula}", None, STALE)
        other.write_formula("A1", f"={where if 'C1' not in where else 'SUM(S!A:A)'}", None, STALE)
        other.write_formula("A2", "=A1+1", None, STALE)
        other.write_formula("A3", "=TODAY()", None, STALE)
        other.write_formula("A4", "=1+1", None, 2)

    assert _results(fill)["D20"] != str(STALE)
    other = _results(fill, sheet=2)
    assert (None, None, None, "2") == tuple(other.values())


def test_repeated_formulas_stay_what_they_are_even_if_there_is_one_row() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write("A1", "{{ t.units }}")
        sheet.write_array_formula("B1:B1", "{=SUM(A1:A1*2)}", None, STALE)
        sheet.write_array_formula("C1:D1", "{=A1:A1*2}", None, STALE)
        sheet.write_formula("E1", "=A1*2", None, STALE)

    for rows in (1, 3):
        data = report(tables={"t": TableData(TABLE.columns, TABLE.rows[:rows])})
        root = part(filled(build(fill), data), "xl/worksheets/sheet1.xml")
        formulas = [(f.text, f.get("t"), f.get("ref")) for f in root.iter("{*}f")]
        assert formulas[-3:] == [
            (f"SUM(A{rows}:A{rows}*2)", "array", f"B{rows}"),
            (f"A{rows}:A{rows}*2", "array", f"C{rows}:D{rows}"),
            (f"A{rows}*2", None, None),
        ]
        assert not [c for c in root.iter("{*}c") if c.findtext("{*}v") == str(STALE) and c.get("r")[0] != "D"]


def test_a_chart_of_formulas_keeps_no_values_of_the_template() -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write("A1", "{{ n }}")
        sheet.write_formula("A2", "=A1*2", None, STALE)
        sheet.write("B9", 4)
        book.define_name("series", "=S!$A$1:$A$2")
        other = book.add_worksheet("Other")
        other.write_formula("A1", "=S!A2+1", None, STALE)
        ranges = [(sheet, "=S!$A$2:$A$2"), (other, "=Other!$A$1:$A$1"), (sheet, "=S!$B$9:$B$9"),
                  (sheet, "=S!series")]  # fmt: skip
        for owner, where in ranges:
            chart = book.add_chart({"type": "column"})
            chart.add_series({"values": where})
            owner.insert_chart("F1", chart)

    content = filled(build(fill), DATA)
    charts = {}
    for number in range(1, 5):
        series = next(part(content, f"xl/charts/chart{number}.xml").iter("{*}ser")).find("{*}val")
        charts[series.findtext(".//{*}f")] = [v.text for v in series.iter("{*}v")]
    assert charts == {"S!$A$2:$A$2": [], "Other!$A$1:$A$1": [], "S!$B$9:$B$9": ["4"], "S!series": []}


def test_a_shape_that_shows_a_cell_follows_it() -> None:
    def fill(_: Any, sheet: Any) -> None:
        sheet.write("A1", "{{ t.region }}")
        sheet.write("A2", "{{ meta.report }}")
        sheet.write_formula("A3", "=A2&1", None, "old")
        sheet.write("A4", "fixed")
        for number in (2, 3, 4):
            sheet.insert_textbox(number + 5, 2, "old", {"textlink": f"=S!$A${number}"})

    content = filled(build(fill), DATA)
    root = part(content, "xl/drawings/drawing1.xml")
    shown = {s.get("textlink"): [t.text or "" for t in s.iter("{*}t")] for s in root.iter("{*}sp")}
    assert {k: v[:1] for k, v in shown.items()} == {
        "S!$A$6": [DATA.meta.report], "S!$A$7": [""], "S!$A$8": ["fixed"],
    }  # fmt: skip
