"""Builds the generator from its settings; the only module that names concrete classes."""

from contextlib import aclosing
from datetime import timedelta
from functools import partial

from generator.adapters.configuration import StoredConfiguration
from generator.adapters.mongo import MongoExecutions, MongoUnits
from generator.adapters.objects import StoredFiles
from generator.adapters.qlik_gate import MongoBreaker, MongoGate
from generator.adapters.qlik_questions import QlikQuestions
from generator.adapters.qlik_reader import QlikReader
from generator.adapters.qlik_sites import QlikSites
from generator.adapters.render_pool import RenderPool
from generator.adapters.vault import SealedVault
from generator.domain.passwords import NoVault, Vault
from generator.handlers import planning, previewing, rendering
from generator.settings import GeneratorSettings
from generator.use_cases.making import MakeFile
from generator.use_cases.plan_execution import PlanExecution
from generator.use_cases.preview_report import PreviewReport
from generator.use_cases.render_report import RenderReport
from runtime.bus import Bus, Subscription
from runtime.clock import SystemClock
from runtime.configuration import ConfigurationReader
from runtime.egress import Egress
from runtime.objects import open_objects
from runtime.plans import StoredPlans
from runtime.secrets import Sealer
from runtime.service import Service
from runtime.store import Store, open_store

SERVICE = "generator"
# The units of one plan come one after the other.
_PLANS = 8


async def start(service: Service, settings: GeneratorSettings) -> None:
    """Open what the generator needs and give the service its work.

    Raises Transient while a server it needs does not answer; the service then tries again.
    """
    store = await service.enter(
        open_store(
            settings.mongo_uri.get_secret_value(), settings.mongo_database, driver=settings.store_driver
        )
    )
    objects = await service.enter(open_objects(settings))
    sealer = Sealer.from_setting(settings.secret_key) if settings.secret_key else None
    sites = await service.enter(aclosing(await _sites(settings, store, sealer)))
    vault: Vault = SealedVault(sealer) if sealer else NoVault()
    plans = StoredPlans(objects, max_bytes=settings.max_plan_bytes, keep=_PLANS)
    # A connection of its own: handlers that still run when consumption stops have events to publish.
    publisher = await service.enter(Bus(settings, service=SERVICE))
    subscriptions: list[Subscription] = []
    if settings.plans():
        plan = await _planner(settings, store, sites, plans, publisher=publisher, vault=vault)
        subscriptions.append(planning(plan))
        _again(service, settings, plan, name="plan", times=1)
    if settings.renders():
        pool = await service.enter(
            RenderPool(workers=settings.render_workers, limits=settings.worker_limits())
        )
        files = StoredFiles(objects, max_template_bytes=settings.max_template_bytes)
        make = MakeFile(
            reader=QlikReader(sites), files=files, renderer=pool, vault=vault, clock=SystemClock()
        )
        render = await _renderer(settings, store, plans=plans, make=make, publisher=publisher)
        subscriptions.append(rendering(render, at_once=settings.units_at_once))
        preview = PreviewReport(
            sources=ConfigurationReader(store),
            qlik=QlikQuestions(sites),
            make=make,
            publisher=publisher,
            clock=SystemClock(),
            budget=timedelta(seconds=settings.unit_budget_s),
        )
        subscriptions.append(previewing(preview))
        _again(service, settings, render, name="render", times=max(1, settings.units_at_once // 2))
    consumer = await service.enter(Bus(settings, service=SERVICE, subscriptions=subscriptions))
    for check in (store.problems, objects.problems, consumer.problems):
        service.ready_when(check)


async def _sites(settings: GeneratorSettings, store: Store, sealer: Sealer | None) -> QlikSites:
    clock = SystemClock()
    gate = MongoGate(store, clock, lease_for=timedelta(seconds=settings.generator_lease_s))
    await gate.ensure_indexes()
    return QlikSites(
        ConfigurationReader(store),
        sealer,
        egress=Egress.from_settings(settings),
        gate=gate,
        breaker=MongoBreaker(store, clock),
    )


def _again(
    service: Service,
    settings: GeneratorSettings,
    work: PlanExecution | RenderReport,
    *,
    name: str,
    times: int,
) -> None:
    """Take up what was put off, left behind or not published, beside what messages ask for."""

    async def resume() -> None:
        while not service.stopping.is_set() and await work.resume():
            pass

    for number in range(1, times + 1):
        service.every(settings.generator_poll_s, resume, name=f"{name} again {number}")
    patience = timedelta(seconds=settings.republish_after_s)
    service.every(settings.republish_after_s / 4, partial(work.republish, patience), name=f"{name} republish")


async def _planner(
    settings: GeneratorSettings,
    store: Store,
    sites: QlikSites,
    plans: StoredPlans,
    *,
    publisher: Bus,
    vault: Vault,
) -> PlanExecution:
    clock = SystemClock()
    executions = MongoExecutions(store, clock, timedelta(seconds=settings.generator_lease_s))
    await executions.ensure_indexes()
    return PlanExecution(
        executions=executions,
        configuration=StoredConfiguration(ConfigurationReader(store)),
        qlik=QlikQuestions(sites),
        plans=plans,
        publisher=publisher,
        clock=clock,
        limits=settings.plan_limits(),
        vault=vault,
        budget=timedelta(seconds=settings.planning_budget_s),
    )


async def _renderer(
    settings: GeneratorSettings,
    store: Store,
    *,
    plans: StoredPlans,
    make: MakeFile,
    publisher: Bus,
) -> RenderReport:
    clock = SystemClock()
    units = MongoUnits(store, clock, timedelta(seconds=settings.generator_lease_s))
    await units.ensure_indexes()
    return RenderReport(
        units=units,
        plans=plans,
        make=make,
        publisher=publisher,
        clock=clock,
        attempts=settings.unit_attempts,
        budget=timedelta(seconds=settings.unit_budget_s),
    )


async def serve(settings: GeneratorSettings) -> None:
    """Run the generator until it is asked to stop."""
    await Service(SERVICE, settings).run(partial(start, settings=settings))
