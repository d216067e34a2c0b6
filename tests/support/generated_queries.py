"""Queries made from a seed, each in Qlik's expression language and in SQL."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

ROWS: Final = 600
Chosen = Mapping[str, frozenset[Any]]  # selected values by field; a date is itself, not its text
TEXTS: Final = ("region", "product", "customer")
NUMBERS: Final = ("year", "units", "rate", "flag")
MEASURED: Final = ("amount", "cost", "units", "rate")
_EPOCH: Final = "DATE '1899-12-30'"


@dataclass(frozen=True)
class Pair:
    """The same in both languages."""

    qlik: str
    sql: str


@dataclass(frozen=True)
class Measure(Pair):
    """A measure, and the conditions of the sets it looks at."""

    sets: tuple[str, ...]


@dataclass(frozen=True)
class Query:
    """What a table asks for: dimensions, measures and selections."""

    dimensions: tuple[Pair, ...]
    measures: tuple[Measure, ...]
    selected: Chosen

    def sql(self) -> str:
        """One row per group, and one over everything with 1 in the first column."""
        keys = [f"({dimension.sql})" for dimension in self.dimensions]
        columns = [f"CAST({measure.sql} AS DOUBLE)" for measure in self.measures]
        base = {where(self.selected), *(each for measure in self.measures for each in measure.sets)}
        grouping = f"GROUPING({', '.join(keys)})" if keys else "1"
        sets = f"(({', '.join(keys)}), ())" if keys else "(())"
        return (
            f"SELECT {', '.join([f'({grouping} > 0)::INT', *keys, *columns])} FROM t"
            f" WHERE {' OR '.join(sorted(f'({each})' for each in base))} GROUP BY GROUPING SETS {sets}"
        )


def table(seed: int) -> pl.DataFrame:
    """Sales with texts, digits as text, whole and broken numbers, dates, and missing values."""
    draw = np.random.default_rng(seed)

    def with_gaps(values: list[Any], share: float) -> list[Any]:
        return [
            None if gone else value for value, gone in zip(values, draw.random(ROWS) < share, strict=True)
        ]

    regions = ["North", "south", "East", "west end", "Übersee"]
    products = [f"{letter}{number}" for letter in ("A", "b", "") for number in (1, 2, 10, 20, 300)]
    days = [date(2022, 12, 25) + timedelta(days=int(day)) for day in draw.integers(0, 500, ROWS)]
    return pl.DataFrame(
        {
            "region": with_gaps([regions[each] for each in draw.integers(0, 5, ROWS)], 0.05),
            "product": [products[each] for each in draw.integers(0, 15, ROWS)],
            "customer": [f"Customer {each}" for each in draw.integers(0, 60, ROWS)],
            "year": [day.year for day in days],
            "day": days,
            "units": with_gaps(draw.integers(-3, 12, ROWS).tolist(), 0.1),
            "rate": with_gaps((draw.integers(0, 8, ROWS) / 4).tolist(), 0.05),
            "flag": draw.integers(0, 2, ROWS).tolist(),
            "amount": with_gaps((draw.integers(-500, 100_000, ROWS) / 100).tolist(), 0.08),
            "cost": with_gaps(draw.integers(0, 1000, ROWS).astype(float).tolist(), 0.15),
        }
    )


def quoted(value: Any) -> str:
    """A value in SQL."""
    match value:
        case str():
            return f"'{value}'"
        case date():
            return f"DATE '{value}'"
        case _:
            return str(value)


def among(name: str, values: frozenset[Any]) -> str:
    """The condition that a field has one of the values; a missing value has none."""
    listed = ", ".join(sorted(map(quoted, values)))
    return f"coalesce({name} IN ({listed}), false)" if values else "false"


def where(selected: Chosen) -> str:
    """The condition that selections mean."""
    return " AND ".join(among(name, values) for name, values in sorted(selected.items())) or "true"


class Generator:
    """Makes queries over `table`."""

    def __init__(self, seed: int, frame: pl.DataFrame) -> None:
        self.random = random.Random(seed)
        self.rows = frame.to_dicts()
        self.values = {name: frame[name].drop_nulls().unique().sort().to_list() for name in frame.columns}

    def query(self) -> Query:
        """The next query."""
        dimensions = self.random.sample(self._dimensions(), self.random.randint(0, 3))
        selected = self.selections()
        measures = tuple(self._measure(selected) for _ in range(self.random.randint(1, 2)))
        return Query(tuple(dimensions), measures, selected)

    def selections(self) -> Chosen:
        """Up to three fields; values of one row are among them, so that the selections fit together."""
        row = self.random.choice(self.rows)
        names = self.random.sample([*TEXTS, *NUMBERS, "day"], self.random.randint(0, 3))
        return {name: frozenset({row[name], *self._some(name)}) for name in names if row[name] is not None}

    def _some(self, name: str) -> list[Any]:
        most = {"customer": 8, "day": 30}.get(name, 4)
        return self.random.sample(
            self.values[name], self.random.randint(1, min(most, len(self.values[name])))
        )

    def _dimensions(self) -> list[Pair]:
        plain = [Pair(name, name) for name in (*TEXTS, *NUMBERS, "day")]
        return [
            *plain,
            Pair("=Year(day)*100+Month(day)", "year(day) * 100 + month(day)"),
            Pair(
                "=If(amount>500,'large','small')",
                "CASE WHEN coalesce(amount > 500, false) THEN 'large' ELSE 'small' END",
            ),
            Pair("=Upper(Left(customer,1)) & '-' & region", "'C-' || coalesce(region, '')"),
        ]

    def _set(self, current: Chosen) -> Pair:
        """A set expression, and the condition for its rows."""
        name = self.random.choice([*TEXTS, *NUMBERS])
        chosen = frozenset(self._some(name))
        listed = ",".join(f"'{value}'" if isinstance(value, str) else str(value) for value in sorted(chosen))
        rest = {field: values for field, values in current.items() if field != name}
        before = current.get(name, frozenset(self.values[name]))
        here, whole = where(current), where(rest)
        low = self.random.randint(-1, 5)
        kinds = [
            Pair("", here),
            Pair("", here),
            Pair("{$}", here),
            Pair("{1}", "true"),
            Pair(f"{{<{name}={{{listed}}}>}}", where({**current, name: chosen})),
            Pair(f"{{1<[{name}]={{{listed}}}>}}", where({name: chosen})),
            Pair(f"{{$<{name}=>}}", whole),
            Pair(f"{{<{name}-={{{listed}}}>}}", where({**current, name: before - chosen})),
            Pair(f"{{<{name}*={{{listed}}}>}}", where({**current, name: before & chosen})),
            Pair(f"{{<{name}={{*}}>}}", where({**current, name: frozenset(self.values[name])})),
            Pair(f'{{<units={{">={low}<{low + 4}"}}>}}', self._searched(current, "units", low, low + 4)),
            Pair(f"{{1-<{name}={{{listed}}}>}}", f"NOT ({where({**current, name: chosen})})"),
            Pair(f"{{$*1<{name}={{{listed}}}>}}", f"({here}) AND ({where({name: chosen})})"),
            Pair(f"{{$+1<{name}={{{listed}}}>}}", f"({here}) OR ({where({name: chosen})})"),
        ]
        return self.random.choice(kinds)

    @staticmethod
    def _searched(current: Chosen, name: str, low: int, high: int) -> str:
        rest = where({field: values for field, values in current.items() if field != name})
        return f"({rest}) AND coalesce({name} >= {low} AND {name} < {high}, false)"

    def _condition(self) -> Pair:
        kind = self.random.random()
        if kind < 0.25:
            name = self.random.choice(TEXTS)
            wanted = self.random.choice(self.values[name])
            return Pair(f"{name}='{wanted}'", f"coalesce({name} = '{wanted}', false)")
        if kind < 0.35:
            name = self.random.choice(MEASURED)
            return Pair(f"IsNull({name})", f"{name} IS NULL")
        if kind < 0.5:
            one, other = self._condition(), self._condition()
            word = self.random.choice(["and", "or"])
            return Pair(f"({one.qlik} {word} {other.qlik})", f"({one.sql} {word} {other.sql})")
        if kind < 0.6:
            one = self._condition()
            return Pair(f"not ({one.qlik})", f"(NOT {one.sql})")
        name, limit = self.random.choice(MEASURED), self.random.randint(-2, 9)
        operator = self.random.choice(["<", ">=", "<>", "=", "<=", ">"])
        return Pair(f"{name}{operator}{limit}", f"coalesce({name} {operator} {limit}, false)")

    def _number(self) -> Pair:
        """An expression per row."""
        name, other = self.random.sample(MEASURED, 2)
        factor = self.random.randint(2, 9)
        condition = self._condition()
        kinds: list[Pair] = [
            Pair(name, name),
            Pair(name, name),
            Pair(f"{name}*{factor}-1", f"({name} * {factor} - 1)"),
            Pair(f"({name}-[{other}])", f"({name} - {other})"),
            Pair(f"{name}/{factor}", f"({name} / {factor}.0)"),
            Pair(f"{name}/{other}", f"({name} / nullif({other}, 0)::DOUBLE)"),
            Pair(f"Floor({name}/{factor})", f"floor({name} / {factor}.0)"),
            Pair(f"Ceil({name}/{factor})", f"ceil({name} / {factor}.0)"),
            Pair(f"Fabs({name})", f"abs({name})"),
            Pair(f"RangeSum({name},{other})", f"(coalesce({name}, 0) + coalesce({other}, 0))"),
            Pair(f"Alt({name},{factor})", f"coalesce({name}, {factor})"),
            Pair(
                f"If({condition.qlik},{name},{factor})",
                f"CASE WHEN {condition.sql} THEN {name} ELSE {factor} END",
            ),
            Pair(f"If({condition.qlik},{name})", f"CASE WHEN {condition.sql} THEN {name} END"),
            Pair("Day(day)", "day(day)"),
            Pair("WeekDay(day)", "((dayofweek(day) + 6) % 7)"),
            Pair("day", f"date_diff('day', {_EPOCH}, day)"),
            Pair("MonthStart(day)", f"date_diff('day', {_EPOCH}, date_trunc('month', day)::DATE)"),
            Pair("Len(product)", "length(product)"),
        ]
        return self.random.choice(kinds)

    def _aggregation(self, selected: Chosen) -> Measure:
        chosen, inner = self._set(selected), self._number()
        rows = f"FILTER (WHERE {chosen.sql})"
        name = self.random.choice([*TEXTS, *NUMBERS, "day"])
        x = inner.sql
        # (what stands before the set, what it is of, in SQL)
        kinds: list[tuple[str, str, str]] = [
            ("Sum(", inner.qlik, f"coalesce(sum({x}) {rows}, 0)"),
            ("Sum(", inner.qlik, f"coalesce(sum({x}) {rows}, 0)"),
            ("Count(", inner.qlik, f"count({x}) {rows}"),
            ("Avg(", inner.qlik, f"avg({x}) {rows}"),
            ("Min(", inner.qlik, f"min({x}) {rows}"),
            ("Max(", inner.qlik, f"max({x}) {rows}"),
            ("Median(", inner.qlik, f"median({x}) {rows}"),
            ("Stdev(", inner.qlik, f"stddev_samp({x}) {rows}"),
            ("Count(distinct ", inner.qlik, f"count(DISTINCT {x}) {rows}"),
            ("Count(distinct ", name, f"count(DISTINCT {name}) {rows}"),
            ("NullCount(", name, f"count(*) FILTER (WHERE ({chosen.sql}) AND {name} IS NULL)"),
            ("Only(", inner.qlik, f"CASE WHEN count(DISTINCT {x}) {rows} = 1 THEN min({x}) {rows} END"),
        ]
        before, of, sql = self.random.choice(kinds)
        if self.random.random() < 0.12:
            return Measure(f"{before}{chosen.qlik} total {of})", f"(SELECT {sql} FROM t)", (chosen.sql,))
        return Measure(f"{before}{chosen.qlik} {of})", sql, (chosen.sql,))

    def _measure(self, selected: Chosen) -> Measure:
        first, second = self._aggregation(selected), self._aggregation(selected)
        a, b, sets = first, second, (*first.sets, *second.sets)
        kinds: list[Callable[[], Measure]] = [
            lambda: first,
            lambda: first,
            lambda: first,
            lambda: Measure(f"{a.qlik}/{b.qlik}", f"(({a.sql}) / nullif({b.sql}, 0)::DOUBLE)", sets),
            lambda: Measure(f"{a.qlik}-2*{b.qlik}", f"(({a.sql}) - 2 * ({b.sql}))", sets),
            lambda: Measure(
                f"If({a.qlik}>{b.qlik},{a.qlik},{b.qlik})",
                f"CASE WHEN coalesce(({a.sql}) > ({b.sql}), false) THEN ({a.sql}) ELSE ({b.sql}) END",
                sets,
            ),
        ]
        return self.random.choice(kinds)()
