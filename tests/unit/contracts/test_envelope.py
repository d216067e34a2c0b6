"""The envelope: what is no event is refused with a word on how to mend it."""

from datetime import UTC, datetime

import pytest

from contracts import ids
from contracts.envelope import MalformedEventError, UnknownEventTypeError, decode, encode
from contracts.events import TaskTriggered, TriggerInfo, TriggerKind

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
EVENT = TaskTriggered(
    execution_id=ids.execution_id("t", "o"),
    task_id="task",
    trigger=TriggerInfo(kind=TriggerKind.MANUAL, trigger_id="t", occurrence="o", due_at=NOW),
)


def test_the_same_fact_has_the_same_id_whenever_it_is_published() -> None:
    first = encode(EVENT, source="scheduler", time=NOW)
    second = encode(EVENT, source="scheduler", time=datetime(2027, 1, 1, tzinfo=UTC))

    assert first.headers["ce_id"] == second.headers["ce_id"]
    assert EVENT.execution_id.encode() == first.key


def test_trace_headers_travel_beside_the_attributes() -> None:
    message = encode(EVENT, source="scheduler", time=NOW, trace={"traceparent": "00-a-b-01"})

    assert "00-a-b-01" == decode(dict(message.headers), message.body).headers["traceparent"]


@pytest.mark.parametrize(
    ("headers", "body", "words"),
    [
        ({"ce_id": ""}, None, "ce_id"),
        ({"ce_specversion": "0.3"}, None, "1.0"),
        ({"ce_time": "yesterday"}, None, "RFC 3339"),
        ({"ce_time": "2026-03-02T08:00:00"}, None, "offset"),
        ({"ce_time": "0001-01-01T00:00:00+14:00"}, None, "RFC 3339"),
        ({"ce_time": "0001-01-01T00:00:00Z"}, None, "outside 2000 to 2200"),
        ({"ce_time": "9999-12-31T23:59:59Z"}, None, "outside 2000 to 2200"),
        ({}, b"{not json", "Invalid JSON"),
        ({}, b'{"task_id": 7}', "execution_id: Field required"),
        ({}, b"[]", "does not fit"),
        ({}, b"\xff\xfe", "does not fit"),
        ({}, b"", "does not fit"),
    ],
)
def test_what_is_no_event_is_refused_by_name(headers: dict[str, str], body: bytes | None, words: str) -> None:
    message = encode(EVENT, source="scheduler", time=NOW)

    with pytest.raises(MalformedEventError, match=words):
        decode({**message.headers, **headers}, message.body if body is None else body)


def test_an_unknown_version_is_told_apart() -> None:
    message = encode(EVENT, source="scheduler", time=NOW)

    with pytest.raises(UnknownEventTypeError, match=r"task-triggered\.v9"):
        decode({**message.headers, "ce_type": "io.broadsheet.task-triggered.v9"}, message.body)


def test_a_refusal_never_repeats_what_was_sent() -> None:
    message = encode(EVENT, source="scheduler", time=NOW)

    with pytest.raises(MalformedEventError) as caught:
        decode(dict(message.headers), b'{"execution_id": "hunter2-secret", "task_id": "t"}')

    assert "hunter2" not in str(caught.value)


def test_ids_depend_on_every_part_and_on_nothing_else() -> None:
    assert ids.execution_id("a", "bc") != ids.execution_id("ab", "c")
    assert ids.delivery_id("e", "email", "x", ["1", "2"]) == ids.delivery_id("e", "email", "x", ["2", "1"])
