"""Methods of GenericObject: layouts, properties, pages of data, selections made in a visualisation."""

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from qlik_simulator.apps.app import GenericObject
from qlik_simulator.domain.cells import check_pages, straight_page
from qlik_simulator.domain.cube import Cube
from qlik_simulator.domain.cube_definition import CubeError
from qlik_simulator.domain.errors import Code, QixError
from qlik_simulator.domain.fields import Field
from qlik_simulator.domain.pivot import Pivot, leaf_at, pivot_page, stack_page
from qlik_simulator.domain.selections import clear
from qlik_simulator.engine.calls import NO_OBJECT, Call, Method, Work, method
from qlik_simulator.engine.doc_methods import failed_cube, object_handle
from qlik_simulator.engine.field_methods import select_elements, settle
from qlik_simulator.engine.layout import Layouts
from qlik_simulator.engine.lists import ListObject

Json = dict[str, Any]
_CUBE: Final = "qHyperCubeDef"
_LIST: Final = "qListObjectDef"
_NODE: Final = ("qPath", "qRow", "qCol", "qAll")


def get_layout(call: Call) -> Work:
    """The layout of the object."""
    found, layouts = call.object, call.layouts()
    return lambda: {"qLayout": layouts.layout(found)}


def get_properties(call: Call) -> Json:
    """The properties as they were set."""
    return {"qProp": copy.deepcopy(call.object.properties)}


def get_effective_properties(call: Call) -> Json:
    """The properties with soft patches and with those of the object it extends."""
    return {"qProp": copy.deepcopy(call.layouts().properties(call.object))}


def get_full_property_tree(call: Call) -> Json:
    """The properties with those of all children."""
    return {"qPropEntry": _tree(call, call.object)}


def _tree(call: Call, found: GenericObject) -> Json:
    children = [call.document.object(child) for child in found.children]
    return {
        "qProperty": copy.deepcopy(found.properties),
        "qChildren": [_tree(call, child) for child in children if child is not None],
    }


def set_properties(call: Call) -> Json:
    """Replace the properties."""
    properties = copy.deepcopy(call.structure("qProp"))
    properties["qInfo"] = dict(call.object.properties["qInfo"])
    call.object.properties = properties
    call.object.soft_patched = None
    call.changed()
    return {}


def apply_patches(call: Call) -> Json:
    """Patch the properties, for good or softly."""
    found = call.object
    soft = call.flag("qSoftPatch")
    patched = copy.deepcopy(found.effective if soft else found.properties)
    for patch in call.items("qPatches"):
        _patch(patched, patch)
    if soft:
        found.soft_patched = patched
    else:
        found.properties = patched
    call.changed()
    return {}


def clear_soft_patches(call: Call) -> Json:
    """Take soft patches away."""
    call.object.soft_patched = None
    call.changed()
    return {}


def _patch(properties: Json, patch: Any) -> None:
    if not isinstance(patch, dict):
        raise QixError(Code.INVALID_PARAMS, "qPatches has to be a list of patches")
    path = str(patch.get("qPath", ""))
    operation = {"add": "add", "remove": "remove", "replace": "replace"}.get(
        str(patch.get("qOp", "add")).lower()
    )
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.strip("/").split("/")]
    if operation is None or not path.startswith("/") or not parts[-1]:
        raise QixError(Code.INVALID_PARAMETERS, f"{patch.get('qOp')} {path}")
    holder: Any = properties
    for part in parts[:-1]:
        holder = _inside(holder, part, path)
    try:
        value = None if operation == "remove" else json.loads(str(patch.get("qValue", "null")))
    except ValueError as error:
        raise QixError(Code.INVALID_PARAMETERS, f"qValue of {path} is not JSON") from error
    _put(holder, parts[-1], operation, value, path)


def _inside(holder: Any, part: str, path: str) -> Any:
    if isinstance(holder, dict) and part in holder:
        return holder[part]
    if isinstance(holder, list) and part.isdigit() and int(part) < len(holder):
        return holder[int(part)]
    raise QixError(Code.INVALID_PATH, path)


def _put(holder: Any, name: str, operation: str, value: Any, path: str) -> None:
    if isinstance(holder, dict):
        if operation == "remove":
            holder.pop(name, None)
        else:
            holder[name] = value
        return
    if not isinstance(holder, list) or not (name.isdigit() or name == "-"):
        raise QixError(Code.INVALID_PATH, path)
    index = len(holder) if name == "-" else int(name)
    if operation == "add" and index <= len(holder):
        holder.insert(index, value)
    elif operation == "replace" and index < len(holder):
        holder[index] = value
    elif operation == "remove" and index < len(holder):
        del holder[index]
    else:
        raise QixError(Code.INVALID_PATH, path)


