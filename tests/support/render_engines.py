"""Engines for render workers that do what hostile templates do; the template's text says which."""

import os
import signal
import time
from pathlib import Path

from rendering.model import OutputFormat, RenderData, Rendered, RenderOptions, TemplateError, TemplateKind


def misbehaving(  # noqa: C901, PLR0912 - a list of misdeeds
    kind: TemplateKind, template: bytes, data: RenderData, options: RenderOptions, output: OutputFormat
) -> Rendered:
    """Do what the first word of the template asks for."""
    del kind, options, output
    word, _, rest = template.decode().partition(" ")
    match word:
        case "echo":
            return Rendered(rest.encode(), "text/plain", "txt", (data.meta.report,))
        case "pid":
            return Rendered(str(os.getpid()).encode(), "text/plain", "txt")
        case "environment":
            return Rendered(",".join(sorted(os.environ)).encode(), "text/plain", "txt")
        case "initial-environment":
            return Rendered(Path("/proc/self/environ").read_bytes(), "text/plain", "txt")
        case "sleep":
            Path(rest).touch()
            time.sleep(600)
        case "spin":
            while True:
                pass
        case "hoard":
            hoard = [b""]
            while True:
                hoard.append(bytes(16 * 1024 * 1024))
        case "flood":
            return Rendered(bytes(int(rest)), "text/plain", "txt")
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "leave":
            os._exit(3)
        case "fault":
            raise LookupError("nobody expects this")
        case "broken":
            raise TemplateError("sheet 1, A1", "no such table", "Known: sales")
    raise AssertionError(word)
