"""Make the Excel example of the docs and the pictures of what it becomes.

    PYTHONPATH=tests python -m support.make_excel_example

The template is an ordinary file: open and change it by hand as well. Needs the packages of the development
environment and, for the pictures, LibreOffice.
"""

from datetime import datetime
from io import BytesIO
from typing import Any

import xlsxwriter

from rendering import OutputFormat, RenderOptions, TemplateKind, render
from support.examples import sales
from support.make_examples import HERE, sheet_of_pages
from support.pages import to_pdf

NAME = "sales.xlsx"
FOR_REGION = '{% sheet for region in sales.rows | groupby("region") %}'
FOR_GROUP = '{% for group in region.rows | groupby("group") %}'
REVENUE = '{{ group.rows | sum(attribute="revenue") }}'
BELOW = '{% if region.rows | sum(attribute="revenue") < target %}'


def workbook() -> bytes:
    """An overview, and a sheet per region with its chart, sections per group and rows per product."""
    out = BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    book.set_properties({"title": "Sales by region", "created": datetime(2026, 1, 1)})
    looks = {
        "title": book.add_format({"bold": True, "font_size": 20, "font_color": "#1F4E79"}),
        "section": book.add_format(
            {"bold": True, "font_size": 13, "font_color": "#1F4E79", "valign": "vcenter"}
        ),
        "head": book.add_format({"bold": True, "bg_color": "#1F4E79", "font_color": "white"}),
        "text": book.add_format({"bottom": 4, "bottom_color": "#999999"}),
        "whole": book.add_format({"num_format": "#,##0", "bottom": 4, "bottom_color": "#999999"}),
        "money": book.add_format({"num_format": "#,##0.00", "bottom": 4, "bottom_color": "#999999"}),
        "share": book.add_format({"num_format": "0%", "bottom": 4, "bottom_color": "#999999"}),
        "total": book.add_format({"num_format": "#,##0.00", "bold": True, "top": 1}),
        "units": book.add_format({"num_format": "#,##0", "bold": True, "top": 1}),
        "note": book.add_format({"italic": True, "font_color": "#C00000"}),
    }
    _overview(book.add_worksheet("Overview"), looks)
    _region(book, book.add_worksheet("{{ region.grouper }}"), looks)
    book.close()
    return out.getvalue()


def _page(sheet: Any) -> None:
    sheet.hide_gridlines(2)
    sheet.set_paper(9)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&L{{ meta.report }}&RPage &P of &N")


def _overview(sheet: Any, looks: dict[str, Any]) -> None:
    _page(sheet)
    sheet.set_column("A:H", 12)
    sheet.write("A1", "{{ meta.report }}", looks["title"])
    sheet.write("A2", "for {{ meta.recipient }}, {{ meta.now | date('%d %B %Y') }}")
    sheet.write("F1", "{{ image('logo') }}")
    sheet.write("A4", "Revenue")
    sheet.write("B4", "{{ sales.totals.revenue }}", looks["total"])
    sheet.write(
        "C4",
        "{% if sales.totals.revenue < target * 2 %}below target{% else %}on target{% endif %}",
        looks["note"],
    )
    sheet.write("A6", "{{ chart('by_region') }}")
    sheet.print_area("A1:H22")


