"""Layout of straight cubes and list objects: pages of cells in the form the engine sends them.

Members that are false or empty are left out, as recorded from a real engine.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from qlik_simulator.domain.cube import Cube, Dimension
from qlik_simulator.domain.cube_definition import MeasureDefinition
from qlik_simulator.domain.errors import Code, QixError
from qlik_simulator.domain.evaluate import Column
from qlik_simulator.domain.fields import NULL, Field
from qlik_simulator.domain.formats import GENERAL, NumberFormat, wire_format

_EXACT: Final = 2**53  # from here on a double is no longer every integer
MOST_CELLS: Final = 10_000  # per call, over all of its pages
Json = dict[str, Any]


def wire_number(number: float) -> float | int | str:
    """A number as the engine writes it.

    Integers without a fraction, and texts for what JSON has no number for.
    """
    if math.isfinite(number):
        return int(number) if number.is_integer() and abs(number) < _EXACT else number
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def check_pages(pages: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a call that asks for more than 10,000 cells over all of its pages together (7009)."""
    asked = sum(max(int(page.get("qWidth", 0)), 0) * max(int(page.get("qHeight", 0)), 0) for page in pages)
    if asked > MOST_CELLS:
        raise QixError(Code.PAGES_TOO_LARGE, f"{asked} cells asked for, at most {MOST_CELLS}")


def bounds(page: Mapping[str, Any], width: int, height: int) -> tuple[int, int, int, int]:
    """What of a page lies inside: left, top, width, height."""
    left = min(max(int(page.get("qLeft", 0)), 0), width)
    top = min(max(int(page.get("qTop", 0)), 0), height)
    return (
        left,
        top,
        max(min(int(page.get("qWidth", 0)), width - left), 0),
        max(min(int(page.get("qHeight", 0)), height - top), 0),
    )


def area(left: int, top: int, width: int, height: int) -> Json:
    """A ``Rect``."""
    return {"qLeft": left, "qTop": top, "qWidth": width, "qHeight": height}


def element_cell(of: Field, code: int, state: str) -> Json:
    """The cell of one element of a field."""
    return {
        "qText": of.texts[code],
        "qNum": wire_number(float(of.numbers[code])),
        "qElemNumber": code,
        "qState": state,
    }


def dimension_cell(dimension: Dimension, code: int) -> Json:
    """The cell of a dimension value; a missing one has element number -2 and the text ``-``."""
    if code >= dimension.field.size:
        return {"qText": "-", "qNum": "NaN", "qElemNumber": NULL, "qState": "L", "qIsNull": True}
    return element_cell(dimension.field, code, dimension.states[code])


def measure_cells(column: Column, rows: range, shown: NumberFormat) -> list[Json]:
    """The cells of a measure; their state is always L."""
    numbers = column.numbers[rows.start : rows.stop].tolist()
    return [
        {"qText": "-", "qNum": "NaN", "qElemNumber": 0, "qState": "L", "qIsNull": True}
        if text is None
        else {"qText": text, "qNum": wire_number(number), "qElemNumber": 0, "qState": "L"}
        for text, number in zip(column.texts_of(rows, shown), numbers, strict=True)
    ]


def straight_page(cube: Cube, page: Mapping[str, Any]) -> Json:
    """One ``NxDataPage`` of a straight cube."""
    left, top, width, height = bounds(page, cube.definition.width, cube.rows)
    columns = [_cells(cube, column, top, height) for column in range(left, left + width)]
    return {
        "qMatrix": [list(row) for row in zip(*columns, strict=True)] if columns else [[]] * height,
        "qTails": [{"qUp": 0, "qDown": 0}] * len(cube.dimensions),
        "qArea": area(left, top, width, height),
    }


def _cells(cube: Cube, column: int, top: int, height: int) -> list[Json]:
    """The cells of one column of a page. Equal cells of a dimension are one object: nobody changes them."""
    rows = range(top, top + height)
    if column < len(cube.dimensions):
        codes = cube.codes[column][top : top + height].tolist()
        made = {code: dimension_cell(cube.dimensions[column], code) for code in set(codes)}
        cells = [made[code] for code in codes]
    else:
        index = column - len(cube.dimensions)
        cells = measure_cells(cube.measures[index], rows, cube.definition.measures[index].shown)
    if not cube.attributes[column]:
        return cells
    return [
        {**cell, "qAttrExps": {"qValues": [_simple(value, row) for value in cube.attributes[column]]}}
        for cell, row in zip(cells, rows, strict=True)
    ]


def _simple(column: Column, row: int) -> Json:
    text = column.text(row)
    return {"qText": "-" if text is None else text, "qNum": wire_number(float(column.numbers[row]))}


def total_cell(column: Column, shown: NumberFormat) -> Json:
    """The cell of the grand total row."""
    text = column.text(0, shown)
    return {
        "qText": "-" if text is None else text,
        "qNum": wire_number(float(column.numbers[0])),
        "qElemNumber": -1,
        "qState": "X",
        "qIsTotalCell": True,
    }


