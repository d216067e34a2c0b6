"""Straight cubes and list objects.

How they are asked for, and how their rows are read without mixing two states.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from qlik import formats
from qlik.bulk import without_collector
from qlik.errors import Aborted, CalculationFailed, LimitReached, ProtocolError, engine_code_error
from qlik.model import Cell, Column, Dimension, Measure, Row, RowPage, Sort
from qlik.paging import Area, bands
from qlik.rpc import EngineConnection

_PLAIN_NAME = re.compile(r"[A-Za-z_%][A-Za-z0-9_%]*")


def field_expression(name: str) -> str:
    """A field name as the engine takes it in an expression or definition.

    `=...` and `[...]` stay as they are.
    """
    if name.startswith(("=", "[")) or _PLAIN_NAME.fullmatch(name):
        return name
    return "[" + name.replace("]", "]]") + "]"


def dimension_def(dimension: Dimension) -> dict[str, Any]:
    """The NxDimension of a grouping column."""
    if dimension.library_id:
        definition: dict[str, Any] = {"qLibraryId": dimension.library_id}
    else:
        definition = {
            "qDef": {
                "qFieldDefs": [field_expression(dimension.field)],
                "qFieldLabels": [dimension.label or dimension.field.strip("[]").removeprefix("=")],
                "qSortCriterias": [{"qSortByNumeric": 1, "qSortByAscii": 1, "qSortByLoadOrder": 1}],
            }
        }
    return {**definition, "qNullSuppression": dimension.suppress_null}


def measure_def(measure: Measure) -> dict[str, Any]:
    """The NxMeasure of a calculated column."""
    if measure.library_id:
        return {"qLibraryId": measure.library_id, "qSortBy": {"qSortByNumeric": -1}}
    inner: dict[str, Any] = {"qDef": measure.expression, "qLabel": measure.label or measure.expression}
    if measure.number_format is not None:
        fmt = measure.number_format
        inner["qNumFormat"] = {
            "qType": fmt.type,
            "qFmt": fmt.pattern,
            "qnDec": fmt.decimals,
            "qUseThou": 1 if fmt.thousand_separator else 0,
            "qDec": fmt.decimal_separator,
            "qThou": fmt.thousand_separator,
        }
    return {"qDef": inner, "qSortBy": {"qSortByNumeric": 1}}


def cube_def(
    dimensions: Sequence[Dimension], measures: Sequence[Measure], sort: Sequence[Sort]
) -> dict[str, Any]:
    """The HyperCubeDef of an ad-hoc table.

    Sorting is by column order only: by expression it is slow.
    """
    dims, meas = [dimension_def(d) for d in dimensions], [measure_def(m) for m in measures]
    for wish in sort:
        _direct(wish, dims, meas)
    first = [wish.column for wish in sort]
    order = first + [i for i in range(len(dims) + len(meas)) if i not in first]
    return {
        "qDimensions": dims,
        "qMeasures": meas,
        "qInterColumnSortOrder": order,
        "qMode": "S",
        "qSuppressZero": False,
        "qSuppressMissing": False,
        "qInitialDataFetch": [],
    }


def _direct(wish: Sort, dims: list[dict[str, Any]], meas: list[dict[str, Any]]) -> None:
    """Write the wished direction into the column's own definition."""
    sign = -1 if wish.descending else 1
    if wish.column < len(dims):
        inner = dims[wish.column].setdefault("qDef", {})
        inner["qSortCriterias"] = [{"qSortByNumeric": sign, "qSortByAscii": sign, "qSortByLoadOrder": 1}]
    else:
        meas[wish.column - len(dims)]["qSortBy"] = {"qSortByNumeric": sign, "qSortByAscii": sign}


def list_def(field: str) -> dict[str, Any]:
    """The ListObjectDef of a field: selected values first, then possible ones, each in their own order."""
    criteria = {"qSortByState": 1, "qSortByNumeric": 1, "qSortByAscii": 1, "qSortByLoadOrder": 1}
    return {
        "qDef": {"qFieldDefs": [field_expression(field)], "qSortCriterias": [criteria]},
        "qInitialDataFetch": [],
    }


