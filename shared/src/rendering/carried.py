"""What the paragraph or row of a statement carries besides it: breaks, pictures, bookmarks, comments.

The statement vanishes, these do not: a break or picture belongs to every turn of the block, the ends of
bookmarks and comments stand around it.
"""

from dataclasses import dataclass
from typing import Any

from rendering.opc import child, local, namespace

Element = Any
_BREAKS = frozenset({"page", "column"})
_THINGS = frozenset({"drawing", "pict", "object", "footnoteReference", "endnoteReference"})
_RANGES = frozenset(
    {"bookmarkStart", "bookmarkEnd", "commentRangeStart", "commentRangeEnd", "permStart", "permEnd"}
)


@dataclass(frozen=True, slots=True)
class Carried:
    """``ranges`` are taken out of the item; ``kept`` is what is left of it besides its text, if anything."""

    ranges: list[Element]
    kept: Element | None


def carried(item: Element) -> Carried:
    """Take the text out of a paragraph or row that is nothing but a statement."""
    ranges = [one for one in item.iter() if local(one) in _RANGES]
    for one in ranges:
        one.getparent().remove(one)
        one.tail = None
    if local(item) != "p":
        return Carried(ranges, None)
    breaks = any(_is_break(one) for one in item.iter())
    things = any(local(one) in _THINGS for one in item.iter())
    if not breaks and not things:
        return Carried(ranges, None)
    for run in [one for one in item.iter() if local(one) == "r" and _is_own(one, item)]:
        if not any(_is_break(one) or local(one) in _THINGS for one in run.iter()):
            run.getparent().remove(run)
            continue
        for text in [one for one in run if local(one) in {"t", "tab"}]:
            run.remove(text)
    if not things:
        _flatten(item)
    return Carried(ranges, item)


def _is_break(element: Element) -> bool:
    if local(element) == "pageBreakBefore":
        return _attribute(element, "val") not in {"0", "false", "off"}
    return local(element) == "br" and _attribute(element, "type") in _BREAKS


def _attribute(element: Element, name: str) -> str:
    return next((str(v) for k, v in element.attrib.items() if str(k).rpartition("}")[2] == name), "")


def _is_own(run: Element, paragraph: Element) -> bool:
    """Whether a run stands in this paragraph, not in one of a text box."""
    parent = run.getparent()
    while parent is not None and local(parent) != "p":
        parent = parent.getparent()
    return parent is paragraph


def _flatten(paragraph: Element) -> None:
    """Let a paragraph that holds nothing but a break take no room on its page."""
    space = namespace(paragraph)
    properties = child(paragraph, "pPr")
    if properties is None:
        properties = paragraph.makeelement(space + "pPr")
        paragraph.insert(0, properties)
    for old in [one for one in properties if local(one) in {"spacing", "numPr"}]:
        properties.remove(old)
    spacing = properties.makeelement(space + "spacing")
    for name, value in (("before", "0"), ("after", "0"), ("line", "20"), ("lineRule", "exact")):
        spacing.set(space + name, value)
    at = next((i for i, one in enumerate(properties) if local(one) in _AFTER_SPACING), len(properties))
    properties.insert(at, spacing)


_AFTER_SPACING = frozenset(
    {"ind", "contextualSpacing", "mirrorIndents", "suppressOverlap", "jc", "textDirection", "textAlignment",
     "textboxTightWrap", "outlineLvl", "divId", "cnfStyle", "rPr", "sectPr", "pPrChange"}
)  # fmt: skip
