"""The proxy: tickets, JWTs with CSRF tokens, cookies, the session limit, licences, and how it says no."""

import base64
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from qlik_simulator.app import Running
from support.simulator import FLIGHTS, Rpc, http

pytestmark = pytest.mark.integration
Jwt = Callable[..., str]


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def jwt(simulator: Running, key: rsa.RSAPrivateKey) -> Jwt:
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    simulator.site.credentials.jwt_key = public

    def sign(**claims: object) -> str:
        parts = [{"alg": "RS256", "typ": "JWT"}, {"userId": "anna", "userDirectory": "JWT", **claims}]
        body = ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
        )
        signature = key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"

    return sign


@asynccontextmanager
async def socket(simulator: Running, path: str, **headers: str) -> AsyncIterator[ClientConnection]:
    url = f"ws://127.0.0.1:{simulator.http_port}{path}"
    async with connect(url, additional_headers=headers, ping_interval=None, compression=None) as opened:
        yield opened


def address(prefix: str = "", query: str = "", ttl: int = 0) -> str:
    return f"{prefix}/app/{FLIGHTS}/identity/{uuid.uuid4().hex}/ttl/{ttl}{query}"


async def frame(opened: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await opened.recv())
    return found


async def ticket(simulator: Running, user: str = "anna") -> str:
    async with http(simulator) as client:
        answer = await client.post(
            "/qps/ticket", json={"UserDirectory": "ACME", "UserId": user, "Attributes": []}
        )
        found: str = answer.json()["Ticket"]
        return found


async def refusal(simulator: Running, path: str, **headers: str) -> int:
    with pytest.raises(InvalidStatus) as failure:
        async with socket(simulator, path, **headers):
            pass
    return failure.value.response.status_code


async def test_a_ticket_lets_in_once(simulator: Running) -> None:
    token = await ticket(simulator)
    async with socket(simulator, address(query=f"?QlikTicket={token}")) as opened:
        told = await frame(opened)
        assert told["method"] == "OnAuthenticationInformation"
        assert (told["params"]["userId"], told["params"]["mustAuthenticate"]) == ("anna", False)
        assert (await frame(opened))["params"] == {"qSessionState": "SESSION_CREATED"}
        rpc = Rpc(opened)
        assert (await rpc.call(-1, "GetAuthenticatedUser"))["qReturn"] == "UserDirectory=ACME; UserId=anna"
    async with socket(simulator, address(query=f"?QlikTicket={token}")) as opened:
        assert (await frame(opened))["params"]["mustAuthenticate"] is True
        with pytest.raises(ConnectionClosed):
            await frame(opened)


