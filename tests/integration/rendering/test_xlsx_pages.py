"""What stands around a table that grows or shrinks, seen as the pages LibreOffice prints."""

import re
from io import BytesIO
from typing import Any

import pypdf
import pytest
from PIL import Image

from rendering import ColumnData, TableData
from support.pages import need_office, pictures, to_pdf
from support.report_data import report
from support.workbooks import build, filled

BAR, DATA_BAR, MARKED = (0x1F, 0x4E, 0x78), (0x63, 0xC3, 0x84), (0xFF, 0xC7, 0xCE)
MANY, LONG = 150, 3_000  # the long one is the slow run's
COUNTS = [0, 1, 3, MANY, pytest.param(LONG, marks=pytest.mark.slow)]


def _months(count: int) -> TableData:
    columns = (ColumnData("month", "number"), ColumnData("flights", "number"), ColumnData("late", "number"))
    rows = [(i + 1, (i * 37) % 100 + 5, (i * 13) % 40) for i in range(count)]
    return TableData(columns, [*rows])


def _fill(book: Any, sheet: Any) -> None:
    """A table with everything that may stand around one, one page wide, its head repeated."""
    head = book.add_format({"bold": True, "bg_color": "#DDDDDD"})
    marked = book.add_format({"bg_color": "#FFC7CE"})
    sheet.set_column("A:F", 12)
    sheet.merge_range("A1:E1", "Flights of {{ title }}", head)
    sheet.write_formula("A2", '="Sum "&B6&" of "&COUNT(B5:B5)&" by name "&SUM(flights)')
    sheet.write_row("A4", ["Month", "Flights", "Late", "Share", "Running"], head)
    sheet.write_row("A5", ["{{ m.month }}", "{{ m.flights }}", "{{ m.late }}"])
    sheet.write_formula("D5", "=C5/B5", book.add_format({"num_format": "0.0%"}))
    sheet.write_formula("E5", "=SUM(B$5:B5)")
    sheet.add_sparkline("F5", {"range": "S!B5:C5", "type": "column"})
    sheet.write("A6", "Total", head)
    sheet.write_formula("B6", "=SUM(B5)", head)
    sheet.write_array_formula("C6:C6", "{=SUM(B5:B5*C5:C5)}", head)
    sheet.merge_range("A8:E8", "Below the table", head)
    sheet.conditional_format("B5", {"type": "data_bar", "data_bar_2010": True, "bar_color": "#63C384",
                                    "bar_solid": True})  # fmt: skip
    sheet.conditional_format("A5", {"type": "formula", "criteria": "=$C5>20", "format": marked})
    sheet.print_area("A1:F30")
    sheet.repeat_rows(3)
    sheet.fit_to_pages(1, 0)
    chart = book.add_chart({"type": "column"})
    chart.add_series({"name": "=S!$B$4", "categories": "=S!$A$5:$A$5", "values": "=S!$B$5:$B$5",
                      "fill": {"color": "#1F4E78"}})  # fmt: skip
    chart.set_title({"name": "Chart of {{ title }}"})
    sheet.insert_chart("A11", chart)
    book.define_name("flights", "=S!$B$5:$B$5")
    other = book.add_worksheet("Other")
    other.write("A1", "Elsewhere")
    other.write_formula("B1", "=SUM(S!B5:B5)", value=-1)
    other.write_formula("C1", "=S!B6*2", value=-1)
    other.write_formula("D1", "=SUM(flights)*3", value=-1)


def _near(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    """How many pixels have about this colour."""
    found: Any = picture.getcolors(picture.width * picture.height)
    return sum(n for n, p in found if all(abs(a - b) < 14 for a, b in zip(p, colour, strict=True)))


def _texts(pdf: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(BytesIO(pdf)).pages]


class Printed:
    """Reports as PDF by their count of rows; the short ones in one start of LibreOffice."""

    def __init__(self) -> None:
        self.made: dict[int, tuple[bytes, list[str]]] = {}

    def of(self, count: int) -> tuple[bytes, list[str]]:
        """The PDF and the text of each of its pages."""
        if count not in self.made:
            template = build(_fill)
            counts = [0, 1, 3, LONG if count == LONG else MANY]
            data = {n: report({"title": "AA"}, {"m": _months(n)}) for n in counts}
            pdfs = to_pdf({f"{n}.xlsx": filled(template, data[n]) for n in counts})
            self.made |= {n: (pdfs[f"{n}.xlsx"], _texts(pdfs[f"{n}.xlsx"])) for n in counts}
        return self.made[count]


@pytest.fixture(scope="module")
def printed() -> Printed:
    need_office()
    return Printed()


@pytest.mark.parametrize("count", COUNTS)
def test_pages_show_every_row_and_what_follows_it(count: int, printed: Printed) -> None:
    pages = printed.of(count)[1]
    rows = _months(count).rows
    flights = sum(int(str(row[1])) for row in rows)
    product = sum(int(str(row[1])) * int(str(row[2])) for row in rows)
    text = "\n".join(pages[:-1])
    assert f"Sum {flights} of {count} by name {flights}" in text
    months = [int(m) for m in re.findall(r"^(\d+) \d+ \d+ [\d.]+% \d+\s*$", text, re.MULTILINE)]
    assert months == list(range(1, count + 1))
    assert re.search(rf"Total {flights} {product}\b", text)
    assert text.index("Total") < text.index("Below the table") < text.index("Chart of AA")
    with_rows = [page for page in pages[:-1] if "%" in page]
    assert all("Month Flights Late" in page for page in with_rows), "the head is repeated on every page"
    assert re.search(rf"Elsewhere {flights} {2 * flights} {3 * flights}\b", pages[-1])
    assert len(pages) > count / 60 if count >= MANY else len(pages) == 2


@pytest.mark.parametrize("count", COUNTS)
def test_pages_show_bars_marks_and_charts_of_the_rows_there_are(count: int, printed: Printed) -> None:
    pdf, texts = printed.of(count)
    at = next(number for number, text in enumerate(texts) if "Chart of AA" in text)
    pages = pictures(pdf, dpi=50, most=at + 1)
    first, chart = pages[0], pages[-1]
    assert (count > 0) == (_near(chart, BAR) > 50), "the chart draws bars if there are rows"
    assert (count > 0) == (_near(first, DATA_BAR) > 20)
    assert (count > 2) == (_near(first, MARKED) > 20)
    if count >= MANY:
        last_rows = pages[max(number for number, text in enumerate(texts) if f"\n{count} " in text)]
        assert _near(last_rows, DATA_BAR) > 20, "formats reach the last row"
