"""Renders in a process with the limits of a render worker, and says what became of it."""

import contextlib
import multiprocessing
import resource
import signal
from typing import Any

from rendering import OutputFormat, RenderOptions, TemplateError, TemplateKind, render
from support.report_data import report, table

MEMORY, SECONDS = 2 << 30, 10
ENDS = (signal.SIGXCPU, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGKILL)


def _render(answer: Any, kind: TemplateKind, template: bytes, output: OutputFormat) -> None:
    answer.send(("started", ""))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    data = report({"who": "x" * 1000, "n": 3}, {"t": table("a b", (1, 2), (3, 4))})
    try:
        told: tuple[str, Any] = ("file", render(kind, template, data, RenderOptions(), output).content)
    except TemplateError as error:
        told = ("refused", error.message)
    except (MemoryError, RecursionError) as error:
        told = ("ended", type(error).__name__)
    answer.send(told)


def confined(kind: TemplateKind, template: bytes, output: OutputFormat) -> tuple[str, Any]:
    """What comes of a template: ("file", bytes), ("refused", why), or ("ended", by what).

    Raises AssertionError when the process did not begin, failed in another way, or passed its limits.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["support.confined", "weasyprint"])
    ours, theirs = context.Pipe(duplex=False)
    worker = context.Process(target=_render, args=(theirs, kind, template, output))
    worker.start()
    theirs.close()
    try:
        assert ours.poll(30), "it did not begin"
        assert ours.recv()[0] == "started"
        assert ours.poll(150), "it neither ended nor answered"
        with contextlib.suppress(EOFError):
            told: tuple[str, Any] = ours.recv()
            return told
        worker.join(10)
        assert worker.exitcode in {-number for number in ENDS}, f"it failed with {worker.exitcode}"
        return ("ended", signal.Signals(-worker.exitcode).name)
    finally:
        ours.close()
        worker.kill()
        worker.join()
