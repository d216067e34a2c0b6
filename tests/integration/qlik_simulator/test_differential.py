"""A thousand generated tables, and some pivots, have the numbers DuckDB gives for the same question in SQL.

Both get the same rows and nothing else: DuckDB knows nothing of the simulator, nor of the expression
language. The queries have up to three dimensions (fields and calculated ones, with missing values),
selections by text, number and date, sets, the aggregations and what stands in them, totals, and a sort order.
"""

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pytest

from qlik_simulator.domain.compiler import Context
from qlik_simulator.domain.cube import Cube, calculate
from qlik_simulator.domain.cube_definition import cube_definition
from qlik_simulator.domain.model import DataModel, model_of
from qlik_simulator.domain.pivot import pivot, pivot_page, size
from qlik_simulator.domain.selections import NOTHING, Selections, choose, element_states
from support.generated_queries import Chosen, Generator, Query, among, table, where

pytestmark = pytest.mark.integration
QUERIES: Final = 1000
PIVOTS: Final = 25
Key = tuple[str | None, ...]


class Judge:
    """The same rows in both engines."""

    def __init__(self, seed: int, file: Path) -> None:
        frame = table(seed)
        frame.write_parquet(file)
        self.model = model_of(frame)
        self.database = duckdb.connect(config={"threads": 1})
        self.database.execute(f"CREATE TABLE t AS SELECT * FROM '{file}'")
        self.database.execute("PRAGMA disable_optimizer")  # it takes longer than 600 rows do
        self.generator = Generator(seed, frame)

    def asked(self, sql: str) -> list[tuple[Any, ...]]:
        return self.database.execute(sql).fetchall()


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    return Judge(20261125, tmp_path_factory.mktemp("rows") / "rows.parquet")


def text(value: object) -> str | None:
    """A value of DuckDB as the simulator writes it."""
    match value:
        case None:
            return None
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)


def select(model: DataModel, selected: Chosen) -> Selections:
    selections = NOTHING
    for name, values in selected.items():
        of = model.fields[name]
        elements = [
            of.text_index[str(value)] if isinstance(value, str | date) else of.number_index[float(value)]
            for value in values
        ]
        outcome = choose(model, selections, name, elements)
        assert outcome.success
        selections = outcome.selections
    return selections


def definition(query: Query, **more: Any) -> Any:
    count = len(query.dimensions)
    return cube_definition(
        {
            "qDimensions": [{"qDef": {"qFieldDefs": [each.qlik]}} for each in query.dimensions],
            "qMeasures": [
                {"qDef": {"qDef": each.qlik}, "qSortBy": {"qSortByNumeric": -1}} for each in query.measures
            ],
            "qInterColumnSortOrder": [count, *range(count)],
            **more,
        },
        lambda _kind, _id: None,
    )


def calculated(cube: Cube) -> dict[Key, list[float]]:
    """The rows of a cube; NaN is a missing value."""
    keys = zip(
        *(
            [(*dimension.field.texts, None)[code] for code in codes.tolist()]
            for dimension, codes in zip(cube.dimensions, cube.codes, strict=True)
        ),
        strict=True,
    )
    rows = list(keys) if cube.dimensions else []
    return {key: [float(column.numbers[row]) for column in cube.measures] for row, key in enumerate(rows)}


def missing(values: list[Any]) -> list[float]:
    return [np.nan if value is None else float(value) for value in values]


def same(found: list[list[float]], wanted: list[list[float]], said: str) -> None:
    np.testing.assert_allclose(np.array(found), np.array(wanted), rtol=1e-9, atol=1e-6, err_msg=said)


def compare(judge: Judge, query: Query) -> int:
    """Compare all rows, the totals and the order; how many rows there were."""
    cube = calculate(definition(query), Context(judge.model, {"$": select(judge.model, query.selected)}))
    count = len(query.dimensions)
    said = f"{[each.qlik for each in (*query.dimensions, *query.measures)]} {query.selected}\n{query.sql()}"
    wanted: dict[Key, list[float]] = {}
    totals: list[float] = []
    for is_total, *row in judge.asked(query.sql()):
        if is_total:
            totals = missing(row[count:])
        else:
            wanted[tuple(text(value) for value in row[:count])] = missing(row[count:])
    found = calculated(cube)
    assert found.keys() == wanted.keys(), said
    same([found[key] for key in wanted], list(wanted.values()), said)
    same([[float(column.numbers[0]) for column in cube.totals]], [totals], said)
    if count:
        first = cube.measures[0].numbers
        present = first[~np.isnan(first)]
        assert np.all(np.diff(present) <= 0), f"not sorted: {said}"
        assert not np.isnan(first[: len(present)]).any(), f"missing values are not last: {said}"
    return len(wanted)


