"""Keeps one LibreOffice running and converts files by it; a program of its own, not to be imported.

It is run by the Python that has UNO, which is the system's, so it uses nothing of ours. A line of JSON on
standard input is a job, a line on standard output its answer. When standard input ends, because whoever asked
is gone, LibreOffice and its files go too; when this program is killed, the kernel ends LibreOffice.

Where there is no UNO a LibreOffice is started per file.
"""

import contextlib
import ctypes
import json
import os
import queue
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

try:
    import uno  # type: ignore[import-not-found]
    from com.sun.star.beans import PropertyValue  # type: ignore[import-not-found]
except ImportError:
    uno = None

_START_S = 60.0
_RESTART = 81  # LibreOffice asks to be started again, as it does with some new profiles
_POLL_S = 0.05
_PR_SET_PDEATHSIG = 1
_NEVER, _NO_UPDATE = 0, 0
_ENDED = 2  # the exit code when whoever asked is gone
_LOADERS = {
    "xlsx": ("Calc MS Excel 2007 XML", "calc_pdf_Export"),
    "xlsm": ("Calc MS Excel 2007 VBA XML", "calc_pdf_Export"),
    "docx": ("MS Word 2007 XML", "writer_pdf_Export"),
    "pptx": ("Impress MS PowerPoint 2007 XML", "impress_pdf_Export"),
}
_TYPES = {bool: "boolean", int: "long"}
# What UNO raises when something is wrong with LibreOffice; what it minds about a file has names of its own.
_NOT_OF_THE_FILE = ("DisposedException", "RuntimeException")


