"""A report never mixes two states of an app, and wide data keeps its shape on the way to a template."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

import qlik
from contracts.configuration import ChartItem, ColumnDef, ExpressionItem, OutputFormat, TableItem
from contracts.plan import PlannedReport, PlannedUnit
from generator.adapters.qlik_data import (
    cell_of,
    chart,
    field_table,
    named_table,
    object_table,
    options_of,
    sort_of,
)
from generator.adapters.qlik_questions import QlikQuestions
from generator.adapters.qlik_reader import QlikReader
from generator.adapters.qlik_sites import translated
from generator.domain.request import AskValues, Values
from generator.ports import Reading
from rendering.model import Formatted
from runtime.errors import Permanent, Transient

LAYOUT = qlik.AppLayout("app", "App", datetime(2026, 3, 2, tzinfo=UTC), has_data=True)
REPORT = PlannedReport(
    id="tr",
    report_id="r",
    name="R",
    format=OutputFormat.XLSX,
    connection_id="site",
    app_id="app",
    data=(ExpressionItem(name="state", expression="State"),),
)
NOWHERE = Path("nowhere")
UNIT = PlannedUnit(id="u", report="tr", file_name="r.xlsx")


class Session:
    """A session on an app that shows its state number everywhere."""

    layout = LAYOUT

    def __init__(self, state: int, *, reloaded: bool) -> None:
        self.state, self.reloaded = state, reloaded

    async def select(self, selections: list[qlik.Selection]) -> list[qlik.ProvedSelection]:
        assert selections == []
        return []

    async def evaluate(self, expression: str) -> qlik.Value:
        del expression
        return qlik.Value(str(self.state), self.state)

    async def field_values(self, field: str, *, limit: int, truncate: bool) -> list[qlik.Value]:
        assert truncate
        return [qlik.Value(f"{field} {self.state}")][:limit]

    async def check_same_data(self) -> None:
        if self.reloaded:
            raise qlik.Transient("reloaded while it was read", code="reloaded")


class Sites:
    """Sessions of which the first few see a reload."""

    def __init__(self, reloads: int) -> None:
        self.reloads, self.sessions = reloads, 0

    @asynccontextmanager
    async def opened(self, *_: str) -> AsyncIterator[tuple[None, Session]]:
        self.sessions += 1
        yield None, Session(self.sessions, reloaded=self.sessions <= self.reloads)

    @asynccontextmanager
    async def session(self, *_: str) -> AsyncIterator[Session]:
        async with self.opened() as (_client, session):
            yield session


async def test_everything_is_read_again_when_the_app_was_reloaded_meanwhile() -> None:
    sites: Any = Sites(reloads=2)
    found = await QlikReader(sites).read(REPORT, UNIT, NOWHERE)
    assert isinstance(found, Reading)
    assert found.values == {"state": Formatted(3, "3")}
    assert sites.sessions == 3


async def test_an_app_that_is_reloaded_all_the_time_is_tried_later() -> None:
    sites: Any = Sites(reloads=99)
    with pytest.raises(Transient, match="again and again"):
        await QlikReader(sites).read(REPORT, UNIT, NOWHERE)


async def test_answers_for_planning_are_of_one_state_too() -> None:
    sites: Any = Sites(reloads=1)
    question = AskValues("site", "app", (), "Airline", 5)
    answers = await QlikQuestions(sites).answers([question])
    answer = answers[question]
    assert isinstance(answer, Values)
    assert [value.text for value in answer.values] == ["Airline 2"]


def column(name: str, kind: qlik.model.ColumnKind = "text", **more: Any) -> qlik.Column:
    return qlik.Column(name, kind, **more)


def test_cells_keep_value_and_text() -> None:
    moment = datetime(2026, 3, 2, 8)
    item = TableItem(
        name="t",
        dimensions=(
            ColumnDef(name="day", expression="Day"),
            ColumnDef(name="at", expression="At"),
            ColumnDef(name="who", expression="Who", label="Who?"),
        ),
        measures=(ColumnDef(name="total", expression="Sum(x)"),),
    )
    table = qlik.Table(
        columns=(
            column("Day", "date"),
            column("At", "timestamp"),
            column("Who?"),
            column("Total", "number", role="measure"),
        ),
        rows=[
            (
                qlik.Cell(moment, "02.03.26"),
                qlik.Cell(moment, "08:00"),
                qlik.Cell("Ann", "Ann"),
                qlik.Cell(1234.5, "1'234.5"),
            ),
            (qlik.Cell(None, "-"),) * 4,
        ],
        totals=(qlik.Cell(1234.5, "1'234.5"),),
    )
    found = named_table(item, table)
    assert [(each.name, each.kind, each.title) for each in found.columns] == [
        ("day", "date", "day"),
        ("at", "datetime", "at"),
        ("who", "text", "Who?"),
        ("total", "number", "total"),
    ]
    assert found.rows[0] == (
        Formatted(date(2026, 3, 2), "02.03.26"),
        Formatted(moment, "08:00"),
        "Ann",
        Formatted(1234.5, "1'234.5"),
    )
    assert found.rows[1] == (None, None, None, None)
    assert found.totals == (None, None, None, Formatted(1234.5, "1'234.5"))


def test_columns_of_an_object_get_names_that_templates_can_say() -> None:
    labels = ["Total Flights", "Total  Flights", "2013", "count", "%", "Größe"]
    table = qlik.Table(columns=tuple(column(label) for label in labels), rows=[])
    found = object_table(table)
    assert [each.name for each in found.columns] == [
        "Total_Flights",
        "Total_Flights_2",
        "column_2013",
        "count_2",
        "column",
        "Größe",
    ]
    assert [each.title for each in found.columns] == labels


def test_a_field_of_numbers_is_a_column_of_numbers() -> None:
    class Item:
        field = "Year"

    item: Any = Item()
    numbers = field_table(item, [qlik.Value("2013", 2013), qlik.Value("2014", 2014)])
    assert numbers.columns[0].kind == "number"
    mixed = field_table(item, [qlik.Value("2013", 2013), qlik.Value("n/a")])
    assert mixed.columns[0].kind == "text"


def test_a_chart_is_drawn_from_a_table_with_gaps_for_nulls() -> None:
    item = TableItem(
        name="t",
        dimensions=(ColumnDef(name="month", expression="Month"),),
        measures=(ColumnDef(name="delay", expression="Avg(d)", label="Delay, min"),),
    )
    table = named_table(
        item,
        qlik.Table(
            columns=(column("Month"), column("Delay, min", "number", role="measure")),
            rows=[
                (qlik.Cell("Jan", "Jan"), qlik.Cell(1.5, "1.5")),
                (qlik.Cell("Feb", "Feb"), qlik.Cell(None, "-")),
            ],
        ),
    )
    wish = ChartItem(name="c", chart="line", table="t", category="month", series=("delay",), title="Delays")
    found = chart(wish, {"t": table})
    assert (found.categories, found.title) == (("Jan", "Feb"), "Delays")
    assert (found.series[0].name, found.series[0].kind, found.series[0].values) == (
        "Delay, min",
        "line",
        (1.5, None),
    )
    with pytest.raises(Permanent, match="no column 'gone'"):
        chart(wish.model_copy(update={"category": "gone"}), {"t": table})


def test_sorting_names_columns() -> None:
    item = TableItem(
        name="t",
        dimensions=(ColumnDef(name="a", expression="A"),),
        measures=(ColumnDef(name="b", expression="B"),),
        sort=("-b", "a"),
    )
    assert sort_of(item) == [qlik.Sort(1, descending=True), qlik.Sort(0)]


def test_numbers_are_written_as_the_app_writes_them() -> None:
    swiss = qlik.AppLayout("a", "A", None, has_data=True, decimal_separator=".", thousand_separator="'")
    assert (options_of(swiss).decimal, options_of(swiss).thousands) == (".", "'")
    odd = qlik.AppLayout("a", "A", None, has_data=True, decimal_separator=",", thousand_separator=",")
    assert options_of(odd).decimal == "."


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (qlik.SelectionNotProved("Airline", ("AA",), "nothing"), "selection-not-proved"),
        (qlik.CalculationFailed("no"), "qlik-calculation-failed"),
        (qlik.LimitReached("no"), "qlik-limit"),
        (qlik.PermissionDenied("no"), "qlik-denied"),
        (qlik.ConfigurationError("no"), "qlik-not-as-configured"),
        (qlik.ProtocolError("no"), "qlik-protocol"),
    ],
)
def test_errors_of_qlik_are_final_or_pass(error: qlik.QlikError, code: str) -> None:
    found = translated(error)
    assert isinstance(found, Permanent)
    assert found.code == code
    assert found.remedy


@pytest.mark.parametrize("error", [qlik.Transient("x"), qlik.SiteBusy("x"), qlik.Aborted("x")])
def test_errors_that_pass_are_transient(error: qlik.QlikError) -> None:
    assert isinstance(translated(error), Transient)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (qlik.Value("007", 7), "007"),
        (qlik.Value("5/1/2024", 45413), Formatted(date(2024, 5, 1), "5/1/2024")),
        (qlik.Value("2024/18", 45413), "2024/18"),
        (qlik.Value("1,234.50", 1234.5), Formatted(1234.5, "1,234.50")),
        (qlik.Value("75%", 0.75), Formatted(0.75, "75%", "0%")),
        (qlik.Value("4006381333931", 4006381333931), Formatted(4006381333931, "4006381333931", "0")),
        (qlik.Value("Jan", 1), "Jan"),
        (qlik.Value("x"), "x"),
    ],
)
def test_a_result_keeps_its_text_where_its_number_would_not_show_it(value: qlik.Value, cell: object) -> None:
    layout = qlik.AppLayout("app", "App", None, has_data=True, date_format="M/D/YYYY")
    assert cell_of(value, layout) == cell


def test_a_field_of_codes_is_a_column_of_texts() -> None:
    class Item:
        field = "Article"

    item: Any = Item()
    column = qlik.Column("Article", "number", qlik.QlikNumberFormat("I", "###0"))
    found = field_table(item, [qlik.Value("007", 7), qlik.Value("7", 7), qlik.Value("1200", 1200)], column)
    assert [("007",), (Formatted(7, "7"),), (Formatted(1200, "1200"),)] == found.rows
    assert found.columns[0].kind == "text"
