"""A filter is proved or fails the work: awkward values, foreign selections, alternate states, bookmarks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from qlik import AppSession, ConfigurationError, Selection, SelectionNotProved, Transient
from qlik.model import FieldValue
from qlik.rpc import EngineConnection
from support.qlik_site import FLIGHTS, SimulatedSite, simulated_site

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("judges")]

AWKWARD = "awkward"
ROWS = [
    # customer, the code of a shop as text, booked (a date), share (a number with decimals), [a]b
    ('O\'Brien "Bob"', "007", "2024-02-29", "0.1", "x"),
    ("O'Brien", "7", "2024-03-01", "0.25", "x]y"),
    ("Æther; =Sum(1)", "7.0", "2024-03-01", "1e3", "x,y"),
    ("*", "?", "2024-03-02", "-3", "*"),
    ("Müller & Söhne", "A", "2024-03-02", "0.30000000000000004", "$(v)"),
]
FORMATS = {"booked": {"qType": "D", "qFmt": "DD.MM.YYYY"}}
CUBE: dict[str, Any] = {
    "qDimensions": [{"qDef": {"qFieldDefs": ["customer"]}}],
    "qMeasures": [],
    "qStateName": "Other",
}
HERE: dict[str, Any] = {**CUBE, "qStateName": "$"}
OBJECTS = [
    {"qProperty": {"qInfo": {"qId": "elsewhere", "qType": "table"}, "qHyperCubeDef": CUBE}, "qChildren": []},
    {
        "qProperty": {"qInfo": {"qId": "box", "qType": "container"}},
        "qChildren": [
            {"qProperty": {"qInfo": {"qId": "a", "qType": "table"}, "qHyperCubeDef": HERE}, "qChildren": []},
            {"qProperty": {"qInfo": {"qId": "b", "qType": "table"}, "qHyperCubeDef": CUBE}, "qChildren": []},
        ],
    },
]
BOOKMARKS = [
    {"qInfo": {"qId": "two", "qType": "bookmark"}, "qMetaDef": {"title": "Two customers"},
     "selections": {"$": {"customer": ["O'Brien", "*"], "shop": ["7", "?"]}}},
    {"qInfo": {"qId": "gone", "qType": "bookmark"}, "selections": {"$": {"customer": ["O'Brien", "Nobody"]}}},
    {"qInfo": {"qId": "state", "qType": "bookmark"}, "selections": {"Other": {"customer": ["*"]}}},
]  # fmt: skip


@pytest.fixture(scope="module")
async def awkward(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SimulatedSite]:
    folder: Path = tmp_path_factory.mktemp("awkward")
    lines = ['customer,shop,booked,share,"[a]b"']
    lines += [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in ROWS]
    (folder / "rows.csv").write_text("\n".join(lines), encoding="utf-8")
    described = {"id": AWKWARD, "name": "Awkward", "formats": FORMATS, "objects": OBJECTS}
    (folder / "app.json").write_text(json.dumps({**described, "bookmarks": BOOKMARKS}))
    async with simulated_site(data=(str(folder),)) as made:
        yield made


@pytest.mark.parametrize(
    ("field", "values", "customers"),
    [
        ("customer", ('O\'Brien "Bob"',), {0}),
        ("customer", ("Æther; =Sum(1)", "*"), {2, 3}),
        ("[customer]", ("Müller & Söhne",), {4}),
        ("shop", ("007",), {0}),
        ("shop", ("7",), {1}),
        ("booked", ("01.03.2024",), {1, 2}),
        ("booked", (45351,), {0}),
        ("share", (0.25,), {1}),
        ("share", (1000,), {2}),
        ("share", (-3.0, 0.1), {0, 3}),
        ("[a]b", ("x]y",), {1}),
        ("[a]b", ("$(v)", "*"), {3, 4}),
    ],
)
async def test_values_of_any_kind_are_selected_and_nothing_else(
    awkward: SimulatedSite, field: str, values: tuple[FieldValue, ...], customers: set[int]
) -> None:
    async with awkward.client() as client, client.session(AWKWARD) as session:
        proved = await session.select([Selection(field=field, values=values)])
        assert len(values) == len(proved[0].values)
        shown = {value.text for value in await session.field_values("customer", limit=10)}
    assert {ROWS[number][0] for number in customers} == shown


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("customer", "o'brien"),
        ("customer", "O'Brien*"),
        ("shop", "07"),
        ("share", 0.3),
        ("booked", "2024-02-29"),
        ("booked", 45351.5),
        ("customer", ""),
    ],
)
async def test_what_is_only_alike_is_not_it(awkward: SimulatedSite, field: str, value: FieldValue) -> None:
    async with awkward.client() as client, client.session(AWKWARD) as session:
        with pytest.raises(SelectionNotProved) as caught:
            await session.select([Selection(field=field, values=(value,))])
    assert (field, (value,)) == (caught.value.field, caught.value.asked)
    assert field in str(caught.value)
    assert str(value) in str(caught.value)


async def select(session: AppSession, field: str, text: str, *state: str) -> None:
    """Select behind the back of whoever proves."""
    found = await session.connection.call_object(session.doc.handle, "GetField", field, *state, missing="")
    values = [{"qText": text, "qIsNumeric": False}]
    assert (await session.connection.call(found.handle, "SelectValues", values))["qReturn"]
    assert (await session.connection.call(found.handle, "Lock"))["qReturn"]


@pytest.fixture
def nothing_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    call = EngineConnection.call

    async def deaf(self: EngineConnection, handle: int, method: str, *params: Any, **more: Any) -> Any:
        return {} if method == "ClearAll" else await call(self, handle, method, *params, **more)

    monkeypatch.setattr(EngineConnection, "call", deaf)


@pytest.mark.usefixtures("nothing_is_cleared")
async def test_a_selection_left_in_another_field_fails_the_proof(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        await select(session, "carrier", "UA")
        for wanted in ([], [Selection(field="origin", values=("JFK",))]):
            with pytest.raises(SelectionNotProved, match="nobody asked for") as caught:
                await session.select(wanted)
            assert "carrier" == caught.value.field
            assert [] == session.selections


@pytest.mark.usefixtures("nothing_is_cleared")
async def test_a_selection_left_in_an_alternate_state_fails_the_proof(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        await session.connection.call(session.doc.handle, "AddSessionAlternateState", "Other")
        session.layout = dataclasses.replace(session.layout, state_names=("$", "Other"))
        await select(session, "carrier", "UA", "Other")
        with pytest.raises(SelectionNotProved, match="alternate state 'Other'"):
            await session.select([])


async def test_alternate_states_are_cleared_too(simulated: SimulatedSite) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        await session.connection.call(session.doc.handle, "AddSessionAlternateState", "Other")
        session.layout = dataclasses.replace(session.layout, state_names=("$", "Other"))
        await select(session, "carrier", "UA", "Other")
        assert [] == await session.select([])


@pytest.mark.parametrize(
    ("behind", "told"),
    [
        ("Unlock", "not locked"),
        ("Clear", "no selection is active"),
        ("SelectAll", "16 selected values|not locked"),
    ],
)
async def test_filters_that_are_not_what_they_were_fail_when_everything_is_read(
    simulated: SimulatedSite, behind: str, told: str
) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        await session.select([Selection(field="carrier", values=("UA",))])
        await session.check_same_data()
        engine = session.connection
        found = await engine.call_object(session.doc.handle, "GetField", "carrier", missing="")
        for method in dict.fromkeys(("Unlock", behind)):
            await engine.call(found.handle, method)
        with pytest.raises(SelectionNotProved, match=told):
            await session.check_same_data()


async def test_a_count_that_differs_fails_the_proof(
    simulated: SimulatedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's own count is the second witness beside the values that are read back."""
    from qlik import selecting  # noqa: PLC0415

    current = selecting.current

    async def miscounted(*args: Any) -> Any:
        return [{**entry, "qSelectedCount": 2} for entry in await current(*args)]

    monkeypatch.setattr(selecting, "current", miscounted)
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        with pytest.raises(SelectionNotProved, match="counts 2 selected values"):
            await session.select([Selection(field="carrier", values=("UA",))])


