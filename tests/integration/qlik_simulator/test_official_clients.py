"""Qlik's own JavaScript clients work against the simulator: an opinion nobody here had a hand in."""

import json
import uuid
from pathlib import Path
from typing import Final, NoReturn

import pytest

from qlik_simulator.app import Running
from support.node import Node, NoNodeError, installed
from support.servers import note
from support.simulator import FLIGHTS

pytestmark = pytest.mark.integration
SCRIPTS: Final = Path(__file__).parent / "node"


def not_checked(config: pytest.Config, why: str) -> NoReturn:
    line = f"Qlik's own JavaScript clients: NOT CHECKED, {why}"
    note(config, line)
    pytest.skip(line)


@pytest.fixture(scope="module")
async def node(request: pytest.FixtureRequest) -> Node:
    """Node, and a folder in which the clients are installed and the scripts lie."""
    try:
        found = await installed(SCRIPTS, "node-judges")
    except NoNodeError as error:
        not_checked(request.config, str(error))
    wanted = json.loads((SCRIPTS / "package.json").read_text())["dependencies"]
    said = ", ".join(f"{name} {version}" for name, version in wanted.items() if name != "ws")
    note(request.config, f"Qlik's own JavaScript clients: {said}")
    return found


async def test_enigma_js(simulator: Running, node: Node) -> None:
    url = f"ws://127.0.0.1:{simulator.engine_port}/app/{FLIGHTS}/identity/{uuid.uuid4().hex}/ttl/30"
    control = f"http://127.0.0.1:{simulator.http_port}"
    found = await node.answer("enigma.mjs", url, FLIGHTS, control)
    everything = [["EWR", 120835], ["JFK", 111279], ["LGA", 104662]]
    assert found["notifications"] == ["OnConnected"] * 3  # at first, and after each time it was suspended
    assert found["title"] == "Flights"
    assert found["before"] == found["cleared"] == found["unchanged"] == everything
    assert found["selected"] is True
    assert found["after"] == everything[1:]  # read once `changed` had come
    assert found["page"] == ["JFK"]
    # Whole values at first, differences between two layouts later: it put both together rightly above.
    assert found["whole"] > 10
    assert found["differences"] > 10
    assert found["errors"] == {
        "no app is open": 1007,
        "there is no such app": 1003,
        "the app is open already": 1002,
        "the page is too large": 7009,
        "there is no such path": 4,
        "there is no such object": -2,  # its own code for an object that is not there
        "the simulator has no such method": -32601,
        **{f"ordered {code}": code for code in (15, 5, 6001, 7004, 11000)},
    }
    # Another socket with the same identity is in the same session, and what it selects is seen here.
    assert found["attached"] == "SESSION_ATTACHED"
    assert found["foreign"] == found["resumed"] == found["resumedAgain"] == everything[:1]
    assert found["suspended"] == ["network", 4003]
    modes = {name: mode for name, _, mode in found["types"]}
    assert modes["pivot-origin"] == "P"
    assert modes["stack-airlines"] == "K"
    assert modes["table-airlines"] == "S"
    assert modes["filters"] is None


async def test_qlik_api(simulator: Running, node: Node) -> None:
    found = await node.answer(
        "qlik-api.mjs", f"http://127.0.0.1:{simulator.http_port}", FLIGHTS, "sim-api-key"
    )
    assert found["me"] == "CLOUD\\sim-user"
    assert found["items"] == [FLIGHTS]
    assert found["reload"] == "SUCCEEDED"
    assert found["newest"] is True
    assert found["title"] == "Flights"
    assert found["before"] == [["UA", 89705524], ["DL", 59507317], ["B6", 58384137]]
    assert found["after"] == [["HA", 1704186]]
    assert found["afterAbort"] == "test"
    assert found["aborted"] == 2  # one it asked for again, one it gave on
    assert found["errors"] == {
        "no such reload": 404,
        "refused": 403,
        "too many": 429,
        "a page aborted": 15,
        "no such object": 2,
    }
    assert found["refused"] == [4203, 4204, 4205, 4240]
    by_itself = {"4003": True, "4004": True, "4007": True}
    # All three rows are back: the selection went away with the session.
    assert found["closed"] == {
        code: [int(code), by_itself.get(code, False), 3]
        for code in ("4001", "4002", "4003", "4004", "4005", "4006", "4007")
    }
