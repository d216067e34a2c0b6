"""Sheets without tags that look at filled ones: their references follow, their stored results are dropped.

A spreadsheet computes them when it opens the file. Readers of values (previews, phones) would show the
results the template was saved with: no result is better than one of other data.
"""

import re
from collections.abc import Set as AbstractSet
from typing import Any

from rendering.opc import Package, child, descendants, local, serialize
from rendering.xlsx.formula import sheet_names
from rendering.xlsx.moves import Plans, outside

Element = Any
_FORMULA = re.compile(rb"<(?:\w+:)?(?:f|formula[12]?)[ >]")
_WORD = re.compile(r"[^\W\d][\w.]*")
_MOVED = ("f", "formula", "formula1", "formula2")


def follow(
    package: Package, sheets: dict[str, str], names: dict[str, str], plans: Plans, filled: AbstractSet[str]
) -> None:
    """Bring the other sheets (parts by lower-case name) up to date.

    ``names`` are defined names and Excel tables with what they stand for; ``filled`` has the sheets whose
    values are new, and the names of their Excel tables.
    """
    moved = {name for name, plan in plans.items() if plan.changed} | set(plans.renames)
    fresh = set(filled) | moved
    _spread(names, fresh)
    waiting = {name: part for name, part in sheets.items() if _FORMULA.search(package.read(part))}
    roots = {name: package.xml(part) for name, part in waiting.items()}
    again = True
    while again:
        again = False
        for name, root in list(roots.items()):
            if not any(_uses(f.text or "", fresh) for f in descendants(root, *_MOVED)):
                continue
            del roots[name]
            fresh.add(name)
            _spread(names, fresh)
            again = True
            if _update(root, plans, moved):
                package.write(waiting[name], serialize(root))


def _spread(names: dict[str, str], fresh: set[str]) -> None:
    """A name for something new is something new."""
    again = True
    while again:
        found = {name for name, text in names.items() if name not in fresh and _uses(text, fresh)}
        fresh |= found
        again = bool(found)


def _uses(formula: str, fresh: AbstractSet[str]) -> bool:
    if not formula:
        return False
    there = {name.lower() for name in sheet_names(formula)}
    if there & fresh or any(":" in name for name in there):
        return True
    return any(word.lower() in fresh for word in _WORD.findall(formula))


def _update(root: Element, plans: Plans, moved: AbstractSet[str]) -> bool:
    move = outside(plans)
    touched = False
    for formula in descendants(root, *_MOVED):
        if formula.text and {name.lower() for name in sheet_names(formula.text)} & moved:
            formula.text = move(formula.text)
            touched = True
        cell = formula.getparent()
        value = child(cell, "v") if local(cell) == "c" else None
        if value is not None:
            cell.remove(value)
            cell.attrib.pop("t", None)
            touched = True
    return touched
