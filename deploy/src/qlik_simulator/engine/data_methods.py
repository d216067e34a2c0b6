"""Methods of GenericObject on its data: pages of cubes and list objects, and selections made in them."""

from collections.abc import Callable
from typing import Any, Final

from qlik_simulator.domain.cells import check_pages, straight_page
from qlik_simulator.domain.cube import Cube
from qlik_simulator.domain.cube_definition import CubeError
from qlik_simulator.domain.errors import Code, QixError
from qlik_simulator.domain.fields import Field
from qlik_simulator.domain.pivot import Pivot, leaf_at, pivot_page, stack_page
from qlik_simulator.domain.selections import clear
from qlik_simulator.engine.calls import Call, Method, Work, method
from qlik_simulator.engine.field_methods import select_elements, settle
from qlik_simulator.engine.layout import Layouts
from qlik_simulator.engine.lists import ListObject

Json = dict[str, Any]
_CUBE: Final = "qHyperCubeDef"
_LIST: Final = "qListObjectDef"
_NODE: Final = ("qPath", "qRow", "qCol", "qAll")


def _cube(call: Call, layouts: Layouts, path: str) -> Cube:
    given, state = layouts.find(call.object, path, _CUBE)
    try:
        return layouts.cube(given, state)
    except CubeError as error:
        raise _failed(error) from error


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


def get_reduced_data(call: Call) -> Work:
    """Pages of a straight cube with fewer points.

    Mode ``N`` reduces nothing and ``D1`` leaves out rows evenly; the others are refused by their name.
    """
    mode, zoom = call.text("qReductionMode"), int(call.number("qZoomFactor"))
    if mode not in {"N", "D1", "DATA_REDUCTION_NONE", "DATA_REDUCTION_ONEDIM"}:
        raise QixError(Code.NOT_IMPLEMENTED, mode)
    path, pages, layouts = call.text("qPath"), call.pages(), call.layouts()
    check_pages(pages)

    def work() -> Json:
        cube = _cube(call, layouts, path)
        if cube.definition.mode != "S":
            raise QixError(Code.INVALID_PARAMETERS, f"{path} has mode {cube.definition.mode}")
        found = [straight_page(cube, page) for page in pages]
        step = 2 ** max(zoom, 0) if mode not in {"N", "DATA_REDUCTION_NONE"} else 1
        for page in found:
            page["qMatrix"] = page["qMatrix"][::step]
            page["qIsReduced"] = True
        return {"qDataPages": found}

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
        raise _failed(error) from error


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
        raise _failed(error) from error


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


def _failed(error: CubeError) -> QixError:
    """A cube without rows has no pages to give."""
    return QixError(error.code, error.context)


DATA_METHODS: Final[dict[str, Method]] = {
    "GetHyperCubeData": method(get_hypercube_data, "qPath", "qPages"),
    "GetHyperCubeReducedData": method(get_reduced_data, "qPath", "qPages", "qZoomFactor", "qReductionMode"),
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
    "ClearSelections": method(clear_selections, "qPath", "qColIndices?"),
    "GetHyperCubePivotData": method(get_pivot_data, "qPath", "qPages"),
    "GetHyperCubeStackData": method(get_stack_data, "qPath", "qPages", "qMaxNbrCells?"),
    "ExpandLeft": method(_fold(is_left=True, is_open=True), *_NODE),
    "ExpandTop": method(_fold(is_left=False, is_open=True), *_NODE),
    "CollapseLeft": method(_fold(is_left=True, is_open=False), *_NODE),
    "CollapseTop": method(_fold(is_left=False, is_open=False), *_NODE),
    "SelectHyperCubeCells": method(
        select_hypercube_cells,
        "qPath",
        "qRowIndices",
        "qColIndices",
        "qSoftLock?",
        "qDeselectOnlyOneSelected?",
    ),
}
