"""Sheets that repeat, stand under a condition, or are named by the data.

A cell ``{% sheet for c in carriers.rows %}`` makes one copy of its sheet per turn, a cell
``{% sheet if late > 0 %}`` keeps its sheet only under the condition; the row of the cell vanishes. A rule
stands inside the one above it.
The name of a sheet may hold tags: ``{{ c.name }}``.
"""

import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from rendering.language import Language, Scope
from rendering.model import TemplateError
from rendering.opc import Package, child, descendants, local, serialize
from rendering.tags import has_tags
from rendering.text import fill
from rendering.values import clean
from rendering.xlsx.anchors import ONCE
from rendering.xlsx.pivots import own_caches
from rendering.xlsx.sheet import Sheet
from rendering.xlsx.strings import Strings

Element = Any
MAX_SHEETS = 500
MAX_NAME = 31
_OWN = frozenset(
    {"drawing", "chart", "chartEx", "chartStyle", "chartColorStyle", "chartUserShapes", "table", "queryTable",
     "comments", "threadedComment", "vmlDrawing", "pivotTable", "ctrlProp", "control", "activeXControlBinary",
     "diagramData", "diagramLayout", "diagramQuickStyle", "diagramColors", "diagramDrawing"}
)  # fmt: skip
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"


@dataclass(slots=True)
class SheetCopies:
    """Where the sheets of the template went: by old position, the new positions and parts.

    ``gone`` has the lower-case names of sheets that were dropped.
    """

    places: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    changed: bool = False


def repeat_sheets(
    package: Package, workbook: tuple[str, Element], sheets: list[Sheet], strings: Strings, language: Language
) -> tuple[list[Sheet], dict[str, str], SheetCopies]:
    """Copy, drop and name the sheets of a workbook (its part and root).

    Returns the sheets there are now, new names by old ones, and where the sheets of the template went.
    """
    part, root = workbook
    holder = child(root, "sheets")
    entries = [e for e in (holder if holder is not None else ()) if local(e) == "sheet"]
    by_rel = {rel.id: rel.target for rel in package.rels(part)}
    by_part = {sheet.part: sheet for sheet in sheets}
    result: list[Sheet] = []
    renames: dict[str, str] = {}
    taken = {e.get("name", "").lower() for e in entries if not has_tags(e.get("name", ""))}
    written: list[tuple[int, Element, str]] = []
    copies = SheetCopies()
    for position, entry in enumerate(entries):
        target = by_rel.get(_rel_id(entry), "")
        sheet = by_part.get(target)
        if sheet is None:
            written.append((position, entry, target))
            continue
        turns = _turns(sheet, language)
        if len(written) + len(turns) > MAX_SHEETS:
            raise TemplateError(
                sheet.name, f"there would be more than {MAX_SHEETS} sheets", "Filter the data"
            )
        originals = _Original(package, workbook, sheet) if len(turns) > 1 else None
        for turn, scope in enumerate(turns):
            copy = originals.copy(strings) if originals is not None and turn else sheet
            copy.scope = scope
            copy.title = _title(sheet.name, scope, language, taken, first=turn == 0)
            if turn == 0 and copy.title:
                renames[sheet.name.lower()] = copy.title
            new = (
                entry
                if turn == 0
                else _entry(package, part, entry, copy, [e for _, e, _ in written] + entries)
            )
            new.set("name", copy.title or sheet.name)
            written.append((position, new, copy.part))
            result.append(copy)
        if not turns:
            copies.gone.add(sheet.name.lower())
            _drop(package, part, entry, sheet)
    if not written:
        raise TemplateError("workbook", "no sheet is left", "Let one sheet stand without a condition")
    if holder is not None and [e for _, e, _ in written] != entries:
        holder[:] = [e for _, e, _ in written]
        copies.changed = True
    for number, (position, _, where) in enumerate(written):
        copies.places.setdefault(position, []).append((number, where))
    _views(root, copies)
    return result, renames, copies


def _views(root: Element, copies: SheetCopies) -> None:
    """The sheet a reader sees first stays the same one; if it is gone, it is the first."""
    for view in descendants(root, "workbookView", "customWorkbookView") if copies.changed else ():
        for name in ("activeTab", "firstSheet"):
            if view.get(name, "").isdigit():
                places = copies.places.get(int(view.get(name)), [(0, "")])
                view.set(name, str(places[0][0]))


