"""The HTTP side.

One place that signs requests, recognises lost sessions, honours rate limits and masks secrets.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import stamina
import structlog

from qlik.errors import (
    ConfigurationError,
    LimitReached,
    PermissionDenied,
    ProtocolError,
    QlikError,
    SiteBusy,
    Transient,
    http_error,
)
from qlik.masking import credentials_in, mask, without
from qlik.reach import Reach, ReachedTransport, anywhere
from qlik.site import Limits
from qlik.throttle import Throttle, tier_of

log = structlog.get_logger(__name__)

_REDIRECTS = {301, 302, 303, 307, 308}
_STEPS = 10  # as long as one step may take, or a file of 100 MB at 2 Mbit/s with the default of 60 s
_MAX_PAGES = 10_000  # a list that never ends is a fault of the server, not a reason to hang

Credentials = Callable[[], Awaitable[Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class _Body:
    params: Mapping[str, Any] | None
    json: Any
    content: bytes | None
    headers: Mapping[str, str]


class RestClient:
    """Requests against one base address. `credentials` gives the headers that sign a request.

    Requests that change nothing are tried again on transient failures; others only when the server surely did
    not take them (429, or no connection).
    """

    def __init__(
        self,
        base_url: str,
        *,
        credentials: Credentials,
        rejected: Callable[[], None] = lambda: None,
        tls: ssl.SSLContext | bool = True,
        limits: Limits,
        throttle: Throttle | None = None,
        reach: Reach = anywhere,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        quiet_library_logs()
        self._credentials, self._rejected, self._throttle = credentials, rejected, throttle
        # The limits of httpx are for each step; a server that sends a byte now and then passes them all.
        self._most, self._within = limits.max_body_bytes, _STEPS * limits.rest_s
        self.base_url = base_url
        self._origin = urlsplit(base_url)[:2]
        self._http = httpx.AsyncClient(
            base_url=base_url,
            timeout=httpx.Timeout(limits.rest_s, connect=limits.connect_s),
            follow_redirects=False,
            trust_env=False,
            transport=transport or ReachedTransport(reach, verify=tls),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def json(self, method: str, path: str, **options: Any) -> Any:
        """Send a request and return the decoded JSON body (None when there is no body).

        Raises:
            QlikError: by the class of the status, see `errors.http_error`.

        """
        response = await self.send(method, path, **options)
        if not response.content:
            return None
        try:
            return response.json()
        except (ValueError, RecursionError):
            raise ProtocolError(
                f"{method} {mask(path)} did not answer with JSON",
                code=response.status_code,
                remedy="Check the address: a login page or a proxy seems to answer in place of Qlik.",
            ) from None

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a request, retried where that is safe, and return the answer if its status is 2xx."""
        safe = method in {"GET", "HEAD", "DELETE"}

        def again(error: Exception) -> bool | float:
            if not isinstance(error, QlikError) or not error.transient:
                return False
            if not (safe or isinstance(error, SiteBusy) or error.code == "unreachable"):
                return False
            if error.retry_after is not None and error.retry_after > _LONGEST_WAIT_S:
                return False
            return error.retry_after if error.retry_after is not None else True

        # a quarter of a minute of patience: a job that needs more is put off by whoever runs it
        body = _Body(params, json, content, headers or {})
        async for attempt in stamina.retry_context(
            on=again, attempts=4, timeout=60, wait_initial=0.3, wait_max=5
        ):
            with attempt:
                return await self._once(method, path, body)
        raise AssertionError  # pragma: no cover - the loop above returns or raises

    async def pages(
        self, path: str, params: Mapping[str, Any] | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Every item of a Cloud list, following `links.next` on the same host only."""
        url: str | None = path
        seen: set[str] = set()
        while url is not None:
            if url in seen or len(seen) >= _MAX_PAGES:
                raise ProtocolError(f"The list {mask(path)} does not end", code="paging")
            seen.add(url)
            body = await self.json("GET", url, params=params)
            params = None
            if not isinstance(body, dict) or not isinstance(body.get("data"), list):
                raise ProtocolError(f"{mask(path)} did not answer with a list", code="paging")
            for item in body["data"]:
                if isinstance(item, dict):
                    yield item
            url = self._next(path, body)

    def _next(self, path: str, body: Mapping[str, Any]) -> str | None:
        href = ((body.get("links") or {}).get("next") or {}).get("href")
        if not href:
            return None
        target = urljoin(self.base_url, str(href))
        if urlsplit(target)[:2] != self._origin:
            # our token would go along
            raise ProtocolError(f"The list {mask(path)} continues on another host", code="paging")
        return target

    async def _once(self, method: str, path: str, body: _Body) -> httpx.Response:
        for last in (False, True):
            if self._throttle is not None:
                await self._throttle.take(tier_of(method, urlsplit(path).path))
            signed = {**(await self._credentials()), **body.headers}
            request = self._http.build_request(
                method, path, params=body.params, json=body.json, content=body.content, headers=signed
            )
            response = await answer(
                self._http, request, f"{method} {mask(path)}", most=self._most, within_s=self._within
            )
            if response.is_success:
                return response
            error_ = refusal(response, f"{method} {mask(path)}", sent=_secrets(signed, body.json))
            if isinstance(error_, PermissionDenied) and not last and _lost_session(response):
                self._rejected()  # sign in afresh, once: tokens and proxy sessions run out
                continue
            if self._throttle is not None and isinstance(error_, SiteBusy):
                self._throttle.blocked(tier_of(method, urlsplit(path).path), error_.retry_after or 1.0)
            raise error_
        raise AssertionError  # pragma: no cover - the second round returns or raises


_LONGEST_WAIT_S = 60.0


async def answer(
    http: httpx.AsyncClient, request: httpx.Request, doing: str, *, most: int, within_s: float
) -> httpx.Response:
    """Send a request and read its answer, but not more than `most` bytes of it, unpacked, nor for longer.

    Raises:
        LimitReached: for a larger one. ConfigurationError, Transient: when there is none.

    """
    try:
        async with asyncio.timeout(within_s), aclosing(await http.send(request, stream=True)) as response:
            content = bytearray()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > most:
                    raise LimitReached(
                        f"{doing}: the answer is larger than {most} bytes",
                        code="max-body",
                        remedy="Narrow what is asked for, or raise max_body_bytes.",
                    )
    except (httpx.TimeoutException, TimeoutError):
        raise Transient(f"{doing} got no answer in time", code="timeout") from None
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise transport_error(error, doing) from None
    # It is unpacked already, so headers that say how it was packed no longer hold.
    headers = [pair for pair in response.headers.multi_items() if pair[0].lower() not in _PACKING]
    return httpx.Response(response.status_code, headers=headers, content=bytes(content), request=request)


_PACKING = {"content-encoding", "content-length", "transfer-encoding"}


def _lost_session(response: httpx.Response) -> bool:
    return response.status_code != 403  # noqa: PLR2004 - Forbidden stays forbidden after a new sign-in


def _secrets(signed: Mapping[str, str], body: Any) -> set[str]:
    """What was sent with a request and must not come back in an error: some servers repeat it."""
    found = credentials_in(signed)
    if isinstance(body, Mapping):
        found |= {str(body[key]) for key in ("secret", "client_secret") if body.get(key)}
    return found


def refusal(response: httpx.Response, doing: str, *, sent: Iterable[str] = ()) -> QlikError:
    """The error an answer outside 2xx stands for, including expired sessions in disguise.

    `sent` are the credentials that were shown; they do not appear in the error, even if the answer has them.
    """
    status = response.status_code
    if status in _REDIRECTS:
        return PermissionDenied(
            f"{doing} was redirected to a login page",
            code=status,
            remedy="The session has expired or the virtual proxy prefix is wrong.",
        )
    text = response.text[:2000] if response.content else ""
    if status == 500 and "authentication error" in text.lower():  # noqa: PLR2004 - what Qlik answers
        return PermissionDenied(
            f"{doing}: the proxy session has expired", code=status, remedy="Sign in again."
        )
    detail, code = _detail(response, text)
    # What a server says goes to the log and not to the caller: the address may be of any server inside.
    log.info("qlik refused a request", doing=doing, status=status, said=mask(without(detail, sent)))
    error = http_error(status, f"{doing}: HTTP {status}", retry_after=_wait(response))
    if code:
        error.code = code
    return error


_CODE = re.compile(r"[A-Z][A-Z_]{0,23}-[0-9]{1,8}")
"""An error code of Qlik Cloud, such as COMPOSITION-4: nothing longer, and no words."""


def _detail(response: httpx.Response, text: str) -> tuple[str, str]:
    """Title and detail of Qlik Cloud's error body; nothing of a page of HTML."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return ("" if "<" in text else text[:200]), ""
    errors = body.get("errors") if isinstance(body, dict) else None
    if not isinstance(errors, list) or not errors or not isinstance(errors[0], dict):
        return "", ""
    first = errors[0]
    words = ". ".join(str(first[k]) for k in ("title", "detail") if first.get(k))
    code = str(first.get("code") or "")
    return words[:500], code if _CODE.fullmatch(code) and not code.startswith("HTTP-") else ""


def _wait(response: httpx.Response) -> float | None:
    raw = response.headers.get("retry-after", "")
    try:
        seconds = float(raw)
    except ValueError:
        return None
    return seconds if 0 <= seconds < 86_400 else None  # noqa: PLR2004 - a day; anything longer is nonsense


def transport_error(error: httpx.RequestError, doing: str) -> QlikError:
    """The error a request that got no answer stands for."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ConfigurationError(
                f"The certificate of the site is not trusted: {cause.verify_message}",
                code="tls",
                remedy="Give the site's root certificate (root.pem) as ca_pem.",
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError):
        return Transient(f"{doing}: the site is not reachable", code="unreachable")
    if isinstance(error, httpx.UnsupportedProtocol | httpx.DecodingError | httpx.RemoteProtocolError):
        return Transient(
            f"{doing}: the answer broke off ({type(error).__name__})", code="broken", remedy=_BROKE_OFF
        )
    return Transient(f"{doing} failed: {type(error).__name__}", code="network", remedy=_BROKE_OFF)


# With TLS 1.3 a server refuses a client certificate by hanging up after the handshake.
_BROKE_OFF = (
    "Wait and try again; if it always breaks off, the site may not know our client certificate: "
    "export it from the QMC of this very site."
)


class _MaskingFilter(logging.Filter):
    """Takes secrets out of what the HTTP libraries log: they write whole addresses and headers."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = mask(record.getMessage()), ()
        return True


_FILTER = _MaskingFilter()


def quiet_library_logs() -> None:
    """Put the masking filter on the loggers of httpx and httpcore. Doing it twice does it once."""
    for name in ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy"):
        logging.getLogger(name).addFilter(_FILTER)
