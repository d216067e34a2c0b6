"""Opening the sites that are watched: from a stored connection to something that is polled and pushes."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from functools import partial

import structlog

from contracts.configuration import Connection
from qlik import QlikClient
from runtime.clock import Clock
from runtime.configuration import ConfigurationReader
from runtime.egress import Egress
from runtime.errors import Permanent, Transient
from runtime.secrets import Sealer
from runtime.sites import reach_of, site_of
from runtime.store import Store
from scheduler.adapters.configuration import StoredTasks
from scheduler.adapters.mongo import MongoOccurrences, MongoReloadMarks
from scheduler.adapters.problems import MongoTriggerProblems
from scheduler.adapters.pushes import NoPush, Subscriptions, TenantWebhook
from scheduler.adapters.qlik import RepositoryReloads, SiteAppIds, TenantReloads
from scheduler.adapters.sightings import MongoSightings
from scheduler.adapters.sites import MongoEvents, MongoSiteStates
from scheduler.callbacks import Callbacks, callback_path, webhook_key, webhook_path
from scheduler.ports import Push, ReloadSource
from scheduler.settings import ListenerSettings
from scheduler.site import Rhythm, WatchedSite
from scheduler.use_cases import Heard, site_unavailable, watch_reloads
from scheduler.watching import connections_waited_for

log = structlog.get_logger(__name__)

_NO_ADDRESS = (
    "no site can reach this listener, so it only polls; set BROADSHEET_LISTENER_PUBLIC_URL and "
    "BROADSHEET_LISTENER_PORT"
)
_NO_KEY = "a webhook needs a key that stays, so this tenant is only polled; set BROADSHEET_LISTENER_SECRET"


class Sites:
    """The sites that triggers wait for, and how each is opened."""

    def __init__(
        self, store: Store, settings: ListenerSettings, *, clock: Clock, nudge: Callable[[], None]
    ) -> None:
        """Take an open store and what is called when something was recorded for the bus."""
        self._settings = settings
        self._clock = clock
        self._nudge = nudge
        self._sealer = Sealer.from_setting(settings.secret_key) if settings.secret_key else None
        self._reach = reach_of(Egress.from_settings(settings))
        given = settings.listener_secret
        self._secret = given.get_secret_value() if given else secrets.token_urlsafe(32)
        self._reader = ConfigurationReader(store)
        self._tasks, self._occurrences = StoredTasks(self._reader), MongoOccurrences(store)
        self._marks, self._sightings = MongoReloadMarks(store), MongoSightings(store)
        self._events = MongoEvents(store)
        self._problems = MongoTriggerProblems(store)
        self._warned: dict[str, tuple[str, ...]] = {}
        self._states = MongoSiteStates(store, poll_every_s=settings.reload_poll_s)

    async def prepare(self) -> None:
        """Create the indexes. Raises Transient."""
        await self._sightings.ensure_indexes()
        await self._events.ensure_indexes()
        await self._problems.ensure_indexes()

    def callbacks(self, wake: Callable[[str], None]) -> Callbacks:
        """Return the addresses that Qlik calls."""
        return Callbacks(self._secret, wake, events=self._events, clock=self._clock)

    async def wanted(self) -> dict[str, object]:
        """Return the connections that are waited for, each with a value that changes when it is changed."""
        return {key: await self._configured(key) for key in await connections_waited_for(self._tasks)}

    async def failed(self, connection_id: str, message: str) -> None:
        """Write down that a site could not be opened, there and at the tasks. Raises Transient."""
        await self._states.failed(connection_id, self._clock.now(), message)
        await self._unavailable(connection_id, message)

    async def _unavailable(self, connection_id: str, message: str) -> None:
        await site_unavailable(
            connection_id, message, self._clock.now(), tasks=self._tasks, problems=self._problems
        )

    @contextlib.asynccontextmanager
    async def open(self, connection_id: str) -> AsyncIterator[WatchedSite]:
        """Open a site. Raises Permanent when its connection does not do, Transient from the store."""
        connection = await self._reader.connection(connection_id)
        if connection is None:
            raise Permanent(
                "connection-missing",
                f"There is no connection {connection_id!r}.",
                "Create it, or change the triggers that wait for its apps.",
            )
        client = QlikClient(site_of(connection, self._sealer), reach=self._reach)
        source = self._source(connection, client)
        apps = SiteAppIds(client, now=self._clock.now)
        site = WatchedSite(
            connection_id,
            poll=lambda: self._poll(connection_id, source, apps),
            push=self._push(connection, client),
            states=self._states,
            clock=self._clock,
            rhythm=Rhythm(
                renewal_s=self._settings.subscription_renewal_s, timeout_s=self._settings.poll_timeout_s
            ),
            unavailable=partial(self._unavailable, connection_id),
        )
        try:
            yield site
        finally:
            await site.aclose()
            await client.aclose()

    async def _poll(self, connection_id: str, source: ReloadSource, apps: SiteAppIds) -> Heard:
        heard = await watch_reloads(
            connection_id,
            self._clock.now(),
            source=source,
            marks=self._marks,
            tasks=self._tasks,
            occurrences=self._occurrences,
            sightings=self._sightings,
            problems=self._problems,
            apps=apps,
        )
        if heard.warnings != self._warned.get(connection_id):
            await self._states.warn(connection_id, self._clock.now(), heard.warnings)
            self._warned[connection_id] = heard.warnings
        if heard.recorded:
            self._nudge()
        return heard

    async def _configured(self, connection_id: str) -> object:
        try:
            return await self._reader.connection(connection_id)
        except Permanent as error:
            # Opening it says the same, about itself only; the others go on.
            return error.message
        except Transient:
            raise
        except Exception as error:
            log.exception("connection cannot be read", connection=connection_id)
            return f"{type(error).__name__}: {error}"[:300]

    def _source(self, connection: Connection, client: QlikClient) -> ReloadSource:
        if client.site.kind == "cloud":
            return TenantReloads(connection.id, client)
        return RepositoryReloads(
            connection.id, client, now=self._clock.now, settle_s=self._settings.reload_settle_s
        )

    def _push(self, connection: Connection, client: QlikClient) -> Push:
        base = (self._settings.listener_public_url or "").rstrip("/")
        if not base:
            return NoPush(_NO_ADDRESS)
        if client.site.kind != "cloud":
            return Subscriptions(client, base + callback_path(self._secret, connection.id))
        if self._settings.listener_secret is None:
            return NoPush(_NO_KEY)
        return TenantWebhook(
            client,
            name=f"Broadsheet {connection.id}"[:100],
            url=base + webhook_path(connection.id),
            secret=webhook_key(self._secret, connection.id),
        )
