"""Numbered lists of Word in loops: they begin again with every turn of the loop they stand in.

A list whose items a loop makes goes on over its turns and begins again when the loop itself does. One that
stands beside other text in a loop begins again with each turn. Numbered headings and rows of tables go on.
"""

import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from rendering.flow import text_of
from rendering.marks import Marks
from rendering.opc import Package, child, descendants, local, namespace, serialize
from rendering.program import Call, Context

Element = Any
_STATEMENT = re.compile(r"\{%[-+]?\s*(for|endfor|if|elif|else|endif)\b")
_BEFORE_NUMBERING = frozenset(
    {"pStyle", "keepNext", "keepLines", "pageBreakBefore", "framePr", "widowControl"}
)
MOST_LISTS = 2_000  # Word becomes slow with more


@dataclass(slots=True, eq=False)
class _Loop:
    """A loop while the part is read: the lists in it, and whether anything else is."""

    rows: bool
    lists: set[str] = field(default_factory=set)
    other: bool = False


@dataclass(slots=True)
class Lists:
    """The lists of a document: what styles number, and the lists that turns of loops need."""

    package: Package
    main: str
    warnings: list[str]
    _styles: dict[str, tuple[str, int]] | None = None
    _headings: set[str] = field(default_factory=set)
    _made: dict[tuple[object, ...], str] = field(default_factory=dict)
    _root: Element = None
    _next: int = 0

    def mark(self, root: Element, marks: Marks) -> None:
        """Mark the paragraphs of a part whose list begins again in loops."""
        if next(iter(self.package.related(self.main, "numbering")), None) is None:
            return
        found: list[tuple[Element, str, int, list[_Loop]]] = []
        self._walk(root, [], found)
        depths: dict[str, int] = {}
        for paragraph, number, level, loops in found:
            inner = len(loops)
            while inner and (loops[inner - 1].rows or _only(loops[inner - 1], number)):
                inner -= 1
            if level == 0:
                depths[number] = inner
            depth = min(depths.get(number, 0), len(loops))
            if depth:
                self._set(paragraph, number, level, depth, marks)

    def _walk(
        self, element: Element, loops: list[_Loop], found: list[tuple[Element, str, int, list[_Loop]]]
    ) -> None:
        for one in element:
            name = local(one)
            word = _STATEMENT.match(text_of(one).strip()) if name in {"p", "tr"} else None
            if word is not None:
                if word[1] == "for":
                    loops.append(_Loop(name == "tr"))
                elif word[1] == "endfor" and loops:
                    loops.pop()
            elif name == "p":
                self._paragraph(one, loops, found)
            else:
                self._walk(one, loops, found)

    def _paragraph(
        self, paragraph: Element, loops: list[_Loop], found: list[tuple[Element, str, int, list[_Loop]]]
    ) -> None:
        numbering = self._numbering(paragraph)
        if numbering is None:
            if text_of(paragraph).strip() or next(paragraph.iter("{*}drawing", "{*}pict"), None) is not None:
                for loop in loops:
                    loop.other = True
            return
        for loop in loops:
            loop.lists.add(numbering[0])
        found.append((paragraph, *numbering, list(loops)))

    def _numbering(self, paragraph: Element) -> tuple[str, int] | None:
        """The list of a paragraph and its level; None for headings and what has no number."""
        properties = child(paragraph, "pPr")
        own = child(properties, "numPr") if properties is not None else None
        style = child(properties, "pStyle") if properties is not None else None
        named = _value(style)
        usual = self._of_styles().get(named)
        if named in self._headings or (
            properties is not None and child(properties, "outlineLvl") is not None
        ):
            return None
        if own is None or child(own, "numId") is None:
            return usual
        number = _value(child(own, "numId"))
        level = _value(child(own, "ilvl")) or (str(usual[1]) if usual else "0")
        return (number, int(level)) if number not in {"", "0"} and level.isdigit() else None

    def _of_styles(self) -> dict[str, tuple[str, int]]:
        if self._styles is None:
            self._styles = {}
            parts = self.package.related(self.main, "styles")
            entries = descendants(self.package.xml(parts[0]), "style") if parts else []
            by_id = {_attribute(style, "styleId"): style for style in entries}
            for name in by_id:
                self._read_style(name, by_id)
        return self._styles

    def _read_style(self, name: str, by_id: dict[str, Element]) -> None:
        """Number and outline level of a style, which it may have from the one it is based on."""
        number, level, seen, one = "", "", set[str](), name
        while one in by_id and one not in seen:
            seen.add(one)
            properties = child(by_id[one], "pPr")
            numbering = child(properties, "numPr") if properties is not None else None
            if numbering is not None:
                number = number or _value(child(numbering, "numId"))
                level = level or _value(child(numbering, "ilvl"))
            if properties is not None and child(properties, "outlineLvl") is not None:
                self._headings.add(name)
            one = _value(child(by_id[one], "basedOn"))
        if number not in {"", "0"} and self._styles is not None:
            self._styles[name] = number, int(level or "0")

    def _set(self, paragraph: Element, number: str, level: int, depth: int, marks: Marks) -> None:
        space = namespace(paragraph)
        properties = child(paragraph, "pPr")
        if properties is None:
            properties = paragraph.makeelement(space + "pPr")
            paragraph.insert(0, properties)
        for old in [one for one in properties if local(one) == "numPr"]:
            properties.remove(old)
        numbering = properties.makeelement(space + "numPr")
        at = sum(1 for one in properties if local(one) in _BEFORE_NUMBERING)
        properties.insert(at, numbering)
        token = marks.token(Call(lambda at, _: self._list(number, depth, at)))
        for name, value in (("ilvl", str(level)), ("numId", token)):
            one = numbering.makeelement(space + name)
            one.set(space + "val", value)
            numbering.append(one)

    def _list(self, number: str, depth: int, at: Context) -> str:
        """The list of this turn, made when it is asked for first."""
        key = (at.owner, number, *at.turns[:depth])
        if key not in self._made:
            self._made[key] = self._new(number)
        return self._made[key]

    def _new(self, number: str) -> str:
        if self._root is None:
            self._root = self.package.xml(self.package.related(self.main, "numbering")[0])
            taken = [_attribute(one, "numId") for one in descendants(self._root, "num")]
            self._next = max([0, *(int(one) for one in taken if one.isdigit())])
        old = next((o for o in descendants(self._root, "num") if _attribute(o, "numId") == number), None)
        if old is None:
            return number
        if len(self._made) >= MOST_LISTS:
            self.warnings.append(
                f"numbered lists run on after {MOST_LISTS} lists, more are too many for Word"
            )
            return number
        self._next += 1
        new = deepcopy(old)
        space = namespace(old)
        new.set(space + "numId", str(self._next))
        override = next((o for o in new if local(o) == "lvlOverride" and _attribute(o, "ilvl") == "0"), None)
        if override is None:
            override = new.makeelement(space + "lvlOverride")
            override.set(space + "ilvl", "0")
            new.insert(next((i for i, o in enumerate(new) if local(o) == "lvlOverride"), len(new)), override)
        if child(override, "startOverride") is None:
            start = override.makeelement(space + "startOverride")
            start.set(space + "val", self._start(_value(child(old, "abstractNumId"))))
            override.insert(0, start)
        list(descendants(self._root, "num"))[-1].addnext(new)
        return str(self._next)

    def _start(self, abstract: str) -> str:
        """The number a list begins with."""
        for one in descendants(self._root, "abstractNum"):
            if _attribute(one, "abstractNumId") == abstract:
                level = next((each for each in one if local(each) == "lvl"), None)
                return (_value(child(level, "start")) if level is not None else "") or "1"
        return "1"

    def save(self) -> None:
        """Write the lists that were made."""
        if self._root is not None:
            self.package.write(self.package.related(self.main, "numbering")[0], serialize(self._root))


def _only(loop: _Loop, number: str) -> bool:
    """Whether a loop makes the items of one list and nothing else."""
    return not loop.other and loop.lists == {number}


def _value(element: Element) -> str:
    return "" if element is None else _attribute(element, "val")


def _attribute(element: Element, name: str) -> str:
    return next((str(v) for k, v in element.attrib.items() if str(k).rpartition("}")[2] == name), "")
