"""The Kafka bus, through FastStream with every option set on purpose (ADR-0001).

FastStream's Kafka defaults read from the latest offset, acknowledge before the handler ran and create topics
with one partition; here a message is committed after its handler, from the earliest offset, on topics that
come from the catalogue.
"""

import asyncio
import contextlib
import dataclasses
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.security import BaseSecurity, SASLScram512

from contracts.base import Event
from contracts.catalog import topic as topic_spec
from contracts.envelope import MalformedEventError, Message, Received, decode, encode
from runtime.consumers import Consumer, ConsumerWatch, Membership
from runtime.errors import Permanent, Transient
from runtime.failure import DeadLetter, FailurePolicy, Guard, Limits
from runtime.settings import RuntimeSettings
from runtime.telemetry import below, trace_headers

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord
    from faststream.kafka.subscriber.usecase import LogicSubscriber

log = structlog.get_logger(__name__)

# A dead letter is its message plus some headers, so the producer takes more than any topic does.
_MAX_REQUEST_BYTES = 10 * 1024 * 1024


class Publisher(Protocol):
    """Publishes events; what use cases ask for."""

    async def publish(
        self, event: Event, *, occurred_at: datetime | None = None, trace: Mapping[str, str] | None = None
    ) -> None:
        """Return when the broker has confirmed the event. Raises Transient when it could not be."""
        ...

    async def publish_all(self, events: Sequence[Event], *, occurred_at: datetime | None = None) -> None:
        """Publish many, in their order per key; return when all are confirmed. Raises Transient."""
        ...


class MessagePublisher(Protocol):
    """Publishes messages that were encoded before, as the outbox relay does."""

    async def publish_message(self, message: Message) -> None:
        """Return when the broker has confirmed the message.

        Raises Permanent when it can never be published, Transient when it cannot be now.
        """
        ...


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as it lies in the topic, for those who keep or copy it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    body: bytes