def _region(book: Any, sheet: Any, looks: dict[str, Any]) -> None:
    _page(sheet)
    sheet.set_column("A:A", 18)
    sheet.set_column("B:D", 12)
    sheet.set_column("E:J", 9)
    sheet.write("A1", FOR_REGION)
    sheet.write("A2", "{{ region.grouper }}", looks["title"])
    sheet.write(
        "A3", BELOW + "Below the target of {{ target | number }}{% else %}On target{% endif %}", looks["note"]
    )
    sheet.write_row("A5", ["Group", "Revenue", "Share"], looks["head"])
    sheet.write("A6", FOR_GROUP)
    sheet.write("A7", "{{ group.grouper }}", looks["text"])
    sheet.write("B7", REVENUE, looks["money"])
    sheet.write_formula("C7", "=B7/B$9", looks["share"])
    sheet.write("A8", "{% endfor %}")
    sheet.write("A9", "Total", looks["total"])
    sheet.write_formula("B9", "=SUM(B7:B7)", looks["total"])
    chart = book.add_chart({"type": "bar"})
    place = "'{{ region.grouper }}'"
    chart.add_series({
        "name": f"={place}!$B$5", "categories": f"={place}!$A$7:$A$7", "values": f"={place}!$B$7:$B$7",
        "fill": {"color": "#1F4E79"}, "gap": 60,
    })  # fmt: skip
    chart.set_title({"name": "Revenue of {{ region.grouper }} by group", "name_font": {"size": 11}})
    chart.set_legend({"none": True})
    chart.set_size({"width": 380, "height": 190})
    sheet.insert_chart("E2", chart)
    _sections(sheet, looks)
    small = book.add_chart({"type": "column"})
    small.add_series({
        "categories": f"={place}!$A$17:$A$17", "values": f"={place}!$C$17:$C$17", "gap": 60,
        "fill": {"color": "#9DC3E6"},
    })  # fmt: skip
    small.set_title({"name": "{{ group.grouper }} in {{ region.grouper }}", "name_font": {"size": 9}})
    small.set_legend({"none": True})
    small.set_y_axis({"visible": False, "major_gridlines": {"visible": False}})
    small.set_size({"width": 300, "height": 130})
    sheet.insert_chart("E14", small, {"x_offset": 10})
    sheet.print_area("A1:J25")


def _sections(sheet: Any, looks: dict[str, Any]) -> None:
    """A section per group: heading with a picture, rows, totals, a remark under a condition."""
    sheet.write("A13", FOR_GROUP)
    sheet.set_row(13, 33)
    sheet.write("A14", "{{ group.grouper }}", looks["section"])
    sheet.write("C14", "{{ image('logo') }}")
    sheet.write_row("A15", ["Product", "Units", "Revenue", "Growth"], looks["head"])
    sheet.write("A16", "{% for r in group.rows %}")
    sheet.write("A17", "{{ r.product }}", looks["text"])
    sheet.write("B17", "{{ r.units }}", looks["whole"])
    sheet.write("C17", "{{ r.revenue }}", looks["money"])
    sheet.write("D17", "{{ r.growth }}", looks["share"])
    sheet.conditional_format("C17", {"type": "data_bar", "bar_color": "#9DC3E6", "data_bar_2010": True})
    sheet.conditional_format("D17", {"type": "cell", "criteria": "<", "value": 0, "format": looks["note"]})
    sheet.write("A18", "{% endfor %}")
    sheet.write("A19", "Total", looks["total"])
    sheet.write_formula("B19", "=SUM(B17:B17)", looks["units"])
    sheet.write_formula("C19", "=SUM(C17:C17)", looks["total"])
    sheet.write("D19", "", looks["total"])
    sheet.write("A20", "{% if group.rows | length == 1 %}")
    sheet.write("A21", "Only one product here", looks["note"])
    sheet.write("A22", "{% endif %}")
    sheet.write("A25", "{% endfor %}")


def main() -> None:
    """Write the template and the pictures."""
    template = workbook()
    (HERE / NAME).write_bytes(template)
    filled = render(TemplateKind.XLSX, template, sales(), RenderOptions(), OutputFormat.XLSX).content
    pdfs = to_pdf({"filled.xlsx": filled, "template.xlsx": template})
    sheet_of_pages(pdfs["filled.xlsx"], "example-excel.png", across=2, dpi=62)
    sheet_of_pages(pdfs["template.xlsx"], "example-excel-template.png", across=2, dpi=62)


if __name__ == "__main__":
    main()
