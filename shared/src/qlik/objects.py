"""Finding the data of an object.

Which cube a visualisation has, where it lies, and how it is read.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal

from qlik import cube, formats
from qlik.cube import Shape
from qlik.errors import ConfigurationError
from qlik.model import Cell, Column, Row, Table
from qlik.paging import bands
from qlik.pivot import Pivot, add_page, stacked_rows
from qlik.rpc import EngineConnection, ObjectRef
from qlik.selecting import discard

_CONTAINERS = {
    "container", "sn-layout-container", "sn-tabbed-container", "filterpane", "sheet", "qlik-tabbed-container",
    "qlik-show-hide-container", "qlik-trellis-container", "sn-filter-pane",
}  # fmt: skip

# where the cube is not at /qHyperCube
_PATHS: dict[str, tuple[str, ...]] = {
    "boxplot": ("/qUndoExclude/box/qHyperCube", "/qUndoExclude/outliers/qHyperCube"),
    "distributionplot": ("/qUndoExclude/qHyperCube",),
    "histogram": ("/qUndoExclude/box/qHyperCube",),
}
_MAX_DEPTH = 6


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object on a sheet or in a container."""

    id: str
    type: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One cube or list of an object. `path` is where its definition lies, as calls want it."""

    path: str
    kind: Literal["cube", "list"]
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """An object in the engine with its layout and the parts that hold data."""

    ref: ObjectRef
    id: str
    type: str
    title: str
    layout: Mapping[str, Any]
    parts: tuple[Part, ...]
    made_by_us: bool = False


async def find(connection: EngineConnection, doc: ObjectRef, object_id: str) -> Found:
    """The object with this id and its data parts. Master items and sheet cells resolve by their id or name.

    Raises:
        ConfigurationError: there is no such object, or it is no visualisation.

    """
    ref = await connection.call_object(
        doc.handle, "GetObject", object_id, missing=f"The app has no object {object_id!r}"
    )
    found = await _read(connection, ref, object_id)
    if not found.parts and found.type == "auto-chart":
        return await _generated(connection, doc, found)
    return found


async def children(connection: EngineConnection, found: Found) -> list[ObjectInfo]:
    """What lies in a sheet, container or filter pane, in the order the engine gives."""
    infos = (await connection.call(found.ref.handle, "GetChildInfos")).get("qInfos") or []
    return [ObjectInfo(str(raw.get("qId") or ""), str(raw.get("qType") or "")) for raw in infos]


async def with_data(
    connection: EngineConnection, doc: ObjectRef, object_id: str, *, part: int
) -> tuple[Found, Part]:
    """The object and its part number `part`; a container with exactly one child stands for that child.

    Raises:
        ConfigurationError: it holds no data; for containers the text names the children to choose from.

    """
    found = await find(connection, doc, object_id)
    if found.parts:
        if part >= len(found.parts):
            raise ConfigurationError(
                f"The object {object_id!r} has {len(found.parts)} tables; number {part} is not there",
                code="part",
            )
        return found, found.parts[part]
    inside = await children(connection, found)
    if len(inside) == 1:
        return await with_data(connection, doc, inside[0].id, part=part)
    if inside:
        names = ", ".join(f"{item.id} ({item.type})" for item in inside[:20])
        raise ConfigurationError(
            f"The object {object_id!r} is a {found.type} with several objects in it",
            code="container",
            remedy=f"Name one of them: {names}",
        )
    raise ConfigurationError(
        f"The object {object_id!r} ({found.type or 'unknown type'}) holds no table",
        code="no-data",
        remedy="Choose a chart, table or list; text boxes, buttons and images have no data.",
    )


async def _read(connection: EngineConnection, ref: ObjectRef, object_id: str) -> Found:
    layout = (await connection.call(ref.handle, "GetLayout")).get("qLayout") or {}
    kind = str(layout.get("visualization") or (layout.get("qInfo") or {}).get("qType") or ref.type)
    title = str(layout.get("title") or (layout.get("qMeta") or {}).get("title") or "")
    return Found(ref, object_id, kind, title, layout, tuple(parts_of(kind, layout)))


def parts_of(kind: str, layout: Mapping[str, Any]) -> list[Part]:
    """The cubes and lists in a layout: first where this type keeps them, else wherever they lie."""
    if kind in _CONTAINERS:
        return []
    found = list(_search(layout, "", 0))
    wanted = _PATHS.get(kind)
    if wanted is not None:
        chosen = [part for path in wanted for part in found if part.path == path + "Def"]
        return chosen or found
    own = [part for part in found if part.path in {"/qHyperCubeDef", "/qListObjectDef"}]
    return own or found


def _search(node: object, path: str, depth: int) -> Iterator[Part]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "qHyperCube" and isinstance(value, Mapping):
                yield Part(f"{path}/qHyperCubeDef", "cube", value)
            elif key == "qListObject" and isinstance(value, Mapping):
                yield Part(f"{path}/qListObjectDef", "list", value)
            elif isinstance(value, Mapping | list):
                yield from _search(value, f"{path}/{key}", depth + 1)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _search(value, f"{path}/{i}", depth + 1)


async def _generated(connection: EngineConnection, doc: ObjectRef, found: Found) -> Found:
    """An auto-chart keeps the properties of the chart it chose.

    A session object made from them has the data.
    """
    properties = (found.layout.get("qUndoExclude") or {}).get("generated")
    if not isinstance(properties, Mapping):
        return found
    copied: dict[str, Any] = json.loads(json.dumps(properties))
    copied["qInfo"] = {"qType": str((copied.get("qInfo") or {}).get("qType") or "broadsheet-table")}
    made = await connection.call_object(
        doc.handle, "CreateSessionObject", copied, missing=f"The auto-chart {found.id!r} could not be read"
    )
    return replace(await _read(connection, made, found.id), title=found.title, made_by_us=True)


# --- reading
# ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be read into memory.

    Rows of one object, cells of one object, pages asked for at a time.
    """

    rows: int
    cells: int
    pages_in_flight: int
    truncate: bool = False


