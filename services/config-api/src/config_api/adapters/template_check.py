"""Looks into an uploaded template in a process of its own: the file is hostile until proved otherwise."""

import asyncio
import json
import sys

from config_api.domain.bindings import Inspected
from config_api.domain.errors import Problem
from contracts.configuration import TemplateKind, TemplateUses
from runtime.errors import Transient

_WORKER = "config_api.adapters.template_worker"
_AT_ONCE = 2


class TemplateInspector:
    """config_api.ports.TemplateCheck through rendering.inspect, bounded in time and memory."""

    def __init__(self, *, timeout_s: float) -> None:
        """Take how many seconds a template may take."""
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, kind: TemplateKind, data: bytes) -> Inspected:
        """Return what is in a template. Raises Transient when no process can be started."""
        async with self._slots:
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    _WORKER,
                    kind.value,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                    # The worker needs nothing of this service's settings, and must not see its secrets.
                    env={"PYTHONPATH": ":".join(sys.path)},
                )
            except OSError as error:
                raise Transient(f"the template cannot be looked at now: {error}") from error
            try:
                answer, _ = await asyncio.wait_for(process.communicate(data), self._timeout_s)
            except TimeoutError:
                return _refused(f"takes longer than {self._timeout_s:g} seconds to look at")
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode != 0:
            return _refused("cannot be looked at within the memory and time a template may take")
        found = json.loads(answer)
        problems = tuple(Problem(**problem) for problem in found["problems"])
        return Inspected(TemplateUses.model_validate(found["uses"]), problems)


def _refused(message: str) -> Inspected:
    remedy = "make it smaller and simpler, save it anew in its program, then upload it"
    return Inspected(TemplateUses(), (Problem("file", message, remedy),))
