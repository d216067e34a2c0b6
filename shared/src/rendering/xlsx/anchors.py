"""Shapes, pictures and charts of a sheet: they go with the row they begin in and keep their size.

What begins in a block of rows is repeated with it and vanishes with it; a repeated chart shows the rows of
its own turn.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from rendering.model import Problem, TemplateError
from rendering.opc import Package, child, descendants, local, serialize
from rendering.xlsx.layout import Plan, Turn

Element = Any
CHART_KINDS = ("chart", "chartEx")
_WORDS = {"table": "Excel table", "pivotTable": "pivot table"}
ONCE = frozenset({"slicer", "timeline"})  # parts of a sheet that cannot be repeated
_ANCHORS = ("twoCellAnchor", "oneCellAnchor", "anchor")
_WITH_CHART = frozenset({"chartStyle", "chartColorStyle", "chartUserShapes", "package"})
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"


def shift_anchors(root: Element, turn: Turn) -> None:
    """Move what is anchored and does not repeat, such as controls."""
    for anchor in descendants(root, *_ANCHORS):
        row = _row(anchor)
        if row is not None:
            _shift(anchor, turn.begin(row) - row)


def place_shapes(
    package: Package, part: str, plan: Plan, fill: Callable[[Element, Turn], object]
) -> dict[str, Turn]:
    """Move and repeat the shapes of a drawing; ``fill`` fills the tags of those in blocks.

    Returns the turns of the charts that stand in blocks, by their parts.
    """
    root = package.xml(part)
    charts: dict[str, Turn] = {}
    ids = [int(e.get("id", "0")) for e in descendants(root, "cNvPr") if e.get("id", "").isdigit()]
    last = max(ids, default=0)
    for anchor in descendants(root, *_ANCHORS):
        row = _row(anchor)
        if row is None:
            continue
        places = list(plan.root.places(row))
        if [turn for _, turn in places] == [plan.root]:
            _shift(anchor, places[0][0] - row)
            continue
        original = deepcopy(anchor)
        at = anchor
        for number, (new, turn) in enumerate(places):
            copy = anchor if number == 0 else deepcopy(original)
            if number:
                at.addnext(copy)
                for properties in descendants(copy, "cNvPr"):
                    last += 1
                    properties.set("id", str(last))
            at = copy
            _shift(copy, new - row)
            charts |= dict.fromkeys(_charts(package, part, copy, again=number > 0), turn)
            fill(copy, turn)
        if not places:
            _charts(package, part, anchor, again=False, drop=True)
            anchor.getparent().remove(anchor)
    package.write(part, serialize(root))
    return charts


def _row(anchor: Element) -> int | None:
    start = next((e for e in anchor if local(e) == "from"), None)
    row = child(start, "row") if start is not None else None
    return None if row is None else int(row.text or "0") + 1


def _shift(anchor: Element, rows: int) -> None:
    for corner in anchor:
        row = child(corner, "row") if local(corner) in {"from", "to"} else None
        if row is not None:
            row.text = str(int(row.text or "0") + rows)


def _charts(package: Package, part: str, anchor: Element, *, again: bool, drop: bool = False) -> list[str]:
    """The chart parts of a shape; with ``again``, new ones of its own; with ``drop``, none are left."""
    found: list[str] = []
    rels = {rel.id: rel for rel in package.rels(part)}
    for chart in [e for e in anchor.iter() if local(e) == "chart"]:
        key = next((k for k in chart.attrib if k.endswith("}id")), None)
        rel = rels.get(chart.get(key)) if key else None
        if rel is None or rel.kind not in CHART_KINDS or rel.target not in package:
            continue
        target = rel.target
        if drop:
            package.remove_rel(part, rel.id)
            package.remove(target)
            continue
        if again:
            target = package.copy(target, _WITH_CHART)
            chart.set(key, package.add_rel(part, _type(rel.kind), target))
        found.append(target)
    return found


def _type(kind: str) -> str:
    extended = "http://schemas.microsoft.com/office/2014/relationships/"
    return (extended if kind == "chartEx" else _REL) + kind


def fixed_parts(package: Package, part: str) -> Iterator[tuple[str, str, str, int]]:
    """What cannot repeat with rows, the Excel tables and pivot tables of a sheet.

    Each with its kind, its part, its name and the row it begins in.
    """
    for kind in _WORDS:
        for name in package.related(part, kind):
            definition = package.xml(name)
            holder = definition if kind == "table" else child(definition, "location")
            corner = (holder.get("ref", "") if holder is not None else "").partition(":")[0]
            digits = corner.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
            if digits.isdigit():
                yield kind, name, definition.get("displayName") or definition.get("name", ""), int(digits)


def in_a_loop(kind: str, name: str, sheet: str, row: int) -> Problem:
    """What is wrong with such a part in a loop."""
    return Problem(
        f"{sheet}, row {row}",
        f"the {_WORDS[kind]} {name!r} stands in a loop and cannot repeat with it",
        "Turn it into ordinary cells, or give each group a sheet: {% sheet for ... %}",
    )


def check_tables(package: Package, part: str, sheet: str, plan: Plan, root: Element) -> None:
    """Refuse tables in loops, which cannot repeat with rows; drop those that vanish."""
    for kind, definition, name, row in list(fixed_parts(package, part)):
        if plan.root.in_loop(row):
            problem = in_a_loop(kind, name, sheet, row)
            raise TemplateError(problem.place, problem.message, problem.remedy)
        if kind == "table" and not list(plan.root.places(row)):
            _drop_table(package, part, definition, root)


def _drop_table(package: Package, part: str, table: str, root: Element) -> None:
    ids = {rel.id for rel in package.rels(part) if rel.target == table}
    for entry in descendants(root, "tablePart"):
        if any(k.endswith("}id") and v in ids for k, v in entry.attrib.items()):
            holder = entry.getparent()
            holder.remove(entry)
            holder.set("count", str(len(holder)))
            if not len(holder):
                holder.getparent().remove(holder)
    for one in ids:
        package.remove_rel(part, one)
    package.remove(table)
