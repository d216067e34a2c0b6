"""The HTTP side: what is tried again and what is not, lists that lead elsewhere, lost sessions."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import stamina

from qlik import (
    ConfigurationError,
    LimitReached,
    Limits,
    PermissionDenied,
    ProtocolError,
    QlikError,
    SiteBusy,
    Transient,
)
from qlik.rest import RestClient, _Body

Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


class Server:
    """Answers from a list, the last one for ever, and keeps the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers, self.requests = list(answers), list[httpx.Request]()
        self.rejected = 0
        self.packed = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        headers = httpx.Headers(answer.headers)
        if self.packed:
            headers["content-encoding"] = "deflate"
        return httpx.Response(answer.status_code, headers=headers, stream=httpx.ByteStream(answer.content))

    def client(self) -> RestClient:
        async def credentials() -> dict[str, str]:
            return {"Authorization": f"Bearer t{self.rejected}"}

        def forget() -> None:
            self.rejected += 1

        return RestClient(
            "https://tenant.example.com",
            credentials=credentials,
            rejected=forget,
            limits=Limits(),
            transport=httpx.MockTransport(self),
        )


def ok(body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(200, json={} if body is None else body, headers=headers)


async def test_reading_is_tried_again_after_a_passing_failure() -> None:
    server = Server(httpx.Response(503), httpx.ConnectError("x"), ok({"a": 1}))
    assert await server.client().json("GET", "/x") == {"a": 1}
    assert len(server.requests) == 3


@pytest.mark.parametrize("answer", [httpx.Response(503), httpx.ReadTimeout("x"), httpx.ReadError("x")])
async def test_what_changes_something_is_not_sent_twice_when_it_may_have_arrived(answer: Any) -> None:
    server = Server(answer)
    with pytest.raises(Transient):
        await server.client().json("POST", "/x", json={})
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [httpx.Response(429), httpx.ConnectError("x")])
async def test_what_surely_did_not_arrive_is_sent_again(answer: Any) -> None:
    server = Server(answer, ok())
    await server.client().json("POST", "/x", json={})
    assert len(server.requests) == 2


async def test_a_wait_of_hours_is_left_to_the_caller() -> None:
    server = Server(httpx.Response(429, headers={"retry-after": "7200"}))
    with pytest.raises(SiteBusy) as caught:
        await server.client().json("GET", "/x")
    assert caught.value.retry_after == 7200
    assert len(server.requests) == 1


@pytest.mark.parametrize("wait", ["-5", "nan", "1e99", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_a_wait_that_makes_no_sense_is_none(wait: str) -> None:
    with pytest.raises(SiteBusy) as caught:
        await Server(httpx.Response(429, headers={"retry-after": wait})).client().json("POST", "/x")
    assert caught.value.retry_after is None


LOST = [
    httpx.Response(401),
    httpx.Response(302, headers={"location": "https://idp/login"}),
    httpx.Response(500, text="Authentication error: Restart the browser"),
]


@pytest.mark.parametrize("lost", LOST)
async def test_a_lost_session_is_signed_in_afresh_once(lost: httpx.Response) -> None:
    server = Server(lost, ok())
    await server.client().json("GET", "/x")
    assert [r.headers["authorization"] for r in server.requests] == ["Bearer t0", "Bearer t1"]
    server = Server(lost)
    with pytest.raises(PermissionDenied):
        await server.client().json("GET", "/x")
    assert len(server.requests) == 2


async def test_forbidden_stays_forbidden_without_a_new_sign_in() -> None:
    server = Server(httpx.Response(403, json={"errors": [{"code": "X-1", "title": "No", "detail": "way"}]}))
    with pytest.raises(PermissionDenied, match="HTTP 403") as caught:
        await server.client().json("GET", "/x")
    assert "way" not in str(caught.value), "the words of a server are not repeated"
    assert (len(server.requests), server.rejected, caught.value.code) == (1, 0, "X-1")


async def test_a_page_of_html_is_not_shown_and_not_taken_for_json() -> None:
    page = "<html>" + "x" * 5000
    with pytest.raises(ConfigurationError) as caught:
        await Server(httpx.Response(404, text=page)).client().json("GET", "/x")
    assert "<html>" not in str(caught.value)
    with pytest.raises(ProtocolError, match="did not answer with JSON"):
        await Server(httpx.Response(200, text=page)).client().json("GET", "/x")


def listing(items: list[Any], following: str | None) -> httpx.Response:
    return ok({"data": items, "links": {"next": {"href": following}} if following else {}})


async def test_a_list_is_followed_to_its_end() -> None:
    server = Server(listing([{"n": 1}, 3], "https://tenant.example.com/x?next=2"), listing([{"n": 2}], None))
    assert [item["n"] async for item in server.client().pages("/x", {"limit": 2})] == [1, 2]
    assert [str(r.url.query, "ascii") for r in server.requests] == ["limit=2", "next=2"]


ELSEWHERE = [
    "https://evil.example.com/x",
    "//evil.example.com/x",
    "http://tenant.example.com:81/x",
    "http://tenant.example.com/x",
]


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
async def test_a_list_that_leads_to_another_host_is_not_followed_with_our_token(elsewhere: str) -> None:
    server = Server(listing([{"n": 1}], elsewhere))
    with pytest.raises(ProtocolError, match="another host"):
        assert [item async for item in server.client().pages("/x")]
    assert len(server.requests) == 1


async def test_a_list_that_goes_round_in_a_circle_is_ended() -> None:
    server = Server(listing([{"n": 1}], "/x?next=1"))
    with pytest.raises(ProtocolError, match="does not end"):
        assert [item async for item in server.client().pages("/x")]


@pytest.mark.parametrize("body", [[], {"data": {}}, {"items": []}, 3])
async def test_what_is_no_list_is_refused(body: Any) -> None:
    with pytest.raises(QlikError):
        assert [item async for item in Server(ok(body)).client().pages("/x")]


class Drip(httpx.AsyncByteStream):
    """A body that comes in pieces, for as long as somebody reads."""

    def __init__(self, piece: bytes, pause: float = 0) -> None:
        self._piece, self._pause, self.sent = piece, pause, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.sent += 1
            await asyncio.sleep(self._pause)
            yield self._piece


def dripping(body: Drip, **limits: float) -> RestClient:
    async def credentials() -> dict[str, str]:
        return {}

    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=body)

    return RestClient(
        "https://site.example",
        credentials=credentials,
        limits=Limits.model_validate(limits),
        transport=httpx.MockTransport(respond),
    )


async def test_an_answer_without_end_is_given_up_at_its_limit() -> None:
    body = Drip(b"x" * 10_000)
    with pytest.raises(LimitReached, match="larger than 100000 bytes"):
        await dripping(body, max_body_bytes=100_000).send("GET", "/x")
    assert body.sent < 50


async def test_a_small_answer_that_unpacks_to_a_large_one_is_given_up_at_its_limit() -> None:
    bomb = zlib.compress(bytes(10_000_000))
    assert len(bomb) < 20_000
    server = Server(httpx.Response(200, content=bomb))
    client = server.client()
    client._most = 100_000
    server.packed = True
    with pytest.raises(LimitReached, match="larger than 100000 bytes"):
        await client.send("GET", "/x")


async def test_a_body_that_only_drips_is_given_up_in_time() -> None:
    body = Drip(b"x", pause=0.02)
    with pytest.raises(Transient, match="no answer in time"):
        await dripping(body, rest_s=0.01)._once("GET", "/x", _Body(None, None, None, {}))
