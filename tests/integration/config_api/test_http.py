"""Sign-in, rights, pages and the Hub, over the app as it is served."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from config_api.domain.errors import ConflictError, SignInError
from config_api.domain.rights import Role
from config_api.reference import openapi
from config_api.use_cases.identity import COMMAND
from contracts.events import DeliverySucceeded, TaskTriggered
from contracts.runs import RunOptions
from support.config_api_events import ARTIFACT, road
from support.config_api_kit import ADMIN, PASSWORD, RECIPIENT, Kit, configure

pytestmark = pytest.mark.integration


def _hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"no field {name}"
    return found.group(1)


async def _sign_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    page = await client.get("/sign-in")
    return await client.post(
        "/sign-in", data={"nonce": _hidden(page.text, "nonce"), "email": email, "password": password}
    )


async def test_sign_in_sets_a_cookie_that_scripts_cannot_read_and_sign_out_ends_it(kit: Kit) -> None:
    await kit.account(Role.ADMIN, ADMIN)
    async with kit.client() as client:
        assert (await client.get("/status")).headers["location"] == "/sign-in"
        answer = await _sign_in(client, "Admin@Example.com")
        assert answer.status_code == 303
        cookie = next(
            value for value in answer.headers.get_list("set-cookie") if value.startswith("broadsheet=")
        )
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        page = await client.get("/status")
        assert page.status_code == 200
        token = client.cookies["broadsheet"]
        assert await kit.store.collection("config_sessions").count_documents({"_id": token}) == 0, (
            "hashed only"
        )
        out = await client.post("/sign-out", data={"csrf": _hidden(page.text, "csrf")})
        assert out.status_code == 303
        client.cookies.set("broadsheet", token)
        assert (await client.get("/status")).status_code == 303


async def test_a_session_ends_by_itself(kit: Kit) -> None:
    await kit.account(Role.ADMIN, ADMIN)
    async with kit.client() as client:
        await _sign_in(client, ADMIN)
        kit.clock.advance(timedelta(hours=12, seconds=1))
        assert (await client.get("/status")).status_code == 303


async def test_wrong_password_and_unknown_address_get_the_same_answer(kit: Kit) -> None:
    await kit.account(Role.ADMIN, ADMIN)
    async with kit.client() as client:
        wrong = await _sign_in(client, ADMIN, "not the password")
        unknown = await _sign_in(client, "nobody@example.com", "not the password")
    assert wrong.status_code == unknown.status_code == 401
    assert re.sub(r'value="[^"]*"', "", wrong.text) == re.sub(r'value="[^"]*"', "", unknown.text)


async def test_who_guesses_has_to_wait_and_then_may_try_again(kit: Kit) -> None:
    await kit.account(Role.ADMIN, ADMIN)
    async with kit.client() as client:
        for _ in range(8):
            assert (await _sign_in(client, ADMIN, "guess guess guess")).status_code == 401
        throttled = await _sign_in(client, ADMIN)
        assert throttled.status_code == 429
        assert "Wait" in throttled.text
        kit.clock.advance(timedelta(minutes=16))
        assert (await _sign_in(client, ADMIN)).status_code == 303


async def test_forms_from_elsewhere_are_refused(kit: Kit) -> None:
    await kit.account(Role.ADMIN, ADMIN)
    async with kit.client() as client:
        bare = await client.post("/sign-in", data={"email": ADMIN, "password": PASSWORD})
        assert bare.status_code == 400
        await _sign_in(client, ADMIN)
        for data in ({}, {"csrf": "x"}):
            assert (await client.post("/tasks/switch", data=data)).status_code == 403
            assert (await client.post("/sign-out", data=data)).status_code == 403
        assert (await client.post("/api/v1/recipients", json=RECIPIENT)).status_code == 403
        csrf = _hidden((await client.get("/tasks")).text, "csrf")
        with_token = await client.post("/api/v1/recipients", json=RECIPIENT, headers={"X-CSRF-Token": csrf})
        assert with_token.status_code == 201


async def test_keys_are_shown_once_stored_as_hashes_and_end(kit: Kit, admin: httpx.AsyncClient) -> None:
    text = admin.headers["authorization"].removeprefix("Bearer ")
    listed = await admin.get("/api/v1/api-keys")
    assert text.rsplit("_", 1)[1] not in listed.text
    stored = await kit.store.collection("config_api_keys").find_one({})
    assert text.split("_", 2)[2] not in str(stored)
    assert (await admin.post("/api/v1/api-keys", json={"name": "k", "role": "reader"})).status_code == 409
    kit.clock.advance(timedelta(days=31))
    refused = await admin.get("/api/v1/me")
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"


async def test_a_revoked_key_and_the_key_of_a_disabled_account_are_worthless(kit: Kit) -> None:
    developer = await kit.account(Role.DEVELOPER, "dev@example.com")
    key, text = await kit.parts.identity.create_key("k", Role.DEVELOPER, 5, developer)
    assert (await kit.parts.identity.bearer(text)).role is Role.DEVELOPER
    await kit.parts.identity.change_account(developer.account_id, COMMAND, role=Role.READER)
    assert (await kit.parts.identity.bearer(text)).role is Role.READER, "never more than its owner has now"
    await kit.parts.identity.change_account(developer.account_id, COMMAND, enabled=False)
    with pytest.raises(SignInError):
        await kit.parts.identity.bearer(text)
    await kit.parts.identity.change_account(developer.account_id, COMMAND, enabled=True, role=Role.DEVELOPER)
    await kit.parts.identity.revoke_key(key.id, developer)
    with pytest.raises(SignInError):
        await kit.parts.identity.bearer(text)


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Bearer bsk_a_b", "Basic YTpi", "Bearer bsk_é_b"])
async def test_keys_that_are_none_are_refused(kit: Kit, header: str) -> None:
    async with kit.client() as client:
        answer = await client.get("/api/v1/me", headers={b"Authorization": header.encode()})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_reader_sees_the_hub_and_nothing_else(kit: Kit) -> None:
    await kit.account(Role.READER, "ann@example.com", None)
    async with kit.client() as client:
        start = await _sign_in(client, "ann@example.com")
        assert (await client.get(start.headers["location"])).headers["location"] == "/hub"
        for path in ("/status", "/tasks", "/audit"):
            refused = await client.get(path)
            assert refused.status_code == 403, path
            assert "role" in refused.text
        for path in (
            "tasks",
            "recipients",
            "connections",
            "executions",
            "audit",
            "accounts",
            "api-keys",
            "reports",
        ):
            assert (await client.get(f"/api/v1/{path}")).status_code == 403, path


async def test_a_new_password_ends_the_sessions_of_the_account(kit: Kit) -> None:
    reader = await kit.account(Role.READER, "ann@example.com")
    async with kit.client() as client:
        await _sign_in(client, "ann@example.com")
        assert (await client.get("/hub")).status_code == 200
        await kit.parts.identity.change_account(reader.account_id, COMMAND, password="another long password")
        assert (await client.get("/hub")).status_code == 303


async def test_nobody_takes_rights_from_oneself_and_the_first_administrator_is_made_once(kit: Kit) -> None:
    assert await kit.parts.identity.bootstrap(ADMIN, PASSWORD)
    assert not await kit.parts.identity.bootstrap("other@example.com", PASSWORD)
    account = (await kit.parts.identity.accounts(COMMAND))[0]
    assert PASSWORD not in account.password_hash
    actor = (
        await kit.parts.identity.session((await kit.parts.identity.sign_in(ADMIN, PASSWORD, "::1"))[0])
        or (None,)
    )[0]
    assert actor is not None
    with pytest.raises(ConflictError):
        await kit.parts.identity.change_account(account.id, actor, enabled=False)


async def test_every_answer_is_shielded(kit: Kit) -> None:
    async with kit.client() as client:
        for path in ("/sign-in", "/api/v1/me", "/static/broadsheet.css", "/nothing", "/api/docs"):
            headers = (await client.get(path)).headers
            assert "frame-ancestors 'none'" in headers["content-security-policy"], path
            assert "script-src 'unsafe-inline'" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
        assert "script-src" not in (await client.get("/sign-in")).headers["content-security-policy"]
        large = await client.post("/api/v1/recipients", content=b"x" * 2_000_001)
        assert large.status_code == 413


async def test_the_api_page_asks_no_other_host(kit: Kit) -> None:
    async with kit.client() as client:
        page = (await client.get("/api/docs")).text
        assets = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert all(asset.startswith("/") and not asset.startswith("//") for asset in assets)
        for asset in assets:
            # The way back to the console leads to the sign-in, as nobody is signed in.
            assert (await client.get(asset)).status_code == (303 if asset == "/" else 200), asset


async def test_run_now_is_one_run_per_key_and_none_when_disabled(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    first = await admin.post("/api/v1/tasks/daily-delays/runs", headers={"Idempotency-Key": "k"})
    again = await admin.post("/api/v1/tasks/daily-delays/runs", headers={"Idempotency-Key": "k"})
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    other = await admin.post("/api/v1/tasks/daily-delays/runs")
    assert other.json()["execution_id"] != first.json()["execution_id"]
    requests = [document async for document in kit.store.collection("config_run_requests").find({})]
    assert len(requests) == 2
    assert all(len(document["outbox"]) == 1 for document in requests)
    await admin.post("/api/v1/tasks/daily-delays/disable")
    refused = await admin.post("/api/v1/tasks/daily-delays/runs")
    assert refused.status_code == 409
    assert "/enable" in refused.json()["remedy"]
    assert (await admin.post("/api/v1/tasks/none/runs")).status_code == 404


RUNS = "/api/v1/tasks/daily-delays/runs"
TEST_MODE = {"address": "me@example.com", "deliver": []}


async def test_options_of_a_run_travel_with_it_and_leave_the_task_alone(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    await configure(admin)
    before = (await admin.get("/api/v1/tasks/daily-delays")).json()
    options = {"test_mode": TEST_MODE, "recipients": ["ann"], "hold": ["storage", "hub"]}
    answer = await admin.post(RUNS, json=options)
    assert (answer.status_code, answer.json()["options"]) == (202, options)
    (request,) = [document async for document in kit.store.collection("config_run_requests").find({})]
    event = TaskTriggered.model_validate_json(request["outbox"][0]["body"])
    assert event.options == RunOptions.model_validate(options)
    assert (await admin.get("/api/v1/tasks/daily-delays")).json() == before
    await kit.record(event)
    shown = (await admin.get(answer.json()["status_url"])).json()
    assert shown["options"] == options


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"test_mod": TEST_MODE}, "test_mod"),
        ({"test_mode": {**TEST_MODE, "adress": "x"}}, "test_mode.adress"),
        ({"test_mode": {"address": "nobody"}}, "test_mode.address"),
        ({"test_mode": {"address": "a@b@c.example"}}, "test_mode.address"),
        ({"test_mode": "me@example.com"}, "test_mode"),
        ({"recipients": []}, "recipients"),
        ({"recipients": ["nobody"]}, "recipients.0"),
        ({"recipients": ["ann", "stranger"]}, "recipients.1"),
        ({"recipients": ["off"]}, "recipients.0"),
        ({"hold": ["email"]}, "hold.0"),
        ([], ""),
        ("me@example.com", ""),
    ],
)
async def test_options_that_do_not_fit_are_refused_and_nothing_runs(
    kit: Kit, admin: httpx.AsyncClient, body: object, field: str
) -> None:
    await configure(admin)
    await admin.post("/api/v1/recipients", json={"id": "stranger", "name": "S", "email": "s@example.com"})
    await admin.post("/api/v1/recipients", json={"id": "off", "name": "O", "enabled": False})
    answer = await admin.post(RUNS, json=body)
    assert answer.status_code == 422, answer.text
    assert [each["field"] for each in answer.json()["problems"]] == [field]
    assert await kit.store.collection("config_run_requests").count_documents({}) == 0


async def test_an_idempotency_key_stands_for_one_body(admin: httpx.AsyncClient) -> None:
    await configure(admin)
    key = {"Idempotency-Key": "k"}
    first = await admin.post(RUNS, json={"test_mode": TEST_MODE}, headers=key)
    same = await admin.post(RUNS, json={"test_mode": TEST_MODE, "hold": []}, headers=key)
    assert first.json() == same.json()
    for other in ({"json": {"hold": ["hub"], "test_mode": TEST_MODE}}, {}):
        refused = await admin.post(RUNS, headers=key, **other)  # type: ignore[arg-type]
        assert refused.status_code == 422
        assert refused.json()["problems"][0]["field"] == "Idempotency-Key"


async def test_no_call_swallows_a_body_or_a_field(admin: httpx.AsyncClient) -> None:
    """Every operation of the API, with a body where it takes none and with a field it does not know."""
    await configure(admin)
    for path, operations in (await admin.get("/api/openapi.json")).json()["paths"].items():
        for method, operation in operations.items():
            url = re.sub(r"\{\w+\}", "x", path)
            takes = operation.get("requestBody", {}).get("content", {})
            content: dict[str, object] = {"json": {"nonsense": 1}}
            if takes and "application/json" not in takes:
                content = {"data": {"nonsense": "1"}, "files": {"file": ("x.html", b"x")}}
            answer = await admin.request(method.upper(), url, **content)  # type: ignore[arg-type]
            assert answer.status_code == 422, f"{method} {path}: {answer.status_code} {answer.text}"
            fields = {each["field"] for each in answer.json()["problems"]}
            assert fields & {"nonsense", ""}, f"{method} {path}: {fields}"


async def _hub(kit: Kit) -> str:
    """Put the file of an execution into the Hub and return its id."""
    ref = await kit.objects.put("a", b"abc", content_type="text/html")
    artifact = ARTIFACT.model_copy(update=ref.model_dump())
    events = [
        event.model_copy(update={"files": (event.files[0].model_copy(update={"artifact": artifact}),)})
        if isinstance(event, DeliverySucceeded)
        else event.model_copy(update={"artifact": artifact})
        if hasattr(event, "artifact")
        else event
        for event in road("a", 1)
    ]
    await kit.record(*events)
    found = await kit.store.collection("view_hub").find_one({})
    assert found is not None
    return str(found["_id"])


async def test_the_hub_shows_and_gives_a_person_only_what_is_theirs(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    file_id = await _hub(kit)
    for name in ("ann", "eve"):
        await admin.post("/api/v1/recipients", json={**RECIPIENT, "id": name})
        await kit.account(Role.READER, f"{name}@example.com", name)
    async with kit.client() as client:
        await _sign_in(client, "ann@example.com")
        assert "report.html" in (await client.get("/hub")).text
        file = await client.get(f"/hub/files/{file_id}")
        assert file.content == b"abc"
        assert file.headers["content-disposition"].startswith("attachment")
        assert file.headers["content-security-policy"].startswith("sandbox")
    async with kit.client() as client:
        await _sign_in(client, "eve@example.com")
        assert "report.html" not in (await client.get("/hub")).text
        hers, nothing = await client.get(f"/hub/files/{file_id}"), await client.get("/hub/files/nothing")
        assert hers.status_code == nothing.status_code == 404
        assert hers.text.replace(file_id, "nothing") == nothing.text
        assert (await client.get(f"/api/v1/hub/files/{file_id}/content")).status_code == 404
    assert (await admin.get("/api/v1/hub/files")).json() == {"items": []}, "an administrator is no recipient"


async def test_status_detail_log_and_files(kit: Kit, admin: httpx.AsyncClient) -> None:
    await _hub(kit)
    execution = road("a", 1)[0].key()
    listed = (await admin.get("/api/v1/executions", params={"outcome": "warning"})).json()["items"]
    assert [item["id"] for item in listed] == [execution]
    assert (await admin.get("/api/v1/executions", params={"outcome": "error"})).json()["items"] == []
    units = (await admin.get(f"/api/v1/executions/{execution}/units")).json()["items"]
    made = next(unit for unit in units if unit["state"] == "generated")
    assert (await admin.get(f"/api/v1/executions/{execution}/units/{made['id']}/file")).content == b"abc"
    other = road("a", 2)[0].key()
    assert (await admin.get(f"/api/v1/executions/{other}/units/{made['id']}/file")).status_code == 404
    gone = await admin.get(f"/api/v1/executions/{execution}/log")
    assert gone.status_code == 410, "the view names a log that is not in the object store"
    async with kit.client() as client:
        await kit.account(Role.DEVELOPER, "dev@example.com")
        await _sign_in(client, "dev@example.com")
        page = await client.get(f"/status/executions/{execution}")
        for text in (
            "Execution of Task",
            "some-reason",
            "mend it",
            "report.html",
            "unknown",
            "o@example.com",
        ):
            assert text in page.text
        assert "Audit trail of this execution" not in page.text
        assert execution in (await client.get("/status")).text
        since = {"since": "2099-01-01"}
        assert execution not in (await client.get("/status", params=since)).text
        missing = await client.get("/status/executions/none")
        assert missing.status_code == 404


async def test_pages_page_on(kit: Kit, admin: httpx.AsyncClient) -> None:
    await kit.record(*(road("a", number)[0] for number in range(7)))
    seen, after = [], None
    while True:
        params = {"limit": "3"} | ({"after": after} if after else {})
        page = (await admin.get("/api/v1/executions", params=params)).json()
        seen += [item["id"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert sorted(seen) == sorted(road("a", number)[0].key() for number in range(7))
    assert len(seen) == 7
    assert (await admin.get("/api/v1/executions", params={"after": "x.y"})).status_code == 422


async def test_tasks_are_switched_and_run_from_the_page_without_scripts(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    await configure(admin)
    await kit.account(Role.DEVELOPER, "dev@example.com")
    async with kit.client() as client:
        await _sign_in(client, "dev@example.com")
        page = (await client.get("/tasks")).text
        assert "<script" not in page
        csrf, key = _hidden(page, "csrf"), _hidden(page, "key")
        ran = await client.post("/tasks/daily-delays/run", data={"csrf": csrf, "key": key})
        again = await client.post("/tasks/daily-delays/run", data={"csrf": csrf, "key": key})
        assert ran.headers["location"] == again.headers["location"], "a button pressed twice is one run"
        assert "has been asked for" in (await client.get(ran.headers["location"])).text
        await client.post("/tasks/switch", data={"csrf": csrf, "id": "daily-delays", "action": "disable"})
        assert 'aria-checked="false"' in (await client.get("/tasks")).text
        refused = await client.post("/tasks/daily-delays/run", data={"csrf": csrf, "key": "other"})
        assert "disabled" in (await client.get(refused.headers["location"])).text


async def test_the_task_list_says_what_an_action_did_and_stays_on_its_page(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    await configure(admin)
    await kit.account(Role.DEVELOPER, "dev@example.com")
    async with kit.client() as client:
        await _sign_in(client, "dev@example.com")
        page = (await client.get("/tasks", params={"after": "aaa"})).text
        form = {"csrf": _hidden(page, "csrf"), "after": _hidden(page, "after"), "action": "disable"}
        nothing = await client.post("/tasks/switch", data=form)
        done = await client.post("/tasks/switch", data={**form, "id": "daily-delays"})

        assert '<option value="daily-delays">' in (await client.get("/status")).text
        assert "No task is selected." in (await client.get(nothing.headers["location"])).text
        assert "/tasks?after=aaa&done=disabled&count=1" == done.headers["location"]
        assert "1 task disabled." in (await client.get(done.headers["location"])).text


async def test_a_refused_sign_in_keeps_the_address(kit: Kit) -> None:
    await kit.account(Role.ADMIN, ADMIN)
    async with kit.client() as client:
        page = (await _sign_in(client, ADMIN, "not the password")).text
    assert f'value="{ADMIN}"' in page
    assert page.index("autofocus") > page.index('id="password"')


async def test_error_pages_keep_the_navigation_and_say_what_to_do(kit: Kit) -> None:
    await kit.account(Role.DEVELOPER, "dev@example.com")
    async with kit.client() as client:
        anonymous = (await client.get("/nowhere")).text
        await _sign_in(client, "dev@example.com")
        missing = await client.get("/nowhere")
        forbidden = await client.get("/audit")

    assert 'aria-label="Main"' not in anonymous
    assert (404, 403) == (missing.status_code, forbidden.status_code)
    assert all('aria-label="Main"' in each.text for each in (missing, forbidden))
    assert "Check the address" in missing.text
    assert "The right belongs to the roles &#39;admin&#39;." in forbidden.text


async def test_the_audit_page_begins_with_the_newest_record_and_says_who_did_what(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    await kit.record(*(event for number in range(12) for event in road(f"e{number}", number)))
    async with kit.client() as client:
        await _sign_in(client, ADMIN)
        first = (await client.get("/audit")).text
        older = re.search(r'href="(/audit[^"]*before=[^"]*)"', first)
        assert older
        second = (await client.get(older.group(1).replace("&amp;", "&"))).text
        since = (await client.get("/audit", params={"since": "2150-01-01"})).text

    def numbers(page: str) -> list[int]:
        return [int(found) for found in re.findall(r'data-label="No\.">(\d+)<', page)]

    assert numbers(first) == sorted(numbers(first), reverse=True)
    assert numbers(first)[-1] - 1 == numbers(second)[0]
    assert "ended with warning" in first
    assert "No record matches the search." in since


async def test_what_people_typed_is_escaped(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    task = (await admin.get("/api/v1/tasks/daily-delays")).json()
    await admin.put(
        "/api/v1/tasks/daily-delays",
        json={**task, "name": "<script>alert(1)</script>"},
        headers={"If-Match": "*"},
    )
    await kit.account(Role.DEVELOPER, "dev@example.com")
    async with kit.client() as client:
        await _sign_in(client, "dev@example.com")
        for path in ("/tasks", "/status?task_id=%22%3E%3Cscript%3E", "/tasks?refused=%3Cscript%3E"):
            assert "<script" not in (await client.get(path)).text


async def test_a_store_that_is_away_is_answered_with_try_again(kit: Kit, admin: httpx.AsyncClient) -> None:
    kit.objects.broken = True
    answer = await admin.post(
        "/api/v1/templates", data={"name": "T"}, files={"file": ("t.html", b"<p>", "text/html")}
    )
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


DEEP = b'{"name": "x", "attributes": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"\xff",
        DEEP,
        b'{"name": 3}',
        b'{"name": "x", "id": "a/b"}',
        b'{"name": "x", "attributes": {"a\\u0000b": "c"}}',
        b'{"name": "\\ud800"}',
    ],
)
async def test_hostile_bodies_are_refused_with_a_problem(admin: httpx.AsyncClient, body: bytes) -> None:
    answer = await admin.post(
        "/api/v1/recipients", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json().get("problems") or answer.json()["remedy"]


@pytest.mark.parametrize("value", ["NaN", "1e999", "9" * 30, '"\\ud800"', '{"a\\u0000": 1}'])
async def test_settings_that_no_store_keeps_are_refused_by_name(admin: httpx.AsyncClient, value: str) -> None:
    body = '{"name": "x", "kind": "cloud", "settings": {"deep": [%s]}}' % value  # noqa: UP031 - braces abound
    answer = await admin.post(
        "/api/v1/connections", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert any(problem["field"].startswith("settings.deep.0") for problem in answer.json()["problems"])


async def test_form_fields_of_an_upload_are_checked_too(admin: httpx.AsyncClient) -> None:
    answer = await admin.post(
        "/api/v1/templates",
        data={"name": "T", "tags": ["x"] * 60},
        files={"file": ("t.html", b"<p>", "text/html")},
    )
    assert answer.status_code == 422, answer.text


async def test_a_parameter_with_a_typing_error_is_refused_and_not_passed_over(
    admin: httpx.AsyncClient,
) -> None:
    """`execution` instead of `execution_id` must not answer with the audit trail of everything."""
    answer = await admin.get("/api/v1/audit", params={"execution": "x", "limit": 5})

    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert problem["field"] == "execution"
    assert "execution_id" in problem["remedy"]


async def test_a_body_without_a_length_that_goes_on_for_too_long_is_too_large(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b'{"name": "'
        for _ in range(30):
            yield b"a" * 100_000

    answer = await admin.post("/api/v1/groups", content=parts(), headers={"Content-Type": "application/json"})
    assert 413 == answer.status_code, answer.text
    assert f"at most {kit.settings.max_request_bytes} bytes" in answer.json()["detail"]


async def test_a_number_that_no_store_takes_is_refused(admin: httpx.AsyncClient) -> None:
    units = "executions/00000000-0000-0000-0000-000000000000/units"
    answers = {
        (query, number): (await admin.get(f"/api/v1/{query}{number}{rest}")).status_code
        for number in (2**63 - 1, 2**63, 10**28, -(2**70))
        for query, rest in (
            (f"{units}?skip=", ""),
            (f"{units}?limit=", ""),
            ("audit?after=", ""),
            ("audit?limit=", ""),
            ("executions?limit=", ""),
            ("executions?after=", ".x"),
            ("audit/verify?expect=", ":" + "0" * 64),
        )
    }
    assert dict.fromkeys(answers, 422) == answers


async def test_an_etag_that_no_store_takes_is_refused(admin: httpx.AsyncClient) -> None:
    await admin.post("/api/v1/groups", json={"id": "g", "name": "G"})
    headers = {"If-Match": f'"{10**28}"'}
    assert 422 == (await admin.put("/api/v1/groups/g", json={"name": "G"}, headers=headers)).status_code
    assert 422 == (await admin.delete("/api/v1/groups/g", headers=headers)).status_code


def test_every_number_in_the_description_has_bounds() -> None:
    """A number without an upper bound reaches the store, which takes 64 bits."""
    unbound = [
        f"{method} {path} {parameter['name']}"
        for path, operations in openapi()["paths"].items()
        for method, operation in operations.items()
        for parameter in operation.get("parameters", ())
        for schema in (parameter["schema"], *parameter["schema"].get("anyOf", ()))
        if schema.get("type") in {"integer", "number"} and not {"maximum", "exclusiveMaximum"} & set(schema)
    ]
    assert [] == unbound
