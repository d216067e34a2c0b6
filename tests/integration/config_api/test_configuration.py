"""Configuration over REST, kept in MongoDB."""

import asyncio
import json

import httpx
import pytest

from config_api.adapters.configuration_store import CHANGES
from config_api.domain.rights import Role
from contracts.configuration import Connection
from runtime.configuration import ConfigurationReader
from runtime.secrets import Sealer
from support.config_api_kit import CONNECTION, GROUP, PASSWORD, RECIPIENT, REPORT, TASK, Kit, configure

pytestmark = pytest.mark.integration


async def _problems(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return {each["field"]: f"{each['message']} | {each['remedy']}" for each in answer.json()["problems"]}


async def test_what_was_created_is_what_the_other_services_read(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    reader = ConfigurationReader(kit.store)
    pairs = [pair async for pair in reader.tasks_with_triggers()]
    assert [(head.id, head.current_version) for head, _ in pairs] == [("daily-delays", 1)]
    version = pairs[0][1]
    assert version.deadline.total_seconds() == 600
    assert [trigger.id for trigger in version.triggers] == ["daily-delays.mornings", "daily-delays.reload"]
    report = await reader.report("delays")
    assert report is not None
    template = await reader.template(str(report.template_id))
    assert template is not None
    assert kit.objects.contents[template.file.key][0] == b"<p>{{ total }}</p>"
    assert set(await reader.groups(["airlines"])) == {"airlines"}
    assert (await reader.recipients(["ann"]))["ann"].attributes == {"airline": "AA"}


async def test_what_was_read_can_be_sent_back(admin: httpx.AsyncClient) -> None:
    await configure(admin)
    kinds = {
        "connections": "qlik",
        "storage-spaces": "archive",
        "recipients": "ann",
        "groups": "airlines",
        "templates": "delays-page",
        "reports": "delays",
        "tasks": "daily-delays",
    }
    for path, key in kinds.items():
        read = await admin.get(f"/api/v1/{path}/{key}")
        sent = await admin.put(
            f"/api/v1/{path}/{key}", json=read.json(), headers={"If-Match": read.headers["etag"]}
        )
        assert sent.status_code == 200, sent.text
        changing = {"revision", "updated_at", "updated_by", "version", "created_at", "created_by"}
        assert {k: v for k, v in sent.json().items() if k not in changing} == {
            k: v for k, v in read.json().items() if k not in changing
        }


async def test_a_change_makes_a_new_version_and_leaves_the_old_one_alone(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    await configure(admin)
    changed = await admin.put(
        "/api/v1/tasks/daily-delays", json={**TASK, "description": "new"}, headers={"If-Match": '"1"'}
    )
    assert changed.status_code == 200
    assert (changed.json()["version"], changed.headers["etag"]) == (2, '"2"')
    reader = ConfigurationReader(kit.store)
    first, second = await reader.task_version("daily-delays", 1), await reader.task_version("daily-delays", 2)
    assert first is not None
    assert second is not None
    assert (first.description, second.description) == ("", "new")


async def test_of_two_changes_of_one_revision_one_wins(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)

    async def change(text: str) -> int:
        answer = await admin.put(
            "/api/v1/tasks/daily-delays", json={**TASK, "description": text}, headers={"If-Match": '"1"'}
        )
        return answer.status_code

    assert sorted(await asyncio.gather(*(change(str(index)) for index in range(6)))) == [200, *[412] * 5]
    head = await ConfigurationReader(kit.store).task_head("daily-delays")
    assert head is not None
    assert head.current_version == 2
    assert await kit.store.collection("config_task_versions").count_documents({}) == 2


async def test_a_change_has_to_say_what_it_changes(admin: httpx.AsyncClient) -> None:
    await configure(admin)
    missing = await admin.put("/api/v1/recipients/ann", json=RECIPIENT)
    assert missing.status_code == 428
    assert "If-Match" in missing.json()["remedy"]
    nonsense = await admin.put("/api/v1/recipients/ann", json=RECIPIENT, headers={"If-Match": '"x"'})
    assert "If-Match" in await _problems(nonsense)
    whatever = await admin.put("/api/v1/recipients/ann", json=RECIPIENT, headers={"If-Match": "*"})
    assert whatever.status_code == 200


async def test_references_to_nothing_are_refused_all_at_once(admin: httpx.AsyncClient) -> None:
    task = {**TASK, "triggers": [{**TASK["triggers"][1], "connection_id": "nowhere"}]}
    problems = await _problems(await admin.post("/api/v1/tasks", json=task))
    assert set(problems) == {
        "reports.0.report_id",
        "reports.0.storage.0.storage_id",
        "recipients.0.group_id",
        "triggers.0.connection_id",
    }
    assert "GET /api/v1/reports" in problems["reports.0.report_id"]
    group = await _problems(await admin.post("/api/v1/groups", json=GROUP))
    assert "there is no recipient 'ann'" in group["members.0"]
    report = await _problems(await admin.post("/api/v1/reports", json=REPORT))
    assert set(report) == {"connection_id", "template_id"}


async def test_mistyped_fields_are_named_at_any_depth(admin: httpx.AsyncClient) -> None:
    await configure(admin)
    trigger = {**TASK["triggers"][0], "catchup": "all"}
    task = {**TASK, "id": "other", "triggers": [{**trigger, "id": "other.t"}]}
    problems = await _problems(await admin.post("/api/v1/tasks", json=task))
    assert "catch_up" in problems["triggers.0.catchup"]
    assert "nickname" in await _problems(
        await admin.post("/api/v1/recipients", json={"name": "B", "nickname": "x"})
    )


async def test_what_is_in_use_is_not_deleted_and_says_by_whom(admin: httpx.AsyncClient) -> None:
    await configure(admin)
    for path, user in {
        "connections/qlik": "report 'delays'",
        "templates/delays-page": "report 'delays'",
        "recipients/ann": "group 'airlines'",
        "groups/airlines": "task 'daily-delays'",
        "reports/delays": "task 'daily-delays'",
        "storage-spaces/archive": "task 'daily-delays'",
    }.items():
        refused = await admin.delete(f"/api/v1/{path}")
        assert refused.status_code == 409
        assert user in refused.json()["referrers"]
    for path in ("tasks/daily-delays", "reports/delays", "templates/delays-page", "connections/qlik"):
        assert (await admin.delete(f"/api/v1/{path}")).status_code == 204
        assert (await admin.get(f"/api/v1/{path}")).status_code == 404


async def test_a_deletion_and_a_new_reference_never_both_succeed(kit: Kit, admin: httpx.AsyncClient) -> None:
    for round_ in range(5):
        key = f"p{round_}"
        await admin.post("/api/v1/recipients", json={"id": key, "name": "P"})
        deleted, created = await asyncio.gather(
            admin.delete(f"/api/v1/recipients/{key}"),
            admin.post("/api/v1/groups", json={"id": f"g{round_}", "name": "G", "members": [key]}),
        )
        assert (deleted.status_code, created.status_code) in {(204, 422), (409, 201)}
    orphans = [
        group["_id"]
        async for group in kit.store.collection("config_groups").find({})
        if await kit.store.collection("config_recipients").count_documents({"_id": {"$in": group["members"]}})
        == 0
    ]
    assert orphans == []


async def test_secrets_go_in_and_never_come_out(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    read = await admin.get("/api/v1/connections/qlik")
    assert read.json()["secrets"] == {"auth.key_pem": "••••"}
    stored = await kit.store.collection("config_connections").find_one({"_id": "qlik"})
    assert stored is not None
    sealer = Sealer.from_setting(kit.settings.secret_key)
    connection = Connection.model_validate({"id": "qlik", **stored})
    opened = sealer.secrets_of(connection, connection.sealed)
    assert opened["auth.key_pem"].get_secret_value() == "-----BEGIN PRIVATE KEY----- hunter2"
    changes = [change async for change in kit.store.collection(CHANGES).find({})]
    for text in (read.text, json.dumps(stored, default=str), json.dumps(changes, default=str)):
        assert "hunter2" not in text

    masked = {**CONNECTION, "name": "Renamed", "secrets": {"auth.key_pem": "••••"}}
    kept = await admin.put("/api/v1/connections/qlik", json=masked, headers={"If-Match": "*"})
    assert kept.json()["secrets"] == {"auth.key_pem": "••••"}
    assert (await kit.store.collection("config_connections").find_one({"_id": "qlik"}) or {})[
        "sealed"
    ] == stored["sealed"]
    removed = await admin.put(
        "/api/v1/connections/qlik",
        json={**CONNECTION, "secrets": {"auth.key_pem": None}},
        headers={"If-Match": "*"},
    )
    assert removed.json()["secrets"] == {}


async def test_a_secret_among_the_settings_is_refused(admin: httpx.AsyncClient) -> None:
    settings = {**CONNECTION["settings"], "auth": {**CONNECTION["settings"]["auth"], "client_pem": "x"}}
    problems = await _problems(
        await admin.post("/api/v1/connections", json={**CONNECTION, "settings": settings, "secrets": {}})
    )
    assert "'auth.client_pem'" in problems["settings.auth.client_pem"]


async def test_every_change_is_announced_with_its_actor_and_fields_and_no_value(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    await admin.post("/api/v1/recipients", json=RECIPIENT)
    await admin.put(
        "/api/v1/recipients/ann", json={**RECIPIENT, "email": "b@example.com"}, headers={"If-Match": "*"}
    )
    await admin.post("/api/v1/recipients/ann/disable")
    await admin.post("/api/v1/recipients/ann/disable")
    await admin.delete("/api/v1/recipients/ann")
    cursor = kit.store.collection(CHANGES).find({"entity": "recipient"}).sort("_id", 1)
    events = [json.loads(change["outbox"][0]["body"]) async for change in cursor]
    events.sort(key=lambda event: ("created", "changed", "disabled", "deleted").index(event["action"]))
    assert [event["action"] for event in events] == ["created", "changed", "disabled", "deleted"]
    assert {event["actor"] for event in events} == {"admin@example.com"}
    assert events[1]["changed_fields"] == ["email"]
    assert "b@example.com" not in json.dumps(events)


async def test_several_tasks_are_switched_and_one_that_is_missing_stops_none(
    admin: httpx.AsyncClient,
) -> None:
    await configure(admin)
    answer = await admin.post("/api/v1/tasks:disable", json={"ids": ["daily-delays", "nothing"]})
    results = {each["id"]: each for each in answer.json()["results"]}
    assert results["daily-delays"]["done"]
    assert results["nothing"]["problem"]["status"] == 404
    task = (await admin.get("/api/v1/tasks/daily-delays")).json()
    assert (task["enabled"], task["version"], task["revision"]) == (False, 1, 2)


async def test_a_broken_template_is_refused_with_its_place(kit: Kit, admin: httpx.AsyncClient) -> None:
    broken = await admin.post(
        "/api/v1/templates", data={"name": "T"}, files={"file": ("t.html", b"broken", "text/html")}
    )
    assert await _problems(broken) == {"file: line 1": "is broken | mend it"}
    assert kit.objects.contents == {}
    strange = await admin.post(
        "/api/v1/templates", data={"name": "T"}, files={"file": ("t.exe", b"MZ", "text/html")}
    )
    assert "file" in await _problems(strange)
    large = await admin.post(
        "/api/v1/templates", data={"name": "T"}, files={"file": ("t.html", b"x" * 1_000_001, "text/html")}
    )
    assert large.status_code == 413


async def test_a_new_file_is_a_new_version_of_the_template(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    answer = await admin.put(
        "/api/v1/templates/delays-page/file",
        files={"file": ("new.html", b"<p>new</p>", "text/html")},
        headers={"If-Match": '"1"'},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["version"] == 2
    assert len(kit.objects.contents) == 2, "the old file stays for executions that are planned with it"
    stale = await admin.put(
        "/api/v1/templates/delays-page/file",
        files={"file": ("late.html", b"<p>late</p>", "text/html")},
        headers={"If-Match": '"1"'},
    )
    assert stale.status_code == 412
    whatever = await admin.put(
        "/api/v1/templates/delays-page/file",
        files={"file": ("new.html", b"<p>new</p>", "text/html")},
        headers={"If-Match": "*"},
    )
    assert whatever.json()["version"] == 2, "the same bytes are the same version"
    content = await admin.get("/api/v1/templates/delays-page/file")
    assert content.content == b"<p>new</p>"
    assert content.headers["content-disposition"].startswith("attachment")


async def test_a_report_has_to_bind_what_its_template_shows(admin: httpx.AsyncClient) -> None:
    await configure(admin)
    page = {"file": ("t.html", b"<p>{{ shown_total }}</p>", "text/html")}
    await admin.post("/api/v1/templates", data={"id": "totals", "name": "T"}, files=page)

    refused = await admin.post("/api/v1/reports", json={**REPORT, "id": "r", "template_id": "totals"})
    item = {"kind": "expression", "name": "shown_total", "expression": "Sum(x)"}
    stored = await admin.post(
        "/api/v1/reports", json={**REPORT, "id": "r", "template_id": "totals", "data": [item]}
    )

    assert "'shown_total' as a value (line 1)" in (await _problems(refused))["data"]
    assert 201 == stored.status_code, stored.text


async def test_a_new_file_must_not_show_what_a_report_of_the_template_does_not_bind(
    admin: httpx.AsyncClient,
) -> None:
    await configure(admin)
    page = {"file": ("t.html", b"<p>{{ shown_more }}</p>", "text/html")}

    refused = await admin.put("/api/v1/templates/delays-page/file", files=page, headers={"If-Match": "*"})

    message = (await _problems(refused))["file"]
    assert "the report 'delays' uses the template" in message
    assert "change the report first" in message
    assert 1 == (await admin.get("/api/v1/templates/delays-page")).json()["version"]


async def test_a_client_managed_site_makes_no_exports_by_itself(admin: httpx.AsyncClient) -> None:
    await configure(admin)
    body = {**REPORT, "id": "r", "template_id": None, "data": [], "native": {"kind": "sheet", "id": "s"}}
    refused = await admin.post("/api/v1/reports", json=body)
    assert "client-managed" in (await _problems(refused))["native"]


async def test_lists_come_in_pages(admin: httpx.AsyncClient) -> None:
    for index in range(5):
        await admin.post("/api/v1/recipients", json={"id": f"p{index}", "name": f"P{index}"})
    seen, after = [], None
    while True:
        params = {"limit": "2"} | ({"after": after} if after else {})
        page = (await admin.get("/api/v1/recipients", params=params)).json()
        seen += [item["id"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == [f"p{index}" for index in range(5)]


async def test_the_id_of_a_deleted_recipient_is_nobodys_any_more(kit: Kit, admin: httpx.AsyncClient) -> None:
    """Files in the Hub name who sees them by id; a second Ann must not see the files of the first."""
    assert (await admin.post("/api/v1/recipients", json=RECIPIENT)).status_code == 201
    await kit.account(Role.READER, "ann@example.com", "ann")
    linked = await admin.delete("/api/v1/recipients/ann")
    assert linked.json()["referrers"] == ["account 'ann@example.com'"]
    assert (await admin.post("/api/v1/recipients", json={**RECIPIENT, "id": "bob"})).status_code == 201
    assert (await admin.delete("/api/v1/recipients/bob")).status_code == 204
    again = await admin.post("/api/v1/recipients", json={**RECIPIENT, "id": "bob"})
    assert again.status_code == 409
    assert "another id" in again.json()["remedy"]


async def test_an_account_is_never_linked_to_a_recipient_who_is_being_deleted(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    for number in range(5):
        key = f"p{number}"
        await admin.post("/api/v1/recipients", json={"id": key, "name": "P"})
        deleted, linked = await asyncio.gather(
            admin.delete(f"/api/v1/recipients/{key}"),
            admin.post(
                "/api/v1/accounts",
                json={"email": f"{key}@example.com", "password": PASSWORD, "recipient_id": key},
            ),
        )
        assert (deleted.status_code == 204) != (linked.status_code == 201)


async def test_a_switch_is_set_whatever_else_is_changed_meanwhile(admin: httpx.AsyncClient) -> None:
    await configure(admin)
    answers = await asyncio.gather(
        admin.post("/api/v1/tasks/daily-delays/disable"),
        *(
            admin.put(
                "/api/v1/tasks/daily-delays",
                json={**TASK, "description": str(number)},
                headers={"If-Match": '"1"'},
            )
            for number in range(3)
        ),
    )
    assert answers[0].status_code == 200
    assert answers[0].json()["enabled"] is False
