"""What Qlik sends to us: signatures over raw bytes, three envelopes, callbacks with ids only."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qlik.errors import ProtocolError
from qlik.reloads import from_app, from_cloud, from_execution
from qlik.webhooks import MAX_BODY_BYTES, parse_qrs_changes, parse_webhook, signature_is_valid

BODY = b'{"id": "e1",  "type":"com.qlik.v1.reload.finished"}'


def sign(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_the_signature_is_over_the_raw_bytes_in_either_letter_case() -> None:
    good = sign("s", BODY)
    assert signature_is_valid("s", BODY, good)
    assert signature_is_valid("s", BODY, good.upper())
    assert not signature_is_valid("s", json.dumps(json.loads(BODY)).encode(), good)


@pytest.mark.parametrize("signature", [None, "", "00", "é" * 64, sign("other", BODY)])
def test_a_missing_or_wrong_signature_is_refused(signature: str | None) -> None:
    assert not signature_is_valid("s", BODY, signature)


def test_without_a_secret_nothing_is_valid() -> None:
    assert not signature_is_valid("", BODY, sign("", BODY))


DATA = {"id": "r1", "appId": "a1", "status": "SUCCEEDED", "lastReloadTime": "2024-05-01T10:00:00Z"}
TYPE = "com.qlik.v1.reload.finished"
TIME = "2024-05-01T10:00:05Z"
CLOUD_EVENT = {
    "id": "e1",
    "specversion": "1.0",
    "type": TYPE,
    "time": TIME,
    "toplevelresourceid": "a1",
    "data": DATA,
}
OLDER = {
    "cloudEventsVersion": "0.1", "eventId": "e1", "eventType": TYPE, "eventTime": TIME,
    "extensions": {"topLevelResourceId": "a1"}, "data": DATA,
}  # fmt: skip


@pytest.mark.parametrize("envelope", [CLOUD_EVENT, OLDER, {**OLDER, **CLOUD_EVENT}])
@pytest.mark.parametrize("without", [(), ("appId",)])
def test_all_three_envelopes_say_the_same(envelope: dict[str, Any], without: tuple[str, ...]) -> None:
    data = {k: v for k, v in DATA.items() if k not in without}
    event = parse_webhook(json.dumps({**envelope, "data": data}).encode())
    assert (event.id, event.type, event.app_id) == ("e1", TYPE, "a1")
    assert event.time == datetime(2024, 5, 1, 10, 0, 5, tzinfo=UTC)
    seen = event.reload
    assert seen is not None
    assert (seen.source, seen.app_id, seen.reload_id, seen.status) == (
        "cloud-reload",
        "a1",
        "r1",
        "succeeded",
    )
    assert seen.last_reload_time == datetime(2024, 5, 1, 10, tzinfo=UTC)


def test_an_engine_attempt_is_no_finished_reload() -> None:
    event = parse_webhook(json.dumps({**CLOUD_EVENT, "type": "com.qlik.v1.app.reload.finished"}).encode())
    assert event.reload is None


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"3", b"{}", b'{"id":1,"type":2}', b"\xff\xfe", b"[" * 200_000]
)
def test_what_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_webhook(body)


def test_a_body_above_the_limit_is_refused_unread() -> None:
    with pytest.raises(ProtocolError, match="larger"):
        parse_webhook(b" " * (MAX_BODY_BYTES + 1))


KEYS = st.sampled_from(["id", "type", "data", "extensions", "appId", "time", "objectID", "changeType"])
LEAVES = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=10))
def test_no_json_whatever_its_shape_raises_anything_else(raw: Any) -> None:
    body = json.dumps(raw).encode()
    for parse in (parse_webhook, parse_qrs_changes):
        try:
            parse(body)
        except ProtocolError:
            continue


def test_a_recorded_callback_of_the_repository_is_read() -> None:
    body = b"""[{"changeType":2,"objectType":"ExecutionResult",
      "objectID":"2fe2a4ba-3e2a-4ec1-b1ff-8ca2bd1ab0f5",
      "changedProperties":["modifiedDate","stopTime","duration"],"engineID":"","engineType":"",
      "originatorNodeID":"g","originatorHostName":"h","originatorContextID":null,
      "createdDate":"2024-05-01T10:00:00Z","modifiedDate":"2024-05-01T10:00:00Z","schemaPath":"ExternalChangeInfo"}]"""
    (change,) = parse_qrs_changes(body)
    assert (change.object_type, change.change_type) == ("ExecutionResult", 2)
    assert change.object_id.startswith("2fe2a4ba")
    assert "stopTime" in change.changed


@pytest.mark.parametrize(
    ("status", "expected"),
    [(7, "succeeded"), (8, "failed"), (6, "cancelled"), (11, "failed"), (2, "running"), (1, "running"),
     ("FinishedSuccess", "succeeded"), (None, "running")],
)  # fmt: skip
def test_execution_statuses_mean_what_the_repository_says(status: object, expected: str) -> None:
    seen = from_execution(
        {"id": "row", "executionID": "run", "appID": "a", "status": status, "stopTime": TIME}
    )
    assert seen is not None
    assert (seen.status, seen.reload_id) == (expected, "run")


def test_executions_of_no_app_are_passed_over() -> None:
    assert from_execution({"id": "x", "appID": "00000000-0000-0000-0000-000000000000", "status": 7}) is None
    assert from_execution({"id": "x", "status": 7}) is None


def test_an_app_reload_has_an_id_of_its_own_per_load() -> None:
    first = from_app({"id": "a", "lastReloadTime": "2024-05-01T10:00:00Z"})
    again = from_app({"id": "a", "lastReloadTime": "2024-05-01T10:00:00.000Z", "name": "renamed"})
    later = from_app({"id": "a", "lastReloadTime": "2024-05-01T11:00:00Z"})
    assert first is not None
    assert again is not None
    assert later is not None
    assert first.reload_id == again.reload_id != later.reload_id
    assert from_app({"id": "a", "lastReloadTime": "1753-01-01T00:00:00.000Z"}) is None


def test_a_cloud_reload_without_ids_is_nothing() -> None:
    assert from_cloud({"status": "SUCCEEDED"}) is None
    assert from_cloud({"id": "r", "appId": "a", "status": "EXCEEDED_LIMIT"}).status == "failed"  # type: ignore[union-attr]
