"""Clients that are slow, large or many, against the HTTP server of every service."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from runtime.http import HttpLimits, serving

pytestmark = pytest.mark.integration
SHORT = HttpLimits(head_s=0.6, body_s=0.6, least_bytes_per_s=1_000_000, read_s=0.6, idle_s=5, connections=64)
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the size of the body, or with 64 MB for /large."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        more = message["more_body"]
    large = scope["path"] == "/large"
    body = bytes(64_000_000) if large else str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def server(limits: HttpLimits = SHORT, app: Any = echo) -> AsyncIterator[int]:
    async with serving(app, host="127.0.0.1", port=0, graceful_s=1, limits=limits) as port:
        yield port


async def answer_to(port: int, *parts: bytes) -> bytes:
    """Send parts, and return what comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def dripping(port: int, start: bytes, drip: bytes) -> bytes:
    """Send a start and then a byte now and then, as long as the server lets us."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)
    got = asyncio.create_task(reader.read())
    try:
        while not got.done():
            writer.write(drip)
            await asyncio.wait([got], timeout=0.05)
        return got.result()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


Attack = Callable[[int], Awaitable[bytes]]
ATTACKS: list[tuple[str, Attack, bytes]] = [
    ("nothing is sent", answer_to, b""),
    ("the head does not end", lambda port: answer_to(port, HEAD[:-2]), b"408"),
    ("the head drips", lambda port: dripping(port, HEAD[:-2], b"a"), b"408"),
    ("the body does not begin", lambda port: answer_to(port, HEAD), b"408"),
    ("the body does not end", lambda port: answer_to(port, HEAD, b"a"), b"408"),
    ("the body drips", lambda port: dripping(port, HEAD, b"a"), b"408"),
    (
        "a second head does not end",
        lambda port: answer_to(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", HEAD[:-2]),
        b"",
    ),
]


@pytest.mark.parametrize(("attack", "status"), [pytest.param(a, s, id=name) for name, a, s in ATTACKS])
async def test_what_does_not_arrive_is_ended(attack: Attack, status: bytes) -> None:
    async with server() as port, asyncio.timeout(20):
        got = await attack(port)
    assert status in got.partition(b"\r\n")[0]


async def test_four_hundred_half_open_requests_end_and_others_are_served_meanwhile() -> None:
    async with server(HttpLimits(head_s=1.5, body_s=1.5)) as port, asyncio.timeout(60):
        held = [
            asyncio.create_task(answer_to(port, HEAD[:-2] if number % 2 else HEAD + b"a"))
            for number in range(400)
        ]
        async with httpx.AsyncClient(trust_env=False) as client:
            assert "3" == (await client.post(f"http://127.0.0.1:{port}", content=b"abc")).text
        ended = await asyncio.gather(*held)
    assert {b"HTTP/1.1 408 Request Timeout"} == {each.partition(b"\r\n")[0] for each in ended}


async def test_a_full_house_ends_the_longest_silent_and_serves_the_next() -> None:
    patient = HttpLimits(head_s=300, body_s=300, connections=8)
    async with server(patient) as port, asyncio.timeout(30):
        held = [asyncio.create_task(answer_to(port, HEAD)) for _ in range(20)]
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(5):
                assert "3" == (await client.post(f"http://127.0.0.1:{port}", content=b"abc")).text
        await asyncio.wait(held, return_when=asyncio.FIRST_COMPLETED)
        assert sum(not each.done() for each in held) <= 8
        for each in held:
            each.cancel()
        await asyncio.gather(*held, return_exceptions=True)


async def test_a_full_house_of_requests_under_way_says_so() -> None:
    release = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()
        await echo(scope, receive, send)

    async with server(HttpLimits(connections=8), slow) as port, asyncio.timeout(30):
        get = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        held = [asyncio.create_task(answer_to(port, get)) for _ in range(8)]
        refused = b""
        while b"503" not in refused:
            # Until all eight have arrived.
            extra = asyncio.create_task(answer_to(port, get))
            await asyncio.wait([extra], timeout=0.2)
            if extra.done():
                refused = extra.result()
            else:
                held.append(extra)
        release.set()
        served = await asyncio.gather(*held)
    assert b"Retry-After: 5" in refused
    assert all(b"200 OK" in each for each in served if b"503" not in each)


async def test_a_client_that_does_not_read_its_answer_is_let_go() -> None:
    async with server() as port, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.read(1)
        transport = writer.transport
        transport.pause_reading()  # type: ignore[attr-defined]
        while (await answer_to(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) == b"":
            pass
        await asyncio.sleep(1)  # the limit is 0.6 s; nothing can be waited for without reading
        transport.resume_reading()  # type: ignore[attr-defined]
        size = 0
        try:
            while part := await reader.read(1 << 20):
                size += len(part)
        except ConnectionResetError:
            pass
        writer.close()
    assert size < 64_000_000


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 40_000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 400_000, b"431"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"431"),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"41"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
    ],
)
async def test_what_is_too_large_or_nonsense_gets_its_own_status(request_: bytes, status: bytes) -> None:
    async with server() as port, asyncio.timeout(20):
        got = await answer_to(port, request_)
    assert got.startswith(b"HTTP/1.1 " + status), got[:100]


async def test_a_steady_upload_has_the_time_it_needs() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield bytes(200_000)
            await asyncio.sleep(0.1)

    async with server() as port, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"http://127.0.0.1:{port}", content=parts())
    assert "1600000" == answer.text


async def test_only_a_trusted_proxy_says_who_is_asking() -> None:
    async def who(scope: Any, receive: Any, send: Any) -> None:
        del receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["client"][0].encode()})

    async def asked(*trusted: str) -> str:
        async with (
            serving(who, host="127.0.0.1", port=0, graceful_s=1, trusted_proxies=trusted) as port,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            headers = {"X-Forwarded-For": "8.8.8.8, 203.0.113.7"}
            return (await client.get(f"http://127.0.0.1:{port}", headers=headers)).text

    assert "127.0.0.1" == await asked()
    assert "127.0.0.1" == await asked("10.0.0.0/8")
    assert "203.0.113.7" == await asked("127.0.0.0/8"), "what the proxy added, not what the client sent"
