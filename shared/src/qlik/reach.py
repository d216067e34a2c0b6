"""Which addresses a host may be reached at: whoever uses the client decides that, at every connection."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence

import httpx

Reach = Callable[[str, int], Awaitable[Sequence[str]]]
"""Takes a host and a port, and returns the addresses to connect to, in order.

Raises QlikError when the host may not be connected to, or when it has no address.
"""


async def anywhere(host: str, port: int) -> Sequence[str]:
    """Leave the choice to the system."""
    del port
    return (host,)


class ReachedTransport(httpx.AsyncHTTPTransport):
    """Connects to the addresses that were allowed, and to nothing a second look-up could return instead.

    The host name stays in the Host header, and certificates are checked against it.
    """

    def __init__(self, reach: Reach, *, verify: ssl.SSLContext | bool) -> None:
        super().__init__(verify=verify, trust_env=False)
        self._reach = reach

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the first address that answers. Raises QlikError, httpx.HTTPError."""
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await self._reach(url.host, port)
        for address in addresses[:-1]:
            try:
                return await super().handle_async_request(_sent_to(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await super().handle_async_request(_sent_to(request, addresses[-1]))


def _sent_to(request: httpx.Request, address: str) -> httpx.Request:
    if address == request.url.host:
        return request
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