def test_a_thousand_generated_tables_have_the_numbers_of_duckdb(judge: Judge) -> None:
    dimensions: Counter[int] = Counter()
    rows = 0
    words: Counter[str] = Counter()
    for _ in range(QUERIES):
        query = judge.generator.query()
        rows += compare(judge, query)
        dimensions[len(query.dimensions)] += 1
        words.update(
            word for each in query.measures for word in ("total", "If(", "{", "distinct") if word in each.qlik
        )
    # What was meant to be tried was tried.
    assert min(dimensions[count] for count in range(4)) > 100
    assert rows > 20_000
    assert min(words.values()) > 50


def test_what_is_possible_is_what_other_fields_leave(judge: Judge) -> None:
    for _ in range(100):
        selected = judge.generator.selections()
        selections = select(judge.model, selected)
        name = judge.generator.random.choice(["region", "product", "customer", "year", "units", "day"])
        of = judge.model.fields[name]
        states = element_states(judge.model, of, selections)
        others = where({field: values for field, values in selected.items() if field != name})
        chosen = among(name, selected[name]) if name in selected else "true"
        # By state, the values other fields leave, and those among them that are selected.
        left = f"SELECT DISTINCT {name} FROM t WHERE ({others}) AND {name} IS NOT NULL"
        possible = {text(value) for (value,) in judge.asked(left)}
        kept = {text(value) for (value,) in judge.asked(f"{left} AND ({chosen})")}
        shown = [of.texts[code] for code in range(of.size) if states[code] in {"S", "O"}]
        assert kept == set(shown), selected
        assert possible == {*shown, *(of.texts[code] for code in range(of.size) if states[code] == "A")}
        assert len(states) - len(possible) == sum(
            states.counts()[key] for key in ("qExcluded", "qSelectedExcluded")
        )


def test_generated_pivots_have_the_numbers_of_duckdb(judge: Judge) -> None:
    done = 0
    while done < PIVOTS:
        query = judge.generator.query()
        if not query.dimensions:
            continue
        done += 1
        count = len(query.dimensions)
        made = definition(
            query,
            qMode="P",
            qAlwaysFullyExpanded=True,
            qNoOfLeftDims=judge.generator.random.randint(0, count),
            qInterColumnSortOrder=list(range(count)),
        )
        context = Context(judge.model, {"$": select(judge.model, query.selected)})
        found = pivot(calculate(made, context), context)
        wanted = {
            tuple(text(value) for value in row[:count]): missing(row[count:])
            for is_total, *row in judge.asked(query.sql())
            if not is_total
        }
        width, height = size(found)
        page = pivot_page(found, {"qLeft": 0, "qTop": 0, "qWidth": width, "qHeight": height})
        shown: dict[tuple[Key, int], float] = {}
        for row, cells in zip(paths(page["qLeft"]), page["qData"], strict=True):
            for column, cell in zip(paths(page["qTop"]), cells, strict=True):
                names = [*row, *column]
                key = tuple(None if kind == "U" else name for kind, name in names if kind != "P")
                titles = [each.qlik for each in query.measures]
                measure = next((titles.index(name) for kind, name in names if kind == "P"), 0)
                if cell["qType"] != "U":
                    shown[key, measure] = float(cell["qNum"])
        present = {
            (key, measure): value
            for key, values in wanted.items()
            for measure, value in enumerate(values)
            if not np.isnan(value)
        }
        said = f"{[each.qlik for each in (*query.dimensions, *query.measures)]} {query.selected}"
        assert shown.keys() == present.keys(), said
        same([[shown[key]] for key in present], [[value] for value in present.values()], said)


def paths(nodes: list[dict[str, Any]]) -> list[list[tuple[str, str]]]:
    """The way to every leaf: kinds and texts of its nodes. A side without nodes has one leaf."""
    if not nodes:
        return [[]]
    return [[(node["qType"], node["qText"]), *rest] for node in nodes for rest in paths(node["qSubNodes"])]
