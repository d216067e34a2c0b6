"""Office files to PDF by LibreOffice: one process per file, an own profile, no macros, bounded in time.

Nothing here makes LibreOffice safe by itself: files must have passed ``gate``, which refuses pointers
outside, and the process should run without network (``unshare`` is used where the system allows it).
"""

import os
import shutil
import signal
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from rendering.gate import gate
from rendering.model import OutputFormat

CONVERTIBLE = frozenset({OutputFormat.XLSX, OutputFormat.DOCX, OutputFormat.PPTX})
DEFAULT_SECONDS = 120.0  # 20,000 rows take 33 s on a slow core (rendering.md, 5)
_SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Common/Security/Scripting">
<prop oor:name="MacroSecurityLevel" oor:op="fuse">
<value>3</value></prop><prop oor:name="DisableMacrosExecution" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse">
<value>0</value></prop></item></oor:items>"""


class ConversionError(Exception):
    """A file LibreOffice could not convert, or LibreOffice is missing; the message says which."""


def available() -> str | None:
    """The path of LibreOffice, or None."""
    return shutil.which("soffice") or shutil.which("libreoffice")


@lru_cache(maxsize=1)
def _without_network() -> tuple[str, ...]:
    """The words before a command that cut it off from the network, if the system allows that."""
    words = ("unshare", "--user", "--map-current-user", "--net", "--")
    if not shutil.which(words[0]):
        return ()
    tried = subprocess.run([*words, "true"], capture_output=True, timeout=10, check=False)  # noqa: S603 - fixed
    return words if tried.returncode == 0 else ()


def to_pdf(content: bytes, kind: OutputFormat, seconds: float = DEFAULT_SECONDS) -> bytes:
    """The Office file as PDF. Formulas are computed. Raises ConversionError."""
    program = available()
    if program is None:
        raise ConversionError("LibreOffice is not installed: apt-get install libreoffice-calc-nogui")
    if kind not in CONVERTIBLE:
        raise ConversionError(f"{kind.value} cannot be converted to PDF")
    gate(content)
    with tempfile.TemporaryDirectory(prefix="broadsheet-", ignore_cleanup_errors=True) as folder:
        profile, source = Path(folder) / "profile", Path(folder) / f"report.{kind.value}"
        (profile / "user").mkdir(parents=True)
        (profile / "user" / "registrymodifications.xcu").write_text(_SETTINGS, "utf-8")
        source.write_bytes(content)
        command = [
            *_without_network(),
            program,
            f"-env:UserInstallation={profile.as_uri()}",
            "--headless",
            "--norestore",
            "--nolockcheck",
            "--nodefault",
            "--convert-to",
            "pdf",
            "--outdir",
            folder,
            str(source),
        ]
        _run(command, folder, seconds)
        result = source.with_suffix(".pdf")
        if not result.is_file():
            raise ConversionError("LibreOffice wrote no file: the report may be damaged")
        return result.read_bytes()


def _run(command: list[str], folder: str, seconds: float) -> None:
    """Run in a process group of its own, so that all of it can be ended."""
    environment = {"HOME": folder, "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8"}
    with subprocess.Popen(  # noqa: S603 - a fixed command on a file of ours
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            _, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise ConversionError(f"LibreOffice took longer than {seconds:g} s") from error
    if process.returncode:
        raise ConversionError(f"LibreOffice failed: {errors.decode(errors='replace')[-300:].strip()}")
