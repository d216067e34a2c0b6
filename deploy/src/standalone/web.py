"""One way to make HTTP clients here."""

import ssl
from functools import cache

import httpx


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


def http_client(
    *,
    base_url: str = "",
    timeout: float = 5.0,
    headers: dict[str, str] | None = None,
    follow_redirects: bool = False,
) -> httpx.AsyncClient:
    """Return a client; timeouts in seconds.

    A client of its own reads all certificate authorities anew, some 30 ms of processor time, which
    readiness checks that ask twenty times a second cannot afford.
    """
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=timeout,
        headers=headers,
        follow_redirects=follow_redirects,
        verify=_context(),
    )


async def answers(url: str) -> bool:
    """Return whether a GET of `url` is answered with 200 within five seconds."""
    async with http_client() as http:
        try:
            return (await http.get(url)).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False
