"""Cutting a cube into requests the engine accepts. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_CELLS = 10_000  # over all pages of one call together, else error 7009


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of a cube, in cells."""

    left: int
    top: int
    width: int
    height: int

    def as_page(self) -> dict[str, Any]:
        """The NxPage of this rectangle."""
        return {"qLeft": self.left, "qTop": self.top, "qWidth": self.width, "qHeight": self.height}


def bands(width: int, height: int, *, max_cells: int = MAX_CELLS) -> Iterator[list[Area]]:
    """Rectangles that cover width x height cells, none above `max_cells`, as bands from top to bottom.

    A band is the rectangles of the same rows from left to right; there is more than one only for cubes wider
    than `max_cells` columns.
    """
    if width <= 0 or height <= 0:
        return
    columns = min(width, max_cells)
    rows = max(1, max_cells // columns)
    for top in range(0, height, rows):
        tall = min(rows, height - top)
        yield [Area(left, top, min(columns, width - left), tall) for left in range(0, width, columns)]
