"""The templates of the demo task "Carrier punctuality": one workbook, one page.

Both use the values ``airline``, ``carrier``, ``flights``, ``avg_arr_delay``, ``on_time_share`` and
``cancelled``, and the tables ``by_month`` (month, flights, avg_dep_delay, avg_arr_delay, on_time_share) and
``destinations`` (dest, flights, avg_arr_delay); the page also the chart ``delay_by_month``. Shares are
fractions, delays are minutes.
"""

from datetime import UTC, datetime
from importlib.resources import files
from io import BytesIO
from typing import Any

import xlsxwriter

_INK, _ACCENT, _WARM, _PALE, _MUTED = "#22303C", "#1F6F8B", "#E07A3F", "#EAF2F5", "#5B6B7A"
_FONT = "Calibri"


def carrier_punctuality_html() -> bytes:
    """The page: A4, header, key figures, chart, month table, destination table, page numbers."""
    return files("standalone").joinpath("demo/templates/carrier-punctuality.html").read_bytes()


def carrier_punctuality_xlsx() -> bytes:
    """The workbook: two sheets, each an Excel table and a native chart that follows it."""
    out = BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    book.set_properties(
        {"title": "Carrier punctuality", "created": datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)}
    )
    look = _Look(book)
    _overview(book, look)
    _destinations(book, look)
    book.close()
    return out.getvalue()


class _Look:
    """The cell formats of the workbook."""

    def __init__(self, book: Any) -> None:
        def make(**properties: Any) -> Any:
            return book.add_format(
                {"font_name": _FONT, "font_color": _INK, "valign": "vcenter", **properties}
            )

        self.title = make(font_size=22, bold=True)
        self.subtitle = make(font_size=11, font_color=_MUTED)
        self.label = make(
            font_size=9, font_color=_MUTED, bg_color=_PALE, align="center", top=2, top_color=_ACCENT
        )
        figure = {"font_size": 20, "bold": True, "bg_color": _PALE, "align": "center"}
        self.count = make(**figure, num_format="#,##0")
        self.delay = make(**figure, num_format='0.0" min"')
        self.share = make(**figure, num_format="0.0%")
        self.section = make(font_size=13, bold=True, font_color=_ACCENT)
        self.head = make(bold=True, font_color="#FFFFFF", bg_color=_ACCENT, align="center", text_wrap=True)
        self.text = make(align="left")
        self.cell_count = make(num_format="#,##0")
        self.cell_delay = make(num_format="0.0")
        self.cell_share = make(num_format="0.0%")
        total = {"bold": True, "top": 1, "top_color": _ACCENT, "bg_color": _PALE}
        self.total_text = make(**total, align="left")
        self.total_count = make(**total, num_format="#,##0")
        self.total_delay = make(**total, num_format="0.0")
        self.total_share = make(**total, num_format="0.0%")


def _sheet(book: Any, name: str, title: str, look: _Look) -> Any:
    sheet = book.add_worksheet(name)
    sheet.hide_gridlines(2)
    sheet.set_column("A:A", 2)
    sheet.set_column("B:F", 13)
    sheet.set_column("G:G", 3)
    sheet.set_row(1, 32)
    sheet.write("B2", title, look.title)
    sheet.write("B3", "Punctuality report, made {{ meta.now | date('%d.%m.%Y %H:%M') }}", look.subtitle)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&L&9{{ airline }}&R&9Page &P of &N")
    return sheet


def _table(sheet: Any, name: str, look: _Look, columns: list[tuple[str, str, Any, Any, str]]) -> None:
    """Heading, one row of tags and a total row, as an Excel table; the formats are those of every row."""
    sheet.set_row(9, 30)
    settings = [
        {
            "header": header,
            "header_format": look.head,
            "format": cell,
            **({"total_string": label} if label else {"total_function": "sum"}),
        }
        for header, _, cell, _, label in columns
    ]
    whole = {
        "name": name,
        "style": "Table Style Light 1",
        "total_row": True,
        "autofilter": False,
        "columns": settings,
    }
    sheet.add_table(9, 1, 11, len(columns), whole)
    for position, (_, tag, cell, total, label) in enumerate(columns, 1):
        sheet.write(10, position, tag, cell)
        if label:
            sheet.write(11, position, label, total)
        else:
            sheet.write_formula(11, position, f"=SUBTOTAL(109,{name}[{columns[position - 1][0]}])", total)