async def test_an_object_that_filters_do_not_reach_is_refused_while_there_are_filters(
    awkward: SimulatedSite,
) -> None:
    async with awkward.client() as client, client.session(AWKWARD) as session:
        await session.connection.call(session.doc.handle, "AddSessionAlternateState", "Other")
        assert 5 == len((await session.object_table("elsewhere")).rows)
        await session.select([Selection(field="customer", values=("O'Brien",))])
        with pytest.raises(SelectionNotProved, match="alternate state 'Other'") as caught:
            await session.object_table("elsewhere")
        with pytest.raises(SelectionNotProved, match="alternate state 'Other'"):
            async with session.stream_object("elsewhere"):
                pass
    assert ("customer", ("O'Brien",)) == (caught.value.field, caught.value.asked)


async def test_what_qlik_draws_is_looked_through_for_objects_that_filters_do_not_reach(
    awkward: SimulatedSite,
) -> None:
    async with awkward.client() as client, client.session(AWKWARD) as session:
        await session.connection.call(session.doc.handle, "AddSessionAlternateState", "Other")
        session.layout = dataclasses.replace(session.layout, state_names=("$", "Other"))
        await session.check_reached("box")
        await session.select([Selection(field="customer", values=("O'Brien",))])
        await session.check_reached("a")
        for object_id in ("elsewhere", "b", "box"):
            with pytest.raises(SelectionNotProved, match="alternate state 'Other'"):
                await session.check_reached(object_id)
        session.layout = dataclasses.replace(session.layout, state_names=("$",))
        await session.check_reached("box")


async def test_a_bookmark_becomes_filters_that_are_proved_like_any_other(awkward: SimulatedSite) -> None:
    async with awkward.client() as client, client.session(AWKWARD) as session:
        listed = {item.id: item.title for item in await session.bookmarks()}
        assert "Two customers" == listed["two"]
        proved = await session.select(await session.bookmark("two"))
        assert {"O'Brien", "*"} == {value.text for value in proved[0].values}
        with pytest.raises(SelectionNotProved, match="Nobody"):
            await session.select(await session.bookmark("gone"))
        with pytest.raises(ConfigurationError, match="alternate state 'Other'"):
            await session.bookmark("state")
        with pytest.raises(ConfigurationError, match="no bookmark 'nope'"):
            await session.bookmark("nope")


async def test_a_reload_while_reading_is_told_before_the_filters_are_looked_at(
    simulated: SimulatedSite,
) -> None:
    async with simulated.client() as client, client.session(FLIGHTS) as session:
        await session.select([Selection(field="carrier", values=("UA",))])
        session.layout = dataclasses.replace(session.layout, last_reload_time=None)
        with pytest.raises(Transient, match="reloaded"):
            await session.check_same_data()
