"""A session against the simulator: filters that prove themselves, values, tables, objects."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from qlik import (
    Aborted,
    AppSession,
    CalculationFailed,
    ConfigurationError,
    Dimension,
    LimitReached,
    Measure,
    QlikError,
    Selection,
    SelectionNotProved,
    Sort,
    Transient,
    paging,
)
from support.qlik_site import FLIGHTS, SimulatedSite

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("judges")]


async def fault(site: SimulatedSite, **given: Any) -> None:
    await site.control("POST", "/_sim/fault", json={"place": "engine", "fault": given})


async def raw_count(session: AppSession) -> int:
    value = await session.evaluate("Count(flight)")
    assert value.number is not None
    return int(value.number)


async def test_the_layout_says_title_and_reload_time_in_utc(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        assert session.layout.title == "Flights"
        assert session.layout.has_data
        assert session.layout.last_reload_time is not None
        assert session.layout.last_reload_time.tzinfo is UTC


async def test_filters_are_proved_locked_and_change_what_is_read(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        everything = await session.evaluate("Sum(1)")
        proved = await session.select(
            [Selection(field="origin", values=("JFK", "EWR")), Selection(field="month", values=(7,))]
        )
        assert {v.text for v in proved[0].values} == {"JFK", "EWR"}
        assert [v.number for v in proved[1].values] == [7]
        table = await session.table(["origin", "month"], ["Count(flight)"])
        assert {row[0].value for row in table.rows} == {"JFK", "EWR"}
        assert {row[1].value for row in table.rows} == {7}
        assert await session.select([]) == []
        assert await session.evaluate("Sum(1)") == everything


@pytest.mark.parametrize(
    ("selections", "field"),
    [
        ([Selection(field="origin", values=("XXX",))], "origin"),
        ([Selection(field="origin", values=("JFK", "XXX"))], "origin"),
        ([Selection(field="no such field", values=("JFK",))], "no such field"),
        ([Selection(field="month", values=(7, 99))], "month"),
        # AS flies from EWR only: possible alone, impossible together
        ([Selection(field="carrier", values=("AS",)), Selection(field="origin", values=("JFK",))], "origin"),
        ([Selection(field="origin", values=("JFK",)), Selection(field="carrier", values=("AS",))], "carrier"),
    ],
)
async def test_a_filter_that_cannot_be_proved_fails_and_names_field_and_values(
    simulated: SimulatedSite, selections: list[Selection], field: str
) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        with pytest.raises(SelectionNotProved) as caught:
            await session.select(selections)
    assert caught.value.field == field
    assert str(caught.value.asked[0]) in str(caught.value)
    assert not caught.value.transient


async def test_numbers_written_as_text_select_the_number(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        proved = await session.select([Selection(field="month", values=("7", "8"))])
        assert [v.number for v in proved[0].values] == [7, 8]


async def test_two_filters_on_one_field_are_refused(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        with pytest.raises(ConfigurationError, match="Two filters"):
            await session.select(
                [Selection(field="origin", values=("JFK",)), Selection(field="[origin]", values=("EWR",))]
            )


async def test_an_expression_is_checked_before_it_is_evaluated(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        value = await session.evaluate("Count(flight)")
        assert value.number == 336776
        with pytest.raises(ConfigurationError, match="nosuchfield"):
            await session.evaluate("Sum(nosuchfield)")
        with pytest.raises(ConfigurationError, match="not valid"):
            await session.evaluate("Sum(")


async def test_variables_have_text_and_number_and_unknown_ones_are_named(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        names = await session.variables()
        assert names
        assert (await session.variable(names[0])).text
        with pytest.raises(ConfigurationError, match="no variable 'nope'"):
            await session.variable("nope")


async def test_field_values_are_those_possible_under_the_filters(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        assert {v.text for v in await session.field_values("origin", limit=10)} == {"JFK", "EWR", "LGA"}
        await session.select([Selection(field="carrier", values=("AS",))])
        assert [v.text for v in await session.field_values("origin", limit=10)] == ["EWR"]
        assert [v.text for v in await session.field_values("carrier", limit=10)] == ["AS"]


async def test_more_field_values_than_allowed_are_an_error_or_cut_on_demand(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        with pytest.raises(LimitReached, match="105"):
            await session.field_values("dest", limit=100)
        assert len(await session.field_values("dest", limit=100, truncate=True)) == 100


async def test_a_table_has_typed_columns_totals_and_sorting(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        table = await session.table(
            [Dimension("date", label="Day"), "origin"],
            [Measure("Count(flight)", label="Flights")],
            sort=[Sort(2, descending=True)],
        )
        assert [(c.name, c.kind) for c in table.columns] == [
            ("Day", "date"),
            ("origin", "text"),
            ("Flights", "number"),
        ]
        counts = [row[2].value for row in table.rows]
        assert counts == sorted(counts, reverse=True)  # type: ignore[type-var]
        assert all(isinstance(row[0].value, datetime) for row in table.rows)
        assert table.totals[0].value == 336776 == sum(counts)  # type: ignore[arg-type]
        assert table.total_rows == len(table.rows)


async def test_more_rows_than_allowed_are_an_error_or_cut_on_demand(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        with pytest.raises(LimitReached, match=r"105 rows, allowed are 10"):
            await session.table(["dest"], ["Count(flight)"], max_rows=10)
        cut = await session.table(["dest"], ["Count(flight)"], max_rows=10, truncate=True)
        assert len(cut.rows) == 10
        assert cut.truncated
        assert cut.total_rows == 105


async def test_a_table_names_the_bad_field_before_anything_is_calculated(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        with pytest.raises(ConfigurationError, match="nosuch"):
            await session.table(["nosuch"], ["Count(flight)"])
        with pytest.raises(ConfigurationError, match="Cannot sort by column 2"):
            await session.table(["origin"], ["Count(flight)"], sort=[Sort(2)])


@pytest.mark.parametrize(
    "object_id", ["kpi-flights", "bar-airlines", "line-delay", "table-airlines", "filter-origin"]
)
async def test_an_object_gives_its_rows(simulated: SimulatedSite, object_id: str) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        table = await session.object_table(object_id)
        assert table.rows
        assert all(len(row) == len(table.columns) for row in table.rows)


async def test_an_object_shows_only_what_the_filters_leave(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        before = await session.object_table("kpi-flights")
        await session.select([Selection(field="origin", values=("JFK",))])
        after = await session.object_table("kpi-flights")
        assert before.rows[0][0].value == 336776
        assert after.rows[0][0].value == (await session.evaluate("Count(flight)")).number == 111279


async def test_a_pivot_has_header_paths_and_the_same_sums_as_the_data(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        await session.select([Selection(field="origin", values=("LGA",))])
        pivot = await session.object_pivot("pivot-origin")
        flat = await session.object_table("pivot-origin")
        total = (await session.evaluate("Count(flight)")).number
    assert len(pivot.rows) == len(pivot.cells)
    assert {path[0].text for path in pivot.rows if path[0].kind == "normal"} == {"LGA"}
    assert [path[0].text for path in pivot.columns] == [str(month) for month in range(1, 13)]
    leaves = [i for i, path in enumerate(pivot.rows) if all(h.kind == "normal" for h in path)]
    assert sum(c.value or 0 for i in leaves for c in pivot.cells[i]) == total  # type: ignore[misc]
    assert [c.name for c in flat.columns[:2]] == ["Origin", "Airline"]
    assert len(flat.rows) == len(pivot.rows)


async def test_a_pivot_read_in_many_pages_is_the_same_as_in_one(
    simulated: SimulatedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        whole = await session.object_pivot("pivot-origin")
        monkeypatch.setattr(paging.bands, "__kwdefaults__", {"max_cells": 5})
        pieces = await session.object_pivot("pivot-origin")
    assert pieces == whole


async def test_a_stacked_chart_gives_a_row_per_innermost_group(
    simulated: SimulatedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        table = await session.object_table("stack-airlines")
        flat = await session.table(["name", "origin"], ["Count(flight)"])
        monkeypatch.setattr(paging.bands, "__kwdefaults__", {"max_cells": 6})
        pieces = await session.object_table("stack-airlines")
    assert [c.name for c in table.columns] == ["Airline", "Origin", "Flights"]
    assert sorted(map(str, table.values())) == sorted(map(str, flat.values()))
    assert pieces.values() == table.values()


async def test_a_container_names_its_children_and_an_unknown_object_is_named(
    simulated: SimulatedSite,
) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        with pytest.raises(ConfigurationError, match="filter-carrier"):
            await session.object_table("filters")
        with pytest.raises(ConfigurationError, match="no object 'nope'"):
            await session.object_table("nope")
        assert [c.id for c in await session.children("filters")] == [
            "filter-carrier",
            "filter-origin",
            "filter-month",
        ]


async def test_sheets_and_fields_are_listed(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        sheets = await session.sheets()
        assert "table-airlines" in {item.id for sheet in sheets for item in sheet.objects}
        assert {"origin", "carrier"} <= {field.name for field in await session.fields()}


async def test_master_items_are_listed_and_make_a_table(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        items = {item.id: item for item in await session.master_items()}
        assert ("Airline", "dimension") == (items["dim-airline"].title, items["dim-airline"].kind)
        assert ("Flights", "measure") == (items["measure-flights"].title, items["measure-flights"].kind)
        table = await session.table(
            [Dimension(library_id="dim-airline")], [Measure(library_id="measure-flights")]
        )
    assert ["Airline", "Flights"] == [column.name for column in table.columns]
    assert 336_776 == table.totals[0].value


async def test_aborts_that_never_end_are_given_up(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        await fault(simulated, kind="error", code=15, method="GetHyperCubeData", times=100)
        with pytest.raises(Aborted):
            await session.table(["origin"], ["Count(flight)"])


@pytest.mark.parametrize(
    ("code", "kind"),
    [(7004, Transient), (11000, Transient), (5, QlikError), (6001, LimitReached)],
)
async def test_an_engine_error_is_raised_by_its_class(
    simulated: SimulatedSite, code: int, kind: type[QlikError]
) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        await fault(simulated, kind="error", code=code, method="EvaluateEx")
        with pytest.raises(kind) as caught:
            await session.evaluate("Count(flight)")
    assert caught.value.code == code


async def test_an_app_that_is_not_there_is_named(simulated: SimulatedSite) -> None:
    async with simulated.client() as client:
        with pytest.raises(QlikError) as caught:
            async with client.session("00000000-0000-0000-0000-000000000000"):
                pass
    assert "app" in str(caught.value).lower()


async def test_a_new_session_after_a_reload_says_when_it_was_and_the_open_one_keeps_its_data(
    simulated: SimulatedSite,
) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        before = session.layout.last_reload_time
        await simulated.control("POST", "/_sim/reload", json={"app_id": FLIGHTS})
        async with client.session(FLIGHTS) as later:
            assert before is not None
            assert later.layout.last_reload_time is not None
            assert later.layout.last_reload_time > before
        assert (await session.evaluate("Count(flight)")).number == 336776


async def test_only_as_many_sessions_are_open_as_allowed(simulated: SimulatedSite) -> None:
    most = 0

    async def job(client: Any) -> None:
        nonlocal most
        async with client.session(FLIGHTS):
            state = await simulated.control("GET", "/_sim/state")
            most = max(most, sum(1 for s in state["sessions"] if s["sockets"]))

    async with simulated.client(sessions_per_user=2) as client:
        await asyncio.gather(*(job(client) for _ in range(6)))
    assert most == 2


async def test_an_unmet_calculation_condition_is_an_error_with_the_authors_words(
    simulated: SimulatedSite,
) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        cube = {
            "qDimensions": [{"qDef": {"qFieldDefs": ["origin"]}}],
            "qMeasures": [{"qDef": {"qDef": "Count(flight)"}}],
            "qInitialDataFetch": [],
            "qCalcCondition": {"qCond": {"qv": "Count(flight) < 10"}, "qMsg": {"qv": "Choose fewer flights"}},
        }
        made = await session.connection.call_object(
            session.doc.handle,
            "CreateSessionObject",
            {
                "qInfo": {"qType": "table", "qId": "conditional"},
                "qHyperCubeDef": cube,
                "visualization": "table",
            },
            missing="",
        )
        assert made.id == "conditional"
        with pytest.raises(CalculationFailed) as caught:
            await session.object_table("conditional")
    assert caught.value.code == 7005
    assert "Choose fewer flights" in str(caught.value)
