"""Pivot cubes: nested dimension nodes to the left and on top, and the values where they meet.

Shapes follow recorded pivots: leaves of ``qLeft`` are the rows of ``qData``, leaves of ``qTop`` its columns;
with several measures a pseudo dimension (-1) carries their titles; a page that starts inside a group says how
much of the group lies before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from qlik_simulator.domain.cells import area, bounds, wire_number
from qlik_simulator.domain.compiler import Context
from qlik_simulator.domain.cube import Cube, calculate_grouping, element_order
from qlik_simulator.domain.cube_definition import CubeDefinition, CubeError
from qlik_simulator.domain.errors import Code
from qlik_simulator.domain.evaluate import Column

Json = dict[str, Any]
PSEUDO: Final = -1
_TOTAL: Final = -1  # element number of a total
_TOTAL_TITLE: Final = "Totals"
Path = tuple[int, ...]  # element numbers (or measure index for the pseudo dimension) from the outside in


@dataclass
class Node:
    """A node of one side of the pivot."""

    code: int
    text: str
    value: float
    type: str  # N normal, P pseudo, T total, U null, R root
    path: Path
    can_expand: bool = False
    can_collapse: bool = False
    children: list["Node"] = field(default_factory=list)

    def leaves(self) -> list["Node"]:
        """The leaves below, or the node itself."""
        return [leaf for child in self.children for leaf in child.leaves()] if self.children else [self]


@dataclass(frozen=True, eq=False)
class Pivot:
    """A calculated pivot: both sides, and a value for every pair of leaves."""

    cube: Cube
    left: list[Node]
    top: list[Node]
    rows: list[Node]
    columns: list[Node]
    left_columns: tuple[int, ...]
    top_columns: tuple[int, ...]
    values: "Values"


def sides(definition: CubeDefinition) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which columns stand to the left and which on top; -1 is the pseudo dimension of several measures."""
    order = [column for column in definition.sort_order if PSEUDO <= column < len(definition.dimensions)]
    if definition.mode == "K":
        return tuple(column for column in order if column != PSEUDO), ()
    if len(definition.measures) > 1 and PSEUDO not in order:
        order.append(PSEUDO)
    if len(definition.measures) <= 1:
        order = [column for column in order if column != PSEUDO]
    left = definition.left_dimensions
    if left < 0:
        left = len([column for column in order if column != PSEUDO])
        order.sort(key=lambda column: column == PSEUDO)
    return tuple(order[:left]), tuple(order[left:])


class _Builder:
    """Builds the sides of one pivot out of groupings over subsets of its dimensions."""

    def __init__(self, cube: Cube, context: Context, expanded: frozenset[Path]) -> None:
        self.cube = cube
        self.expanded = expanded
        self.orders = [element_order(dimension, context) for dimension in cube.dimensions]
        self.combinations = np.stack(cube.codes, axis=1) if cube.codes else np.zeros((1, 0), dtype=np.int32)

    def side(self, columns: Sequence[int], *, is_left: bool) -> list[Node]:
        return self._level(columns, 0, self.combinations, (), is_left=is_left)

    def _level(
        self, columns: Sequence[int], depth: int, rows: Any, path: Path, *, is_left: bool
    ) -> list[Node]:
        if depth == len(columns):
            return []
        column = columns[depth]
        nodes: list[Node] = []
        if column == PSEUDO:
            for index, measure in enumerate(self.cube.definition.measures):
                node = Node(-1, measure.title, float("nan"), "P", (*path, index))
                node.children = self._level(columns, depth + 1, rows, node.path, is_left=is_left)
                nodes.append(node)
            return nodes
        dimension = self.cube.dimensions[column]
        codes = sorted({int(code) for code in rows[:, column]}, key=lambda code: self._place(column, code))
        nodes += [self._node(columns, depth, rows, path, code, is_left=is_left) for code in codes]
        if dimension.definition.show_total and nodes:
            total = Node(_TOTAL, _TOTAL_TITLE, float("nan"), "T", (*path, _TOTAL))
            if any(later == PSEUDO for later in columns[depth + 1 :]):
                total.children = self._measures_only(total.path)
            nodes.insert(0 if self.cube.definition.totals_above else len(nodes), total)
        return nodes

    def _measures_only(self, path: Path) -> list[Node]:
        return [
            Node(-1, measure.title, float("nan"), "P", (*path, index))
            for index, measure in enumerate(self.cube.definition.measures)
        ]

    def _node(
        self, columns: Sequence[int], depth: int, rows: Any, path: Path, code: int, *, is_left: bool
    ) -> Node:
        column = columns[depth]
        of = self.cube.dimensions[column].field
        is_null = code >= of.size
        node = Node(
            code=-2 if is_null else code,
            text="-" if is_null else of.texts[code],
            value=float("nan") if is_null else float(of.numbers[code]),
            type="U" if is_null else "N",
            path=(*path, code),
        )
        deeper = [later for later in columns[depth + 1 :] if later != PSEUDO]
        if not deeper:
            node.children = self._level(columns, depth + 1, rows, node.path, is_left=is_left)
            return node
        side = 0 if is_left else 1
        always = self.cube.definition.always_expanded or self.cube.definition.mode == "K"
        if always or self.expanded & {(side,), (side, *node.path)}:
            node.can_collapse = not always
            inside = rows[rows[:, column] == code]
            node.children = self._level(columns, depth + 1, inside, node.path, is_left=is_left)
        else:
            node.can_expand = True
            if PSEUDO in columns[depth + 1 :]:
                node.children = self._measures_only(node.path)
        return node

    def _place(self, column: int, code: int) -> float:
        order = self.orders[column]
        return float(order[code]) if code < len(order) else float("inf")


