"""Node.js packages as judges: installed once into the cache, and run with a time limit."""

import asyncio
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from support.servers import note

CACHE: Final = Path(__file__).resolve().parents[2] / ".cache"
INSTALL_SECONDS: Final = 240
RUN_SECONDS: Final = 60


class NoNodeError(Exception):
    """Node or a package cannot be had; the text says why."""


@dataclass(frozen=True)
class Node:
    """Node, and a folder in which packages are installed and scripts lie."""

    program: str
    folder: Path

    async def answer(self, script: str, *arguments: str, seconds: float = RUN_SECONDS) -> Any:
        """The JSON in the last line a script writes. Fails the test if the script fails."""
        code, written = await run(self.program, script, *arguments, cwd=self.folder, seconds=seconds)
        assert code == 0, written
        return json.loads(written.strip().splitlines()[-1])


async def installed(scripts: Path, cache: str) -> Node:
    """The packages that `scripts/package.json` names, and the scripts. Raises NoNodeError."""
    program = shutil.which("node")
    if program is None:
        raise NoNodeError("there is no 'node' on PATH")
    folder = CACHE / cache
    folder.mkdir(parents=True, exist_ok=True)
    for script in scripts.iterdir():  # noqa: ASYNC240 - a handful of small files
        shutil.copy(script, folder / script.name)
    wanted = json.loads((scripts / "package.json").read_text())["dependencies"]
    if any(_version(folder, name) != version for name, version in wanted.items()):
        npm = shutil.which("npm")
        if npm is None:
            raise NoNodeError("there is no 'npm' on PATH")
        install = (npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock")
        code, written = await run(*install, cwd=folder, seconds=INSTALL_SECONDS)
        if code != 0:
            raise NoNodeError(f"npm install failed: {written[-500:]}")
    return Node(program, folder)


async def node_with(config: pytest.Config, scripts: Path, *, cache: str, what: str) -> Node:
    """Node with the packages of `scripts/package.json`; the test is skipped where they cannot be had."""
    try:
        found = await installed(scripts, cache)
    except NoNodeError as error:
        line = f"{what}: NOT CHECKED, {error}"
        note(config, line)
        pytest.skip(line)
    wanted = json.loads((scripts / "package.json").read_text())["dependencies"]
    said = ", ".join(f"{name} {version}" for name, version in wanted.items() if name != "ws")
    note(config, f"{what}: {said}")
    return found


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


def _version(folder: Path, name: str) -> str | None:
    described = folder / "node_modules" / name / "package.json"
    return str(json.loads(described.read_text())["version"]) if described.exists() else None
