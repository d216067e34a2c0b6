"""One watcher a connection: poll, be woken by the site, subscribe anew from time to time."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from prometheus_client import Counter, Gauge

from contracts.triggers import ScheduleTrigger
from runtime.errors import Permanent, Transient
from scheduler.ports import Tasks

log = structlog.get_logger(__name__)

POLLS = Counter("broadsheet_reload_polls_total", "Polls of Qlik sites.", ["connection", "result"])
LAST_POLL = Gauge("broadsheet_reload_last_poll_timestamp_seconds", "Last good poll.", ["connection"])

Poll = Callable[[], Awaitable[None]]
Subscribe = Callable[[], Awaitable[None]]
Open = Callable[[str], contextlib.AbstractAsyncContextManager[tuple[Poll, Subscribe | None]]]


async def connections_waited_for(tasks: Tasks) -> set[str]:
    """Return the ids of the connections that enabled reload triggers wait for. Raises Transient."""
    return {
        app.connection_id
        async for task in tasks.all()
        for trigger in task.version.triggers
        if not isinstance(trigger, ScheduleTrigger) and trigger.enabled
        for app in trigger.watched
    }


class Watchers:
    """Keeps one watcher for each connection that is waited for."""

    def __init__(self, open_site: Open, *, poll_s: float, renewal_s: float) -> None:
        """Take how a site is opened, how often it is polled and how often subscribed to, in seconds."""
        self._open = open_site
        self._poll_s = poll_s
        self._renewal_s = renewal_s
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._woken: dict[str, asyncio.Event] = {}

    def wake(self, connection_id: str) -> None:
        """Poll a site now; an id nobody watches is ignored."""
        if connection_id in self._woken:
            self._woken[connection_id].set()

    def keep(self, wanted: set[str]) -> None:
        """Start watchers that are missing and end those nobody needs any more."""
        for connection_id in wanted - self._tasks.keys():
            self._woken[connection_id] = asyncio.Event()
            self._tasks[connection_id] = asyncio.create_task(
                self._watch(connection_id), name=f"watch:{connection_id}"
            )
        for connection_id in self._tasks.keys() - wanted:
            self._tasks.pop(connection_id).cancel()
            self._woken.pop(connection_id)

    async def aclose(self) -> None:
        """End all watchers."""
        tasks = list(self._tasks.values())
        self.keep(set())
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, connection_id: str) -> None:
        """Watch one site for ever; whatever is wrong with it harms no other."""
        while True:
            try:
                async with self._open(connection_id) as (poll, subscribe):
                    await self._rounds(connection_id, poll, subscribe)
            except (Transient, Permanent) as error:
                POLLS.labels(connection_id, "failed").inc()
                log.warning("qlik site cannot be watched", connection=connection_id, error=str(error)[:500])
            except Exception:
                POLLS.labels(connection_id, "failed").inc()
                log.exception("watching a qlik site failed", connection=connection_id)
            await asyncio.sleep(self._poll_s)

    async def _rounds(self, connection_id: str, poll: Poll, subscribe: Subscribe | None) -> None:
        woken = self._woken[connection_id]
        subscribed = subscribe is None
        # Opened anew once per renewal, so that a changed connection takes effect.
        end = time.monotonic() + self._renewal_s
        while time.monotonic() < end:
            if subscribe is not None and not subscribed:
                subscribed = await _tried(subscribe, connection_id)
            woken.clear()
            await poll()
            POLLS.labels(connection_id, "ok").inc()
            LAST_POLL.labels(connection_id).set_to_current_time()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), timeout=self._poll_s)


async def _tried(subscribe: Subscribe, connection_id: str) -> bool:
    try:
        await subscribe()
    except Transient as error:
        # Polling finds everything; without a subscription it only finds it later.
        log.warning("no subscription", connection=connection_id, error=str(error)[:500])
        return False
    return True


@contextlib.asynccontextmanager
async def closing(watchers: Watchers) -> AsyncIterator[Watchers]:
    """End the watchers at the end of the block."""
    try:
        yield watchers
    finally:
        await watchers.aclose()
