"""A developer who cannot read a stored secret cannot have it sent to a server of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from config_api.adapters.app_check import QlikAppCheck
from config_api.adapters.site_apps import QlikSiteApps
from config_api.domain.rights import Role
from config_api.domain.sites import SiteError
from contracts.configuration import Connection, Report
from runtime.secrets import Sealer
from support.config_api_kit import STORAGE, Kit
from support.loopback import LOOPBACK

pytestmark = pytest.mark.integration
CANARY = "CANARY-API-KEY"
CLOUD: dict[str, Any] = {
    "id": "tenant",
    "name": "Tenant",
    "kind": "cloud",
    "settings": {
        "engine_url": "wss://127.0.0.1:1",
        "tenant_url": "https://127.0.0.1:1",
        "auth": {"kind": "api-key"},
    },
    "secrets": {"auth.key": CANARY},
}


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that keeps what it is sent and answers every request with 404."""
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.read(65_536))
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], got


async def connection(kit: Kit) -> Connection:
    found = await kit.store.collection("config_connections").find_one({"_id": "tenant"})
    return Connection.model_validate({"id": "tenant", **(found or {})})


async def ask(kit: Kit, found: Connection) -> None:
    """Do all that config-api does with a connection."""
    sealer = Sealer.from_setting(kit.settings.secret_key)
    with pytest.raises(SiteError):
        await QlikSiteApps(sealer, egress=LOOPBACK, timeout_s=5)(found)
    report = Report(id="r", name="R", connection_id="tenant", app_id="a")
    assert await QlikAppCheck(sealer, egress=LOOPBACK, timeout_s=5)(found, report, None)


@pytest.mark.parametrize("secrets", [{"auth.key": "••••"}, {}])
async def test_a_connection_that_is_moved_loses_its_secret_and_says_so(
    kit: Kit, admin: httpx.AsyncClient, secrets: dict[str, str]
) -> None:
    assert 201 == (await admin.post("/api/v1/connections", json=CLOUD)).status_code
    key = await kit.key(Role.DEVELOPER, "dev@example.com")
    async with listening() as (port, got), kit.client(key) as developer:
        read = (await developer.get("/api/v1/connections/tenant")).json()
        read["settings"]["tenant_url"] = f"http://127.0.0.1:{port}"
        answer = await developer.put(
            "/api/v1/connections/tenant", json={**read, "secrets": secrets}, headers={"If-Match": "*"}
        )

        assert 200 == answer.status_code, answer.text
        assert ["auth.key"] == answer.json()["cleared_secrets"]
        assert "secrets.auth.key" in {each["field"] for each in answer.json()["warnings"]}
        assert {} == (await developer.get("/api/v1/connections/tenant")).json()["secrets"]
        await ask(kit, await connection(kit))
        assert not any(CANARY.encode() in each for each in got)
        again = await developer.put(
            "/api/v1/connections/tenant", json=answer.json(), headers={"If-Match": "*"}
        )
        assert 422 == again.status_code, "what is missing now is asked for"


async def test_the_audit_event_names_the_secret_that_was_cleared(kit: Kit, admin: httpx.AsyncClient) -> None:
    await admin.post("/api/v1/storage-spaces", json=STORAGE)
    moved = {
        **STORAGE,
        "settings": {**STORAGE["settings"], "endpoint": "http://127.0.0.1:9001"},
        "secrets": {},
    }
    answer = await admin.put("/api/v1/storage-spaces/archive", json=moved, headers={"If-Match": "*"})
    assert ["secret_key"] == answer.json()["cleared_secrets"]
    changes = kit.store.collection("config_changes")
    bodies = [each async for each in changes.find({"entity_id": "archive"})]
    assert any('"cleared_secrets":["secret_key"]' in str(each).replace(": ", ":") for each in bodies)


async def test_a_document_that_was_changed_in_the_store_is_refused_at_use(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    await admin.post("/api/v1/connections", json=CLOUD)
    async with listening() as (port, got):
        await kit.store.collection("config_connections").update_one(
            {"_id": "tenant"}, {"$set": {"settings.tenant_url": f"http://127.0.0.1:{port}"}}
        )
        await ask(kit, await connection(kit))
    assert [] == got


async def test_a_secret_that_is_entered_again_goes_to_the_new_address(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    await admin.post("/api/v1/connections", json=CLOUD)
    async with listening() as (port, got):
        settings = {**CLOUD["settings"], "tenant_url": f"http://127.0.0.1:{port}"}
        answer = await admin.put(
            "/api/v1/connections/tenant",
            json={**CLOUD, "settings": settings, "secrets": {"auth.key": "another-key"}},
            headers={"If-Match": "*"},
        )
        assert 200 == answer.status_code, answer.text
        assert "cleared_secrets" not in answer.json()
        await ask(kit, await connection(kit))
    assert any(b"another-key" in each for each in got)