async def test_a_jwt_session_needs_its_csrf_token_in_the_query_and_no_bearer_again(
    simulator: Running, jwt: Jwt
) -> None:
    token = jwt()
    url = f"http://127.0.0.1:{simulator.http_port}"
    async with httpx.AsyncClient(base_url=url) as client:
        answer = await client.get("/jwt/qps/csrftoken", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 204
    csrf = answer.headers["qlik-csrf-token"]
    cookie = f"X-Qlik-Session-jwt={answer.cookies['X-Qlik-Session-jwt']}"
    async with socket(simulator, address("/jwt", f"?qlik-csrf-token={csrf}"), Cookie=cookie) as opened:
        assert (await frame(opened))["params"]["userId"] == "anna"
    assert await refusal(simulator, address("/jwt"), Cookie=cookie) == 403
    assert await refusal(simulator, address("/jwt", f"?qlik-csrf-token={csrf}x"), Cookie=cookie) == 403
    header = {"Cookie": cookie, "qlik-csrf-token": csrf}
    assert await refusal(simulator, address("/jwt"), **header) == 403
    repeated = {"Cookie": cookie, "Authorization": f"Bearer {token}"}
    assert await refusal(simulator, address("/jwt", f"?qlik-csrf-token={csrf}"), **repeated) == 403


async def test_wrong_jwts_are_rejected(simulator: Running, jwt: Jwt) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    header, claims, _ = jwt().split(".")
    forged = base64.urlsafe_b64encode(
        other.sign(f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    ).decode()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{simulator.http_port}") as client:
        for token in (f"{header}.{claims}.{forged}", jwt(exp=1), "nonsense", "a.b.c", f"{header}.{claims}."):
            answer = await client.get("/jwt/qps/csrftoken", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401
        good = {"Authorization": f"Bearer {jwt()}"}
        assert (await client.get("/unlinked/qps/csrftoken", headers=good)).status_code == 400


async def test_upgrade_errors(simulator: Running) -> None:
    assert await refusal(simulator, address("/unlinked")) == 400
    assert await refusal(simulator, address(), Authorization="Bearer unknown") == 401
    async with http(simulator) as client:
        await client.post("/_sim/policy", json={"origins": ["https://good.example"]})
        try:
            token = await ticket(simulator)
            wrong = address(query=f"?QlikTicket={token}")
            assert await refusal(simulator, wrong, Origin="https://bad.example") == 403
            async with socket(simulator, wrong, Origin="https://good.example") as opened:
                assert (await frame(opened))["params"]["mustAuthenticate"] is False
        finally:
            await client.post("/_sim/policy", json={"origins": []})


async def test_a_cookie_that_expired_is_accepted_and_closed_without_a_greeting(simulator: Running) -> None:
    async with socket(simulator, address(), Cookie="X-Qlik-Session=gone") as opened:
        with pytest.raises(ConnectionClosed):
            await opened.recv()


async def test_the_sixth_session_of_a_user_is_refused_until_one_is_gone(simulator: Running) -> None:
    user = uuid.uuid4().hex

    async def first_frames() -> list[str]:
        path = address(query=f"?QlikTicket={await ticket(simulator, user)}", ttl=60)
        async with socket(simulator, path) as opened:
            await frame(opened)
            return [(await frame(opened))["method"]]

    outcomes = [(await first_frames())[0] for _ in range(6)]
    assert outcomes == ["OnConnected"] * 5 + ["OnMaxParallelSessionsExceeded"]  # they linger for their ttl
    async with http(simulator) as client:
        ended = await client.post("/_sim/end-sessions", json={"user": f"ACME\\{user}"})
        assert ended.json() == {"ended": 5}
    assert await first_frames() == ["OnConnected"]


async def test_licences_and_unknown_apps(simulator: Running) -> None:
    async with http(simulator) as client:
        await client.post("/_sim/policy", json={"unlicensed": ["ACME\\poor"]})
    async with socket(simulator, address(query=f"?QlikTicket={await ticket(simulator, 'poor')}")) as opened:
        await frame(opened)
        refused = await frame(opened)
        assert refused["method"] == "OnLicenseAccessDenied"
        assert refused["params"]["severity"] == "fatal"
        with pytest.raises(ConnectionClosed):
            await opened.recv()
    async with http(simulator) as client:
        await client.post("/_sim/policy", json={"unlicensed": []})
    path = f"/app/11111111-1111-1111-1111-111111111111?QlikTicket={await ticket(simulator)}"
    async with socket(simulator, path) as opened:
        await frame(opened)
        assert (await frame(opened))["method"] == "OnNoEngineAvailable"


async def test_the_first_request_after_a_ping_can_hang(simulator: Running) -> None:
    async with http(simulator) as client:
        await client.post("/_sim/policy", json={"hang_after_ping": True})
        try:
            async with socket(simulator, address(query=f"?QlikTicket={await ticket(simulator)}")) as opened:
                rpc = Rpc(opened, judged=False)
                await rpc.read()
                await rpc.read()
                await rpc.call(-1, "EngineVersion")
                await (await opened.ping())
                lost = await rpc.post(-1, "EngineVersion")
                with pytest.raises(TimeoutError):
                    await rpc.reply(lost, 0.2)
                assert await rpc.call(-1, "EngineVersion")
        finally:
            await client.post("/_sim/policy", json={"hang_after_ping": False})


async def test_logging_out_ends_every_session_of_the_user(simulator: Running, jwt: Jwt) -> None:
    url = f"http://127.0.0.1:{simulator.http_port}"
    async with httpx.AsyncClient(base_url=url) as client:
        answer = await client.get(
            "/jwt/qps/csrftoken", headers={"Authorization": f"Bearer {jwt(userId='leaver')}"}
        )
        csrf = answer.headers["qlik-csrf-token"]
        cookie = f"X-Qlik-Session-jwt={answer.cookies['X-Qlik-Session-jwt']}"
        async with socket(simulator, address("/jwt", f"?qlik-csrf-token={csrf}"), Cookie=cookie) as opened:
            await frame(opened)
            await frame(opened)
            client.cookies.clear()
            assert (await client.delete("/jwt/qps/user", headers={"Cookie": cookie})).status_code == 200
            with pytest.raises(ConnectionClosed):
                await opened.recv()
        assert (await client.delete("/jwt/qps/user", headers={"Cookie": cookie})).status_code == 401


async def test_the_repository_behind_the_proxy_sends_a_lost_session_to_the_login_page(
    simulator: Running, jwt: Jwt
) -> None:
    key = "0123456789abcdef"
    url = f"http://127.0.0.1:{simulator.http_port}"
    async with httpx.AsyncClient(
        base_url=url, params={"xrfkey": key}, headers={"X-Qlik-Xrfkey": key}
    ) as client:
        await client.get("/jwt/qps/csrftoken", headers={"Authorization": f"Bearer {jwt()}"})
        assert (await client.get("/jwt/qrs/app/full")).json()[0]["id"] == FLIGHTS
        await client.post("/_sim/expire-proxy-sessions")
        lost = await client.get("/jwt/qrs/app/full")
        assert (lost.status_code, "location" in lost.headers) == (302, True)