async def table(connection: EngineConnection, found: Found, part: Part, bounds: Bounds) -> Table:
    """The part as a table, whatever form its cube has.

    Raises:
        Aborted: it changed while it was read.
        LimitReached: it is larger than the bounds allow.
        CalculationFailed: it has no result; the text is what the author of the chart wrote.

    """
    if part.kind == "list":
        return await _list(connection, found, part, bounds)
    form = cube.shape(part.data, what=_what(found), title=found.title)
    if form.mode in {"P", "DATA_MODE_PIVOT"}:
        whole = await pivot(connection, found, part, bounds)
        return await asyncio.to_thread(whole.flat)  # a large one takes seconds
    if form.mode in {"K", "DATA_MODE_PIVOT_STACK"}:
        return await _stacked(connection, found, part, form, bounds)
    if form.mode not in {"S", "DATA_MODE_STRAIGHT"}:
        raise ConfigurationError(
            f"{_what(found)} keeps its data as a tree, which has no rows",
            code="mode",
            remedy="Use a table with the same dimensions and measures.",
        )
    return await _straight(connection, found, part, form, bounds)


async def _straight(
    connection: EngineConnection, found: Found, part: Part, form: Shape, bounds: Bounds
) -> Table:
    height = rows_allowed(form.height, len(form.columns), bounds, what=_what(found))
    rows: list[Row] = []
    reading = cube.straight_rows(
        connection,
        cube.Source(found.ref.handle, part.path, _what(found)),
        form.columns,
        height,
        pages_in_flight=bounds.pages_in_flight,
    )
    async with aclosing(reading):
        async for page in reading:
            rows.extend(page.rows)
    return Table(form.columns, rows, form.totals, form.height, found.title)


async def _list(connection: EngineConnection, found: Found, part: Part, bounds: Bounds) -> Table:
    cube.check(part.data, what=_what(found))
    column = formats.column(part.data.get("qDimensionInfo") or {}, role="dimension")
    total = int((part.data.get("qSize") or {}).get("qcy") or 0)
    height = rows_allowed(total, 1, bounds, what=_what(found))
    rows: list[Row] = []
    source = cube.Source(found.ref.handle, part.path, _what(found), "GetListObjectData")
    reading = cube.pages(connection, source, 1, height, pages_in_flight=bounds.pages_in_flight)
    excluded, readers = 0, [formats.reader(column)]
    async with aclosing(reading):
        async for _, matrix in reading:
            possible = [line for line in matrix if line[0].get("qState") not in _NOT_POSSIBLE]
            excluded += len(matrix) - len(possible)
            rows.extend(cube.read_rows(possible, readers, what=source.what))
    return Table((column,), rows, (), total - excluded, found.title)


