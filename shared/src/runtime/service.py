"""The life of a service: start in order, run, stop in the reverse order, tell how it is."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest

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

READY = Gauge("broadsheet_ready", "1 while the service is ready, 0 while it is not.")
WARNINGS = Gauge("broadsheet_warnings", "What is wrong although the service can do its work.")

_START_PAUSE_S = 1.0
_HEALTH_EVERY_S = 10.0
# Below the timeout of the probes.
_CHECK_WITHIN_S = 3.5
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
        self._warnings: list[Check] = []
        self._work: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._started = False

    async def enter(self, resource: AbstractAsyncContextManager[T]) -> T:
        """Open a resource that lives as long as the service; closed in the reverse order."""
        return await self._stack.enter_async_context(resource)

    def ready_when(self, check: Check) -> None:
        """Add a check that returns why the service should get no work; empty means it is ready."""
        self._checks.append(check)

    def warn_when(self, check: Check) -> None:
        """Add a check that returns what is wrong although the service can still do its work.

        What it returns is shown by `/ready`, logged and counted, and does not take the service out.
        """
        self._warnings.append(check)

    def enter_later(self, resource: Callable[[], AbstractAsyncContextManager[object]], *, name: str) -> None:
        """Open a resource beside everything else; while it raises Transient, try again.

        For what the service can do without for a while. It is closed before what `enter` opened.
        """

        async def open_it() -> None:
            while not self.stopping.is_set():
                try:
                    await self._unless_stopping(self.enter(resource()))
                except Transient as error:
                    log.warning("cannot be used yet", resource=name, error=str(error)[:500])
                    await self.pause(_START_PAUSE_S)
                else:
                    await self.stopping.wait()

        self._work.append((name, open_it))

    async def _unless_stopping(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self.stopping.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        for each in (task, stop):
            each.cancel()
        await asyncio.gather(stop, return_exceptions=True)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def every(
        self,
        seconds: float,
        job: Callable[[], Awaitable[object]],
        *,
        name: str,
        rounds: Rounds | None = None,
        essential: bool = True,
    ) -> None:
        """Run `job` again and again, `seconds` after its last end.

        A failed round is logged, counted and repeated within a minute; rounds that keep failing make the
        service not ready, or are a warning when the loop is not `essential`. Pass `rounds` when the job
        isolates its rows with it (`Rounds.isolated`).
        """
        kept = rounds or Rounds(name)

        async def loop() -> None:
            while not self.stopping.is_set():
                with kept.round():
                    await job()
                await self.pause(_pause_after_failure(seconds) if kept.failures_in_row else seconds)

        self._work.append((name, loop))
        (self.ready_when if essential else self.warn_when)(kept.problems)

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
        return await _found_by(self._checks)

    async def warnings(self) -> list[str]:
        """Return what is wrong although this service can do its work."""
        return await _found_by(self._warnings) if self._started else []

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
                self._warnings.clear()
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
        tasks.add(asyncio.create_task(self._watch_health(), name="health"))
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

    async def _watch_health(self) -> None:
        """Log when the service becomes ready or not, and keep the metrics, even if nobody asks."""
        ready: bool | None = None
        while not self.stopping.is_set():
            problems, warnings = await self.problems(), await self.warnings()
            if self.stopping.is_set():
                return
            READY.set(0 if problems else 1)
            WARNINGS.set(len(warnings))
            if problems and ready is not False:
                log.warning("not ready", problems=problems)
            elif not problems and ready is False:
                log.info("ready again")
            ready = not problems
            await self.pause(_HEALTH_EVERY_S)

    async def health_app(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer /live, /started, /ready and /metrics (ASGI).

        Live means that the event loop turns; started, that the service has opened what it needs for the first
        time; ready, that every check is content.
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
            lines = (problems or ["ready"]) + [f"warning: {each}" for each in await self.warnings()]
            body = "\n".join(lines).encode() + b"\n"
        elif path == "/started":
            status, body = (200, b"started\n") if self._started else (503, b"starting\n")
        elif path == "/metrics":
            body, kind = generate_latest(), CONTENT_TYPE_LATEST
        else:
            status, body = 404, b"there are /live, /started, /ready and /metrics\n"
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode())]}
        )
        await send({"type": "http.response.body", "body": body})


async def _found_by(checks: Sequence[Check]) -> list[str]:
    """Ask all checks at once, each within a few seconds: a probe has to be answered."""

    async def ask(check: Check) -> list[str]:
        try:
            async with asyncio.timeout(_CHECK_WITHIN_S):
                return await check()
        except TimeoutError:
            return [f"{_name_of(check)}: no answer within {_CHECK_WITHIN_S:.0f} s"]
        except Exception as error:
            log.exception("a health check failed", check=_name_of(check))
            return [f"{_name_of(check)}: {type(error).__name__}"]

    return [problem for found in await asyncio.gather(*map(ask, checks)) for problem in found]


def _name_of(check: Check) -> str:
    return str(getattr(check, "__qualname__", check))


def _pause_after_failure(seconds: float) -> float:
    return min(max(seconds, _SHORTEST_PAUSE_AFTER_FAILURE_S), _LONGEST_PAUSE_AFTER_FAILURE_S)


async def _as_coroutine(run: Callable[[], Awaitable[None]]) -> None:
    await run()
