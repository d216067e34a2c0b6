"""The check says of each step what works, what does not, and what to do; and asks what is open about Qlik."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from qlik import ApiKeyAuth, ConfigurationError, Limits, OAuthM2MAuth, QlikClient, QlikSite, TicketAuth
from qlik.check import Step, Wishes, check
from qlik.command import main
from qlik.unsettled import QUESTIONS, Answer, ask
from support.qlik_site import FLIGHTS, SimulatedSite

pytestmark = pytest.mark.integration

OK = [
    ("name", "ok"), ("TLS", "ok"), ("sign-in", "ok"), ("repository", "ok"), ("session", "ok"),
    ("list of apps", "ok"), ("open an app", "ok"), ("read an object", "ok"), ("selection proof", "ok"),
    ("event subscription", "ok"),
]  # fmt: skip


async def walked(client: QlikClient, **wishes: str) -> list[Step]:
    return [step async for step in check(client, Wishes(**wishes))]


def outcomes(steps: list[Step]) -> dict[str, str]:
    return {step.name: step.outcome for step in steps}


async def answered(client: QlikClient, app_id: str = FLIGHTS) -> dict[str, Answer]:
    return {answer.question: answer async for answer in ask(client, app_id)}


def tenant(simulated: SimulatedSite, key: str | None = None) -> QlikClient:
    auth = (
        ApiKeyAuth(key=SecretStr(key))
        if key
        else OAuthM2MAuth(client_id="sim-client", client_secret=SecretStr("sim-secret"))
    )
    url, web = simulated.http_url, simulated.http_url.replace("http", "ws")
    limits = Limits(connect_s=5, open_s=20, call_s=20, ttl_s=0)
    return QlikClient(QlikSite(kind="cloud", engine_url=web, tenant_url=url, auth=auth, limits=limits))


async def test_a_good_connection_passes_every_step(simulated: SimulatedSite) -> None:
    before = await simulated.control("GET", "/_sim/state")
    async with simulated.client() as client:
        steps = await walked(client)
    assert OK == [(step.name, step.outcome) for step in steps]
    details = {step.name: step.detail for step in steps}
    assert "sa_engine" in details["session"]
    assert "'Flights'" in details["open an app"]
    assert "1 rows" in details["read an object"]
    assert "read back" in details["selection proof"]
    after = await simulated.control("GET", "/_sim/state")
    assert before["subscriptions"] == after["subscriptions"]


async def test_a_tenant_passes_every_step_and_keeps_no_webhook(simulated: SimulatedSite) -> None:
    async with tenant(simulated) as client:
        steps = await walked(client, callback="http://127.0.0.1:9/here", object_id="table-airlines")
        assert {"ok"} == {step.outcome for step in steps}, steps
        assert [] == [hook async for hook in client.tenant.rest.pages("/api/v1/webhooks")]
        without = await walked(client)
    assert "none was made" in without[-1].detail
    assert "--callback" in without[-1].remedy


async def test_what_fails_names_what_to_do_and_what_builds_on_it_is_skipped(simulated: SimulatedSite) -> None:
    async with simulated.client() as client:
        steps = await walked(client, app_id="nope")
    failed = [step for step in steps if step.outcome == "failed"]
    assert ["open an app"] == [step.name for step in failed]
    assert failed[0].remedy
    found = outcomes(steps)
    assert ("skipped", "skipped", "ok") == (
        found["read an object"], found["selection proof"], found["event subscription"],
    )  # fmt: skip


async def test_a_name_nobody_knows_is_told_apart_from_a_port_nobody_listens_at(
    simulated: SimulatedSite,
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    urls = {"name": "ws://no-such-host.invalid:4747", "TLS": f"ws://127.0.0.1:{port}"}
    for step, url in urls.items():
        site = simulated.site().model_copy(update={"engine_url": url, "qrs_url": None})
        async with QlikClient(site) as client:
            steps = await walked(client)
        assert [step] == [each.name for each in steps if each.outcome == "failed"]
        assert "ok" not in [each.outcome for each in steps[steps.index(_named(steps, step)) :]]


async def test_something_that_speaks_no_tls_is_named(simulated: SimulatedSite) -> None:
    site = QlikSite(
        kind="cloud",
        engine_url=simulated.engine_url.replace("ws:", "wss:"),
        tenant_url=simulated.http_url.replace("http:", "https:"),
        auth=ApiKeyAuth(key=SecretStr("k")),
        limits=Limits(connect_s=5),
    )
    async with QlikClient(site) as client:
        steps = await walked(client)
    assert "failed" == outcomes(steps)["TLS"]
    assert "No TLS" in _named(steps, "TLS").detail


async def test_a_refused_sign_in_fails_where_it_is_refused(simulated: SimulatedSite) -> None:
    async with tenant(simulated, key="wrong") as client:
        steps = await walked(client)
    assert {"tenant", "session", "list of apps"} == {s.name for s in steps if s.outcome == "failed"}

    auth = TicketAuth(qps_url=simulated.http_url, user_directory="D", user_id="u")
    site = simulated.site().model_copy(
        update={"auth": auth, "engine_url": simulated.http_url.replace("http", "ws")}
    )
    async with QlikClient(site) as client:
        assert "ok" == outcomes(await walked(client))["sign-in"]


async def test_without_the_repository_the_engine_lists_the_apps(simulated: SimulatedSite) -> None:
    site = simulated.site().model_copy(update={"qrs_url": None})
    async with QlikClient(site) as client:
        assert [FLIGHTS] == [app.id for app in await client.apps()]
        found = outcomes(await walked(client))
        told = await answered(client)
    assert ["event subscription", "repository"] == sorted(n for n, o in found.items() if o != "ok")
    assert not told["licence use of this user"].settled
    assert not told["a filter on subscriptions to ExecutionResult"].settled


async def test_a_simulated_site_settles_what_it_can_be_asked(simulated: SimulatedSite) -> None:
    async with simulated.client() as client:
        told = await answered(client)
        without_app = await answered(client, "")
    assert list(QUESTIONS) == list(told)
    texts = {question: answer.text for question, answer in told.items() if answer.settled}
    assert "qValue" == texts["member of EvaluateEx's result"]
    assert (
        "it answers false, and nothing is selected then"
        == (texts["SelectValues of a value that does not exist"])
    )
    assert texts["a filter on subscriptions to ExecutionResult"].startswith("taken")
    assert "is answered" in texts["a protocol-level ping"]
    assert not told["licence use of this user"].settled, "the simulator has no licences"
    assert "no app" in without_app["member of EvaluateEx's result"].text


async def test_a_proxy_that_hangs_after_a_ping_is_found_out(
    simulated: SimulatedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qlik.unsettled._PING_WAIT_S", 0.5)
    await simulated.control("POST", "/_sim/policy", json={"hang_after_ping": True})
    try:
        async with tenant(simulated) as client:
            told = await answered(client)
    finally:
        await simulated.control("POST", "/_sim/policy", json={"hang_after_ping": False})
    assert "pings have to stay off" in told["a protocol-level ping"].text


class FakeRest:
    """Answers by the beginning of the path."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    async def json(self, _method: str, path: str, **_: Any) -> Any:
        answer = next(value for start, value in self.answers.items() if start in path)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def pages(self, path: str, params: Any = None) -> AsyncIterator[Any]:
        for item in await self.json("GET", f"{path}?space={(params or {}).get('spaceId')}"):
            yield item

    async def aclose(self) -> None:
        pass


