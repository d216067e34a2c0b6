"""Section access: each user sees the own rows only, and who is not named cannot open the app."""

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr

from qlik import Impersonation, Limits, OAuthM2MAuth, PermissionDenied, QlikClient, QlikSite
from qlik_simulator.app import Running, running
from qlik_simulator.apps.loader import AppError
from qlik_simulator.options import Options
from support.simulator import RpcError, engine, rows

pytestmark = pytest.mark.integration
APP: Final = str(uuid.uuid4())
ACCESS: Final = {
    "ACME\\boss": {},
    "ACME\\nora": {"region": ["North"]},
    "ACME\\two": {"region": ["North", "South"], "year": [2024]},
    "ACME\\nobody": {"region": ["Mars"]},
    "CLOUD\\nora": {"region": ["North"]},
}


def folder(path: Path, access: object) -> str:
    (path / "sales.csv").write_text(
        "region,year,amount\nNorth,2023,1\nSouth,2023,2\nNorth,2024,4\nSouth,2024,8\n,2024,16\n"
    )
    (path / "app.json").write_text(json.dumps({"id": APP, "name": "Sales", "access": access}))
    return str(path)


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    data = folder(tmp_path_factory.mktemp("sales"), ACCESS)
    async with running(Options(port=0, http_port=0, data=(data,))) as simulator:
        yield simulator


def named(user: str) -> dict[str, str]:
    return {"X-Qlik-User": f"UserDirectory=ACME; UserId={user}"}


@pytest.mark.parametrize(
    ("user", "seen"),
    [
        ("boss", [["-", 16], ["North", 5], ["South", 10]]),
        ("nora", [["North", 5]]),
        ("two", [["North", 4], ["South", 8]]),
    ],
)
async def test_a_user_sees_the_own_rows_only(site: Running, user: str, seen: list[list[object]]) -> None:
    async with engine(site, APP, headers=named(user)) as rpc:
        doc = await rpc.open(APP)
        assert seen == sorted(rows(await rpc.cube(doc, ["region"], ["Sum(amount)"])))
        # Set analysis leads no way out, and values of others cannot be selected.
        everything = await rpc.call(doc, "EvaluateEx", "Sum({1} amount)")
        assert everything["qValue"]["qNumber"] == sum(int(str(amount)) for _, amount in seen)
        assert await rpc.select(doc, "region", "Mars") is False
        (listed,) = (await rpc.call(-1, "GetDocList"))["qDocList"]
        assert listed["qHasSectionAccess"] is True


@pytest.mark.parametrize("user", ["stranger", "nobody"])
async def test_who_may_see_nothing_cannot_open_the_app_nor_find_it(site: Running, user: str) -> None:
    async with engine(site, APP, headers=named(user)) as rpc:
        with pytest.raises(RpcError) as refused:
            await rpc.open(APP)
        assert refused.value.code == 5
        assert (await rpc.call(-1, "GetDocList"))["qDocList"] == []


async def test_a_client_that_speaks_for_a_user_gets_the_rows_of_that_user(site: Running) -> None:
    def speaking_for(name: str) -> QlikSite:
        auth = OAuthM2MAuth(
            client_id="sim-client",
            client_secret=SecretStr("sim-secret"),
            impersonate=Impersonation(value=name),
        )
        url = f"{site.host}:{site.http_port}"
        return QlikSite(
            kind="cloud",
            engine_url=f"ws://{url}",
            tenant_url=f"http://{url}",
            auth=auth,
            limits=Limits(ttl_s=0),
        )

    async with QlikClient(speaking_for("nora")) as client, client.session(APP) as session:
        table = await session.table(["region"], ["Sum(amount)"])
        assert [["North", "5"]] == [[cell.text for cell in row] for row in table.rows]
    async with QlikClient(speaking_for("stranger")) as client:
        with pytest.raises(PermissionDenied):
            async with client.session(APP):
                pass


async def test_a_field_that_is_not_there_is_named(tmp_path: Path) -> None:
    data = folder(tmp_path, {"ACME\\nora": {"reigon": ["North"]}})
    with pytest.raises(AppError, match="reigon"):
        async with running(Options(port=0, http_port=0, data=(data,))):
            pass
