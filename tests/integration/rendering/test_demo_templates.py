"""The templates of the demo ask for what the demo has, and become what they promise."""

from io import BytesIO

import pypdf

from rendering import (
    ChartSpec,
    OutputFormat,
    RenderData,
    RenderOptions,
    Series,
    TemplateKind,
    inspect,
    render,
)
from standalone.demo_templates import carrier_punctuality_html, carrier_punctuality_xlsx
from support.report_data import report, table
from support.workbooks import filled, part, texts, values

VALUES = {"airline", "carrier", "flights", "avg_arr_delay", "on_time_share", "cancelled"}
TABLES = {
    "by_month": {"month", "flights", "avg_dep_delay", "avg_arr_delay", "on_time_share"},
    "destinations": {"dest", "flights", "avg_arr_delay"},
}


def _data(destinations: int) -> RenderData:
    months = [(f"M{i:02}", 100 + i, 5.5, -2.25 if i else None, 0.75) for i in range(12)]
    return report(
        dict.fromkeys(VALUES, 0.5) | {"airline": "A & B Airways", "carrier": "AB", "flights": 1234},
        {
            "by_month": table("month flights avg_dep_delay avg_arr_delay on_time_share", *months),
            "destinations": table(
                "dest flights avg_arr_delay", *((f"D{i}", i, 1.5) for i in range(destinations))
            ),
        },
        {"delay_by_month": ChartSpec(tuple(m[0] for m in months), (Series("delay", (1.0,) * 12),))},
    )


def test_both_ask_for_the_same_data() -> None:
    workbook = inspect(TemplateKind.XLSX, carrier_punctuality_xlsx())
    page = inspect(TemplateKind.HTML, carrier_punctuality_html())
    for asked in (workbook, page):
        assert asked.values == VALUES
        assert asked.tables == TABLES
        assert not asked.problems
    assert page.images == {"delay_by_month"}


def test_the_workbook_has_its_tables_totals_and_charts() -> None:
    assert carrier_punctuality_xlsx() == carrier_punctuality_xlsx()
    content = filled(carrier_punctuality_xlsx(), _data(60))
    overview = values(content, "Overview")
    assert overview[1][1] == "A & B Airways (AB)"
    assert overview[22][1:3] == ["Total", sum(100 + i for i in range(12))]
    assert values(content, "Destinations")[70][1:3] == ["Total", sum(range(60))]
    assert part(content, "xl/tables/table2.xml").get("ref") == "B10:D71"
    ranges = texts(part(content, "xl/charts/chart2.xml"), "f")
    assert ranges == ["Destinations!$D$10", "Destinations!$B$11:$B$70", "Destinations!$D$11:$D$70"]


def test_the_page_has_numbers_and_repeated_heads() -> None:
    pdf = render(TemplateKind.HTML, carrier_punctuality_html(), _data(60), RenderOptions(), OutputFormat.PDF)
    assert pdf.warnings == ()
    texts_of = [p.extract_text() for p in pypdf.PdfReader(BytesIO(pdf.content)).pages]
    assert "1,234" in texts_of[0]
    assert f"Page 2 of {len(texts_of)}" in texts_of[1]
    assert all("Destination" in t for t in texts_of[1:])


def test_no_destinations_are_no_trouble() -> None:
    page = render(TemplateKind.HTML, carrier_punctuality_html(), _data(0), RenderOptions(), OutputFormat.HTML)
    assert b"No flights in this period" in page.content
    assert values(filled(carrier_punctuality_xlsx(), _data(0)), "Destinations")[11][1] == "Total"