_NOT_POSSIBLE = {"X", "XS", "XL", "A", "D"}


async def pivot(connection: EngineConnection, found: Found, part: Part, bounds: Bounds) -> Pivot:
    """The pivot as Qlik shows it, with the groups expanded as its author left them."""
    form = cube.shape(part.data, what=_what(found), title=found.title)
    rows_allowed(form.height, form.width, replace(bounds, truncate=False), what=_what(found))
    dimensions = tuple(column for column in form.columns if column.role == "dimension")
    measures = tuple(column for column in form.columns if column.role == "measure")
    left, top = _titles(part.data, dimensions)
    result = Pivot(left, top, measures, dimensions, title=found.title)
    version = connection.version(found.ref.handle)
    for band in bands(form.width, form.height):
        for area in band:
            page = await _page(connection, found, "GetHyperCubePivotData", part.path, area.as_page())
            cube.unchanged(connection, found.ref.handle, version, what=_what(found))
            add_page(result, page, left=area.left, top=area.top, width=area.width, height=area.height)
    return result


def _titles(
    data: Mapping[str, Any], dimensions: tuple[Column, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the header levels left and on top; -1 in the order stands for the measures."""
    order = [i for i in data.get("qEffectiveInterColumnSortOrder") or [] if isinstance(i, int)]
    order = [i for i in order if i < len(dimensions)] or list(range(len(dimensions)))
    names = ["" if i < 0 else dimensions[i].name for i in order]
    raw = data.get("qNoOfLeftDims")
    left = raw if isinstance(raw, int) and raw >= 0 else len(names)
    return tuple(names[:left]), tuple(names[left:])


async def _stacked(
    connection: EngineConnection, found: Found, part: Part, form: Shape, bounds: Bounds
) -> Table:
    dimensions = tuple(column for column in form.columns if column.role == "dimension")
    measures = tuple(column for column in form.columns if column.role == "measure")
    rows_allowed(form.height, max(form.width, 1), bounds, what=_what(found))
    if len({column.name for column in measures}) < len(measures):
        # Nodes name their measure by its title, and by nothing else.
        raise ConfigurationError(
            f"{_what(found)} has two measures of the same title",
            code="titles",
            remedy="Give its measures different titles.",
        )
    rows: list[Row] = []
    version = connection.version(found.ref.handle)
    for band in bands(max(form.width, 1), form.height):
        for area in band:
            page = await _page(connection, found, "GetHyperCubeStackData", part.path, area.as_page())
            cube.unchanged(connection, found.ref.handle, version, what=_what(found))
            rows.extend(stacked_rows(page, dimensions, measures))
    return Table((*dimensions, *measures), rows, form.totals, len(rows), found.title)


async def _page(
    connection: EngineConnection, found: Found, method: str, path: str, area: Mapping[str, Any]
) -> Mapping[str, Any]:
    data = (await connection.call(found.ref.handle, method, path, [area])).get("qDataPages") or []
    return cube.first_page(data, what=_what(found))


def rows_allowed(rows: int, columns: int, bounds: Bounds, *, what: str) -> int:
    """How many rows to read: all, or as many as the bounds allow if cutting off is allowed."""
    most = min(bounds.rows, bounds.cells // max(columns, 1))
    if rows > most and not bounds.truncate:
        cube.allow(rows, bounds.rows, what=what)
        cube.allow_cells(rows * columns, bounds.cells, what=what)
    return min(rows, most)


def _what(found: Found) -> str:
    return f"The object {found.title!r} ({found.id})" if found.title else f"The object {found.id}"


async def free(connection: EngineConnection, doc: ObjectRef, found: Found) -> None:
    """Free what was made for reading only."""
    if found.made_by_us:
        await discard(connection, doc, found.ref)


__all__ = ["Bounds", "Cell", "Found", "ObjectInfo", "Part", "find", "free", "pivot", "table", "with_data"]
