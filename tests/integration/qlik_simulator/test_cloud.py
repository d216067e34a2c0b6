"""A Cloud tenant: OAuth, reloads, events and webhooks, rate limits, reports."""

import hashlib
import hmac
import io
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from openpyxl import load_workbook
from PIL import Image
from pypdf import PdfReader
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from qlik_simulator.app import Running
from support.receiver import Posted, receiver
from support.simulator import FLIGHTS, Rpc, http
from support.waiting import until

pytestmark = pytest.mark.integration
KEY = {"Authorization": "Bearer sim-api-key"}
Json = dict[str, Any]
FINISHED = "com.qlik.v1.reload.finished"
ENGINE_FINISHED = "com.qlik.v1.app.reload.finished"
UPDATED = "com.qlik.v1.app.data.updated"


@asynccontextmanager
async def tenant(
    simulator: Running, headers: dict[str, str] | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    url = f"http://127.0.0.1:{simulator.http_port}"
    async with httpx.AsyncClient(base_url=url, headers=KEY if headers is None else headers) as client:
        yield client


async def token(simulator: Running, **more: Any) -> httpx.Response:
    asked = {
        "client_id": "sim-client",
        "client_secret": "sim-secret",
        "grant_type": "client_credentials",
        **more,
    }
    async with tenant(simulator, {}) as client:
        return await client.post("/oauth/token", json=asked)


async def test_a_machine_gets_a_token_for_rest_and_for_the_engine_until_it_expires(
    simulator: Running,
) -> None:
    answer = (await token(simulator)).json()
    assert (answer["token_type"], answer["expires_in"]) == ("bearer", 21600)
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    url = f"ws://127.0.0.1:{simulator.http_port}/app/{FLIGHTS}/identity/{uuid.uuid4().hex}/ttl/0"
    async with tenant(simulator, bearer) as client:
        assert (await client.get("/api/v1/users/me")).json()["id"] == "CLOUD\\sim-client"
        async with connect(url, additional_headers=bearer) as socket:
            rpc = Rpc(socket)
            assert (await rpc.read())["method"] == "OnConnected"
            assert await rpc.open()
        async with http(simulator) as control:
            assert (await control.post("/_sim/expire-tokens")).json()["expired"] >= 1
        assert (await client.get("/api/v1/users/me")).status_code == 401
        with pytest.raises(InvalidStatus) as failure:
            async with connect(url, additional_headers=bearer):
                pass
        assert failure.value.response.status_code == 401


async def test_tokens_expire_by_the_clock(simulator: Running) -> None:
    credentials = simulator.site.credentials
    issued = (await token(simulator)).json()["access_token"]
    assert credentials.bearer(issued) == "CLOUD\\sim-client"
    now = credentials.now
    credentials.now = lambda: now() + timedelta(hours=6, seconds=1)
    try:
        assert credentials.bearer(issued) is None
    finally:
        credentials.now = now


async def test_impersonation_and_wrong_clients(simulator: Running) -> None:
    lookup = {"field": "subject", "value": "anna"}
    grant = "urn:qlik:oauth:user-impersonation"
    issued = (await token(simulator, grant_type=grant, user_lookup=lookup)).json()["access_token"]
    async with tenant(simulator, {"Authorization": f"Bearer {issued}"}) as client:
        assert (await client.get("/api/v1/users/me")).json()["id"] == "CLOUD\\anna"
    assert (await token(simulator, client_secret="wrong")).status_code == 401
    assert (await token(simulator, grant_type="password")).status_code == 400
    assert (await token(simulator, grant_type=grant)).status_code == 400


async def test_reloads_are_listed_newest_first_page_by_page(simulator: Running) -> None:
    async with tenant(simulator) as client:
        made = [(await client.post("/api/v1/reloads", json={"appId": FLIGHTS})) for _ in range(3)]
        assert [answer.status_code for answer in made] == [201] * 3
        assert made[0].json()["status"] == "QUEUED"
        ids = [answer.json()["id"] for answer in made]

        async def all_done() -> bool:
            found = [(await client.get(f"/api/v1/reloads/{one}")).json()["status"] for one in ids]
            return found == ["SUCCEEDED"] * 3

        await until(all_done, every=0.01)
        query: dict[str, str | int] = {"appId": FLIGHTS, "limit": 2, "filter": 'status eq "SUCCEEDED"'}
        first = (await client.get("/api/v1/reloads", params=query)).json()
        assert [entry["id"] for entry in first["data"]] == [ids[2], ids[1]]
        following = (await client.get(first["links"]["next"]["href"])).json()
        assert following["data"][0]["id"] == ids[0]
        assert (await client.get("/api/v1/reloads/none")).status_code == 404
        assert (await client.post("/api/v1/reloads", json={"appId": "none"})).status_code == 404


async def webhook(client: httpx.AsyncClient, url: str, **more: Any) -> str:
    asked = {"name": "w", "url": url, "eventTypes": [FINISHED], "secret": "s3cret", **more}
    answer = await client.post("/api/v1/webhooks", json=asked)
    assert answer.status_code == 201, answer.text
    assert "secret" not in answer.json()
    found: str = answer.json()["id"]
    return found


async def test_a_reload_sends_signed_events_in_their_order(simulator: Running) -> None:
    async with tenant(simulator) as client, receiver() as hook, http(simulator) as control:
        made = await webhook(
            client, hook.url, eventTypes=[FINISHED, ENGINE_FINISHED, UPDATED], enableCloudEventDelivery=True
        )
        done = (await control.post("/_sim/reload", json={"app_id": FLIGHTS})).json()
        posted = await hook.wait(lambda found: len(found) == 3)
        assert {one.body["type"] for one in posted} == {FINISHED, ENGINE_FINISHED, UPDATED}
        for one in posted:
            expected = hmac.new(b"s3cret", one.raw, hashlib.sha256).hexdigest()
            assert one.headers["qlik-signature"] == expected
            assert one.headers["user-agent"] == "Qlik Webhook"
            assert one.body["toplevelresourceid"] == FLIGHTS
        finished = next(one.body for one in posted if one.body["type"] == FINISHED)
        assert finished["data"]["id"] == done["cloud_reload_id"]
        assert (finished["data"]["status"], finished["data"]["succeeded"]) == ("SUCCEEDED", True)
        await client.delete(f"/api/v1/webhooks/{made}")


async def test_a_failed_reload_says_so_and_updates_no_data(simulator: Running) -> None:
    async with tenant(simulator) as client, receiver() as hook, http(simulator) as control:
        made = await webhook(client, hook.url, eventTypes=[FINISHED, UPDATED])
        await control.post("/_sim/reload", json={"app_id": FLIGHTS, "status": "fail", "message": "no table"})
        posted = await hook.wait(lambda found: len(found) == 1)
        assert posted[0].body["data"]["status"] == "FAILED"
        assert posted[0].body["data"]["errorMessage"] == "no table"
        await client.delete(f"/api/v1/webhooks/{made}")


@pytest.mark.parametrize("envelope", ["legacy", "hybrid", "cloudevent"])
async def test_three_envelopes(simulator: Running, envelope: str) -> None:
    async with tenant(simulator) as client, receiver() as hook, http(simulator) as control:
        made = await webhook(client, hook.url)
        await control.post("/_sim/policy", json={"envelope": envelope})
        await control.post("/_sim/reload", json={"app_id": FLIGHTS})
        body = (await hook.wait(lambda found: len(found) == 1))[0].body
        assert ("eventType" in body) == (envelope in {"legacy", "hybrid"})
        assert ("type" in body) == (envelope in {"cloudevent", "hybrid"})
        assert (body.get("type") or body["eventType"]) == FINISHED
        assert body["data"]["appId"] == FLIGHTS
        await control.post("/_sim/policy", json={"envelope": "hybrid"})
        await client.delete(f"/api/v1/webhooks/{made}")


async def test_a_failed_delivery_is_in_the_history_and_can_be_sent_again(simulator: Running) -> None:
    async with tenant(simulator) as client, receiver() as hook, http(simulator) as control:
        made = await webhook(client, hook.url, filter='data.status eq "SUCCEEDED"')
        hook.status = 302  # a redirect is a failure
        await control.post(
            "/_sim/reload", json={"app_id": FLIGHTS, "status": "fail"}
        )  # does not pass the filter
        await control.post("/_sim/reload", json={"app_id": FLIGHTS})
        failed: list[Json] = []

        async def recorded() -> bool:
            history = await client.get(f"/api/v1/webhooks/{made}/deliveries", params={"status": "fail"})
            failed[:] = [entry for entry in history.json()["data"] if entry["statusCode"] == 302]
            return len(failed) == 1

        await until(recorded, every=0.01)
        hook.status = 200
        resend = f"/api/v1/webhooks/{made}/deliveries/{failed[0]['id']}/actions/resend"
        assert (await client.post(resend)).status_code == 204
        posted: list[Posted] = await hook.wait(lambda found: len(found) == 2)
        ids = {one.body["id"] for one in posted}
        assert ids == {failed[0]["eventId"]}
        await client.patch(
            f"/api/v1/webhooks/{made}", json=[{"op": "replace", "path": "/enabled", "value": False}]
        )
        assert (await client.get(f"/api/v1/webhooks/{made}")).json()["enabled"] is False
        await control.post("/_sim/reload", json={"app_id": FLIGHTS})
        assert len(hook.posted) == 2
        await client.delete(f"/api/v1/webhooks/{made}")
        assert (await client.get(f"/api/v1/webhooks/{made}")).status_code == 404


async def test_over_the_limit_the_whole_tier_is_blocked_for_that_user_only(simulator: Running) -> None:
    async with http(simulator) as control, tenant(simulator) as client:
        await control.post("/_sim/policy", json={"limits": {"tier1": 1}})
        try:
            answers = [await client.get("/api/v1/items") for _ in range(6)]
            assert [answer.status_code for answer in answers] == [200] * 5 + [429]
            assert 0 < int(answers[5].headers["retry-after"]) <= 300
            assert answers[5].json()["errors"][0]["code"] == "HTTP-429"
            assert (await client.get("/api/v1/users/me")).status_code == 429
            other = (await token(simulator)).json()["access_token"]
            async with tenant(simulator, {"Authorization": f"Bearer {other}"}) as somebody:
                assert (await somebody.get("/api/v1/users/me")).status_code == 200
        finally:
            await control.post("/_sim/policy", json={"limits": {"tier1": 1000}})


async def test_429_on_command(simulator: Running) -> None:
    async with http(simulator) as control, tenant(simulator) as client:
        fault = {"kind": "refuse", "code": 429, "seconds": 13, "method": "/api/v1/reloads"}
        await control.post("/_sim/fault", json={"place": "cloud", "fault": fault})
        answer = await client.get("/api/v1/reloads")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "13")
        assert (await client.get("/api/v1/reloads")).status_code == 200


