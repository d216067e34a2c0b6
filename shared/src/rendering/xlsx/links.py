"""Links to other workbooks, cut loose: what they showed stays as plain values, nothing points outside.

A link would make Excel ask every reader whether to fetch from a path of somebody else's machine.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import unquote

from rendering.opc import Package, child, descendants, local, namespace, serialize
from rendering.xlsx.results import Formula, formulas_in

Element = Any
_STRING = re.compile(r'"(?:[^"]|"")*"')
_OUTSIDE = re.compile(r"(?<![\w\]])\[[1-9]\d*\](?=[^\[\]]*!)|'[^']*\[[1-9]\d*\](?:[^']|'')*'!")
_WORD = re.compile(r"(?:[^\W\d]|\\)[\w.?\\]*")
_RULES = ("cfRule", "dataValidation")
_NAMED = 5  # cells that a warning names
_EMPTY = "{}: a link to another workbook was cut and {}, so the cell is empty"
_FORMULAS = ("formula", "formula1", "formula2", "f")


@dataclass(slots=True)
class Cut:
    """What was cut: the formulas by sheet in lower case, and warnings."""

    formulas: dict[str, list[Formula]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def untrue(self, stale: Mapping[str, AbstractSet[tuple[int, str]]]) -> list[str]:
        """A warning for values that depend on the report too, and are left out as nobody can compute them."""
        cells = [
            f"{self.titles[sheet]}!{one.column}{one.row}"
            for sheet, formulas in self.formulas.items()
            for one in formulas
            if (one.row, one.column) in stale.get(sheet, ())
        ]
        return [_EMPTY.format(_some(cells), "its formula took values of this report")] if cells else []


def cut_loose(package: Package) -> Cut:
    """Replace formulas over other workbooks by their stored values and drop the links."""
    cut = Cut()
    part = next(iter(package.related("", "officeDocument")), "")
    links = package.related(part, "externalLink") if part else []
    if not links:
        return cut
    root = package.xml(part)
    outside = _names(root)
    targets = {rel.id: rel.target for rel in package.rels(part) if rel.kind == "worksheet"}
    lost: list[str] = []
    for entry in descendants(root, "sheet"):
        target = targets.get(next((str(v) for k, v in entry.attrib.items() if k.endswith("}id")), ""), "")
        if target in package:
            name = entry.get("name", "")
            cut.titles[name.lower()] = name
            cut.formulas[name.lower()] = _sheet(package, target, outside, name, lost)
    for name in package.names():
        if "/charts/" in name or "/drawings/" in name:
            _drawing(package, name, outside)
    files = sorted({_file(package, link) for link in links})
    for link in links:
        package.remove(link)
    package.drop_rels(part, "externalLink")
    for chain in package.related(part, "calcChain"):
        package.remove(chain)
        package.drop_rels(part, "calcChain")
    for element in descendants(root, "externalReferences"):
        element.getparent().remove(element)
    package.write(part, serialize(root))
    cut.warnings.append(
        f"the links to {', '.join(files)} were cut: their last stored values are shown as plain values"
    )
    if lost:
        cut.warnings.append(_EMPTY.format(_some(lost), "no value was stored"))
    return cut


def _some(cells: list[str]) -> str:
    return ", ".join(cells[:_NAMED]) + (f" and {len(cells) - _NAMED} more" if len(cells) > _NAMED else "")


def _points(formula: str, outside: set[str]) -> bool:
    """Whether a formula looks at another workbook, itself or by a name."""
    bare = _STRING.sub("", formula)
    if "[" in bare and _OUTSIDE.search(bare):
        return True
    return bool(outside) and any(word.lower() in outside for word in _WORD.findall(bare))


def _names(root: Element) -> set[str]:
    """Take out the defined names that look at other workbooks; returns them in lower case."""
    outside: set[str] = set()
    entries = descendants(root, "definedName")
    again = True
    while again:
        more = [e for e in entries if e.getparent() is not None and _points(e.text or "", outside)]
        outside |= {e.get("name", "").lower() for e in more}
        for entry in more:
            entry.getparent().remove(entry)
        again = bool(more)
    holder = child(root, "definedNames")
    if holder is not None and not len(holder):
        root.remove(holder)
    return outside


def _sheet(package: Package, part: str, outside: set[str], name: str, lost: list[str]) -> list[Formula]:
    """Cut the formulas and rules of a sheet loose; ``lost`` takes the cells for which nothing was stored."""
    content = package.read(part)
    if b"[" not in content and not outside:
        return []
    root = package.xml(part)
    cut = [one for one in formulas_in(root) if _points(one.text, outside)]
    places = {f"{one.column}{one.row}" for one in cut}
    for cell in descendants(root, "c") if cut else ():
        formula = child(cell, "f")
        if formula is None or cell.get("r") not in places:
            continue
        cell.remove(formula)
        if child(cell, "v") is None:
            lost.append(f"{name}!{cell.get('r')}")
    for rule in descendants(root, *_RULES):
        if any(_points(one.text or "", outside) for one in descendants(rule, *_FORMULAS)):
            holder = rule.getparent()
            holder.remove(rule)
            if not any(local(one) == local(rule) for one in holder):
                holder.getparent().remove(holder)
            elif holder.get("count"):
                holder.set("count", str(len(holder)))
    package.write(part, serialize(root))
    return cut


def _drawing(package: Package, part: str, outside: set[str]) -> None:
    """Charts keep the values they stored, shapes the text they showed."""
    if not part.endswith(".xml") or (b"[" not in package.read(part) and not outside):
        return
    root = package.xml(part)
    changed = False
    for shape in [one for one in root.iter() if _points(one.get("textlink", ""), outside)]:
        del shape.attrib["textlink"]
        changed = True
    for formula in [one for one in descendants(root, "f") if _points(one.text or "", outside)]:
        _literal(formula)
        changed = True
    if changed:
        package.write(part, serialize(root))


def _literal(formula: Element) -> None:
    """Let a reference of a chart be the values that are stored beside it."""
    reference = formula.getparent()
    space, holder = namespace(reference), reference.getparent()
    cache = next((one for one in reference if local(one).endswith("Cache")), None)
    if local(reference) not in {"numRef", "strRef", "multiLvlStrRef"}:
        reference.remove(formula)
    elif local(holder) == "tx":
        text = "".join(one.text or "" for one in reference.iter("{*}v"))
        _text(holder, reference, text, space)
    elif cache is None:
        holder.getparent().remove(holder)
    else:
        level = next(cache.iter("{*}lvl"), None)
        kept = [*(one for one in cache if local(one) in {"formatCode", "ptCount"}), *(
            one for one in (cache if level is None else level) if local(one) == "pt"
        )]  # fmt: skip
        reference.tag = space + ("numLit" if local(reference) == "numRef" else "strLit")
        reference[:] = kept


def _text(holder: Element, reference: Element, text: str, space: str) -> None:
    """The name of a series, or the title of a chart or axis."""
    if local(holder.getparent()) == "ser":
        value = holder.makeelement(space + "v")
        value.text = text
        holder.replace(reference, value)
        return
    drawing = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
    rich = holder.makeelement(space + "rich")
    one = rich
    rich.append(rich.makeelement(drawing + "bodyPr"))
    for name in ("p", "r", "t"):
        inner = one.makeelement(drawing + name)
        one.append(inner)
        one = inner
    one.text = text
    holder.replace(reference, rich)


def _file(package: Package, link: str) -> str:
    """The name of the other workbook, without the folders of its owner."""
    target = next((rel.target for rel in package.rels(link) if rel.external), "")
    name = PureWindowsPath(PurePosixPath(unquote(target)).name).name
    return name[:80] or "another workbook"