Handler = Callable[[Received[Any]], Awaitable[None]]
RawHandler = Callable[[RawMessage], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One consumer group's interest in one topic.

    `events` are the types the handler takes; other known types on the topic are acknowledged, and a type or
    version this program does not know is dead-lettered. `concurrency` is the number of consumers, each
    with one message at a time: an acknowledgement covers everything its consumer fetched, so handlers must
    not run side by side inside one.
    """

    topic: str
    group: str
    handler: Handler | None = None
    raw_handler: RawHandler | None = None
    events: tuple[type[Event], ...] = ()
    concurrency: int = 1

    @property
    def group_id(self) -> str:
        """The consumer group as Kafka knows it: one a topic.

        Members of one group that read different topics would stop each other at every rebalance.
        """
        return f"{self.group}.{self.topic}"

    def __post_init__(self) -> None:
        if (self.handler is None) == (self.raw_handler is None):
            raise ValueError(f"subscription to {self.topic} needs either a handler or a raw handler")
        known = set(topic_spec(self.topic).events)
        strangers = [cls.ce_type() for cls in self.events if cls.ce_type() not in known]
        if strangers:
            raise ValueError(f"topic {self.topic} carries no {', '.join(strangers)}; see the catalogue")


@dataclass(frozen=True, slots=True)
class _Member:
    """A consumer of a group: FastStream's subscriber has it from its start on."""

    topic: str
    group_id: str
    membership: Membership
    subscriber: "LogicSubscriber[Any]"


class Bus:
    """A started connection to Kafka: publishes events and runs subscriptions."""

    def __init__(
        self,
        settings: RuntimeSettings,
        *,
        service: str,
        subscriptions: Sequence[Subscription] = (),
    ) -> None:
        """Build everything, connect nothing."""
        groups = {(each.topic, each.group) for each in subscriptions}
        if len({name for name, _ in groups}) != len(groups):
            raise ValueError("one process subscribes to a topic under one group only; run two processes")
        limits = Limits(
            transient_pause_s=settings.transient_pause_s,
            bug_attempts=settings.bug_attempts,
            stop_after_failures=settings.stop_after_failures,
            stop_after_malformed=settings.stop_after_malformed,
        )
        self._settings = settings
        self._service = service
        self._subscriptions = tuple(subscriptions)
        self._guards = {
            each.topic: Guard(topic=each.topic, group=each.group_id, limits=limits) for each in subscriptions
        }
        self._members: list[_Member] = []
        self._watch = ConsumerWatch(settings, self._consumers)
        self._watching: asyncio.Task[None] | None = None
        self._dead_letters = DeadLetterProducer(settings, service=service)
        self._broker = self._build()
        self._connected = False
        self._started = False

    def _build(self) -> KafkaBroker:
        settings = self._settings
        broker = KafkaBroker(
            settings.kafka_bootstrap.split(","),
            client_id=f"broadsheet-{self._service}",
            allow_auto_create_topics=False,
            enable_idempotence=settings.kafka_idempotent,
            acks="all",
            max_request_size=_MAX_REQUEST_BYTES,
            request_timeout_ms=int(settings.kafka_request_timeout_s * 1000),
            metadata_max_age_ms=30_000,
            graceful_timeout=settings.graceful_timeout_s,
            ack_policy=AckPolicy.NACK_ON_ERROR,
            middlewares=[FailurePolicy(self._dead_letters, self._guards)],
            security=_security(settings),
            decoder=_as_it_is,
            apply_types=False,
            logger=None,
        )
        for subscription in self._subscriptions:
            for _ in range(subscription.concurrency):
                self._subscribe(broker, subscription)
        return broker

    def _subscribe(self, broker: KafkaBroker, subscription: Subscription) -> None:
        membership = Membership()
        subscriber = broker.subscriber(
            subscription.topic,
            group_id=subscription.group_id,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.NACK_ON_ERROR,
            max_partition_fetch_bytes=_MAX_REQUEST_BYTES,
            session_timeout_ms=int(self._settings.kafka_session_timeout_s * 1000),
            # A member learns of a rebalance by its heartbeat: a group waits this long for each of them.
            heartbeat_interval_ms=1_000,
            max_poll_interval_ms=int(self._settings.kafka_max_poll_interval_s * 1000),
            parser=_tolerant_parser,
            listener=membership,
            # A reply_to header of a stranger must not make us publish anywhere.
            no_reply=True,
        )
        subscriber(self._dispatcher(subscription))
        self._members.append(_Member(subscription.topic, subscription.group_id, membership, subscriber))

    def _consumers(self) -> Iterator[tuple[str, str, Consumer]]:
        for member in self._members:
            if isinstance(consumer := member.subscriber.consumer, Consumer):
                yield member.topic, member.group_id, consumer

    def _dispatcher(self, subscription: Subscription) -> Callable[[Any], Awaitable[None]]:
        wanted = set(subscription.events)
        limit = self._settings.max_event_bytes

        async def dispatch(_: Any) -> None:
            message: KafkaMessage = self._broker.context.get_local("message")
            record: ConsumerRecord[Any, Any] = message.raw_message
            size = len(record.value or b"")
            if size > limit:
                raise MalformedEventError(
                    f"the message has {size} bytes, more than the {limit} an event may have; "
                    "put large data into the object store and refer to it"
                )
            if subscription.raw_handler is not None:
                await subscription.raw_handler(_raw(record))
                return
            headers = _text_headers(record.headers)
            received = decode(headers, record.value or b"")
            if type(received.event) in wanted and subscription.handler is not None:
                with below(headers, received.event.ce_type()):
                    await subscription.handler(received)

        return dispatch

    async def start(self) -> None:
        """Connect, wait for the topics to exist, join the groups.

        Raises Transient when the broker cannot be reached or a topic is missing.
        """
        needed = {each.topic for each in self._subscriptions}
        await require_topics(self._settings, needed | {topic_spec(name).dead_letter_topic for name in needed})
        try:
            await self._connect()
        except BaseException:
            # What was opened by then is closed, and the next attempt begins with new consumers.
            with contextlib.suppress(KafkaError, OSError):
                await self._broker.stop()
                await self._dead_letters.stop()
            self._members.clear()
            self._broker = self._build()
            self._connected = False
            raise
        if self._members:
            self._watching = asyncio.create_task(self._watch.run(), name="consumer watch")
        self._started = True

    async def _connect(self) -> None:
        try:
            await self._dead_letters.start()
            await self._broker.connect()
            # Consumers that start below may have something to publish at once.
            self._connected = True
            config = self._broker.config.broker_config
            config.builder = partial(Consumer, **cast("partial[Any]", config.builder).keywords)
            # All at once: broker.start() lets consumers join one after the other, a rebalance each.
            await asyncio.gather(*(subscriber.start() for subscriber in self._broker.subscribers))
            self._broker.running = True
        except (KafkaError, OSError) as error:
            raise Transient(f"Kafka at {self._settings.kafka_bootstrap} cannot be used: {error}") from error

    async def stop(self) -> None:
        """Stop taking messages, let running handlers finish, then disconnect."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        for guard in self._guards.values():
            guard.stopping.set()
        # Consumers first: a handler that still runs may have events or a dead letter to publish.
        await self._broker.stop()
        await self._dead_letters.stop()
        self._started = self._connected = False

    async def publish(
        self, event: Event, *, occurred_at: datetime | None = None, trace: Mapping[str, str] | None = None
    ) -> None:
        """Publish an event and return when all in-sync replicas have it. Raises Transient otherwise."""
        message = encode(
            event,
            source=self._service,
            time=occurred_at or datetime.now(tz=UTC),
            trace=trace or trace_headers(),
        )
        await self.publish_message(message)

    async def publish_all(self, events: Sequence[Event], *, occurred_at: datetime | None = None) -> None:
        """Publish many events, in their order per key, and return when all are confirmed.

        Raises Transient when any is not; those before and after it may be published, so repeat all of them.
        """
        await asyncio.gather(*(self.publish(event, occurred_at=occurred_at) for event in events))

    async def publish_message(self, message: Message) -> None:
        """Publish an encoded event; its headers say which span it belongs to.

        Returns when the broker has confirmed it. Raises Permanent when it is larger than the topic takes,
        Transient when it cannot be published now.
        """
        if not self._connected:
            raise Transient(f"Kafka at {self._settings.kafka_bootstrap} is not connected yet")
        try:
            await self._broker.publish(
                message.body, topic=message.topic, key=message.key, headers=dict(message.headers)
            )
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            raise Permanent(
                "event-too-large",
                f"An event of {len(message.body)} bytes is larger than the topic {message.topic} takes.",
                "Raise max.message.bytes of the topic and of the broker, as in the catalogue of topics.",
            ) from error
        except (KafkaError, OSError, TimeoutError) as error:
            raise Transient(f"publishing to {message.topic} failed: {error!r}") from error

    async def problems(self) -> list[str]:
        """Return why this bus should get no traffic; empty when it is ready."""
        if not self._started:
            return [f"bus: not connected to Kafka at {self._settings.kafka_bootstrap} yet"]
        found = [f"bus: {topic}: {guard.halted}" for topic, guard in self._guards.items() if guard.halted]
        found += [
            f"bus: {member.topic}: not in its consumer group"
            for member in self._members
            if not member.membership.joined
        ]
        found += await self._watch.problems()
        if not await self._broker.ping(timeout=3.0):
            found.append(f"bus: no answer from Kafka at {self._settings.kafka_bootstrap}")
        return found

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


class DeadLetterProducer:
    """Writes dead letters with their original bytes, key and headers."""

    def __init__(self, settings: RuntimeSettings, *, service: str) -> None:
        """Build, connect nothing."""
        self._settings = settings
        self._service = service
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap.split(","),
            client_id=f"broadsheet-{self._service}-dead-letters",
            acks="all",
            enable_idempotence=self._settings.kafka_idempotent,
            max_request_size=_MAX_REQUEST_BYTES,
            request_timeout_ms=int(self._settings.kafka_request_timeout_s * 1000),
            **client_security(self._settings),
        )
        await self._producer.start()

    async def stop(self) -> None:
        """Send what is waiting, disconnect."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def write(self, letter: DeadLetter) -> None:
        """Return when the broker has confirmed the dead letter. Raises Transient otherwise."""
        if self._producer is None:
            raise Transient("the dead-letter producer is not connected")
        about = {
            "x-error-kind": letter.kind,
            "x-error": letter.error,
            "x-original-topic": letter.topic,
            "x-original-partition": str(letter.partition),
            "x-original-offset": str(letter.offset),
            "x-consumer-group": letter.group,
            "x-attempts": str(letter.attempts),
            "x-dead-lettered-at": datetime.now(tz=UTC).isoformat(),
        }
        headers = [*letter.headers, *((name, value.encode()) for name, value in about.items())]
        try:
            await self._producer.send_and_wait(
                topic_spec(letter.topic).dead_letter_topic, value=letter.body, key=letter.key, headers=headers
            )
        except (KafkaError, OSError, TimeoutError) as error:
            raise Transient(f"the dead letter of {letter.topic} could not be written: {error!r}") from error


async def topics_present(settings: RuntimeSettings) -> set[str]:
    """Return the names of the cluster's topics. Raises Transient when it cannot be reached."""
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka_bootstrap.split(","), **client_security(settings)
    )
    try:
        await admin.start()
        return set(await admin.list_topics())
    except (KafkaError, OSError) as error:
        raise Transient(f"Kafka at {settings.kafka_bootstrap} cannot be reached: {error}") from error
    finally:
        await admin.close()


