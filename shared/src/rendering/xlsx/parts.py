"""Everything of a sheet that points at rows and is no cell: moved by the sheet's plan."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from rendering.opc import Package, child, descendants, local, serialize
from rendering.xlsx.anchors import shift_anchors
from rendering.xlsx.layout import Plan, Turn
from rendering.xlsx.moves import Plans, copied, covered, grown, outside, rule
from rendering.xlsx.pivots import move_pivots

Element = Any

_ONE_PER_COPY = ("mergeCell", "hyperlink")
_LINKS = frozenset({"fmlaLink", "fmlaRange", "fmlaGroup", "fmlaTxbx", "linkedCell", "listFillRange"})
_GROWN = ("autoFilter", "sortState", "sortCondition")


def move_sheet(root: Element, plan: Plan, name: str, plans: Plans) -> None:
    """Move what stands in the sheet part itself, beside its rows."""
    turn = plan.root
    for element in [e for e in root.iter() if local(e) in _ONE_PER_COPY]:
        references = copied(element.get("ref", ""), turn)
        if local(element) == "mergeCell":
            references = [
                each for each in references if len(set(each.split(":"))) > 1
            ]  # one cell is not merged
        _copy(element, "ref", references)
    for element in descendants(root, *_GROWN):
        _regrow(element, turn)
    for element in descendants(root, "protectedRange", "ignoredError", "selection"):
        _cover(element, "sqref", turn, drop=local(element) != "selection")
    for element in descendants(root, "selection"):
        if element.get("activeCell"):
            element.set("activeCell", _single(element.get("activeCell"), turn))
    _rules(root, plan, name, plans)
    _breaks(root, turn)
    _sparklines(root, turn, outside(plans, name))
    shift_anchors(root, turn)
    _controls(root, outside(plans, name))
    _dimension(root, turn)
    _counts(root)


def _single(reference: str, turn: Turn) -> str:
    moved = grown(reference, turn)
    return moved.partition(":")[0] if moved else "A1"


def _copy(element: Element, attribute: str, references: list[str]) -> None:
    parent = element.getparent()
    at = parent.index(element)
    parent.remove(element)
    for offset, reference in enumerate(references):
        new = deepcopy(element)
        new.set(attribute, reference)
        parent.insert(at + offset, new)
    if not len(parent) and local(parent) in {"mergeCells", "hyperlinks"}:
        parent.getparent().remove(parent)


def _regrow(element: Element, turn: Turn) -> None:
    if element.get("ref"):
        moved = grown(element.get("ref"), turn)
        if moved:
            element.set("ref", moved)


def _cover(element: Element, attribute: str, turn: Turn, *, drop: bool) -> bool:
    """Move a list of references; drops the element if nothing is left of it. True if it stays."""
    if element.get(attribute) is None:
        return True
    moved = covered(element.get(attribute), turn)
    if moved:
        element.set(attribute, moved)
    elif drop:
        element.getparent().remove(element)
        return False
    else:
        element.set(attribute, "A1")
    return True


def _rules(root: Element, plan: Plan, name: str, plans: Plans) -> None:
    """Conditional formats and validations, the old ones and their twins in the extension list."""
    move = rule(plan, name, plans)
    for element in descendants(root, "conditionalFormatting", "dataValidation"):
        if not _cover(element, "sqref", plan.root, drop=True):
            continue
        for inner in descendants(element, "sqref"):
            inner.text = covered(inner.text or "", plan.root)
            if not inner.text:
                element.getparent().remove(element)
                break
        for inner in descendants(element, "formula", "formula1", "formula2", "f"):
            if inner.text and not len(inner):
                inner.text = move(inner.text)
        for inner in descendants(element, "cfvo"):
            if inner.get("type") == "formula" and inner.get("val"):
                inner.set("val", move(inner.get("val")))


def _breaks(root: Element, turn: Turn) -> None:
    for holder in descendants(root, "rowBreaks"):
        found: dict[int, Element] = {}
        for one in [e for e in holder if local(e) == "brk"]:
            holder.remove(one)
            found |= {row: one for row in turn.breaks(int(one.get("id", "1"))) if row >= 1}
        for row, one in sorted(found.items()):
            new = deepcopy(one)
            new.set("id", str(row))
            holder.append(new)
        count = sum(1 for e in holder if local(e) == "brk")
        holder.set("count", str(count))
        if "manualBreakCount" in holder.attrib:
            holder.set("manualBreakCount", str(sum(1 for e in holder if e.get("man") in {"1", "true"})))


def _sparklines(root: Element, turn: Turn, move: Callable[[str], str]) -> None:
    """One sparkline per repetition of its row, each over its own row."""
    for line in [e for e in root.iter() if local(e) == "sparkline"]:
        source, cell = child(line, "f"), child(line, "sqref")
        if cell is None or not cell.text:
            continue
        places = copied(cell.text, turn)
        parent, at = line.getparent(), line.getparent().index(line)
        parent.remove(line)
        for offset, place in enumerate(places):
            new = deepcopy(line)
            child(new, "sqref").text = place
            if source is not None and source.text:
                child(new, "f").text = _row_of(source.text, cell.text, place) or move(source.text)
            parent.insert(at + offset, new)
    for group in [e for e in root.iter() if local(e) == "sparklineGroup"]:
        date_axis = child(group, "f")
        if date_axis is not None and date_axis.text:
            date_axis.text = move(date_axis.text)


def _row_of(formula: str, cell: str, place: str) -> str | None:
    """The source of a sparkline that looks along its own row, in the row of its copy."""
    old, new = cell.lstrip("$ABCDEFGHIJKLMNOPQRSTUVWXYZ"), place.lstrip("$ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    sheet, bang, reference = formula.rpartition("!")
    parts = [p.replace("$", "") for p in reference.split(":")]
    rows = {p.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for p in parts}
    if rows != {old}:
        return None
    return sheet + bang + ":".join(p.rstrip("0123456789") + new for p in parts)


def _dimension(root: Element, turn: Turn) -> None:
    found = child(root, "dimension")
    if found is not None and found.get("ref"):
        found.set("ref", grown(found.get("ref"), turn) or "A1")


def _counts(root: Element) -> None:
    for element in descendants(root, "mergeCells", "dataValidations"):
        if "count" in element.attrib:
            element.set("count", str(len(element)))
    for element in descendants(root, "dataValidations", "conditionalFormattings"):
        if not len(element):
            element.getparent().remove(element)


def move_related(package: Package, part: str, plan: Plan, move: Callable[[str], str]) -> None:
    """Move the parts that belong to a sheet: tables, comments, controls."""
    for name in package.related(part, "table"):
        root = package.xml(name)
        _regrow(root, plan.root)
        for element in descendants(root, *_GROWN):
            _regrow(element, plan.root)
        package.write(name, serialize(root))
    for name in [*package.related(part, "comments"), *package.related(part, "threadedComment")]:
        root = package.xml(name)
        for element in descendants(root, "comment", "threadedComment"):
            places = copied(element.get("ref", ""), plan.root)
            if places:
                element.set("ref", places[0])
            else:
                element.getparent().remove(element)
        package.write(name, serialize(root))
    move_pivots(package, part, plan.root)
    for name in package.related(part, "vmlDrawing"):
        _notes(package, name, plan.root, move)
    for name in package.related(part, "ctrlProp"):
        root = package.xml(name)
        if _controls(root, move):
            package.write(name, serialize(root))


def _controls(root: Element, move: Callable[[str], str]) -> bool:
    """Cells that form controls and ActiveX controls are linked to; True if one moved."""
    changed = False
    for element in descendants(root, "formControlPr", "controlPr"):
        for name in _LINKS & set(element.attrib):
            moved = move(element.get(name))
            changed |= moved != element.get(name)
            element.set(name, moved)
    return changed


def _notes(package: Package, name: str, turn: Turn, move: Callable[[str], str]) -> None:
    """The boxes of comments: anchors are column, offset, row, offset, twice; the row is told again."""
    root = package.xml(name)
    for link in descendants(root, "FmlaLink", "FmlaRange", "FmlaGroup", "FmlaTxbx"):
        link.text = move(link.text or "")
    for data in descendants(root, "ClientData"):
        row, anchor = child(data, "Row"), child(data, "Anchor")
        begin = int((row.text if row is not None else None) or -1)
        if data.get("ObjectType") == "Note" and not list(turn.copies(begin + 1, begin + 1)):
            data.getparent().getparent().remove(data.getparent())
            continue
        if row is not None and begin >= 0:
            row.text = str(turn.begin(begin + 1) - 1)
        if anchor is None or not anchor.text:
            continue
        numbers = [part.strip() for part in anchor.text.split(",")]
        if len(numbers) == 8:  # noqa: PLR2004 - left, dx, top, dy, right, dx, bottom, dy
            top, bottom = int(numbers[2]), int(numbers[6])
            shift = turn.begin((begin if begin >= 0 else top) + 1) - 1 - (begin if begin >= 0 else top)
            numbers[2], numbers[6] = str(top + shift), str(bottom + shift)
            anchor.text = ", ".join(numbers)
    package.write(name, serialize(root))
