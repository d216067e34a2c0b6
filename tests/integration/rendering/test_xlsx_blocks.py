"""What stands beside the rows of statements: page breaks, formats and merged cells over them."""

from typing import Any

import pytest

from support.report_data import report, table
from support.workbooks import build, filled, opened, part

DATA = report(
    {"n": 1},
    {"t": table("region product", ("N", 1), ("N", 2), ("N", 3), ("S", 4), ("S", 5)), "empty": table("a")},
)
ROWS = ["Head", '{% for g in t.rows | groupby("region") %}', "{{ g.grouper }}", "{% for r in g.rows %}",
        "{{ r.product }}", "{% endfor %}", "{% endfor %}", "end"]  # fmt: skip
# 1 Head, 2 N, 3 to 5 products, 6 S, 7 and 8 products, 9 end


def _breaks(rows: list[str], below: list[int]) -> list[int]:
    def fill(_: Any, sheet: Any) -> None:
        for number, text in enumerate(rows):
            sheet.write(number, 0, text)
        sheet.set_h_pagebreaks(below)

    found = part(filled(build(fill), DATA), "xl/worksheets/sheet1.xml").find("{*}rowBreaks")
    assert found is None or found.get("count") == found.get("manualBreakCount") == str(len(found))
    return [] if found is None else [int(each.get("id")) for each in found]


@pytest.mark.parametrize(
    ("below", "expected"),
    [(1, [1]), (2, [1, 5]), (3, [2, 6]), (4, [2, 3, 4, 6, 7]), (5, [3, 4, 5, 7, 8]), (6, [3, 4, 5, 7, 8]),
     (7, [5, 8]), (8, [9])],
)  # fmt: skip
def test_a_page_break_below_any_row_of_nested_loops_is_repeated_with_every_turn(
    below: int, expected: list[int]
) -> None:
    assert expected == _breaks(ROWS, [below])


def test_page_breaks_that_meet_are_one() -> None:
    assert [1, 5, 8] == _breaks(ROWS, [2, 7])


@pytest.mark.parametrize(
    ("condition", "expected"),
    [("n == 1", [[1], [2], [], [2]]), ("n == 2", [[], [], [1], [2]])],
)
def test_a_page_break_beside_a_condition_belongs_to_its_branch(
    condition: str, expected: list[list[int]]
) -> None:
    """Below if, its row, else, endif."""
    rows = ["Head", f"{{% if {condition} %}}", "a", "{% else %}", "b", "{% endif %}", "end"]
    assert expected == [_breaks(rows, [below]) for below in (2, 3, 4, 6)]


def test_a_loop_without_turns_leaves_no_page_break() -> None:
    rows = ["Head", "{% for a in empty.rows %}", "{{ a.a }}", "{% endfor %}", "end"]
    assert [[], [], []] == [_breaks(rows, [below]) for below in (2, 3, 4)]


def test_formats_and_merged_cells_over_rows_of_statements_cover_the_rows_that_stay() -> None:
    spans = {
        "B2:B7": "B2:B8", "C2:C3": "C2 C6", "D3:D7": "D2:D8", "E4:E7": "E3:E5 E7:E8", "F4:F5": "F3:F5 F7:F8",
        "G1:G4": "G1:G8", "H5:H8": "H3:H9", "I7:I8": "I9",
    }  # fmt: skip

    def fill(book: Any, sheet: Any) -> None:
        for number, text in enumerate(ROWS):
            sheet.write(number, 0, text)
        for span in spans:
            rule = {"type": "no_blanks", "format": book.add_format({"bold": True})}
            sheet.conditional_format(span, rule)
        for span in ("L2:L7", "M4:M6", "N2:N3"):
            sheet.merge_range(span, "")

    content = filled(build(fill), DATA)
    found = part(content, "xl/worksheets/sheet1.xml").iter("{*}conditionalFormatting")
    assert list(spans.values()) == [each.get("sqref") for each in found]
    merged = {str(each) for each in opened(content)["S"].merged_cells.ranges}
    assert {"L2:L8", "M3:M5", "M7:M8"} == merged, "what became a single cell is not merged"
