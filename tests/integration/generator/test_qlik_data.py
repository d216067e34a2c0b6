"""Questions and data from a Qlik engine: proved selections, one state of the data, errors with remedies."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.base import Selection
from contracts.configuration import (
    ChartItem,
    ColumnDef,
    Condition,
    ConditionRule,
    DataItem,
    ExpressionItem,
    FieldItem,
    ObjectItem,
    Operator,
    OutputFormat,
    TableItem,
    VariableItem,
)
from contracts.plan import PlannedReport, PlannedUnit
from generator.adapters.qlik_questions import QlikQuestions
from generator.adapters.qlik_reader import QlikReader
from generator.adapters.qlik_sites import QlikSites
from generator.domain.request import AskCondition, AskValues, NoAnswer, Values, Verdict
from generator.ports import Reading, Unmet
from rendering.model import Formatted, raw
from runtime.errors import Permanent, Transient
from runtime.secrets import Sealer
from support.loopback import LOOPBACK
from support.qlik_site import FLIGHTS, SimulatedSite, simulated_site
from support.sealing import unbound
from support.stored_connections import Connections, client_managed

pytestmark = pytest.mark.integration
NOWHERE = Path("nowhere")
JFK = (Selection(field="origin", values=("JFK",)),)


@pytest.fixture(scope="module")
async def simulated() -> AsyncIterator[SimulatedSite]:
    async with simulated_site() as site:
        yield site


@pytest.fixture
async def connections(simulated: SimulatedSite) -> AsyncIterator[Connections]:
    yield Connections(client_managed(simulated))
    simulated.simulator.site.faults.clear()


@pytest.fixture
async def sites(connections: Connections) -> AsyncIterator[QlikSites]:
    found = QlikSites(connections, None, egress=LOOPBACK)  # type: ignore[arg-type]  # the one method it uses
    yield found
    await found.aclose()


def report(*data: DataItem, app: str = FLIGHTS, site: str = "site") -> PlannedReport:
    return PlannedReport(
        id="tr", report_id="r", name="R", format=OutputFormat.XLSX, connection_id=site, app_id=app, data=data
    )


def unit(*conditions: Condition, selections: tuple[Selection, ...] = JFK) -> PlannedUnit:
    return PlannedUnit(id="u", report="tr", file_name="r.xlsx", selections=selections, conditions=conditions)


def flights(sign: Operator, right: str) -> Condition:
    rule = ConditionRule(left="=Count(flight)", operator=sign, right=right)
    return Condition(name="flights", rules=(rule,))


async def read(sites: QlikSites, *data: DataItem) -> Reading:
    found = await QlikReader(sites).read(report(*data), unit(), NOWHERE)
    assert isinstance(found, Reading)
    return found


async def test_iteration_values_are_read_under_the_selections(sites: QlikSites) -> None:
    everywhere = AskValues("site", FLIGHTS, (), "origin", 10)
    one = AskValues("site", FLIGHTS, JFK, "origin", 10)
    cut = AskValues("site", FLIGHTS, (), "carrier", 3)
    answers = await QlikQuestions(sites).answers([everywhere, one, cut])
    found = answers[everywhere]
    assert isinstance(found, Values)
    assert {value.text for value in found.values} == {"EWR", "JFK", "LGA"}
    alone = answers[one]
    assert isinstance(alone, Values)
    assert [value.text for value in alone.values] == ["JFK"]
    few = answers[cut]
    assert isinstance(few, Values)
    assert len(few.values) == 3


async def test_conditions_are_tested_under_the_selections(sites: QlikSites) -> None:
    met = AskCondition("site", FLIGHTS, JFK, flights(Operator.GT, "100"))
    unmet = AskCondition("site", FLIGHTS, JFK, flights(Operator.GT, "=Count(carrier) + 1"))
    answers = await QlikQuestions(sites).answers([met, unmet])
    assert answers[met] == Verdict(holds=True)
    verdict = answers[unmet]
    assert isinstance(verdict, Verdict)
    assert not verdict.holds
    assert "=Count(flight)" in verdict.detail


async def test_what_cannot_be_answered_has_a_reason_and_spoils_no_other_answer(sites: QlikSites) -> None:
    good = AskValues("site", FLIGHTS, (), "origin", 10)
    no_value = AskValues("site", FLIGHTS, (Selection(field="origin", values=("XXX",)),), "carrier", 10)
    no_field = AskValues("site", FLIGHTS, (), "nothing", 10)
    no_app = AskValues("site", "gone", (), "origin", 10)
    no_site = AskValues("other", FLIGHTS, (), "origin", 10)
    answers = await QlikQuestions(sites).answers([good, no_value, no_field, no_app, no_site])
    assert isinstance(answers[good], Values)
    reasons = {}
    for question in (no_value, no_field, no_app, no_site):
        answer = answers[question]
        assert isinstance(answer, NoAnswer)
        assert answer.reason.remedy
        reasons[question] = answer.reason.code
    assert reasons[no_value] == "selection-not-proved"
    assert reasons[no_site] == "connection-unknown"


async def test_a_site_that_is_away_is_transient(connections: Connections, sites: QlikSites) -> None:
    away = dict(connections.found["site"].settings) | {"engine_url": "ws://127.0.0.1:9"}
    connections.found["site"] = connections.found["site"].model_copy(update={"settings": away})
    with pytest.raises(Transient):
        await QlikQuestions(sites).answers([AskValues("site", FLIGHTS, (), "origin", 10)])
    with pytest.raises(Transient):
        await QlikReader(sites).read(report(), unit(), NOWHERE)


async def test_every_kind_of_data_is_read_under_proved_selections(sites: QlikSites) -> None:
    by_carrier = TableItem(
        name="by_carrier",
        dimensions=(ColumnDef(name="carrier", expression="carrier", label="Carrier"),),
        measures=(ColumnDef(name="flights", expression="Count(flight)", label="Flights"),),
        sort=("-flights",),
    )
    found = await read(
        sites,
        ChartItem(name="chart", table="by_carrier", category="carrier", series=("flights",), title="Flights"),
        ExpressionItem(name="total", expression="Count(flight)"),
        VariableItem(name="late", variable="vLate"),
        FieldItem(name="origins", field="origin"),
        by_carrier,
        ObjectItem(name="kpi", object_id="kpi-flights"),
    )
    assert found.selections == JFK
    assert found.reloaded_at is not None
    total = found.values["total"]
    assert isinstance(total, Formatted)
    assert raw(found.values["late"]) == 15
    assert found.tables["origins"].rows == [("JFK",)]
    assert found.tables["origins"].columns[0].name == "value"
    table = found.tables["by_carrier"]
    assert [(column.name, column.title) for column in table.columns] == [
        ("carrier", "Carrier"),
        ("flights", "Flights"),
    ]
    counts = [int(raw(row[1])) for row in table.rows]  # type: ignore[arg-type]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == total.value
    assert table.totals is not None
    assert raw(table.totals[1]) == total.value
    chart = found.images["chart"]
    assert not isinstance(chart, bytes)
    assert chart.categories == tuple(row[0] for row in table.rows)
    assert chart.series[0].values == tuple(float(count) for count in counts)
    assert len(found.tables["kpi"].rows) == 1


async def test_no_selections_are_proved_too(sites: QlikSites) -> None:
    found = await QlikReader(sites).read(report(), unit(selections=()), NOWHERE)
    assert isinstance(found, Reading)
    assert found.selections == ()


async def test_an_unmet_condition_ends_the_reading(sites: QlikSites) -> None:
    found = await QlikReader(sites).read(
        report(ExpressionItem(name="never", expression="this is no expression")),
        unit(flights(Operator.LT, "1")),
        NOWHERE,
    )
    assert isinstance(found, Unmet)
    assert found.reason.code == "condition-not-met"


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (ExpressionItem(name="x", expression="Sum(nothing)"), "qlik-not-as-configured"),
        (VariableItem(name="x", variable="vGone"), "qlik-not-as-configured"),
        (ObjectItem(name="x", object_id="gone"), "qlik-not-as-configured"),
        (FieldItem(name="x", field="carrier", limit=2), "qlik-limit"),
        (
            TableItem(
                name="x", dimensions=(ColumnDef(name="a", expression="origin"),), sort=("b",), limit=10
            ),
            "sort-column-unknown",
        ),
        (
            ChartItem(name="x", table="gone", category="a", series=("b",)),
            "chart-data-wrong",
        ),
    ],
)
async def test_data_that_is_not_there_fails_the_unit_with_a_remedy(
    sites: QlikSites, item: DataItem, code: str
) -> None:
    with pytest.raises(Permanent) as told:
        await QlikReader(sites).read(report(item), unit(), NOWHERE)
    assert told.value.code == code
    assert told.value.remedy


async def test_a_selection_that_cannot_be_proved_never_becomes_a_reading(sites: QlikSites) -> None:
    elsewhere = (Selection(field="origin", values=("XXX",)),)
    with pytest.raises(Permanent) as told:
        await QlikReader(sites).read(report(), unit(selections=elsewhere), NOWHERE)
    assert told.value.code == "selection-not-proved"


async def test_a_changed_connection_is_used_from_its_next_session(
    connections: Connections, sites: QlikSites
) -> None:
    await read(sites)
    broken = dict(connections.found["site"].settings) | {"engine_url": "ws://127.0.0.1:9"}
    good = connections.found["site"]
    connections.found["site"] = good.model_copy(update={"settings": broken})
    with pytest.raises(Transient):
        await read(sites)
    connections.found["site"] = good
    await read(sites)


async def test_secrets_are_opened_and_never_shown(simulated: SimulatedSite) -> None:
    key = "PmFLrMVpVFzmoEjLYJ4u0sH1vBqrXrKpgQmYMPx1-7c="
    sealer = Sealer([key])
    settings = dict(client_managed(simulated).settings)
    settings["auth"] = {"kind": "jwt", "token": "placeholder"}
    sealed = client_managed(
        simulated, settings=settings, sealed={"auth.token": unbound(key, "eyJ-a-very-secret-token")}
    )
    with_key = QlikSites(Connections(sealed), sealer, egress=LOOPBACK)  # type: ignore[arg-type]
    with pytest.raises((Permanent, Transient)) as told:
        await read(with_key)
    assert "very-secret" not in str(told.value)
    await with_key.aclose()
    without = QlikSites(Connections(sealed), None, egress=LOOPBACK)  # type: ignore[arg-type]
    with pytest.raises(Permanent, match="no key"):
        await read(without)
    wrong = sealed.model_copy(update={"settings": {**settings, "engine_url": "ftp://x"}})
    misconfigured = QlikSites(Connections(wrong), sealer, egress=LOOPBACK)  # type: ignore[arg-type]
    with pytest.raises(Permanent, match="engine_url") as refused:
        await read(misconfigured)
    assert "very-secret" not in refused.value.message
