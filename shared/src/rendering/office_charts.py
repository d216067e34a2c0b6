"""Native charts of documents and presentations: their workbook is a template itself.

The data sheet of such a chart is an embedded xlsx. It is filled like any workbook; the ranges of the chart
follow it, and the values stored in the chart are those that were written.
"""

from collections.abc import Set as AbstractSet

from rendering.gating import gate
from rendering.language import Language, Scope
from rendering.model import RenderOptions
from rendering.opc import Package, local, serialize
from rendering.xlsx.book import fill_book
from rendering.xlsx.charts import fill_drawing_text, refresh_chart
from rendering.xlsx.moves import outside

_MOST_STORED = 20_000  # here readers show the stored values: they do not open the embedded workbook


def fill_charts(
    package: Package, scope: Scope, options: RenderOptions, without: AbstractSet[str] = frozenset()
) -> list[str]:
    """Fill all charts of a package that are not filled yet, from the same data; returns warnings."""
    warnings: list[str] = []
    for part in [n for n in package.names() if "/charts/" in n and n.endswith(".xml") and n not in without]:
        warnings.extend(fill_chart(package, part, scope, options))
    return warnings


def fill_chart(package: Package, part: str, scope: Scope, options: RenderOptions) -> list[str]:
    """Fill one chart part and the workbook embedded for it; returns warnings."""
    root = package.xml(part)
    if local(root) != "chartSpace":
        return []
    unknown: list[str] = []
    changed = fill_drawing_text(root, Language(scope.data, options), scope, part)
    for name in package.related(part, "package"):
        content = package.read(name)
        if not name.lower().endswith(".xlsx"):
            continue
        gate(content, options.limits)
        book = fill_book(content, scope, options)
        if not book.touched:
            continue
        package.write(name, book.package.save())
        changed |= refresh_chart(
            root, outside(book.plans), book.known(), book.results.touches, most=_MOST_STORED, unknown=unknown
        )
    if changed:
        package.write(part, serialize(root))
    if not unknown:
        return []
    ranges = ", ".join(dict.fromkeys(unknown))
    what = f"{part}: the chart shows nothing for {ranges} until somebody chooses 'Edit Data'"
    return [f"{what}: formulas compute these cells. Put tags there instead"]
