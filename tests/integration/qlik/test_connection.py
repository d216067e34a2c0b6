"""The engine connection against a scripted engine: greetings, ends, hostile frames, aborts, silence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Response

from qlik import (
    Aborted,
    CertificateAuth,
    ConfigurationError,
    LimitReached,
    Limits,
    PermissionDenied,
    ProtocolError,
    QlikClient,
    QlikError,
    QlikSite,
    SiteBusy,
    Transient,
)
from qlik.rpc import GLOBAL, EngineConnection
from qlik.upgrade import Upgrade
from support.scripted_engine import CONNECTED, ScriptedEngine, error, scripted_engine

pytestmark = pytest.mark.integration


@pytest.fixture
async def engine() -> AsyncIterator[ScriptedEngine]:
    async with scripted_engine() as made:
        yield made


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a fake server has no event for every wish
            await asyncio.sleep(0.01)


def limits(**changes: Any) -> Limits:
    return Limits(**{"connect_s": 2, "open_s": 2, "call_s": 2, **changes})


def site(engine: ScriptedEngine, **changes: Any) -> QlikSite:
    return QlikSite(
        kind="client-managed",
        engine_url=engine.url,
        auth=CertificateAuth(user_directory="INTERNAL", user_id="sa;engine"),
        limits=limits(**changes),
    )


async def opened(engine: ScriptedEngine, **changes: Any) -> EngineConnection:
    return await EngineConnection.open(Upgrade(engine.url + "/app/x"), limits(**changes))


async def test_the_identity_the_ttl_and_the_encoded_user_are_in_the_upgrade(engine: ScriptedEngine) -> None:
    async with QlikClient(site(engine), token=lambda: "a b/c") as client, client.session("my app") as session:
        assert session.layout.title == "App"
    upgrade = engine.upgrades[0]
    assert upgrade.path == "/app/my%20app/identity/a%20b%2Fc/ttl/5"
    assert upgrade.headers["X-Qlik-User"] == "UserDirectory=INTERNAL; UserId=sa%3Bengine"


async def test_two_sessions_never_share_an_identity(engine: ScriptedEngine) -> None:
    async with QlikClient(site(engine)) as client:
        for _ in range(5):
            async with client.session("app"):
                pass
    assert len({upgrade.path for upgrade in engine.upgrades}) == 5


async def test_a_session_joined_to_another_is_refused_before_the_app_is_opened(
    engine: ScriptedEngine,
) -> None:
    engine.greeting = [{"method": "OnConnected", "params": {"qSessionState": "SESSION_ATTACHED"}}]
    async with QlikClient(site(engine)) as client:
        with pytest.raises(Transient) as caught:
            async with client.session("app"):
                pass
    assert caught.value.code == "SESSION_ATTACHED"
    assert "OpenDoc" not in engine.methods()


async def test_an_app_open_without_its_data_is_refused(engine: ScriptedEngine) -> None:
    engine.answers["GetAppLayout"] = {"qLayout": {"qTitle": "App", "qIsOpenedWithoutData": True}}
    async with QlikClient(site(engine)) as client:
        with pytest.raises(Transient, match="without its data"):
            async with client.session("app"):
                pass


@pytest.mark.parametrize(
    ("frame", "kind", "code"),
    [
        (
            {"method": "OnMaxParallelSessionsExceeded", "params": {"severity": "fatal"}},
            SiteBusy,
            "OnMaxParallelSessionsExceeded",
        ),
        (
            {"method": "OnLicenseAccessDenied", "params": {"message": "no"}},
            PermissionDenied,
            "OnLicenseAccessDenied",
        ),
        ({"method": "OnNoEngineAvailable", "params": {}}, Transient, "OnNoEngineAvailable"),
        ({"method": "OnSessionTimedOut", "params": {}}, Transient, "OnSessionTimedOut"),
        (
            {"method": "OnConnected", "params": {"qSessionState": "SESSION_ERROR_LIMIT_EXCEEDED"}},
            SiteBusy,
            "SESSION_ERROR_LIMIT_EXCEEDED",
        ),
        (
            {"method": "OnConnected", "params": {"qSessionState": "SESSION_ERROR_NO_LICENSE"}},
            PermissionDenied,
            "SESSION_ERROR_NO_LICENSE",
        ),
        ({"method": "OnConnected", "params": {"qSessionState": "BLUE"}}, ProtocolError, "BLUE"),
        ({"method": "OnConnected", "params": "what"}, ProtocolError, ""),
        (
            {
                "method": "OnAuthenticationInformation",
                "params": {"mustAuthenticate": True, "loginUri": "https://x/?qlikTicket=s3cret"},
            },
            PermissionDenied,
            "OnAuthenticationInformation",
        ),
    ],
)
async def test_a_refusing_greeting_is_an_error_of_its_class(
    engine: ScriptedEngine, frame: dict[str, Any], kind: type[QlikError], code: str
) -> None:
    engine.greeting = [frame]
    with pytest.raises(kind) as caught:
        await opened(engine)
    assert caught.value.code == code
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind"),
    [
        (401, {}, "", PermissionDenied),
        (403, {}, "", PermissionDenied),
        (400, {}, "", ConfigurationError),
        (404, {}, "", ConfigurationError),
        (302, {"Location": "https://idp/?accessToken=s3cret"}, "", PermissionDenied),
        (500, {}, "Authentication error: Restart the browser", PermissionDenied),
        (503, {}, "", Transient),
        (429, {}, "", SiteBusy),
    ],
)
async def test_a_refused_upgrade_is_an_error_of_its_class(
    engine: ScriptedEngine, status: int, headers: dict[str, str], body: str, kind: type[QlikError]
) -> None:
    engine.refuse = Response(
        status, "No", Headers({**headers, "Content-Length": str(len(body))}), body.encode()
    )
    with pytest.raises(kind) as caught:
        await opened(engine)
    assert caught.value.code == status
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (4001, Transient),
        (4003, Transient),
        (4005, SiteBusy),
        (4006, PermissionDenied),
        (4204, ConfigurationError),
        (1000, PermissionDenied),
    ],
)
async def test_a_socket_closed_before_the_greeting_is_an_error_by_its_close_code(
    engine: ScriptedEngine, code: int, kind: type[QlikError]
) -> None:
    engine.greeting, engine.close_after_greeting = [], (code, "bye")
    with pytest.raises(kind) as caught:
        await opened(engine)
    assert caught.value.code == code


async def test_an_engine_that_never_greets_is_transient_within_the_limit(engine: ScriptedEngine) -> None:
    engine.greeting = []
    with pytest.raises(Transient) as caught:
        await opened(engine, connect_s=0.2)
    assert caught.value.code == "connect-timeout"


async def test_nobody_listening_is_transient() -> None:
    with pytest.raises(Transient) as caught:
        await EngineConnection.open(Upgrade("ws://127.0.0.1:9/app/x"), limits())
    assert caught.value.code == "unreachable"


async def test_replies_are_matched_by_id_in_whatever_order_they_come(engine: ScriptedEngine) -> None:
    second_asked = asyncio.Event()

    async def slow(request: dict[str, Any]) -> dict[str, Any]:
        if request["params"] == ["first"]:
            await second_asked.wait()
        else:
            second_asked.set()
        return {"echo": request["params"]}

    engine.answers["Evaluate"] = slow
    connection = await opened(engine)
    first, second = await asyncio.gather(
        connection.call(1, "Evaluate", "first"), connection.call(1, "Evaluate", "second")
    )
    await connection.aclose()
    assert (first, second) == ({"echo": ["first"]}, {"echo": ["second"]})


async def test_no_more_calls_than_allowed_wait_on_one_socket(engine: ScriptedEngine) -> None:
    running, most, go = 0, 0, asyncio.Event()

    async def counted(request: dict[str, Any]) -> dict[str, Any]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 3:
            go.set()
        await go.wait()
        running -= 1
        return {}

    engine.answers["Evaluate"] = counted
    connection = await opened(engine, calls_in_flight=3)
    await asyncio.gather(*(connection.call(1, "Evaluate", str(i)) for i in range(12)))
    await connection.aclose()
    assert most == 3


@pytest.mark.parametrize(
    "frame",
    ["{not json", "[1, 2]", '"text"', b"\xff\xfe\x00", "[" * 100_000, '{"id": 1}', json.dumps({"id": True})],
)
async def test_a_hostile_frame_ends_with_a_typed_error_and_not_with_a_hang(
    engine: ScriptedEngine, frame: Any
) -> None:
    engine.answers["Evaluate"] = lambda request: frame if frame != '{"id": 1}' else {"frame": {}}
    connection = await opened(engine, call_s=0.5)
    with pytest.raises(QlikError) as caught:
        await connection.call(1, "Evaluate", "x")
    await connection.aclose()
    assert isinstance(caught.value, ProtocolError | Transient)


async def test_a_frame_above_the_limit_is_named_as_such(engine: ScriptedEngine) -> None:
    engine.answers["Evaluate"] = lambda request: "x" * 5000
    connection = await opened(engine, max_frame_bytes=2000)
    with pytest.raises(LimitReached):
        await connection.call(1, "Evaluate", "x")
    await connection.aclose()


async def test_a_reply_to_nobody_is_ignored(engine: ScriptedEngine) -> None:
    connection = await opened(engine)
    await engine.push({"jsonrpc": "2.0", "id": 999, "result": {}})
    await engine.push({"jsonrpc": "2.0", "method": "OnSomethingNew", "params": {"a": 1}})
    await engine.push(CONNECTED)
    assert await connection.call(GLOBAL, "EngineVersion")
    await connection.aclose()


async def test_an_aborted_read_is_sent_again_with_a_new_id(engine: ScriptedEngine) -> None:
    answers = iter([error(15, "Request aborted", "Failure"), error(15), {"qLayout": {"a": 1}}])
    engine.answers["GetLayout"] = lambda request: next(answers)
    connection = await opened(engine)
    assert await connection.call(2, "GetLayout") == {"qLayout": {"a": 1}}
    await connection.aclose()
    ids = [r["id"] for r in engine.requests if r["method"] == "GetLayout"]
    assert len(set(ids)) == 3


@pytest.mark.parametrize("method", ["GetHyperCubeData", "GetListObjectData", "SelectValues", "Lock"])
async def test_aborted_paging_and_selecting_are_not_sent_again(engine: ScriptedEngine, method: str) -> None:
    engine.answers[method] = error(15)
    connection = await opened(engine)
    with pytest.raises(Aborted):
        await connection.call(2, method)
    await connection.aclose()
    assert engine.methods().count(method) == 1


async def test_an_open_selection_dialog_is_closed_and_the_call_sent_again(engine: ScriptedEngine) -> None:
    answers = iter([error(6003), {"qReturn": True}])
    engine.answers["Lock"] = lambda request: next(answers)
    async with QlikClient(site(engine)) as client, client.session("app") as session:
        assert await session.connection.call(7, "Lock") == {"qReturn": True}
    abort = next(r for r in engine.requests if r["method"] == "AbortModal")
    assert abort["handle"] == 1
    assert abort["params"] == [False]


async def test_a_call_that_takes_too_long_is_cancelled_in_the_engine_and_its_late_reply_reaches_nobody(
    engine: ScriptedEngine,
) -> None:
    release = asyncio.Event()

    async def stuck(request: dict[str, Any]) -> dict[str, Any]:
        await release.wait()
        return {"late": True}

    engine.answers["Evaluate"] = stuck
    connection = await opened(engine, call_s=0.2)
    with pytest.raises(Transient) as caught:
        await connection.call(1, "Evaluate", "x")
    assert caught.value.code == "call-timeout"
    release.set()
    assert "qVersion" in await connection.call(GLOBAL, "EngineVersion")
    await connection.aclose()
    asked = next(r for r in engine.requests if r["method"] == "Evaluate")
    cancelled = next(r for r in engine.requests if r["method"] == "CancelRequest")
    assert cancelled["params"] == [asked["id"]]


async def test_a_lost_socket_fails_every_waiting_call(engine: ScriptedEngine) -> None:
    engine.answers["Evaluate"] = lambda request: None
    connection = await opened(engine)
    calls = [asyncio.create_task(connection.call(1, "Evaluate", str(i))) for i in range(3)]
    await until(lambda: engine.methods().count("Evaluate") == 3)
    await engine.sockets[0].close(4003, "terminating")
    results = await asyncio.gather(*calls, return_exceptions=True)
    await connection.aclose()
    assert [getattr(r, "code", None) for r in results] == [4003, 4003, 4003]


async def test_a_quiet_socket_is_kept_alive_by_a_call_and_never_by_a_ping(engine: ScriptedEngine) -> None:
    connection = await opened(engine, keep_alive_s=0.05)
    await until(lambda: engine.methods().count("EngineVersion") >= 4)
    await connection.aclose()
    assert engine.pings == 0


async def test_a_cube_that_changes_between_two_pages_is_read_again_from_the_first_row(
    engine: ScriptedEngine,
) -> None:
    """The engine says so by `change` on any reply, and gives pages of the new state as if nothing were."""
    info = {"qFallbackTitle": "n", "qNumFormat": {"qType": "U"}}
    cube = {"qMode": "S", "qSize": {"qcx": 1, "qcy": 12_000}, "qMeasureInfo": [info]}
    state: dict[str, Any] = {"text": "old", "calls": 0}

    def page(request: dict[str, Any]) -> dict[str, Any]:
        state["calls"] += 1
        area = request["params"][1][0]
        if state["calls"] == 2:
            state["text"] = "new"
        matrix = [[{"qText": state["text"], "qNum": "NaN"}]] * area["qHeight"]
        changed = {"change": [2]} if state["calls"] == 2 else {}
        return {"frame": {"result": {"qDataPages": [{"qMatrix": matrix}]}, **changed}}

    engine.answers["CreateSessionObject"] = {"qReturn": {"qHandle": 2, "qGenericId": "t"}}
    engine.answers["GetLayout"] = {"qLayout": {"qHyperCube": cube}}
    engine.answers["GetHyperCubeData"] = page
    async with QlikClient(site(engine, pages_in_flight=1)) as client, client.session("app") as session:
        table = await session.table([], ["Sum(n)"])
    assert {row[0].text for row in table.rows} == {"new"}
    tops = [r["params"][1][0]["qTop"] for r in engine.requests if r["method"] == "GetHyperCubeData"]
    assert tops == [0, 10_000, 0, 10_000]


async def test_an_answer_after_the_object_was_closed_is_void(engine: ScriptedEngine) -> None:
    engine.answers["GetLayout"] = {"frame": {"result": {"qLayout": {}}, "close": [5]}}
    connection = await opened(engine)
    await connection.call(5, "GetLayout")
    with pytest.raises(Aborted, match="closed this object"):
        await connection.call(5, "GetLayout")
    await connection.aclose()


async def test_a_missing_object_is_a_configuration_error(engine: ScriptedEngine) -> None:
    engine.answers["GetObject"] = {"qReturn": {"qType": None, "qHandle": None}}
    connection = await opened(engine)
    with pytest.raises(ConfigurationError, match="no chart"):
        await connection.call_object(1, "GetObject", "x", missing="There is no chart x")
    await connection.aclose()


async def test_every_request_says_delta_false(engine: ScriptedEngine) -> None:
    async with QlikClient(site(engine)) as client, client.session("app"):
        pass
    assert {request["delta"] for request in engine.requests} == {False}
