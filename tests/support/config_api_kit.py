"""config-api over a real MongoDB and objects in memory, driven through its ASGI app; and what to send it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from argon2 import PasswordHasher
from cryptography.fernet import Fernet
from pydantic import SecretStr

from config_api.adapters.passwords import Argon2Passwords
from config_api.app import Parts, assemble, http_app, prepare
from config_api.domain.audit import describe
from config_api.domain.bindings import Inspected
from config_api.domain.errors import Problem
from config_api.domain.findings import Finding
from config_api.domain.rights import Actor, Role
from config_api.domain.sites import SiteApp, SiteError
from config_api.settings import ConfigApiSettings
from config_api.use_cases.identity import COMMAND
from contracts.base import Event
from contracts.configuration import Connection, StorageSpace, TemplateKind, TemplateUses
from contracts.envelope import encode
from runtime.store import Driver, Store
from support.clock import FakeClock
from support.fake_objects import FakeObjects
from support.loopback import EGRESS_HOSTS
from support.stores import fresh_store

ADMIN = "admin@example.com"
PASSWORD = "correct horse battery staple"
# Strength is not what tests measure.
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


async def accepts_any_template(kind: TemplateKind, data: bytes) -> Inspected:
    """Stand in for the inspector, which has tests of its own; `{{ shown_... }}` are values on line 1."""
    del kind
    problems = (Problem("file: line 1", "is broken", "mend it"),) if b"broken" in data else ()
    names = sorted(re.findall(r"{{ (shown_\w+) }}", data.decode(errors="replace")))
    uses = TemplateUses(values=tuple(names), places=dict.fromkeys(names, "line 1"))
    return Inspected(uses, problems)


async def every_space_works(space: StorageSpace) -> list[Finding]:
    """Stand in for the test of a storage space, which has tests of its own."""
    del space
    return []


class FakeSiteApps:
    """Sites of which one knows the apps that are put in, and the others do not answer."""

    def __init__(self) -> None:
        self.apps: dict[str, tuple[SiteApp, ...]] = {}
        self.asked: list[tuple[str, bool]] = []

    async def __call__(self, connection: Connection, *, fresh: bool = False) -> tuple[SiteApp, ...]:
        self.asked.append((connection.id, fresh))
        if connection.id not in self.apps:
            raise SiteError(f"{connection.name}: the site is not reachable", "see whether it is up")
        return self.apps[connection.id]


@dataclass
class Kit:
    """A config-api to be driven."""

    store: Store
    objects: FakeObjects
    clock: FakeClock
    parts: Parts
    settings: ConfigApiSettings
    app: Any
    site_apps: FakeSiteApps

    def client(self, key: str | None = None) -> httpx.AsyncClient:
        """Return a client of the app, with an API key or without."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://broadsheet.test", headers=headers)

    async def account(self, role: Role, email: str, recipient: str | None = None) -> Actor:
        """Make an account and return its actor."""
        made = await self.parts.identity.create_account(email, PASSWORD, role, recipient, COMMAND)
        return Actor(made.id, made.email, made.role, made.recipient_id, "session")

    async def key(self, role: Role, email: str, recipient: str | None = None) -> str:
        """Make an account and return an API key of it."""
        actor = await self.account(role, email, recipient)
        _, text = (
            await self.parts.identity.create_key("test", role, 30, actor)
            if role is not Role.READER
            else (
                None,
                "",
            )
        )
        return text

    async def record(self, *events: Event) -> None:
        """Put events into the audit trail as the bus would, and bring the views up to it."""
        for offset, event in enumerate(events):
            message = encode(event, source="test", time=self.clock.now())
            headers = [(name, value.encode()) for name, value in message.headers.items()]
            await self.parts.recorder.record(
                describe(message.topic, message.key, headers, message.body, partition=0, offset=offset)
            )
        await self.parts.projector.catch_up()