class FailedError(Exception):
    """A job that failed; ``code`` is timeout, damaged or died."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class LibreOffice:
    """The process, and the files in its folder."""

    def __init__(self, program: str, folder: Path, memory: int, recycle: int) -> None:
        self._program = program
        self._folder = folder
        self._settings_file = folder / "profile" / "user" / "registrymodifications.xcu"
        self._settings = self._settings_file.read_bytes()
        self._memory = memory
        self._recycle = recycle
        self._process: subprocess.Popen[bytes] | None = None
        self._desktop: Any = None
        self._count = 0
        self._libc = ctypes.CDLL(None, use_errno=True)

    def convert(self, job: dict[str, Any]) -> None:
        """Write the PDF a job asks for. Raises FailedError."""
        late = threading.Event()

        def stop() -> None:
            late.set()
            self.kill()

        if uno is not None:
            self._ready()
        timer = threading.Timer(float(job["seconds"]), stop)
        timer.start()
        try:
            if uno is None:
                self._once(job)
            else:
                self._load_and_store(job)
        except Exception as error:
            timer.cancel()
            # Its connection breaks a moment before the process has ended; short of memory it may fail inside.
            gone = late.is_set() or type(error).__name__.endswith(_NOT_OF_THE_FILE) or not self.lives()
            if gone or not isinstance(error, FailedError):
                self.end()
            if late.is_set():
                raise FailedError("timeout", "it took too long") from error
            if isinstance(error, FailedError):
                raise
            raise FailedError(
                "died" if gone else "damaged", f"{type(error).__name__}: {error}"[:300]
            ) from error
        finally:
            timer.cancel()
        if self._resident() > self._recycle:
            self.end()

    def _load_and_store(self, job: dict[str, Any]) -> None:
        loader, exporter = _LOADERS[job["kind"]]
        # Hidden: without it the packages without a screen lose every workbook.
        how = {"Hidden": True, "ReadOnly": True, "FilterName": loader, "MacroExecutionMode": _NEVER,
               "UpdateDocMode": _NO_UPDATE}  # fmt: skip
        document = self._desktop.loadComponentFromURL(
            Path(job["source"]).as_uri(), "_blank", 0, _properties(how)
        )
        if document is None:
            raise FailedError("damaged", "LibreOffice cannot read the file")
        try:
            data = uno.Any("[]com.sun.star.beans.PropertyValue", _properties(job["options"]))
            document.storeToURL(
                Path(job["target"]).as_uri(), _properties({"FilterName": exporter, "FilterData": data})
            )
        finally:
            document.close(True)

    def _once(self, job: dict[str, Any]) -> None:
        exporter = _LOADERS[job["kind"]][1]
        options = {k: {"type": _TYPES[type(v)], "value": str(v).lower()} for k, v in job["options"].items()}
        source, target = Path(job["source"]), Path(job["target"])
        word = f"pdf:{exporter}:{json.dumps(options)}"
        code = _RESTART
        for _ in range(2):
            if code == _RESTART:
                code = self._start(["--convert-to", word, "--outdir", str(target.parent), str(source)]).wait()
        made = target.parent / (source.stem + ".pdf")
        if code or not made.is_file():
            raise FailedError("damaged", f"LibreOffice ended with {code} and wrote no file")
        made.replace(target)

    def _ready(self) -> None:
        """Start LibreOffice unless it runs, and connect."""
        if self.lives() and self._desktop is not None:
            return
        self.end()
        deadline = time.monotonic() + _START_S
        resolver = uno.getComponentContext().ServiceManager.createInstance(
            "com.sun.star.bridge.UnoUrlResolver"
        )
        self._count += 1
        address = f"pipe,name=broadsheet_{os.getpid()}_{self._count}"
        self._start([f"--accept={address};urp;"])
        while True:
            try:
                context = resolver.resolve(f"uno:{address};urp;StarOffice.ComponentContext")
                break
            except Exception as error:
                if not self.lives() and self._code() == _RESTART:
                    self._start([f"--accept={address};urp;"])
                elif not self.lives() or time.monotonic() > deadline:
                    code = self._code()
                    self.end()
                    raise FailedError("died", f"LibreOffice did not start (exit code {code})") from error
                time.sleep(_POLL_S)
        self._desktop = context.ServiceManager.createInstanceWithContext(
            "com.sun.star.frame.Desktop", context
        )

    def _start(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        own = self._folder / "own"
        own.mkdir(exist_ok=True)
        profile = (self._folder / "profile").as_uri()
        words = [self._program, f"-env:UserInstallation={profile}", "--headless", "--norestore",
                 "--nolockcheck", "--nodefault", "--nologo", *arguments]  # fmt: skip
        environment = {"HOME": str(own), "TMPDIR": str(own), "LANG": "C.UTF-8", "SAL_USE_VCLPLUGIN": "svp",
                       "PATH": os.environ.get("PATH", "/usr/bin:/bin")}  # fmt: skip
        self._process = process = subprocess.Popen(  # noqa: S603 - a fixed command on files of ours
            words, cwd=own, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=self._confine,  # noqa: PLW1509 - it takes no lock
        )  # fmt: skip
        return process

    def _confine(self) -> None:
        """Run in the child: it ends with us, and has bounds of its own."""
        self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for what, size in ((resource.RLIMIT_AS, self._memory), (resource.RLIMIT_CPU, None)):
            hard = resource.getrlimit(what)[1]
            wanted = hard if size is None else size if hard == resource.RLIM_INFINITY else min(size, hard)
            resource.setrlimit(what, (wanted, hard))

    def lives(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def _code(self) -> int | None:
        return self._process.returncode if self._process is not None else None

    def _resident(self) -> int:
        if self._process is None:
            return 0
        try:
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        return pages * resource.getpagesize()

    def kill(self) -> None:
        """End LibreOffice and its children now; from any thread, any number of times."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """The same, and make its profile new: a killed LibreOffice leaves locks and recovery data."""
        self.kill()
        if self._process is not None:
            self._process.wait()
        self._process = self._desktop = None
        for name in ("own", "profile"):
            shutil.rmtree(self._folder / name, ignore_errors=True)
        with contextlib.suppress(OSError):  # the folder goes when whoever asked is gone
            self._settings_file.parent.mkdir(parents=True, exist_ok=True)
            self._settings_file.write_bytes(self._settings)


def _properties(values: dict[str, Any]) -> Any:
    made = []
    for name, value in values.items():
        one = PropertyValue()
        one.Name, one.Value = name, value
        made.append(one)
    return tuple(made)


def main() -> None:
    """Answer jobs until standard input ends."""
    program, folder, memory, recycle = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    for what in (resource.RLIMIT_AS, resource.RLIMIT_CPU):
        # Whoever asked may be confined; this program is not, and what it starts has bounds of its own.
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (hard, hard))
    office = LibreOffice(program, folder, memory, recycle)
    jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(jobs, office, folder), daemon=True).start()
    _say({"warm": uno is not None})
    while True:
        job = jobs.get()
        answer: dict[str, Any] = {"id": job["id"]}
        try:
            office.convert(job)
        except FailedError as error:
            answer |= {"error": error.code, "message": str(error)}
        _say(answer)


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _read(jobs: "queue.SimpleQueue[dict[str, Any]]", office: LibreOffice, folder: Path) -> None:
    """Hand on jobs, and end everything when there is nobody to answer, whatever the main thread does."""
    for line in sys.stdin:
        jobs.put(json.loads(line))
    office.kill()
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(_POLL_S)
    os._exit(_ENDED)


if __name__ == "__main__":
    main()
