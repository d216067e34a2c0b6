"""A Qlik listener in this process, over a real store, and the configuration it reads."""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from pydantic import SecretStr

from contracts.configuration import Connection, ConnectionKind, TaskHead, TaskVersion
from contracts.sites import SITES, SiteState
from contracts.triggers import ReloadTrigger, Trigger
from runtime.clock import Clock, SystemClock
from runtime.configuration import (
    CONNECTIONS,
    TASK_VERSIONS,
    TASKS,
    task_version_key,
    to_document,
)
from runtime.http import serving
from runtime.secrets import Sealer
from runtime.store import Store
from scheduler.settings import ListenerSettings
from scheduler.sites import Sites
from scheduler.watching import Watchers
from standalone.ports import free_port
from support.qlik_site import FLIGHTS, SimulatedSite, simulated_site
from support.sealing import with_secrets

SECRET = "the secret of all listeners"
_KEY = SecretStr(Fernet.generate_key().decode())


def client_managed(simulated: SimulatedSite, key: str = "managed") -> Connection:
    return Connection(
        id=key,
        name=key,
        kind=ConnectionKind.CLIENT_MANAGED,
        settings={
            "engine_url": simulated.engine_url,
            "qrs_url": simulated.http_url,
            "auth": {"kind": "certificate", "user_directory": "INTERNAL", "user_id": "sa_api"},
            "limits": {"connect_s": 2, "rest_s": 5},
        },
    )


def tenant(simulated: SimulatedSite, key: str = "cloud") -> Connection:
    made = Connection(
        id=key,
        name=key,
        kind=ConnectionKind.CLOUD,
        settings={
            "engine_url": simulated.http_url.replace("http", "ws"),
            "tenant_url": simulated.http_url,
            "auth": {"kind": "api-key"},
            "limits": {"connect_s": 2, "rest_s": 5},
        },
    )
    return with_secrets(made, Sealer.from_setting(_KEY), {"auth.key": "sim-api-key"})


def on_reload(connection: Connection, **changes: Any) -> ReloadTrigger:
    return ReloadTrigger.model_validate(
        {
            "id": f"at-{connection.id}",
            "connection_id": connection.id,
            "app_id": FLIGHTS,
            **changes,
        }
    )


async def configure(
    store: Store,
    connections: Iterable[Connection],
    triggers: Iterable[Trigger] = (),
    *,
    enabled: bool = True,
) -> None:
    """Store connections, and one task with a trigger for each, or with those given, made now."""
    connections = list(connections)
    for each in connections:
        await store.db[CONNECTIONS].replace_one({"_id": each.id}, to_document(each.id, each), upsert=True)
    version = TaskVersion(
        task_id="task",
        version=1,
        name="Task",
        triggers=tuple(triggers) or tuple(on_reload(each) for each in connections),
        created_at=datetime.now(tz=UTC),
        created_by="test",
    )
    key = task_version_key("task", 1)
    await store.db[TASK_VERSIONS].replace_one({"_id": key}, to_document(key, version), upsert=True)
    head = TaskHead(id="task", name="Task", enabled=enabled, current_version=1)
    await store.db[TASKS].replace_one({"_id": "task"}, to_document("task", head), upsert=True)


@asynccontextmanager
async def small_site(folder: Path) -> AsyncIterator[SimulatedSite]:
    """A simulated site with one small app, which starts at once. The app has the id of the flights."""
    _small_app(folder)
    async with simulated_site(data=(str(folder),)) as made:
        yield made


def _small_app(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.json").write_text(json.dumps({"id": FLIGHTS, "name": "Small"}))
    (folder / "table.csv").write_text("a,b\n1,2\n")


async def state_of(store: Store, connection_id: str) -> SiteState:
    found = await store.db[SITES].find_one({"_id": connection_id})
    assert found is not None
    return SiteState.model_validate(found)


@dataclass
class Listener:
    """What a listener process holds."""

    sites: Sites
    watchers: Watchers
    url: str
    called: list[datetime] = field(default_factory=list)
    """When sites called."""

    def wake(self, connection_id: str) -> None:
        self.called.append(datetime.now(tz=UTC))
        self.watchers.wake(connection_id)


@asynccontextmanager
async def listening(
    store: Store,
    *,
    clock: Clock | None = None,
    watch: bool = False,
    nudge: Callable[[], None] = lambda: None,
    **settings: Any,
) -> AsyncIterator[Listener]:
    """A listener that Qlik can call. With `watch` it polls by itself, else a test opens its sites."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    chosen = ListenerSettings(
        **{
            "listener_public_url": url,
            "listener_secret": SecretStr(SECRET),
            "secret_key": _KEY,
            "reload_settle_s": 0,
            **settings,
        }
    )
    sites = Sites(store, chosen, clock=clock or SystemClock(), nudge=nudge)
    await sites.prepare()
    async with AsyncExitStack() as stack:
        watchers = Watchers(sites.open, sites.failed, poll_s=chosen.reload_poll_s)
        stack.push_async_callback(watchers.aclose)
        listener = Listener(sites, watchers, url)
        calls = sites.callbacks(listener.wake)
        await stack.enter_async_context(serving(calls, host="127.0.0.1", port=port, graceful_s=1))
        if watch:
            watchers.keep(await sites.wanted())
        yield listener