@asynccontextmanager
async def config_api(uri: str, *, driver: Driver = "motor") -> AsyncIterator[Kit]:
    """Yield a config-api on a database of its own."""
    async with fresh_store(uri, driver=driver) as store:
        await prepare(store)
        clock, objects, site_apps = FakeClock(), FakeObjects(), FakeSiteApps()
        settings = ConfigApiSettings(
            secret_key=SecretStr(Fernet.generate_key().decode()),
            cookie_secure=False,
            egress_hosts=(EGRESS_HOSTS,),
            max_request_bytes=2_000_000,
            max_template_bytes=1_000_000,
        )
        parts = assemble(
            settings,
            store,
            objects,
            clock=clock,
            passwords=Argon2Passwords(QUICK),
            check_template=accepts_any_template,
            site_apps=site_apps,
            check_storage=every_space_works,
        )
        yield Kit(store, objects, clock, parts, settings, http_app(settings, parts), site_apps)


CONNECTION: dict[str, Any] = {
    "id": "qlik",
    "name": "Qlik Sense",
    "kind": "client-managed",
    "settings": {
        "engine_url": "ws://127.0.0.1:4747",
        "qrs_url": "http://127.0.0.1:4242",
        "auth": {"kind": "certificate", "user_directory": "INTERNAL", "user_id": "sa_api"},
    },
    "secrets": {"auth.key_pem": "-----BEGIN PRIVATE KEY----- hunter2"},
}
STORAGE: dict[str, Any] = {
    "id": "archive",
    "name": "Archive",
    "kind": "s3",
    "settings": {"endpoint": "http://127.0.0.1:9000", "bucket": "reports", "access_key": "reports"},
    "secrets": {"secret_key": "hunter2"},
}
RECIPIENT: dict[str, Any] = {
    "id": "ann",
    "name": "Ann",
    "email": "ann@example.com",
    "attributes": {"airline": "AA"},
}
GROUP: dict[str, Any] = {"id": "airlines", "name": "Airlines", "members": ["ann"]}
REPORT: dict[str, Any] = {
    "id": "delays",
    "name": "Delays",
    "connection_id": "qlik",
    "app_id": "flights",
    "template_id": "delays-page",
    "iteration": {"field": "carrier"},
    "data": [
        {
            "kind": "table",
            "name": "by_dest",
            "dimensions": [{"name": "dest", "expression": "dest"}],
            "measures": [{"name": "flights", "expression": "Count(flight)"}],
            "sort": ["-flights"],
        }
    ],
}
TASK: dict[str, Any] = {
    "id": "daily-delays",
    "name": "Daily delays",
    "reports": [
        {
            "id": "r1",
            "report_id": "delays",
            "format": "html",
            "hub": {"publish": True, "keep": 2},
            "storage": [{"storage_id": "archive", "path": "delays"}],
        }
    ],
    "recipients": [{"group_id": "airlines", "scope": "own", "scope_attribute": "airline"}],
    "triggers": [
        {
            "kind": "schedule",
            "id": "daily-delays.mornings",
            "rule": {"kind": "cron", "expression": "0 6 * * *"},
            "timezone": "America/New_York",
            "start": "2026-01-01T00:00:00Z",
        },
        {"kind": "qlik-reload", "id": "daily-delays.reload", "connection_id": "qlik", "app_id": "flights"},
    ],
    "notification": {"to": ["owner@example.com"]},
    "deadline": 600,
}


async def configure(client: httpx.AsyncClient) -> None:
    """Create the whole configuration over REST."""
    for path, body in (("connections", CONNECTION), ("storage-spaces", STORAGE), ("recipients", RECIPIENT)):
        answer = await client.post(f"/api/v1/{path}", json=body)
        assert answer.status_code == 201, answer.text
    answer = await client.post(
        "/api/v1/templates",
        data={"id": "delays-page", "name": "Delays page"},
        files={"file": ("delays.html", b"<p>{{ total }}</p>", "text/html")},
    )
    assert answer.status_code == 201, answer.text
    for path, body in (("groups", GROUP), ("reports", REPORT), ("tasks", TASK)):
        answer = await client.post(f"/api/v1/{path}", json=body)
        assert answer.status_code == 201, answer.text
