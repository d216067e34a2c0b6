"""Pivot and stacked pages: trees of nodes become rows, columns and cells, over the borders of pages. Pure.

A page that starts inside a group repeats the group's node, so every leaf is named by the whole path of nodes
above it, by element and kind and never by text: two values may look the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from qlik import formats
from qlik.errors import Aborted, ProtocolError
from qlik.model import Cell, Column, Row, Table

HeaderKind = Literal["normal", "total", "other", "measure", "empty", "null"]

# the schema names the long form, the engine sends the short one
_KINDS: dict[str, HeaderKind] = {
    "N": "normal", "T": "total", "O": "other", "P": "measure", "E": "empty", "U": "null", "A": "normal",
    "G": "normal", "NX_DIM_CELL_NORMAL": "normal", "NX_DIM_CELL_TOTAL": "total", "NX_DIM_CELL_OTHER": "other",
    "NX_DIM_CELL_PSEUDO": "measure", "NX_DIM_CELL_EMPTY": "empty", "NX_DIM_CELL_NULL": "null",
}  # fmt: skip
_VALUE = {"V", "NX_DIM_CELL_VALUE"}
_MAX_DEPTH = 200  # far above any chart; a hostile tree must not exhaust the stack


@dataclass(frozen=True, slots=True)
class Header:
    """One node above a row or column."""

    text: str
    kind: HeaderKind = "normal"
    element: int = -1
    number: float | int | None = None

    @property
    def key(self) -> tuple[str, int, str]:
        """What makes two nodes the same one; the text only where there is no element number."""
        return self.kind, self.element, self.text if self.element < 0 else ""


Path = tuple[Header, ...]


@dataclass(slots=True)
class Pivot:
    """A pivot as Qlik shows it: paths of headers above rows and columns, and the cells between.

    Neighbouring paths with the same beginning belong under one merged header.
    """

    left_titles: tuple[str, ...]
    top_titles: tuple[str, ...]
    measures: tuple[Column, ...]
    dimensions: tuple[Column, ...] = ()
    rows: list[Path] = field(default_factory=list)
    columns: list[Path] = field(default_factory=list)
    cells: list[list[Cell]] = field(default_factory=list)
    title: str = ""

    def flat(self) -> Table:
        """The same as a plain table: header levels become columns in front, column paths become names."""
        levels = max((len(path) for path in self.rows), default=len(self.left_titles))
        front = [self._front_column(i) for i in range(levels)]
        behind = [self._column(path) for path in self.columns]
        rows: list[Row] = []
        for path, cells in zip(self.rows, self.cells, strict=True):
            head = [_header_cell(path, i, front[i]) for i in range(levels)]
            rows.append((*head, *cells))
        return Table((*front, *behind), rows, (), len(rows), self.title)

    def _front_column(self, level: int) -> Column:
        title = self.left_titles[level] if level < len(self.left_titles) else ""
        known = next((column for column in self.dimensions if column.name == title), None)
        return known or Column(title, "text")

    def _column(self, path: Path) -> Column:
        name = " / ".join(header.text for header in path if header.text)
        measure = measure_of(path, self.measures) if self.measures else None
        if measure is None:
            return Column(name, "number", None, "measure")
        return Column(name or measure.name, measure.kind, measure.number_format, "measure")


def measure_of(path: Path, measures: Sequence[Column]) -> Column | None:
    """The measure a path belongs to: named by its pseudo node, or the only one there is."""
    named = [header.text for header in path if header.kind == "measure"]
    if named:
        return next((measure for measure in measures if measure.name == named[0]), None)
    return measures[0] if len(measures) == 1 else None


def leaves(nodes: Sequence[Any], *, depth: int = 0) -> Iterator[Path]:
    """The paths of all leaves below these nodes, in order.

    Value nodes of a stacked page count as no level.
    """
    if depth > _MAX_DEPTH:
        raise ProtocolError("A pivot has too many levels", code="pivot-depth")
    for node in nodes:
        if not isinstance(node, Mapping):
            raise ProtocolError("A pivot node is no object", code="pivot-node")
        header = _header(node)
        below = [sub for sub in node.get("qSubNodes") or [] if not _is_value(sub)]
        if below:
            for path in leaves(below, depth=depth + 1):
                yield (header, *path)
        else:
            yield (header,)


def add_page(pivot: Pivot, page: Mapping[str, Any], *, left: int, top: int, width: int, height: int) -> None:
    """Put one NxPivotPage into its place. Pages come band by band from the top, each band from left to right.

    Raises:
        Aborted: when the page is not as large as asked, so the pivot has changed since its layout was read.

    """
    data = page.get("qData") or []
    rows = list(leaves(page.get("qLeft") or [])) or [()] * len(data)
    columns = list(leaves(page.get("qTop") or [])) or [()] * width
    if len(data) != height or len(rows) != height or len(columns) != width:
        raise Aborted("A page of the pivot has not the size its layout promised", code="short-page")
    if left == 0:
        pivot.rows.extend(rows)
        pivot.cells.extend([] for _ in range(height))
    if top == 0:
        pivot.columns.extend(columns)
    elif [_key(path) for path in pivot.columns[left : left + width]] != [_key(path) for path in columns]:
        raise Aborted("The columns of the pivot changed between two pages", code="changed")
    for i, line in enumerate(data):
        if not isinstance(line, list) or len(line) != width:
            raise ProtocolError("A row of the pivot has another width than asked", code="page-width")
        target = pivot.cells[top + i]
        for j, raw in enumerate(line):
            target.append(_cell(raw, measure_of((*rows[i], *columns[j]), pivot.measures)))


def _cell(raw: Mapping[str, Any], measure: Column | None) -> Cell:
    text, number = str(raw.get("qText") or ""), formats.number(raw.get("qNum"))
    if _KINDS.get(str(raw.get("qType") or "")) in {"null", "empty"}:
        return Cell(None, text)
    column = measure or Column("", "number", None, "measure")
    return Cell(formats.cell_value(text, number, column), text)


def stacked_rows(
    page: Mapping[str, Any], dimensions: Sequence[Column], measures: Sequence[Column]
) -> list[Row]:
    """The rows of one NxStackPage.

    One per innermost group, with the dimensions' cells and then the measures'.
    """
    rows: dict[tuple[tuple[str, int, str], ...], tuple[Path, dict[str, Cell]]] = {}
    roots = page.get("qData") or []
    for root in roots:
        if isinstance(root, Mapping):
            for path, value in _values(root.get("qSubNodes") or [], (), 0):
                groups = tuple(header for header in path if header.kind != "measure")
                measure = measure_of(path, measures) or (measures[0] if measures else None)
                key = _key(groups)
                _, cells = rows.setdefault(key, (groups, {}))
                cells[measure.name if measure else ""] = _stacked_cell(value, measure)
    return [
        (
            *(_header_cell(path, i, column) for i, column in enumerate(dimensions)),
            *(cells.get(measure.name, Cell(None, "")) for measure in measures),
        )
        for path, cells in rows.values()
    ]


def _values(nodes: Sequence[Any], above: Path, depth: int) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if depth > _MAX_DEPTH:
        raise ProtocolError("A stacked cube has too many levels", code="pivot-depth")
    for node in nodes:
        if not isinstance(node, Mapping):
            raise ProtocolError("A node of a stacked cube is no object", code="pivot-node")
        if _is_value(node):
            yield above, node
        else:
            yield from _values(node.get("qSubNodes") or [], (*above, _header(node)), depth + 1)


def _stacked_cell(raw: Mapping[str, Any], measure: Column | None) -> Cell:
    text, number = str(raw.get("qText") or ""), formats.number(raw.get("qValue"))
    return Cell(formats.cell_value(text, number, measure or Column("", "number", None, "measure")), text)


def _header(node: Mapping[str, Any]) -> Header:
    element = node.get("qElemNo")
    return Header(
        text=str(node.get("qText") or ""),
        kind=_KINDS.get(str(node.get("qType") or "N"), "normal"),
        element=element if isinstance(element, int) else -1,
        number=formats.number(node.get("qValue")),
    )


def _header_cell(path: Path, level: int, column: Column) -> Cell:
    if level >= len(path):
        return Cell(None, "")
    header = path[level]
    if header.kind == "null":
        return Cell(None, header.text)
    if header.kind != "normal":
        return Cell(header.text or None, header.text)
    return Cell(formats.cell_value(header.text, header.number, column), header.text)


def _is_value(node: object) -> bool:
    return isinstance(node, Mapping) and str(node.get("qType") or "") in _VALUE


def _key(path: Path) -> tuple[tuple[str, int, str], ...]:
    return tuple(header.key for header in path)
