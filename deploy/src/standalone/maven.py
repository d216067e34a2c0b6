"""Folders of jars from Maven Central, kept between runs."""

import asyncio
import fcntl
import os
import tempfile
from pathlib import Path

from standalone.errors import StandaloneError
from standalone.process import Child
from standalone.server import find_tool

_TIMEOUT_S = 300.0

_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>broadsheet</groupId>
  <artifactId>jars</artifactId>
  <version>1</version>
  <dependencies>{}</dependencies>
</project>
"""
_DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


async def fetch_jars(folder: Path, what: str, *artifacts: str) -> Path:
    """The folder with these artifacts (`group:name:version`) and all they need, downloaded the first time.

    Safe to be called by several processes at once: one downloads, the others wait. Raises `MissingTool` when
    there is no Maven, `StandaloneError` when the download fails; `what` names the program in messages.
    """
    lock = await asyncio.to_thread(_locked, folder.parent / f"{folder.name.partition('-')[0]}.lock")
    try:
        if not is_there(folder):
            await _download(folder, what, artifacts)
    finally:
        os.close(lock)
    return folder


def is_there(folder: Path) -> bool:
    """Whether the jars are in the cache: their folder is renamed into place, so it is never half full."""
    return folder.is_dir()


def _locked(path: Path) -> int:
    """Descriptor of a file this process alone holds; close it to let go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


async def _download(jars: Path, what: str, artifacts: tuple[str, ...]) -> None:
    mvn = find_tool("mvn", f"The jars of {what} come through Maven (apt-get install maven)")
    with tempfile.TemporaryDirectory(dir=jars.parent, prefix="download-") as folder:
        pom = Path(folder) / "pom.xml"
        needed = "".join(_DEPENDENCY.format(*artifact.split(":")) for artifact in artifacts)
        pom.write_text(_POM.format(needed), encoding="utf-8")
        goal = ("dependency:copy-dependencies", f"-DoutputDirectory={folder}/jars")
        code, output = await run(mvn, "-q", "-B", "-f", str(pom), *goal, timeout_s=_TIMEOUT_S)
        if code != 0:
            raise StandaloneError(
                f"downloading {what} failed (is Maven Central reachable?):\n{output[-2000:]}"
            )
        (Path(folder) / "jars").rename(jars)


async def run(*argv: str, timeout_s: float) -> tuple[int, str]:
    """Exit code and output (stdout and stderr together) of a program, killed after `timeout_s` seconds."""
    with tempfile.TemporaryDirectory() as folder:
        child = Child(argv[0], argv, log_file=Path(folder) / "out")
        child.start()
        try:
            if not await child.wait(timeout_s):
                return 124, f"no end after {timeout_s:.0f} s"
            return child.returncode or 0, child.log_file.read_text(encoding="utf-8", errors="replace")
        finally:
            await child.kill()