@dataclass(frozen=True, slots=True)
class Shape:
    """What a cube's layout says about it."""

    mode: str
    width: int
    height: int
    columns: tuple[Column, ...]
    totals: tuple[Cell, ...]
    title: str = ""


def check(cube: Mapping[str, Any], *, what: str) -> None:
    """Raise if the cube has no result: an empty table in a report would be a lie.

    Raises:
        QlikError: by the code of the cube's qError; for 7005 with the message the author of the chart wrote.

    """
    error = cube.get("qError")
    if isinstance(error, Mapping) and error.get("qErrorCode"):
        code = int(error["qErrorCode"])
        said = (
            cube.get("qCalcCondMsg") or error.get("qExtendedMessage") or error.get("qContext") or "no result"
        )
        raise engine_code_error(code, f"{what}: {said}")


def shape(cube: Mapping[str, Any], *, what: str, title: str = "") -> Shape:
    """The columns and size of a cube, in the order the engine delivers the cells.

    Raises:
        QlikError: when the cube or one of its columns has no result.
        ProtocolError: when columns and size do not fit together.

    """
    check(cube, what=what)
    dims, meas = cube.get("qDimensionInfo") or [], cube.get("qMeasureInfo") or []
    entries = [(info, "dimension") for info in dims] + [(info, "measure") for info in meas]
    order = cube.get("qColumnOrder") or []
    if sorted(order) == list(range(len(entries))):
        entries = [entries[i] for i in order]
    size = cube.get("qSize") or {}
    width, height = int(size.get("qcx") or 0), int(size.get("qcy") or 0)
    mode = str(cube.get("qMode") or "S")
    broken = [(info, role) for info, role in entries if isinstance(info.get("qError"), Mapping)]
    if broken and (mode != "S" or len(entries) - len(broken) != width):
        info = broken[0][0]
        code = int(info["qError"].get("qErrorCode") or 0)
        name = info.get("qFallbackTitle") or "a column"
        error = engine_code_error(
            code, f"{what}: {name}: {info['qError'].get('qContext') or 'has no result'}"
        )
        raise error if not isinstance(error, ProtocolError) else CalculationFailed(error.message, code=code)
    entries = [pair for pair in entries if pair not in broken]  # hidden by their own show condition
    if mode == "S" and height and len(entries) != width:
        raise ProtocolError(
            f"{what}: the cube is {width} wide but names {len(entries)} columns", code="cube-width"
        )
    columns = tuple(formats.column(info, role=role, name=_title(info)) for info, role in entries)
    measures = [c for c in columns if c.role == "measure"]
    raw = cube.get("qGrandTotalRow") or []
    totals = tuple(formats.cell(r, c) for r, c in zip(raw, measures, strict=False))
    return Shape(mode, width, height, columns, totals, title)


def _title(info: Mapping[str, Any]) -> str:
    titles, position = info.get("qGroupFallbackTitles") or [], int(info.get("qGroupPos") or 0)
    if info.get("qGrouping") in {"H", "C"} and position < len(titles):
        return str(titles[position])
    return str(info.get("qFallbackTitle") or "")


def allow(rows: int, limit: int, *, what: str) -> None:
    """Raise LimitReached if a table has more rows than allowed, naming both numbers."""
    if rows > limit:
        raise LimitReached(
            f"{what} has {rows} rows, allowed are {limit}",
            code="max-rows",
            remedy="Narrow it with filters, or raise max_rows_per_object.",
        )


def allow_cells(cells: int, limit: int, *, what: str) -> None:
    """Raise LimitReached if a table would take more memory than allowed, naming both numbers."""
    if cells > limit:
        raise LimitReached(
            f"{what} has {cells} cells, allowed in memory are {limit}",
            code="max-cells",
            remedy="Narrow it with filters, take fewer columns, or stream it.",
        )


