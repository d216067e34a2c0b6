"""The only place that builds things: options in, a running simulator out."""

import asyncio
import contextlib
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import uvicorn
from fastapi import FastAPI

from qlik_simulator.apps.app import App
from qlik_simulator.apps.loader import BUILT_IN, load_app
from qlik_simulator.cloud.limits import RateLimiter
from qlik_simulator.cloud.reloads import CloudReloads
from qlik_simulator.cloud.reports import Reports
from qlik_simulator.cloud.webhooks import Webhooks
from qlik_simulator.credentials import Credentials
from qlik_simulator.domain.model import DataModel
from qlik_simulator.engine.gate import DirectGate, Reception, WebGate
from qlik_simulator.engine.server import bound_port, start_engine, stop_engine
from qlik_simulator.engine.session import Sessions
from qlik_simulator.options import Options
from qlik_simulator.recording import VARIABLE, Recorder
from qlik_simulator.reloads import Reloads
from qlik_simulator.repository import Repository
from qlik_simulator.rest.cloud import CloudError, Tenant, cloud_error, cloud_routes
from qlik_simulator.rest.control import Control, control_routes
from qlik_simulator.rest.filters import matches
from qlik_simulator.rest.proxy import proxy_routes
from qlik_simulator.rest.qrs import qrs_routes
from qlik_simulator.rest.sockets import Application, SocketProtocol, with_sockets
from qlik_simulator.site import Site, new_id, utc_now

_CALLBACK_TIMEOUT: Final = 10.0  # seconds a subscriber has to answer
_TASK_NAMESPACE: Final = uuid.UUID("0f1f9f0a-6f5d-4a4d-9f0e-2f8b7a1c5d3e")


@dataclass(frozen=True)
class Running:
    """A simulator that accepts connections."""

    site: Site
    host: str
    engine_port: int
    http_port: int


@contextlib.asynccontextmanager
async def running(options: Options) -> AsyncIterator[Running]:
    """Start everything, and stop it in reverse order. Raises `AppError` when an app cannot be loaded."""
    site = Site(_credentials(options))
    sources: dict[str, str] = {}
    for source in options.data:
        app = await asyncio.to_thread(load_app, source, site.now())
        site.apps[app.id], sources[app.id] = app, source

    def refresh(app: App) -> DataModel:
        """The built-in data never changes; a folder is read again."""
        source = sources[app.id]
        return app.model if source in BUILT_IN else load_app(source, site.now()).model

    async with httpx.AsyncClient(timeout=_CALLBACK_TIMEOUT) as client, contextlib.AsyncExitStack() as stack:
        repository = _repository(site, client)
        stack.push_async_callback(repository.close)
        tenant = _tenant(site, client, repository, refresh)
        for part in (tenant.webhooks, tenant.reports, tenant.runner):
            stack.push_async_callback(part.close)
        sessions = Sessions(options.session_idle)
        stack.callback(sessions.close)
        recorder = Recorder(options.record or os.environ.get(VARIABLE, ""))
        stack.callback(recorder.close)
        reception = Reception(site, sessions, lambda app_id: tenant.runner.renew(site.apps[app_id]), recorder)
        direct = DirectGate(site, trust_user_header=options.trust_user_header)
        engine = await start_engine(direct, reception, options.host, options.port)
        stack.push_async_callback(stop_engine, engine)
        control = Control(site, sessions, repository, tenant)
        web = with_sockets(_api(control), site, WebGate(site), reception)
        http_port = await stack.enter_async_context(serving(web, options.host, options.http_port))
        yield Running(site, options.host, bound_port(engine), http_port)


def _credentials(options: Options) -> Credentials:
    return Credentials(
        now=utc_now,
        new_id=new_id,
        api_keys=dict(options.api_keys),
        clients=dict(options.clients),
        jwt_key=Path(options.jwt_key).read_bytes() if options.jwt_key else None,
    )


def _repository(site: Site, client: httpx.AsyncClient) -> Repository:
    async def post(url: str, body: list[dict[str, Any]]) -> None:
        await client.post(url, json=body)

    repository = Repository(site, post, matches)
    for app in site.apps.values():
        repository.add_task(app, str(uuid.uuid5(_TASK_NAMESPACE, app.id)))
    return repository


def _tenant(site: Site, client: httpx.AsyncClient, repository: Repository, refresh: Any) -> Tenant:
    async def send(url: str, raw: bytes, headers: dict[str, str]) -> int:
        try:
            return (await client.post(url, content=raw, headers=headers)).status_code
        except httpx.HTTPError as error:
            raise OSError(str(error)) from error

    webhooks = Webhooks(site, send, matches)
    reloads = CloudReloads(site, webhooks.emit)
    runner = Reloads(site, repository, reloads, refresh)
    return Tenant(site, RateLimiter(time.monotonic), reloads, runner, webhooks, Reports(site))


def _api(control: Control) -> FastAPI:
    api = FastAPI(title="Qlik simulator", openapi_url=None)
    api.add_exception_handler(CloudError, cloud_error)
    api.include_router(control_routes(control))
    api.include_router(cloud_routes(control.tenant))
    api.include_router(proxy_routes(control.site, control.sessions))
    api.include_router(qrs_routes(control.site, control.repository, control.tenant.runner))
    return api


@contextlib.asynccontextmanager
async def serving(application: Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve an ASGI application; gives the port it listens on."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    config = uvicorn.Config(
        application,
        log_level="warning",
        lifespan="off",
        timeout_graceful_shutdown=2,
        access_log=False,
        ws=SocketProtocol,
        ws_ping_interval=None,  # a real engine does not ping
        ws_per_message_deflate=False,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    turning = asyncio.create_task(server.main_loop())
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await turning
        await server.shutdown(sockets=[listener])
