"""A pool of render workers: warm processes that are killed and replaced, without hurting one another.

concurrent.futures' pool breaks as a whole when one of its processes dies, and cannot end a process that
overruns; here every worker has a pipe and a thread of its own.
"""

import asyncio
import contextlib
import json
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Self

import structlog
from prometheus_client import Counter, Gauge

from generator.adapters.render_worker import (
    Engine,
    TemplateMemory,
    WorkerJob,
    WorkerLimits,
    real_engine,
    work,
)
from generator.ports import RenderedFile, RenderJob
from rendering.model import Rendered
from runtime.errors import Permanent, Transient

log = structlog.get_logger(__name__)

WORKERS_ENDED = Counter(
    "broadsheet_render_workers_ended_total",
    "Render workers that ended before their time, by cause.",
    ["cause"],
)
WORKERS_BUSY = Gauge("broadsheet_render_workers_busy", "Render workers with a job in hand.")

_START_S = 60.0
_JOIN_S = 10.0
_HEADER_BYTES = 1024 * 1024
# A long-lived process collects what libraries leak; a new one is cheap after so many jobs.
_JOBS_PER_WORKER = 500
_SECRET_PREFIXES = ("BROADSHEET_", "AWS_")
_BY_MEMORY = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS})
_CONTEXT = multiprocessing.get_context("forkserver")
# Starting a process and asking how one ended both reap children; multiprocessing's book-keeping has no lock.
_BOOKS = threading.Lock()