def pivot(cube: Cube, context: Context, expanded: frozenset[Path] = frozenset()) -> Pivot:
    """Lay a calculated cube out as a pivot.

    ``expanded`` holds (side, path...) of the open nodes, side 0 being left; (side,) alone opens the whole
    side.
    """
    definition = cube.definition
    if definition.indent:
        raise CubeError(
            Code.NOT_IMPLEMENTED, "qIndentMode", "indented pivots are not supported by this simulator"
        )
    left_columns, top_columns = sides(definition)
    builder = _Builder(cube, context, expanded)
    left, top = builder.side(left_columns, is_left=True), builder.side(top_columns, is_left=False)
    rows = [leaf for node in left for leaf in node.leaves()]
    columns = [leaf for node in top for leaf in node.leaves()]
    return Pivot(cube, left, top, rows, columns, left_columns, top_columns, Values(cube, context))


class Values:
    """Finds the group of some dimension values; a grouping is calculated when it is first needed."""

    def __init__(self, cube: Cube, context: Context) -> None:
        self._cube = cube
        self._context = context
        self._by_columns: dict[tuple[int, ...], tuple[Cube, dict[Path, int]]] = {}

    def find(self, columns: tuple[int, ...], codes: Path) -> tuple[Cube, int] | None:
        """The grouping over these dimensions and the row of these values in it; None when there is none."""
        found = self._by_columns.get(columns)
        if found is None:
            grouping = calculate_grouping(self._cube, columns, self._context)
            index = {tuple(int(part[row]) for part in grouping.codes): row for row in range(grouping.rows)}
            found = self._by_columns[columns] = (grouping, index)
        row = found[1].get(codes)
        return None if row is None else (found[0], row)


def size(found: Pivot) -> tuple[int, int]:
    """Columns and rows of the data: ``qSize``.

    A stacked cube has one row per value of its first dimension.
    """
    if found.cube.definition.mode == "K":
        return max((len(node.leaves()) for node in found.left), default=0), len(found.left)
    has_measures = bool(found.cube.definition.measures)
    return (len(found.columns) or int(has_measures), len(found.rows) or int(has_measures))


def pivot_page(found: Pivot, page: Mapping[str, Any]) -> Json:
    """One ``NxPivotPage``."""
    width, height = size(found)
    left, top, wide, high = bounds(page, width, height)
    rows = found.rows[top : top + high] if found.rows else [None] * high
    columns = found.columns[left : left + wide] if found.columns else [None] * wide
    return {
        "qLeft": _cut(found.left, top, top + high),
        "qTop": _cut(found.top, left, left + wide),
        "qData": [[_value(found, row, column) for column in columns] for row in rows],
        "qArea": area(left, top, wide, high),
    }


def _cut(nodes: Sequence[Node], start: int, end: int) -> list[Json]:
    """The nodes with a leaf in a range of leaves.

    ``qUp`` and ``qDown`` count a group's leaves outside of it.
    """
    shown, offset = [], 0
    for node in nodes:
        count = len(node.leaves())
        first, last = max(start - offset, 0), min(end - offset, count)
        if first < last:
            shown.append(_shown(node, first, last, count))
        offset += count
    return shown


