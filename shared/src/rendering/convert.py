"""Office files to PDF by a LibreOffice that is kept running: one per process, with a profile of its own.

Nothing here makes LibreOffice safe by itself: files must have passed ``gate``, which refuses pointers
outside. It runs without network where the system allows that (``unshare``), never runs macros, and has bounds
of memory and time; whatever passes them is killed and started anew for the next file.
"""

import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from rendering.gating import gate
from rendering.model import Limits, OutputFormat, RenderOptions, TemplateError

CONVERTIBLE = frozenset({OutputFormat.XLSX, OutputFormat.XLSM, OutputFormat.DOCX, OutputFormat.PPTX})
DEFAULT_SECONDS = 120.0  # 20,000 rows take 33 s on a slow core
PACKAGES = "libreoffice-calc-nogui libreoffice-writer-nogui libreoffice-impress-nogui python3-uno"
_GRACE_S = 75.0  # a start of LibreOffice, and the answer
_OWN_LIMITS = Limits(ratio=20_000)  # what we wrote ourselves may repeat itself more than a template may
_VERSIONS = {"1b": 1, "2b": 2, "3b": 3}
_RESOLUTIONS = (75, 150, 300, 600)
_SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Common/Security/Scripting">
<prop oor:name="MacroSecurityLevel" oor:op="fuse"><value>3</value></prop>
<prop oor:name="DisableMacrosExecution" oor:op="fuse"><value>true</value></prop>
<prop oor:name="DisableActiveContent" oor:op="fuse"><value>true</value></prop>
<prop oor:name="BlockUntrustedRefererLinks" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse">
<value>0</value></prop></item>
<item oor:path="/org.openoffice.Office.Calc/Content/Update"><prop oor:name="Link" oor:op="fuse">
<value>1</value></prop></item>
<item oor:path="/org.openoffice.Office.Writer/Content/Update"><prop oor:name="Link" oor:op="fuse">
<value>0</value></prop></item></oor:items>"""


class ConversionError(TemplateError):
    """A file LibreOffice could not convert, or LibreOffice is missing; the message says which."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__("PDF", message, remedy)


@dataclass(frozen=True, slots=True)
class OfficeLimits:
    """What one LibreOffice may use."""

    memory_bytes: int = 6 * 1024**3
    """Address space; a tenth to a third of it is ever touched."""
    recycle_bytes: int = 1024**3
    """Resident memory after a file beyond which it is started anew: it gives nothing back."""


def available() -> str | None:
    """The path of LibreOffice, or None."""
    return shutil.which("soffice") or shutil.which("libreoffice")


@lru_cache(maxsize=1)
def _without_network() -> tuple[str, ...]:
    """The words before a command that cut it off from the network, if the system allows that."""
    words = ("unshare", "--user", "--map-current-user", "--net", "--")
    return words if shutil.which(words[0]) and _runs(*words, "true") else ()


@lru_cache(maxsize=1)
def _python() -> str:
    """A Python that has UNO, or this one, with which LibreOffice is started once per file."""
    for path in ("/usr/bin/python3", shutil.which("python3") or ""):
        if path and _runs(path, "-I", "-c", "import uno"):
            return path
    return sys.executable


def _runs(*words: str) -> bool:
    try:
        done = subprocess.run(words, capture_output=True, timeout=20, check=False)  # noqa: S603 - fixed
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def is_warm() -> bool:
    """Whether LibreOffice is kept running: it is installed, and so is the Python that can talk to it."""
    return available() is not None and _python() != sys.executable