def unchanged(connection: EngineConnection, handle: int, version: int, *, what: str) -> None:
    """Raise Aborted if the engine said, since `version` was taken, that the object is another one now."""
    if connection.version(handle) != version:
        raise Aborted(f"{what} changed while it was read", code="changed")


def first_page(data: object, *, what: str) -> Mapping[str, Any]:
    """The page of an answer to one asked page; none at all means that the cube has changed."""
    if not isinstance(data, list) or not data or not isinstance(data[0], dict):
        raise Aborted(f"{what}: a page came back empty", code="empty-page")
    return data[0]


@dataclass(frozen=True, slots=True)
class Source:
    """Where cells are read from: an object's handle, its definition's path, and words for error texts."""

    handle: int
    path: str
    what: str
    method: str = "GetHyperCubeData"


async def straight_rows(
    connection: EngineConnection,
    source: Source,
    columns: Sequence[Column],
    height: int,
    *,
    pages_in_flight: int,
) -> AsyncGenerator[RowPage, None]:
    """The rows of a straight cube, page by page, at most `pages_in_flight` pages in memory.

    Raises:
        Aborted: when the cube changed meanwhile. Everything read before is void then.

    """
    reading = pages(connection, source, len(columns), height, pages_in_flight=pages_in_flight)
    readers = [formats.reader(column) for column in columns]
    async with aclosing(reading):
        async for first, matrix in reading:
            yield RowPage(first, read_rows(matrix, readers, what=source.what))


def read_rows(matrix: Matrix, readers: Sequence[formats.Reader], *, what: str) -> list[Row]:
    """The rows of a matrix. Raises ProtocolError when a cell is none."""
    try:
        with without_collector():
            return [tuple([read(cell) for read, cell in zip(readers, row, strict=True)]) for row in matrix]
    except (AttributeError, TypeError, ValueError):
        raise ProtocolError(f"{what}: a page holds what is no cell", code="cell") from None


Matrix = list[list[dict[str, Any]]]


async def pages(
    connection: EngineConnection, source: Source, width: int, height: int, *, pages_in_flight: int
) -> AsyncGenerator[tuple[int, Matrix], None]:
    """Raw matrices of a cube or list object with their first row, each complete and from one state.

    Raises:
        Aborted: when the engine says the object changed, or a page is not as large as the layout promised.

    """
    version = connection.version(source.handle)
    wanted = iter(bands(width, height))
    running: deque[tuple[list[Area], asyncio.Task[Matrix]]] = deque()

    def start_next() -> None:
        band = next(wanted, None)
        if band is not None:
            running.append((band, asyncio.create_task(_band(connection, source, band))))

    try:
        for _ in range(pages_in_flight):
            start_next()
        while running:
            band, task = running.popleft()
            matrix = await task
            unchanged(connection, source.handle, version, what=source.what)
            start_next()
            yield band[0].top, matrix
    finally:
        for _, task in running:
            task.cancel()
        await asyncio.gather(*(task for _, task in running), return_exceptions=True)


async def _band(connection: EngineConnection, source: Source, band: list[Area]) -> Matrix:
    parts = [await _page(connection, source, area) for area in band]
    if len(parts) == 1:
        return parts[0]
    return [[cell for part in parts for cell in part[i]] for i in range(band[0].height)]


async def _page(connection: EngineConnection, source: Source, area: Area) -> Matrix:
    result = await connection.call(source.handle, source.method, source.path, [area.as_page()])
    matrix = first_page(result.get("qDataPages"), what=source.what).get("qMatrix")
    if not isinstance(matrix, list) or len(matrix) != area.height:
        raise Aborted(f"{source.what}: a page has not the size its layout promised", code="short-page")
    if any(not isinstance(row, list) or len(row) != area.width for row in matrix):
        raise ProtocolError(f"{source.what}: a page has rows of another width than asked", code="page-width")
    return matrix
