"""The repository: the xrfkey check, entities and filters, tasks, change subscriptions and their callbacks."""

import asyncio

import httpx
import pytest

from qlik_simulator.app import Running
from qlik_simulator.repository import NO_ID
from support.receiver import receiver
from support.simulator import FLIGHTS, XRFKEY, engine, http
from support.waiting import until

pytestmark = pytest.mark.integration


async def test_a_call_without_matching_xrfkeys_is_refused(simulator: Running) -> None:
    async with http(simulator) as client:
        assert (await client.get("/qrs/about")).status_code == 200
        assert (
            await client.get("/qrs/about", headers={"X-Qlik-Xrfkey": "fedcba9876543210"})
        ).status_code == 400
        assert (await client.get("/qrs/about", params={"xrfkey": "short"})).status_code == 400


async def test_a_call_without_a_user_is_refused(simulator: Running) -> None:
    async with http(simulator, {"X-Qlik-Xrfkey": XRFKEY}) as client:
        assert (await client.get("/qrs/app/full")).status_code == 403


async def test_apps_and_tasks_can_be_found_by_filter(simulator: Running) -> None:
    async with http(simulator) as client:
        apps = (
            await client.get("/qrs/app/full", params={"filter": "name eq 'Flights' and published eq true"})
        ).json()
        assert [app["id"] for app in apps] == [FLIGHTS]
        assert (await client.get(f"/qrs/app/{FLIGHTS}")).json()["name"] == "Flights"
        assert (await client.get("/qrs/app/full", params={"filter": "name sw 'X'"})).json() == []
        tasks = (await client.get("/qrs/reloadtask/full", params={"filter": f"app.id eq {FLIGHTS}"})).json()
        assert [task["app"]["name"] for task in tasks] == ["Flights"]
        assert (await client.get("/qrs/app/full", params={"filter": "name is 'X'"})).status_code == 400
        assert (await client.get("/qrs/app/11111111-1111-1111-1111-111111111111")).status_code == 404


async def test_a_table_gives_columns_of_a_slice(simulator: Running) -> None:
    async with http(simulator) as client:
        body = {"columns": [{"name": "n", "columnType": "Property", "definition": "name"}]}
        answer = await client.post("/qrs/app/table", params={"skip": 0, "take": 1}, json=body)
        assert answer.json() == {"columnNames": ["n"], "rows": [["Flights"]]}
        assert (await client.get("/qrs/app/count")).json() == {"value": 1}


async def test_a_reload_goes_through_several_updates_and_ends_in_one_success(simulator: Running) -> None:
    async with http(simulator) as client, receiver() as callbacks:
        params: dict[str, str | int] = {"name": "ExecutionResult", "changetype": 2}
        handle = (await client.post("/qrs/notification", params=params, json=callbacks.url)).json()["value"]
        before = (await client.get(f"/qrs/app/{FLIGHTS}")).json()["lastReloadTime"]
        done = (await client.post("/_sim/reload", json={"app_id": FLIGHTS})).json()
        posted = await callbacks.wait(lambda found: len(found) == 4)
        changes = [change for one in posted for change in one.body]
        assert {change["objectID"] for change in changes} == {done["execution_result_id"]}
        assert {change["objectType"] for change in changes} == {"ExecutionResult"}
        assert {change["changeType"] for change in changes} == {2}
        assert ["modifiedDate", "stopTime", "duration"] in [change["changedProperties"] for change in changes]
        result = (await client.get(f"/qrs/executionresult/{done['execution_result_id']}")).json()
        assert (result["status"], result["appID"]) == (7, FLIGHTS)
        query = {"filter": f"executionID eq {done['execution_id']} and status eq 7"}
        assert len((await client.get("/qrs/executionresult/full", params=query)).json()) == 1
        assert (await client.get(f"/qrs/app/{FLIGHTS}")).json()["lastReloadTime"] > before
        assert (await client.delete("/qrs/notification", params={"handle": handle})).status_code == 204


async def test_a_failed_reload_leaves_the_old_data(simulator: Running) -> None:
    async with http(simulator) as client:
        before = (await client.get(f"/qrs/app/{FLIGHTS}")).json()["lastReloadTime"]
        command = {"app_id": FLIGHTS, "status": "fail", "message": "table not found"}
        done = (await client.post("/_sim/reload", json=command)).json()
        result = (await client.get(f"/qrs/executionresult/{done['execution_result_id']}")).json()
        assert result["status"] == 8
        assert result["details"][0]["message"] == "table not found"
        assert (await client.get(f"/qrs/app/{FLIGHTS}")).json()["lastReloadTime"] == before


async def test_an_open_session_keeps_its_reload_time_and_a_new_one_sees_the_new(simulator: Running) -> None:
    async with http(simulator) as client, engine(simulator) as before:
        doc = await before.open()
        old = (await before.call(doc, "GetAppLayout"))["qLayout"]["qLastReloadTime"]
        done = (await client.post("/_sim/reload", json={"app_id": FLIGHTS})).json()
        assert (await before.call(doc, "GetAppLayout"))["qLayout"]["qLastReloadTime"] == old
        async with engine(simulator) as after:
            layout = (await after.call(await after.open(), "GetAppLayout"))["qLayout"]
            assert layout["qLastReloadTime"] == done["last_reload_time"] > old


