"""Qlik sites over REST and in the console: how each is, what it has, and what names an app it has not."""

import copy
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet

from config_api.adapters.site_apps import QlikSiteApps
from config_api.domain.rights import Role
from config_api.domain.sites import SiteApp, SiteError
from contracts.configuration import Connection
from contracts.sites import PushKind, SitePush
from runtime.secrets import Sealer
from scheduler.adapters.sites import MongoSiteStates
from support.config_api_kit import CONNECTION, PASSWORD, REPORT, TASK, Kit, configure
from support.listening import client_managed, small_site
from support.loopback import LOOPBACK
from support.qlik_site import FLIGHTS

pytestmark = pytest.mark.integration
APPS = (
    SiteApp("flights", "Flights", "Everyone", reloaded_at=datetime(2026, 3, 1, tzinfo=UTC)),
    SiteApp("b-1", "budget <script>", "Finance"),
    SiteApp("a-1", "Accounts", "Finance"),
)


@pytest.fixture
async def browser(kit: Kit) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody signed in."""
    async with kit.client() as client:
        await kit.account(Role.DEVELOPER, "developer@example.com")
        page = await client.get("/sign-in")
        found = re.search(r'name="nonce" value="([^"]+)"', page.text)
        assert found
        form = {"nonce": found[1], "email": "developer@example.com", "password": PASSWORD}
        assert 303 == (await client.post("/sign-in", data=form)).status_code
        yield client


async def test_apps_are_listed_by_name_searched_and_paged(kit: Kit, admin: httpx.AsyncClient) -> None:
    kit.site_apps.apps["qlik"] = APPS
    await configure(admin)

    async def names(**params: Any) -> list[str]:
        answer = (await admin.get("/api/v1/connections/qlik/apps", params=params)).json()
        return [each["name"] for each in answer["items"]]

    assert ["Accounts", "budget <script>", "Flights"] == await names()
    assert ["Accounts", "budget <script>"] == await names(search="FINANCE")
    assert ["budget <script>"] == await names(search="finance b-1")
    assert [] == await names(search="nothing")
    first = (await admin.get("/api/v1/connections/qlik/apps", params={"limit": 2})).json()
    assert ("b-1", 3) == (first["next"], first["total"])
    assert ["Flights"] == await names(limit=2, after=first["next"])
    gone = await admin.get("/api/v1/connections/qlik/apps", params={"after": "gone"})
    assert 422 == gone.status_code


async def test_a_site_that_cannot_be_asked_says_what_is_wrong(admin: httpx.AsyncClient) -> None:
    await configure(admin)
    answer = await admin.get("/api/v1/connections/qlik/apps")

    assert 502 == answer.status_code
    assert "not reachable" in answer.json()["detail"]
    assert answer.json()["remedy"]
    assert 404 == (await admin.get("/api/v1/connections/none/apps")).status_code


async def test_readers_see_no_sites(kit: Kit, admin: httpx.AsyncClient) -> None:
    await configure(admin)
    reader = await kit.account(Role.READER, "reader@example.com")
    for call in (kit.parts.sites.all(reader), kit.parts.sites.get("qlik", reader)):
        with pytest.raises(Exception, match="does not have the right 'configuration'"):
            await call
    async with kit.client() as nobody:
        assert 401 == (await nobody.get("/api/v1/connections/qlik/apps")).status_code
        assert 401 == (await nobody.get("/api/v1/connections/qlik/status")).status_code
        assert "/sign-in" == (await nobody.get("/sites")).headers["location"]


async def test_what_the_listener_wrote_is_shown_and_how_old_it_is(
    kit: Kit, admin: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    await configure(admin)
    kit.site_apps.apps["qlik"] = APPS
    states, now = MongoSiteStates(kit.store, poll_every_s=10), kit.clock.now()

    async def health() -> str:
        answer = (await admin.get("/api/v1/connections/qlik/status")).json()
        assert f'class="tag {TAGS[answer["health"]]}"' in (await browser.get("/sites")).text
        return str(answer["health"])

    assert "unwatched" == await health()
    await states.read("qlik", now, 2.5)
    assert "polled" == await health()
    push = SitePush(kind=PushKind.SUBSCRIPTION, working=True, id="handle-1", since=now)
    await states.push_is("qlik", now, push)
    await states.pushed("qlik", now)
    assert "good" == await health()
    await states.failed("qlik", now, "GET /qrs/about: HTTP 403")
    await states.mended("qlik", now, "the webhook was switched off")
    assert "failing" == await health()

    answer = (await admin.get("/api/v1/connections/qlik/status")).json()
    assert (2.5, "handle-1", True) == (answer["lag_s"], answer["push"]["id"], answer["push"]["working"])
    assert "GET /qrs/about: HTTP 403" == answer["problem"]["message"]
    page = (await browser.get("/sites/qlik")).text
    for text in ("HTTP 403", "handle-1", "switched off", "2.5 s after its end"):
        assert text in page
    kit.clock.advance(timedelta(minutes=2))
    assert "silent" == await health()


TAGS = {
    "good": "success",
    "polled": "warning",
    "failing": "error",
    "silent": "error",
    "unwatched": "skipped",
}


async def test_the_page_of_a_site_lists_its_apps_with_their_ids(
    kit: Kit, admin: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    await configure(admin)
    kit.site_apps.apps["qlik"] = tuple(SiteApp(f"id-{n:03}", f"App {n:03}") for n in range(60)) + APPS

    assert 'href="/sites/qlik"' in (await browser.get("/sites")).text
    first = (await browser.get("/sites/qlik")).text
    assert '<code class="copy">id-000</code>' in first
    more = re.search(r'href="([^"]+)" rel="next"', first)
    assert more
    second = (await browser.get(more[1].replace("&amp;", "&"))).text
    assert "budget &lt;script&gt;" in second
    assert "id-000" not in second
    searched = (await browser.get("/sites/qlik", params={"search": "flights"})).text
    assert '<code class="copy">flights</code>' in searched
    assert "id-000" not in searched
    assert "id-000" in (await browser.get("/sites/qlik", params={"after": "gone"})).text
    assert "No app matches the search" in (await browser.get("/sites/qlik", params={"search": "zzz"})).text


async def test_the_page_of_a_site_that_is_down_is_shown_all_the_same(
    admin: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    await configure(admin)
    page = await browser.get("/sites/qlik")

    assert 200 == page.status_code
    assert "not reachable" in page.text


def with_app(app_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    report, task = copy.deepcopy(REPORT), copy.deepcopy(TASK)
    report["app_id"] = app_id
    task["triggers"] = [
        {"kind": "qlik-reload", "id": "t1", "connection_id": "qlik", "app_id": app_id},
        {
            "kind": "qlik-reload-any",
            "id": "t2",
            "apps": [
                {"connection_id": "qlik", "app_id": "flights"},
                {"connection_id": "qlik", "app_id": app_id},
            ],
        },
    ]
    return report, task


async def test_a_trigger_that_names_an_app_the_site_has_not_is_refused_and_a_report_is_warned_about(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    kit.site_apps.apps["qlik"] = APPS
    await configure(admin)
    report, task = with_app("typed-wrong")

    put = await admin.put("/api/v1/reports/delays", json=report, headers={"If-Match": "*"})
    refused = await admin.put("/api/v1/tasks/daily-delays", json=task, headers={"If-Match": "*"})

    assert 200 == put.status_code
    assert ["app_id"] == [each["field"] for each in put.json()["warnings"]]
    assert 422 == refused.status_code
    assert ["triggers.0.app_id", "triggers.1.apps.1.app_id"] == [
        each["field"] for each in refused.json()["problems"]
    ]
    assert ("qlik", True) in kit.site_apps.asked, "an app made just now is looked for in a fresh list"
    again = await admin.put("/api/v1/reports/delays", json=put.json(), headers={"If-Match": "*"})
    assert (200, False) == (again.status_code, "warnings" in again.json())


async def test_while_a_site_is_down_its_apps_are_taken_with_a_warning(
    kit: Kit, admin: httpx.AsyncClient
) -> None:
    await configure(admin)
    _, task = with_app("who-knows")

    taken = await admin.put("/api/v1/tasks/daily-delays", json=task, headers={"If-Match": "*"})

    assert 200 == taken.status_code
    assert all("not reachable" in each["message"] for each in taken.json()["warnings"])
    assert 2 == len(taken.json()["warnings"])
    # what was accepted is not asked about again when something else is changed
    kit.site_apps.apps["qlik"] = APPS
    kit.site_apps.asked.clear()
    task["description"] = "another"
    assert (
        200
        == (await admin.put("/api/v1/tasks/daily-delays", json=task, headers={"If-Match": "*"})).status_code
    )
    assert [] == kit.site_apps.asked


def apps_of_sites(timeout_s: float = 5) -> QlikSiteApps:
    return QlikSiteApps(Sealer([Fernet.generate_key().decode()]), egress=LOOPBACK, timeout_s=timeout_s)


async def test_the_apps_of_a_real_site_are_read_and_kept_for_a_moment(tmp_path: Path) -> None:
    async with small_site(tmp_path / "site") as simulated:
        connection = client_managed(simulated)
        ask = apps_of_sites()
        (app,) = await ask(connection)
        assert (FLIGHTS, "Small") == (app.id, app.name)
        await simulated.control(
            "POST",
            "/_sim/fault",
            json={"place": "qrs", "fault": {"kind": "refuse", "code": 403, "times": 9}},
        )
        assert (app,) == await ask(connection)
        with pytest.raises(SiteError, match="403"):
            await ask(connection, fresh=True)


async def test_a_site_that_hangs_is_given_up_and_a_wrong_connection_is_told() -> None:
    connection = Connection.model_validate(CONNECTION)
    with pytest.raises(SiteError, match=r"did not list its apps within 0\.01 seconds|not reachable"):
        await apps_of_sites(0.01)(connection)
    broken = connection.model_copy(update={"settings": {"engine_url": "nowhere"}})
    with pytest.raises(SiteError, match="engine_url"):
        await apps_of_sites()(broken)
