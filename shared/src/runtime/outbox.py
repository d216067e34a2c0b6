"""Events that wait inside the document whose change they announce (ADR-0005).

One MongoDB document is written atomically, so state and events cannot disagree; a relay publishes the events
and then takes them out. A crash between the two publishes twice, with the same event id.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import Gauge
from pymongo import ASCENDING, IndexModel, ReturnDocument

from contracts.base import Event
from contracts.envelope import Message, encode
from runtime.bus import MessagePublisher
from runtime.clock import Clock, SystemClock
from runtime.errors import Transient
from runtime.rounds import Rounds
from runtime.store import Document, store_errors

if TYPE_CHECKING:
    from pymongo.asynchronous.collection import AsyncCollection

log = structlog.get_logger(__name__)

OLDEST_UNSENT = Gauge(
    "broadsheet_outbox_oldest_seconds", "Age of the oldest event not published yet.", ["collection"]
)

OutboxEntry = dict[str, Any]
"""An encoded event as it is stored: event_id, occurred_at, topic, key, headers, body (JSON text)."""

OUTBOX_INDEX = IndexModel(
    [("outbox.occurred_at", ASCENDING)],
    name="outbox_unsent",
    partialFilterExpression={"outbox.0": {"$exists": True}},
)
"""The index every collection with an outbox needs: it holds only documents with unsent events."""

# Long enough to publish one document's events to a healthy broker; a relay that died blocks them this long.
_CLAIM_FOR = timedelta(seconds=15)
_PAUSE_AFTER_FAILURE = timedelta(seconds=1)
_PAUSE_OF_A_BAD_DOCUMENT = timedelta(seconds=60)
_MEASURE_EVERY_S = 5.0


def entry(
    event: Event, *, source: str, occurred_at: datetime, trace: Mapping[str, str] | None = None
) -> OutboxEntry:
    """Return an event as it is stored in an outbox.

    `source` names the service, `occurred_at` is when the fact happened (aware), `trace` holds the W3C
    headers of the span it happened in (`runtime.telemetry.trace_headers()`).
    """
    message = encode(event, source=source, time=occurred_at, trace=trace)
    return {
        "event_id": message.headers["ce_id"],
        "occurred_at": occurred_at,
        "topic": message.topic,
        "key": message.key.decode(),
        "headers": dict(message.headers),
        "body": message.body.decode(),
    }


def message_of(stored: OutboxEntry) -> Message:
    """Return the Kafka message of a stored entry."""
    return Message(
        topic=stored["topic"],
        key=stored["key"].encode(),
        headers=stored["headers"],
        body=stored["body"].encode(),
    )


class OutboxRelay:
    """Publishes the outboxes of one collection.

    Any number may run side by side: a document's outbox is claimed for a few seconds while it is published,
    so an event is published twice only when a relay dies or stalls in between.
    """

    def __init__(
        self,
        collection: "AsyncCollection[Document]",
        bus: MessagePublisher,
        *,
        clock: Clock | None = None,
        concurrency: int = 8,
    ) -> None:
        """Take the collection, where to publish, and how many documents are worked on at once."""
        self._collection = collection
        self._bus = bus
        self._clock = clock or SystemClock()
        self._concurrency = concurrency
        self._nudged = asyncio.Event()
        self._measured_at = -_MEASURE_EVERY_S
        self._rounds = Rounds(f"outbox {collection.name}")

    @store_errors()
    async def ensure_indexes(self) -> None:
        """Create the index the relay reads by."""
        await self._collection.create_indexes([OUTBOX_INDEX])

    def nudge(self) -> None:
        """Tell a waiting `run` that there is something to publish."""
        self._nudged.set()

    async def run_once(self, limit: int = 500) -> int:
        """Publish what waits, at most `limit` documents; return the number of events published.

        Events of one document keep their order. What could not be published stays, does not keep the other
        documents from being tried, and is raised as Transient at the end. A document that can never be
        published, because it is damaged or too large, is logged and counted, and tried again a minute later.
        """
        running: set[asyncio.Task[int]] = set()
        ended: list[asyncio.Task[int]] = []
        try:
            for _ in range(limit):
                if len(running) == self._concurrency:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    ended += done
                # As many failures as places: it is not this document, the broker is away.
                if sum(task.exception() is not None for task in ended) >= self._concurrency:
                    break
                # One asks at a time: most rounds find nothing, and each question costs the server.
                if (document := await self._claim()) is None:
                    break
                running.add(asyncio.create_task(self._publish(document)))
        finally:
            results = await asyncio.gather(*ended, *running, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return sum(result for result in results if isinstance(result, int))

    @store_errors()
    async def _claim(self) -> Document | None:
        now = self._clock.now()
        found: Document | None = await self._collection.find_one_and_update(
            {"outbox.0": {"$exists": True}, "outbox_claimed_until": {"$not": {"$gt": now}}},
            {"$set": {"outbox_claimed_until": now + _CLAIM_FOR}},
            projection={"outbox": 1},
            sort=[("outbox.occurred_at", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        return found

    async def _publish(self, document: Document) -> int:
        sent: list[str] = []
        # A document that cannot be published steps back and lets the others pass: for a moment while the
        # broker is unavailable, for longer when it is the document itself.
        free_from = self._clock.now() + _PAUSE_OF_A_BAD_DOCUMENT
        try:
            with self._rounds.isolated(collection=self._collection.name, document=str(document["_id"])):
                for stored in document["outbox"]:
                    await self._bus.publish_message(message_of(stored))
                    sent.append(stored["event_id"])
                free_from = self._clock.now()
        except Transient:
            free_from = self._clock.now() + _PAUSE_AFTER_FAILURE
            raise
        finally:
            with store_errors():
                await self._collection.update_one(
                    {"_id": document["_id"]},
                    {
                        "$pull": {"outbox": {"event_id": {"$in": sent}}},
                        "$set": {"outbox_claimed_until": free_from},
                    },
                )
        return len(sent)

    async def measure(self) -> float:
        """Return the age in seconds of the oldest unsent event, 0 when there is none; sets the metric."""
        with store_errors():
            oldest = await self._collection.find_one(
                # A damaged entry has perhaps no time; it must not hide how long the others wait.
                {"outbox.0": {"$exists": True}, "outbox.0.occurred_at": {"$type": "date"}},
                projection={"outbox": {"$slice": 1}},
                sort=[("outbox.occurred_at", ASCENDING)],
            )
        age = 0.0
        if oldest is not None:
            age = max((self._clock.now() - oldest["outbox"][0]["occurred_at"]).total_seconds(), 0.0)
        OLDEST_UNSENT.labels(self._collection.name).set(age)
        return age

    async def run(self, stopping: asyncio.Event, *, every_s: float = 0.5) -> None:
        """Publish until `stopping` is set: at once when nudged, else every `every_s` seconds.

        Trouble is logged and tried again. On the way out it publishes what is left, once.
        """
        while not stopping.is_set():
            self._nudged.clear()
            await self._round()
            await _first(stopping, self._nudged, timeout=every_s)
        await self._round()

    async def problems(self) -> list[str]:
        """Return that publishing keeps failing, as a readiness check; empty when it does not."""
        return await self._rounds.problems()

    async def _round(self) -> None:
        with self._rounds.round():
            # Before anything is published: while the broker is away, the age is what has to be seen.
            if monotonic() - self._measured_at >= _MEASURE_EVERY_S:
                self._measured_at = monotonic()
                with self._rounds.isolated(collection=self._collection.name, what="age of the oldest event"):
                    await self.measure()
            await self.run_once()


async def _first(*events: asyncio.Event, timeout: float) -> None:  # noqa: ASYNC109 - a pause, not a deadline
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*waits, return_exceptions=True)
