"""Every way to sign in, against the simulator's proxy and tenant, and TLS with certificates of our own."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr
from websockets.asyncio.server import ServerConnection, serve

from qlik import (
    ApiKeyAuth,
    CertificateAuth,
    ConfigurationError,
    Impersonation,
    JwtAuth,
    Limits,
    OAuthM2MAuth,
    PermissionDenied,
    QlikClient,
    QlikSite,
    SiteBusy,
    TicketAuth,
    Transient,
)
from qlik.check import Step, check
from qlik.unsettled import ask
from support.qlik_keys import Authority, jwt, new_key
from support.qlik_site import FLIGHTS, SimulatedSite, simulated_site

pytestmark = pytest.mark.integration

LIMITS = Limits(connect_s=5, open_s=20, call_s=20, ttl_s=0)


@pytest.fixture(scope="module")
def signing_key() -> rsa.RSAPrivateKey:
    return new_key()


@pytest.fixture(scope="module")
async def proxied(
    signing_key: rsa.RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SimulatedSite]:
    public = tmp_path_factory.mktemp("jwt") / "public.pem"
    public.write_bytes(
        signing_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    async with simulated_site(jwt_key=str(public)) as made:
        yield made


def web(site: SimulatedSite, **given: Any) -> QlikSite:
    """The site by its web port, where proxy and tenant are."""
    return QlikSite.model_validate(
        {"engine_url": site.http_url.replace("http", "ws"), "limits": LIMITS, **given}
    )


def cloud(site: SimulatedSite, auth: Any) -> QlikSite:
    return web(site, kind="cloud", tenant_url=site.http_url, auth=auth)


async def works(client: QlikClient) -> str:
    """Open a session, and return the user the engine sees."""
    async with client.session(FLIGHTS) as session:
        assert (await session.evaluate("=1+1")).number == 2
        return str((await session.connection.call(-1, "GetAuthenticatedUser"))["qReturn"])


async def test_an_api_key_signs_in(proxied: SimulatedSite) -> None:
    async with QlikClient(cloud(proxied, ApiKeyAuth(key=SecretStr("sim-api-key")))) as client:
        assert "sim-user" in await works(client)
        assert [app.id for app in await client.apps()] == [FLIGHTS]


async def test_a_wrong_api_key_is_permission_denied(proxied: SimulatedSite) -> None:
    async with QlikClient(cloud(proxied, ApiKeyAuth(key=SecretStr("wrong-key")))) as client:
        with pytest.raises(PermissionDenied) as caught:
            await works(client)
        with pytest.raises(PermissionDenied):
            await client.apps()
    assert "wrong-key" not in str(caught.value)


async def test_an_oauth_client_signs_in_and_renews_its_token_when_it_is_refused(
    proxied: SimulatedSite,
) -> None:
    auth = OAuthM2MAuth(client_id="sim-client", client_secret=SecretStr("sim-secret"))
    async with QlikClient(cloud(proxied, auth)) as client:
        assert "sim-client" in await works(client)
        await proxied.control("POST", "/_sim/expire-tokens")
        assert "sim-client" in await works(client)
        await proxied.control("POST", "/_sim/expire-tokens")
        assert await client.apps()


async def test_an_oauth_client_speaks_for_another_user(proxied: SimulatedSite) -> None:
    auth = OAuthM2MAuth(
        client_id="sim-client", client_secret=SecretStr("sim-secret"), impersonate=Impersonation(value="anna")
    )
    async with QlikClient(cloud(proxied, auth)) as client:
        assert "anna" in await works(client)


async def test_a_wrong_client_secret_is_permission_denied_without_showing_it(proxied: SimulatedSite) -> None:
    auth = OAuthM2MAuth(client_id="sim-client", client_secret=SecretStr("wrong-secret"))
    async with QlikClient(cloud(proxied, auth)) as client:
        with pytest.raises(PermissionDenied) as caught:
            await works(client)
    assert "wrong-secret" not in str(caught.value)


async def test_a_jwt_signs_in_with_cookie_and_csrf_token_and_renews_an_expired_session(
    proxied: SimulatedSite, signing_key: rsa.RSAPrivateKey
) -> None:
    auth = JwtAuth(virtual_proxy="jwt", token=jwt(signing_key), origin="https://reports.example.com")
    await proxied.control("POST", "/_sim/policy", json={"origins": ["https://reports.example.com"]})
    try:
        async with QlikClient(web(proxied, kind="client-managed", auth=auth)) as client:
            assert "reporter" in await works(client)
            await proxied.control("POST", "/_sim/expire-proxy-sessions")
            assert "reporter" in await works(client)
    finally:
        await proxied.control("POST", "/_sim/policy", json={"origins": []})


@pytest.mark.parametrize(
    ("given", "good", "kind"),
    [
        ({"virtual_proxy": "nowhere"}, True, ConfigurationError),
        ({"virtual_proxy": "jwt"}, False, PermissionDenied),
        ({"virtual_proxy": "jwt", "origin": "https://evil"}, True, PermissionDenied),
    ],
)
async def test_a_jwt_sign_in_that_fails_says_why(
    proxied: SimulatedSite,
    signing_key: rsa.RSAPrivateKey,
    given: dict[str, str],
    good: bool,
    kind: type[Exception],
) -> None:
    auth = JwtAuth(**given, token=jwt(signing_key if good else new_key()))
    await proxied.control("POST", "/_sim/policy", json={"origins": ["https://reports.example.com"]})
    try:
        async with QlikClient(web(proxied, kind="client-managed", auth=auth)) as client:
            with pytest.raises(kind) as caught:
                await works(client)
    finally:
        await proxied.control("POST", "/_sim/policy", json={"origins": []})
    assert auth.token.get_secret_value() not in str(caught.value)


@pytest.mark.parametrize(
    "disguise", [{"code": 302}, {"code": 500, "topic": "Authentication error: Restart the browser"}]
)
async def test_a_lost_proxy_session_in_disguise_is_signed_in_afresh(
    proxied: SimulatedSite, signing_key: rsa.RSAPrivateKey, disguise: dict[str, Any]
) -> None:
    auth = JwtAuth(virtual_proxy="jwt", token=jwt(signing_key))
    site = web(proxied, kind="client-managed", auth=auth, qrs_url=proxied.http_url)
    async with QlikClient(site) as client:
        assert await client.apps()
        fault = {"place": "qrs", "fault": {"kind": "refuse", **disguise}}
        await proxied.control("POST", "/_sim/fault", json=fault)
        assert await client.apps()
        await proxied.control("POST", "/_sim/expire-proxy-sessions")
        assert await client.apps()


async def test_a_jwt_proxy_tells_whether_it_wants_the_csrf_token(
    proxied: SimulatedSite, signing_key: rsa.RSAPrivateKey
) -> None:
    auth = JwtAuth(virtual_proxy="jwt", token=jwt(signing_key))
    async with QlikClient(web(proxied, kind="client-managed", auth=auth)) as client:
        told = {answer.question: answer async for answer in ask(client, "")}
    assert "without the token in the query the upgrade is refused [403]" == (
        told["upgrade without the CSRF token"].text
    )


async def proxy_sessions(site: SimulatedSite, user: str) -> int:
    """How many sessions the proxy counts for a user."""
    state = await site.control("GET", "/_sim/state")
    return sum(1 for each in state["proxy_sessions"] if each["user"] == f"CORP\\{user}")


async def test_a_ticket_signs_in_once_for_all_sessions_of_a_user_and_is_logged_out(
    proxied: SimulatedSite,
) -> None:
    """A proxy counts its sessions until they are idle for 30 minutes, and refuses the sixth."""
    auth = TicketAuth(qps_url=proxied.http_url, user_directory="CORP", user_id="ticket;user")
    for _ in range(7):
        async with QlikClient(web(proxied, kind="client-managed", auth=auth)) as client:
            assert "ticket;user" in await works(client)
            assert "ticket;user" in await works(client)
            assert 1 == await proxy_sessions(proxied, "ticket;user")
        assert 0 == await proxy_sessions(proxied, "ticket;user")


async def test_a_session_of_a_ticket_that_is_gone_is_opened_again(proxied: SimulatedSite) -> None:
    auth = TicketAuth(qps_url=proxied.http_url, user_directory="CORP", user_id="expired")
    async with QlikClient(web(proxied, kind="client-managed", auth=auth)) as client:
        assert "expired" in await works(client)
        await proxied.control("POST", "/_sim/expire-proxy-sessions")
        assert "expired" in await works(client)
        assert 1 == await proxy_sessions(proxied, "expired")


async def test_a_proxy_tells_whether_it_keeps_the_session_of_a_ticket(proxied: SimulatedSite) -> None:
    auth = TicketAuth(qps_url=proxied.http_url, user_directory="CORP", user_id="asked")
    async with QlikClient(web(proxied, kind="client-managed", auth=auth)) as client:
        told = {answer.question: answer.text async for answer in ask(client, "")}
    assert told["what the proxy gives for a ticket"] == (
        "a session with a CSRF token; two sockets in a row could use its cookie"
    )


async def test_a_refusal_leaves_the_session_to_the_others_in_it(proxied: SimulatedSite) -> None:
    auth = TicketAuth(qps_url=proxied.http_url, user_directory="CORP", user_id="several")
    async with QlikClient(web(proxied, kind="client-managed", auth=auth)) as client:
        async with client.session(FLIGHTS) as session:
            client.credentials.rejected()
            assert "several" in await works(client)
            assert (await session.evaluate("=1+1")).number == 2
        assert 1 == await proxy_sessions(proxied, "several")


async def test_the_sixth_proxy_session_of_a_user_is_refused_until_one_is_logged_out(
    proxied: SimulatedSite,
) -> None:
    auth = TicketAuth(qps_url=proxied.http_url, user_directory="CORP", user_id="clients")
    site = web(proxied, kind="client-managed", auth=auth)
    async with AsyncExitStack() as open_:
        clients = [await open_.enter_async_context(QlikClient(site)) for _ in range(5)]
        for client in clients:
            assert "clients" in await works(client)
        sixth = await open_.enter_async_context(QlikClient(site))
        with pytest.raises(SiteBusy):
            await works(sixth)
        await clients[0].aclose()
        assert "clients" in await works(sixth)


async def test_the_sixth_session_of_one_user_is_refused_as_busy(proxied: SimulatedSite) -> None:
    auth = TicketAuth(qps_url=proxied.http_url, user_directory="CORP", user_id="many")
    site = web(
        proxied, kind="client-managed", auth=auth, limits=LIMITS.model_copy(update={"sessions_per_user": 6})
    )
    async with QlikClient(site) as client, AsyncExitStack() as open_:
        for _ in range(5):
            await open_.enter_async_context(client.session(FLIGHTS))
        with pytest.raises(SiteBusy) as caught:
            await open_.enter_async_context(client.session(FLIGHTS))
    assert caught.value.code == "OnMaxParallelSessionsExceeded"
    assert caught.value.retry_after


async def test_sessions_that_linger_after_their_end_still_count_so_none_is_refused(
    proxied: SimulatedSite,
) -> None:
    """The proxy counts a session until its ttl is over; jobs that follow each other closely wait for that."""
    auth = TicketAuth(qps_url=proxied.http_url, user_directory="CORP", user_id="lingering")
    limits = LIMITS.model_copy(update={"sessions_per_user": 5, "ttl_s": 1})
    async with QlikClient(web(proxied, kind="client-managed", auth=auth, limits=limits)) as client:
        assert {"UserDirectory=CORP; UserId=lingering"} == set(
            await asyncio.gather(*(works(client) for _ in range(8)))
        )


# --- TLS


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def tls_engine(authority: Authority, tmp_path: Path) -> AsyncIterator[int]:
    """An engine's port that lets in only who shows a certificate of the site."""
    certificate, key = authority.issue("engine")
    for name, text in (("s.pem", certificate + key), ("ca.pem", authority.pem)):
        (tmp_path / name).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "s.pem")
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED

    async def greet(socket: ServerConnection) -> None:
        await socket.send('{"method":"OnConnected","params":{"qSessionState":"SESSION_CREATED"}}')
        async for text in socket:
            request = json.loads(text)
            result = {"qDocList": [{"qDocId": "a", "qTitle": "App A"}]}
            await socket.send(json.dumps({"id": request["id"], "result": result}))

    async with serve(greet, "127.0.0.1", 0, ssl=context, close_timeout=0.5) as server:
        yield next(iter(server.sockets)).getsockname()[1]


