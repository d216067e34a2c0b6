"""Builds the distributor from its settings; the only module that names concrete classes."""

import random
from datetime import timedelta
from functools import partial

from contracts.events import Channel
from distributor import metrics
from distributor.adapters.files import StoredFiles
from distributor.adapters.mongo import DELIVERIES, SERVICE, Deliveries
from distributor.adapters.smtp import SmtpMailer
from distributor.adapters.spaces import ConfiguredSpaces
from distributor.domain.circuits import Circuits
from distributor.handlers import subscriptions
from distributor.pool import Pool
from distributor.ports import ChannelPort
from distributor.settings import DistributorSettings
from distributor.use_cases.attempt import Attempts, Patience
from distributor.use_cases.email import EmailChannel
from distributor.use_cases.fan_in import advance, plan_deliveries, settle_unit
from distributor.use_cases.hub import HubChannel
from distributor.use_cases.storage import StorageChannel
from distributor.use_cases.sweep import give_up_overdue, resolve_abandoned
from runtime.bus import Bus
from runtime.clock import Clock, SystemClock
from runtime.configuration import ConfigurationReader
from runtime.egress import Egress
from runtime.mail import MailTransport
from runtime.objects import ObjectStore, open_objects
from runtime.outbox import OutboxRelay
from runtime.plans import StoredPlans
from runtime.secrets import Sealer
from runtime.service import Service
from runtime.store import open_store

_FORGET_EVERY_S = 3600.0


async def start(service: Service, settings: DistributorSettings) -> None:
    """Open what the distributor needs and give the service its work.

    Raises Transient while a server it needs does not answer; the service then tries again.
    """
    clock = SystemClock()
    store = await service.enter(
        open_store(
            settings.mongo_uri.get_secret_value(), settings.mongo_database, driver=settings.store_driver
        )
    )
    objects = await service.enter(open_objects(settings))
    transport = await service.enter(MailTransport(settings))
    sealer = Sealer.from_setting(settings.secret_key) if settings.secret_key else None
    spaces = await service.enter(
        ConfiguredSpaces(ConfigurationReader(store), sealer, egress=Egress.from_settings(settings))
    )
    rows = Deliveries(store, clock=clock, lease_for=timedelta(seconds=settings.delivery_lease_s))
    await rows.ensure_indexes()

    files = StoredFiles(objects, max_bytes=settings.artifact_max_bytes)
    channels: dict[Channel, ChannelPort] = {
        Channel.EMAIL: EmailChannel(files, SmtpMailer(transport), settings.sender()),
        Channel.STORAGE: StorageChannel(files, spaces, settings.scratch_folder),
        Channel.HUB: HubChannel(files),
    }
    pools = _pools(rows, channels, settings, clock)

    bus = _bus(service, settings, rows=rows, objects=objects, clock=clock, pools=pools)
    relay = OutboxRelay(store.collection(DELIVERIES), bus)
    rows.on_settled(relay.nudge)
    await service.enter(bus)
    service.ready_when(store.problems)
    service.ready_when(objects.problems)
    service.ready_when(bus.problems)
    for channel, pool in pools.items():
        service.worker(partial(pool.run, service.stopping), name=f"deliver {channel}")
    service.worker(partial(relay.run, service.stopping), name="outbox")
    service.ready_when(relay.problems)
    _sweeps(service, settings, rows, clock, pools)


def _pools(
    rows: Deliveries, channels: dict[Channel, ChannelPort], settings: DistributorSettings, clock: Clock
) -> dict[Channel, Pool]:
    attempts = Attempts(
        rows=rows,
        facts=rows,
        channels=channels,
        clock=clock,
        policy=settings.retry_policy(),
        patience=Patience(
            extend_every=timedelta(seconds=settings.delivery_lease_s / 4),
            settle_for=timedelta(seconds=settings.delivery_settle_s),
        ),
        chance=random.SystemRandom().random,
    )
    places = settings.delivery_concurrency
    return {
        channel: Pool(
            channel,
            rows=rows,
            attempt=attempts.run,
            circuits=Circuits(
                first_pause=timedelta(seconds=settings.circuit_first_pause_s),
                longest_pause=timedelta(seconds=settings.circuit_longest_pause_s),
                # There is one mail server and one Hub; a slow storage space must leave room for others.
                share=max(1, places // 2) if channel is Channel.STORAGE else places,
            ),
            clock=clock,
            places=places,
            poll_s=settings.delivery_poll_s,
        )
        for channel in Channel
    }


def _bus(
    service: Service,
    settings: DistributorSettings,
    *,
    rows: Deliveries,
    objects: ObjectStore,
    clock: Clock,
    pools: dict[Channel, Pool],
) -> Bus:
    def wake() -> None:
        for pool in pools.values():
            pool.wake()

    return Bus(
        settings,
        service=service.name,
        subscriptions=subscriptions(
            plan=partial(
                plan_deliveries,
                plans=StoredPlans(objects, max_bytes=settings.max_plan_bytes),
                rows=rows,
                clock=clock,
                margin=timedelta(seconds=settings.delivery_deadline_margin_s),
                wake=wake,
            ),
            settle=partial(settle_unit, rows=rows, clock=clock, wake=wake),
            consumers=settings.fan_in_consumers,
        ),
    )


def _sweeps(
    service: Service,
    settings: DistributorSettings,
    rows: Deliveries,
    clock: Clock,
    pools: dict[Channel, Pool],
) -> None:
    grace = timedelta(seconds=settings.delivery_abandon_grace_s)

    async def sweep() -> None:
        abandoned = await resolve_abandoned(rows=rows, strays=rows, clock=clock, grace=grace)
        metrics.SWEPT.labels("abandoned").inc(abandoned)
        # A crash between a handler's writes is mended by redelivery; this mends what an operator skipped.
        await advance(None, rows=rows, clock=clock)
        metrics.SWEPT.labels("overdue").inc(await give_up_overdue(rows=rows, strays=rows, clock=clock))
        for channel in pools:
            metrics.OLDEST_READY.labels(channel).set(await rows.oldest_due(channel))

    async def forget() -> None:
        await rows.forget(clock.now() - timedelta(days=settings.delivery_keep_days))

    service.every(settings.delivery_sweep_s, sweep, name="sweep")
    service.every(_FORGET_EVERY_S, forget, name="forget")


async def serve(settings: DistributorSettings) -> None:
    """Run the distributor until it is asked to stop."""
    service = Service(SERVICE, settings)
    await service.run(partial(start, settings=settings))
