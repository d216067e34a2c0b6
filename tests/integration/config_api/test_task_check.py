"""A task is checked as a whole when it is saved and on request; a storage space is tried for real."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet

from config_api.adapters.storage_check import SpaceCheck
from contracts.configuration import StorageKind, StorageSpace
from runtime.egress import Egress
from runtime.secrets import Sealer
from standalone.s3 import SeaweedFS
from support.config_api_kit import CONNECTION, REPORT, TASK, Kit, configure
from support.loopback import LOOPBACK
from support.qlik_site import FLIGHTS, SimulatedSite, simulated_site
from support.servers import unique

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
async def site() -> AsyncIterator[SimulatedSite]:
    async with simulated_site() as found:
        yield found


@pytest.fixture
async def configured(kit: Kit, admin: httpx.AsyncClient, site: SimulatedSite) -> httpx.AsyncClient:
    """Everything of the kit, and a report whose app can really be asked."""
    await configure(admin)
    settings = {**CONNECTION["settings"], "engine_url": site.engine_url}
    for path, body in (
        ("connections", {**CONNECTION, "id": "site", "settings": settings, "secrets": {}}),
        ("reports", {**REPORT, "id": "flights", "connection_id": "site", "app_id": FLIGHTS}),
    ):
        answer = await admin.post(f"/api/v1/{path}", json=body)
        assert 201 == answer.status_code, answer.text
    return admin


def task(**changes: Any) -> dict[str, Any]:
    report = {**TASK["reports"][0], "report_id": "flights", **changes}
    return {**TASK, "id": "checked", "triggers": [], "reports": [report]}


async def test_a_field_or_expression_that_the_app_does_not_know_is_refused_when_the_task_is_saved(
    configured: httpx.AsyncClient,
) -> None:
    rules = [
        {"left": "=Count(flight)", "operator": ">", "right": "0"},
        {"left": "=Sum(nosuch)", "operator": ">", "right": "0"},
    ]
    wrong = task(
        filters=[{"field": "origin", "values": ["JFK"]}, {"field": "nofield", "values": ["x"]}],
        conditions=[{"name": "enough", "rules": rules}],
    )

    answer = await configured.post("/api/v1/tasks", json=wrong)

    assert 422 == answer.status_code, answer.text
    problems = {each["field"]: each for each in answer.json()["problems"]}
    assert {"reports.0.filters.1.field", "reports.0.conditions.0.rules.1.left"} == set(problems)
    assert all(each["message"] and each["remedy"] for each in problems.values())
    assert 404 == (await configured.get("/api/v1/tasks/checked")).status_code


async def test_a_task_can_still_be_edited_after_its_app_lost_a_field(
    configured: httpx.AsyncClient, kit: Kit
) -> None:
    made = task(filters=[{"field": "origin", "values": ["JFK"]}])
    assert 201 == (await configured.post("/api/v1/tasks", json=made)).status_code
    gone = [{"field": "no longer there", "values": ["JFK"]}]
    versions = kit.store.collection("config_task_versions")
    await versions.update_one({"task_id": "checked"}, {"$set": {"reports.0.filters": gone}})

    renamed = {**task(filters=gone), "name": "Another name"}
    answer = await configured.put("/api/v1/tasks/checked", json=renamed, headers={"If-Match": "*"})
    checked = (await configured.post("/api/v1/tasks/checked/check")).json()

    assert 200 == answer.status_code, answer.text
    assert not checked["in_order"]
    assert "reports.0.filters.0.field" in {each["field"] for each in checked["findings"]}


async def test_while_the_site_cannot_be_asked_a_task_is_saved_with_a_warning(
    configured: httpx.AsyncClient,
) -> None:
    away = {**task(filters=[{"field": "nofield", "values": ["x"]}]), "id": "away"}
    away["reports"][0]["report_id"] = "delays"  # its connection leads to a port nobody listens on

    answer = await configured.post("/api/v1/tasks", json=away)

    assert 201 == answer.status_code, answer.text
    assert [each["field"] for each in answer.json()["warnings"]] == ["connection_id"]


async def test_a_check_names_whoever_would_get_nothing(configured: httpx.AsyncClient) -> None:
    made = {**task(), "recipients": [{"recipient_id": "ann"}]}
    assert 201 == (await configured.post("/api/v1/tasks", json=made)).status_code
    await configured.post("/api/v1/recipients/ann/disable")

    answer = await configured.post("/api/v1/tasks/checked/check")

    assert 200 == answer.status_code, answer.text
    warnings = [each for each in answer.json()["findings"] if each["field"] == "recipients.0"]
    assert [("warning", "Ann (ann) is disabled and receives nothing.")] == [
        (each["severity"], each["message"]) for each in warnings
    ]


async def test_a_task_or_space_that_does_not_exist_is_answered_with_404(
    configured: httpx.AsyncClient,
) -> None:
    for path in ("tasks/none/check", "storage-spaces/none/test"):
        assert 404 == (await configured.post(f"/api/v1/{path}")).status_code


def space(kind: StorageKind, **settings: str) -> StorageSpace:
    return StorageSpace(id="space", name="Space", kind=kind, settings=settings)


def check(egress: Egress) -> SpaceCheck:
    return SpaceCheck(Sealer([Fernet.generate_key().decode()]), egress=egress, timeout_s=20)


async def test_a_folder_that_works_is_left_as_it_was(tmp_path: Path) -> None:
    assert [] == await check(Egress(folders=(tmp_path,)))(space(StorageKind.FOLDER, root=str(tmp_path)))
    assert [] == list(tmp_path.iterdir())  # noqa: ASYNC240 - an empty folder


async def test_a_folder_that_does_not_exist_or_is_not_allowed_is_found(tmp_path: Path) -> None:
    allowed = check(Egress(folders=(tmp_path,)))
    missing = await allowed(space(StorageKind.FOLDER, root=str(tmp_path / "none")))
    outside = await allowed(space(StorageKind.FOLDER, root="/etc"))

    assert ["The folder cannot be used: No such file or directory."] == [
        each.problem.message for each in missing
    ]
    assert all("folders that storage spaces may use" in each.problem.message for each in outside)
    assert all(each.problem.remedy for each in (*missing, *outside))


async def test_a_bucket_is_written_read_and_left_as_it_was(object_store_server: SeaweedFS) -> None:
    bucket = unique("tested")
    await object_store_server.create_bucket(bucket)
    sealer = Sealer([Fernet.generate_key().decode()])
    found = space(
        StorageKind.S3,
        endpoint=object_store_server.endpoint,
        bucket=bucket,
        prefix="reports",
        access_key=object_store_server.access_key,
    )
    secret = sealer.sealed_for(found, fresh={"secret_key": object_store_server.secret_key}, kept={})
    tried = SpaceCheck(sealer, egress=LOOPBACK, timeout_s=20)

    assert [] == await tried(found.model_copy(update={"sealed": dict(secret)}))
    assert 0 == object_store_server.client().list_objects_v2(Bucket=bucket)["KeyCount"]

    elsewhere = found.model_copy(update={"settings": {**found.settings, "bucket": unique("none")}})
    kept = sealer.sealed_for(elsewhere, fresh={"secret_key": object_store_server.secret_key}, kept={})
    problems = await tried(elsewhere.model_copy(update={"sealed": dict(kept)}))
    assert 1 == len(problems)
    assert problems[0].problem.message
    assert problems[0].problem.remedy