def image(visualization: str = "bar-airlines", **more: Any) -> Json:
    shape = {"id": visualization, "type": "visualization", "widthPx": 320, "heightPx": 200}
    return {
        "type": "sense-image-1.0",
        "output": {"outputId": "out", "type": "image", "imageOutput": {"outFormat": "png", "outDpi": 96}},
        "senseImageTemplate": {"appId": FLIGHTS, "visualization": shape, **more},
    }


async def made(client: httpx.AsyncClient, asked: Json) -> tuple[Json, Json]:
    answer = await client.post("/api/v1/reports", json=asked)
    assert answer.status_code == 202, answer.text
    status: Json = {}

    async def settled() -> bool:
        status.update((await client.get(answer.headers["location"])).json())
        return status["status"] in {"done", "failed"}

    await until(settled, every=0.01, what="the report")
    outputs = (await client.get(answer.json()["outputsUrl"])).json()
    return status, outputs["data"][0]


async def test_a_report_of_a_chart_is_a_real_picture_of_its_data(simulator: Running) -> None:
    async with tenant(simulator) as client:
        _, whole = await made(client, image())
        content = (await client.get(whole["location"])).content
        picture = Image.open(io.BytesIO(content))
        assert (picture.format, picture.size) == ("PNG", (320, 200))
        assert len(content) == whole["sizeBytes"]
        states = {"$": [{"fieldName": "origin", "defaultIsNumeric": False, "values": [{"text": "JFK"}]}]}
        _, filtered = await made(client, image(selectionsByState=states))
        other = (await client.get(filtered["location"])).content
        assert other != content


