"""The supervisor with real processes."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from standalone.errors import StandaloneError, StartFailed
from standalone.ports import free_port
from standalone.supervisor import ChildSpec, Supervisor
from standalone.sweep import MARK, leftovers, sweep

pytestmark = pytest.mark.integration

PYTHON = (sys.executable, "-I", "-S", "-u", "-c")
SLEEP = (*PYTHON, "import time; print('up'); time.sleep(300)")


def web(port: int) -> ChildSpec:
    return ChildSpec(
        "web",
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
        ready=f"http://127.0.0.1:{port}/",
        restart="on-failure",
    )


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.02)


async def test_children_start_when_their_needs_are_ready_and_stop_in_reverse(tmp_path: Path) -> None:
    said: list[str] = []
    children = [ChildSpec("last", SLEEP, needs=("web",)), web(free_port())]
    async with Supervisor(tmp_path, children, echo=said.append) as supervisor:
        assert supervisor["last"].alive
        await until(lambda: "last | up" in said)
    events = [line.partition(":")[0] for line in said if "|" not in line]
    assert events == [
        "starting web",
        "web is ready",
        "starting last",
        "last is ready",
        "stopping last",
        "stopping web",
    ]
    assert supervisor["last"].returncode is not None
    assert (tmp_path / "last" / "server.log").read_text() == "up\n"


async def test_a_child_that_dies_is_reported_and_started_again_if_it_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    dying = ChildSpec("dying", [*PYTHON, "import time; print('ouch'); time.sleep(0.3); raise SystemExit(3)"])
    supervisor = Supervisor(tmp_path, [web(free_port()), dying], echo=said.append, first_pause_s=0.05)
    async with supervisor:
        first = supervisor["web"].pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: {death.name for death in supervisor.deaths} == {"web", "dying"})
        await supervisor.wait_ready("web", 20)
        assert supervisor["web"].pid != first
        assert not supervisor["dying"].alive
    assert any("dying died with code 3" in line and "ouch" in line for line in said)
    assert any("web died with code -9" in line for line in said)


async def test_a_killed_child_stays_dead_until_it_is_started(tmp_path: Path) -> None:
    async with Supervisor(tmp_path, [web(free_port())], first_pause_s=0.01) as supervisor:
        await supervisor.kill("web")
        assert supervisor["web"].returncode == -signal.SIGKILL
        with pytest.raises(StandaloneError, match="web is not ready"):
            await supervisor.wait_ready("web", 0.5)
        await supervisor.start_one("web")
        before = supervisor["web"].pid
        await supervisor.restart("web")
        assert supervisor["web"].alive
        assert supervisor["web"].pid != before
    assert supervisor.deaths == []


async def test_when_one_cannot_start_the_others_are_stopped(tmp_path: Path) -> None:
    broken = ChildSpec("broken", [*PYTHON, "raise SystemExit('no config')"], ready=never, needs=("fine",))
    supervisor = Supervisor(tmp_path, [ChildSpec("fine", SLEEP), broken])
    with pytest.raises(StartFailed, match=r"(?s)broken did not start: it ended with code 1.*no config"):
        await supervisor.start()
    assert not supervisor["fine"].alive


async def never() -> bool:
    return False


async def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    async with Supervisor(tmp_path, [ChildSpec("a", SLEEP)]):
        with pytest.raises(StandaloneError, match=f"in use by another supervisor .pid {os.getpid()}"):
            await Supervisor(tmp_path, [ChildSpec("a", SLEEP)]).start()
    async with Supervisor(tmp_path, [ChildSpec("a", SLEEP)]):
        pass


async def test_a_stubborn_child_is_killed_after_its_grace(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(300)"
    said: list[str] = []
    spec = ChildSpec("deaf", [*PYTHON, deaf], stop_grace_s=0.3)
    async with Supervisor(tmp_path, [spec], echo=said.append) as supervisor:
        await until(lambda: "deaf | up" in said)
        began = time.monotonic()
    assert supervisor["deaf"].returncode == -signal.SIGKILL
    assert time.monotonic() - began < 10


SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from standalone.supervisor import ChildSpec, Supervisor
sleep = "[sys.executable, '-c', 'import time; time.sleep(300)']"
worker = f"import subprocess, sys; subprocess.Popen({sleep}, start_new_session=True).wait()"
children = [ChildSpec("child", [sys.executable, "-c", worker])]
asyncio.run(Supervisor(Path(sys.argv[1]), children, echo=lambda line: print(line, flush=True)).run())
print("stopped cleanly", flush=True)
"""


@contextlib.asynccontextmanager
async def supervisor_process(tmp_path: Path) -> AsyncIterator[tuple[subprocess.Popen[bytes], Path]]:
    """A supervisor as a process of its own, its child ready, and the file with what it says."""
    output = tmp_path / "output"
    environment = {name: value for name, value in os.environ.items() if name != MARK}
    command = [sys.executable, "-c", SUPERVISOR, str(tmp_path / "run")]
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)  # noqa: ASYNC220 - quick
    with process:
        try:
            await until(lambda: "child is ready" in output.read_text())
            yield process, output
        finally:
            process.kill()
            sweep(tmp_path / "run")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_everything_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    async with supervisor_process(tmp_path) as (process, output):
        await until(lambda: len(leftovers(tmp_path / "run")) == 2)
        process.send_signal(number)
        await until(lambda: process.poll() is not None)
        assert process.returncode == 0
        assert "stopping child\nstopped cleanly" in output.read_text()
        await until(lambda: leftovers(tmp_path / "run") == [])


async def test_children_die_with_a_killed_supervisor_and_their_children_at_the_next_start(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    async with supervisor_process(tmp_path) as (process, _):
        await until(lambda: len(leftovers(folder)) == 2)
        process.kill()
        await until(lambda: len(leftovers(folder)) == 1)
        (orphan,) = leftovers(folder)
        said: list[str] = []
        async with Supervisor(folder, [ChildSpec("child", SLEEP)], echo=said.append):
            assert "ended 1 processes that an earlier run left behind" in said
            await until(lambda: orphan not in leftovers(folder))