class Office:
    """LibreOffice behind a helper program, started with the first file. One file at a time."""

    def __init__(self, limits: OfficeLimits | None = None) -> None:
        self._limits = limits or OfficeLimits()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._number = 0
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The process id of the helper program, or None."""
        return self._process.pid if self._process else None

    def convert(
        self, content: bytes, kind: OutputFormat, settings: dict[str, bool | int], seconds: float
    ) -> bytes:
        """The file as PDF. Raises ConversionError; the next file finds a LibreOffice that works."""
        with self._lock:
            answer = self._ask(content, kind, settings, seconds)
            if not isinstance(answer, bytes) and answer["error"] == "died":
                # Of the file before, or by somebody's hand: once more with a new one.
                answer = self._ask(content, kind, settings, seconds)
        if not isinstance(answer, bytes):
            raise _told(answer, seconds)
        return answer

    def _ask(
        self, content: bytes, kind: OutputFormat, settings: dict[str, bool | int], seconds: float
    ) -> bytes | dict[str, Any]:
        folder = self._started()
        self._number += 1
        source, target = folder / f"report.{kind.value}", folder / "report.pdf"
        source.write_bytes(content)
        job = {"id": self._number, "source": str(source), "target": str(target), "kind": kind.value,
               "options": settings, "seconds": seconds}  # fmt: skip
        try:
            answer = self._exchange(job, seconds + _GRACE_S)
            return target.read_bytes() if "error" not in answer else answer
        except (OSError, ValueError, EOFError) as error:
            self.close()
            return {"error": "died", "message": f"{type(error).__name__}: {error}"}
        finally:
            for path in (source, target):
                path.unlink(missing_ok=True)

    def _exchange(self, job: dict[str, Any], seconds: float) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdin is None:
            raise EOFError("there is no helper")
        process.stdin.write(json.dumps(job).encode() + b"\n")
        process.stdin.flush()
        answer = _line(process.stdout, seconds)
        if answer.get("id") != job["id"]:
            raise EOFError("an answer to something else")
        return answer

    def _started(self) -> Path:
        if self._process is not None and self._process.poll() is None and self._folder is not None:
            return self._folder
        self.close()
        program = available()
        if program is None:
            raise ConversionError("LibreOffice is not installed", f"Install it: apt-get install {PACKAGES}")
        beside = Path(program).resolve().with_name("soffice.bin")  # without a process in between
        folder = self._folder = Path(tempfile.mkdtemp(prefix="broadsheet-office-"))
        (folder / "profile" / "user").mkdir(parents=True)
        (folder / "profile" / "user" / "registrymodifications.xcu").write_text(_SETTINGS, "utf-8")
        helper = Path(__file__).with_name("office_helper.py")
        words = [*_without_network(), _python(), "-I", str(helper),
                 str(beside if beside.is_file() else program), str(folder),
                 str(self._limits.memory_bytes), str(self._limits.recycle_bytes)]  # fmt: skip
        path = os.environ.get("PATH", "/usr/bin:/bin")
        environment = {"PATH": path, "LANG": "C.UTF-8", "HOME": str(folder)}
        self._process = process = subprocess.Popen(  # noqa: S603 - a fixed command
            words, env=environment, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            _line(process.stdout, _GRACE_S)
        except (OSError, ValueError, EOFError) as error:
            self.close()
            remedy = "Look whether soffice --version works on the machine"
            raise ConversionError("LibreOffice did not start", remedy) from error
        return folder

    def close(self) -> None:
        """End LibreOffice and remove its files."""
        process, folder = self._process, self._folder
        self._process = self._folder = None
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()  # by this the helper ends LibreOffice, its files and itself
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _line(pipe: IO[bytes] | None, seconds: float) -> dict[str, Any]:
    """One line of JSON, or EOFError after so many seconds or at the end. Nothing is left in a buffer."""
    if pipe is None:
        raise EOFError("there is no pipe")
    fd = pipe.fileno()
    ready, _, _ = select.select([fd], [], [], seconds)
    received = b""
    while ready and not received.endswith(b"\n"):
        piece = os.read(fd, 65_536)
        if not piece:
            raise EOFError("the helper ended")
        received += piece
    if not ready:
        raise EOFError("no answer")
    result: dict[str, Any] = json.loads(received)
    return result


def _told(answer: dict[str, Any], seconds: float) -> ConversionError:
    match answer["error"]:
        case "timeout":
            return ConversionError(
                f"LibreOffice took longer than {seconds:g} s", "Filter the report, or send the Office file"
            )
        case "damaged":
            return ConversionError(
                f"LibreOffice could not convert the file ({answer['message'][:200]})",
                "Open the report in LibreOffice to see what it minds, or send the Office file",
            )
        case _:
            return ConversionError(
                f"LibreOffice ended over the file ({answer['message'][:200]})",
                "Filter the report, give its machine more memory, or send the Office file",
            )


_OFFICE = Office()
atexit.register(_OFFICE.close)


def to_pdf(
    content: bytes, kind: OutputFormat, options: RenderOptions | None = None, seconds: float = DEFAULT_SECONDS
) -> bytes:
    """The Office file as PDF, by the LibreOffice of this process. Formulas are computed.

    The bytes differ with every run; ``rendering.pdf.settled`` mends that. Raises ConversionError, and
    TemplateError for a file that does not pass the gate.
    """
    if kind not in CONVERTIBLE:
        raise ConversionError(f"{kind.value} cannot be converted to PDF", "Choose an Office format")
    gate(content, _OWN_LIMITS, macros=kind is OutputFormat.XLSM)
    return _OFFICE.convert(content, kind, filter_data(options or RenderOptions()), seconds)


def filter_data(options: RenderOptions) -> dict[str, bool | int]:
    """What LibreOffice's PDF export is told."""
    data: dict[str, bool | int] = {"SelectPdfVersion": _VERSIONS.get(options.pdf_archive, 0)}
    if options.image_quality:
        data |= {"UseLosslessCompression": False, "Quality": options.image_quality}
    if options.image_dpi:
        at_least = [one for one in _RESOLUTIONS if one >= options.image_dpi]
        data |= {"ReduceImageResolution": True, "MaxImageResolution": at_least[0]}
    else:
        data |= {"ReduceImageResolution": False}
    return data
