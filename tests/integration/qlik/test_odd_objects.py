"""Objects whose data does not lie in a plain cube of their own, on an engine that says what it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from qlik import CertificateAuth, ConfigurationError, Limits, QlikClient, QlikSite
from support.scripted_engine import ScriptedEngine, scripted_engine

pytestmark = pytest.mark.integration

INFO = {"qFallbackTitle": "n", "qNumFormat": {"qType": "U"}}


def cube(rows: int = 1, **more: Any) -> dict[str, Any]:
    return {"qMode": "S", "qSize": {"qcx": 1, "qcy": rows}, "qMeasureInfo": [INFO], **more}


@pytest.fixture
async def engine() -> AsyncIterator[ScriptedEngine]:
    async with scripted_engine() as made:
        made.answers["GetObject"] = {"qReturn": {"qHandle": 2, "qGenericId": "x"}}
        yield made


def client(engine: ScriptedEngine) -> QlikClient:
    auth = CertificateAuth(user_directory="D", user_id="u")
    return QlikClient(
        QlikSite(kind="client-managed", engine_url=engine.url, auth=auth, limits=Limits(connect_s=5))
    )


def paged(engine: ScriptedEngine) -> None:
    """Answer every page with its own path."""

    def page(request: dict[str, Any]) -> dict[str, Any]:
        path, (area, *_) = request["params"]
        return {"qDataPages": [{"qMatrix": [[{"qText": path, "qNum": "NaN"}]] * area["qHeight"]}]}

    engine.answers["GetHyperCubeData"] = page


async def test_each_layer_of_a_map_is_a_part_and_a_part_too_many_is_named(engine: ScriptedEngine) -> None:
    layers = {"qUndoExclude": {"gaLayers": [{"qHyperCube": cube()}, {"qHyperCube": cube(2)}]}}
    engine.answers["GetLayout"] = {"qLayout": {"visualization": "map", **layers}}
    paged(engine)
    async with client(engine) as site, site.session("app") as session:
        second = await session.object_table("x", part=1)
        assert [["/qUndoExclude/gaLayers/1/qHyperCubeDef"]] * 2 == second.values()
        with pytest.raises(ConfigurationError, match="has 2 tables"):
            await session.object_table("x", part=2)


async def test_an_auto_chart_is_read_from_a_chart_made_of_what_it_chose(engine: ScriptedEngine) -> None:
    chosen = {"qInfo": {"qId": "theirs", "qType": "barchart"}, "qHyperCubeDef": {"qMode": "S"}}
    layouts = {
        2: {"visualization": "auto-chart", "title": "Auto", "qUndoExclude": {"generated": chosen}},
        3: {"qInfo": {"qType": "barchart"}, "qHyperCube": cube()},
    }
    engine.answers["GetLayout"] = lambda request: {"qLayout": layouts[request["handle"]]}
    engine.answers["CreateSessionObject"] = {"qReturn": {"qHandle": 3, "qGenericId": "made"}}
    paged(engine)
    async with client(engine) as site, site.session("app") as session:
        table = await session.object_table("x")
    assert ("Auto", [["/qHyperCubeDef"]]) == (table.title, table.values())
    made = next(r for r in engine.requests if r["method"] == "CreateSessionObject")
    assert {"qInfo": {"qType": "barchart"}, "qHyperCubeDef": {"qMode": "S"}} == made["params"][0]
    freed = [r["params"] for r in engine.requests if r["method"] == "DestroySessionObject"]
    assert [["made"]] == freed


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        ({"visualization": "treemap", "qHyperCube": cube(qMode="T")}, "keeps its data as a tree"),
        (
            {"visualization": "barchart", "qHyperCube": cube(qMode="K", qMeasureInfo=[INFO, INFO])},
            "two measures of the same title",
        ),
        ({"visualization": "text-image"}, r"\(text-image\) holds no table"),
        ({"visualization": "auto-chart"}, r"\(auto-chart\) holds no table"),
    ],
)
async def test_what_has_no_sure_rows_is_refused_and_says_why(
    engine: ScriptedEngine, layout: dict[str, Any], told: str
) -> None:
    engine.answers["GetLayout"] = {"qLayout": layout}
    engine.answers["GetChildInfos"] = {"qInfos": []}
    async with client(engine) as site, site.session("app") as session:
        with pytest.raises(ConfigurationError, match=told):
            await session.object_table("x")