def certified(port: int, client: tuple[str, str], ca: str) -> QlikSite:
    auth = CertificateAuth(
        user_directory="INTERNAL",
        user_id="sa",
        client_pem=SecretStr(client[0]),
        key_pem=SecretStr(client[1]),
        ca_pem=SecretStr(ca),
    )
    limits = LIMITS.model_copy(update={"connect_s": 3})
    return QlikSite(kind="client-managed", engine_url=f"wss://localhost:{port}", auth=auth, limits=limits)


async def test_a_client_certificate_opens_the_engine(tls_engine: int, authority: Authority) -> None:
    async with QlikClient(certified(tls_engine, authority.issue("client"), authority.pem)) as client:
        assert [app.name for app in await client.apps()] == ["App A"]


async def test_a_server_of_another_authority_is_not_trusted(tls_engine: int, authority: Authority) -> None:
    async with QlikClient(certified(tls_engine, authority.issue("client"), Authority().pem)) as client:
        with pytest.raises(ConfigurationError, match="not trusted") as caught:
            await client.apps()
    assert "root.pem" in caught.value.remedy


async def test_a_certificate_of_another_site_is_given_as_the_likely_reason(
    tls_engine: int, authority: Authority
) -> None:
    async with QlikClient(certified(tls_engine, Authority().issue("client"), authority.pem)) as client:
        with pytest.raises(Transient, match="hung up right after TLS") as caught:
            await client.apps()
    assert "hung-up" == caught.value.code
    assert "client certificate" in caught.value.remedy


async def test_the_check_looks_at_trust_and_age_of_certificates(
    tls_engine: int, authority: Authority
) -> None:
    async def tls_step(ca: str) -> Step:
        async with QlikClient(certified(tls_engine, authority.issue("client"), ca)) as client:
            steps = [step async for step in check(client)]
        assert ("skipped" if steps[1].outcome == "failed" else "ok") == steps[2].outcome
        return steps[1]

    trusted, strange = await tls_step(authority.pem), await tls_step(Authority().pem)
    assert ("TLS", "ok", "failed") == (trusted.name, trusted.outcome, strange.outcome)
    assert "speaks TLSv1.3, its certificate is good for 0 days" in trusted.detail
    assert "Renew" in trusted.remedy
    assert "not trusted" in strange.detail
    assert "root.pem" in strange.remedy


async def test_keys_that_do_not_fit_are_named_before_anything_is_sent(authority: Authority) -> None:
    certificate, _ = authority.issue("client")
    _, other = authority.issue("other")
    with pytest.raises(ConfigurationError, match="client_pem and key_pem") as caught:
        QlikClient(certified(1, (certificate, other), authority.pem))
    assert "PRIVATE" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="ca_pem"):
        QlikClient(certified(1, authority.issue("client"), "no pem"))
