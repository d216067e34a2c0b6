"""What happens when a handler fails (docs/architecture/failure-policy.md).

| raised | action |
|---|---|
| `Transient` | pause, then the same message again, for as long as it takes |
| `Permanent`, a message that is no event, one that is too large | dead letter, then the next message |
| anything else: a bug | the same message again a few times, then dead letter |

A dead letter is confirmed by the broker before the offset is committed; when it cannot be written, the
message stays where it is. Too many in a row halt the subscription: a bad deploy must not drain a topic.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from faststream import BaseMiddleware
from faststream.exceptions import NackMessage
from prometheus_client import Counter, Gauge

from contracts.envelope import MalformedEventError
from runtime.errors import Permanent, Transient
from runtime.progress import Progress

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord
    from faststream.message import StreamMessage

log = structlog.get_logger(__name__)

DEAD_LETTERS = Counter(
    "broadsheet_dead_letters_total", "Messages written to a dead-letter topic.", ["topic", "group", "kind"]
)
RETRIES = Counter(
    "broadsheet_handler_retries_total",
    "Handler runs that failed and are repeated.",
    ["topic", "group", "kind"],
)
HALTED = Gauge("broadsheet_subscription_halted", "1 while a subscription is halted.", ["topic", "group"])

_LONGEST_PAUSE_S = 15.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up, as it came, and why."""

    topic: str
    partition: int
    offset: int
    group: str
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    body: bytes
    kind: str
    error: str
    attempts: int


class DeadLetterSink(Protocol):
    """Where dead letters go."""

    async def write(self, letter: DeadLetter) -> None:
        """Return when the broker has confirmed it. Raises Transient when it cannot be written now."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient the policy is."""

    transient_pause_s: float = 1.0
    bug_attempts: int = 3
    stop_after_failures: int = 20
    stop_after_malformed: int = 5_000


@dataclass(slots=True)
class Guard:
    """Failures of one subscription of one process: attempts by message, dead letters in a row."""

    topic: str
    group: str
    limits: Limits
    failures_in_row: int = 0
    malformed_in_row: int = 0
    halted: str | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _attempts: dict[tuple[int, int], int] = field(default_factory=dict)

    def count(self, partition: int, offset: int) -> int:
        """Return how many times this message was tried, this time included."""
        self._attempts[partition, offset] = self._attempts.get((partition, offset), 0) + 1
        return self._attempts[partition, offset]

    def settled(self, partition: int, offset: int) -> None:
        """Forget a message that was handled or dead-lettered."""
        self._attempts.pop((partition, offset), None)

    def succeeded(self) -> None:
        """End any row of dead letters."""
        self.failures_in_row = self.malformed_in_row = 0

    def dead_lettered(self, kind: str, error: str) -> None:
        """Count a dead letter, and halt when there were too many in a row."""
        if kind == "malformed":
            self.malformed_in_row += 1
        else:
            self.failures_in_row += 1
        if (
            self.failures_in_row >= self.limits.stop_after_failures
            or self.malformed_in_row >= self.limits.stop_after_malformed
        ):
            self.halted = f"too many dead letters in a row; the last one: {error}"
            HALTED.labels(self.topic, self.group).set(1)
            log.error("subscription halted", topic=self.topic, group=self.group, reason=self.halted)


class FailurePolicy:
    """Makes the middleware of each message; registered first, so that it is outermost."""

    def __init__(self, sink: DeadLetterSink, guards: Mapping[str, Guard]) -> None:
        """Take where dead letters go and the guard of each topic this process subscribes to."""
        self._sink = sink
        self._guards = guards

    def __call__(self, msg: Any, /, *, context: Any) -> "_Middleware":
        """Return the middleware for one message; called by FastStream."""
        return _Middleware(msg, context=context, sink=self._sink, guards=self._guards)


