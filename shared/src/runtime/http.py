"""HTTP servers inside a service's own event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn


class _Server(uvicorn.Server):
    """Leaves signals to the service, which stops everything in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: Any, *, host: str, port: int, graceful_s: int = 10) -> AsyncIterator[int]:
    """Serve an ASGI app while the context is open; yields the port, which may be given as 0.

    Raises OSError that names the address when it cannot be bound.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        interface="asgi3",
        lifespan="off",
        timeout_graceful_shutdown=graceful_s,
        server_header=False,
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
