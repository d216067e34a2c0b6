"""How a site lets us in: one strategy per kind of credential, the same face for web socket and HTTP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import httpx
import structlog

from qlik import tls
from qlik.errors import ConfigurationError, PermissionDenied, ProtocolError, QlikError, SiteBusy
from qlik.reach import Reach, ReachedTransport, anywhere
from qlik.rest import answer, quiet_library_logs, refusal
from qlik.site import ApiKeyAuth, CertificateAuth, JwtAuth, Limits, OAuthM2MAuth, QlikSite, TicketAuth
from qlik.upgrade import Upgrade

log = structlog.get_logger(__name__)

XRFKEY = "BroadsheetXrfKey"  # 16 letters; it proves only that the caller can set a header, any value will do

_LOG_OUT_S = 5.0
_PROXY_SESSION_S = 25 * 60  # virtual proxies end idle sessions after 30 minutes by default
_MOST_BYTES, _MOST_S = 1024 * 1024, 300.0  # tokens and cookies are a few kB; connect_s cannot be longer
_RENEW_BEFORE_S = 300  # a token must outlive the longest step that starts with it


class SignIn(Protocol):
    """What a connection needs to know about credentials."""

    @property
    def tls(self) -> ssl.SSLContext | None:
        """The TLS context for every connection of this site."""

    @property
    def reach(self) -> Reach:
        """Which addresses the site may be reached at."""

    @property
    def renewable(self) -> bool:
        """Whether a refused sign-in may work when tried afresh."""

    async def upgrade(self, path: str) -> Upgrade:
        """The address and headers for one web socket; `path` begins with `/app/`."""

    async def headers(self) -> Mapping[str, str]:
        """The headers that sign an HTTP request to the repository or tenant."""

    def rejected(self) -> None:
        """The site did not accept what we showed: forget it, so that the next call signs in afresh."""

    async def aclose(self) -> None:
        """Release connections."""


def sign_in(site: QlikSite, *, now: Callable[[], float], reach: Reach = anywhere) -> SignIn:
    """The strategy for a site's kind of credential.

    `now` is a monotonic clock in seconds; `reach` decides which addresses are connected to.
    """
    match site.auth:
        case CertificateAuth() as auth:
            return ByCertificate(site, auth, reach=reach)
        case JwtAuth() as auth:
            return ByJwt(site, auth, now=now, reach=reach)
        case TicketAuth() as auth:
            return ByTicket(site, auth, now=now, reach=reach)
        case ApiKeyAuth() as auth:
            return ByBearer(site, auth, reach=reach)
        case OAuthM2MAuth() as auth:
            return ByOAuth(site, auth, now=now, reach=reach)


def qlik_user(directory: str, user: str) -> str:
    """The value of X-Qlik-User. Both parts are URL-encoded, or a `;` in a name could name another user."""
    return f"UserDirectory={quote(directory, safe='')}; UserId={quote(user, safe='')}"


class ByCertificate:
    """Client certificate and X-Qlik-User, straight to engine and repository."""

    renewable = False

    def __init__(self, site: QlikSite, auth: CertificateAuth, *, reach: Reach = anywhere) -> None:
        self._site, self.reach = site, reach
        self._user = {"X-Qlik-User": qlik_user(auth.user_directory, auth.user_id)}
        self.tls = tls.context(ca_pem=auth.ca_pem, client_pem=auth.client_pem, key_pem=auth.key_pem)

    async def upgrade(self, path: str) -> Upgrade:
        """See SignIn."""
        return Upgrade(self._site.engine_url + path, self._user, tls=self.tls, reach=self.reach)

    async def headers(self) -> Mapping[str, str]:
        """See SignIn."""
        return self._user

    def rejected(self) -> None:
        """Nothing is cached."""

    async def aclose(self) -> None:
        """Nothing is open."""


class ByBearer:
    """An API key of Qlik Cloud."""

    renewable = False

    def __init__(self, site: QlikSite, auth: ApiKeyAuth, *, reach: Reach = anywhere) -> None:
        self._site, self._key, self.reach = site, auth.key, reach
        self.tls = tls.context()

    async def upgrade(self, path: str) -> Upgrade:
        """See SignIn."""
        return Upgrade(self._site.engine_url + path, await self.headers(), tls=self.tls, reach=self.reach)

    async def headers(self) -> Mapping[str, str]:
        """See SignIn."""
        return {"Authorization": f"Bearer {self._key.get_secret_value()}"}

    def rejected(self) -> None:
        """A key cannot be renewed from here."""

    async def aclose(self) -> None:
        """Nothing is open."""


class ByOAuth:
    """Client credentials of Qlik Cloud, with or without impersonation.

    One token serves HTTP and web socket.
    """

    renewable = True

    def __init__(
        self, site: QlikSite, auth: OAuthM2MAuth, *, now: Callable[[], float], reach: Reach = anywhere
    ) -> None:
        self._site, self._auth, self._now, self.reach = site, auth, now, reach
        self._token, self._until = "", 0.0
        self._lock = asyncio.Lock()
        self.tls = tls.context()
        self._http = _http(site.tenant_url or "", self.tls, site.limits, reach)

    async def upgrade(self, path: str) -> Upgrade:
        """See SignIn."""
        return Upgrade(self._site.engine_url + path, await self.headers(), tls=self.tls, reach=self.reach)

    async def headers(self) -> Mapping[str, str]:
        """See SignIn."""
        async with self._lock:  # a hundred jobs ask for one token, not for a hundred
            if self._now() >= self._until:
                await self._renew()
            return {"Authorization": f"Bearer {self._token}"}

    def rejected(self) -> None:
        """Ask for a new token next time."""
        self._until = 0.0

    async def aclose(self) -> None:
        """See SignIn."""
        await self._http.aclose()

    async def _renew(self) -> None:
        body: dict[str, Any] = {
            "client_id": self._auth.client_id,
            "client_secret": self._auth.client_secret.get_secret_value(),
            "grant_type": "client_credentials",
            "scope": "user_default",
        }
        if self._auth.impersonate is not None:
            body["grant_type"] = "urn:qlik:oauth:user-impersonation"
            body["user_lookup"] = {
                "field": self._auth.impersonate.field,
                "value": self._auth.impersonate.value,
            }
        answer = await _request(self._http, "POST", "/oauth/token", json=body)
        if answer.status_code in {400, 401, 403}:
            raise PermissionDenied(
                "Qlik Cloud gives no token for this OAuth client",
                code=answer.status_code,
                remedy="Check client id and secret, and the consent for impersonation if a user is named.",
            )
        if not answer.is_success:
            secret = self._auth.client_secret.get_secret_value()
            raise refusal(answer, "POST /oauth/token", sent=[secret])
        try:
            token = answer.json()
            self._token = str(token["access_token"])
            lives = float(token.get("expires_in") or 21_600)
        except (ValueError, KeyError, TypeError):
            raise ProtocolError("The token endpoint did not answer with a token", code="oauth") from None
        self._until = self._now() + max(lives - _RENEW_BEFORE_S, lives / 2)


class ByJwt:
    """JWT through a virtual proxy: first a cookie and a CSRF token over HTTP, then the upgrade with both.

    The Bearer header must not be repeated on the upgrade, and the CSRF token must be in the query.
    """

    renewable = True

    def __init__(
        self, site: QlikSite, auth: JwtAuth, *, now: Callable[[], float], reach: Reach = anywhere
    ) -> None:
        self._site, self._auth, self._now, self.reach = site, auth, now, reach
        self._prefix = f"/{quote(auth.virtual_proxy.strip('/'))}" if auth.virtual_proxy.strip("/") else ""
        self._cookie, self._csrf, self._until = "", "", 0.0
        self._lock = asyncio.Lock()
        self.tls = tls.context(ca_pem=auth.ca_pem)
        self._http = _http(http_base(site.engine_url), self.tls, site.limits, reach)
        self._origin = auth.origin or http_base(site.engine_url)

    async def upgrade(self, path: str) -> Upgrade:
        """See SignIn."""
        await self._fresh()
        query = "?" + urlencode({"qlik-csrf-token": self._csrf}) if self._csrf else ""
        url = f"{self._site.engine_url}{self._prefix}{path}{query}"
        return Upgrade(url, {"Cookie": self._cookie}, origin=self._origin, tls=self.tls, reach=self.reach)

    async def headers(self) -> Mapping[str, str]:
        """See SignIn."""
        await self._fresh()
        csrf = {"qlik-csrf-token": self._csrf} if self._csrf else {}
        return {"Cookie": self._cookie, "Origin": self._origin, **csrf}

    def rejected(self) -> None:
        """Fetch a new proxy session next time."""
        self._until = 0.0

    async def aclose(self) -> None:
        """See SignIn.

        The proxy session is left to time out: logging out would end *all* sessions of the user.
        """
        await self._http.aclose()

    async def _fresh(self) -> None:
        async with self._lock:
            if self._now() < self._until:
                return
            bearer = {
                "Authorization": f"Bearer {self._auth.token.get_secret_value()}",
                "Origin": self._origin,
            }
            answer = await _request(self._http, "GET", f"{self._prefix}/qps/csrftoken", headers=bearer)
            if answer.status_code == 400:  # noqa: PLR2004 - what Qlik answers
                raise ConfigurationError(
                    "The virtual proxy does not answer",
                    code=400,
                    remedy=f"Link the virtual proxy {self._prefix or '(default)'} to the central proxy.",
                )
            if not answer.is_success:
                token = self._auth.token.get_secret_value()
                raise refusal(answer, "The JWT sign-in", sent=[token])
            cookie = _session_cookie(answer)
            if not cookie:
                raise PermissionDenied(
                    "The virtual proxy gave no session for the token",
                    code="no-cookie",
                    remedy="Check that this virtual proxy uses JWT and maps the token's claims to a user.",
                )
            self._cookie, self._csrf = cookie, answer.headers.get("qlik-csrf-token", "")
            self._until = self._now() + _PROXY_SESSION_S


class ByTicket:
    """A ticket from the proxy's API, with the site's certificate, for one session of the proxy that is kept.

    A proxy counts its sessions by their cookies until they are idle for 30 minutes, and allows five for a
    user. So one ticket is turned into a cookie, all sockets of this user go with it, and it is logged out at
    the end. A proxy that gives no cookie for a ticket gets a ticket for each socket. The repository is asked
    with the same certificate, on its own port.
    """

    renewable = True

    def __init__(
        self, site: QlikSite, auth: TicketAuth, *, now: Callable[[], float], reach: Reach = anywhere
    ) -> None:
        self._site, self._auth, self._now, self.reach = site, auth, now, reach
        self._prefix = f"/{quote(auth.virtual_proxy.strip('/'))}" if auth.virtual_proxy.strip("/") else ""
        self._user = {"X-Qlik-User": qlik_user(auth.user_directory, auth.user_id)}
        self._cookie, self._csrf, self._until = "", "", 0.0
        self._lock = asyncio.Lock()
        self.tls = tls.context(ca_pem=auth.ca_pem, client_pem=auth.client_pem, key_pem=auth.key_pem)
        self._qps = _http(auth.qps_url, self.tls, site.limits, reach)
        self._proxy = _http(http_base(site.engine_url), self.tls, site.limits, reach)
        self._origin = auth.origin or http_base(site.engine_url)

    async def upgrade(self, path: str) -> Upgrade:
        """See SignIn."""
        await self._fresh()
        if self._cookie:
            secrets = {"qlik-csrf-token": self._csrf} if self._csrf else {}
            headers = {"Cookie": self._cookie}
        else:
            secrets, headers = {"QlikTicket": await self._ticket()}, {}
        query = f"?{urlencode(secrets)}" if secrets else ""
        url = f"{self._site.engine_url}{self._prefix}{path}{query}"
        return Upgrade(url, headers, origin=self._origin, tls=self.tls, reach=self.reach)

    async def headers(self) -> Mapping[str, str]:
        """See SignIn."""
        return self._user

    def rejected(self) -> None:
        """Ask the proxy next time whether the session is still there; other sockets may go on in it."""
        self._until = 0.0

    async def aclose(self) -> None:
        """See SignIn. Logs the session out, and nothing else of the user."""
        await self._log_out()
        for http in (self._qps, self._proxy):
            await http.aclose()

    async def _fresh(self) -> None:
        async with self._lock:  # a hundred jobs take one ticket, not a hundred
            now = self._now()
            if now >= self._until and not (self._cookie and await self._open(cookie=self._cookie)):
                await self._open(ticket=await self._ticket())
            # Every use keeps a session of the proxy alive.
            self._until = now + _PROXY_SESSION_S

    async def _open(self, *, ticket: str = "", cookie: str = "") -> bool:
        """Open a session with a ticket, or see whether the one of a cookie is still there."""
        path = f"{self._prefix}/qps/csrftoken"
        answer = await _request(
            self._proxy,
            "GET",
            path,
            params={"QlikTicket": ticket} if ticket else {},
            headers={"Origin": self._origin} | ({"Cookie": cookie} if cookie else {}),
        )
        if answer.status_code == 400:  # noqa: PLR2004 - research 1.2
            raise ConfigurationError(
                "The virtual proxy does not answer",
                code=400,
                remedy=f"Link the virtual proxy {self._prefix or '(default)'} to the central proxy.",
            )
        if answer.status_code >= 500:  # noqa: PLR2004 - the server's own trouble
            raise refusal(answer, f"GET {path}")
        given = _session_cookie(answer)
        if cookie and (not answer.is_success or (_session_id(given) not in {"", _session_id(cookie)})):
            return False
        # Whatever else it says, an older proxy too gives the cookie to whoever comes with a ticket.
        self._cookie = cookie or (given if _session_id(given) else "")
        self._csrf = answer.headers.get("qlik-csrf-token", "")
        return True

    async def _log_out(self) -> None:
        """End the session of the proxy; where that fails it ends by itself when it is idle."""
        session, self._cookie, self._until = _session_id(self._cookie), "", 0.0
        if not session:
            return
        try:
            async with asyncio.timeout(_LOG_OUT_S):
                await _request(
                    self._qps,
                    "DELETE",
                    f"/qps{self._prefix}/session/{quote(session, safe='')}",
                    params={"xrfkey": XRFKEY},
                    headers={"X-Qlik-Xrfkey": XRFKEY, **self._user},
                )
        except (QlikError, TimeoutError) as error:
            log.info("qlik proxy session not logged out", site=self._site.name, error=type(error).__name__)

    async def _ticket(self) -> str:
        answer = await _request(
            self._qps,
            "POST",
            f"/qps{self._prefix}/ticket",
            params={"xrfkey": XRFKEY},
            headers={"X-Qlik-Xrfkey": XRFKEY, **self._user},
            json={"UserDirectory": self._auth.user_directory, "UserId": self._auth.user_id, "Attributes": []},
        )
        if not answer.is_success:
            raise refusal(answer, "POST /qps/ticket")
        try:
            return str(answer.json()["Ticket"])
        except (ValueError, KeyError, TypeError):
            raise ProtocolError("The proxy's API did not answer with a ticket", code="ticket") from None


def http_base(engine_url: str) -> str:
    """The https (or http) address of the host a web socket address names, without a path."""
    parts = urlsplit(engine_url)
    return urlunsplit(("https" if parts.scheme == "wss" else "http", parts.netloc, "", "", ""))


def _http(base_url: str, context: ssl.SSLContext, limits: Limits, reach: Reach) -> httpx.AsyncClient:
    quiet_library_logs()
    return httpx.AsyncClient(
        base_url=base_url,
        transport=ReachedTransport(reach, verify=context),
        timeout=httpx.Timeout(limits.connect_s),
        follow_redirects=False,
        trust_env=False,
    )


async def _request(http: httpx.AsyncClient, method: str, path: str, **options: Any) -> httpx.Response:
    """One request of a sign-in. Texts name the path only: bodies and queries carry secrets."""
    request = http.build_request(method, path, **options)
    got = await answer(http, request, f"{method} {path}", most=_MOST_BYTES, within_s=_MOST_S)
    if got.status_code == 429:  # noqa: PLR2004 - Too Many Requests
        raise SiteBusy("The site has too many sign-ins", code=429, retry_after=60)
    http.cookies.clear()  # sessions are kept here, on purpose, not in a jar that mixes them
    return got


def _session_cookie(answer: httpx.Response) -> str:
    """Session cookies of the answer as a Cookie header, whatever suffix the virtual proxy gives them."""
    pairs = []
    for raw in answer.headers.get_list("set-cookie"):
        pair = raw.split(";", 1)[0].strip()
        if "=" in pair and pair.split("=", 1)[1]:
            pairs.append(pair)
    return "; ".join(pairs)


def _session_id(cookie: str) -> str:
    """The id of the proxy's session in a Cookie header."""
    for pair in cookie.split("; "):
        name, _, value = pair.partition("=")
        if name.startswith("X-Qlik-Session"):
            return value
    return ""