async def test_a_started_task_has_a_session_until_it_is_over(simulator: Running) -> None:
    async with http(simulator) as client:
        task = (await client.get("/qrs/reloadtask/full")).json()[0]
        command = asyncio.create_task(client.post("/_sim/reload", json={"app_id": FLIGHTS, "seconds": 0.3}))
        running: list[dict[str, str]] = []

        async def runs() -> bool:
            running[:] = (await client.get("/qrs/executionsession/full")).json()
            return bool(running)

        await until(runs, every=0.01, what="the execution session")
        again = (await client.post(f"/qrs/task/{task['id']}/start/synchronous")).json()
        assert again == {"value": NO_ID}  # it runs already
        await command
        assert (await client.get(f"/qrs/executionsession/{running[0]['id']}")).status_code == 404
        started = (await client.post(f"/qrs/task/{task['id']}/start/synchronous")).json()["value"]
        assert started != NO_ID

        async def is_over() -> bool:
            return (await client.get(f"/qrs/executionsession/{started}")).status_code == 404

        await until(is_over, every=0.01, what="the end of the execution session")


async def test_a_disabled_task_does_not_start(simulator: Running) -> None:
    async with http(simulator) as client:
        task = (await client.post("/_sim/task", json={"app_id": FLIGHTS, "enabled": False})).json()
        assert (await client.post(f"/qrs/task/{task['id']}/start/synchronous")).json() == {"value": NO_ID}
        await client.post("/_sim/task", json={"app_id": FLIGHTS, "enabled": True})


async def test_a_reload_in_the_editor_leaves_no_execution_but_changes_the_app(simulator: Running) -> None:
    async with http(simulator) as client, receiver() as callbacks:
        params: dict[str, str | int] = {"name": "App", "changetype": 2}
        handle = (await client.post("/qrs/notification", params=params, json=callbacks.url)).json()["value"]
        count = (await client.get("/qrs/executionresult/count")).json()
        await client.post("/_sim/reload", json={"app_id": FLIGHTS, "with_task": False})
        posted = await callbacks.wait(lambda found: len(found) == 1)
        assert "lastReloadTime" in posted[0].body[0]["changedProperties"]
        assert (await client.get("/qrs/executionresult/count")).json() == count
        await client.delete("/qrs/notification", params={"handle": handle})


async def test_subscription_filters_and_forgotten_subscriptions(simulator: Running) -> None:
    async with http(simulator) as client, receiver() as callbacks:
        params: dict[str, str | int] = {"name": "ExecutionResult", "changetype": 2, "filter": "status eq 8"}
        await client.post("/qrs/notification", params=params, json=callbacks.url)
        await client.post("/_sim/reload", json={"app_id": FLIGHTS})
        await client.post("/_sim/reload", json={"app_id": FLIGHTS, "status": "fail"})
        posted = await callbacks.wait(lambda found: len(found) == 3)
        failed = {change["objectID"] for one in posted for change in one.body}
        assert len(failed) == 1
        assert (await client.post("/_sim/forget-subscriptions")).json() == {"forgotten": 1}
        await client.post("/_sim/reload", json={"app_id": FLIGHTS, "status": "fail"})
        assert (await client.get("/_sim/state")).json()["subscriptions"] == []
        assert len(callbacks.posted) == 3


@pytest.mark.parametrize(("kind", "expected"), [("lose", 3), ("duplicate", 5)])
async def test_callbacks_can_be_lost_and_doubled(simulator: Running, kind: str, expected: int) -> None:
    async with http(simulator) as client, receiver() as callbacks:
        await client.post(
            "/qrs/notification", params={"name": "ExecutionResult", "changetype": 2}, json=callbacks.url
        )
        fault = {"place": "callback", "fault": {"kind": kind, "method": "ExecutionResult"}}
        assert (await client.post("/_sim/fault", json=fault)).status_code == 201
        await client.post("/_sim/reload", json={"app_id": FLIGHTS})
        assert len(await callbacks.wait(lambda found: len(found) == expected)) == expected
        await client.post("/_sim/forget-subscriptions")


async def test_callbacks_can_overtake_each_other(simulator: Running) -> None:
    async with http(simulator) as client, receiver() as callbacks:
        await client.post(
            "/qrs/notification", params={"name": "ExecutionResult", "changetype": 2}, json=callbacks.url
        )
        fault = {"place": "callback", "fault": {"kind": "late", "method": "ExecutionResult", "seconds": 0.3}}
        await client.post("/_sim/fault", json=fault)
        await client.post("/_sim/reload", json={"app_id": FLIGHTS})
        posted = await callbacks.wait(lambda found: len(found) == 4)
        assert "startTime" in posted[-1].body[0]["changedProperties"]  # the first change came last
        await client.post("/_sim/forget-subscriptions")


@pytest.mark.parametrize("code", [302, 500])
async def test_a_lost_proxy_session_can_look_like_a_redirect_or_like_a_broken_server(
    simulator: Running, code: int
) -> None:
    async with http(simulator) as client:
        text = "Authentication error: Restart the browser"
        fault = {
            "place": "qrs",
            "fault": {"kind": "refuse", "code": code, "topic": text, "method": "/qrs/app/*"},
        }
        await client.post("/_sim/fault", json=fault)
        assert (await client.get("/qrs/about")).status_code == 200
        answer = await client.get("/qrs/app/full")
        assert answer.status_code == code
        assert ("location" in answer.headers) == (code == 302)
        assert (await client.get("/qrs/app/full")).status_code == 200


async def test_the_control_api_refuses_what_it_does_not_know(simulator: Running) -> None:
    async with http(simulator) as client:
        for fault in ({"kind": "explode"}, {"kind": "drop", "colour": "red"}, {}):
            answer = await client.post("/_sim/fault", json={"place": "engine", "fault": fault})
            assert answer.status_code == 422
        assert (await client.post("/_sim/policy", json={"limits": {"tier9": 1}})).status_code == 422
        assert (await client.post("/_sim/reload", json={"app_id": "nowhere"})).status_code == 404
        assert isinstance(client, httpx.AsyncClient)
