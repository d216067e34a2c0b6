"""Trigger ids over REST: unique within their task, free elsewhere, the same when they come back."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from contracts.configuration import TaskVersion
from runtime.configuration import TASK_VERSIONS, ConfigurationReader
from support.config_api_kit import TASK, Kit, configure

pytestmark = pytest.mark.integration


async def _version(kit: Kit, task_id: str) -> TaskVersion:
    reader = ConfigurationReader(kit.store)
    head = await reader.task_head(task_id)
    assert head is not None
    version = await reader.task_version(task_id, head.current_version)
    assert version is not None
    return version


async def _put(admin: httpx.AsyncClient, body: dict[str, Any]) -> None:
    sent = await admin.put(f"/api/v1/tasks/{TASK['id']}", json=body, headers={"If-Match": "*"})
    assert sent.status_code == 200, sent.text


async def _as_before_the_upgrade(kit: Kit) -> None:
    """Leave the task as config-api stored it while trigger ids were unique over all tasks."""
    await kit.store.db[TASK_VERSIONS].update_many({}, {"$unset": {"series": ""}})
    for trigger in TASK["triggers"]:
        reserved = {"_id": trigger["id"], "task_id": TASK["id"]}
        await kit.store.db["config_trigger_ids"].insert_one(reserved)


async def test_a_copy_of_a_task_may_have_the_same_trigger_ids(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    read = (await admin.get("/api/v1/tasks/daily-delays")).json()

    copied = await admin.post("/api/v1/tasks", json={**read, "id": "copy", "secrets": {}})

    assert copied.status_code == 201, copied.text
    assert "series" not in copied.json()
    first, copy = await _version(kit, "daily-delays"), await _version(kit, "copy")
    assert {each.id for each in copy.triggers} == {each.id for each in first.triggers}
    assert {each.by_trigger_id for each in copy.series.values()} == {False}


async def test_a_trigger_id_is_there_once_within_a_task(admin: httpx.AsyncClient) -> None:
    await configure(admin)
    twice = {**TASK, "id": "twice", "triggers": [TASK["triggers"][0], TASK["triggers"][0]]}

    refused = await admin.post("/api/v1/tasks", json=twice)

    assert refused.status_code == 422
    assert "triggers" in {each["field"] for each in refused.json()["problems"]}


async def test_the_id_of_a_deleted_trigger_is_free_in_another_task(admin: httpx.AsyncClient) -> None:
    await configure(admin)
    assert (await admin.delete("/api/v1/tasks/daily-delays")).status_code == 204

    made = await admin.post("/api/v1/tasks", json={**TASK, "id": "another"})

    assert made.status_code == 201, made.text
    again = await admin.post("/api/v1/tasks", json=TASK)
    assert again.json()["version"] == 2, "versions are never used twice, not even after a deletion"


async def test_a_trigger_stays_the_same_while_its_task_is_saved(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    before = (await _version(kit, "daily-delays")).series

    await _put(admin, {**TASK, "description": "another"})

    assert before == (await _version(kit, "daily-delays")).series


async def test_a_trigger_that_comes_back_says_since_when(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    before = (await _version(kit, "daily-delays")).series["daily-delays.mornings"]

    kit.clock.advance(timedelta(hours=1))
    await _put(admin, {**TASK, "triggers": []})
    await _put(admin, TASK)

    version = await _version(kit, "daily-delays")
    after = version.series["daily-delays.mornings"]
    assert before.since is not None
    assert after.since == version.created_at
    assert after.since > before.since


async def test_triggers_made_before_keep_their_identity_also_when_they_come_back(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    await configure(admin)
    await _as_before_the_upgrade(kit)

    await _put(admin, {**TASK, "description": "saved after the upgrade"})
    kept = (await _version(kit, "daily-delays")).series
    await _put(admin, {**TASK, "triggers": []})
    await _put(admin, TASK)
    back = (await _version(kit, "daily-delays")).series

    assert {(each.by_trigger_id, each.since) for each in kept.values()} == {(True, None)}
    assert {each.by_trigger_id for each in back.values()} == {True}
    assert None not in {each.since for each in back.values()}


async def test_an_id_of_before_is_free_in_another_task(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    await _as_before_the_upgrade(kit)

    made = await admin.post("/api/v1/tasks", json={**TASK, "id": "another"})

    assert made.status_code == 201, made.text
    assert {each.by_trigger_id for each in (await _version(kit, "another")).series.values()} == {False}