def _cube(call: Call, layouts: Layouts, path: str) -> Cube:
    given, state = layouts.find(call.object, path, _CUBE)
    try:
        return layouts.cube(given, state)
    except CubeError as error:
        raise failed_cube(error) from error


def get_hypercube_data(call: Call) -> Work:
    """Pages of a straight cube."""
    path, pages, layouts = call.text("qPath"), call.pages(), call.layouts()
    check_pages(pages)

    def work() -> Json:
        cube = _cube(call, layouts, path)
        if cube.definition.mode != "S":
            raise QixError(Code.INVALID_PARAMETERS, f"{path} has mode {cube.definition.mode}")
        return {"qDataPages": [straight_page(cube, page) for page in pages]}

    return work


def get_pivot_data(call: Call) -> Work:
    """Pages of a pivot."""
    path, pages, layouts = call.text("qPath"), call.pages(), call.layouts()
    check_pages(pages)

    def work() -> Json:
        found = _pivot(call, layouts, path, "P")
        return {"qDataPages": [pivot_page(found, page) for page in pages]}

    return work


def get_stack_data(call: Call) -> Work:
    """Pages of a stacked cube."""
    path, pages, layouts = call.text("qPath"), call.pages(), call.layouts()
    check_pages(pages)

    def work() -> Json:
        found = _pivot(call, layouts, path, "K")
        return {"qDataPages": [stack_page(found, page) for page in pages]}

    return work


def _pivot(call: Call, layouts: Layouts, path: str, mode: str) -> Pivot:
    cube = _cube(call, layouts, path)
    if cube.definition.mode != mode:
        raise QixError(Code.INVALID_PARAMETERS, f"{path} has mode {cube.definition.mode}")
    try:
        return layouts.pivot(cube, (call.object.id, path))
    except CubeError as error:
        raise failed_cube(error) from error


def _fold(*, is_left: bool, is_open: bool) -> Callable[[Call], Json]:
    """Open or close a node of a pivot, or a whole side."""

    def run(call: Call) -> Json:
        path, side = call.text("qPath"), 0 if is_left else 1
        place = (call.object.id, path)
        found = _pivot(call, call.layouts(), path, "P")
        before = call.document.expanded.get(place, frozenset())
        row, column = int(call.number("qRow")), int(call.number("qCol"))
        key = (side,) if call.flag("qAll") else leaf_at(found, row, column, is_left=is_left)
        if key is None:
            raise QixError(Code.INVALID_PARAMETERS, f"there is no node at row {row}, column {column}")
        kept = frozenset(known for known in before if known[: len(key)] != key)
        call.document.expanded[place] = kept | {key} if is_open else kept
        call.changed()
        return {}

    return run


def _list_object(call: Call, path: str) -> ListObject:
    layouts = call.layouts()
    given, state = layouts.find(call.object, path, _LIST)
    match = call.document.searches.get((call.object.id, path), "")
    try:
        return ListObject(given, call.document, layouts.context(state), match)
    except CubeError as error:
        raise failed_cube(error) from error


def get_list_object_data(call: Call) -> Json:
    """Pages of a list object."""
    pages = call.pages()
    check_pages(pages)
    found = _list_object(call, call.text("qPath"))
    return {"qDataPages": [found.page(page) for page in pages]}


def select_list_object_values(call: Call) -> Json:
    """Select by element number."""
    found = _list_object(call, call.text("qPath"))
    of, toggle = found.dimension.field, call.flag("qToggleMode")
    return {"qSuccess": select_elements(call, found.state, of, call.integers("qValues"), toggle=toggle)}


def _select_listed(call: Call, *wanted: str) -> Json:
    found = _list_object(call, call.text("qPath"))
    elements = [code for code in found.elements if found.dimension.states[code] in wanted]
    return {"qSuccess": select_elements(call, found.state, found.dimension.field, elements)}


def search_list_object_for(call: Call) -> Json:
    """Show only what a search finds."""
    path = call.text("qPath")
    call.document.searches[call.object.id, path] = call.text("qMatch")
    found = _list_object(call, path)
    call.changed()
    return {"qSuccess": bool(found.elements)}


