"""From the properties of a generic object to its layout."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from qlik_simulator.apps.app import GenericObject
from qlik_simulator.domain.cells import check_pages, cube_layout, wire_number
from qlik_simulator.domain.compiler import Context
from qlik_simulator.domain.cube import Cube, calculate
from qlik_simulator.domain.cube_definition import CubeError, cube_definition
from qlik_simulator.domain.errors import Code, ExpressionError, QixError
from qlik_simulator.domain.evaluate import expand, scalar
from qlik_simulator.domain.pivot import Pivot, pivot, pivot_page, size, stack_page
from qlik_simulator.engine import lists
from qlik_simulator.engine.document import Document

Json = dict[str, Any]
_HIDDEN: Final = frozenset({"qMetaDef", "qExtendsId", "qStateName"})


class Layouts:
    """Makes the layouts of one snapshot of a document."""

    def __init__(self, document: Document, now: float) -> None:
        self.document = document
        self._contexts = {state: document.context(now, state) for state in document.states}

    def context(self, state: str = "$") -> Context:
        """What expressions are evaluated against in a state."""
        found = self._contexts.get(state or "$")
        if found is None:
            raise CubeError(Code.INVALID_DEF, state, f"there is no state {state}")
        return found

    def layout(self, target: GenericObject) -> Json:
        """The layout of an object; one with ``qExtendsId`` takes what it does not say itself from there."""
        properties = self.properties(target)
        layout: Json = {"qInfo": dict(properties["qInfo"]), "qMeta": _meta(target), "qSelectionInfo": {}}
        if any(object_id == target.id for object_id, _ in self.document.modal):
            layout["qSelectionInfo"] = {"qInSelections": True}
        if target.soft_patched is not None:
            layout["qHasSoftPatches"] = True
        if properties.get("qExtendsId"):
            layout["qExtendsId"] = properties["qExtendsId"]
        state = str(properties.get("qStateName") or "$")
        if state != "$":
            layout["qStateName"] = state
        body = {name: value for name, value in properties.items() if name not in _HIDDEN and name != "qInfo"}
        walker = _Walker(self, target, state)
        layout.update(walker.members(body, ""))
        return layout

    def properties(self, target: GenericObject) -> Json:
        """The effective properties, with those of the object it extends underneath."""
        own = target.effective
        base = self.document.object(str(own.get("qExtendsId") or ""))
        return {**base.effective, **own} if base is not None and base is not target else own

    def cube(self, given: Mapping[str, Any], state: str) -> Cube:
        """Calculate the cube of a definition. Raises `CubeError`."""
        definition = cube_definition(
            {**given, "qStateName": given.get("qStateName") or state}, self.document.library
        )
        return calculate(definition, self.context(definition.state))

    def pivot(self, cube: Cube, place: tuple[str, str]) -> Pivot:
        """The pivot of a calculated cube, opened as the client left it. Raises `CubeError`."""
        expanded = self.document.expanded.get(place, frozenset())
        return pivot(cube, self.context(cube.definition.state), expanded)

    def cube_layout(self, cube: Cube, pages: Sequence[Mapping[str, Any]], place: tuple[str, str]) -> Json:
        """The ``HyperCube`` in the mode of the cube.

        ``place`` is the object and the path of the definition.
        """
        layout = cube_layout(cube, pages)
        mode = cube.definition.mode
        if mode == "S":
            return layout
        if mode not in {"P", "K"}:
            raise CubeError(Code.NOT_IMPLEMENTED, f"mode {mode}", "not supported by this simulator")
        found = self.pivot(cube, place)
        width, height = size(found)
        name, lay_out = ("qPivotDataPages", pivot_page) if mode == "P" else ("qStackedDataPages", stack_page)
        return {
            **layout,
            "qSize": {"qcx": width, "qcy": height},
            "qEffectiveInterColumnSortOrder": [*found.left_columns, *found.top_columns],
            "qNoOfLeftDims": len(found.left_columns) if mode == "P" else cube.definition.left_dimensions,
            name: [lay_out(found, page) for page in pages],
        }

    def find(self, target: GenericObject, path: str, kind: str) -> tuple[Json, str]:
        """The definition at a path such as ``/qHyperCubeDef``, and its state.

        Raises error 4 or 6000 by code.
        """
        found: Any = self.properties(target)
        for part in path.strip("/").split("/"):
            if isinstance(found, list) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            elif isinstance(found, Mapping):
                found = found.get(part)
            else:
                found = None
        if not isinstance(found, dict) or not path.rstrip("/").endswith(kind):
            raise QixError(Code.INVALID_PATH, path)
        state = str(found.get("qStateName") or self.properties(target).get("qStateName") or "$")
        return found, state


class _Walker:
    """Walks through properties and puts what is calculated in place of each definition."""

    def __init__(self, layouts: Layouts, target: GenericObject, state: str) -> None:
        self._layouts = layouts
        self._target = target
        self._state = state
        document = layouts.document
        self._definitions: dict[str, tuple[str, Callable[[Json, str], Json]]] = {
            "qHyperCubeDef": ("qHyperCube", self._hypercube),
            "qListObjectDef": ("qListObject", self._list_object),
            "qSelectionObjectDef": ("qSelectionObject", self._selections),
            "qAppObjectListDef": ("qAppObjectList", lambda given, _: lists.app_object_list(document, given)),
            "qFieldListDef": ("qFieldList", lambda given, _: lists.field_list(document, given)),
            "qVariableListDef": ("qVariableList", lambda given, _: lists.variable_list(document, given)),
            "qMeasureListDef": (
                "qMeasureList",
                lambda given, _: lists.library_list(document.app.measures, given),
            ),
            "qDimensionListDef": (
                "qDimensionList",
                lambda given, _: lists.library_list(document.app.dimensions, given),
            ),
            "qBookmarkListDef": (
                "qBookmarkList",
                lambda given, _: lists.library_list(document.app.bookmarks, given),
            ),
            "qChildListDef": ("qChildList", self._children),
            "qUndoInfoDef": ("qUndoInfo", lambda _, __: {"qUndoCount": 0, "qRedoCount": 0}),
        }

    def members(self, given: Mapping[str, Any], path: str) -> Json:
        layout: Json = {}
        for name, value in given.items():
            known = self._definitions.get(name)
            if known is not None and isinstance(value, dict):
                layout[known[0]] = known[1](value, f"{path}/{name}")
            else:
                layout[name] = self._value(value, f"{path}/{name}")
        return layout

    def _value(self, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            if "qStringExpression" in value:
                return self._evaluated(value["qStringExpression"])
            if "qValueExpression" in value:
                return self._number(value["qValueExpression"])
            return self.members(value, path)
        if isinstance(value, list):
            return [self._value(entry, f"{path}/{index}") for index, entry in enumerate(value)]
        return value

    def _evaluated(self, given: Any) -> str:
        source = str(given.get("qExpr", "") if isinstance(given, Mapping) else given)
        try:
            context = self._layouts.context(self._state)
            if source.lstrip().startswith("="):
                return scalar(source, context).text(0) or ""
            return expand(source, context)
        except (ExpressionError, CubeError) as error:
            return str(error)

    def _number(self, given: Any) -> float | int | str:
        source = str(given.get("qExpr", "") if isinstance(given, Mapping) else given)
        try:
            return wire_number(float(scalar(source, self._layouts.context(self._state)).numbers[0]))
        except (ExpressionError, CubeError):
            return wire_number(float(np.nan))

    def _hypercube(self, given: Json, path: str) -> Json:
        pages = given.get("qInitialDataFetch") or []
        try:
            check_pages(pages)
            return self._layouts.cube_layout(
                self._layouts.cube(given, self._state), pages, (self._target.id, path)
            )
        except CubeError as error:
            return _failed_cube(error, given)
        except QixError as error:
            return _failed_cube(CubeError(error.code, error.parameter), given)

    def _list_object(self, given: Json, path: str) -> Json:
        state = str(given.get("qStateName") or self._state)
        match = self._layouts.document.searches.get((self._target.id, path), "")
        try:
            return lists.list_object_layout(
                given, self._layouts.document, self._layouts.context(state), match
            )
        except CubeError as error:
            return {
                "qSize": {"qcx": 0, "qcy": 0},
                "qError": error.as_layout(),
                "qExpressions": [],
                "qDataPages": [],
            }

    def _selections(self, given: Json, _: str) -> Json:
        state = str(given.get("qStateName") or self._state)
        return lists.selection_object(self._layouts.document, self._layouts.context(state))

    def _children(self, given: Json, _: str) -> Json:
        document = self._layouts.document
        found = [document.object(child) for child in self._target.children]
        return lists.child_list([child for child in found if child is not None], given)


def _meta(target: GenericObject) -> Json:
    if target.is_session:
        return {"privileges": ["read", "update", "delete", "exportdata"]}
    return {**lists.meta(target.properties), "privileges": ["read", "exportdata"]}


def _failed_cube(error: CubeError, given: Json) -> Json:
    layout: Json = {
        "qSize": {"qcx": 0, "qcy": 0},
        "qError": error.as_layout(),
        "qDimensionInfo": [],
        "qMeasureInfo": [],
        "qEffectiveInterColumnSortOrder": [],
        "qGrandTotalRow": [],
        "qDataPages": [],
        "qPivotDataPages": [],
        "qStackedDataPages": [],
        "qMode": {"DATA_MODE_PIVOT": "P", "DATA_MODE_PIVOT_STACK": "K"}.get(
            str(given.get("qMode")), str(given.get("qMode") or "S")[:1]
        ),
        "qNoOfLeftDims": int(given.get("qNoOfLeftDims", -1)),
        "qTreeNodesOnDim": [],
        "qColumnOrder": [],
    }
    if error.condition:
        layout["qCalcCondMsg"] = error.condition
    return layout
