"""The life of a service: start in order, run, stop in the reverse order, tell how it is."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from runtime.errors import Transient
from runtime.http import HttpLimits, serving
from runtime.logs import configure_logging
from runtime.rounds import Rounds
from runtime.settings import RuntimeSettings
from runtime.telemetry import tracer_provider

log = structlog.get_logger(__name__)
T = TypeVar("T")

Check = Callable[[], Awaitable[list[str]]]
Start = Callable[["Service"], Awaitable[None]]

_START_PAUSE_S = 1.0
# A failed round is repeated no sooner than this, and, even of a loop that runs once an hour, no later.
_SHORTEST_PAUSE_AFTER_FAILURE_S = 1.0
_LONGEST_PAUSE_AFTER_FAILURE_S = 60.0


class Service:
    """One process: its resources, background work and health.

    `start` is called with the service and enters resources, adds checks, loops and workers. When it raises
    Transient, what it opened is closed and it is called again, so that a service waits for its servers.
    """

    def __init__(self, name: str, settings: RuntimeSettings) -> None:
        """Take the service's name, as it stands in logs and traces, and its settings."""
        self.name = name
        self.settings = settings
        self.stopping = asyncio.Event()
        self._stack = AsyncExitStack()
        self._checks: list[Check] = []
        self._work: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._started = False

    async def enter(self, resource: AbstractAsyncContextManager[T]) -> T:
        """Open a resource that lives as long as the service; closed in the reverse order."""
        return await self._stack.enter_async_context(resource)

    def ready_when(self, check: Check) -> None:
        """Add a check that returns why the service should get no work; empty means it is ready."""
        self._checks.append(check)

    def every(
        self, seconds: float, job: Callable[[], Awaitable[object]], *, name: str, rounds: Rounds | None = None
    ) -> None:
        """Run `job` again and again, `seconds` after its last end.

        A failed round is logged, counted and repeated within a minute; rounds that keep failing make the
        service not ready. Pass `rounds` when the job isolates its rows with it (`Rounds.isolated`).
        """
        kept = rounds or Rounds(name)

        async def loop() -> None:
            while not self.stopping.is_set():
                with kept.round():
                    await job()
                await self.pause(_pause_after_failure(seconds) if kept.failures_in_row else seconds)

        self._work.append((name, loop))
        self.ready_when(kept.problems)

    def worker(self, run: Callable[[], Awaitable[None]], *, name: str) -> None:
        """Run `run` beside everything else; it has to return soon after `stopping` is set."""
        self._work.append((name, run))

    async def pause(self, seconds: float) -> None:
        """Wait, but not past the beginning of the stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()

    async def problems(self) -> list[str]:
        """Return why this service should get no work; empty when it is ready."""
        if not self._started:
            return ["starting"]
        if self.stopping.is_set():
            return ["stopping"]
        return [problem for check in self._checks for problem in await check()]

    async def run(self, start: Start) -> None:
        """Run until SIGTERM or SIGINT; a worker that dies ends the service with its exception."""
        configure_logging(self.name, level=self.settings.log_level, json=self.settings.log_format == "json")
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        provider = tracer_provider(self.settings, self.name)
        async with AsyncExitStack() as outer:
            outer.callback(provider.shutdown)
            if self.settings.health_port:
                await outer.enter_async_context(
                    serving(
                        self.health_app,
                        host=self.settings.health_host,
                        port=self.settings.health_port,
                        limits=HttpLimits.from_settings(self.settings),
                    )
                )
            await self._start(start)
            try:
                await self._work_until_stopped()
            finally:
                self.stopping.set()
                await self._stack.aclose()
        log.info("stopped")

    async def _start(self, start: Start) -> None:
        while not self.stopping.is_set():
            try:
                await start(self)
            except Transient as error:
                log.warning("cannot start yet", error=str(error)[:500])
                await self._stack.aclose()
                self._stack = AsyncExitStack()
                self._checks.clear()
                self._work.clear()
                await self.pause(_START_PAUSE_S)
            except BaseException:
                await self._stack.aclose()
                raise
            else:
                self._started = True
                log.info("started", replica=self.settings.replica)
                return

    async def _work_until_stopped(self) -> None:
        tasks: set[asyncio.Task[Any]] = {
            asyncio.create_task(_as_coroutine(run), name=name) for name, run in self._work if self._started
        }
        stop: asyncio.Task[Any] = asyncio.create_task(self.stopping.wait(), name="stopping")
        try:
            await asyncio.wait({*tasks, stop}, return_when=asyncio.FIRST_COMPLETED)
            early = [task for task in tasks if task.done()]
            self.stopping.set()
            if tasks:
                await asyncio.wait(tasks, timeout=self.settings.graceful_timeout_s)
            for task in early:
                task.result()
        finally:
            for task in {*tasks, stop}:
                task.cancel()
            await asyncio.gather(*tasks, stop, return_exceptions=True)

    async def health_app(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer /live, /ready and /metrics (ASGI).

        Live means that the event loop turns; ready, that every check is content.
        """
        del receive
        if scope["type"] != "http":
            return
        path, status, kind = scope["path"], 200, "text/plain; charset=utf-8"
        if path == "/live":
            body = b"alive\n"
        elif path == "/ready":
            problems = await self.problems()
            status = 503 if problems else 200
            body = ("\n".join(problems) or "ready").encode() + b"\n"
        elif path == "/metrics":
            body, kind = generate_latest(), CONTENT_TYPE_LATEST
        else:
            status, body = 404, b"there are /live, /ready and /metrics\n"
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode())]}
        )
        await send({"type": "http.response.body", "body": body})


def _pause_after_failure(seconds: float) -> float:
    return min(max(seconds, _SHORTEST_PAUSE_AFTER_FAILURE_S), _LONGEST_PAUSE_AFTER_FAILURE_S)


async def _as_coroutine(run: Callable[[], Awaitable[None]]) -> None:
    await run()