async def test_the_licences_of_the_engines_user_are_looked_up(simulated: SimulatedSite) -> None:
    async with simulated.client() as client:
        old, new = {"createdDate": "2020-01-01T00:00:00Z"}, {"createdDate": "2999-01-01T00:00:00Z"}
        answers = {"professional": [old], "analyzer": [new], "useraccess": []}
        client.repository._rest = FakeRest(answers)  # type: ignore[assignment]
        told = (await answered(client))["licence use of this user"]
        assert told.settled
        assert r"INTERNAL\sa_engine has the assignments: professional, analyzer" in told.text
        assert "made by this very session: analyzer" in told.text
        client.repository._rest = FakeRest({"": []})  # type: ignore[assignment]
        assert "none is used" in (await answered(client))["licence use of this user"].text
        client.repository._rest = FakeRest({"": ConfigurationError("no", code=400)})  # type: ignore[assignment]
        refused = (await answered(client))["a filter on subscriptions to ExecutionResult"]
        assert refused.settled
        assert refused.text.startswith("refused [400]")


async def test_every_shared_space_is_tried_with_one_app(simulated: SimulatedSite) -> None:
    spaces = [{"id": key, "name": key.upper()} for key in ("a", "b", "c")]
    answers: dict[str, Any] = {
        "spaces": spaces,
        "space=a": [{"resourceId": FLIGHTS}],
        "space=b": [],
        "space=c": [{"resourceId": "nope"}],
        "users/me": {"subject": "me"},
        "assignments": [{"subject": "me", "type": "analyzer"}, {"subject": "you", "type": "professional"}],
        "event-types": {"data": [{"name": "com.qlik.app.data.updated"}, {"name": "com.qlik.x"}]},
    }
    async with tenant(simulated) as client:
        client.tenant.rest = FakeRest(answers)  # type: ignore[assignment]
        told = await answered(client)
    assert "one app could be opened in each of 1 shared spaces; no app seen in: B; not in: C [1003]" == (
        told["shared spaces this client can open"].text
    )
    assert "the user has the assignments: analyzer" == told["licence use of this user"].text
    assert "com.qlik.app.data.updated" == told["event type of updated data"].text