async def test_reports_as_workbook_and_pdf(simulator: Running) -> None:
    data = {
        "type": "sense-data-1.0",
        "output": {"outputId": "out", "type": "xlsx"},
        "senseDataTemplate": {"appId": FLIGHTS, "id": "bar-airlines"},
    }
    sheet = {
        "type": "sense-sheet-1.0",
        "output": {"outputId": "out", "type": "pdf"},
        "senseSheetTemplate": {
            "appId": FLIGHTS,
            "sheet": {"id": "sheet-overview", "widthPx": 800, "heightPx": 600},
        },
    }
    async with tenant(simulator) as client:
        _, output = await made(client, data)
        workbook = load_workbook(io.BytesIO((await client.get(output["location"])).content))
        rows = list(workbook["Sheet1"].values)
        assert rows[0] == ("Airline", "Flights")
        assert rows[1] == ("United Air Lines Inc.", 58665)
        assert len(rows) == 17
        _, output = await made(client, sheet)
        assert len(PdfReader(io.BytesIO((await client.get(output["location"])).content)).pages) == 1


async def test_reports_that_fail_say_why(simulator: Running) -> None:
    async with tenant(simulator) as client, http(simulator) as control:
        states = {"$": [{"fieldName": "origin", "values": [{"text": "nowhere"}]}]}
        status, _ = await made(client, image(selectionsByState=states))
        assert (status["status"], status["reasons"][0]["code"]) == ("failed", "REP-400008")
        status, _ = await made(client, image("no-such-object"))
        assert status["reasons"][0]["code"] == "REP-404002"
        fault = {"kind": "fail", "topic": "REP-409046"}
        await control.post("/_sim/fault", json={"place": "report", "fault": fault})
        status, _ = await made(client, image())
        assert status["reasons"][0]["code"] == "REP-409046"
        bad = {**image(), "type": "composition-1.0"}
        answer = await client.post("/api/v1/reports", json=bad)
        assert answer.status_code == 400
        assert "composition-1.0" in answer.json()["errors"][0]["detail"]


async def test_a_report_that_insists_on_its_data_fails_when_the_app_is_reloaded(simulator: Running) -> None:
    async with tenant(simulator) as client, http(simulator) as control:
        await control.post("/_sim/policy", json={"report_seconds": 0.3})
        answer = await client.post("/api/v1/reports", json=image(reloadTimestampMatchType="requestTimeExact"))
        await control.post("/_sim/reload", json={"app_id": FLIGHTS})
        status: Json = {}

        async def settled() -> bool:
            status.update((await client.get(answer.headers["location"])).json())
            return status["status"] in {"done", "failed"}

        await until(settled, every=0.02)
        await control.post("/_sim/policy", json={"report_seconds": 0})
        assert status["reasons"][0]["code"] == "REP-409021"


async def test_an_output_expires(simulator: Running) -> None:
    async with tenant(simulator) as client:
        _, output = await made(client, {**image(), "meta": {"outputTtl": 0}})
        assert (await client.get(output["location"])).status_code == 410