def _overview(book: Any, look: _Look) -> None:
    sheet = _sheet(book, "Overview", "{{ airline }} ({{ carrier }})", look)
    sheet.set_row(5, 30)
    figures = [
        ("B", "Flights", "{{ flights }}", look.count),
        ("C", "Avg. arrival delay", "{{ avg_arr_delay }}", look.delay),
        ("D", "On time", "{{ on_time_share }}", look.share),
        ("E", "Cancelled", "{{ cancelled }}", look.count),
    ]
    for column, label, tag, form in figures:
        sheet.write(f"{column}5", label, look.label)
        sheet.write(f"{column}6", tag, form)
    sheet.write("B9", "By month", look.section)
    _table(
        sheet, "ByMonth", look,
        [
            ("Month", "{{ by_month.month.text }}", look.text, look.total_text, "Total"),
            ("Flights", "{{ by_month.flights }}", look.cell_count, look.total_count, ""),
            ("Avg. departure delay", "{{ by_month.avg_dep_delay }}", look.cell_delay, look.total_delay,
             "{{ by_month.totals.avg_dep_delay }}"),
            ("Avg. arrival delay", "{{ by_month.avg_arr_delay }}", look.cell_delay, look.total_delay,
             "{{ by_month.totals.avg_arr_delay }}"),
            ("On time", "{{ by_month.on_time_share }}", look.cell_share, look.total_share,
             "{{ by_month.totals.on_time_share }}"),
        ],
    )  # fmt: skip
    sheet.conditional_format(
        "F11:F11",
        {
            "type": "data_bar",
            "bar_color": "#B7D8E3",
            "bar_solid": True,
            "min_value": 0,
            "max_value": 1,
            "min_type": "num",
            "max_type": "num",
        },
    )
    columns = book.add_chart({"type": "column"})
    columns.add_series(
        {
            "name": "=Overview!$C$10",
            "categories": "=Overview!$B$11:$B$11",
            "values": "=Overview!$C$11:$C$11",
            "fill": {"color": _ACCENT},
            "gap": 60,
        }
    )
    line = book.add_chart({"type": "line"})
    line.add_series(
        {
            "name": "=Overview!$E$10",
            "categories": "=Overview!$B$11:$B$11",
            "values": "=Overview!$E$11:$E$11",
            "line": {"color": _WARM, "width": 2.5},
            "y2_axis": True,
            "marker": {"type": "circle", "size": 6, "fill": {"color": _WARM}, "border": {"color": _WARM}},
        }
    )
    columns.combine(line)
    _dress(columns, "Flights and arrival delay, {{ airline }}", "Flights")
    line.set_y2_axis({"name": "Minutes", "name_font": {"color": _MUTED, "bold": False}, "num_format": "0",
                      "line": {"none": True}})  # fmt: skip
    columns.set_size({"width": 640, "height": 330})
    sheet.insert_chart("H5", columns)


def _destinations(book: Any, look: _Look) -> None:
    sheet = _sheet(book, "Destinations", "Destinations of {{ airline }}", look)
    sheet.set_column("E:E", 3)
    sheet.write("B9", "{{ destinations.count }} destinations", look.section)
    sheet.freeze_panes(10, 0)
    sheet.repeat_rows(9)
    _table(
        sheet, "Destinations", look,
        [
            ("Destination", "{{ destinations.dest }}", look.text, look.total_text, "Total"),
            ("Flights", "{{ destinations.flights }}", look.cell_count, look.total_count, ""),
            ("Avg. arrival delay", "{{ destinations.avg_arr_delay }}", look.cell_delay, look.total_delay,
             "{{ destinations.totals.avg_arr_delay }}"),
        ],
    )  # fmt: skip
    sheet.conditional_format(
        "D11:D11",
        {
            "type": "3_color_scale",
            "min_color": "#9BD3AE",
            "mid_color": "#FFFFFF",
            "max_color": "#F0A58A",
            "mid_type": "num",
            "mid_value": 0,
        },
    )
    chart = book.add_chart({"type": "column"})
    chart.add_series(
        {
            "name": "=Destinations!$D$10",
            "categories": "=Destinations!$B$11:$B$11",
            "values": "=Destinations!$D$11:$D$11",
            "fill": {"color": _WARM},
            "gap": 40,
        }
    )
    _dress(chart, "Average arrival delay by destination", "Minutes")
    chart.set_legend({"none": True})
    chart.set_size({"width": 820, "height": 360})
    sheet.insert_chart("F11", chart)


def _dress(chart: Any, title: str, axis: str) -> None:
    quiet = {"color": _MUTED, "bold": False, "name": _FONT}
    chart.set_title(
        {"name": title, "name_font": {"size": 13, "color": _INK, "name": _FONT}, "overlay": False}
    )
    chart.set_legend({"position": "bottom", "font": quiet})
    chart.set_y_axis({"name": axis, "name_font": quiet, "num_font": quiet, "line": {"none": True},
                      "major_gridlines": {"visible": True, "line": {"color": "#DFE4E8"}}})  # fmt: skip
    chart.set_x_axis({"num_font": quiet, "line": {"color": _MUTED}, "label_position": "low"})
    chart.set_chartarea({"border": {"color": "#DFE4E8"}})
