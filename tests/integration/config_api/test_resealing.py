"""Rotating the key: everything that is stored is sealed with the newest, and an old one can go."""

import json
import os
import subprocess
import sys
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from config_api.app import assemble
from config_api.domain.rights import Role
from config_api.use_cases.identity import COMMAND
from contracts.configuration import Connection, Recipient, StorageSpace, TaskVersion
from runtime.errors import Permanent
from runtime.secrets import Sealer
from standalone.mongo import Mongo
from support.config_api_kit import ADMIN, RECIPIENT, TASK, Kit, config_api, configure
from support.sealing import unbound

pytestmark = pytest.mark.integration
MODELS: dict[str, type[Any]] = {
    "config_connections": Connection,
    "config_storage_spaces": StorageSpace,
    "config_recipients": Recipient,
    "config_task_versions": TaskVersion,
}


async def stored(kit: Kit) -> dict[str, Any]:
    """Return every object with secrets, by place."""
    return {
        f"{name}/{document['_id']}": model.model_validate({"id": document["_id"], **document})
        for name, model in MODELS.items()
        async for document in kit.store.collection(name).find({"sealed": {"$ne": {}}})
    }


async def secrets_of(kit: Kit, sealer: Sealer) -> dict[str, str]:
    return {
        f"{place}/{path}": secret.get_secret_value()
        for place, holder in (await stored(kit)).items()
        for path, secret in sealer.secrets_of(holder, holder.sealed).items()
    }


async def everything(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    body = {**RECIPIENT, "id": "bob", "secrets": {"pdf": "hunter3"}}
    assert 201 == (await admin.post("/api/v1/recipients", json=body)).status_code
    report = {"id": "r1", "report_id": "delays", "format": "pdf"}
    locked = {**TASK, "id": "locked", "triggers": [], "reports": [report]}
    locked["secrets"] = {"reports.r1.open_password": "correct horse battery"}
    assert 201 == (await admin.post("/api/v1/tasks", json=locked)).status_code


async def test_every_kind_is_sealed_with_the_newest_key_and_the_old_one_can_go(
    kit: Kit, admin: httpx.AsyncClient, mongo_server: Mongo
) -> None:
    await everything(kit, admin)
    old = kit.settings.secret_key
    assert old is not None
    before = await secrets_of(kit, Sealer.from_setting(old))
    assert set(MODELS) == {place.partition("/")[0] for place in before}
    # One from before secrets were bound.
    await kit.store.collection("config_storage_spaces").update_one(
        {"_id": "archive"}, {"$set": {"sealed": {"secret_key": unbound(old.get_secret_value(), "hunter2")}}}
    )
    etag = (await admin.get("/api/v1/connections/qlik")).headers["etag"]
    newest = Fernet.generate_key().decode()
    environment = {
        **os.environ,
        "BROADSHEET_SECRET_KEY": f"{newest},{old.get_secret_value()}",
        "BROADSHEET_MONGO_URI": mongo_server.uri,
        "BROADSHEET_MONGO_DATABASE": kit.store.db.name,
    }

    def command() -> dict[str, Any]:
        words = [sys.executable, "-m", "config_api", "reseal"]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    first, second = command(), command()

    assert first["complete"]
    assert first["older_keys_can_go"]
    assert {name: {"resealed": 1} for name in MODELS} == first["collections"]
    assert {name: {"current": 1} for name in MODELS} == second["collections"], "it can be run again"
    assert before == await secrets_of(kit, Sealer([newest])), "nothing needs the old key"
    assert all(newest not in text for text in (json.dumps(first), json.dumps(second)))
    assert etag == (await admin.get("/api/v1/connections/qlik")).headers["etag"]


async def test_what_no_key_opens_is_named_and_stops_nothing_else(mongo_server: Mongo) -> None:
    async with config_api(mongo_server.uri) as kit, kit.client(await kit.key(Role.ADMIN, ADMIN)) as admin:
        await everything(kit, admin)
        lost = {"sealed": {"auth.key_pem": unbound(Fernet.generate_key().decode(), "x")}}
        await kit.store.collection("config_connections").update_one({"_id": "qlik"}, {"$set": lost})
        await kit.store.collection("config_recipients").update_one({"_id": "bob"}, {"$unset": {"name": 1}})
        newest = Fernet.generate_key().decode()
        old = kit.settings.secret_key
        assert old is not None
        settings = kit.settings.model_copy(
            update={"secret_key": SecretStr(f"{newest},{old.get_secret_value()}")}
        )
        done = await assemble(settings, kit.store, kit.objects).resealing.run(COMMAND)
        assert not done.complete
        assert {"config_connections/qlik", "config_recipients/bob"} == {
            problem.field for problem in done.unreadable
        }
        assert 2 == sum(each.get("resealed", 0) for each in done.counts.values())
        qlik = await kit.store.collection("config_connections").find_one({"_id": "qlik"})
        assert qlik is not None
        with pytest.raises(Permanent):
            Sealer([newest]).secrets_of(Connection.model_validate(qlik | {"id": "qlik"}), qlik["sealed"])
