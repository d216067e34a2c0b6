"""List objects and the lists of an app: fields, selections, sheets, variables, bookmarks, master items."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from qlik_simulator.apps.app import GenericObject
from qlik_simulator.domain.cells import area, bounds, dimension_info, element_cell
from qlik_simulator.domain.compiler import Context
from qlik_simulator.domain.cube import Dimension, element_order, find_field
from qlik_simulator.domain.cube_definition import CubeError, dimension_definition, refused
from qlik_simulator.domain.errors import Code, ExpressionError
from qlik_simulator.domain.fields import Field
from qlik_simulator.domain.search import search
from qlik_simulator.domain.selections import Selection, Selections, element_states
from qlik_simulator.engine.document import Document

Json = dict[str, Any]
_THRESHOLD: Final = 6  # more selected values than this are shown as a count


class ListObject:
    """A calculated list object: the elements of a field in their order, after a search if there is one."""

    def __init__(
        self, given: Mapping[str, Any], document: Document, context: Context, match: str = ""
    ) -> None:
        definition = dimension_definition(given, document.library)
        try:
            of = find_field(definition.source, context)
            states = element_states(context.model, of, context.states[context.state])
            self.dimension = Dimension(definition, of, states)
            order = np.argsort(element_order(self.dimension, context), kind="stable")
            found = search(of, match) if match else None
        except ExpressionError as error:
            raise refused(error, f"list object {definition.title}") from error
        self.elements = [code for code in order.tolist() if found is None or code in found]
        self.state = context.state

    def page(self, page: Mapping[str, Any]) -> Json:
        """One ``NxDataPage``: a column of cells."""
        left, top, width, height = bounds(page, 1, len(self.elements))
        of, states = self.dimension.field, self.dimension.states
        rows = (
            [[element_cell(of, code, states[code])] for code in self.elements[top : top + height]]
            if width
            else []
        )
        return {"qMatrix": rows, "qTails": [{"qUp": 0, "qDown": 0}], "qArea": area(left, top, width, height)}

    def layout(self, pages: Sequence[Mapping[str, Any]]) -> Json:
        """The ``ListObject``."""
        layout: Json = {
            "qSize": {"qcx": 1, "qcy": len(self.elements)},
            "qDimensionInfo": dimension_info(self.dimension),
            "qExpressions": [],
            "qDataPages": [self.page(page) for page in pages],
        }
        if self.state != "$":
            layout["qStateName"] = self.state
        return layout


def list_object_layout(
    given: Mapping[str, Any], document: Document, context: Context, match: str = ""
) -> Json:
    """The layout of a ``qListObjectDef``; a definition that cannot be calculated carries ``qError``."""
    if given.get("qExpressions"):
        error = CubeError(
            Code.NOT_IMPLEMENTED, "qExpressions", "not supported in list objects by this simulator"
        )
        return _failed(error)
    try:
        return ListObject(given, document, context, match).layout(given.get("qInitialDataFetch") or [])
    except CubeError as error:
        return _failed(error)


def _failed(error: CubeError) -> Json:
    return {"qSize": {"qcx": 0, "qcy": 0}, "qError": error.as_layout(), "qExpressions": [], "qDataPages": []}


def selection_object(document: Document, context: Context) -> Json:
    """The ``SelectionObject`` of a state."""
    selections = context.states[context.state]
    layout: Json = {
        "qBackCount": len(document.back),
        "qForwardCount": len(document.forward),
        "qSelections": [
            _current(document, selections, name, chosen, index)
            for index, (name, chosen) in enumerate(selections.by_field)
        ],
    }
    if context.state != "$":
        layout["qStateName"] = context.state
    return layout


def _current(document: Document, selections: Selections, name: str, chosen: Selection, index: int) -> Json:
    of = document.model.field(name)
    if of is None:
        return {"qField": name, "qTotal": 0, "qSelectedCount": 0, "qSortIndex": index}
    states = element_states(document.model, of, selections)
    values = [of.texts[code] for code in sorted(chosen.elements)]
    few = len(values) <= _THRESHOLD
    entry: Json = {
        "qTotal": of.size,
        "qField": name,
        "qSelectedCount": len(values),
        "qSelected": ", ".join(values) if few else f"{len(values)} of {of.size}",
        "qRangeInfo": [],
        "qSortIndex": index,
        "qStateCounts": states.counts(),
        "qSelectedFieldSelectionInfo": [{"qName": value} for value in values] if few else [],
        "qNotSelectedFieldSelectionInfo": [],
        "qSelectionThreshold": _THRESHOLD,
        "qReadableName": name,
        "qDimensionReferences": [],
    }
    if of.is_numeric:
        entry["qIsNum"] = True
    if chosen.locked:
        entry["qLocked"] = True
    if name in document.app.always_one:
        entry["qOneAndOnlyOne"] = True
    if chosen.search:
        entry["qTextSearch"] = chosen.search
    return entry


def field_list(document: Document, given: Mapping[str, Any]) -> Json:
    """The ``FieldList``; system fields are in it where they are asked for."""
    fields = list(document.model.fields.values())
    if given.get("qShowSystem"):
        fields += document.model.system.values()
    return {"qItems": [field_description(of) for of in fields]}


def field_description(of: Field) -> Json:
    """An ``NxFieldDescription``."""
    found: Json = {"qName": of.name, "qCardinal": of.size, "qTags": list(of.tags), "qSrcTables": []}
    return {**found, "qIsSystem": True, "qIsHidden": True} if of.is_system else found


def app_object_list(document: Document, given: Mapping[str, Any]) -> Json:
    """The ``AppObjectList`` of a type, in the order of ``rank`` where there is one."""
    wanted = str(given.get("qType") or "")
    chosen = [
        found for found in document.app.objects.values() if found.parent is None and found.type == wanted
    ]
    return {"qItems": [_entry(found.effective, given) for found in chosen]}


def child_list(children: Sequence[GenericObject], given: Mapping[str, Any]) -> Json:
    """The ``ChildList`` of an object."""
    return {"qItems": [_entry(child.effective, given) for child in children]}


def library_list(items: Mapping[str, Json], given: Mapping[str, Any]) -> Json:
    """A ``DimensionList``, ``MeasureList`` or ``BookmarkList``."""
    return {"qItems": [_entry(item, given) for item in items.values()]}


def variable_list(document: Document, given: Mapping[str, Any]) -> Json:
    """The ``VariableList``."""
    del given
    return {
        "qItems": [
            {
                "qName": found.name,
                "qDescription": found.comment,
                "qDefinition": found.definition,
                "qMeta": {},
                "qInfo": {"qId": found.id, "qType": "variable"},
                "qData": {},
                "qIsScriptCreated": found.is_script_created,
            }
            for found in document.variables.values()
        ]
    }


def _entry(properties: Mapping[str, Any], given: Mapping[str, Any]) -> Json:
    return {
        "qInfo": properties["qInfo"],
        "qMeta": meta(properties),
        "qData": {name: _at(properties, str(path)) for name, path in (given.get("qData") or {}).items()},
    }


def meta(properties: Mapping[str, Any]) -> Json:
    """The ``qMeta`` of an object of the app: what its author wrote, and that it is published and approved."""
    return {"published": True, "approved": True, **(properties.get("qMetaDef") or {})}


def _at(properties: Mapping[str, Any], path: str) -> Any:
    found: Any = properties
    for part in path.strip("/").split("/"):
        name = "qMetaDef" if part == "qMeta" else part
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
