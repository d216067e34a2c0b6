"""Where the Qlik listener is put together: a process of its own beside the scheduler."""

from runtime.bus import Bus
from runtime.clock import SystemClock
from runtime.http import HttpLimits, serving
from runtime.service import Service, Start
from runtime.store import open_store
from scheduler.app import publishing
from scheduler.clock_watch import ClockWatch
from scheduler.settings import ListenerSettings
from scheduler.sites import Sites
from scheduler.watching import Watchers, closing


def listener(settings: ListenerSettings) -> Start:
    """Return how a listener process starts."""

    async def start(service: Service) -> None:
        store = await service.enter(
            open_store(
                settings.mongo_uri.get_secret_value(), settings.mongo_database, driver=settings.store_driver
            )
        )
        bus = await service.enter(Bus(settings, service="qlik-listener"))
        relay = await publishing(service, store, bus, settings.relay_s)
        clock = SystemClock()
        watch = ClockWatch(clock)
        service.ready_when(watch.problems)
        sites = Sites(store, settings, clock=clock, nudge=relay.nudge)
        await sites.prepare()
        watchers = await service.enter(
            closing(Watchers(sites.open, sites.failed, poll_s=settings.reload_poll_s))
        )
        if settings.listener_port:
            await service.enter(
                serving(
                    sites.callbacks(watchers.wake),
                    host=settings.listener_host,
                    port=settings.listener_port,
                    limits=HttpLimits.from_settings(settings),
                )
            )

        async def refresh() -> None:
            watch.look()
            # A connection that was changed is opened anew.
            watchers.keep(await sites.wanted())

        service.every(settings.connections_refresh_s, refresh, name="connections")

    return start
