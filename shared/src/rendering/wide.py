"""Pages of HTML that are wider than their paper: made to fit, or named.

What does not fit is first shrunk with its whole report, down to 60 %. Below that the pages are turned to
landscape and shrunk to no less than 35 %. What is still cut off is named in a warning.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Box = Any  # boxes of the library carry no useful types
READABLE = 0.6
SMALLEST = 0.35
_SLACK = 1.0  # CSS pixels by which a text may reach over the edge of the page
_NEVER_CLIPPED = frozenset({"html", "body", "table"})
_NAMED = 60  # characters of a table's name


@dataclass(frozen=True, slots=True)
class Fit:
    """How a report is drawn: the style sheet that says the size of its pages, and the scale of everything."""

    css: str = ""
    scale: float = 1.0
    turned: bool = False


@dataclass(frozen=True, slots=True)
class _Wide:
    """Something whose text reaches over the right edge of its page; lengths in CSS pixels."""

    name: str
    right: float
    page: float


def fitted(lay_out: Callable[[str], Any]) -> tuple[Any, float, list[str]]:
    """Lay out a report so that its pages hold it: the document, the scale to write it with, and warnings.

    ``lay_out`` makes the document with one more style sheet.
    """
    document = lay_out("")
    found = list(_too_wide(document))
    if not found:
        return document, 1.0, []
    fit = _fit(document, found)
    if fit.css:
        document = lay_out(fit.css)
        left = list(_too_wide(document))
    else:
        left = found
    return document, fit.scale, _warnings(found, left, fit)


def _fit(document: Any, found: list[_Wide]) -> Fit:
    sizes = {(round(page.width, 2), round(page.height, 2)) for page in document.pages}
    if len(sizes) > 1:
        return Fit()  # the report has chosen the size of every page
    width, height = next(iter(sizes))
    need = max(wide.right + _margin(document) for wide in found)
    scale = width / need
    turned = scale < READABLE and width < height
    if scale < READABLE:
        width, height = max(width, height), min(width, height)
        scale = min(1.0, max(width / need, SMALLEST))
    size = f"{width / scale:.4f}px {height / scale:.4f}px"
    return Fit(f"@page {{ size: {size} !important }}", scale, turned)


def _margin(document: Any) -> float:
    return max(float(page._page_box.margin_right) for page in document.pages)  # noqa: SLF001 - no other way


def _warnings(found: list[_Wide], left: list[_Wide], fit: Fit) -> list[str]:
    if left:
        names = dict.fromkeys(wide.name for wide in left)
        remedy = "Choose a larger or landscape page, show fewer columns, or send an Excel report"
        return [
            f"{name} is wider than the page and was cut off at its right edge. {remedy}" for name in names
        ]
    names = dict.fromkeys(wide.name for wide in found)
    how = f"turned to landscape and shrunk to {fit.scale:.0%}" if fit.turned else f"shrunk to {fit.scale:.0%}"
    return [f"{name} is wider than the page: to fit it, the report was {how}" for name in names]


def _too_wide(document: Any) -> Iterator[_Wide]:
    """What reaches over the right edge of a page, by table."""
    for page in document.pages:
        rights: dict[str, float] = {}
        for name, right in _texts(page._page_box, ""):  # noqa: SLF001 - no other way
            if right > page.width + _SLACK:
                rights[name] = max(right, rights.get(name, 0.0))
        yield from (_Wide(name, right, page.width) for name, right in rights.items())


def _texts(box: Box, name: str) -> Iterator[tuple[str, float]]:
    """The right edge of every text and picture below a box, with the table it stands in."""
    style = getattr(box, "style", None)
    if style is not None and style["overflow"] != "visible" and box.element_tag not in _NEVER_CLIPPED:
        return  # cut off because the page asks for it
    if box.element_tag == "table":
        name = _name(box.element) or name
    children = getattr(box, "children", ())
    if not children:
        if type(box).__name__ == "TextBox" or hasattr(box, "replacement"):
            what = f"the text {box.text[:_NAMED]!r}" if hasattr(box, "text") else "a picture"
            yield name or what, box.position_x + box.width
        return
    for one in children:
        yield from _texts(one, name)


def _name(element: Any) -> str:
    """What people call a table: its caption, or its first cells."""
    if element is None:
        return ""
    caption = next(element.iter("caption"), None)
    if caption is not None:
        return f"the table {' '.join(''.join(caption.itertext()).split())[:_NAMED]!r}"
    row = next(element.iter("tr"), None)
    cells = [" ".join("".join(cell.itertext()).split()) for cell in (row if row is not None else ())]
    return f"the table that begins with {', '.join(cells)[:_NAMED]!r}"
