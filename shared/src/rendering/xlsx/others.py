"""Sheets without tags that look at filled ones: references follow, results no longer true are dropped."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from rendering.opc import Package, child, descendants, serialize
from rendering.xlsx.formula import sheet_names, split_cell
from rendering.xlsx.moves import Plans, outside
from rendering.xlsx.pivots import stale_pivots
from rendering.xlsx.results import UNSTEADY, Formula, Results, formulas_in, formulas_of
from rendering.xlsx.sheet import Sheet

Element = Any
_FORMULA = re.compile(rb"<(?:\w+:)?(?:f|formula[12]?)[ >]")
_MOVED = ("f", "formula", "formula1", "formula2")


class Others:
    """The worksheets of a workbook that have no tags, by their names in lower case."""

    def __init__(
        self, package: Package, book: tuple[str, Element], touched: list[Sheet], *, idle: bool
    ) -> None:
        self._package = package
        part, self._root = book
        done = {sheet.part for sheet in touched}
        parts = {rel.id: rel.target for rel in package.rels(part) if rel.kind == "worksheet"}
        self.parts: dict[str, str] = {}
        self.warnings: list[str] = []
        self._titles: dict[str, str] = {}
        for entry in descendants(self._root, "sheet"):
            target = parts.get(next((v for k, v in entry.attrib.items() if k.endswith("}id")), ""), "")
            if target in package and target not in done:
                self.parts[entry.get("name", "").lower()] = target
                self._titles[entry.get("name", "").lower()] = entry.get("name", "")
        self._names = {
            e.get("name", "").lower(): e.text or "" for e in descendants(self._root, "definedName")
        }
        self._tables: dict[str, tuple[str, int, int]] = {}
        for name, target in [*((s.name.lower(), s.part) for s in touched), *self.parts.items()]:
            for table in package.related(target, "table"):
                self._tables |= _table(package.xml(table), name)
        words = [word.encode() for word in (*self._names, *self._tables)]
        words += [b"%s(" % word.encode() for word in UNSTEADY]
        self._roots = {
            name: package.xml(target)
            for name, target in self.parts.items()
            if not idle and _may_look_elsewhere(package.read(target), words)
        }

    def results(
        self, touched: list[Sheet], plans: Plans, gone: AbstractSet[str], cut: Mapping[str, list[Formula]]
    ) -> Results:
        """Which stored results of the whole workbook are no longer true.

        ``cut`` has formulas that stand no longer in their cells, by sheet.
        """
        formulas: dict[str, list[Formula]] = {name: formulas_in(root) for name, root in self._roots.items()}
        rows: dict[str, list[int]] = {}
        for sheet in touched:
            name = sheet.name.lower()
            if name not in rows:
                formulas[name] = formulas_of(sheet.rows.items())
                rows[name] = sorted(_new_rows(sheet))
        for name, found in cut.items():
            formulas.setdefault(name, []).extend(found)
            if name in self.parts and plans:
                self._roots.setdefault(name, self._package.xml(self.parts[name]))
        everything = set(gone) | {name for name in plans.renames if name not in rows}
        results = Results(formulas, self._names, self._tables, rows, everything).follow()
        self._pivots(results, touched)
        return results

    def _pivots(self, results: Results, touched: list[Sheet]) -> None:
        """Empty the cells of pivot tables over new cells: they show the sums of other data."""
        sheets = list(dict([*((s.name.lower(), s.part) for s in touched), *self.parts.items()]).items())
        titles = {sheet.name.lower(): sheet.name for sheet in touched} | self._titles
        told: set[tuple[str, str]] = set()
        again = True
        while again:
            again = False
            for sheet, name, cells in list(stale_pivots(self._package, sheets, results.touches)):
                again |= results.empty(sheet, cells)
                told.add((titles.get(sheet, sheet), name))
                if sheet in self.parts:
                    self._roots.setdefault(sheet, self._package.xml(self.parts[sheet]))
            if again:
                results.follow()
        self.warnings.extend(
            f"{sheet}: the pivot table {name!r} is empty until a spreadsheet program opens the report"
            for sheet, name in sorted(told)
        )

    def follow(self, plans: Plans, results: Results) -> None:
        """Move references and drop results."""
        moved = {name for name, plan in plans.items() if plan.changed} | set(plans.renames)
        for name, root in self._roots.items():
            if _update(root, plans, moved, results.stale.get(name, set())):
                self._package.write(self.parts[name], serialize(root))


def _may_look_elsewhere(content: bytes, words: list[bytes]) -> bool:
    """Whether a sheet may have formulas that name another sheet, a defined name or an Excel table."""
    if not _FORMULA.search(content):
        return False
    if b"!" in content:
        return True
    lower = content.lower()
    return any(word in lower or not word.isascii() for word in words)


def _new_rows(sheet: Sheet) -> set[int]:
    """Rows with tags, and those of blocks."""
    found = set(sheet.filled_rows())
    for region in sheet.plan.root.regions if sheet.plan is not None else ():
        found.update(range(region.first, region.last + 1))
    return found


def _table(root: Element, sheet: str) -> dict[str, tuple[str, int, int]]:
    first, _, last = root.get("ref", "").partition(":")
    name = root.get("displayName", root.get("name", "")).lower()
    try:
        return {name: (sheet, split_cell(first)[1], split_cell(last or first)[1])}
    except ValueError:
        return {}


def _update(
    root: Element, plans: Plans, moved: AbstractSet[str], stale: AbstractSet[tuple[int, str]]
) -> bool:
    move = outside(plans)
    touched = False
    for formula in descendants(root, *_MOVED):
        if formula.text and {name.lower() for name in sheet_names(formula.text)} & moved:
            formula.text = move(formula.text)
            touched = True
    places = {f"{column}{row}" for row, column in stale}
    for cell in descendants(root, "c") if places else ():
        value = child(cell, "v") if cell.get("r") in places else None
        if value is not None:
            cell.remove(value)
            cell.attrib.pop("t", None)
            touched = True
    return touched
