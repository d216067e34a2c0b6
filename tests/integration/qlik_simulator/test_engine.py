"""The engine over a real socket. Every frame is judged by Qlik's description where it is at hand."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from qlik_simulator.app import Running
from support.openrpc import openrpc
from support.simulator import FLIGHTS, RpcError, cube_definition, engine, rows

pytestmark = pytest.mark.integration


async def test_greeting_then_open_then_app_layout(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        assert rpc.notifications[0]["method"] == "OnConnected"
        assert rpc.notifications[0]["params"] == {"qSessionState": "SESSION_CREATED"}
        doc = await rpc.open()
        layout = (await rpc.call(doc, "GetAppLayout"))["qLayout"]
        assert layout["qTitle"] == "Flights"
        assert layout["qHasData"] is True
        assert "qIsOpenedWithoutData" not in layout


async def test_no_active_document_is_error_1007_as_recorded(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        with pytest.raises(RpcError) as failure:
            await rpc.call(-1, "GetActiveDoc")
        assert (failure.value.code, failure.value.parameter) == (1007, "No active document")


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("OpenDoc", ["nowhere"], 1003),
        ("OpenDoc", [FLIGHTS], 1002),
        ("OpenDoc", [FLIGHTS, "", "", "", True], 1009),
    ],
)
async def test_open_doc_refuses_with_the_published_codes(
    simulator: Running, method: str, params: list[object], code: int
) -> None:
    async with engine(simulator) as rpc:
        if code != 1003:
            await rpc.open()
        with pytest.raises(RpcError) as failure:
            await rpc.call(-1, method, *params)
        assert failure.value.code == code


async def test_json_rpc_errors(simulator: Running) -> None:
    async with engine(simulator, judged=False) as rpc:
        doc = await rpc.open()
        for method, code in (("NoSuchMethod", -32601), ("GetField", -32602)):
            with pytest.raises(RpcError) as failure:
                await rpc.call(doc, method)
            assert failure.value.code == code
        await rpc.socket.send("{not json")
        assert (await rpc.read())["error"]["code"] == -32700
        await rpc.socket.send(json.dumps({"jsonrpc": "2.0", "id": 99}))
        assert (await rpc.read())["error"]["code"] == -32600


async def test_unknown_object_is_no_error_but_null_members(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        assert (await rpc.call(doc, "GetObject", "nix"))["qReturn"] == {"qType": None, "qHandle": None}


async def test_a_socket_without_credentials_is_refused_with_401(simulator: Running) -> None:
    url = f"ws://127.0.0.1:{simulator.engine_port}/app/{FLIGHTS}"
    for headers in ({}, {"Authorization": "Bearer nobody"}, {"X-Qlik-User": "nonsense"}):
        with pytest.raises(InvalidStatus) as failure:
            async with connect(url, additional_headers=headers):
                pass
        assert failure.value.response.status_code == 401


async def test_every_object_of_the_flights_app_has_a_layout(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        infos = (await rpc.call(doc, "GetAllInfos"))["qInfos"]
        objects = [
            info["qId"]
            for info in infos
            if info["qType"] not in {"dimension", "measure", "variable", "bookmark"}
        ]
        assert "sheet-overview" in objects
        for object_id in objects:
            made = await rpc.handle(doc, "GetObject", object_id)
            layout = (await rpc.call(made, "GetLayout"))["qLayout"]
            assert layout["qInfo"]["qId"] == object_id
            assert "qError" not in layout.get("qHyperCube", {})


async def test_sheet_list_shows_the_sheet_and_its_cells(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        data = {"title": "/qMetaDef/title", "cells": "/cells", "rank": "/rank", "columns": "/columns"}
        made = await rpc.handle(
            doc,
            "CreateSessionObject",
            {"qInfo": {"qType": "SheetList"}, "qAppObjectListDef": {"qType": "sheet", "qData": data}},
        )
        items = (await rpc.call(made, "GetLayout"))["qLayout"]["qAppObjectList"]["qItems"]
        assert [item["qData"]["title"] for item in items] == ["Overview"]
        assert {cell["name"] for cell in items[0]["qData"]["cells"]} >= {
            "kpi-flights",
            "bar-airlines",
            "filters",
        }


async def test_fields_variables_and_master_items_are_listed(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        for name, member, expected in (
            ("qFieldListDef", "qFieldList", "carrier"),
            ("qVariableListDef", "qVariableList", "vLate"),
            ("qMeasureListDef", "qMeasureList", "measure-flights"),
            ("qDimensionListDef", "qDimensionList", "dim-airline"),
            ("qBookmarkListDef", "qBookmarkList", "bookmark-jfk-summer"),
        ):
            properties = {"qInfo": {"qType": "list"}, name: {"qType": "x"}}
            made = await rpc.handle(doc, "CreateSessionObject", properties)
            items = (await rpc.call(made, "GetLayout"))["qLayout"][member]["qItems"]
            assert expected in [item.get("qName") or item["qInfo"]["qId"] for item in items]


async def test_a_selection_filters_the_cube_and_is_told_in_the_change_list(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        properties = {
            "qInfo": {"qType": "t"},
            "qHyperCubeDef": cube_definition(["origin"], ["Count(flight)"]),
        }
        made = await rpc.handle(doc, "CreateSessionObject", properties)
        assert await rpc.select(doc, "origin", "JFK", "LGA")
        assert set(rpc.last["change"]) == {doc, made}
        cube = (await rpc.call(made, "GetLayout"))["qLayout"]["qHyperCube"]
        assert rows(cube) == [["JFK", 111279], ["LGA", 104662]]
        assert cube["qDimensionInfo"][0]["qStateCounts"]["qAlternative"] == 1
        assert cube["qGrandTotalRow"][0]["qNum"] == 215941
        first = cube["qDataPages"][0]["qMatrix"][0]
        assert first[0] == {"qText": "JFK", "qNum": "NaN", "qElemNumber": 2, "qState": "S"}
        assert first[1] == {"qText": "111279", "qNum": 111279, "qElemNumber": 0, "qState": "L"}


async def test_a_conflicting_selection_drops_the_earlier_one_unless_it_is_locked(simulator: Running) -> None:
    """Alaska Airlines flies from EWR only."""
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        assert await rpc.select(doc, "carrier", "AS")
        assert await rpc.select(doc, "origin", "JFK")
        assert set(await rpc.selections(doc)) == {"origin"}
        await rpc.call(doc, "ClearAll", True)
        assert await rpc.select(doc, "carrier", "AS")
        field = await rpc.handle(doc, "GetField", "carrier")
        assert (await rpc.call(field, "Lock"))["qReturn"]
        assert not await rpc.select(doc, "origin", "JFK")
        found = await rpc.selections(doc)
        assert set(found) == {"carrier"}
        assert found["carrier"]["qLocked"] is True


async def test_selecting_what_does_not_exist_changes_nothing_and_answers_false(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        assert await rpc.select(doc, "carrier", "AA")
        assert not await rpc.select(doc, "carrier", "nobody")
        assert (await rpc.selections(doc))["carrier"]["qSelected"] == "AA"


async def test_more_than_ten_thousand_cells_over_all_pages_is_error_7009(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        properties = {
            "qInfo": {"qType": "t"},
            "qHyperCubeDef": cube_definition(["flight"], ["Count(flight)"]),
        }
        made = await rpc.handle(doc, "CreateSessionObject", properties)
        page = {"qLeft": 0, "qTop": 0, "qWidth": 2, "qHeight": 2501}
        with pytest.raises(RpcError) as failure:
            await rpc.call(made, "GetHyperCubeData", "/qHyperCubeDef", [page, page])
        assert failure.value.code == 7009
        pages = (await rpc.call(made, "GetHyperCubeData", "/qHyperCubeDef", [page]))["qDataPages"]
        assert len(pages[0]["qMatrix"]) == 2501


async def test_pages_join_to_the_whole_cube_without_overlap(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        properties = {
            "qInfo": {"qType": "t"},
            "qHyperCubeDef": cube_definition(["tailnum"], ["Count(flight)"]),
        }
        made = await rpc.handle(doc, "CreateSessionObject", properties)
        size = (await rpc.call(made, "GetLayout"))["qLayout"]["qHyperCube"]["qSize"]
        seen: list[int] = []
        for top in range(0, size["qcy"], 1000):
            page = {"qLeft": 0, "qTop": top, "qWidth": 2, "qHeight": 1000}
            found = (await rpc.call(made, "GetHyperCubeData", "/qHyperCubeDef", [page]))["qDataPages"][0]
            assert found["qArea"]["qHeight"] == len(found["qMatrix"])
            seen += [row[0]["qElemNumber"] for row in found["qMatrix"]]
        assert len(seen) == len(set(seen)) == size["qcy"] == 4044  # 4043 tail numbers, and none
        assert -2 in seen


async def test_missing_dimension_value_is_a_dash_and_can_be_suppressed(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        await rpc.select(doc, "carrier", "9E")
        cube = await rpc.cube(doc, ["tailnum"], ["Count(flight)"])
        empty = [row for row in cube["qDataPages"][0]["qMatrix"] if row[0].get("qIsNull")]
        assert [row[0]["qElemNumber"] for row in empty] == [-2]
        dimension = {"qDef": {"qFieldDefs": ["tailnum"]}, "qNullSuppression": True}
        suppressed = await rpc.cube(doc, [dimension], ["Count(flight)"])
        assert suppressed["qSize"]["qcy"] == cube["qSize"]["qcy"] - 1


async def test_two_sockets_of_one_session_share_selections_and_tell_each_other(simulator: Running) -> None:
    """The most dangerous property of the real engine, which the simulator must not hide."""
    async with engine(simulator, identity="shared") as first, engine(simulator, identity="shared") as second:
        assert second.notifications[0]["params"]["qSessionState"] == "SESSION_ATTACHED"
        doc = await first.open()
        other = await second.handle(-1, "GetActiveDoc")
        await first.select(doc, "origin", "JFK")
        while not second.pushes:
            await second.read()
        assert other in second.pushes[0]["change"]
        cube = await second.cube(other, ["origin"], ["Count(flight)"])
        assert rows(cube) == [["JFK", 111279]]


async def test_a_different_identity_is_a_session_of_its_own(simulator: Running) -> None:
    async with engine(simulator) as first, engine(simulator) as second:
        doc, other = await first.open(), await second.open()
        await first.select(doc, "origin", "JFK")
        assert await second.selections(other) == {}
        assert second.notifications[0]["params"]["qSessionState"] == "SESSION_CREATED"


async def test_a_session_lingers_for_its_ttl_and_then_is_gone(simulator: Running) -> None:
    async with engine(simulator, identity="lingers", ttl="/ttl/60") as first:
        await first.select(await first.open(), "origin", "JFK")
    async with engine(simulator, identity="lingers", ttl="/ttl/0") as again:
        assert again.notifications[0]["params"]["qSessionState"] == "SESSION_ATTACHED"
        doc = await again.handle(-1, "GetActiveDoc")
        assert set(await again.selections(doc)) == {"origin"}
    for _ in range(100):
        async with engine(simulator, identity="lingers", ttl="/ttl/0") as fresh:
            if fresh.notifications[0]["params"]["qSessionState"] == "SESSION_CREATED":
                return
        await asyncio.sleep(0.01)
    pytest.fail("a session with ttl 0 did not go away")


async def test_a_selection_of_one_socket_aborts_what_the_other_is_calculating(simulator: Running) -> None:
    async with engine(simulator, identity="aborts") as first, engine(simulator, identity="aborts") as second:
        doc = await first.open()
        other = await second.handle(-1, "GetActiveDoc")
        field = await second.handle(other, "GetField", "origin")
        definition = cube_definition(["tailnum", "dest", "date"], ["Sum(distance)", "Avg(air_time)"])
        properties = {"qInfo": {"qType": "t"}, "qHyperCubeDef": definition}
        made = await first.handle(doc, "CreateSessionObject", properties)
        waiting = await first.post(made, "GetLayout")
        await asyncio.sleep(0.05)  # the calculation takes some hundred milliseconds
        await second.call(field, "SelectValues", [{"qText": "JFK"}])
        with pytest.raises(RpcError) as failure:
            await first.reply(waiting)
        assert (failure.value.code, failure.value.parameter) == (15, "Failure")


async def test_delta_replies_build_up_to_the_same_layout(simulator: Running) -> None:
    """The judge applies the patches; what comes out has to be what a reply without delta says."""
    openrpc()
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        properties = {
            "qInfo": {"qType": "t"},
            "qHyperCubeDef": cube_definition(["carrier"], ["Count(flight)"]),
        }
        made = await rpc.handle(doc, "CreateSessionObject", properties)
        first = await rpc.call(made, "GetLayout", delta=True)
        assert first["qLayout"][0]["op"] == "add"
        assert first["qLayout"][0]["path"] == "/"
        assert (await rpc.call(made, "GetLayout", delta=True))["qLayout"] == []
        for values in (["AA"], ["AA", "UA", "B6"], ["9E"]):
            await rpc.select(doc, "carrier", *values)
            await rpc.call(made, "GetLayout", delta=True)
            plain = (await rpc.call(made, "GetLayout"))["qLayout"]
            assert rpc.judge is not None
            assert rpc.judge._values[made, "GetLayout", "qLayout"] == plain


async def test_what_the_simulator_cannot_calculate_is_refused_by_name(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        for expression, name in (
            ("Aggr(Sum(distance), carrier)", "aggr"),
            ("Sum(TOTAL <origin> distance)", "TOTAL with a list of fields"),
            ("Rank(Sum(distance))", "rank"),
            ("Sum({<carrier=P({<origin={JFK}>})>} distance)", "P()"),
        ):
            cube = await rpc.cube(doc, ["origin"], [expression])
            assert cube["qError"]["qErrorCode"] == 20
            assert name in cube["qError"]["qExtendedMessage"]
            assert cube["qDataPages"] == []


async def test_an_unmet_calculation_condition_is_an_empty_cube_with_error_7005(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        condition = {"qCond": {"qv": "Count(distinct origin)=1"}, "qMsg": {"qv": "Select one origin"}}
        cube = await rpc.cube(doc, ["origin"], ["Count(flight)"], qCalcCondition=condition)
        assert cube["qError"]["qErrorCode"] == 7005
        assert cube["qCalcCondMsg"] == "Select one origin"
        await rpc.select(doc, "origin", "JFK")
        assert rows(await rpc.cube(doc, ["origin"], ["Count(flight)"], qCalcCondition=condition)) == [
            ["JFK", 111279]
        ]


async def test_variables_are_of_the_session_and_change_expressions(simulator: Running) -> None:
    async with engine(simulator) as rpc, engine(simulator) as other:
        doc, untouched = await rpc.open(), await other.open()
        expression = "Sum(If(dep_delay>=$(vLate),1,0))"
        before = (await rpc.call(doc, "EvaluateEx", expression))["qValue"]["qNumber"]
        variable = await rpc.handle(doc, "GetVariableByName", "vLate")
        await rpc.call(variable, "SetStringValue", "60")
        after = (await rpc.call(doc, "EvaluateEx", expression))["qValue"]["qNumber"]
        assert after < before
        assert (await other.call(untouched, "EvaluateEx", expression))["qValue"]["qNumber"] == before


async def test_bookmark_and_alternate_state(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        assert (await rpc.call(doc, "ApplyBookmark", "bookmark-jfk-summer"))["qSuccess"]
        found = await rpc.selections(doc)
        assert found["month"]["qSelectedCount"] == 3
        assert found["origin"]["qSelected"] == "JFK"
        await rpc.call(doc, "AddSessionAlternateState", "Other")
        field = await rpc.handle(doc, "GetField", "origin", "Other")
        await rpc.call(field, "SelectValues", [{"qText": "EWR"}])
        cube = await rpc.cube(doc, ["origin"], ["Count(flight)"], qStateName="Other")
        assert rows(cube) == [["EWR", 120835]]
        assert set(await rpc.selections(doc)) == {"month", "origin"}


async def test_selection_mode_of_one_object_keeps_others_out(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        first = await rpc.handle(doc, "GetObject", "filter-carrier")
        second = await rpc.handle(doc, "GetObject", "filter-origin")
        await rpc.call(first, "BeginSelections", ["/qListObjectDef"])
        with pytest.raises(RpcError) as failure:
            await rpc.call(second, "BeginSelections", ["/qListObjectDef"])
        assert failure.value.code == 6003
        await rpc.call(first, "SelectListObjectValues", "/qListObjectDef", [0, 1], False)
        await rpc.call(first, "EndSelections", False)
        assert await rpc.selections(doc) == {}


async def test_search_in_a_list_object_shows_and_selects_what_it_finds(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        made = await rpc.handle(doc, "GetObject", "filter-carrier")
        assert (await rpc.call(made, "SearchListObjectFor", "/qListObjectDef", "*Air Lines*"))["qSuccess"]
        page = {"qLeft": 0, "qTop": 0, "qWidth": 1, "qHeight": 100}
        found = (await rpc.call(made, "GetListObjectData", "/qListObjectDef", [page]))["qDataPages"][0][
            "qMatrix"
        ]
        assert {row[0]["qText"] for row in found} == {"Delta Air Lines Inc.", "United Air Lines Inc."}
        await rpc.call(made, "AcceptListObjectSearch", "/qListObjectDef", False)
        assert (await rpc.selections(doc))["name"]["qSelectedCount"] == 2


async def test_a_destroyed_session_object_is_in_the_close_list(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        properties = {
            "qInfo": {"qType": "t", "qId": "mine"},
            "qHyperCubeDef": cube_definition([], ["Count(flight)"]),
        }
        made = await rpc.handle(doc, "CreateSessionObject", properties)
        assert (await rpc.call(doc, "DestroySessionObject", "mine"))["qSuccess"]
        assert rpc.last["close"] == [made]


async def test_an_app_opened_without_data_says_so(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.handle(-1, "OpenDoc", FLIGHTS, "", "", "", True)
        layout = (await rpc.call(doc, "GetAppLayout"))["qLayout"]
        assert layout["qIsOpenedWithoutData"] is True
        assert "qHasData" not in layout


async def test_check_expression_names_unknown_fields_by_position(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        checked = await rpc.call(doc, "CheckExpression", "Sum(distance) / Sum(miles)")
        assert checked["qBadFieldNames"] == [{"qFrom": 20, "qCount": 5}]
        assert (await rpc.call(doc, "EvaluateEx", "Sum(miles)"))["qValue"]["qNumber"] == 0


async def test_soft_patches_change_the_layout_and_can_be_taken_away(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        made = await rpc.handle(doc, "GetObject", "bar-airlines")
        patch = {"qOp": "replace", "qPath": "/title", "qValue": '"Patched"'}
        await rpc.call(made, "ApplyPatches", [patch], True)
        assert (await rpc.call(made, "GetLayout"))["qLayout"]["title"] == "Patched"
        assert (await rpc.call(made, "GetLayout"))["qLayout"]["qHasSoftPatches"] is True
        await rpc.call(made, "ClearSoftPatches")
        assert (await rpc.call(made, "GetLayout"))["qLayout"]["title"] == "Flights by airline"


async def test_the_judge_finds_what_is_wrong() -> None:
    """A judge that never complains proves nothing."""
    description = openrpc()
    assert description.check_schema("NxCell", {"qText": 5})
    assert description.check_schema("NxCell", {"qState": "ZZ"})
    assert not description.check_schema("NxCell", {"qState": "LOCKED", "qNum": "NaN"})
    assert description.check_parameters("Doc", "GetField", [])
    assert description.check_parameters("Doc", "GetField", ["a", "b", "c"])
    assert description.check_error({"code": 15, "message": "something else"})
    assert description.check_result("Doc", "GetField", {"qOther": 1})