def _named(steps: list[Step], name: str) -> Step:
    return next(step for step in steps if step.name == name)


async def test_the_command_prints_lines_or_json_and_its_status_says_it(
    simulated: SimulatedSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "site.json"
    file.write_text(simulated.site().model_dump_json(exclude_none=True))
    assert 0 == await asyncio.to_thread(main, ["qlik", "check", str(file)])
    lines = capsys.readouterr().out
    assert "ok      selection proof" in lines
    assert "what is open about Qlik" in lines

    arguments = ["qlik", "check", str(file), "--json", "--no-questions", "--app", "nope"]
    assert 1 == await asyncio.to_thread(main, arguments)
    found = json.loads(capsys.readouterr().out)
    assert (False, [], 10) == (found["ok"], found["answers"], len(found["steps"]))


def test_a_site_file_that_is_not_right_is_refused_without_showing_its_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "site.json"
    file.write_text(
        '{"kind":"cloud","engine_url":"wss://t","auth":{"kind":"api-key","key":"SECRET","x":"SECRET"}}'
    )
    assert 2 == main(["qlik", "check", str(file)])
    said = capsys.readouterr()
    assert "auth.api-key.x" in said.err
    assert "SECRET" not in said.err + said.out
    assert 2 == main(["qlik", "check", str(tmp_path / "missing.json")])


def test_certificates_that_do_not_fit_are_a_failed_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    auth = {"kind": "certificate", "user_directory": "D", "user_id": "u", "client_pem": "x", "key_pem": "y"}
    file = tmp_path / "site.json"
    file.write_text(json.dumps({"kind": "client-managed", "engine_url": "wss://h:4747", "auth": auth}))
    assert 1 == main(["qlik", "check", str(file)])
    assert "FAILED  certificates" in capsys.readouterr().out


def test_the_command_is_installed_by_its_name() -> None:
    (script,) = entry_points(group="console_scripts", name="broadsheet")
    assert main is script.load()
