"""The simulator as a process: it says when it is ready, takes an app from a folder, and ends when told to."""

import asyncio
import json
import os
import signal
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qlik_simulator.app import Running, running
from qlik_simulator.options import Options
from support.qix_frames import VARIABLE
from support.simulator import engine, http, rows

pytestmark = pytest.mark.integration


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "qlik_simulator",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def folder_app(folder: Path) -> Path:
    (folder / "sales.csv").write_text("region,amount\nNorth,1\nSouth,2\nNorth,3\n")
    (folder / "app.json").write_text(json.dumps({"id": str(uuid.uuid4()), "name": "Sales"}))
    return folder


def recorded(app: str) -> int:
    """How many recordings of this run have an app opened."""
    files = Path(os.environ[VARIABLE]).glob("*.frames")
    return sum(f'"OpenDoc","params":["{app}"' in path.read_text().replace(" ", "") for path in files)


async def test_it_says_when_it_is_ready_and_ends_on_a_signal(tmp_path: Path) -> None:
    process = await start("--port", "0", "--http-port", "0", "--data", str(folder_app(tmp_path)))
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            ready = json.loads(await process.stdout.readline())
        assert ready["event"] == "ready"
        assert [app["name"] for app in ready["apps"]] == ["Sales"]
        assert ready["engine_port"] > 0
        assert ready["http_port"] > 0
        # What it says is judged with the rest of the run, though it is no process of the tests.
        there: Any = SimpleNamespace(host=ready["host"], engine_port=ready["engine_port"])
        async with engine(there, ready["apps"][0]["id"]) as rpc:
            await rpc.open(ready["apps"][0]["id"])
        assert recorded(ready["apps"][0]["id"]) == 1
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_an_app_that_cannot_be_loaded_ends_it_with_a_reason(tmp_path: Path) -> None:
    process = await start("--port", "0", "--http-port", "0", "--data", str(tmp_path / "nowhere"))
    async with asyncio.timeout(60):
        _, written = await process.communicate()
    assert process.returncode == 2
    assert b"neither a folder nor one of the built-in apps" in written


async def test_a_reload_reads_the_folder_again_for_new_sessions(tmp_path: Path) -> None:
    folder = folder_app(tmp_path)
    async with running(Options(port=0, http_port=0, data=(str(folder),))) as simulator:
        app = next(iter(simulator.site.apps))
        async with engine(simulator, app) as before, http(simulator) as client:
            doc = await before.open(app)
            assert rows(await before.cube(doc, ["region"], ["Sum(amount)"])) == [["North", 4], ["South", 2]]
            (folder / "sales.csv").write_text("region,amount\nNorth,10\nWest,7\n")
            await client.post("/_sim/reload", json={"app_id": app})
            assert rows(await before.cube(doc, ["region"], ["Sum(amount)"])) == [["North", 4], ["South", 2]]
            async with engine(simulator, app) as after:
                cube = await after.cube(await after.open(app), ["region"], ["Sum(amount)"])
                assert rows(cube) == [["North", 10], ["West", 7]]
        assert isinstance(simulator, Running)


async def test_the_control_api_answers_health(tmp_path: Path) -> None:
    async with (
        running(Options(port=0, http_port=0, data=(str(folder_app(tmp_path)),))) as simulator,
        http(simulator) as client,
    ):
        assert (await client.get("/_sim/health")).json() == {"status": "ok"}
        assert set((await client.get("/_sim/fault")).json()) >= {
            "engine",
            "upgrade",
            "greeting",
            "qrs",
            "cloud",
        }
