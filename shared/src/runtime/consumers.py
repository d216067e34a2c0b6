"""Consumers that are watched: a consumer that stands still is told by readiness, metrics and the log.

aiokafka and FastStream swallow what keeps a consumer from reading: a batch in an unknown codec, a corrupt
batch, fetches that the broker refuses. The group stays stable and nothing arrives. `runtime.progress` decides
what counts as standing still; this module tells it what it sees, and reports what it decides.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError
from prometheus_client import Gauge

from runtime.progress import Progress, Reading
from runtime.rounds import Rounds
from runtime.settings import RuntimeSettings

log = structlog.get_logger(__name__)

LAG = Gauge(
    "broadsheet_consumer_lag",
    "Messages of an assigned partition that are not handled yet.",
    ["topic", "group", "partition"],
)
STALLED = Gauge(
    "broadsheet_consumer_stalled",
    "Assigned partitions from which nothing can be read although messages wait or fetches go unanswered.",
    ["topic", "group"],
)
RETRYING = Gauge(
    "broadsheet_consumer_retrying",
    "Assigned partitions whose next message has failed for longer than the stall limit and is retried.",
    ["topic", "group"],
)
HANDLER_SECONDS = Gauge(
    "broadsheet_consumer_handler_seconds", "How long the longest running handler has run.", ["topic", "group"]
)

_LONGEST_INTERVAL_S = 5.0
_POSITION_WITHIN_S = 0.5
_END_WITHIN_S = 5.0


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]
    """Knows whether a consumer is a member of its group."""

    def __init__(self) -> None:
        self.joined = False

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:  # noqa: ARG002
        """Called by aiokafka before a rebalance."""
        self.joined = False

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:  # noqa: ARG002
        """Called by aiokafka after a rebalance."""
        self.joined = True


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]
    """aiokafka's consumer, which notes what FastStream does not tell: errors of reading and committing."""

    def __init__(self, *topics: str, **options: Any) -> None:
        """Take what AIOKafkaConsumer takes."""
        super().__init__(*topics, **options)
        self.progress = Progress()
        self._group = str(options.get("group_id"))

    async def getone(self, *partitions: TopicPartition) -> Any:
        """Return the next message. Raises KafkaError when it cannot be read."""
        try:
            return await super().getone(*partitions)
        except ConsumerStoppedError:
            raise
        except Exception as error:
            self.progress.unreadable(error)
            log.error(  # noqa: TRY400 - the type and text say it; the stack is the client's
                "consumer cannot read",
                group=self._group,
                partitions=sorted(f"{each.topic}-{each.partition}" for each in self.assignment()),
                error=f"{type(error).__name__}: {error}"[:500],
            )
            raise

    async def commit(self, offsets: Any = None) -> None:
        """Commit offsets. Raises KafkaError when the group does not accept them."""
        try:
            await super().commit(offsets)
        except KafkaError as error:
            self.progress.commit_failed(error)
            log.warning(
                "offsets not committed", group=self._group, error=f"{type(error).__name__}: {error}"[:500]
            )
            raise
        self.progress.committed()

    async def readings(self, *, ask_for_end: bool) -> dict[int, Reading]:
        """Return what is seen of each assigned partition.

        The end is the high watermark of the last fetch. A partition with fetched messages is not fetched
        again until they are handled, so with `ask_for_end` the broker is asked, too, and the higher wins.
        """
        assigned = self.assignment()
        ends: dict[TopicPartition, int] = {}
        if assigned and ask_for_end:
            with contextlib.suppress(KafkaError, TimeoutError, OSError):
                async with asyncio.timeout(_END_WITHIN_S):
                    ends = await self.end_offsets(assigned)
        found: dict[int, Reading] = {}
        for each in assigned:
            # Revoked in between: the next look is early enough. aiokafka asserts that it is assigned.
            with contextlib.suppress(KafkaError, AssertionError):
                found[each.partition] = await self._reading(each, ends.get(each))
        return found

    async def _reading(self, partition: TopicPartition, asked_end: int | None) -> Reading:
        position: int | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POSITION_WITHIN_S):
                position = await self.position(partition)
        known = [each for each in (self.highwater(partition), asked_end) if each is not None]
        return Reading(
            position=position,
            end=max(known, default=None),
            fetched_at=self.last_poll_timestamp(partition),
        )