def abort_list_object_search(call: Call) -> Json:
    """Show everything again."""
    call.document.searches.pop((call.object.id, call.text("qPath")), None)
    call.changed()
    return {}


def accept_list_object_search(call: Call) -> Json:
    """Select what the search found, and show everything again."""
    found = _list_object(call, call.text("qPath"))
    call.document.searches.pop((call.object.id, call.text("qPath")), None)
    select_elements(call, found.state, found.dimension.field, found.elements, toggle=call.flag("qToggleMode"))
    call.changed()
    return {}


def select_hypercube_values(call: Call) -> Json:
    """Select values of one dimension of a cube by element number."""
    cube = _cube(call, call.layouts(), call.text("qPath"))
    of = _dimension_field(cube, int(call.number("qDimNo")))
    toggle = call.flag("qToggleMode")
    elements = call.integers("qValues")
    return {"qSuccess": select_elements(call, cube.definition.state, of, elements, toggle=toggle)}


def _dimension_field(cube: Cube, index: int) -> Field:
    if not 0 <= index < len(cube.dimensions):
        raise QixError(Code.INVALID_PARAMETERS, f"there is no dimension {index}")
    return cube.dimensions[index].field


def select_hypercube_cells(call: Call) -> Json:
    """Select what stands in some rows of some dimension columns."""
    cube = _cube(call, call.layouts(), call.text("qPath"))
    rows = [row for row in call.integers("qRowIndices") if 0 <= row < cube.rows]
    success = bool(rows)
    for column in call.integers("qColIndices"):
        of = _dimension_field(cube, column)
        elements = {int(cube.codes[column][row]) for row in rows}
        success = select_elements(call, cube.definition.state, of, elements) and success
    return {"qSuccess": success}


def clear_selections(call: Call) -> Json:
    """Clear the fields of a cube or list object."""
    path = call.text("qPath")
    if path.rstrip("/").endswith(_LIST):
        found = _list_object(call, path)
        settle(call, found.state, clear(call.document.states[found.state], found.dimension.field.name))
        return {}
    cube = _cube(call, call.layouts(), path)
    columns = call.integers("qColIndices") or list(range(len(cube.dimensions)))
    for column in columns:
        of = _dimension_field(cube, column)
        settle(call, cube.definition.state, clear(call.document.states[cube.definition.state], of.name))
    return {}


def get_child_infos(call: Call) -> Json:
    """Ids and types of the children."""
    children = [call.document.object(child) for child in call.object.children]
    return {"qInfos": [{"qId": child.id, "qType": child.type} for child in children if child is not None]}


def get_child(call: Call) -> Json:
    """A handle for a child; null members when it is none."""
    child_id = call.text("qId")
    found = call.document.object(child_id) if child_id in call.object.children else None
    return {"qReturn": NO_OBJECT if found is None else object_handle(call, found)}


def get_parent(call: Call) -> Json:
    """A handle for the parent; error 2 for an object without one."""
    found = call.document.object(call.object.parent or "")
    if found is None:
        raise QixError(Code.NOT_FOUND, call.object.id)
    return {"qReturn": object_handle(call, found)}


def create_child(call: Call) -> Json:
    """A new object below this one; of the session when this one is."""
    properties = copy.deepcopy(call.structure("qProp"))
    info = properties.setdefault("qInfo", {})
    info.setdefault("qId", call.site.new_id())
    info.setdefault("qType", "")
    made = GenericObject(properties, parent=call.object.id, is_session=call.object.is_session)
    if call.document.object(made.id) is not None:
        raise QixError(Code.ALREADY_EXISTS, made.id)
    home = call.document.session_objects if made.is_session else call.document.app.objects
    home[made.id] = made
    call.object.children.append(made.id)
    call.changed()
    return {"qInfo": dict(info), "qReturn": object_handle(call, made)}


def begin_selections(call: Call) -> Json:
    """Enter selection mode; another object being in it is error 6003."""
    document = call.document
    wanted = frozenset((call.object.id, str(path)) for path in call.items("qPaths"))
    if document.modal and document.modal != wanted:
        raise QixError(Code.MODAL_OBJECT, call.object.id)
    document.modal = wanted
    document.before_modal = dict(document.states)
    call.changed()
    return {}


def end_selections(call: Call) -> Json:
    """Leave selection mode, keeping what was selected or not."""
    document = call.document
    if document.before_modal is not None and not call.flag("qAccept"):
        document.states = {**document.states, **document.before_modal}
    document.modal, document.before_modal = frozenset(), None
    call.changed()
    return {}


