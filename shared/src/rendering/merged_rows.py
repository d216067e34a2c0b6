"""Cells of Word that are merged with the row of ``{% endfor %}`` below: one over all rows of the loop."""

from typing import Any

from rendering.opc import child, local

Element = Any


def grown_cells(row: Element, following: Element | None) -> list[Element]:
    """The cells of a row whose merge goes on in the next row."""
    if following is None or local(following) != "tr":
        return []
    below = _merges(following)
    return [cell for at, (kind, cell) in _merges(row).items() if kind == "restart" and at in below]


def merge_of(cell: Element) -> Element | None:
    """What says that a cell is merged with those below it or above it."""
    properties = child(cell, "tcPr")
    return child(properties, "vMerge") if properties is not None else None


def _merges(row: Element) -> dict[int, tuple[str, Element]]:
    """Merged cells by their first column, with ``restart`` or ``continue``."""
    found: dict[int, tuple[str, Element]] = {}
    properties = child(row, "trPr")
    column = _number(child(properties, "gridBefore"), 0) if properties is not None else 0
    for cell in [one for one in row if local(one) == "tc"]:
        merge = merge_of(cell)
        if merge is not None:
            found[column] = _value(merge) or "continue", cell
        own = child(cell, "tcPr")
        column += _number(child(own, "gridSpan"), 1) if own is not None else 1
    return found


def _value(element: Element) -> str:
    return next((str(v) for k, v in element.attrib.items() if str(k).rpartition("}")[2] == "val"), "")


def _number(element: Element | None, usual: int) -> int:
    text = _value(element) if element is not None else ""
    return int(text) if text.isdigit() else usual
