"""Calculating a cube.

Groups of dimension values with their measures, sorted, before it is laid out in pages.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from qlik_simulator.domain.compiler import Context
from qlik_simulator.domain.cube_definition import (
    CubeDefinition,
    CubeError,
    DimensionDefinition,
    MeasureDefinition,
    Sorting,
    refused,
)
from qlik_simulator.domain.errors import Code, ExpressionError
from qlik_simulator.domain.evaluate import Column, Grouped, calculated_field, expand, grouped, scalar
from qlik_simulator.domain.fields import Codes, Field
from qlik_simulator.domain.parser import parse
from qlik_simulator.domain.selections import StateName, States, element_states, selections_key
from qlik_simulator.domain.syntax import FieldRef

Order = npt.NDArray[np.int64]
_CLOCK: Final = re.compile(r"\b(now|today)\s*\(", re.IGNORECASE)
_SECONDS: Final = 86_400  # of a day


@dataclass(frozen=True, eq=False)
class Dimension:
    """A dimension of a calculated cube: its field and the state of each of its elements."""

    definition: DimensionDefinition
    field: Field
    states: States


@dataclass(frozen=True, eq=False)
class Cube:
    """A calculated cube.

    ``codes[d][row]`` is an element number, ``size`` of the field for a missing value.
    """

    definition: CubeDefinition
    dimensions: tuple[Dimension, ...]
    codes: tuple[Codes, ...]
    measures: tuple[Column, ...]
    totals: tuple[Column, ...]
    attributes: tuple[tuple[Column, ...], ...]  # per dimension, then per measure

    @property
    def rows(self) -> int:
        """How many rows the straight table has."""
        if self.codes:
            return len(self.codes[0])
        return 1 if self.measures else 0


def find_field(source: str, context: Context) -> Field:
    """The field a dimension means: a field of the model by name, else an expression per row.

    Raises `ExpressionError` when it is neither.
    """
    model = context.model
    named = model.field(source) or model.field(source.removeprefix("=").strip())
    if named is not None:
        return named
    expanded = expand(source, context)
    node = parse(expanded)
    if isinstance(node, FieldRef):
        inner = model.field(node.name)
        if inner is None:
            raise ExpressionError(f"there is no field {node.name}")
        return inner
    name = "=" + expanded.removeprefix("=").strip()
    return model.derive(name, lambda: calculated_field(name, node, context))


def calculate(definition: CubeDefinition, context: Context) -> Cube:
    """Calculate a cube, or find it among what the model remembers. Raises `CubeError`."""
    if definition.condition and not _holds(definition.condition, context):
        message = _message(definition.condition_message, context)
        raise CubeError(Code.CONDITION_UNFULFILLED, condition=message)
    if definition.state not in context.states:
        raise CubeError(Code.INVALID_DEF, definition.state, f"there is no state {definition.state}")
    key = (
        "cube",
        definition,
        context.state,
        tuple(sorted((name, selections_key(state)) for name, state in context.states.items())),
        tuple(sorted((name, kept.locked) for name, kept in context.states[context.state].by_field)),
        tuple(sorted(context.variables.items())),
        int(context.now * _SECONDS) if _looks_at_the_clock(definition, context) else 0,
    )
    return context.model.remember(key, lambda: _calculate(definition, context), lambda cube: cube.rows)


def _looks_at_the_clock(definition: CubeDefinition, context: Context) -> bool:
    """Whether a later second may give another result; rather too often than not."""
    return any(_CLOCK.search(text) for text in (repr(definition), *context.variables.values()))


def _holds(condition: str, context: Context) -> bool:
    try:
        value = scalar(condition, context)
    except ExpressionError as error:
        raise refused(error, "the calculation condition") from error
    return not np.isnan(value.numbers[0]) and value.numbers[0] != 0


def _message(source: str, context: Context) -> str:
    if not source.startswith("="):
        return source
    try:
        return scalar(source, context).text(0) or ""
    except ExpressionError as error:
        return str(error)


def _calculate(definition: CubeDefinition, context: Context) -> Cube:
    dimensions = tuple(_dimension(entry, context) for entry in definition.dimensions)
    attributes = [entry.attributes for entry in definition.dimensions]
    attributes += [entry.attributes for entry in definition.measures]
    sources = [measure.source for measure in definition.measures]
    sources += [attribute.expression for group in attributes for attribute in group]
    result = _evaluate(sources, [dimension.field for dimension in dimensions], context)
    count = len(definition.measures)
    kept = _kept_rows(definition, dimensions, result)
    cube = Cube(
        definition=definition,
        dimensions=dimensions,
        codes=tuple(codes[kept] for codes in result.codes),
        measures=tuple(_taken(column, kept) for column in result.columns[:count]) or result.totals[:count],
        totals=result.totals[:count],
        attributes=_split(result, kept, [len(group) for group in attributes], count),
    )
    if not dimensions:
        return cube
    return _sorted(_limited(cube), context)


def calculate_grouping(cube: Cube, columns: Sequence[int], context: Context) -> Cube:
    """The measures of a cube over some of its dimensions only: subtotals. Raises `CubeError`."""
    dimensions = tuple(cube.dimensions[column] for column in columns)
    sources = [measure.source for measure in cube.definition.measures]
    result = _evaluate(sources, [dimension.field for dimension in dimensions], context)
    measures = result.columns if columns else result.totals
    return replace(cube, dimensions=dimensions, codes=result.codes, measures=measures, attributes=())


def _dimension(definition: DimensionDefinition, context: Context) -> Dimension:
    try:
        of = find_field(definition.source, context)
    except ExpressionError as error:
        raise refused(error, f"dimension {definition.title}") from error
    return Dimension(definition, of, element_states(context.model, of, context.states[context.state]))


def _evaluate(sources: Sequence[str], fields: Sequence[Field], context: Context) -> Grouped:
    nodes = []
    for source in sources:
        try:
            nodes.append(parse(expand(source, context)))
        except ExpressionError as error:
            raise refused(error, f"measure {source}") from error
    try:
        return grouped(fields, nodes, context)
    except ExpressionError as error:
        raise refused(error, "a measure") from error


def _kept_rows(definition: CubeDefinition, dimensions: Sequence[Dimension], result: Grouped) -> Order:
    keep = np.ones(result.size, dtype=np.bool_)
    for dimension, codes in zip(dimensions, result.codes, strict=True):
        if dimension.definition.suppress_null:
            keep &= codes < dimension.field.size
    measures = result.columns[: len(definition.measures)]
    if measures and definition.suppress_zero:
        keep &= ~np.all([_empty(column) | (column.numbers == 0) for column in measures], axis=0)
    if measures and definition.suppress_missing:
        keep &= ~np.all([_empty(column) for column in measures], axis=0)
    return np.flatnonzero(keep)


def _empty(column: Column) -> npt.NDArray[np.bool_]:
    empty = np.isnan(column.numbers)
    if column.texts is not None:
        empty &= np.array([text is None for text in column.texts], dtype=np.bool_)
    return empty


def _taken(column: Column, rows: Order) -> Column:
    texts = None if column.texts is None else tuple(column.texts[row] for row in rows)
    return replace(column, numbers=column.numbers[rows], texts=texts)


def _split(result: Grouped, kept: Order, sizes: Sequence[int], start: int) -> tuple[tuple[Column, ...], ...]:
    groups = []
    for size in sizes:
        columns = result.columns[start : start + size] or result.totals[start : start + size]
        groups.append(tuple(_taken(column, kept) if result.columns else column for column in columns))
        start += size
    return tuple(groups)


def _limited(cube: Cube) -> Cube:
    """Apply a counted dimension limit; the rows left over become one row of others (element -3)."""
    limits = [definition.limit for definition in cube.definition.dimensions]
    if all(limit is None for limit in limits):
        return cube
    if len(cube.dimensions) != 1 or not cube.measures:
        raise CubeError(
            Code.NOT_IMPLEMENTED, "OTHER_COUNTED", "a limit needs one dimension and a measure here"
        )
    definition = cube.definition.dimensions[0]
    limit = definition.limit or 0
    numbers = cube.measures[0].numbers
    ranking = np.argsort(numbers if definition.limit_ascending else -numbers, kind="stable")
    if not definition.suppress_other and len(ranking) > limit:
        raise CubeError(
            Code.NOT_IMPLEMENTED, "qOtherTotalSpec", "a row of others is not supported by this simulator"
        )
    kept = np.sort(ranking[:limit])
    return replace(
        cube,
        codes=tuple(codes[kept] for codes in cube.codes),
        measures=tuple(_taken(column, kept) for column in cube.measures),
        attributes=tuple(tuple(_taken(column, kept) for column in group) for group in cube.attributes),
    )


def _sorted(cube: Cube, context: Context) -> Cube:
    keys: list[npt.NDArray[np.float64]] = []
    for column in cube.definition.sort_order:
        if column < 0:
            continue
        if column < len(cube.dimensions):
            dimension = cube.dimensions[column]
            rank = element_order(dimension, context)
            keys.append(np.append(rank, np.inf)[cube.codes[column]])
        else:
            index = column - len(cube.dimensions)
            keys += measure_keys(cube.definition.measures[index], cube.measures[index])
    order = np.lexsort(keys[::-1]) if keys else np.arange(cube.rows)
    return replace(
        cube,
        codes=tuple(codes[order] for codes in cube.codes),
        measures=tuple(_taken(column, order) for column in cube.measures),
        attributes=tuple(tuple(_taken(column, order) for column in group) for group in cube.attributes),
    )


def measure_keys(definition: MeasureDefinition, column: Column) -> list[npt.NDArray[np.float64]]:
    """Sort keys of a measure column; without a criterion it does not sort."""
    sorting = definition.sorting
    direction = sorting.direction * (-1 if definition.reverse else 1)
    if direction == 0:
        return []
    if sorting.by_number or sorting.by_load_order or column.texts is None:
        return [np.where(np.isnan(column.numbers), np.inf, column.numbers * direction)]
    ranks = {
        text: rank for rank, text in enumerate(sorted({text for text in column.texts if text is not None}))
    }
    return [np.array([np.inf if text is None else ranks[text] * direction for text in column.texts])]


_STATE_ORDER: Final[dict[StateName, float]] = {
    "L": 0,
    "S": 0,
    "O": 1,
    "A": 2,
    "D": 3,
    "XS": 4,
    "XL": 4,
    "X": 5,
}


def element_order(dimension: Dimension, context: Context) -> npt.NDArray[np.float64]:
    """The place of each element of a dimension in its sort order; load order where nothing is asked for."""
    of, sorting = dimension.field, dimension.definition.sorting
    keys: list[npt.NDArray[np.float64]] = []
    if sorting.by_state:
        keys.append(dimension.states.valued(_STATE_ORDER) * sorting.by_state)
    if sorting.by_expression and sorting.expression:
        keys.append(_by_expression(dimension, sorting, context))
    if sorting.by_frequency:
        keys.append((of.frequencies * sorting.by_frequency).astype(np.float64))
    if sorting.by_number:
        has_number = ~np.isnan(of.numbers)
        keys.append((~has_number).astype(np.float64))
        keys.append(np.where(has_number, (of.number_rank * sorting.by_number).astype(np.float64), 0.0))
    if sorting.by_text:
        keys.append((of.text_rank * sorting.by_text).astype(np.float64))
    if sorting.by_load_order:
        keys.append((np.arange(of.size) * sorting.by_load_order).astype(np.float64))
    keys.append(np.arange(of.size, dtype=np.float64))
    order = np.lexsort(keys[::-1])
    if dimension.definition.reverse:
        order = order[::-1]
    ranks = np.empty(of.size)
    ranks[order] = np.arange(of.size, dtype=np.float64)
    return ranks


def _by_expression(dimension: Dimension, sorting: Sorting, context: Context) -> npt.NDArray[np.float64]:
    result = _evaluate([sorting.expression], [dimension.field], context)
    values = np.full(dimension.field.size + 1, np.inf)
    numbers = result.columns[0].numbers
    values[result.codes[0]] = np.where(np.isnan(numbers), np.inf, numbers * sorting.by_expression)
    return values[:-1]
