"""Pivot tables: their source follows the rows, and they are computed anew when the file is opened."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rendering.opc import Package, child, descendants, namespace, serialize
from rendering.xlsx.formula import column_name, column_number, quote_sheet
from rendering.xlsx.layout import Turn
from rendering.xlsx.moves import Plans, grown, split_range
from rendering.xlsx.sheet import Sheet

Element = Any
_SOURCES = ("worksheetSource", "rangeSet")
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def own_caches(
    package: Package, workbook: tuple[str, Element], part: str, sheet: str, tables: Mapping[str, str]
) -> list[str]:
    """Give the pivot tables of a copied sheet (its part and old name) data of their own; returns these parts.

    Only those over the sheet itself: ``tables`` has the new names of its Excel tables by their old ones.
    """
    made: dict[str, str] = {}
    for pivot in package.related(part, "pivotTable"):
        for cache in package.related(pivot, "pivotCacheDefinition"):
            root = package.xml(cache)
            source = next(iter(descendants(root, "worksheetSource")), None)
            if source is None:
                continue
            table = tables.get(source.get("name", "").lower())
            if table is None and source.get("sheet", "").lower() != sheet.lower():
                continue
            if cache not in made:
                made[cache] = package.copy(cache, {"pivotCacheRecords"})
                if table is not None:
                    source.set("name", table)
                    package.write(made[cache], serialize(root))
            _point(package, workbook, pivot, made[cache])
    return list(made.values())


def _point(package: Package, workbook: tuple[str, Element], pivot: str, cache: str) -> None:
    """Register the data with the workbook and let a pivot table take it."""
    part, root = workbook
    holder = child(root, "pivotCaches")
    if holder is None:
        return
    known = {rel.target: rel.id for rel in package.rels(part)}
    entries = {_id(entry): entry.get("cacheId", "0") for entry in holder}
    number = entries.get(known.get(cache, ""))
    if number is None:
        number = str(max(int(one) for one in entries.values()) + 1)
        entry = holder.makeelement(namespace(holder) + "pivotCache")
        entry.set("cacheId", number)
        key = next(k for k in holder[0].attrib if k.endswith("}id"))
        entry.set(key, package.add_rel(part, f"{_REL}/pivotCacheDefinition", cache))
        holder.append(entry)
    table = package.xml(pivot)
    table.set("cacheId", number)
    package.write(pivot, serialize(table))
    package.drop_rels(pivot, "pivotCacheDefinition")
    package.add_rel(pivot, f"{_REL}/pivotCacheDefinition", cache)


def _id(entry: Element) -> str:
    return next((str(v) for k, v in entry.attrib.items() if k.endswith("}id")), "")


def move_pivots(package: Package, part: str, turn: Turn) -> None:
    """Pivot tables of a sheet stand where their first row went."""
    for name in package.related(part, "pivotTable"):
        root = package.xml(name)
        place = child(root, "location")
        corners = split_range(place.get("ref", "")) if place is not None else None
        if corners is None:
            continue
        shift = turn.begin(corners[1]) - corners[1]
        place.set("ref", f"{corners[0]}{corners[1] + shift}:{corners[2]}{corners[3] + shift}")
        package.write(name, serialize(root))


def refresh_pivots(
    package: Package, book: str, sheets: list[Sheet], plans: Plans, fresh: Callable[[str], bool]
) -> None:
    """Pivot tables over filled cells take their new range and are computed when the file is opened."""
    owners = {cache: sheet for sheet in sheets for cache in sheet.caches}
    for rel in package.rels(book):
        if rel.kind != "pivotCacheDefinition" or not sheets:
            continue
        root = package.xml(rel.target)
        owner = owners.get(rel.target)
        view = (owner.views if owner is not None else None) or plans
        sources = descendants(root, *_SOURCES)
        fed = owner is not None or any(fresh(_reference(source)) for source in sources)
        moved = [_follow(source, view) for source in sources]
        if not fed and not any(moved):
            continue
        if fed:
            root.set("refreshOnLoad", "1")
        package.write(rel.target, serialize(root))


def _follow(source: Element, view: Plans) -> bool:
    """Move the range of a source; True if it stands elsewhere now."""
    name = (source.get("sheet") or "").lower()
    before = source.get("ref"), source.get("sheet")
    plan = view.get(name)
    if plan is not None and source.get("ref"):
        source.set("ref", grown(source.get("ref"), plan.root) or source.get("ref"))
    if view.renames.get(name):
        source.set("sheet", view.renames[name])
    return (source.get("ref"), source.get("sheet")) != before


def _reference(source: Element) -> str:
    """What a source is, as a formula names it; nothing for another workbook."""
    if any(key.endswith("}id") for key in source.attrib):
        return ""
    if source.get("name"):
        return str(source.get("name"))
    sheet = source.get("sheet")
    return f"{quote_sheet(sheet)}!{source.get('ref', '')}" if sheet else ""


def stale_pivots(
    package: Package, sheets: Iterable[tuple[str, str]], fresh: Callable[[str], bool]
) -> Iterator[tuple[str, str, list[tuple[int, str]]]]:
    """The pivot tables over new cells on these sheets (name, part): their sheet, their name, their cells."""
    for sheet, part in sheets:
        for name in package.related(part, "pivotTable"):
            root = package.xml(name)
            place = child(root, "location")
            corners = split_range(place.get("ref", "")) if place is not None else None
            caches = (package.xml(cache) for cache in package.related(name, "pivotCacheDefinition"))
            sources = [source for cache in caches for source in descendants(cache, *_SOURCES)]
            if corners is None or not any(fresh(_reference(source)) for source in sources):
                continue
            columns = range(column_number(corners[0]), column_number(corners[2]) + 1)
            rows = range(corners[1], corners[3] + 1)
            yield sheet, root.get("name", ""), [(row, column_name(at)) for row in rows for at in columns]
