"""One watcher a connection: it polls, is woken by the site, and harms no other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import structlog

from contracts.triggers import ScheduleTrigger
from runtime.errors import Permanent, Transient
from scheduler.ports import ConfiguredTask, Tasks
from scheduler.site import POLLS, WatchedSite

log = structlog.get_logger(__name__)

_GATHERED_S = 0.05

Open = Callable[[str], contextlib.AbstractAsyncContextManager[WatchedSite]]
Failed = Callable[[str, str], Awaitable[None]]


async def connections_waited_for(tasks: Tasks) -> set[str]:
    """Return the ids of the connections that enabled reload triggers wait for. Raises Transient."""
    return {
        app.connection_id
        async for task in tasks.all()
        if isinstance(task, ConfiguredTask)
        for trigger in task.version.triggers
        if not isinstance(trigger, ScheduleTrigger) and trigger.enabled
        for app in trigger.watched
    }


class Watchers:
    """Keeps one watcher for each connection that is waited for."""

    def __init__(self, open_site: Open, failed: Failed, *, poll_s: float) -> None:
        """Take how a site is opened, who is told of one that cannot be, and how often it is polled."""
        self._open = open_site
        self._failed = failed
        self._poll_s = poll_s
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._woken: dict[str, asyncio.Event] = {}
        self._as: dict[str, object] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def wake(self, connection_id: str) -> None:
        """Poll a site now; an id nobody watches is ignored."""
        if connection_id in self._woken:
            self._woken[connection_id].set()

    def keep(self, wanted: Mapping[str, object]) -> None:
        """Start watchers that are missing, and end those nobody needs any more or whose value changed.

        A watcher that ended by itself, which none should, is logged and started again.
        """
        for connection_id in [key for key, task in self._tasks.items() if task.done()]:
            log.error("the watcher of a site had ended", connection=connection_id)
            del self._tasks[connection_id], self._woken[connection_id], self._as[connection_id]
        for connection_id in [key for key, value in self._as.items() if wanted.get(key, self) != value]:
            ended = self._tasks.pop(connection_id)
            ended.cancel()
            self._ending.add(ended)
            ended.add_done_callback(self._ending.discard)
            del self._woken[connection_id], self._as[connection_id]
        for connection_id in wanted.keys() - self._tasks.keys():
            self._as[connection_id] = wanted[connection_id]
            woken = self._woken[connection_id] = asyncio.Event()
            self._tasks[connection_id] = asyncio.create_task(
                self._watch(connection_id, woken), name=f"watch:{connection_id}"
            )

    async def aclose(self) -> None:
        """End all watchers."""
        self.keep({})
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _watch(self, connection_id: str, woken: asyncio.Event) -> None:
        """Watch one site for ever."""
        while True:
            try:
                async with self._open(connection_id) as site:
                    await self._rounds(connection_id, site, woken)
            except (Transient, Permanent) as error:
                log.warning("qlik site cannot be watched", connection=connection_id, error=str(error)[:500])
                await self._tell(connection_id, str(error))
            except Exception as error:
                log.exception("watching a qlik site failed", connection=connection_id)
                await self._tell(
                    connection_id, f"a fault of the listener: {type(error).__name__}; see its log"
                )
            await self._pause(woken)

    async def _rounds(self, connection_id: str, site: WatchedSite, woken: asyncio.Event) -> None:
        """Poll an open site for ever; one that is away is asked again with the same client."""
        called = False
        while True:
            woken.clear()
            try:
                await site.round(woken=called)
            except Transient as error:
                log.warning("qlik site cannot be read", connection=connection_id, error=str(error)[:500])
                await site.failed(str(error))
            called = await self._pause(woken)

    async def _pause(self, woken: asyncio.Event) -> bool:
        """Wait until the next poll is due; return whether the site called."""
        with contextlib.suppress(TimeoutError):
            # Not wait_for: Python 3.11's forgets a cancellation that comes together with the event.
            async with asyncio.timeout(self._poll_s):
                await woken.wait()
            # A repository calls several times about one reload, and the last call is the one that counts.
            await asyncio.sleep(_GATHERED_S)
        return woken.is_set()

    async def _tell(self, connection_id: str, message: str) -> None:
        POLLS.labels(connection_id, "failed").inc()
        try:
            await self._failed(connection_id, message)
        except Exception as error:
            # The watcher goes on; that it cannot say how its site is must not be the end of it.
            log.warning(
                "the state of a site is not written",
                connection=connection_id,
                error=str(error)[:300],
                exc_info=None if isinstance(error, Transient) else error,
            )


@contextlib.asynccontextmanager
async def closing(watchers: Watchers) -> AsyncIterator[Watchers]:
    """End the watchers at the end of the block."""
    try:
        yield watchers
    finally:
        await watchers.aclose()
