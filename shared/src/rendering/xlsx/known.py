"""Values that were written, kept for the stored values of charts and the results of plain totals."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from rendering.model import Scalar

MAX_KNOWN = 4_000_000  # cells of a sheet; what is kept of each is a pointer


class Column:
    """The values of a column of a sheet: runs from above to below, and single cells."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._runs: list[Sequence[Scalar]] = []
        self._single: dict[int, Scalar] = {}

    def put(self, row: int, value: Scalar) -> None:
        """Note one cell."""
        self._single[row] = value

    def extend(self, row: int, values: Sequence[Scalar]) -> None:
        """Note a run of cells; runs come in order."""
        self._starts.append(row)
        self._runs.append(values)

    def span(self, first: int, last: int) -> list[Scalar] | None:
        """The values from one row to another, or None if one of them is not known."""
        found: list[Scalar] = []
        row = first
        while row <= last:
            at = bisect_right(self._starts, row) - 1
            run = self._runs[at] if at >= 0 else ()
            skip = row - self._starts[at] if at >= 0 else 0
            if skip < len(run):
                found.extend(run[skip : skip + last + 1 - row])
                row = first + len(found)
            elif row in self._single:
                found.append(self._single[row])
                row += 1
            else:
                return None
        return found


Known = Mapping[str, Mapping[str, Column]]
"""Values that were written: sheet in lower case, column."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a workbook holds after filling, by sheet in lower case.

    ``hidden`` has the first and last of adjoining rows that a reader does not see, ``subtotals`` the column
    and row of every cell whose formula calls SUBTOTAL or AGGREGATE: SUBTOTAL counts neither.
    """

    known: Known
    hidden: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    subtotals: Mapping[str, AbstractSet[tuple[str, int]]] = field(default_factory=dict)


def values(known: Known, sheet: str, column: str, first: int, last: int) -> list[Scalar] | None:
    """The values of a range along a column, or None if one of them is not known."""
    found = known.get(sheet.lower(), {}).get(column)
    return found.span(first, last) if found is not None else None