class _Middleware(BaseMiddleware[Any, Any]):
    def __init__(
        self, msg: Any, /, *, context: Any, sink: DeadLetterSink, guards: Mapping[str, Guard]
    ) -> None:
        super().__init__(msg, context=context)
        self._sink = sink
        self._guards = guards

    async def consume_scope(
        self, call_next: Callable[[Any], Awaitable[Any]], msg: "StreamMessage[Any]"
    ) -> Any:
        record: ConsumerRecord[Any, Any] = msg.raw_message
        guard = self._guards[record.topic]
        progress = _progress_of(msg)
        with progress.handling(record.partition, record.offset):
            if guard.halted is not None:
                # Holding the message keeps the offset; readiness tells the operator.
                progress.halted()
                await guard.stopping.wait()
                raise NackMessage
            try:
                result = await consume(lambda: call_next(msg), record=record, guard=guard, sink=self._sink)
            except NackMessage as nack:
                progress.retrying(record.partition, record.offset, str(nack.__context__)[:300])
                raise
            progress.settled(record.partition)
            return result


def _progress_of(msg: "StreamMessage[Any]") -> Progress:
    """Return the progress of the consumer that brought a message; one nobody reads in a broker for tests."""
    found = getattr(getattr(msg, "consumer", None), "progress", None)
    return found if isinstance(found, Progress) else Progress()


async def consume(
    run: Callable[[], Awaitable[Any]],
    *,
    record: "ConsumerRecord[Any, Any]",
    guard: Guard,
    sink: DeadLetterSink,
) -> Any:
    """Run a handler under the policy.

    Returns when the message is done with, and its offset may be committed. Raises NackMessage when the same
    message has to come again.
    """
    attempt = guard.count(record.partition, record.offset)
    try:
        result = await run()
    except Transient as error:
        await _again(guard, kind="transient", error=error, attempt=attempt)
    except (Permanent, MalformedEventError) as error:
        kind = "malformed" if isinstance(error, MalformedEventError) else "permanent"
        await _bury(record, guard, sink, kind=kind, error=error, attempt=attempt)
    except Exception as error:
        log.exception("handler failed", topic=record.topic, group=guard.group, attempt=attempt)
        if attempt < guard.limits.bug_attempts:
            await _again(guard, kind="bug", error=error, attempt=attempt)
        await _bury(record, guard, sink, kind="bug", error=error, attempt=attempt)
    else:
        guard.settled(record.partition, record.offset)
        guard.succeeded()
        return result
    return None


async def _again(guard: Guard, *, kind: str, error: Exception, attempt: int) -> None:
    RETRIES.labels(guard.topic, guard.group, kind).inc()
    pause = min(guard.limits.transient_pause_s * 2 ** min(attempt - 1, 8), _LONGEST_PAUSE_S)
    log.warning(
        "message will be tried again",
        topic=guard.topic,
        group=guard.group,
        kind=kind,
        error=str(error)[:500],
        attempt=attempt,
        pause_s=pause,
    )
    # A nack is an immediate seek: without a pause one failing message spins the CPU.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(pause):
            await guard.stopping.wait()
    raise NackMessage


async def _bury(
    record: "ConsumerRecord[Any, Any]",
    guard: Guard,
    sink: DeadLetterSink,
    *,
    kind: str,
    error: Exception,
    attempt: int,
) -> None:
    code = f"{error.code}: " if isinstance(error, Permanent) else ""
    text = f"{code}{error}" if kind != "bug" else f"{type(error).__name__}: {error}"
    letter = DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        group=guard.group,
        key=record.key,
        headers=tuple(record.headers),
        body=record.value or b"",
        kind=kind,
        error=text[:2000],
        attempts=attempt,
    )
    try:
        await sink.write(letter)
    except Transient as unwritten:
        await _again(guard, kind="dead-letter", error=unwritten, attempt=attempt)
    DEAD_LETTERS.labels(record.topic, guard.group, kind).inc()
    log.warning(
        "message dead-lettered",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        group=guard.group,
        kind=kind,
        error=letter.error,
    )
    guard.settled(record.partition, record.offset)
    guard.dead_lettered(kind, letter.error)
