"""The process that renders: one job at a time, confined, and expected to die now and then.

User templates are hostile input and no template engine is safe alone: output floods took gigabytes, long sums
overflowed the native stack. What bounds them is this process: its address space, its processor time, its
files and the clock. Replies are JSON and bytes, never pickles: a parent does not unpickle what comes from
here.
"""

import json
import os
import resource
import signal
import traceback
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from generator.ports import Exported, Passwords, RenderedFile, Spooled
from rendering.model import OutputFormat, RenderData, Rendered, RenderOptions, TemplateError, TemplateKind

Engine = Callable[[TemplateKind, bytes, RenderData, RenderOptions, OutputFormat], Rendered]

_TRACEBACK_CHARS = 4_000
_SECRET_PREFIXES = ("BROADSHEET_", "AWS_")
# Ends a worker whose parent died while it was rendering; a living parent kills it before that.
_ORPHAN_GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What one render may use."""

    memory_bytes: int
    """Address space of the process, libraries included."""
    cpu_s: float
    wall_s: float
    output_bytes: int
    file_bytes: int = 256 * 1024 * 1024
    """Size of a temporary file."""
    templates: int = 16
    """Templates a worker remembers."""


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """A job as it crosses the pipe; `template` is None when the worker remembers it."""

    kind: TemplateKind
    sha256: str
    template: bytes | None
    data: RenderData
    options: RenderOptions
    output: OutputFormat
    passwords: Passwords = field(default_factory=Passwords)
    spooled: Spooled | None = None
    exported: Exported | None = None


class TemplateMemory:
    """The latest templates by SHA-256. Parent and worker hold one each, and both forget alike."""

    def __init__(self, size: int) -> None:
        """Remember at most `size` templates."""
        self._size = size
        self._held: OrderedDict[str, bytes] = OrderedDict()

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._held

    def put(self, sha256: str, template: bytes) -> bytes:
        """Remember a template as the latest and return it."""
        self._held[sha256] = template
        self._held.move_to_end(sha256)
        while len(self._held) > self._size:
            self._held.popitem(last=False)
        return template

    def get(self, sha256: str) -> bytes:
        """Return a remembered template and make it the latest. Raises KeyError."""
        self._held.move_to_end(sha256)
        return self._held[sha256]


def real_engine(
    kind: TemplateKind, template: bytes, data: RenderData, options: RenderOptions, output: OutputFormat
) -> Rendered:
    """Render with the rendering package."""
    # Imported in the worker only: the service itself needs none of the renderers' libraries.
    from rendering import render  # noqa: PLC0415

    return render(kind, template, data, options, output)


def work(connection: Connection, limits: WorkerLimits, engine: Engine) -> None:
    """Confine this process, then answer jobs until the other end is closed."""
    _confine(limits)
    templates = TemplateMemory(limits.templates)
    connection.send_bytes(b"ready")
    while True:
        try:
            job: WorkerJob = connection.recv()
        except EOFError:
            return
        _arm(limits)
        reply, content, sound = _answer(job, templates, limits, engine)
        connection.send_bytes(json.dumps(reply).encode())
        if content is not None:
            connection.send_bytes(content)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if not sound:
            return


def _confine(limits: WorkerLimits) -> None:
    for name in [key for key in os.environ if key.startswith(_SECRET_PREFIXES)]:
        del os.environ[name]
    # Ctrl-C in a terminal reaches every process; the service decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    # The soft limit only: LibreOffice, a child with bounds of its own, needs more than a template may.
    _lower(resource.RLIMIT_AS, limits.memory_bytes, hard_too=False)
    _lower(resource.RLIMIT_FSIZE, limits.file_bytes)
    _lower(resource.RLIMIT_CORE, 0)


def _lower(what: int, size: int, *, hard_too: bool = True) -> None:
    hard = resource.getrlimit(what)[1]
    least = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(what, (least, least if hard_too else hard))


def _arm(limits: WorkerLimits) -> None:
    """Start the bounds of one job; passing either ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    # The limit counts seconds since the process began, so it moves up with every job.
    soft = int(used.ru_utime + used.ru_stime + limits.cpu_s) + 1
    resource.setrlimit(
        resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )
    signal.setitimer(signal.ITIMER_REAL, limits.wall_s + _ORPHAN_GRACE_S)


def _answer(
    job: WorkerJob, templates: TemplateMemory, limits: WorkerLimits, engine: Engine
) -> tuple[dict[str, object], bytes | None, bool]:
    """Return the reply, the file if there is one, and whether this process may go on."""
    try:
        file = _made(job, templates, engine)
    except TemplateError as error:
        told = {"place": error.place, "message": error.message, "remedy": error.remedy}
        return {"error": "template", **told}, None, True
    except MemoryError:
        # Whatever failed to get memory may be half done; a new process costs less than finding out.
        return {"error": "memory"}, None, False
    except Exception as error:  # noqa: BLE001 - the parent has to learn of every failure
        trace = "".join(traceback.format_exception(error))[-_TRACEBACK_CHARS:]
        return {"error": "fault", "type": type(error).__name__, "trace": trace}, None, False
    reply: dict[str, object] = {"content_type": file.content_type, "warnings": list(file.warnings)}
    content = file.content if isinstance(file, Rendered) else None
    size = file.path.stat().st_size if isinstance(file, RenderedFile) else len(file.content)
    if size > limits.output_bytes:
        return {"error": "output", "size": size}, None, True
    if isinstance(file, Rendered):
        reply["extension"] = file.extension
    return reply, content, True


def _made(job: WorkerJob, templates: TemplateMemory, engine: Engine) -> Rendered | RenderedFile:
    """Return the file of a job, with its passwords."""
    # Imported in the worker only, as the renderers are.
    from generator.adapters import finishing  # noqa: PLC0415

    known = templates.put(job.sha256, job.template) if job.template is not None else templates.get(job.sha256)
    if job.spooled is not None:
        title = job.data.meta.report
        table = finishing.export_table(job.spooled, job.output, job.options, title)
        return finishing.locked_file(table, job.output, job.passwords)
    if job.exported is not None:
        return finishing.locked(finishing.unchanged(job.exported, job.output), job.output, job.passwords)
    file = engine(job.kind, known, job.data, job.options, job.output)
    return finishing.locked(file, job.output, job.passwords)
