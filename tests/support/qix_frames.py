"""Every frame of every simulator of the run, judged by Qlik's own OpenRPC description at its end.

Simulators in test processes and in processes started by them record their frames
(`QLIK_SIMULATOR_RECORD`); each test process judges what was recorded in its folder, and the process that
prints the summary adds the counts up. One complaint fails the run. Counted apart are frames that a fault
broke on purpose, and requests of a client that says of itself that it means to be wrong. Of a page of more
than 256 KiB the first and last hundred rows are judged.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from support.openrpc import FrameJudge, OpenRpc, description_path, openrpc

VARIABLE: Final = "QLIK_SIMULATOR_RECORD"
WRONG_ON_PURPOSE: Final = "raw test client, wrong on purpose"  # a User-Agent
_FOLDER = pytest.StashKey[Path]()
_VERDICT = pytest.StashKey["Verdict"]()
_SHOWN: Final = 20


@dataclass
class Verdict:
    """What was looked at, and what was wrong with it."""

    requests: int = 0
    frames: int = 0
    broken: int = 0
    on_purpose: int = 0
    simulators: int = 0
    complaints: list[str] = field(default_factory=list)

    def add(self, other: "Verdict") -> None:
        """Count another process's in."""
        self.requests += other.requests
        self.frames += other.frames
        self.broken += other.broken
        self.on_purpose += other.on_purpose
        self.simulators += other.simulators
        self.complaints += other.complaints

    def line(self) -> str:
        """One line for the summary."""
        return (
            f"QIX frames against Qlik's OpenRPC: {self.requests} requests,"
            f" {self.frames} replies and notifications of {self.simulators} simulators,"
            f" {len(self.complaints)} errors"
            f" (besides: {self.broken} frames broken and {self.on_purpose} requests wrong on purpose)"
        )


def judge_recordings(folder: Path, description: OpenRpc) -> Verdict:
    """Judge every recording in a folder."""
    verdict = Verdict()
    for path in sorted(folder.glob("*.frames")):
        verdict.add(_judge(path, description))
    return verdict


def _judge(path: Path, description: OpenRpc) -> Verdict:
    verdict = Verdict()
    judges: dict[str, FrameJudge] = {}
    for socket, what, text in _lines(path):
        if what == "open":
            judges[socket] = FrameJudge(description, wrong_on_purpose=text == WRONG_ON_PURPOSE)
        elif what == "in":
            judges[socket].sent(text)
        elif what == "out":
            judges[socket].received(text)
        else:
            verdict.broken += 1
    for judge in judges.values():
        verdict.requests += judge.requests
        verdict.frames += judge.judged
        verdict.on_purpose += len(judge.on_purpose)
        verdict.complaints += judge.complaints
    verdict.simulators = int(bool(judges))
    return verdict


def _lines(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            if line.endswith("\n"):  # the process may have been killed while it wrote its last
                yield line[:-1].split("\t", 2)


def pytest_configure(config: pytest.Config) -> None:
    """Let every simulator of this process and of its children record."""
    folder = config.stash[_FOLDER] = Path(tempfile.mkdtemp(prefix="qix-frames-"))
    os.environ[VARIABLE] = str(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind."""
    folder = config.stash.get(_FOLDER, None)
    if folder is not None:
        os.environ.pop(VARIABLE, None)
        shutil.rmtree(folder, ignore_errors=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Judge what was recorded; fail the run when there is something to complain about."""
    config = session.config
    folder = config.stash[_FOLDER]
    if not any(folder.glob("*.frames")) and _VERDICT not in config.stash:
        return
    verdict = config.stash.setdefault(_VERDICT, Verdict())
    if description_path().exists():
        verdict.add(judge_recordings(folder, openrpc()))
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None:
        output["qix"] = asdict(verdict)
    elif verdict.complaints:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker judged; one that crashed hands over nothing, and fails the run by that."""
    handed = getattr(node, "workeroutput", {}).get("qix")
    if handed is not None:
        node.config.stash.setdefault(_VERDICT, Verdict()).add(Verdict(**handed))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the count, or that there was nothing to judge with."""
    verdict = config.stash.get(_VERDICT, None)
    if verdict is None:
        return
    terminalreporter.section("QIX")
    if not description_path().exists():
        terminalreporter.line(
            f"QIX frames NOT CHECKED against Qlik's OpenRPC: {description_path()} is missing"
        )
        return
    terminalreporter.line(verdict.line())
    for complaint in verdict.complaints[:_SHOWN]:
        terminalreporter.line(complaint, red=True)
