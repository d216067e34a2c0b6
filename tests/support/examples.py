"""The data that the example templates of the docs are shown with: sales of two regions, made up."""

from rendering import ChartSpec, ColumnData, Formatted, Meta, RenderData, Series, TableData
from support.report_data import NOW

REGIONS = {
    "North": {"Tea": ["Assam", "Ceylon", "Darjeeling"], "Coffee": ["Arabica", "Robusta"]},
    "South": {
        "Tea": ["Ceylon", "Sencha"],
        "Cocoa": ["Criollo"],
        "Coffee": ["Arabica", "Liberica", "Robusta"],
    },
}
_LOGO = (
    b"<svg xmlns='http://www.w3.org/2000/svg' width='120' height='40'>"
    b"<rect width='120' height='40' rx='6' fill='#1f4e79'/>"
    b"<path d='M14 28 L26 12 L38 24 L50 10' fill='none' stroke='white' stroke-width='4'/>"
    b"<circle cx='88' cy='20' r='11' fill='#f2b134'/></svg>"
)


def rows() -> list[tuple[str, str, str, int, float, float]]:
    """Region, group, product, units, revenue and growth of every product."""
    found: list[tuple[str, str, str, int, float, float]] = []
    for region, groups in REGIONS.items():
        for group, products in groups.items():
            for product in products:
                n = len(found) + 1
                found.append((region, group, product, 40 * n, 125.5 * n * n, round(0.24 - 0.05 * n, 2)))
    return found


def _euros(value: float) -> str:
    return f"{value:,.2f} €".translate(str.maketrans(",.", ".,"))


def sales(more: int = 0) -> RenderData:
    """The report data; ``more`` products in the last group, to see what grows."""
    lines = rows()
    lines += [("South", "Coffee", f"Blend {i:02}", 10 + i, 100.0 * i, 0.01) for i in range(1, more + 1)]
    columns = (
        ColumnData("region"),
        ColumnData("group"),
        ColumnData("product"),
        ColumnData("units", "number"),
        ColumnData("revenue", "number"),
        ColumnData("growth", "number"),
    )
    total = sum(line[4] for line in lines)
    table = TableData(columns, [*lines], (None, None, None, sum(line[3] for line in lines), total, None))
    names = list(REGIONS)
    by_region = tuple(sum(line[4] for line in lines if line[0] == name) for name in names)
    chart = ChartSpec(
        tuple(names), (Series("Revenue", by_region),), title="Revenue by region", width=640, height=260
    )
    meta = Meta(NOW, report="Sales by region", task="Weekly sales", recipient="Ada Lovelace")
    return RenderData(
        meta,
        {"target": 10_000, "total": Formatted(total, _euros(total))},
        {"sales": table},
        {"by_region": chart, "logo": _LOGO},
    )