class _Worker:
    """One process and its pipe. All methods but `kill` are called from one thread at a time, and block."""

    def __init__(self, limits: WorkerLimits, engine: Engine) -> None:
        self._limits = limits
        self._engine = engine
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._templates = TemplateMemory(limits.templates)
        self._jobs = 0
        self._killed: str | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def knows(self, sha256: str) -> bool:
        return sha256 in self._templates

    def start(self) -> None:
        """Start a process unless one lives. Raises Transient when it does not come up."""
        if self._connection is not None:
            # An idle worker says nothing, so whatever is there to read is the end of its pipe.
            if not self._connection.poll(0):
                return
            self._bury()
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=work, args=(theirs, self._limits, self._engine), daemon=True)
        with _BOOKS:
            process.start()
        theirs.close()
        self._process, self._connection, self._killed, self._jobs = process, ours, None, 0
        self._templates = TemplateMemory(self._limits.templates)
        try:
            with self._at_most(_START_S, "start"):
                ours.recv_bytes(16)
        except (EOFError, OSError) as error:
            code = self._bury()
            raise Transient(f"a render worker did not start (exit code {code})") from error

    def run(self, job: RenderJob) -> Rendered | RenderedFile:
        """Return the file of a job. Raises Permanent or Transient; the process may be gone afterwards."""
        self.start()
        try:
            with self._at_most(self._limits.wall_s, "wall"):
                reply, content = self._exchange(job)
        except (EOFError, OSError) as error:
            raise self._died(_name(job)) from error
        self._jobs += 1
        if reply.get("error") in {"memory", "fault"} or self._jobs >= _JOBS_PER_WORKER:
            self.stop()
        if "error" in reply:
            raise _refused(reply, self._limits, _name(job))
        warnings = tuple(reply["warnings"])
        if job.spooled is not None:
            return RenderedFile(job.spooled.path.with_name("file"), reply["content_type"], warnings)
        return Rendered(content or b"", reply["content_type"], reply["extension"], warnings)

    def _exchange(self, job: RenderJob) -> tuple[dict[str, Any], bytes | None]:
        connection = self._pipe()
        sha256 = job.template_sha256
        if sha256 in self._templates:
            self._templates.get(sha256)
            template = None
        else:
            template = self._templates.put(sha256, job.template)
        connection.send(
            WorkerJob(
                job.kind,
                sha256,
                template,
                job.data,
                job.options,
                job.output,
                passwords=job.passwords,
                spooled=job.spooled,
                exported=job.exported,
            )
        )
        reply: dict[str, Any] = json.loads(connection.recv_bytes(_HEADER_BYTES))
        # A long table lies in a file, and only its reply comes through the pipe.
        without = "error" in reply or job.spooled is not None
        return reply, None if without else connection.recv_bytes(self._limits.output_bytes)

    def _pipe(self) -> Connection:
        if self._connection is None:
            raise EOFError
        return self._connection

    @contextlib.contextmanager
    def _at_most(self, seconds: float, why: str) -> Iterator[None]:
        """Kill the process when the body takes longer, which ends every wait for it."""
        timer = threading.Timer(seconds, self.kill, (why,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def kill(self, why: str) -> None:
        """End the process now; from any thread."""
        if self._process is not None and self._process.pid is not None:
            self._killed = self._killed or why
            # By pid: asking the process object would reap it beside the thread that owns it.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """End the process, gently if it is idle."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            with self._at_most(_JOIN_S, "stop"):
                self._bury()

    def _bury(self) -> int | None:
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if connection is not None:
            connection.close()
        if process is None:
            return None
        with _BOOKS:
            process.join(_JOIN_S)
            code = process.exitcode
            if code is None:
                process.kill()
                process.join(_JOIN_S)
                code = process.exitcode
            with contextlib.suppress(ValueError):
                process.close()
        return code

    def _died(self, name: str) -> Permanent | Transient:
        killed, code = self._killed, self._bury()
        cause = killed or _cause(code)
        WORKERS_ENDED.labels(cause).inc()
        log.warning("render worker ended", cause=cause, exit_code=code)
        if cause in {"wall", "cpu"}:
            return _too_slow(self._limits, name)
        if cause == "memory":
            return _too_large(self._limits, name)
        # Somebody else's doing: the system short of memory, an operator, a test of resilience.
        return Transient(f"a render worker ended unexpectedly ({cause}, exit code {code})")


class RenderPool:
    """Renders jobs in worker processes; an async context manager, and the Renderer of the use cases."""

    def __init__(self, *, workers: int, limits: WorkerLimits, engine: Engine = real_engine) -> None:
        """Take the number of processes, their limits, and a module-level function that renders."""
        self._limits = limits
        self._idle = [_Worker(limits, engine) for _ in range(workers)]
        self._all = tuple(self._idle)
        self._free = asyncio.Semaphore(workers)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="render")

    async def __aenter__(self) -> Self:
        _CONTEXT.set_forkserver_preload(["generator.adapters.render_preload"])
        with _without_secrets():
            multiprocessing.forkserver.ensure_running()
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._threads, each.start) for each in self._all))
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self._all:
            worker.kill("stop")
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._threads, each.stop) for each in self._all))
        self._threads.shutdown(wait=True)

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the process ids of the workers that live."""
        return tuple(pid for worker in self._all if (pid := worker.pid) is not None)

    async def render(self, job: RenderJob) -> Rendered | RenderedFile:
        """Return the file of a job, in a worker that remembers its template if one is free.

        Raises Permanent for a bad template, a limit that was hit or a fault of the engine, Transient when the
        worker was ended from outside. A caller that is cancelled ends its worker.
        """
        async with self._free:
            worker = self._choose(job.template_sha256)
            try:
                with WORKERS_BUSY.track_inprogress():
                    return await self._run(worker, job)
            finally:
                self._idle.append(worker)

    def _choose(self, sha256: str) -> _Worker:
        chosen = next((each for each in self._idle if each.knows(sha256)), self._idle[0])
        self._idle.remove(chosen)
        return chosen

    async def _run(self, worker: _Worker, job: RenderJob) -> Rendered | RenderedFile:
        future = asyncio.get_running_loop().run_in_executor(self._threads, worker.run, job)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            worker.kill("cancelled")
            # Its thread ends at once, as its process is gone; until then the worker is not free.
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()
            raise


@contextlib.contextmanager
def _without_secrets() -> Iterator[None]:
    """Take secrets out of the environment while a process is started that inherits it."""
    taken = {key: os.environ.pop(key) for key in list(os.environ) if key.startswith(_SECRET_PREFIXES)}
    try:
        yield
    finally:
        os.environ.update(taken)


def _cause(code: int | None) -> str:
    if code is None or code >= 0:
        return "exit"
    number = -code
    if number == signal.SIGXCPU:
        return "cpu"
    if number == signal.SIGALRM:
        return "wall"
    return "memory" if number in _BY_MEMORY else signal.Signals(number).name


def _name(job: RenderJob) -> str:
    """The template as the one who reads the task log knows it."""
    return (
        f"the {job.kind.value} template of {job.data.meta.report!r}" if job.data.meta.report else "a template"
    )


def _refused(reply: dict[str, Any], limits: WorkerLimits, name: str) -> Permanent:
    match reply["error"]:
        case "template":
            return Permanent("template-error", f"{reply['place']}: {reply['message']}", reply["remedy"])
        case "memory":
            WORKERS_ENDED.labels("memory").inc()
            return _too_large(limits, name)
        case "output":
            size, most = reply["size"], limits.output_bytes
            return Permanent(
                "file-too-large",
                f"the file of {name} would have {size} bytes, more than the {most} that are allowed",
                "filter the report or iterate over a field, or raise the generator's output limit",
            )
        case _:
            WORKERS_ENDED.labels("fault").inc()
            log.error("renderer failed", type=reply.get("type"), trace=reply.get("trace"))
            return Permanent(
                "renderer-failed",
                f"the renderer failed with {reply.get('type')}",
                "look into the log of the generator and report the fault with the template",
            )


def _too_slow(limits: WorkerLimits, name: str) -> Permanent:
    return Permanent(
        "render-too-slow",
        f"{name} took over {limits.wall_s:g} s to render, or over {limits.cpu_s:g} s of processor time",
        "look for loops in loops in the template, filter the report, or raise the generator's render limits",
    )


def _too_large(limits: WorkerLimits, name: str) -> Permanent:
    return Permanent(
        "render-too-large",
        f"{name} needed more than {limits.memory_bytes // 2**20} MiB of memory, or nested too deeply",
        "simplify the template, filter the report, or raise the generator's render memory",
    )
