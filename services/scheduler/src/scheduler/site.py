"""One watched site: when it is polled, how it is made to push, what is written down about it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter, Gauge, Histogram

from contracts.sites import PushKind, SitePush
from runtime.clock import Clock
from runtime.errors import Transient
from scheduler.ports import Push, Pushing, SiteStates
from scheduler.use_cases import Heard

log = structlog.get_logger(__name__)

POLLS = Counter("broadsheet_reload_polls_total", "Polls of Qlik sites.", ["connection", "result"])
LAST_POLL = Gauge("broadsheet_reload_last_poll_timestamp_seconds", "Last good poll.", ["connection"])
NOTICED = Histogram(
    "broadsheet_reload_noticed_seconds",
    "From the end of a reload, by the site's clock, to its being read.",
    ["connection"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 300, 3600),
)
PUSHING = Gauge("broadsheet_reload_push_working", "1 while a site tells of reloads.", ["connection"])
MISSED = Counter(
    "broadsheet_reload_push_missed_total",
    "Reloads found by polling that a site did not tell of.",
    ["connection"],
)
MENDED = Counter("broadsheet_reload_push_mended_total", "Pushes found broken and put right.", ["connection"])

# How much later than a reload's end its call may come, clocks that differ included.
_CALLS_WITHIN = timedelta(seconds=5)
_GOODBYE_S = 5


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often, in seconds."""

    renewal_s: float
    retry_s: float = 60.0
    """When a push that could not be had is asked for again."""
    timeout_s: float = 180.0


class WatchedSite:
    """Reads one site and keeps it pushing. Push is a hint, polling is the truth."""

    def __init__(
        self,
        connection_id: str,
        *,
        poll: Callable[[], Awaitable[Heard]],
        push: Push,
        states: SiteStates,
        clock: Clock,
        rhythm: Rhythm,
        unavailable: Callable[[str], Awaitable[None]],
    ) -> None:
        """Take how the site is polled and made to push, and where its state is written.

        `unavailable` is called with the reason when the site cannot be polled.
        """
        self._id = connection_id
        self._poll = poll
        self._push = push
        self._states = states
        self._clock = clock
        self._rhythm = rhythm
        self._unavailable = unavailable
        self._healthy = False
        self._push_due = clock.now()
        self._pushing_since: datetime | None = None

    async def round(self, *, woken: bool = False) -> None:
        """Poll once, and see to the push when it is due. Raises Transient when the site cannot be polled."""
        if woken:
            await self._states.pushed(self._id, self._clock.now())
        if self._healthy and self._clock.now() >= self._push_due:
            await self._ensure()
        heard = await self._read()
        if not self._healthy:
            # New, or back again: what it forgot is asked for first, then read what came in between.
            self._healthy = True
            await self._ensure()
            await self._read()
        elif await self._was_not_told(heard):
            MISSED.labels(self._id).inc()
            await self._ensure(suspected="a reload was found that the site had not told of")

    async def failed(self, message: str) -> None:
        """Write down that the site could not be polled. Raises Transient."""
        self._healthy = False
        POLLS.labels(self._id, "failed").inc()
        await self._states.failed(self._id, self._clock.now(), message)
        await self._unavailable(message)

    async def aclose(self) -> None:
        """Give up the push."""
        PUSHING.labels(self._id).set(0)
        # A site that hangs must not keep the process from ending.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await self._push.aclose()

    async def _read(self) -> Heard:
        try:
            async with asyncio.timeout(self._rhythm.timeout_s):
                heard = await self._poll()
        except TimeoutError as error:
            raise Transient(f"the site did not answer within {self._rhythm.timeout_s:.0f} s") from error
        now = self._clock.now()
        lags = [max(0.0, (now - reload.finished_at).total_seconds()) for reload in heard.fresh]
        for lag in lags:
            NOTICED.labels(self._id).observe(lag)
        POLLS.labels(self._id, "ok").inc()
        LAST_POLL.labels(self._id).set_to_current_time()
        away_since = await self._states.read(self._id, now, lags[-1] if lags else None)
        if away_since is not None:
            since = away_since.isoformat(timespec="seconds")
            await self._states.mended(
                self._id, now, f"the site could not be read since {since}; what happened there is caught up"
            )
        return heard

    async def _ensure(self, *, suspected: str = "") -> None:
        now = self._clock.now()
        try:
            async with asyncio.timeout(self._rhythm.timeout_s):
                pushing = await self._push.ensure()
        except (Transient, TimeoutError) as error:
            # Polling finds everything; without a push it only finds it later.
            problem = str(error) or "the site did not answer in time"
            log.warning("the site tells of nothing", connection=self._id, error=problem[:500])
            pushing = Pushing(problem=problem)
            self._push_due = now + timedelta(seconds=min(self._rhythm.retry_s, self._rhythm.renewal_s))
        else:
            self._push_due = now + timedelta(seconds=self._rhythm.renewal_s)
        working = not pushing.problem and self._push.kind is not PushKind.NONE
        PUSHING.labels(self._id).set(working)
        self._pushing_since = now if working else None
        state = SitePush(
            kind=self._push.kind, working=working, id=pushing.id, since=now, problem=pushing.problem[:1000]
        )
        await self._states.push_is(self._id, now, state)
        mended = pushing.mended or (suspected and self._push.kind is PushKind.SUBSCRIPTION and suspected)
        if working and mended:
            MENDED.labels(self._id).inc()
            log.info("push mended", connection=self._id, what=mended)
            await self._states.mended(self._id, now, f"{mended}; it was asked for anew")

    async def _was_not_told(self, heard: Heard) -> bool:
        """Return whether a reload was read that should have been pushed by now and was not."""
        since = self._pushing_since
        if since is None:
            return False
        latest = self._clock.now() - _CALLS_WITHIN
        ended = [reload.finished_at for reload in heard.fresh if since < reload.finished_at < latest]
        if not ended:
            return False
        # The call may have come to another listener.
        pushed_at = await self._states.pushed_at(self._id)
        return pushed_at is None or pushed_at < max(ended) - _CALLS_WITHIN
