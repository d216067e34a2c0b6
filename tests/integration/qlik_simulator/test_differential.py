"""A thousand generated cubes give the numbers that plain loops over the rows give.

The reference below knows nothing of the simulator: rows are dictionaries, a missing value is None, and every
rule of the expression language is written once more in the simplest way there is.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
import pytest

from qlik_simulator.apps.loader import flights_model
from qlik_simulator.domain.compiler import Context
from qlik_simulator.domain.cube import Cube, calculate
from qlik_simulator.domain.cube_definition import cube_definition
from qlik_simulator.domain.model import DataModel, model_of
from qlik_simulator.domain.selections import NOTHING, Selections, choose

pytestmark = pytest.mark.integration
QUERIES: Final = 1000
EVERY: Final = 1120  # one row in so many of the 336,776: about 300
Row = dict[str, Any]
Number = float | None
TEXTS: Final = ("carrier", "origin", "dest", "name")
WHOLES: Final = ("month", "day", "cancelled")
MEASURED: Final = ("dep_delay", "arr_delay", "distance", "air_time")


COMPARISONS: Final[list[tuple[str, Callable[[float, float], bool]]]] = [
    ("<", lambda a, b: a < b),
    (">=", lambda a, b: a >= b),
    ("<>", lambda a, b: a != b),
    ("=", lambda a, b: a == b),
]
AGGREGATIONS: Final[list[tuple[str, Callable[[list[float]], Number]]]] = [
    ("Sum", lambda found: float(sum(found))),
    ("Count", lambda found: float(len(found))),
    ("Avg", lambda found: sum(found) / len(found) if found else None),
    ("Min", lambda found: min(found, default=None)),
    ("Max", lambda found: max(found, default=None)),
]


@dataclass(frozen=True)
class RowExpression:
    """An expression per row: its text and what it gives."""

    text: str
    value: Callable[[Row], Any]


@dataclass(frozen=True)
class SetExpression:
    """A set: its text and the selections it means, from the current ones."""

    text: str
    selected: Callable[[dict[str, set[Any]]], dict[str, set[Any]]]


@dataclass(frozen=True)
class Measure:
    """A measure: its text, the sets it looks at, and its value from the rows of each set."""

    text: str
    sets: tuple[SetExpression, ...]
    value: Callable[[list[list[Row]]], Number]


class Generator:
    """Makes queries from a seed."""

    def __init__(self, seed: int, rows: list[Row]) -> None:
        self.random = random.Random(seed)
        self.rows = rows
        self.values = {name: sorted({row[name] for row in rows}) for name in (*TEXTS, *WHOLES)}

    def some(self, name: str, most: int = 4) -> list[Any]:
        return self.random.sample(
            self.values[name], self.random.randint(1, min(most, len(self.values[name])))
        )

    def selections(self) -> dict[str, set[Any]]:
        """Up to three fields; values of one row are among them, so that the selections fit together."""
        row = self.random.choice(self.rows)
        names = self.random.sample([*TEXTS, *WHOLES], self.random.randint(0, 3))
        return {name: {row[name], *self.some(name)} for name in names}

    def condition(self) -> RowExpression:
        if self.random.random() < 0.4:
            name = self.random.choice(TEXTS)
            wanted = self.random.choice(self.values[name])
            return RowExpression(f"{name}='{wanted}'", lambda row: row[name] == wanted)
        name = self.random.choice([*MEASURED, *WHOLES])
        limit = self.random.randint(-10, 40)
        operator, compare = self.random.choice(COMPARISONS)
        single = RowExpression(
            f"{name}{operator}{limit}", lambda row: row[name] is not None and compare(row[name], limit)
        )
        if self.random.random() < 0.3:
            other = self.condition()
            return RowExpression(
                f"({single.text} or {other.text})", lambda row: single.value(row) or other.value(row)
            )
        if self.random.random() < 0.2:
            return RowExpression(f"not ({single.text})", lambda row: not single.value(row))
        return single

    def number(self) -> RowExpression:
        name = self.random.choice(MEASURED)
        plain = RowExpression(name, lambda row: row[name])
        kind = self.random.random()
        if kind < 0.5:
            return plain
        if kind < 0.65:
            factor = self.random.randint(2, 9)
            return RowExpression(
                f"{name}*{factor}-1", lambda row: none_or(lambda x: x * factor - 1, row[name])
            )
        if kind < 0.75:
            other = self.random.choice(MEASURED)
            return RowExpression(
                f"({name}-[{other}])", lambda row: none_or(lambda x, y: x - y, row[name], row[other])
            )
        if kind < 0.85:
            return RowExpression(f"Floor({name}/7)", lambda row: none_or(lambda x: x // 7, row[name]))
        condition = self.condition()
        return RowExpression(
            f"If({condition.text},{name},1)", lambda row: row[name] if condition.value(row) else 1
        )

    def set(self) -> SetExpression:
        name = self.random.choice([*TEXTS, *WHOLES])
        chosen = self.some(name)
        listed = ",".join(f"'{value}'" if isinstance(value, str) else str(value) for value in chosen)
        replaced = lambda current: {**current, name: set(chosen)}  # noqa: E731 - one of several of a kind
        kinds: list[SetExpression] = [
            SetExpression("", lambda current: current),
            SetExpression("", lambda current: current),
            SetExpression("{1}", lambda _: {}),
            SetExpression("{$}", lambda current: current),
            SetExpression(f"{{<{name}={{{listed}}}>}}", replaced),
            SetExpression(f"{{$<{name}=>}}", lambda current: {k: v for k, v in current.items() if k != name}),
            SetExpression(f"{{1<{name}={{{listed}}}>}}", lambda _: {name: set(chosen)}),
            SetExpression(
                f"{{<[{name}]-={{{listed}}}>}}",
                lambda current: {**current, name: current.get(name, set(self.values[name])) - set(chosen)},
            ),
        ]
        return self.random.choice(kinds)

    def aggregation(self) -> Measure:
        chosen, inner = self.set(), self.number()
        if self.random.random() < 0.25:
            name = self.random.choice(TEXTS)
            return Measure(
                f"Count({chosen.text} distinct {name})",
                (chosen,),
                lambda sets: float(len({row[name] for row in sets[0]})),
            )
        name, aggregate = self.random.choice(AGGREGATIONS)

        def value(sets: list[list[Row]]) -> Number:
            return aggregate([x for row in sets[0] if (x := inner.value(row)) is not None])

        return Measure(f"{name}({chosen.text} {inner.text})", (chosen,), value)

    def measure(self) -> Measure:
        first = self.aggregation()
        kind = self.random.random()
        if kind < 0.5:
            return first
        second = self.aggregation()
        sets = (*first.sets, *second.sets)
        if kind < 0.7:
            return Measure(
                f"{first.text}/{second.text}", sets, both(lambda a, b: a / b if b else None, first, second)
            )
        if kind < 0.85:
            return Measure(f"{first.text}-2*{second.text}", sets, both(lambda a, b: a - 2 * b, first, second))

        def larger(found: list[list[Row]]) -> Number:
            a, b = first.value(found[:1]), second.value(found[1:])
            return a if a is not None and b is not None and a > b else b

        return Measure(f"If({first.text}>{second.text},{first.text},{second.text})", sets, larger)


def none_or(apply: Callable[..., Any], *values: Any) -> Any:
    return None if any(value is None for value in values) else apply(*values)


def both(apply: Callable[[float, float], Number], first: Measure, second: Measure) -> Callable[..., Number]:
    return lambda sets: none_or(apply, first.value(sets[:1]), second.value(sets[1:]))


def chosen_rows(rows: Iterable[Row], selected: dict[str, set[Any]]) -> list[Row]:
    return [row for row in rows if all(row[name] in values for name, values in selected.items())]


def expected(
    rows: list[Row], dimensions: list[str], measures: list[Measure], selected: dict[str, set[Any]]
) -> dict[tuple[str, ...], list[Number]]:
    """The rows of the cube: every combination in the current selections or in a set of a measure."""
    sets = [[chosen_rows(rows, one.selected(selected)) for one in measure.sets] for measure in measures]
    everything = [chosen_rows(rows, selected), *(found for per_measure in sets for found in per_measure)]
    keys = {group(row, dimensions) for found in everything for row in found}
    if not dimensions:
        keys = {()}
    split = [[by_group(found, dimensions) for found in per_measure] for per_measure in sets]
    return {
        key: [
            measure.value([found.get(key, []) for found in per_measure])
            for measure, per_measure in zip(measures, split, strict=True)
        ]
        for key in keys
    }


def group(row: Row, dimensions: list[str]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in dimensions)


def by_group(rows: list[Row], dimensions: list[str]) -> dict[tuple[str, ...], list[Row]]:
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(group(row, dimensions), []).append(row)
    return found


def actual(cube: Cube) -> dict[tuple[str, ...], list[float]]:
    """The rows of a calculated cube; NaN is a missing value."""
    found = {}
    for row in range(cube.rows):
        key = tuple(
            dimension.field.texts[int(codes[row])]
            for dimension, codes in zip(cube.dimensions, cube.codes, strict=True)
        )
        found[key] = [float(column.numbers[row]) for column in cube.measures]
    return found


def select(model: DataModel, selected: dict[str, set[Any]]) -> Selections:
    selections = NOTHING
    for name, values in selected.items():
        of = model.fields[name]
        outcome = choose(model, selections, name, [of.text_index[str(value)] for value in values])
        assert outcome.success
        selections = outcome.selections
    return selections


def sample() -> tuple[DataModel, list[Row]]:
    whole = flights_model()
    columns = {
        name: whole.fields[name].text_series if name in TEXTS else whole.fields[name].number_series
        for name in (*TEXTS, *WHOLES, *MEASURED)
    }
    frame = pl.DataFrame(columns).gather_every(EVERY).with_columns(pl.col(*WHOLES).cast(pl.Int64))
    return model_of(frame), frame.to_dicts()


def test_a_thousand_generated_cubes() -> None:
    model, rows = sample()
    generator = Generator(20131231, rows)
    kinds: dict[int, int] = {}
    for number in range(QUERIES):
        dimensions = generator.random.sample([*TEXTS, *WHOLES], generator.random.randint(0, 3))
        measures = [generator.measure() for _ in range(generator.random.randint(1, 2))]
        selected = generator.selections()
        definition = cube_definition(
            {
                "qDimensions": [{"qDef": {"qFieldDefs": [name]}} for name in dimensions],
                "qMeasures": [{"qDef": {"qDef": measure.text}} for measure in measures],
            },
            lambda _kind, _id: None,
        )
        cube = calculate(definition, Context(model, {"$": select(model, selected)}))
        wanted = expected(rows, dimensions, measures, selected)
        found = actual(cube)
        said = f"query {number}: {dimensions} {[measure.text for measure in measures]} {selected}"
        assert found.keys() == wanted.keys(), said
        keys = sorted(wanted)
        numbers = [[np.nan if value is None else value for value in wanted[key]] for key in keys]
        np.testing.assert_allclose(
            np.array([found[key] for key in keys]), np.array(numbers), rtol=1e-9, atol=1e-9, err_msg=said
        )
        kinds[len(dimensions)] = kinds.get(len(dimensions), 0) + 1
    assert set(kinds) == {0, 1, 2, 3}
