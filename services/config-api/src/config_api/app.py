"""Builds config-api: the only module that names concrete classes."""

import asyncio
import functools
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response

from config_api.adapters.app_check import QlikAppCheck
from config_api.adapters.audit_store import MongoAuditTrail
from config_api.adapters.configuration_store import CHANGES, RUN_REQUESTS, MongoConfiguration
from config_api.adapters.egress_check import EgressCheck
from config_api.adapters.identity_store import (
    MongoAccounts,
    MongoApiKeys,
    MongoAttempts,
    MongoDevices,
    MongoSessions,
)
from config_api.adapters.passwords import Argon2Passwords
from config_api.adapters.preview_store import PREVIEW_REQUESTS, MongoPreviews
from config_api.adapters.sealed_store import MongoSealedStore
from config_api.adapters.site_apps import QlikSiteApps
from config_api.adapters.site_check import check_site
from config_api.adapters.site_states import MongoSiteStates
from config_api.adapters.storage_check import SpaceCheck
from config_api.adapters.template_check import TemplateInspector
from config_api.adapters.trigger_problems import MongoTriggerProblems
from config_api.adapters.view_store import MongoViews
from config_api.handlers.bus import subscriptions
from config_api.handlers.checks import checks
from config_api.handlers.console import console
from config_api.handlers.description import describe
from config_api.handlers.gate import Gate
from config_api.handlers.pages import public_pages
from config_api.handlers.problems import install
from config_api.handlers.reports_page import report_pages
from config_api.handlers.rest import resources
from config_api.handlers.rest_admin import administration
from config_api.handlers.rest_reports import reporting
from config_api.handlers.rest_runs import running
from config_api.handlers.rest_sites import sites_of
from config_api.handlers.rest_triggers import triggers_of
from config_api.handlers.shell import Asgi, Pages, Shield, mount_assets
from config_api.handlers.sites import site_pages
from config_api.handlers.soundness import acceptable, only_known_bodies, only_known_parameters, sound_body
from config_api.ports import AppCheck, Files, Passwords, SiteApps, StorageCheck, TemplateCheck
from config_api.settings import ConfigApiSettings
from config_api.use_cases.audit import Audit, Recorder
from config_api.use_cases.checking import Checking
from config_api.use_cases.configuration import Configuration
from config_api.use_cases.hub import Hub
from config_api.use_cases.identity import Identity
from config_api.use_cases.previews import Previews
from config_api.use_cases.resealing import Resealing
from config_api.use_cases.runs import Runs
from config_api.use_cases.sites import KnownApps, Sites
from config_api.use_cases.task_checking import Screening, TaskChecking
from config_api.use_cases.templates import Templates
from config_api.use_cases.triggers import Triggers
from config_api.use_cases.views import Projector
from runtime.bus import Bus
from runtime.clock import Clock, SystemClock
from runtime.egress import Egress
from runtime.http import HttpLimits, serving
from runtime.objects import open_objects
from runtime.outbox import OutboxRelay
from runtime.secrets import Sealer
from runtime.service import Service, Start
from runtime.store import Store, open_store

NAME = "config-api"
_OUTBOXES = (CHANGES, RUN_REQUESTS, PREVIEW_REQUESTS)


@dataclass(frozen=True, slots=True)
class Parts:
    """The use cases, bound to what they need."""

    configuration: Configuration
    templates: Templates
    checking: Checking
    previews: Previews
    sites: Sites
    screening: Screening
    task_checking: TaskChecking
    triggers: Triggers
    runs: Runs
    hub: Hub
    audit: Audit
    identity: Identity
    resealing: Resealing
    recorder: Recorder
    projector: Projector