def _shown(node: Node, first: int, last: int, count: int) -> Json:
    cell: Json = {
        "qText": node.text,
        "qElemNo": node.code,
        "qValue": wire_number(node.value),
        "qType": node.type,
        "qUp": first,
        "qDown": count - last,
        "qSubNodes": _cut(node.children, first, last),
    }
    if node.can_expand:
        cell["qCanExpand"] = True
    if node.can_collapse:
        cell["qCanCollapse"] = True
    return cell


def _value(found: Pivot, row: Node | None, column: Node | None) -> Json:
    chosen: dict[int, int] = {}
    measure = 0
    is_total = False
    for node, columns in ((row, found.left_columns), (column, found.top_columns)):
        for position, code in zip(columns, node.path if node is not None else (), strict=False):
            if code == _TOTAL:
                is_total = True
                break
            if position == PSEUDO:
                measure = code
            else:
                chosen[position] = code
        if node is not None and node.type == "P":
            measure = node.path[-1]
    key = tuple(sorted(chosen))
    group = found.values.find(key, tuple(chosen[position] for position in key))
    if group is None:
        return {"qText": "-", "qNum": "NaN", "qType": "U"}
    grouping, index = group
    return _point(grouping.measures[measure], index, found.cube.definition, measure, is_total=is_total)


def _point(column: Column, row: int, definition: CubeDefinition, measure: int, *, is_total: bool) -> Json:
    text = column.text(row, definition.measures[measure].shown)
    if text is None:
        return {"qText": "-", "qNum": "NaN", "qType": "U"}
    return {"qText": text, "qNum": wire_number(float(column.numbers[row])), "qType": "T" if is_total else "V"}


def stack_page(found: Pivot, page: Mapping[str, Any]) -> Json:
    """One ``NxStackPage``.

    The first dimension's nodes below a root, the second's below each, then the value.
    """
    width, height = size(found)
    left, top, wide, high = bounds(page, width, height)
    shown = [_stacked(found, node, top + index) for index, node in enumerate(found.left[top : top + high])]
    root = {"qElemNo": 0, "qType": "R", "qUp": 0, "qDown": 0, "qRow": 0, "qSubNodes": shown}
    totals = [(node["qMaxPos"], node["qMinNeg"]) for node in shown]
    root["qMaxPos"] = sum(positive for positive, _ in totals)
    root["qMinNeg"] = sum(negative for _, negative in totals)
    return {"qData": [root], "qArea": area(left, top, wide, high)}


def _stacked(found: Pivot, node: Node, row: int) -> Json:
    inner = [_stacked(found, child, index) for index, child in enumerate(node.children)]
    if not inner:
        inner = [_stacked_value(found, node)]
    own = [entry["qValue"] for entry in inner if entry["qType"] == "V" and entry["qValue"] != "NaN"]
    deeper = [entry for entry in inner if entry["qType"] != "V"]
    return {
        "qText": node.text,
        "qElemNo": node.code,
        "qValue": wire_number(node.value),
        "qType": node.type,
        "qMaxPos": sum(value for value in own if value > 0) + sum(entry["qMaxPos"] for entry in deeper),
        "qMinNeg": sum(value for value in own if value < 0) + sum(entry["qMinNeg"] for entry in deeper),
        "qUp": 0,
        "qDown": 0,
        "qRow": row,
        "qSubNodes": inner,
    }


def _stacked_value(found: Pivot, node: Node) -> Json:
    point = _value(found, node, None)
    return {
        "qText": point["qText"],
        "qElemNo": -1,
        "qValue": point["qNum"],
        "qType": "V",
        "qMaxPos": 0,
        "qMinNeg": 0,
        "qUp": 0,
        "qDown": 0,
        "qRow": 0,
        "qSubNodes": [],
    }


def leaf_at(found: Pivot, row: int, column: int, *, is_left: bool) -> Path | None:
    """The (side, path...) of the node at a row and a depth, as ``ExpandLeft`` and its siblings name it."""
    leaves = found.rows if is_left else found.columns
    index, depth = (row, column) if is_left else (column, row)
    if not 0 <= index < len(leaves) or not 0 <= depth < len(leaves[index].path):
        return None
    return (0 if is_left else 1, *leaves[index].path[: depth + 1])
