"""Excel tables: their columns are named by their heading cells, and both must say the same."""

from typing import Any

from rendering.language import Language
from rendering.opc import Package, child, descendants, local, serialize
from rendering.tags import has_tags
from rendering.text import fill
from rendering.values import clean
from rendering.xlsx.formula import column_name, column_number
from rendering.xlsx.moves import split_range
from rendering.xlsx.sheet import Sheet
from rendering.xlsx.totals import TableRange

Element = Any


def sync_tables(package: Package, sheet: Sheet, language: Language) -> dict[str, TableRange]:
    """Fill the tags in table parts; returns where the tables of the sheet stand now, by lower-case name."""
    found: dict[str, TableRange] = {}
    for part in package.related(sheet.part, "table"):
        root = package.xml(part)
        columns = descendants(root, "tableColumn")
        if any(_fill(column, language, sheet, part) for column in columns):
            _distinct(columns)
            package.write(part, serialize(root))
        place = split_range(root.get("ref", ""))
        if place is None:
            continue
        left = column_number(place[0])
        letters = {c.get("name", "").lower(): column_name(left + i) for i, c in enumerate(columns)}
        first = place[1] + int(root.get("headerRowCount", "1"))
        last = place[3] - int(root.get("totalsRowCount", "0"))
        found[root.get("displayName", root.get("name", "")).lower()] = TableRange(
            sheet.now, first, last, letters, _holds_tags(sheet, first, last)
        )
    return found


def _holds_tags(sheet: Sheet, first: int, last: int) -> bool:
    root = sheet.plan.root if sheet.plan is not None else None
    return root is not None and any(
        first <= row <= last
        for number in sheet.filled_rows()
        for row in (root.begin(number), root.end(number))
    )


def _fill(column: Element, language: Language, sheet: Sheet, place: str) -> bool:
    changed = False
    for attribute in ("name", "totalsRowLabel"):
        text = column.get(attribute, "")
        if not has_tags(text):
            continue
        changed = True
        if attribute == "name":
            column.set(attribute, clean(fill(text, language, sheet.scope, place)) or "Column")
        else:  # the cell holds a value now, not the label
            del column.attrib[attribute]
    return changed


def _distinct(columns: list[Element]) -> None:
    """Excel refuses a table with two columns of the same name."""
    seen: set[str] = set()
    for column in columns:
        name, number = column.get("name", ""), 2
        while column.get("name", "").lower() in seen:
            column.set("name", f"{name}{number}")
            number += 1
        seen.add(column.get("name", "").lower())


def formula_cells(root: Element) -> list[tuple[Element, Element]]:
    """Cells with a formula that stand in the tree (those of repeated rows are text by now)."""
    data = child(root, "sheetData")
    pairs = ((cell, child(cell, "f")) for row in (data if data is not None else ()) for cell in row)
    return [(cell, formula) for cell, formula in pairs if local(cell) == "c" and formula is not None]
