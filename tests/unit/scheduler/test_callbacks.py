"""What Qlik sends to the listener: only what is signed or knows the path wakes it, and each event once."""

import hashlib
import hmac
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from qlik.webhooks import MAX_BODY_BYTES, RELOAD_FINISHED
from runtime.errors import Transient
from scheduler.callbacks import EVENTS_SENT_FOR, Callbacks, webhook_key
from support.clock import FakeClock
from support.fake_scheduler import FakeEvents

SECRET = "a secret of all listeners"


def cloud_event(event_id: str = "e1", at: datetime | None = None) -> dict[str, Any]:
    time = (at or FakeClock().now()).isoformat()
    data = {"id": "r1", "appId": "app", "status": "SUCCEEDED"}
    return {"id": event_id, "type": RELOAD_FINISHED, "specversion": "1.0", "time": time, "data": data}


def legacy(event: dict[str, Any]) -> dict[str, Any]:
    return {
        "cloudEventsVersion": "0.1",
        "eventId": event["id"],
        "eventType": event["type"],
        "eventTime": event["time"],
        "extensions": {"topLevelResourceId": "app"},
        "data": event["data"],
    }


class Site:
    """A Qlik site that calls."""

    def __init__(self) -> None:
        self.woken: list[str] = []
        self.events = FakeEvents()
        self.clock = FakeClock()
        self.app = Callbacks(SECRET, self.woken.append, events=self.events, clock=self.clock)

    async def call(self, path: str, body: bytes = b"", *, signature: str = "", method: str = "POST") -> int:
        halves = [body[: len(body) // 2], body[len(body) // 2 :]]
        answers: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": halves.pop(0), "more_body": bool(halves)}

        async def send(message: dict[str, Any]) -> None:
            answers.append(message)

        headers = [(b"Qlik-Signature", signature.encode())] if signature else []
        await self.app({"type": "http", "method": method, "path": path, "headers": headers}, receive, send)
        return int(answers[0]["status"])

    async def deliver(self, event: Any, *, key: str | None = None) -> int:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        key = webhook_key(SECRET, "cloud") if key is None else key
        signature = hmac.new(key.encode(), body, hashlib.sha256).hexdigest().upper()
        return await self.call("/webhooks/cloud", body, signature=signature)


@pytest.fixture
def site() -> Site:
    return Site()


async def test_a_callback_of_a_repository_wakes_its_connection(site: Site) -> None:
    assert 200 == await site.call(f"/callbacks/{SECRET}/managed", b'[{"objectType":"App"}]')
    assert ["managed"] == site.woken


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/callbacks/wrong/managed", "POST", 404),
        ("/callbacks//managed", "POST", 404),
        (f"/callbacks/{SECRET}/managed", "GET", 405),
        (f"/callbacks/{SECRET}/managed/more", "POST", 404),
        ("/", "POST", 404),
    ],
)
async def test_a_call_that_does_not_know_the_path_wakes_nobody(
    site: Site, path: str, method: str, status: int
) -> None:
    assert status == await site.call(path, method=method)
    assert [] == site.woken


@pytest.mark.parametrize("form", ["cloud", "legacy", "hybrid"])
async def test_an_event_in_any_of_the_three_envelopes_wakes_once_however_often_it_comes(
    site: Site, form: str
) -> None:
    event = cloud_event()
    event = {"cloud": event, "legacy": legacy(event), "hybrid": legacy(event) | event}[form]

    assert [200, 200, 200] == [await site.deliver(event) for _ in range(3)]
    assert ["cloud"] == site.woken


async def test_the_same_event_in_two_envelopes_is_one(site: Site) -> None:
    await site.deliver(cloud_event())
    await site.deliver(legacy(cloud_event()))

    assert ["cloud"] == site.woken


@pytest.mark.parametrize("key", ["", SECRET, webhook_key(SECRET, "another"), webhook_key("other", "cloud")])
async def test_what_is_not_signed_with_the_key_of_the_connection_is_refused(site: Site, key: str) -> None:
    assert 401 == await site.deliver(cloud_event(), key=key)
    assert [] == site.woken


async def test_the_signature_is_of_the_bytes_and_not_of_what_they_mean(site: Site) -> None:
    body = json.dumps(cloud_event()).encode()
    signature = hmac.new(webhook_key(SECRET, "cloud").encode(), body, hashlib.sha256).hexdigest()

    assert 401 == await site.call("/webhooks/cloud", body.replace(b": ", b":"), signature=signature)
    assert 401 == await site.call("/webhooks/cloud", body)
    assert 200 == await site.call("/webhooks/cloud", body, signature=signature)


async def test_an_event_older_than_qlik_sends_again_is_played_back_and_wakes_nobody(site: Site) -> None:
    old = site.clock.now() - EVENTS_SENT_FOR - timedelta(seconds=1)

    assert 200 == await site.deliver(cloud_event(at=old))
    assert [] == site.woken
    assert 200 == await site.deliver(cloud_event(at=old + timedelta(seconds=2)))
    assert ["cloud"] == site.woken


async def test_other_events_are_taken_and_wake_nobody(site: Site) -> None:
    assert 200 == await site.deliver(cloud_event() | {"type": "com.qlik.v1.app.reload.finished"})
    assert [] == site.woken


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"id": "e1"}', b"[" * 100_000])
async def test_a_signed_body_that_is_no_event_is_refused(site: Site, body: bytes) -> None:
    assert 400 == await site.deliver(body)
    assert [] == site.woken


async def test_a_body_that_never_ends_is_not_read_to_its_end(site: Site) -> None:
    assert 413 == await site.deliver(b" " * (MAX_BODY_BYTES + 1))
    assert [] == site.woken


async def test_while_the_store_is_away_the_tenant_is_told_that_it_failed(site: Site) -> None:
    site.events.away = Transient("MongoDB is away")

    assert 503 == await site.deliver(cloud_event())
    site.events.away = None
    assert 200 == await site.deliver(cloud_event())
    assert ["cloud"] == site.woken