def assemble(
    settings: ConfigApiSettings,
    store: Store,
    files: Files,
    *,
    nudge: Callable[[], None] = lambda: None,
    clock: Clock | None = None,
    passwords: Passwords | None = None,
    check_template: TemplateCheck | None = None,
    check_app: AppCheck | None = None,
    site_apps: SiteApps | None = None,
    check_storage: StorageCheck | None = None,
) -> Parts:
    """Return the use cases over a store. Raises ValueError when the settings hold no usable secret key."""
    clock = clock or SystemClock()
    sealer, egress = Sealer.from_setting(settings.secret_key), Egress.from_settings(settings)
    database = MongoConfiguration(store, nudge=nudge)
    trail, views = MongoAuditTrail(store), MongoViews(store)
    site_apps = site_apps or QlikSiteApps(sealer, egress=egress, timeout_s=settings.site_apps_timeout_s)
    configuration = Configuration(
        store=database,
        clock=clock,
        new_id=_new_id,
        seal=sealer,
        check_site=check_site,
        check_egress=EgressCheck(egress),
    )
    app_check = check_app or QlikAppCheck(sealer, egress=egress, timeout_s=settings.report_check_timeout_s)
    checking = Checking(store=database, app=app_check)
    task_checking = TaskChecking(
        store=database,
        app=app_check,
        storage=check_storage or SpaceCheck(sealer, egress=egress, timeout_s=settings.storage_test_timeout_s),
        reports=checking,
    )
    return Parts(
        configuration=configuration,
        templates=Templates(
            configuration=configuration,
            files=files,
            check=check_template or TemplateInspector(timeout_s=settings.template_check_timeout_s),
            max_bytes=settings.max_template_bytes,
            macros=settings.macro_templates,
        ),
        checking=checking,
        sites=Sites(store=database, states=MongoSiteStates(store), apps=site_apps, clock=clock),
        screening=Screening(apps=KnownApps(store=database, apps=site_apps), tasks=task_checking),
        task_checking=task_checking,
        triggers=Triggers(store=database, problems=MongoTriggerProblems(store)),
        previews=Previews(
            store=database,
            requests=MongoPreviews(store, nudge=nudge),
            views=views,
            files=files,
            clock=clock,
            new_id=_new_id,
        ),
        runs=Runs(store=database, runs=database, views=views, files=files, clock=clock, new_id=_new_id),
        hub=Hub(views=views, files=files),
        audit=Audit(trail=trail),
        identity=Identity(
            accounts=MongoAccounts(store, nudge=nudge),
            sessions=MongoSessions(store),
            keys=MongoApiKeys(store, nudge=nudge),
            attempts=MongoAttempts(store),
            passwords=passwords or Argon2Passwords(),
            configuration=database,
            clock=clock,
            new_id=_new_id,
            new_token=lambda: secrets.token_urlsafe(32),
            devices=MongoDevices(store),
            session_for=timedelta(hours=settings.session_hours),
            idle_for=timedelta(minutes=settings.session_idle_minutes),
        ),
        resealing=Resealing(store=MongoSealedStore(store), seal=sealer, clock=clock),
        recorder=Recorder(trail=trail, clock=clock),
        projector=Projector(trail=trail, views=views),
    )


async def prepare(store: Store) -> None:
    """Create the indexes of every collection config-api owns."""
    nothing: Callable[[], None] = lambda: None  # noqa: E731 - nobody relays here
    parts = (
        MongoConfiguration(store, nudge=nothing),
        MongoAccounts(store, nudge=nothing),
        MongoSessions(store),
        MongoAttempts(store),
        MongoDevices(store),
        MongoPreviews(store, nudge=nothing),
        MongoAuditTrail(store),
        MongoViews(store),
    )
    # Side by side: each waits for the journals of a majority, and every start waits for all of them.
    await asyncio.gather(*(part.ensure_indexes() for part in parts))


def http_app(settings: ConfigApiSettings, parts: Parts) -> Asgi:
    """Return the ASGI app: REST, pages and their assets."""
    pages = Pages()
    app = shell(parts, pages, settings)
    mount_assets(app, pages)
    gate = Gate(parts.identity, secure=settings.cookie_secure)

    async def error_page(request: Request, status: int, problem: dict[str, Any]) -> Response:
        return pages.error(await gate.visitor(request), status, problem)

    install(app, error_page)
    return Shield(app, secure=settings.cookie_secure, max_body_bytes=settings.max_request_bytes)


