"""Whether one consumer makes progress: decided from what was seen of it, with no Kafka in here.

| a partition of the consumer | state | readiness |
|---|---|---|
| position at the end | caught up | ready |
| messages wait, the handler of one of them runs | busy | ready, until the handler exceeds its time limit |
| the failure policy retries a message | retrying | not ready once that has lasted as long as a stall |
| messages wait, or fetches go unanswered, and no handler runs | stalled after some seconds | not ready |

Only time in which no handler runs counts towards a stall: a consumer that waits for messages gets the next
one at once if it can be read, so whatever it has not moved past in all that time, it cannot read.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

Partition = int


@dataclass(frozen=True, slots=True)
class Reading:
    """What was seen of one assigned partition.

    `position` is the offset of the next message, `end` the offset after the last one, both None while
    unknown. `fetched_at` is when the broker last answered a fetch of this partition; any number that changes
    with each answer will do.
    """

    position: int | None
    end: int | None
    fetched_at: float | None

    @property
    def lag(self) -> int:
        """Return how many messages wait, as far as is known."""
        if self.position is None or self.end is None:
            return 0
        return max(self.end - self.position, 0)


@dataclass(slots=True)
class _Mark:
    """A partition as last seen, and how long the consumer had waited in vain by then."""

    reading: Reading
    moved_idle_s: float
    fetched_idle_s: float


@dataclass(slots=True)
class _Retry:
    offset: int
    since: float
    error: str


class Progress:
    """How one consumer does. It handles one message at a time.

    The consumer tells it of its handlers (`handling`, `retrying`), a watch tells it from time to time what
    it sees of the partitions (`observe`). Times are seconds of a monotonic clock.
    """

    def __init__(self, *, seconds: Callable[[], float] = monotonic) -> None:
        """Take the clock."""
        self._seconds = seconds
        self._handler_since: float | None = None
        self._handler_at: tuple[Partition, int] | None = None
        self._halted = False
        self._busy_s = 0.0
        self._idle_s = 0.0
        self._observed_at = seconds()
        self._busy_when_observed_s = 0.0
        self._marks: dict[Partition, _Mark] = {}
        self._retries: dict[Partition, _Retry] = {}
        self._unreadable = ""
        self._uncommitted_since: float | None = None
        self._uncommitted = ""

    @contextmanager
    def handling(self, partition: Partition, offset: int) -> Iterator[None]:
        """Run a handler, and what the failure policy does about it, in the body."""
        self._handler_since, self._handler_at = self._seconds(), (partition, offset)
        try:
            yield
        finally:
            self._busy_s += self._seconds() - self._handler_since
            self._handler_since = self._handler_at = None

    def halted(self) -> None:
        """Note that the failure policy has halted the subscription; it says so itself."""
        self._halted = True

    def retrying(self, partition: Partition, offset: int, error: str) -> None:
        """Note that a message is going to be tried again."""
        known = self._retries.get(partition)
        since = known.since if known is not None and known.offset == offset else self._seconds()
        self._retries[partition] = _Retry(offset, since, error)

    def settled(self, partition: Partition) -> None:
        """Note that a message of a partition was handled or given up."""
        self._retries.pop(partition, None)

    def unreadable(self, error: BaseException) -> None:
        """Note why the next message could not be read; told only while a partition stands still."""
        self._unreadable = f"{type(error).__name__}: {error}"[:300]

    def commit_failed(self, error: BaseException) -> None:
        """Note that offsets could not be committed."""
        self._uncommitted = f"{type(error).__name__}: {error}"[:300]
        if self._uncommitted_since is None:
            self._uncommitted_since = self._seconds()

    def committed(self) -> None:
        """Note that offsets were committed, or that others are responsible now."""
        self._uncommitted_since = None

    def observe(self, seen: Mapping[Partition, Reading], *, every_s: float) -> None:
        """Take what is seen of the assigned partitions; called about every `every_s` seconds."""
        now = self._seconds()
        running = 0.0 if self._handler_since is None else now - self._handler_since
        busy = self._busy_s + running
        idle = (now - self._observed_at) - (busy - self._busy_when_observed_s)
        # A process that was suspended saw nothing in that time, and may not conclude anything from it.
        self._idle_s += min(max(idle, 0.0), 2 * every_s)
        self._observed_at, self._busy_when_observed_s = now, busy
        for partition in [each for each in self._marks if each not in seen]:
            del self._marks[partition]
        for partition in [each for each in self._retries if each not in seen]:
            del self._retries[partition]
        for partition, reading in seen.items():
            mark = self._marks.setdefault(partition, _Mark(reading, self._idle_s, self._idle_s))
            waits = reading.lag > 0 or reading.position is None
            if reading.position != mark.reading.position or not waits:
                mark.moved_idle_s = self._idle_s
            if reading.fetched_at != mark.reading.fetched_at:
                mark.fetched_idle_s = self._idle_s
            mark.reading = reading

    def lags(self) -> dict[Partition, int]:
        """Return how many messages of each partition are not handled yet, the running one included."""
        found = {partition: mark.reading.lag for partition, mark in self._marks.items()}
        if self._handler_at is not None and self._handler_at[0] in found:
            found[self._handler_at[0]] += 1
        return found

    def stalled(self, after_s: float) -> dict[Partition, str]:
        """Return the partitions that stand still for no good reason, each with the reason in words."""
        found: dict[Partition, str] = {}
        cause = f"; the last error: {self._unreadable}" if self._unreadable else ""
        for partition, mark in self._marks.items():
            standing, unanswered = self._idle_s - mark.moved_idle_s, self._idle_s - mark.fetched_idle_s
            if standing >= after_s:
                at = (
                    "has no position"
                    if mark.reading.position is None
                    else f"stands at offset {mark.reading.position} of {mark.reading.end}"
                )
                found[partition] = f"partition {partition} {at} for {standing:.0f} s{cause}"
            elif unanswered >= after_s:
                found[partition] = f"partition {partition}: no fetch answered for {unanswered:.0f} s{cause}"
        return found

    def retries(self, after_s: float) -> dict[Partition, str]:
        """Return the partitions whose next message has failed for that long, each in words."""
        now = self._seconds()
        return {
            partition: f"partition {partition}: the message at offset {retry.offset} has failed for "
            f"{now - retry.since:.0f} s and is retried; the last error: {retry.error}"
            for partition, retry in self._retries.items()
            if now - retry.since >= after_s
        }

    def handler_s(self) -> float:
        """Return how long the running handler has been running; 0 when none is."""
        return 0.0 if self._handler_since is None or self._halted else self._seconds() - self._handler_since

    def problems(self, *, stalled_after_s: float, handler_limit_s: float) -> list[str]:
        """Return what is wrong with this consumer, in words; empty when nothing is."""
        if self._halted:
            return []
        found = [f"stalled: {why}" for why in self.stalled(stalled_after_s).values()]
        found += self.retries(stalled_after_s).values()
        if self._handler_at is not None and (running := self.handler_s()) > handler_limit_s:
            partition, offset = self._handler_at
            found.append(
                f"partition {partition}: the handler of offset {offset} has run for {running:.0f} s, "
                f"longer than the {handler_limit_s:.0f} s it may take"
            )
        since = self._uncommitted_since
        if since is not None and (failing := self._seconds() - since) >= stalled_after_s:
            found.append(f"offsets cannot be committed for {failing:.0f} s: {self._uncommitted}")
        return found
