"""Builds the notifier from its settings; the only module that names concrete classes."""

from datetime import timedelta
from functools import partial

from notifier.adapters.mongo import EXECUTIONS, MAILS, SERVICE, MongoExecutions
from notifier.adapters.stored import ConfiguredTasks, StoredLogs
from notifier.handlers import subscriptions
from notifier.settings import NotifierSettings
from notifier.use_cases.mailing import Post, Sender
from notifier.use_cases.watch import Watch
from runtime.bus import Bus
from runtime.clock import SystemClock
from runtime.configuration import ConfigurationReader
from runtime.ledger import Ledger
from runtime.mail import MailTransport
from runtime.objects import open_objects
from runtime.outbox import OutboxRelay
from runtime.plans import StoredPlans
from runtime.service import Service
from runtime.store import open_store

_FORGET_EVERY_S = 3600.0


async def start(service: Service, settings: NotifierSettings) -> None:
    """Open what the notifier needs and give the service its work.

    Raises Transient while a server it needs does not answer; the service then tries again.
    """
    store = await service.enter(
        open_store(
            settings.mongo_uri.get_secret_value(), settings.mongo_database, driver=settings.store_driver
        )
    )
    objects = await service.enter(open_objects(settings))
    transport = await service.enter(MailTransport(settings))
    clock = SystemClock()
    executions, mails = MongoExecutions(store), Ledger(store.collection(MAILS))
    await executions.ensure_indexes()
    await mails.ensure_indexes()

    watch = Watch(
        executions=executions,
        plans=StoredPlans(objects, max_bytes=settings.max_plan_bytes),
        logs=StoredLogs(objects),
        tasks=ConfiguredTasks(ConfigurationReader(store)),
        mails=mails,
        clock=clock,
        provisional=timedelta(seconds=settings.provisional_deadline_s),
        grace=timedelta(seconds=settings.deadline_grace_s),
    )
    bus = Bus(
        settings,
        service=SERVICE,
        subscriptions=subscriptions(watch, consumers=settings.notifier_consumers),
    )
    relays = {name: OutboxRelay(store.collection(name), bus) for name in (EXECUTIONS, MAILS)}
    post = Post(
        mails=mails,
        logs=StoredLogs(objects),
        mailer=transport,
        clock=clock,
        sender=Sender(settings.smtp_from, settings.smtp_from_name, settings.smtp_message_id_domain),
        lease_for=timedelta(seconds=settings.notification_lease_s),
        retry_delays=tuple(timedelta(seconds=each) for each in settings.notification_retry_delays_s),
        give_up_after=timedelta(seconds=settings.notification_give_up_s),
        settled=relays[MAILS].nudge,
    )
    await service.enter(bus)
    service.ready_when(store.problems)
    service.ready_when(objects.problems)
    service.ready_when(bus.problems)
    for name, relay in relays.items():
        service.worker(partial(relay.run, service.stopping), name=f"outbox {name}")
        service.ready_when(relay.problems)
    service.every(settings.deadline_watch_s, watch.sweep, name="deadlines")

    async def forget() -> None:
        await executions.forget(clock.now() - timedelta(days=settings.outcome_keep_days))

    service.every(_FORGET_EVERY_S, forget, name="forget")
    service.every(settings.deadline_watch_s, post.resolve_abandoned, name="abandoned mails")
    service.every(settings.notification_poll_s, post.send_due, name="mails")


async def serve(settings: NotifierSettings) -> None:
    """Run the notifier until it is asked to stop."""
    await Service(SERVICE, settings).run(partial(start, settings=settings))
