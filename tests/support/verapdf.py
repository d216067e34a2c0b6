"""Files judged by veraPDF, whose jars Maven fetches into the cache the first time."""

import asyncio
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from standalone.kafka import cache_folder
from standalone.maven import fetch_jars, is_there

VERSION = "1.28.2"
_ARTIFACT = f"org.verapdf:validation-model:{VERSION}"
_PROGRAM = Path(__file__).with_name("Validate.java")
_TIMEOUT_S = 300


def _jars() -> Path:
    return cache_folder() / f"verapdf-{VERSION}"


def missing() -> str | None:
    """What veraPDF lacks on this machine, or None."""
    java = shutil.which("java")
    if java is None:
        return "no java"
    modules = subprocess.run(
        [java, "--list-modules"], capture_output=True, text=True, timeout=60, check=False
    )
    if "jdk.compiler" not in modules.stdout:
        return "this java cannot compile (apt-get install openjdk-17-jdk-headless)"
    if shutil.which("mvn") is None and not is_there(_jars()):
        return "no mvn, and the jars of veraPDF are not in the cache"
    return None


def need_verapdf() -> None:
    """A loud skip where veraPDF cannot run."""
    if what := missing():
        pytest.skip(f"NO VERAPDF, PDF/A IS NOT JUDGED: {what}")


def judged(files: Mapping[Path, str]) -> dict[str, list[str]]:
    """The broken rules of each file, by its name; ``files`` says the level each is judged by: 1b, 2b, 3b."""
    jars = asyncio.run(fetch_jars(_jars(), f"veraPDF {VERSION}", _ARTIFACT))
    words = [word for file, level in files.items() for word in (str(file), level)]
    memory = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    command = ["java", *memory, "-cp", f"{jars}/*", str(_PROGRAM), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    found: dict[str, list[str]] = {
        Path(name).name: [] if good == "true" else ["not compliant"]
        for word, name, good in (line for line in lines if line[0] == "judged")
    }
    assert len(found) == len(files), done.stderr[-2000:]
    for _, name, rule in (line for line in lines if line[0] == "broken"):
        found[Path(name).name].append(rule)
    return found
