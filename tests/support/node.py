"""Programs of others that run on Node, installed from npm; their tests are skipped where that fails."""

import asyncio
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from support.servers import note

_CACHE: Final = Path(__file__).resolve().parents[2] / ".cache"
_INSTALL_SECONDS: Final = 240


@dataclass(frozen=True)
class Node:
    """Node, and a folder in which the packages are installed and the scripts lie."""

    program: str
    folder: Path

    async def answer(self, script: str, *arguments: str, seconds: float = 60) -> dict[str, Any]:
        """Run a script; what it wrote last, which has to be JSON."""
        code, written = await run(self.program, script, *arguments, cwd=self.folder, seconds=seconds)
        assert code == 0, written
        found: dict[str, Any] = json.loads(written.strip().splitlines()[-1])
        return found


async def node_with(config: pytest.Config, scripts: Path, *, cache: str, what: str) -> Node:
    """Install what the `package.json` beside `scripts` names into the folder `cache`, or skip the test."""
    program, folder = shutil.which("node"), _CACHE / cache
    if program is None:
        _not_checked(config, what, "there is no 'node' on PATH")
    wanted = _prepared(folder, scripts)
    if any(_installed(folder, name) != version for name, version in wanted.items()):
        npm = shutil.which("npm")
        if npm is None:
            _not_checked(config, what, "there is no 'npm' on PATH")
        install = (npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock")
        code, written = await run(*install, cwd=folder, seconds=_INSTALL_SECONDS)
        if code != 0:
            _not_checked(config, what, f"npm install failed: {written[-500:]}")
    said = ", ".join(f"{name} {version}" for name, version in wanted.items() if name != "ws")
    note(config, f"{what}: {said}")
    return Node(program, folder)


def _prepared(folder: Path, scripts: Path) -> dict[str, str]:
    """Copy the scripts; return the packages they need, with their versions."""
    folder.mkdir(parents=True, exist_ok=True)
    for script in scripts.iterdir():
        shutil.copy(script, folder / script.name)
    wanted: dict[str, str] = json.loads((scripts / "package.json").read_text())["dependencies"]
    return wanted


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


def _installed(folder: Path, name: str) -> str | None:
    described = folder / "node_modules" / name / "package.json"
    return str(json.loads(described.read_text())["version"]) if described.exists() else None


def _not_checked(config: pytest.Config, what: str, why: str) -> NoReturn:
    line = f"{what}: NOT CHECKED, {why}"
    note(config, line)
    pytest.skip(line)
