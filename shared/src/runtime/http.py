"""HTTP servers inside a service's own event loop, with limits for clients that are slow, large or many.

uvicorn bounds how long a connection may be idle between requests, and nothing else. The protocol here adds
what a server that faces a network needs: a time for the head of a request, one for its body that grows with
what arrives, one for a client that does not read its answer, and a number of connections.
"""

import asyncio
import contextlib
import http
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import uvicorn
from prometheus_client import Counter
from uvicorn.protocols.http.h11_impl import H11Protocol

from runtime.settings import RuntimeSettings

CUT_OFF = Counter(
    "broadsheet_http_cut_off_total", "HTTP connections that were ended for a limit, by reason.", ["reason"]
)


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What one client, and all of them together, may take. Times are seconds."""

    head_s: float = 10.0
    """For the request line and all headers, from the first byte or from the connection."""
    body_s: float = 30.0
    """For the body, besides what its bytes may take at `least_bytes_per_s`."""
    least_bytes_per_s: float = 16_384.0
    read_s: float = 60.0
    """For a client that stopped reading its answer."""
    idle_s: float = 5.0
    """Between two requests of a connection."""
    connections: int = 512
    head_bytes: int = 32 * 1024
    headers: int = 100

    @classmethod
    def from_settings(cls, settings: RuntimeSettings) -> "HttpLimits":
        """Return the limits of the settings."""
        return cls(
            head_s=settings.http_head_timeout_s,
            body_s=settings.http_body_timeout_s,
            connections=settings.http_max_connections,
        )


_LINGER_S = 1.0


class _Server(uvicorn.Server):
    """Leaves signals to the service, which stops everything in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Bounded(H11Protocol):
    """uvicorn's HTTP/1.1 with limits."""

    limits: ClassVar[HttpLimits]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self.ended = False
        self.heard_at = self._began_at = self.loop.time()
        self._heard = 0
        self._expect(self.heard_at + self.limits.head_s)
        if len(self.connections) > self.limits.connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        if self.ended:
            return
        self.heard_at = self.loop.time()
        if not self.busy and self._deadline is None:
            self._begin()
        self._heard += len(data)
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        self._end_wait()
        super().on_response_complete()
        if not self.transport.is_closing() and self.conn.trailing_data[0] and not self.busy:
            self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_wait()
        self._resume_reading_client()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._resume_reading_client()
        self._unread = self.loop.call_later(self.limits.read_s, self._give_up_writing)

    def resume_writing(self) -> None:
        self._resume_reading_client()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        # Called while the parser's exception is handled, which knows better than 400.
        status = getattr(sys.exc_info()[1], "error_status_hint", 400)
        self.answer(status, msg)

    @property
    def busy(self) -> bool:
        """Whether a request has come whose answer is not complete."""
        return self.cycle is not None and not self.cycle.response_complete

    def _begin(self) -> None:
        self._began_at, self._heard = self.loop.time(), 0
        self._expect(self._began_at + self.limits.head_s)

    def _look(self) -> None:
        """Say until when the client has to send more, after something of it was taken in."""
        if self.ended or self.transport.is_closing() or (self.busy and not self.cycle.more_body):
            self._end_wait()
        elif self.busy:
            # A client that only drips falls behind; one that sends steadily has all the time it needs.
            needed = self._heard / self.limits.least_bytes_per_s
            self._expect(self._began_at + self.limits.body_s + needed)

    def _expect(self, deadline: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_at(deadline, self._too_slow)

    def _end_wait(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _resume_reading_client(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self.ended or self.transport.is_closing():
            return
        CUT_OFF.labels("slow").inc()
        self.answer(408, "The request did not arrive in time. Send it again.")

    def _give_up_writing(self) -> None:
        CUT_OFF.labels("unread").inc()
        self.transport.abort()

    def _make_room(self) -> None:
        """End the connection that has been silent longest, or this one when all of them are served."""
        waiting = [
            each
            for each in self.connections
            if isinstance(each, _Bounded)
            and each is not self
            and (not each.busy or each.cycle.more_body)
            and not each.ended
            and not each.transport.is_closing()
        ]
        CUT_OFF.labels("many").inc()
        if waiting:
            oldest = min(waiting, key=lambda each: each.heard_at)
            oldest.answer(503, "There are too many connections. Try again in a moment.")
            # Its peer may never read: the place has to be free now.
            oldest.transport.abort()
            self.connections.discard(oldest)
        else:
            self.answer(503, "There are too many connections. Try again in a moment.")

    def answer(self, status: int, text: str) -> None:
        """Answer in place of the application and close."""
        self._end_wait()
        self.ended = True
        started = self.busy and self.cycle.response_started
        if self.busy:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if started or (self._heard == 0 and status == http.HTTPStatus.REQUEST_TIMEOUT):
            self.transport.abort() if started else self.transport.close()
            return
        more = b"Retry-After: 5\r\n" if status == http.HTTPStatus.SERVICE_UNAVAILABLE else b""
        body = text.encode()
        self.transport.write(
            b"HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n%s"
            b"Connection: close\r\n\r\n%s"
            % (status, http.HTTPStatus(status).phrase.encode(), len(body), more, body)
        )
        # What still arrives is read and passed over for a moment: closing on it would reset the connection,
        # and the answer would be lost.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.abort)


class _Heads:
    """Refuses heads that arrived whole and are too large; the parser refuses those that go on (ASGI)."""

    def __init__(self, app: Any, limits: HttpLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = scope.get("headers", ())
        size = sum(len(name) + len(value) + 4 for name, value in headers)
        if len(headers) > self._limits.headers or size > self._limits.head_bytes:
            await _refuse(send, 431, b"The headers of the request are too large. Send fewer or shorter ones.")
        elif (
            len(scope.get("raw_path") or b"") + len(scope.get("query_string", b"")) > self._limits.head_bytes
        ):
            await _refuse(send, 414, b"The address of the request is too long.")
        else:
            await self._app(scope, receive, send)


async def _refuse(send: Any, status: int, text: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


@contextlib.asynccontextmanager
async def serving(
    app: Any,
    *,
    host: str,
    port: int,
    graceful_s: int = 10,
    limits: HttpLimits | None = None,
    trusted_proxies: Sequence[str] = (),
) -> AsyncIterator[int]:
    """Serve an ASGI app while the context is open; yields the port, which may be given as 0.

    `trusted_proxies` are the addresses and networks whose X-Forwarded-For and X-Forwarded-Proto are believed.
    Raises OSError that names the address when it cannot be bound.
    """
    limits = limits or HttpLimits()
    config = uvicorn.Config(
        _Heads(app, limits),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        interface="asgi3",
        lifespan="off",
        ws="none",
        http=type("Bounded", (_Bounded,), {"limits": limits}),
        h11_max_incomplete_event_size=limits.head_bytes,
        timeout_keep_alive=limits.idle_s,  # type: ignore[arg-type]  # it is only added to a time
        timeout_graceful_shutdown=graceful_s,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
    )
    server = _Server(config)
    sock = _bind(host, port)
    task = asyncio.create_task(server.serve(sockets=[sock]), name=f"http:{port}")
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has a flag, no event
            await asyncio.sleep(0.01)
        if task.done():
            await task
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        sock.close()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise OSError(
            error.errno, f"cannot listen on {host}:{port}: {error.strerror}; choose another port"
        ) from error
    return sock