def shell(parts: Parts, pages: Pages, settings: ConfigApiSettings) -> FastAPI:
    """Return the FastAPI app with every route; its OpenAPI description is the reference."""
    app = FastAPI(
        title="Broadsheet",
        version="1",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    gate = Gate(parts.identity, secure=settings.cookie_secure)
    # Made when it is first asked for: by then every route is there.
    described = functools.cache(functools.partial(describe, app, cookie=gate.cookie))
    app.openapi = described  # type: ignore[method-assign]
    api = APIRouter(
        prefix="/api/v1",
        dependencies=[
            Depends(acceptable),
            Depends(only_known_parameters),
            Depends(sound_body),
            Depends(only_known_bodies),
        ],
    )
    # What has a fixed path comes before what takes any id in its place.
    api.include_router(running(parts.runs, parts.hub, gate))
    api.include_router(administration(parts.audit, parts.identity, gate))
    api.include_router(reporting(parts.checking, parts.previews, gate))
    api.include_router(sites_of(parts.sites, gate))
    api.include_router(checks(parts.task_checking, gate))
    api.include_router(triggers_of(parts.triggers, gate))
    api.include_router(resources(parts.configuration, parts.templates, parts.screening, gate))
    app.include_router(api)
    session_for = timedelta(hours=settings.session_hours)
    app.include_router(public_pages(pages, parts.identity, parts.hub, gate, session_for=session_for))
    app.include_router(site_pages(pages, parts.sites, gate))
    app.include_router(
        console(pages, parts.configuration, parts.runs, audit=parts.audit, triggers=parts.triggers, gate=gate)
    )
    app.include_router(report_pages(pages, parts.configuration, parts.checking, parts.previews, gate))
    return app


def build(settings: ConfigApiSettings) -> Start:
    """Return what starts the service; see runtime.service."""

    async def start(service: Service) -> None:
        store = await service.enter(
            open_store(
                settings.mongo_uri.get_secret_value(), settings.mongo_database, driver=settings.store_driver
            )
        )
        objects = await service.enter(open_objects(settings))
        await prepare(store)
        relays: list[OutboxRelay] = []

        def nudge() -> None:
            for relay in relays:
                relay.nudge()

        parts = assemble(settings, store, objects, nudge=nudge)
        listening = subscriptions(parts.recorder, consumers=settings.audit_consumers)
        bus = Bus(settings, service=NAME, subscriptions=listening)
        relays += [OutboxRelay(store.collection(name), bus) for name in _OUTBOXES]
        for relay, name in zip(relays, _OUTBOXES, strict=True):
            await relay.ensure_indexes()
            service.worker(lambda each=relay: each.run(service.stopping), name=f"outbox {name}")  # type: ignore[misc]
            service.warn_when(relay.problems)
        await _bootstrap(settings, parts.identity)
        # Pages, the Hub and changes need MongoDB alone: without Kafka, events wait in the outboxes.
        service.enter_later(lambda: bus, name="bus")
        service.every(
            settings.projection_interval_s, parts.projector.catch_up, name="projector", essential=False
        )
        service.ready_when(store.problems)
        service.warn_when(objects.problems)
        service.warn_when(bus.problems)
        # Last, so that requests end before what they need is closed.
        await service.enter(
            serving(
                http_app(settings, parts),
                host=settings.http_host,
                port=settings.http_port,
                limits=HttpLimits.from_settings(settings),
                trusted_proxies=settings.trusted_proxies,
            )
        )

    return start


async def _bootstrap(settings: ConfigApiSettings, identity: Identity) -> None:
    if settings.bootstrap_admin_email is not None and settings.bootstrap_admin_password is not None:
        await identity.bootstrap(
            settings.bootstrap_admin_email, settings.bootstrap_admin_password.get_secret_value()
        )


def _new_id() -> str:
    return str(uuid.uuid4())
