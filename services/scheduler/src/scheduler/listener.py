"""Where the Qlik listener is put together: a process of its own beside the scheduler."""

import contextlib
import secrets
from collections.abc import AsyncIterator

from qlik import QlikClient
from runtime.bus import Bus
from runtime.clock import SystemClock
from runtime.configuration import ConfigurationReader
from runtime.errors import Permanent
from runtime.http import serving
from runtime.secrets import Sealer
from runtime.service import Service, Start
from runtime.sites import site_of
from runtime.store import open_store
from scheduler.adapters.configuration import StoredTasks
from scheduler.adapters.mongo import MongoOccurrences, MongoReloadMarks
from scheduler.adapters.qlik import QlikReloads
from scheduler.adapters.sightings import MongoSightings
from scheduler.app import publishing
from scheduler.callbacks import Callbacks
from scheduler.settings import ListenerSettings
from scheduler.use_cases import watch_reloads
from scheduler.watching import Poll, Subscribe, Watchers, closing, connections_waited_for


def listener(settings: ListenerSettings) -> Start:
    """Return how a listener process starts."""
    secret = (
        settings.listener_secret.get_secret_value() if settings.listener_secret else secrets.token_urlsafe(32)
    )
    sealer = Sealer.from_setting(settings.secret_key) if settings.secret_key else None
    clock = SystemClock()

    async def start(service: Service) -> None:
        store = await service.enter(
            open_store(
                settings.mongo_uri.get_secret_value(), settings.mongo_database, driver=settings.store_driver
            )
        )
        bus = await service.enter(Bus(settings, service="qlik-listener"))
        relay = await publishing(service, store, bus, settings.relay_s)
        reader = ConfigurationReader(store)
        tasks, occurrences, marks = StoredTasks(reader), MongoOccurrences(store), MongoReloadMarks(store)
        sightings = MongoSightings(store)
        await sightings.ensure_indexes()

        @contextlib.asynccontextmanager
        async def open_site(connection_id: str) -> AsyncIterator[tuple[Poll, Subscribe | None]]:
            connection = await reader.connection(connection_id)
            if connection is None:
                raise Permanent("connection-missing", f"there is no connection {connection_id!r}")
            source = QlikReloads(connection_id, QlikClient(site_of(connection, sealer)))

            async def poll() -> None:
                if await watch_reloads(
                    connection_id,
                    clock.now(),
                    source=source,
                    marks=marks,
                    tasks=tasks,
                    occurrences=occurrences,
                    sightings=sightings,
                ):
                    relay.nudge()

            async def subscribe() -> None:
                base = (settings.listener_public_url or "").rstrip("/")
                await source.subscribe(f"{base}/callbacks/{secret}/{connection_id}")

            try:
                yield poll, subscribe if settings.listener_public_url else None
            finally:
                await source.aclose()

        watchers = await service.enter(
            closing(
                Watchers(
                    open_site,
                    poll_s=settings.reload_poll_s,
                    renewal_s=settings.subscription_renewal_s,
                )
            )
        )
        if settings.listener_port:
            await service.enter(
                serving(
                    Callbacks(secret, watchers.wake),
                    host=settings.listener_host,
                    port=settings.listener_port,
                )
            )

        async def refresh() -> None:
            watchers.keep(await connections_waited_for(tasks))

        service.every(settings.connections_refresh_s, refresh, name="connections")

    return start
