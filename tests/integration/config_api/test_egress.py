"""Connections and storage spaces that lead where the installation may not go, over REST and at use."""

import ast
import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from config_api.adapters.app_check import QlikAppCheck
from config_api.adapters.site_apps import QlikSiteApps
from config_api.domain.sites import SiteError
from contracts.configuration import Connection, ConnectionKind, Report
from runtime.egress import Egress
from runtime.errors import Permanent
from runtime.objects import open_bucket
from runtime.secrets import Sealer
from support.config_api_kit import CONNECTION, STORAGE, Kit
from support.loopback import LOOPBACK

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]
INSIDE = ["http://10.0.0.1", "http://169.254.169.254", "http://[::ffff:10.0.0.1]:9", "http://0xa000001"]


@pytest.mark.parametrize("address", INSIDE)
@pytest.mark.parametrize(
    ("path", "body", "setting"),
    [
        ("connections", CONNECTION, "qrs_url"),
        ("connections", CONNECTION, "engine_url"),
        ("storage-spaces", STORAGE, "endpoint"),
    ],
)
async def test_an_address_inside_is_refused_when_it_is_entered(
    admin: httpx.AsyncClient, path: str, body: dict[str, Any], setting: str, address: str
) -> None:
    entered = address.replace("http", "ws") if setting == "engine_url" else address
    wrong = {**body, "settings": {**body["settings"], setting: entered}}
    answer = await admin.post(f"/api/v1/{path}", json=wrong)
    assert 422 == answer.status_code, answer.text
    (problem,) = answer.json()["problems"]
    assert f"settings.{setting}" == problem["field"]
    assert "BROADSHEET_EGRESS_HOSTS" in problem["remedy"]
    assert 201 == (await admin.post(f"/api/v1/{path}", json=body)).status_code
    moved = await admin.put(f"/api/v1/{path}/{body['id']}", json=wrong, headers={"If-Match": "*"})
    assert 422 == moved.status_code


@pytest.mark.parametrize("root", ["/", "/etc", "/proc/self", "/root", "/srv/reports"])
async def test_a_folder_is_refused_until_it_is_listed(admin: httpx.AsyncClient, root: str) -> None:
    body = {"id": "folder", "name": "Folder", "kind": "folder", "settings": {"root": root}}
    answer = await admin.post("/api/v1/storage-spaces", json=body)
    assert 422 == answer.status_code
    assert "BROADSHEET_STORAGE_FOLDER_ROOTS" in answer.json()["problems"][0]["remedy"]


@pytest.mark.parametrize(
    "body", ['{"errors": [{"code": "X-1", "title": "INSIDE-TEXT", "detail": "INSIDE-TEXT"}]}', "INSIDE-TEXT"]
)
async def test_what_a_server_says_is_not_given_back(kit: Kit, body: str) -> None:
    answer = f"HTTP/1.1 404 Not Found\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(answer.encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        at = f"http://127.0.0.1:{port}"
        found = connection(at)
        sealer = Sealer([Fernet.generate_key().decode()])
        with pytest.raises(SiteError) as refused:
            await QlikSiteApps(sealer, egress=LOOPBACK, timeout_s=5)(found)
        report = Report(id="r", name="R", connection_id="c", app_id="a")
        findings = await QlikAppCheck(sealer, egress=LOOPBACK, timeout_s=5)(found, report, None)
        said = f"{refused.value.message} {refused.value.remedy} {findings}"
        assert "INSIDE-TEXT" not in said
        assert "404" in said

        with pytest.raises(SiteError, match="not allowed") as closed:
            await QlikSiteApps(sealer, egress=Egress(), timeout_s=5)(found)
        assert "BROADSHEET_EGRESS_HOSTS" in closed.value.remedy


async def test_a_name_is_looked_up_once_and_the_checked_address_is_the_one_connected_to() -> None:
    """A name server that answers differently the second time (DNS rebinding) changes nothing."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        del port
        asked.append(host)
        return ["127.0.0.1"]

    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        pinned = Egress(networks=LOOPBACK.networks, resolve=resolve)
        found = connection(f"http://rebinding.invalid:{port}")
        sealer = Sealer([Fernet.generate_key().decode()])
        with pytest.raises(SiteError, match="404"):
            await QlikSiteApps(sealer, egress=pinned, timeout_s=5)(found)
        report = Report(id="r", name="R", connection_id="c", app_id="a")
        await QlikAppCheck(sealer, egress=pinned, timeout_s=5)(found, report, None)
    assert {"rebinding.invalid"} == set(asked)
    assert heard
    assert all(f"Host: rebinding.invalid:{port}".lower().encode() in each.lower() for each in heard)


async def test_a_storage_space_is_asked_about_at_every_request() -> None:
    keys: dict[str, Any] = {"access_key": SecretStr("a"), "secret_key": SecretStr("b")}
    async with open_bucket(
        endpoint="http://10.0.0.1:9", region="us-east-1", bucket="b", egress=Egress(), **keys
    ) as bucket:
        with pytest.raises(Permanent, match="not allowed") as refused:
            await bucket.head("x")
    assert "destination-not-allowed" == refused.value.code


def connection(at: str) -> Connection:
    return Connection(
        id="c",
        name="C",
        kind=ConnectionKind.CLIENT_MANAGED,
        settings={
            "engine_url": at.replace("http", "ws"),
            "qrs_url": at,
            "auth": {"kind": "certificate", "user_directory": "D", "user_id": "u"},
        },
    )


def test_every_service_asks_the_rule_before_it_connects() -> None:
    """A client of a Qlik site without `reach`, or a bucket without `egress`, would connect to anything."""
    wanted = {"QlikClient": "reach", "open_bucket": "egress"}
    missing = []
    for path in [*ROOT.glob("services/*/src/**/*.py"), *ROOT.glob("shared/src/runtime/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if name in wanted and wanted[name] not in {each.arg for each in node.keywords}:  # type: ignore[attr-defined]
                missing.append(f"{path.name}: {name}")
    assert ["objects.py: open_bucket"] == missing, "the platform's own store is the administrator's setting"


@pytest.mark.parametrize(("access", "secret"), [(None, None), ("a", None), (None, "b")])
async def test_a_space_with_a_key_missing_never_uses_the_keys_of_the_service(
    monkeypatch: pytest.MonkeyPatch, access: str | None, secret: str | None
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of the service")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the service")
    keys = [SecretStr(each) if each else None for each in (access, secret)]
    with pytest.raises(Permanent, match="both an access key and its secret key"):
        async with open_bucket(
            endpoint="http://127.0.0.1:9",
            region="us-east-1",
            bucket="b",
            access_key=keys[0],
            secret_key=keys[1],
            egress=LOOPBACK,
        ):
            pass
