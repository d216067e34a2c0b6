"""Spans as this collector keeps them: read from OTLP protobuf, put together to a tree."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = (
    "unspecified",
    "internal",
    "server",
    "client",
    "producer",
    "consumer",
)  # in the order of the protocol


class BadPayload(Exception):  # noqa: N818 - it names the fact
    """The body is no OTLP trace export; the text says why."""


class SpanEvent(BaseModel):
    """Something that happened at a point in a span, such as an exception."""

    model_config = ConfigDict(frozen=True)

    name: str
    at: AwareDatetime
    attributes: dict[str, JsonValue]


class Span(BaseModel):
    """One line of the file. Ids are lower-case hex (32 and 16 digits), times UTC to the microsecond."""

    model_config = ConfigDict(frozen=True)

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    service: str
    start: AwareDatetime
    end: AwareDatetime
    status: str
    status_message: str
    attributes: dict[str, JsonValue]
    events: tuple[SpanEvent, ...] = ()
    links: tuple[str, ...] = ()
    """Trace ids of other traces this span refers to."""

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return (self.end - self.start) / timedelta(milliseconds=1)


@dataclass(frozen=True)
class Row:
    """A span in the tree: how deep, and where on the time axis of the trace (both in per cent)."""

    span: Span
    depth: int
    left: float
    width: float


def read_export(body: bytes) -> list[Span]:
    """The spans of an `ExportTraceServiceRequest` in protobuf. Raises `BadPayload`."""
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise BadPayload(f"the body is no ExportTraceServiceRequest in protobuf: {error}") from error
    return [
        _span(span, str(_attributes(group.resource.attributes).get("service.name", "unknown")))
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def tree(spans: Sequence[Span]) -> list[Row]:
    """The spans depth first, siblings by start; a span whose parent is not among them stands at the root."""
    if not spans:
        return []
    known = {span.span_id for span in spans}
    children: dict[str | None, list[Span]] = {}
    for span in sorted(spans, key=lambda each: each.start):
        parent = span.parent_id if span.parent_id in known and span.parent_id != span.span_id else None
        children.setdefault(parent, []).append(span)
    begin = min(span.start for span in spans)
    whole = max((max(span.end for span in spans) - begin) / timedelta(microseconds=1), 1.0)

    def place(span: Span, depth: int) -> Row:
        left = (span.start - begin) / timedelta(microseconds=1) / whole * 100
        width = (span.end - span.start) / timedelta(microseconds=1) / whole * 100
        return Row(span=span, depth=depth, left=round(left, 2), width=round(max(width, 0.2), 2))

    def walk() -> Iterator[Row]:
        pending = [(span, 0) for span in reversed(children.get(None, []))]
        seen: set[str] = set()
        while pending:
            span, depth = pending.pop()
            yield place(span, depth)
            if span.span_id not in seen:  # an id twice must not list its children twice
                seen.add(span.span_id)
                pending.extend((child, depth + 1) for child in reversed(children.get(span.span_id, [])))

    return list(walk())


def _span(span: ProtoSpan, service: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        name=span.name,
        kind=_KINDS[span.kind] if span.kind < len(_KINDS) else "unspecified",
        service=service,
        start=_time(span.start_time_unix_nano),
        end=_time(span.end_time_unix_nano),
        status={Status.STATUS_CODE_OK: "ok", Status.STATUS_CODE_ERROR: "error"}.get(
            span.status.code, "unset"
        ),
        status_message=span.status.message,
        attributes=_attributes(span.attributes),
        events=tuple(
            SpanEvent(
                name=event.name, at=_time(event.time_unix_nano), attributes=_attributes(event.attributes)
            )
            for event in span.events
        ),
        links=tuple(link.trace_id.hex() for link in span.links),
    )


def _time(nanoseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError as error:
        raise BadPayload(f"{nanoseconds} ns since 1970 is no date") from error


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, JsonValue]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> JsonValue:
    match value.WhichOneof("value"):
        case "array_value":
            return [_value(each) for each in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value.hex()
        case None:
            return None
        case kind:
            plain: JsonValue = getattr(value, kind)  # the fields are named as `WhichOneof` names them
            return plain