def _indicator(direction: int) -> str:
    return {1: "A", -1: "D"}.get(direction, "N")


def _least_and_most(numbers: Any) -> Json:
    present = numbers[~np.isnan(numbers)]
    if len(present) == 0:
        return {"qMin": "NaN", "qMax": "NaN"}
    return {"qMin": wire_number(float(present.min())), "qMax": wire_number(float(present.max()))}


def dimension_info(dimension: Dimension, attributes: Sequence[Column] = ()) -> Json:
    """The ``NxDimensionInfo`` of a dimension."""
    definition, of = dimension.definition, dimension.field
    info: Json = {
        "qFallbackTitle": definition.title,
        "qApprMaxGlyphCount": of.longest,
        "qCardinal": of.size,
        "qSortIndicator": _indicator(definition.sorting.direction * (-1 if definition.reverse else 1)),
        "qGroupFallbackTitles": [definition.title],
        "qGroupPos": 0,
        "qStateCounts": dimension.states.counts(),
        "qTags": list(of.tags),
        "qDimensionType": "N" if of.is_numeric else "D",
        "qGrouping": definition.grouping,
        "qNumFormat": wire_format(of.shown, is_number=not bool(np.isnan(of.numbers).all())),
        "qIsAutoFormat": True,
        "qGroupFieldDefs": list(definition.all_sources) or [definition.source],
        **_least_and_most(of.numbers),
        "qAttrExprInfo": [
            {"qFallbackTitle": attribute.label, **_least_and_most(column.numbers)}
            for attribute, column in zip(definition.attributes, attributes, strict=False)
        ],
        "qAttrDimInfo": [],
        "qCardinalities": {"qCardinal": of.size, "qHypercubeCardinal": of.size, "qAllValuesCardinal": -1},
    }
    if dimension.states.any_of("L", "XL").any():
        info["qLocked"] = True
    if definition.reverse:
        info["qReverseSort"] = True
    if of.is_numeric:
        info["qContinuousAxes"] = True
    if of.name.startswith("="):
        info["qIsCalculated"] = True
    if definition.library_id:
        info["qLibraryId"] = definition.library_id
    return info


def measure_info(definition: MeasureDefinition, column: Column, attributes: Sequence[Column] = ()) -> Json:
    """The ``NxMeasureInfo`` of a measure."""
    shown = column.shown if definition.shown.is_auto and not definition.shown.pattern else definition.shown
    info: Json = {
        "qFallbackTitle": definition.title,
        "qApprMaxGlyphCount": _longest(column, definition.shown),
        "qCardinal": 0,
        "qSortIndicator": _indicator(definition.sorting.direction * (-1 if definition.reverse else 1)),
        "qNumFormat": wire_format(shown),
        **_least_and_most(column.numbers),
        "qAttrExprInfo": [
            {"qFallbackTitle": attribute.label, **_least_and_most(values.numbers)}
            for attribute, values in zip(definition.attributes, attributes, strict=False)
        ],
        "qAttrDimInfo": [],
        "qTrendLines": [],
    }
    if definition.shown.is_auto:
        info["qIsAutoFormat"] = True
    if definition.reverse:
        info["qReverseSort"] = True
    if definition.library_id:
        info["qLibraryId"] = definition.library_id
    return info


def _longest(column: Column, shown: NumberFormat) -> int:
    """Length of the longest text, from the extremes only: exact enough for what is called approximate."""
    present = column.numbers[~np.isnan(column.numbers)]
    chosen = shown if shown != GENERAL else column.shown
    return (
        max((len(chosen.text(float(value))) for value in (present.min(), present.max())), default=0)
        if len(present)
        else 0
    )


def cube_layout(cube: Cube, pages: Sequence[Mapping[str, Any]]) -> Json:
    """The ``HyperCube`` of a straight cube; other modes put their own pages and size in place."""
    definition = cube.definition
    count = len(cube.dimensions)
    layout: Json = {
        "qSize": {"qcx": definition.width, "qcy": cube.rows},
        "qDimensionInfo": [
            dimension_info(dimension, cube.attributes[index])
            for index, dimension in enumerate(cube.dimensions)
        ],
        "qMeasureInfo": [
            measure_info(measure, column, cube.attributes[count + index])
            for index, (measure, column) in enumerate(zip(definition.measures, cube.measures, strict=True))
        ],
        "qEffectiveInterColumnSortOrder": list(definition.sort_order),
        "qGrandTotalRow": [
            total_cell(column, measure.shown)
            for measure, column in zip(definition.measures, cube.totals, strict=True)
        ],
        "qDataPages": [straight_page(cube, page) for page in pages] if definition.mode == "S" else [],
        "qPivotDataPages": [],
        "qStackedDataPages": [],
        "qMode": definition.mode,
        "qNoOfLeftDims": definition.left_dimensions,
        "qTreeNodesOnDim": [],
        "qColumnOrder": [],
    }
    if definition.title:
        layout["qTitle"] = definition.title
    if definition.state != "$":
        layout["qStateName"] = definition.state
    return layout
