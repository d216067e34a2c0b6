"""The way in: one client per process and site."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self
from urllib.parse import quote

import stamina
import structlog

from qlik.cloud import CloudTenant
from qlik.errors import PermissionDenied, QlikError, SiteBusy, Transient
from qlik.formats import parse_time
from qlik.gate import LocalBreaker, LocalGate, SiteBreaker, SiteGate
from qlik.model import AppInfo
from qlik.qrs import Repository
from qlik.reach import Reach, anywhere
from qlik.rpc import GLOBAL, EngineConnection
from qlik.session import AppSession
from qlik.signin import SignIn, sign_in
from qlik.site import JwtAuth, QlikSite, TicketAuth

log = structlog.get_logger(__name__)

_NO_APP = "engineData"  # the path for a session without an app


class QlikClient:
    """A Qlik site as one user: sessions on its engine, its list of apps, its repository or tenant.

    Keep one per process and site, so that the limits of parallel sessions and the circuit breaker see
    everything. `gate` and `breaker` may be such that replicas share. `now` is a monotonic clock in seconds,
    `token` makes session identities.
    """

    def __init__(
        self,
        site: QlikSite,
        *,
        gate: SiteGate | None = None,
        breaker: SiteBreaker | None = None,
        now: Callable[[], float] = time.monotonic,
        token: Callable[[], str] = lambda: secrets.token_urlsafe(18),
        reach: Reach = anywhere,
    ) -> None:
        self.site = site
        self._now, self._token = now, token
        self._gate = gate or LocalGate()
        self._breaker = breaker or LocalBreaker(now=now)
        self._sign_in: SignIn = sign_in(site, now=now, reach=reach)
        self._repository: Repository | None = None
        self._tenant: CloudTenant | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Release everything. Sessions still open keep their own socket until they end."""
        for part in (self._repository, self._tenant, self._sign_in):
            if part is not None:
                await part.aclose()

    @asynccontextmanager
    async def session(self, app_id: str, *, identity: str | None = None) -> AsyncIterator[AppSession]:
        """An app opened in a session that nobody else shares, closed and freed at the end of the block.

        Sessions are told apart by user, app and `identity` only, so the default is a random one; give one
        only to find the session again in Qlik's logs, and never the same twice at a time. Waits while
        `sessions_per_user` sessions of this user, or `sessions_per_site` in all, are open.

        Raises:
            Transient: the site is away or busy, or the identity is in use (`code` SESSION_ATTACHED).
            ConfigurationError, PermissionDenied: the app is not there or not for this user.

        """
        async with self.connection(app_id, identity=identity) as connection:
            yield await AppSession.open(connection, app_id, self.site.limits)

    @asynccontextmanager
    async def connection(
        self, app_id: str = _NO_APP, *, identity: str | None = None
    ) -> AsyncIterator[EngineConnection]:
        """A greeted connection under the same promises as `session`, in which no app is opened yet."""
        async with self._slots():
            connection = await self._connect(app_id, identity or self._token())
            try:
                if connection.attached:
                    raise Transient(
                        "The engine joined this session to one that was open before",
                        code="SESSION_ATTACHED",
                        remedy="Selections of somebody else may be active there; use an identity of its own.",
                    )
                yield connection
            finally:
                await connection.aclose()

    async def apps(self) -> list[AppInfo]:
        """The apps this user sees: from Cloud's items, from the repository, or else from the engine."""
        if self.site.kind == "cloud":
            return await self.tenant.apps()
        if self.site.qrs_url is not None:
            return await self.repository.apps()
        return await self._engine_apps()

    @property
    def credentials(self) -> SignIn:
        """How this client signs in, for whoever looks into it."""
        return self._sign_in

    @property
    def repository(self) -> Repository:
        """The repository service (QRS) of a client-managed site with `qrs_url`."""
        if self._repository is None:
            self._repository = Repository(self.site, self._sign_in)
        return self._repository

    @property
    def tenant(self) -> CloudTenant:
        """The REST interfaces of a Qlik Cloud tenant."""
        if self._tenant is None:
            self._tenant = CloudTenant(self.site, self._sign_in, now=self._now)
        return self._tenant

    # --- inside -------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _slots(self) -> AsyncIterator[None]:
        """The right to one session: as this user, and at this site.

        A proxy counts a session until its ttl is over, so long the slot stays taken; an engine that is asked
        directly has no such limit. Everybody takes the user's slot first, so that nobody waits in a circle.
        """
        limits = self.site.limits
        linger = float(limits.ttl_s) if isinstance(self.site.auth, JwtAuth | TicketAuth) else 0.0
        user = f"{self.site.name} {self.site.user}"
        async with (
            self._gate.slot(user, capacity=limits.sessions_per_user, linger_s=linger),
            self._gate.slot(self.site.name, capacity=limits.sessions_per_site),
        ):
            yield

    async def _engine_apps(self) -> list[AppInfo]:
        async with self.connection() as connection:
            listed = (await connection.call(GLOBAL, "GetDocList")).get("qDocList") or []
        return [
            AppInfo(
                id=str(raw.get("qDocId") or raw.get("qDocName") or ""),
                name=str(raw.get("qTitle") or raw.get("qDocName") or ""),
                last_reload_time=parse_time(raw.get("qLastReloadTime")),
                description=str((raw.get("qMeta") or {}).get("description") or ""),
                published=bool((raw.get("qMeta") or {}).get("published")),
                space=str(((raw.get("qMeta") or {}).get("stream") or {}).get("name") or ""),
            )
            for raw in listed
        ]

    async def _connect(self, app_id: str, identity: str) -> EngineConnection:
        await self._breaker.check(self.site.name)
        path = (
            f"/app/{quote(app_id, safe='')}/identity/{quote(identity, safe='')}/ttl/{self.site.limits.ttl_s}"
        )
        try:
            connection = await self._patiently(path)
        except QlikError as error:
            await self._breaker.failed(self.site.name, error)
            raise
        except BaseException:
            await self._breaker.gave_up(self.site.name)
            raise
        await self._breaker.succeeded(self.site.name)
        return connection

    async def _patiently(self, path: str) -> EngineConnection:
        """Connect, and again if the site is only away for a moment; a busy site is left alone."""

        def again(error: Exception) -> bool:
            return isinstance(error, Transient) and not isinstance(error, SiteBusy)

        # below a minute in all: what takes longer is put off by whoever runs the job
        async for attempt in stamina.retry_context(
            on=again, attempts=3, timeout=self.site.limits.connect_s, wait_initial=0.3, wait_max=3
        ):
            with attempt:
                return await self._sign_in_and_open(path)
        raise AssertionError  # pragma: no cover - the loop above returns or raises

    async def _sign_in_and_open(self, path: str) -> EngineConnection:
        limits = self.site.limits
        try:
            return await EngineConnection.open(await self._sign_in.upgrade(path), limits)
        except PermissionDenied as refused:
            if not self._sign_in.renewable:
                raise
            # tokens and proxy sessions run out without notice: sign in afresh, once
            log.info("qlik sign-in refused, signing in afresh", site=self.site.name, code=refused.code)
            self._sign_in.rejected()
            return await EngineConnection.open(await self._sign_in.upgrade(path), limits)