def _rel_id(entry: Element) -> str:
    return next((str(v) for k, v in entry.attrib.items() if k.endswith("}id")), "")


def _turns(sheet: Sheet, language: Language) -> list[Scope]:
    """What names mean in each copy of a sheet; a rule stands inside the one above it."""
    scopes = [sheet.scope]
    for row, rule in sheet.rules():
        place = f"{sheet.name}, row {row}"
        inner: list[Scope] = []
        for scope in scopes:
            if rule.word == "for":
                inner.extend(language.loop(rule, scope, place))
            elif rule.condition is None or language.holds(rule.condition, scope, place):
                inner.append(scope)
            if len(inner) > MAX_SHEETS:
                break
        scopes = inner
    return scopes


def _title(name: str, scope: Scope, language: Language, taken: set[str], *, first: bool) -> str:
    """The name of a copy; empty if it keeps its name."""
    if first and not has_tags(name):
        return ""
    text = fill(name, language, scope, "name of a sheet") if has_tags(name) else name
    base = re.sub(r"[\[\]:*?/\\]", "_", clean(text)).strip().strip("'")[:MAX_NAME] or "Sheet"
    title, number = base, 2
    while title.lower() in taken or title.lower() == "history":
        suffix = f" ({number})"
        title, number = base[: MAX_NAME - len(suffix)] + suffix, number + 1
    taken.add(title.lower())
    return title


@dataclass(frozen=True, slots=True)
class _Original:
    """A sheet that is copied."""

    package: Package
    workbook: tuple[str, Element]
    sheet: Sheet

    def copy(self, strings: Strings) -> Sheet:
        """A copy with drawings, charts, comments, Excel tables, pivot tables and controls of its own."""
        package, sheet = self.package, self.sheet
        if any(rel.kind in ONCE for rel in package.rels(sheet.part)):
            raise TemplateError(
                sheet.name,
                "a sheet with slicers or timelines cannot be repeated",
                "Remove them from the sheet",
            )
        part = package.copy(sheet.part, _OWN)
        root = package.xml(part)
        for view in descendants(root, "sheetView"):  # several selected sheets are edited together
            view.attrib.pop("tabSelected", None)
        for properties in descendants(root, "sheetPr"):  # a module of macros belongs to one sheet
            properties.attrib.pop("codeName", None)
        tables = dict(_rename_table(package, table, root) for table in package.related(part, "table"))
        copy = Sheet(sheet.name, part, root, sheet.scope)
        copy.caches = own_caches(package, self.workbook, part, sheet.name, tables)
        copy.scan(strings)
        return copy


def _rename_table(package: Package, part: str, sheet: Element) -> tuple[str, str]:
    """Excel wants every table of a workbook to have a name and a number of its own: the old and the new."""
    tables = [package.xml(n) for n in package.names() if "/tables/" in n and n.endswith(".xml") and n != part]
    names = {t.get("displayName", "").lower() for t in tables}
    root = package.xml(part)
    old = root.get("displayName", root.get("name", "Table"))
    new = next(f"{old}_{n}" for n in range(2, len(names) + 4) if f"{old}_{n}".lower() not in names)
    root.set("displayName", new)
    root.set("name", new)
    root.set("id", str(max([0, *(int(t.get("id", "0")) for t in tables)]) + 1))
    package.write(part, serialize(root))
    for formula in descendants(sheet, "f", "formula", "formula1", "formula2"):
        if formula.text:
            formula.text = re.sub(rf"(?<![\w.]){re.escape(old)}(?=\[)", new, formula.text)
    return old.lower(), new


def _entry(package: Package, part: str, entry: Element, copy: Sheet, entries: list[Element]) -> Element:
    new = deepcopy(entry)
    new.set("sheetId", str(max(int(e.get("sheetId", "0")) for e in entries) + 1))
    key = next(k for k in new.attrib if k.endswith("}id"))
    new.set(key, package.add_rel(part, _REL, copy.part))
    return new


def _drop(package: Package, part: str, entry: Element, sheet: Sheet) -> None:
    """Remove a sheet, what points to it and what belongs to it alone."""
    package.remove_rel(part, _rel_id(entry))
    _remove(package, sheet.part)


def _remove(package: Package, part: str) -> None:
    own = [rel.target for rel in package.rels(part) if rel.kind in _OWN and rel.target in package]
    package.remove(part)
    for target in own:
        if target in package:
            _remove(package, target)