async def require_topics(settings: RuntimeSettings, names: set[str]) -> None:
    """Return when every topic exists. Raises Transient that names the missing ones."""
    missing = sorted(names - await topics_present(settings))
    if missing:
        raise Transient(f"no topics {', '.join(missing)}; create them with `python -m runtime.topics apply`")


def client_security(settings: RuntimeSettings) -> dict[str, Any]:
    """Return the security arguments of a bare aiokafka client."""
    if settings.kafka_security == "plaintext":
        return {}
    arguments: dict[str, Any] = {
        "security_protocol": settings.kafka_security.upper(),
        "ssl_context": ssl.create_default_context(cafile=settings.kafka_ca_file),
    }
    if settings.kafka_security == "sasl_ssl" and settings.kafka_password is not None:
        arguments |= {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password.get_secret_value(),
        }
    return arguments


def _security(settings: RuntimeSettings) -> BaseSecurity | None:
    if settings.kafka_security == "plaintext":
        return None
    context = ssl.create_default_context(cafile=settings.kafka_ca_file)
    if settings.kafka_security == "ssl" or settings.kafka_password is None:
        return BaseSecurity(ssl_context=context, use_ssl=True)
    return SASLScram512(
        username=settings.kafka_username or "",
        password=settings.kafka_password.get_secret_value(),
        ssl_context=context,
        use_ssl=True,
    )


async def _as_it_is(message: Any) -> Any:
    """Leave the body alone: what it is, is decided from the headers, under the failure policy."""
    return message.body


async def _tolerant_parser(message: Any, original: Callable[[Any], Awaitable[Any]]) -> Any:
    """Parse a record whose headers may be no text.

    FastStream decodes headers before any middleware runs; a header that is no UTF-8 would fail outside the
    failure policy, and the message would be lost with the next acknowledgement.
    """
    clean = tuple((name, _as_text(value).encode()) for name, value in message.headers)
    parsed = await original(dataclasses.replace(message, headers=clean))
    parsed.raw_message = message
    return parsed


def _as_text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", errors="replace")


def _text_headers(headers: Sequence[tuple[str, bytes]]) -> dict[str, str]:
    return {name: _as_text(value) for name, value in headers}


def _raw(record: "ConsumerRecord[Any, Any]") -> RawMessage:
    return RawMessage(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        headers=tuple(record.headers),
        body=record.value or b"",
    )
