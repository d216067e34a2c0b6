"""The places in which rows of one channel are delivered side by side."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from time import monotonic

import structlog

from contracts.events import Channel
from distributor import metrics
from distributor.domain.circuits import Circuits
from distributor.domain.results import Mailed, Postponed, Settle, clipped
from distributor.ports import Claim, ClaimedRows
from distributor.use_cases.attempt import Finished
from runtime.clock import Clock
from runtime.errors import Transient
from runtime.telemetry import execution_span

log = structlog.get_logger(__name__)


class Pool:
    """Claims due rows of a channel while a place is free, and runs an attempt on each.

    Channels have pools of their own, so a channel that is stuck holds up no other one.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        rows: ClaimedRows,
        attempt: Callable[[Claim], Awaitable[Finished]],
        circuits: Circuits,
        clock: Clock,
        places: int,
        poll_s: float,
    ) -> None:
        """Take what is claimed, what is run on it, how many at once, and how often to look unasked."""
        self._channel = channel
        self._rows = rows
        self._attempt = attempt
        self._circuits = circuits
        self._clock = clock
        self._places = places
        self._poll_s = poll_s
        self._changed = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look for due rows now."""
        self._changed.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver until `stopping` is set, then finish what is under way.

        Whoever cancels it in the meantime leaves leases behind that run out by themselves.
        """
        try:
            while not stopping.is_set():
                self._changed.clear()
                if not await self._start_one():
                    await self._rest(stopping)
            if self._running:
                await asyncio.wait(self._running)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _start_one(self) -> bool:
        if len(self._running) >= self._places:
            return False
        try:
            claim = await self._rows.claim(self._channel, not_to=self._circuits.blocked(self._clock.now()))
        except Transient as error:
            log.warning("cannot claim", channel=self._channel, error=clipped(str(error)))
            return False
        except Exception:
            # A row this version cannot read waits for its lease to run out; the others go on.
            log.exception("cannot claim", channel=self._channel)
            return False
        if claim is None:
            return False
        self._circuits.begin(claim.row.target_key)
        task = asyncio.create_task(self._deliver(claim), name=f"deliver {claim.row.id}")
        self._running.add(task)
        task.add_done_callback(self._done)
        return True

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._changed.set()

    async def _deliver(self, claim: Claim) -> None:
        row = claim.row
        began = monotonic()
        unreachable = False
        try:
            with execution_span(
                f"deliver {self._channel}", row.execution_id, delivery_id=row.id, attempt=claim.attempt
            ) as span:
                finished = await self._attempt(claim)
                unreachable = isinstance(finished.result, Postponed | Mailed) and finished.result.unreachable
                outcome = _outcome(finished)
                span.set_attribute("broadsheet.outcome", outcome)
            _account(self._channel, finished, outcome, monotonic() - began)
            log.info(
                "delivery attempt",
                delivery_id=row.id,
                execution_id=row.execution_id,
                channel=self._channel,
                attempt=claim.attempt,
                outcome=outcome,
            )
        except Transient as error:
            log.warning("delivery left to its lease", delivery_id=row.id, error=clipped(str(error)))
        except Exception:
            # The lease runs out and the row is taken up again; the pool goes on with the others.
            log.exception("delivery left to its lease", delivery_id=row.id)
        finally:
            self._circuits.end(row.target_key, self._clock.now(), unreachable=unreachable)
            metrics.OPEN_CIRCUITS.labels(self._channel).set(self._circuits.open_targets())

    async def _rest(self, stopping: asyncio.Event) -> None:
        """Wait for the stop, a wake-up or the next look, whichever comes first."""
        waits = [asyncio.ensure_future(event.wait()) for event in (stopping, self._changed)]
        try:
            await asyncio.wait(waits, timeout=self._poll_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*waits, return_exceptions=True)


def _outcome(finished: Finished) -> str:
    if not finished.recorded:
        return "lease-lost"
    return finished.decision.state.value if isinstance(finished.decision, Settle) else "again"


def _account(channel: Channel, finished: Finished, outcome: str, seconds: float) -> None:
    metrics.ATTEMPTS.labels(channel, outcome).inc()
    metrics.DURATION.labels(channel).observe(seconds)
    if outcome == "lease-lost":
        metrics.LEASES_LOST.labels(channel).inc()
    elif isinstance(finished.decision, Settle):
        metrics.SETTLED.labels(channel, outcome).inc()
