"""Qlik's own JavaScript clients work against the simulator: an opinion nobody here had a hand in."""

import asyncio
import json
import shutil
import uuid
from pathlib import Path
from typing import Any, Final

import pytest

from qlik_simulator.app import Running
from support.simulator import FLIGHTS, needs_node

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SCRIPTS: Final = Path(__file__).parent / "node"
CACHE: Final = Path(__file__).resolve().parents[3] / ".cache" / "node-judges"
INSTALL_SECONDS: Final = 150


async def run(*command: str, cwd: Path, seconds: float) -> tuple[int, str]:
    """Run a program with a time limit; its exit code and everything it wrote."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(seconds):
            written, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, f"not finished after {seconds} s"
    return process.returncode or 0, written.decode()


@pytest.fixture(scope="module")
async def node() -> tuple[str, Path]:
    """Node, and a folder in which the clients are installed and the scripts lie."""
    program = needs_node()
    CACHE.mkdir(parents=True, exist_ok=True)
    for script in SCRIPTS.iterdir():
        shutil.copy(script, CACHE / script.name)
    wanted = json.loads((SCRIPTS / "package.json").read_text())["dependencies"]
    if any(installed(name) != version for name, version in wanted.items()):
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("NOT CHECKED with Qlik's own JavaScript clients: there is no 'npm' on PATH")
        install = (npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock")
        code, written = await run(*install, cwd=CACHE, seconds=INSTALL_SECONDS)
        if code != 0:
            pytest.skip(
                f"NOT CHECKED with Qlik's own JavaScript clients: npm install failed: {written[-500:]}"
            )
    return program, CACHE


def installed(name: str) -> str | None:
    """The version of a package in the cache."""
    described = CACHE / "node_modules" / name / "package.json"
    return str(json.loads(described.read_text())["version"]) if described.exists() else None


async def answer(node: tuple[str, Path], script: str, *arguments: str) -> dict[str, Any]:
    program, folder = node
    code, written = await run(program, script, *arguments, cwd=folder, seconds=60)
    assert code == 0, written
    found: dict[str, Any] = json.loads(written.strip().splitlines()[-1])
    return found


async def test_enigma_js(simulator: Running, node: tuple[str, Path]) -> None:
    url = f"ws://127.0.0.1:{simulator.engine_port}/app/{FLIGHTS}/identity/{uuid.uuid4().hex}/ttl/0"
    found = await answer(node, "enigma.mjs", url, FLIGHTS)
    everything = [["EWR", 120835], ["JFK", 111279], ["LGA", 104662]]
    assert found["notifications"] == ["OnConnected"]
    assert found["title"] == "Flights"
    assert found["before"] == found["cleared"] == everything
    assert found["selected"] is True
    assert found["after"] == everything[1:]
    assert found["page"] == ["JFK"]
    assert found["tooLarge"] == 7009
    assert found["missing"] == -2  # its own code for an object that is not there
    modes = {name: mode for name, _, mode in found["types"]}
    assert modes["pivot-origin"] == "P"
    assert modes["stack-airlines"] == "K"
    assert modes["table-airlines"] == "S"
    assert modes["filters"] is None


async def test_qlik_api(simulator: Running, node: tuple[str, Path]) -> None:
    found = await answer(
        node, "qlik-api.mjs", f"http://127.0.0.1:{simulator.http_port}", FLIGHTS, "sim-api-key"
    )
    assert found["me"] == "CLOUD\\sim-user"
    assert found["items"] == [FLIGHTS]
    assert found["reload"] == "SUCCEEDED"
    assert found["newest"] is True
    assert found["missing"] == 404
    assert found["title"] == "Flights"
    assert found["before"] == [["UA", 89705524], ["DL", 59507317], ["B6", 58384137]]
    assert found["after"] == [["HA", 1704186]]
