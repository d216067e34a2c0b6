"""CloudEvents 1.0 in Kafka's binary mode: attributes in `ce_` headers, data as a JSON body.

Source: CloudEvents 1.0.2, and its Kafka protocol binding, section 3.2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeVar

from pydantic import ValidationError

from contracts.base import EARLIEST, LATEST, Event
from contracts.events import EVENT_TYPES
from contracts.ids import event_id

E_co = TypeVar("E_co", bound=Event, covariant=True)

_BY_CE_TYPE: dict[str, type[Event]] = {cls.ce_type(): cls for cls in EVENT_TYPES}
CONTENT_TYPE = "application/json"
_REQUIRED = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time")


class MalformedEventError(Exception):
    """A message that is no event we can read; `str()` says what is wrong and what to change."""


class UnknownEventTypeError(MalformedEventError):
    """A message that is a CloudEvent of a type or version this program does not know."""


@dataclass(frozen=True, slots=True)
class Received(Generic[E_co]):
    """An event as it came from the bus."""

    event: E_co
    id: str
    source: str
    time: datetime
    """When it was published, UTC."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """What goes to Kafka: topic, key, headers and body."""

    topic: str
    key: bytes
    headers: Mapping[str, str]
    body: bytes


def encode(event: Event, *, source: str, time: datetime, trace: Mapping[str, str] | None = None) -> Message:
    """Return the Kafka message of an event.

    `source` names the publishing service, `time` is when the fact happened (aware), `trace` holds W3C trace
    headers to pass on.
    """
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event_id(event.ce_type(), event.identity()),
        "ce_source": f"/broadsheet/{source}",
        "ce_type": event.ce_type(),
        "ce_time": time.astimezone(UTC).isoformat(),
        "ce_subject": event.key(),
        "content-type": CONTENT_TYPE,
        **(trace or {}),
    }
    return Message(
        topic=event.TOPIC,
        key=event.key().encode(),
        headers=headers,
        body=event.model_dump_json().encode(),
    )


def decode(headers: Mapping[str, str], body: bytes) -> Received[Event]:
    """Return the event in a message.

    Raises MalformedEventError when attributes are missing or the data does not fit the type's schema, and
    UnknownEventTypeError when type or version are not ours.
    """
    missing = [name for name in _REQUIRED if not headers.get(name)]
    if missing:
        raise MalformedEventError(
            f"no CloudEvents attributes {', '.join(missing)} in the headers; "
            "publish in CloudEvents 1.0 binary mode"
        )
    if headers["ce_specversion"] != "1.0":
        raise MalformedEventError(f"ce_specversion is {headers['ce_specversion']!r}; it has to be '1.0'")
    cls = _BY_CE_TYPE.get(headers["ce_type"])
    if cls is None:
        raise UnknownEventTypeError(
            f"event type {headers['ce_type'][:200]!r} is not known here; known are "
            + ", ".join(sorted(_BY_CE_TYPE))
        )
    try:
        event = cls.model_validate_json(body)
    except ValidationError as error:
        raise MalformedEventError(f"data of {headers['ce_type']} does not fit: {_explain(error)}") from error
    try:
        time = datetime.fromisoformat(headers["ce_time"])
        if time.tzinfo is None:
            raise MalformedEventError("ce_time has no offset; RFC 3339 requires one")
        time = time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise MalformedEventError(f"ce_time {headers['ce_time'][:60]!r} is not an RFC 3339 time") from error
    if not EARLIEST <= time <= LATEST:
        raise MalformedEventError(
            f"ce_time {headers['ce_time'][:60]!r} is outside {EARLIEST:%Y} to {LATEST:%Y}"
        )
    return Received(
        event=event,
        id=headers["ce_id"],
        source=headers["ce_source"],
        time=time,
        headers=dict(headers),
    )


def _explain(error: ValidationError, limit: int = 5) -> str:
    """Name places and faults, never the input itself: it may be large or secret."""
    faults: Sequence[str] = [
        f"{'.'.join(str(part) for part in item['loc']) or 'body'}: {item['msg']}"
        for item in error.errors(include_input=False, include_url=False)
    ]
    more = f" (and {len(faults) - limit} more)" if len(faults) > limit else ""
    return "; ".join(faults[:limit]) + more
