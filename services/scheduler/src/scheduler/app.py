"""Where the scheduler and the listener are put together; the only module that names concrete classes."""

from runtime.bus import Bus
from runtime.clock import SystemClock
from runtime.configuration import ConfigurationReader
from runtime.outbox import OutboxRelay
from runtime.service import Service, Start
from runtime.store import Store, open_store
from scheduler.adapters.configuration import StoredTasks
from scheduler.adapters.mongo import MongoOccurrences, MongoReloadMarks
from scheduler.adapters.problems import MongoTriggerProblems
from scheduler.adapters.sightings import MongoSightings
from scheduler.clock_watch import ClockWatch
from scheduler.domain.model import Patience
from scheduler.settings import SchedulerSettings
from scheduler.use_cases import tick


def scheduler(settings: SchedulerSettings) -> Start:
    """Return how a scheduler process starts."""

    async def start(service: Service) -> None:
        store = await service.enter(
            open_store(
                settings.mongo_uri.get_secret_value(), settings.mongo_database, driver=settings.store_driver
            )
        )
        bus = await service.enter(Bus(settings, service="scheduler"))
        occurrences = MongoOccurrences(store)
        relay = await publishing(service, store, bus, settings.relay_s)
        tasks = StoredTasks(ConfigurationReader(store))
        clock = SystemClock()
        patience = Patience(grace_s=settings.missed_after_s, late_s=settings.late_patience_s)
        sightings, marks = MongoSightings(store), MongoReloadMarks(store)
        await sightings.ensure_indexes()
        problems, watch = MongoTriggerProblems(store), ClockWatch(clock)
        await problems.ensure_indexes()
        service.ready_when(watch.problems)
        awake_since = clock.now()

        async def one_tick() -> None:
            if await tick(
                watch.look(),
                tasks=tasks,
                occurrences=occurrences,
                sightings=sightings,
                marks=marks,
                patience=patience,
                awake_since=awake_since,
                problems=problems,
                set_back=watch.set_back,
            ):
                relay.nudge()

        service.every(settings.tick_s, one_tick, name="tick")

    return start


async def publishing(service: Service, store: Store, bus: Bus, every_s: float) -> OutboxRelay:
    """Publish recorded occurrences beside everything else; return the relay."""
    relay = OutboxRelay(MongoOccurrences(store).collection, bus)
    await relay.ensure_indexes()
    # A worker and no loop: it publishes at once when it is nudged.
    service.worker(lambda: relay.run(service.stopping, every_s=every_s), name="outbox")
    service.ready_when(relay.problems)
    service.ready_when(store.problems)
    service.ready_when(bus.problems)
    return relay
