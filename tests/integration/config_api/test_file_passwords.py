"""Passwords of files: taken, sealed, never given back, and gone with their report."""

import json

import httpx
import pytest

from contracts.configuration import TaskVersion
from runtime.secrets import Sealer
from support.config_api_kit import RECIPIENT, TASK, Kit, configure

pytestmark = pytest.mark.integration
SECRET = "correct horse battery"
REPORTS = [{"id": "r1", "report_id": "delays", "format": "pdf"}]


async def saved(admin: httpx.AsyncClient, **changes: object) -> httpx.Response:
    body = {**TASK, "id": "locked", "triggers": [], "reports": REPORTS, **changes}
    return await admin.post("/api/v1/tasks", json=body)


async def test_a_password_is_sealed_and_never_shown(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    name = "reports.r1.open_password"

    answer = await saved(admin, secrets={name: SECRET})

    assert 201 == answer.status_code, answer.text
    assert {name: "••••"} == answer.json()["secrets"]
    assert "sealed" not in answer.json()
    version = await kit.store.collection("config_task_versions").find_one({"_id": "locked:1"})
    assert version is not None
    sealer = Sealer.from_setting(kit.settings.secret_key)
    task = TaskVersion.model_validate(version)
    assert SECRET == sealer.secrets_of(task, task.sealed)[name].get_secret_value()
    changes = [each async for each in kit.store.collection("config_changes").find({"entity_id": "locked"})]
    assert SECRET not in json.dumps(changes, default=str)


async def test_what_was_read_keeps_the_password_and_a_report_takes_its_own_with_it(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    await configure(admin)
    name = "reports.r1.open_password"
    await saved(admin, secrets={name: SECRET, f"{name}.AA": "for AA alone"})
    read = (await admin.get("/api/v1/tasks/locked")).json()

    same = await admin.put("/api/v1/tasks/locked", json=read, headers={"If-Match": "*"})
    assert 200 == same.status_code, same.text
    other = {**read, "reports": [{**REPORTS[0], "id": "r2"}], "secrets": {}}
    gone = await admin.put("/api/v1/tasks/locked", json=other, headers={"If-Match": "*"})

    second = await kit.store.collection("config_task_versions").find_one({"_id": "locked:2"})
    third = await kit.store.collection("config_task_versions").find_one({"_id": "locked:3"})
    assert second is not None
    assert third is not None
    assert {name, f"{name}.AA"} == set(second["sealed"])
    assert {} == third["sealed"]
    assert {} == gone.json()["secrets"]


@pytest.mark.parametrize(
    ("secrets", "changes", "words"),
    [
        ({"reports.gone.open_password": SECRET}, {}, "no password of a report"),
        ({"reports.r1.open_password": "short"}, {}, "between 8 characters"),
        ({"reports.r1.open_password": "{{ task.name }} and more"}, {}, "a tag that passwords do not know"),
        ({"reports.r1.open_password": SECRET}, {"format": "html"}, "has no open password"),
        ({"reports.r1.zip_password": SECRET}, {"format": "html", "embed": True}, "embedded"),
        ({"reports.r1.open_password": SECRET}, {"options": {"pdf_a": "2b"}}, "PDF/A"),
    ],
)
async def test_a_password_that_cannot_be_is_refused_and_not_repeated(
    admin: httpx.AsyncClient, secrets: dict[str, str], changes: dict[str, object], words: str
) -> None:
    await configure(admin)
    answer = await saved(admin, secrets=secrets, reports=[{**REPORTS[0], **changes}])
    assert 422 == answer.status_code
    (problem,) = answer.json()["problems"]
    assert words in problem["message"]
    assert all(secret not in answer.text for secret in secrets.values())


async def test_a_recipient_has_secrets_of_their_own(kit: Kit, admin: httpx.AsyncClient) -> None:
    made = await admin.post("/api/v1/recipients", json={**RECIPIENT, "secrets": {"pdf": SECRET}})
    assert 201 == made.status_code, made.text
    assert {"pdf": "••••"} == made.json()["secrets"]
    stored = await kit.store.collection("config_recipients").find_one({"_id": "ann"})
    assert stored is not None
    assert SECRET not in json.dumps(stored, default=str)
    switched = await admin.post("/api/v1/recipients/ann/disable")
    assert {"pdf": "••••"} == switched.json()["secrets"]


async def test_a_copy_has_the_triggers_and_the_passwords_and_is_disabled(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    await configure(admin)
    name = "reports.r1.open_password"
    made = await saved(admin, secrets={name: SECRET}, triggers=TASK["triggers"])
    assert 201 == made.status_code, made.text

    answer = await admin.post("/api/v1/tasks/locked/copy", json={"id": "copied", "name": "Copied"})

    assert 201 == answer.status_code, answer.text
    original, copied = (await admin.get("/api/v1/tasks/locked")).json(), answer.json()
    assert ("copied", "Copied", False) == (copied["id"], copied["name"], copied["enabled"])
    for field in ("reports", "recipients", "triggers", "mail", "notification", "secrets", "deadline"):
        assert original[field] == copied[field], field
    version = await kit.store.collection("config_task_versions").find_one({"_id": "copied:1"})
    assert version is not None
    task = TaskVersion.model_validate(version)
    opened = Sealer.from_setting(kit.settings.secret_key).secrets_of(task, task.sealed)
    assert SECRET == opened[name].get_secret_value()
    again = await admin.post("/api/v1/tasks/locked/copy", json={"id": "copied", "name": "Copied"})
    assert 409 == again.status_code
    assert 404 == (await admin.post("/api/v1/tasks/none/copy", json={"name": "Copied"})).status_code
