"""The only place that builds things: options in, a running simulator out."""

import asyncio
import contextlib
import socket
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import uvicorn
from fastapi import FastAPI

from qlik_simulator.apps.app import App
from qlik_simulator.apps.loader import load_app
from qlik_simulator.domain.model import DataModel
from qlik_simulator.engine.gate import Gate
from qlik_simulator.engine.server import bound_port, start_engine, stop_engine
from qlik_simulator.engine.session import Sessions
from qlik_simulator.options import Options
from qlik_simulator.reloads import Reloads
from qlik_simulator.repository import Repository
from qlik_simulator.rest.control import control_routes
from qlik_simulator.rest.filters import matches
from qlik_simulator.rest.qrs import qrs_routes
from qlik_simulator.site import Site

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
    site = Site(tokens=dict(options.api_keys))
    sources: dict[str, str] = {}
    for source in options.data:
        app = await asyncio.to_thread(load_app, source, site.now())
        site.apps[app.id] = app
        sources[app.id] = source
    sessions = Sessions(options.session_idle)
    async with httpx.AsyncClient(timeout=_CALLBACK_TIMEOUT) as client:

        async def post(url: str, body: list[dict[str, Any]]) -> None:
            await client.post(url, json=body)

        repository = Repository(site, post, matches)
        for app in site.apps.values():
            repository.add_task(app, str(uuid.uuid5(_TASK_NAMESPACE, app.id)))

        def refresh(app: App) -> DataModel:
            """The built-in data never changes; a folder is read again."""
            source = sources[app.id]
            return app.model if source == "flights" else load_app(source, site.now()).model

        reloads = Reloads(site, repository, refresh)
        gate = Gate(
            site,
            sessions,
            lambda app_id: reloads.renew(site.apps[app_id]),
            trust_user_header=options.trust_user_header,
        )
        engine = await start_engine(gate, options.host, options.port)
        api = FastAPI(title="Qlik simulator", openapi_url=None)
        api.include_router(control_routes(site, sessions, repository, reloads))
        api.include_router(qrs_routes(site, repository, reloads))
        try:
            async with serving(api, options.host, options.http_port) as http_port:
                yield Running(site, options.host, bound_port(engine), http_port)
        finally:
            await reloads.close()
            await repository.close()
            await stop_engine(engine)
            sessions.close()


@contextlib.asynccontextmanager
async def serving(api: FastAPI, host: str, port: int) -> AsyncIterator[int]:
    """Serve an ASGI app; gives the port it listens on."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    server = uvicorn.Server(
        uvicorn.Config(
            api, log_level="warning", lifespan="off", timeout_graceful_shutdown=2, access_log=False
        )
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(_serve(server, listener))
    try:
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    config = server.config
    if not config.loaded:
        config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    await server.main_loop()
    await server.shutdown(sockets=[listener])
