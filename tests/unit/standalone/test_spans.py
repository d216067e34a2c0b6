from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from standalone.collector.spans import BadPayload, Span, read_export, tree

START = datetime(2026, 1, 1, tzinfo=UTC)


def span(span_id: str, parent: str | None, start_ms: int, end_ms: int) -> Span:
    return Span(
        trace_id="0" * 32,
        span_id=span_id,
        parent_id=parent,
        name=span_id,
        kind="internal",
        service="s",
        start=START + timedelta(milliseconds=start_ms),
        end=START + timedelta(milliseconds=end_ms),
        status="unset",
        status_message="",
        attributes={},
    )


def test_an_export_is_read_with_service_times_and_attributes() -> None:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="generator")))
    sent = group.scope_spans.add().spans.add()
    sent.trace_id, sent.span_id, sent.name = bytes(range(16)), bytes(range(8)), "render"
    sent.start_time_unix_nano, sent.end_time_unix_nano = 1_500_000_000, 2_000_000_000
    sent.attributes.append(KeyValue(key="units", value=AnyValue(int_value=3)))
    sent.status.code = Status.STATUS_CODE_ERROR
    sent.status.message = "no template"
    (read,) = read_export(request.SerializeToString())
    assert read.trace_id == "000102030405060708090a0b0c0d0e0f"
    assert read.parent_id is None
    assert read.service == "generator"
    assert read.milliseconds == 500
    assert read.start == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert read.attributes == {"units": 3}
    assert (read.status, read.status_message) == ("error", "no template")


def test_bytes_that_are_no_export_are_refused() -> None:
    with pytest.raises(BadPayload, match="ExportTraceServiceRequest"):
        read_export(b"\xff\xff\xff\xff")


def test_the_tree_is_depth_first_with_siblings_by_start() -> None:
    rows = tree(
        [
            span("late", "root", 50, 60),
            span("leaf", "early", 20, 30),
            span("early", "root", 10, 40),
            span("root", None, 0, 100),
        ]
    )
    assert [(row.span.span_id, row.depth) for row in rows] == [
        ("root", 0),
        ("early", 1),
        ("leaf", 2),
        ("late", 1),
    ]
    assert [(row.left, row.width) for row in rows] == [(0, 100), (10, 30), (20, 10), (50, 10)]


def test_a_span_whose_parent_never_came_stands_at_the_root() -> None:
    assert [row.depth for row in tree([span("orphan", "lost", 0, 1)])] == [0]


def test_a_span_that_is_its_own_parent_or_comes_twice_is_listed_once_each_time_it_came() -> None:
    rows = tree(
        [span("self", "self", 0, 1), span("a", None, 0, 1), span("a", None, 0, 1), span("b", "a", 0, 1)]
    )
    assert sorted(row.span.span_id for row in rows) == ["a", "a", "b", "self"]