METHODS: Final[dict[str, Method]] = {
    "GetLayout": method(get_layout),
    "GetProperties": method(get_properties),
    "GetEffectiveProperties": method(get_effective_properties),
    "GetFullPropertyTree": method(get_full_property_tree),
    "GetInfo": method(lambda call: {"qInfo": dict(call.object.properties["qInfo"])}),
    "SetProperties": method(set_properties, "qProp"),
    "ApplyPatches": method(apply_patches, "qPatches", "qSoftPatch?"),
    "ClearSoftPatches": method(clear_soft_patches),
    "GetHyperCubeData": method(get_hypercube_data, "qPath", "qPages"),
    "GetHyperCubePivotData": method(get_pivot_data, "qPath", "qPages"),
    "GetHyperCubeStackData": method(get_stack_data, "qPath", "qPages", "qMaxNbrCells?"),
    "ExpandLeft": method(_fold(is_left=True, is_open=True), *_NODE),
    "ExpandTop": method(_fold(is_left=False, is_open=True), *_NODE),
    "CollapseLeft": method(_fold(is_left=True, is_open=False), *_NODE),
    "CollapseTop": method(_fold(is_left=False, is_open=False), *_NODE),
    "GetListObjectData": method(get_list_object_data, "qPath", "qPages"),
    "SelectListObjectValues": method(
        select_list_object_values, "qPath", "qValues", "qToggleMode", "qSoftLock?"
    ),
    "SelectListObjectAll": method(
        lambda call: _select_listed(call, "S", "O", "A", "L"), "qPath", "qSoftLock?"
    ),
    "SelectListObjectPossible": method(
        lambda call: _select_listed(call, "S", "O", "L"), "qPath", "qSoftLock?"
    ),
    "SelectListObjectExcluded": method(lambda call: _select_listed(call, "X", "A"), "qPath", "qSoftLock?"),
    "SelectListObjectAlternative": method(lambda call: _select_listed(call, "A"), "qPath", "qSoftLock?"),
    "SearchListObjectFor": method(search_list_object_for, "qPath", "qMatch"),
    "AbortListObjectSearch": method(abort_list_object_search, "qPath"),
    "AcceptListObjectSearch": method(accept_list_object_search, "qPath", "qToggleMode", "qSoftLock?"),
    "SelectHyperCubeValues": method(select_hypercube_values, "qPath", "qDimNo", "qValues", "qToggleMode"),
    "SelectHyperCubeCells": method(
        select_hypercube_cells,
        "qPath",
        "qRowIndices",
        "qColIndices",
        "qSoftLock?",
        "qDeselectOnlyOneSelected?",
    ),
    "ClearSelections": method(clear_selections, "qPath", "qColIndices?"),
    "GetChildInfos": method(get_child_infos),
    "GetChild": method(get_child, "qId"),
    "GetParent": method(get_parent),
    "CreateChild": method(create_child, "qProp", "qPropForThis?"),
    "BeginSelections": method(begin_selections, "qPaths"),
    "EndSelections": method(end_selections, "qAccept"),
    "GetLinkedObjects": method(lambda _: {"qItems": []}),
}


def library_layout(call: Call) -> Json:
    """The layout of a master item."""
    item = _item(call)
    layout: Json = {"qInfo": dict(item["qInfo"]), "qMeta": dict(item.get("qMetaDef") or {})}
    if call.target.kind == "GenericDimension":
        return {"qLayout": {**layout, "qDim": item["qDim"], "qDimInfos": []}}
    return {"qLayout": {**layout, "qMeasure": item["qMeasure"]}}


def _item(call: Call) -> Mapping[str, Any]:
    app = call.document.app
    item = (app.dimensions if call.target.kind == "GenericDimension" else app.measures).get(call.target.id)
    if item is None:
        raise QixError(Code.NOT_FOUND, call.target.id)
    return item


LIBRARY_METHODS: Final[dict[str, Method]] = {
    "GetLayout": method(library_layout),
    "GetProperties": method(lambda call: {"qProp": dict(_item(call))}),
    "GetInfo": method(lambda call: {"qInfo": dict(_item(call)["qInfo"])}),
    "GetDimension": method(lambda call: {"qDim": _item(call)["qDim"]}),
    "GetMeasure": method(lambda call: {"qMeasure": _item(call)["qMeasure"]}),
    "GetLinkedObjects": method(lambda _: {"qItems": []}),
}
