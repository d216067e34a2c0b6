"""Pivot and stacked cubes: shapes as recorded from a real engine, numbers as the straight table has them."""

from typing import Any

import pytest

from qlik_simulator.app import Running
from support.simulator import Json, Rpc, RpcError, cube_definition, engine, rows

pytestmark = pytest.mark.integration
PATH = "/qHyperCubeDef"


def leaves(nodes: list[Json], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The texts on the way to every leaf."""
    found: list[tuple[str, ...]] = []
    for node in nodes:
        path = (*above, node["qText"])
        found += leaves(node["qSubNodes"], path) if node["qSubNodes"] else [path]
    return found


async def made(
    rpc: Rpc, doc: int, dimensions: list[Any], measures: list[str], **more: Any
) -> tuple[int, Json]:
    page = [{"qLeft": 0, "qTop": 0, "qWidth": 50, "qHeight": 200}]
    definition = cube_definition(dimensions, measures, qMode="P", qInitialDataFetch=page, **more)
    handle = await rpc.handle(
        doc, "CreateSessionObject", {"qInfo": {"qType": "t"}, "qHyperCubeDef": definition}
    )
    cube: Json = (await rpc.call(handle, "GetLayout"))["qLayout"]["qHyperCube"]
    return handle, cube


async def test_a_pivot_has_the_numbers_of_the_straight_table(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        straight = {
            tuple(row[:3]): row[3]
            for row in rows(await rpc.cube(doc, ["origin", "carrier", "month"], ["Sum(distance)"]))
        }
        more = {"qNoOfLeftDims": 2, "qAlwaysFullyExpanded": True, "qInterColumnSortOrder": [0, 1, 2]}
        _, cube = await made(rpc, doc, ["origin", "carrier", "month"], ["Sum(distance)"], **more)
        page = cube["qPivotDataPages"][0]
        left, top = leaves(page["qLeft"]), leaves(page["qTop"])
        assert len(left) == len(page["qData"]) == page["qArea"]["qHeight"] == cube["qSize"]["qcy"] == 35
        assert len(top) == len(page["qData"][0]) == page["qArea"]["qWidth"] == cube["qSize"]["qcx"] == 12
        assert cube["qEffectiveInterColumnSortOrder"] == [0, 1, 2]
        found = {
            (*row, *column): page["qData"][y][x]["qNum"]
            for y, row in enumerate(left)
            for x, column in enumerate(top)
            if page["qData"][y][x]["qType"] == "V"
        }
        assert found == straight


async def test_several_measures_stand_in_a_pseudo_dimension(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        more = {"qNoOfLeftDims": 1, "qAlwaysFullyExpanded": True}
        _, cube = await made(rpc, doc, ["origin"], ["Count(flight)", "Avg(distance)"], **more)
        page = cube["qPivotDataPages"][0]
        assert cube["qEffectiveInterColumnSortOrder"] == [0, -1]
        assert [(node["qText"], node["qType"]) for node in page["qTop"]] == [
            ("Count(flight)", "P"),
            ("Avg(distance)", "P"),
        ]
        assert page["qData"][0][0]["qNum"] == 120835
        order = {"qInterColumnSortOrder": [-1, 0], "qNoOfLeftDims": 2, "qAlwaysFullyExpanded": True}
        _, turned = await made(rpc, doc, ["origin"], ["Count(flight)", "Avg(distance)"], **order)
        page = turned["qPivotDataPages"][0]
        assert [node["qType"] for node in page["qLeft"]] == ["P", "P"]
        assert page["qTop"] == []
        assert turned["qSize"] == {"qcx": 1, "qcy": 6}


async def test_nodes_open_and_close(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        handle, cube = await made(rpc, doc, ["origin", "carrier"], ["Count(flight)"], qNoOfLeftDims=2)
        assert cube["qSize"]["qcy"] == 3
        assert [node["qCanExpand"] for node in cube["qPivotDataPages"][0]["qLeft"]] == [True] * 3
        assert [row[0]["qNum"] for row in cube["qPivotDataPages"][0]["qData"]] == [120835, 111279, 104662]
        await rpc.call(handle, "ExpandLeft", PATH, 1, 0, False)
        opened = (await rpc.call(handle, "GetLayout"))["qLayout"]["qHyperCube"]
        assert opened["qSize"]["qcy"] == 1 + 10 + 1
        assert len(opened["qPivotDataPages"][0]["qLeft"][1]["qSubNodes"]) == 10
        await rpc.call(handle, "CollapseLeft", PATH, 1, 0, False)
        assert (await rpc.call(handle, "GetLayout"))["qLayout"]["qHyperCube"]["qSize"]["qcy"] == 3
        await rpc.call(handle, "ExpandLeft", PATH, 0, 0, True)
        assert (await rpc.call(handle, "GetLayout"))["qLayout"]["qHyperCube"]["qSize"]["qcy"] == 35


async def test_totals_are_calculated_not_added_up(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        total = {
            "qDef": {"qFieldDefs": ["origin"], "qSortCriterias": [{"qSortByAscii": 1}]},
            "qOtherTotalSpec": {"qTotalMode": "TOTAL_EXPR"},
        }
        _, cube = await made(rpc, doc, [total], ["Avg(distance)"], qNoOfLeftDims=1, qAlwaysFullyExpanded=True)
        page = cube["qPivotDataPages"][0]
        assert [node["qType"] for node in page["qLeft"]] == ["N", "N", "N", "T"]
        assert page["qLeft"][3]["qElemNo"] == -1
        expected = (await rpc.call(doc, "EvaluateEx", "Avg(distance)"))["qValue"]["qNumber"]
        assert page["qData"][3][0]["qNum"] == pytest.approx(expected)
        assert page["qData"][3][0]["qType"] == "T"


async def test_a_page_inside_a_group_says_how_much_lies_outside(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        more = {"qNoOfLeftDims": 2, "qAlwaysFullyExpanded": True}
        handle, _ = await made(rpc, doc, ["origin", "carrier"], ["Count(flight)"], **more)
        page = {"qLeft": 0, "qTop": 5, "qWidth": 1, "qHeight": 10}
        found = (await rpc.call(handle, "GetHyperCubePivotData", PATH, [page]))["qDataPages"][0]
        first, last = found["qLeft"][0], found["qLeft"][-1]
        assert (first["qText"], first["qUp"], len(first["qSubNodes"])) == ("EWR", 5, 7)
        assert (last["qText"], last["qDown"], len(last["qSubNodes"])) == ("JFK", 7, 3)
        assert len(found["qData"]) == 10


async def test_the_wrong_kind_of_page_is_refused(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        handle, _ = await made(rpc, doc, ["origin"], ["Count(flight)"])
        with pytest.raises(RpcError):
            await rpc.call(
                handle, "GetHyperCubeData", PATH, [{"qLeft": 0, "qTop": 0, "qWidth": 1, "qHeight": 1}]
            )


async def test_a_stacked_cube_nests_values_below_two_dimensions(simulator: Running) -> None:
    async with engine(simulator) as rpc:
        doc = await rpc.open()
        handle = await rpc.handle(doc, "GetObject", "stack-airlines")
        cube = (await rpc.call(handle, "GetLayout"))["qLayout"]["qHyperCube"]
        root = cube["qStackedDataPages"][0]["qData"][0]
        assert root["qType"] == "R"
        straight = {
            tuple(row[:2]): row[2] for row in rows(await rpc.cube(doc, ["name", "origin"], ["Count(flight)"]))
        }
        found = {
            (outer["qText"], inner["qText"]): inner["qSubNodes"][0]["qValue"]
            for outer in root["qSubNodes"]
            for inner in outer["qSubNodes"]
        }
        assert found == straight
        for outer in root["qSubNodes"]:
            assert outer["qMaxPos"] == sum(inner["qMaxPos"] for inner in outer["qSubNodes"])
        assert root["qMaxPos"] == 336776
        page = {"qLeft": 0, "qTop": 2, "qWidth": 20, "qHeight": 3}
        part = (await rpc.call(handle, "GetHyperCubeStackData", PATH, [page]))["qDataPages"][0]
        assert [node["qRow"] for node in part["qData"][0]["qSubNodes"]] == [2, 3, 4]