class ConsumerWatch:
    """Looks at the consumers of a bus from time to time.

    `consumers` returns those that run, each with its topic and group.
    """

    def __init__(
        self, settings: RuntimeSettings, consumers: Callable[[], Iterable[tuple[str, str, Consumer]]]
    ) -> None:
        """Take how patient to be, and the consumers."""
        self._after_s = settings.consumer_stalled_after_s
        self._handler_limit_s = settings.kafka_max_poll_interval_s
        # The embedded broker answers wrongly when it is asked for the end of a partition.
        self._ask_for_end = settings.kafka_idempotent
        self._every_s = min(self._after_s / 4, _LONGEST_INTERVAL_S)
        self._consumers = consumers
        self._rounds = Rounds("consumer watch")
        self._shown: set[tuple[str, str, int]] = set()
        self._told: dict[tuple[str, str, int], str] = {}

    async def run(self) -> None:
        """Look until it is cancelled; what was shown of consumers that are gone is taken back then."""
        try:
            while True:
                with self._rounds.round():
                    await self.look()
                await asyncio.sleep(self._every_s)
        finally:
            self._show({})
            for topic, group, _ in self._consumers():
                for gauge in (STALLED, RETRYING, HANDLER_SECONDS):
                    gauge.labels(topic, group).set(0)

    async def look(self) -> None:
        """Look at every consumer once; set metrics, and log what began or ended."""
        lags: dict[tuple[str, str, int], int] = {}
        stalled: dict[tuple[str, str, int], str] = {}
        sums: dict[tuple[str, str], list[float]] = {}
        for topic, group, consumer in list(self._consumers()):
            progress = consumer.progress
            progress.observe(await consumer.readings(ask_for_end=self._ask_for_end), every_s=self._every_s)
            lags |= {(topic, group, each): lag for each, lag in progress.lags().items()}
            reasons = progress.stalled(self._after_s)
            stalled |= {(topic, group, each): why for each, why in reasons.items()}
            total = sums.setdefault((topic, group), [0.0, 0.0, 0.0])
            total[0] += len(reasons)
            total[1] += len(progress.retries(self._after_s))
            total[2] = max(total[2], progress.handler_s())
        for labels, (standing, retrying, handler_s) in sums.items():
            STALLED.labels(*labels).set(standing)
            RETRYING.labels(*labels).set(retrying)
            HANDLER_SECONDS.labels(*labels).set(handler_s)
        self._show(lags)
        self._tell(stalled)

    def _show(self, lags: dict[tuple[str, str, int], int]) -> None:
        for topic, group, partition in self._shown - set(lags):
            LAG.remove(topic, group, str(partition))
        for (topic, group, partition), lag in lags.items():
            LAG.labels(topic, group, str(partition)).set(lag)
        self._shown = set(lags)

    def _tell(self, stalled: dict[tuple[str, str, int], str]) -> None:
        for (topic, group, partition), why in stalled.items():
            if (topic, group, partition) not in self._told:
                log.error("consumer stalled", topic=topic, group=group, partition=partition, reason=why)
        for topic, group, partition in self._told.keys() - stalled.keys():
            log.warning("consumer no longer stalled", topic=topic, group=group, partition=partition)
        self._told = stalled

    async def problems(self) -> list[str]:
        """Return what is wrong with the consumers, as a readiness check; empty when nothing is."""
        found = [
            f"bus: {topic}: {problem}"
            for topic, _, consumer in self._consumers()
            for problem in consumer.progress.problems(
                stalled_after_s=self._after_s, handler_limit_s=self._handler_limit_s
            )
        ]
        return found + await self._rounds.problems()
