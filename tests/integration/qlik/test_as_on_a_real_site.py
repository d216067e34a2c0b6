"""Client and simulator as on real sites: how engines describe, select, greet and leave out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import websockets

from generator.adapters.qlik_data import field_table, object_table
from qlik import ConfigurationError, Selection
from qlik.model import FieldValue
from qlik.rpc import GLOBAL
from qlik.unsettled import ask
from support.qlik_site import SimulatedSite, simulated_site

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("judges")]

APP = "real"
TABLE: dict[str, Any] = {
    "qDimensions": [{"qDef": {"qFieldDefs": ["year"]}}],
    "qMeasures": [{"qDef": {"qDef": "Avg(amount)"}}, {"qDef": {"qDef": "Max(day)"}}],
}
ROWS = """currency,year,day,amount,article
EUR,2023,2024-05-01,0.25,007
EUR,2024,2024-05-02,12.5,7
USD,2023,2024-05-01,0.75,000123
USD,2024,2024-05-02,3.2,A
"""


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SimulatedSite]:
    folder: Path = tmp_path_factory.mktemp("real")
    (folder / "rows.csv").write_text(ROWS, encoding="utf-8")
    described = {
        "id": APP,
        "name": "Real",
        "formats": {"day": {"qType": "D", "qFmt": "M/D/YYYY"}},
        "objects": [
            {"qProperty": {"qInfo": {"qId": "t", "qType": "table"}, "qHyperCubeDef": TABLE}, "qChildren": []}
        ],
        "always_one": ["currency"],
        "numbers_by_text": False,
        "says_true": True,
        "without_data": ["INTERNAL\\nobody"],
    }
    (folder / "app.json").write_text(json.dumps(described))
    async with simulated_site(data=(str(folder),)) as made:
        yield made


async def test_numbers_without_a_format_are_general_in_excel(site: SimulatedSite) -> None:
    async with site.client() as client, client.session(APP) as session:
        layout = await raw_layout(session, "t")
        table = object_table(await session.object_table("t"))
    measure = layout["qHyperCube"]["qMeasureInfo"][0]
    assert measure["qNumFormat"] == {
        "qType": "R", "qnDec": 14, "qUseThou": 1, "qFmt": "##############", "qDec": ".",
    }  # fmt: skip
    assert measure["qIsAutoFormat"] is True
    assert [column.excel_format for column in table.columns] == ["###0", "General", "m/d/yyyy"]


async def raw_layout(session: Any, object_id: str) -> dict[str, Any]:
    found = await session.connection.call_object(session.doc.handle, "GetObject", object_id, missing="")
    layout: dict[str, Any] = (await session.connection.call(found.handle, "GetLayout"))["qLayout"]
    return layout


@pytest.mark.parametrize(
    ("field", "value", "numbers", "text"),
    [
        ("year", "2024", (), "2024"),
        ("year", 2024, (), "2024"),
        ("year", "2024", (2024,), "2024"),
        ("day", "5/2/2024", (), "5/2/2024"),
        ("day", 45414, (), "5/2/2024"),
        ("day", "5/2/2024", (45414,), "5/2/2024"),
        ("article", "007", (), "007"),
        ("article", "7", (), "7"),
    ],
)
async def test_a_filter_is_proved_where_numbers_are_found_by_number_only(
    site: SimulatedSite, field: str, value: FieldValue, numbers: tuple[float, ...], text: str
) -> None:
    asked = Selection(field=field, values=(value,), numbers=numbers)
    async with site.client() as client, client.session(APP) as session:
        proved = await session.select([Selection(field="currency", values=("EUR",)), asked])
    assert [each.text for each in proved[1].values] == [text]


async def test_a_field_that_always_has_one_value_is_part_of_the_proof(site: SimulatedSite) -> None:
    async with site.client() as client, client.session(APP) as session:
        proved = await session.select([])
        assert [(each.field, [value.text for value in each.values], each.forced) for each in proved] == [
            ("currency", ["EUR"], True)
        ]
        assert [value.text for value in await session.field_values("article", limit=9)] == ["007", "7"]
        await session.check_same_data()
        proved = await session.select([Selection(field="currency", values=("USD",))])
        assert [(each.field, each.forced) for each in proved] == [("currency", False)]


async def test_codes_of_a_field_item_are_texts(site: SimulatedSite) -> None:
    class Item:
        field = "article"

    item: Any = Item()
    async with site.client() as client, client.session(APP) as session:
        column, values = await session.field_column("article", limit=9)
    assert [row[0] for row in field_table(item, values, column).rows] == ["007", "7"]


async def test_an_app_without_data_for_its_user_is_an_error(site: SimulatedSite) -> None:
    async with site.client(user="nobody") as client:
        with pytest.raises(ConfigurationError, match="no data for the user"):
            async with client.session(APP):
                pass


async def test_what_public_clients_ask_first_is_answered(site: SimulatedSite) -> None:
    async with site.client() as client, client.session(APP) as session:
        call, doc = session.connection.call, session.doc.handle
        assert (await call(GLOBAL, "GetBaseBNFHash", "S"))["qBnfHash"]
        assert "LOAD" in (await call(doc, "GetScriptEx"))["qScript"]["qScript"]
        assert await call(doc, "ClearUndoBuffer") == {}
        found = await session.connection.call_object(doc, "GetObject", "t", missing="")
        page = {"qLeft": 0, "qTop": 0, "qWidth": 3, "qHeight": 10}
        reduced = await call(found.handle, "GetHyperCubeReducedData", "/qHyperCubeDef", [page], 1, "D1")
        assert len(reduced["qDataPages"][0]["qMatrix"]) == 1
        fields = {value.text for value in await session.field_values("$Field", limit=9)}
        assert fields == {"currency", "year", "day", "amount", "article"}
        assert [value.number for value in await session.field_values("$Rows", limit=9)] == [4]
        assert "$Field" not in {field.name for field in await session.fields()}


async def test_the_greeting_comes_a_moment_after_the_upgrade(site: SimulatedSite) -> None:
    """Clients that begin to listen only then find it all the same, and ones that ask at once are answered."""
    user = {"X-Qlik-User": "UserDirectory=INTERNAL; UserId=sa_engine"}
    url = f"{site.engine_url}/app/engineData/identity/greeting"
    async with websockets.connect(url, additional_headers=user) as socket:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.001)
        ask = {"jsonrpc": "2.0", "id": 1, "handle": -1, "method": "EngineVersion", "params": []}
        await socket.send(json.dumps(ask))
        assert json.loads(await socket.recv())["method"] == "OnConnected"
        assert json.loads(await socket.recv())["id"] == 1


async def test_the_check_of_a_site_tells_what_holds_there(site: SimulatedSite) -> None:
    async with site.client() as client:
        told = {answer.question: answer.text async for answer in ask(client, APP) if answer.settled}
    assert "Excel gets General, as it should be" in told["format of a number without a format"]
    assert told["fields that always have one value"].endswith("(always one)")
    assert "by text it answers true and selects nothing" in told["a number selected by its text"]
    assert "by number it answers true and selects 2023" in told["a number selected by its text"]
    assert "by number it answers true and selects 5/1/2024" in told["a date selected by its text"]
