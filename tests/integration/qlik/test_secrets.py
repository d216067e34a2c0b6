"""Canaries in every credential: none is ever found in a log or in an error, at any level of logging."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from pydantic import SecretStr

from qlik import ApiKeyAuth, JwtAuth, Limits, OAuthM2MAuth, QlikClient, QlikError, QlikSite, TicketAuth
from qlik.check import check
from qlik.command import main
from qlik.rest import RestClient, _Body
from support.qlik_keys import Authority
from support.qlik_site import FLIGHTS, SimulatedSite, simulated_site

pytestmark = pytest.mark.integration

CANARY = "Canary5ecretCanary5ecret"


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """All logs of all libraries at their most talkative, and ours."""
    out = io.StringIO()
    handler, root = logging.StreamHandler(out), logging.getLogger()
    names = (
        "",
        "httpx",
        "httpcore",
        "httpcore.http11",
        "httpcore.connection",
        "websockets",
        "websockets.client",
    )
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    root.addHandler(handler)
    before = structlog.get_config()
    # Processors of services need loggers of the standard library; a cached logger would outlive the test.
    structlog.reset_defaults()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(out), cache_logger_on_first_use=False)
    yield out
    structlog.configure(**before)
    root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def sites(simulated: SimulatedSite) -> list[QlikSite]:
    """Every kind of credential, all of them wrong but the ticket's."""
    web, http = simulated.http_url.replace("http", "ws"), simulated.http_url
    limits, secret = Limits(connect_s=5), SecretStr(CANARY)
    cloud = [ApiKeyAuth(key=secret), OAuthM2MAuth(client_id="sim-client", client_secret=secret)]
    proxy = [
        JwtAuth(virtual_proxy="jwt", token=SecretStr(f"eyJhbGciOi.{CANARY}.{CANARY}")),
        TicketAuth(qps_url=http, user_directory="D", user_id="u"),
    ]
    return [
        *(QlikSite(kind="cloud", engine_url=web, tenant_url=http, auth=a, limits=limits) for a in cloud),
        *(
            QlikSite(kind="client-managed", engine_url=web, qrs_url=http, auth=a, limits=limits)
            for a in proxy
        ),
    ]


async def test_no_secret_is_in_any_log_or_error(
    simulated: SimulatedSite, everything_logged: io.StringIO
) -> None:
    told: list[str] = []
    for site in sites(simulated):
        told.append(repr(site))
        async with QlikClient(site) as client:
            for attempt in (client.apps(), _open(client)):
                try:
                    await attempt
                except QlikError as error:
                    told += [str(error), repr(error), *traceback.format_exception(error)]
            told += [repr(step) async for step in check(client)]
    logged = everything_logged.getvalue()
    assert "httpx" in logged or "HTTP Request" in logged, "nothing was logged, so nothing was tested"
    assert CANARY not in "\n".join(told)
    assert CANARY not in logged


class Echo(httpx.AsyncBaseTransport):
    """A server that repeats what it got in its refusals."""

    def __init__(self, status: int, *, as_json: bool) -> None:
        self._status, self._json = status, as_json

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        said = f"{request.headers} {request.url} {(await request.aread()).decode()}"
        bare = "; ".join([*request.headers.values(), said])
        if self._json:
            errors = [{"code": "X-1", "title": f"No: {bare}"[:400], "detail": bare}]
            return httpx.Response(self._status, json={"errors": errors})
        return httpx.Response(self._status, text=f"I got {bare}")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
@pytest.mark.parametrize("as_json", [True, False])
async def test_a_server_that_repeats_what_it_got_puts_no_secret_into_an_error(
    everything_logged: io.StringIO, status: int, *, as_json: bool
) -> None:
    secrets = {name: f"{name}-{CANARY}" for name in ("bearer", "cookie", "csrf", "hook")}
    headers = {
        "Authorization": f"Bearer {secrets['bearer']}",
        "Cookie": f"X-Qlik-Session-jwt={secrets['cookie']}; other={secrets['cookie']}",
        "qlik-csrf-token": secrets["csrf"],
    }

    async def signed() -> dict[str, str]:
        return headers

    rest = RestClient(
        "https://site.example",
        credentials=signed,
        limits=Limits(),
        transport=Echo(status, as_json=as_json),
    )
    monkey = {"secret": secrets["hook"], "url": "https://here.example"}
    with pytest.raises(QlikError) as caught:
        await rest._once(
            "POST",
            f"/api/v1/webhooks?accessToken={CANARY}&QlikTicket={CANARY}",
            _Body(None, monkey, None, {}),
        )
    await rest.aclose()
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert CANARY not in told + everything_logged.getvalue()


async def test_no_key_of_a_certificate_key_of_an_api_or_secret_of_a_webhook_is_in_any_log_or_output(
    everything_logged: io.StringIO, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Credentials that work, over the whole walk of the check and the command's own output."""
    certificate, key = Authority().issue("client")
    async with simulated_site(api_keys=((CANARY, "CLOUD\\canary"),)) as simulated:
        http, web = simulated.http_url, simulated.http_url.replace("http", "ws")
        cloud: dict[str, Any] = {"kind": "cloud", "engine_url": web, "tenant_url": http}
        cloud["auth"] = {"kind": "api-key", "key": CANARY}
        own: dict[str, Any] = {"kind": "client-managed", "engine_url": simulated.engine_url, "qrs_url": http}
        own["auth"] = {"kind": "certificate", "user_directory": "D", "user_id": "u"}
        own["auth"] |= {"client_pem": certificate, "key_pem": key}
        for site in (cloud, own):
            file = tmp_path / "site.json"
            file.write_text(json.dumps(site))
            assert 0 == await asyncio.to_thread(main, ["qlik", "check", str(file), "--json"])
        async with QlikClient(QlikSite.model_validate(cloud)) as client:
            made = await client.tenant.add_webhook(
                name="w",
                url="http://127.0.0.1:9/x",
                event_types=["com.qlik.v1.reload.finished"],
                secret=CANARY,
            )
            assert CANARY not in repr(await client.tenant.webhook(made))
            with pytest.raises(QlikError) as caught:
                await client.tenant.add_webhook(name="", url="nowhere", event_types=[], secret=CANARY)
    captured = capsys.readouterr()
    everything = everything_logged.getvalue() + captured.out + captured.err + repr(caught.value)
    assert "HTTP Request" in everything
    lines = [line for line in key.splitlines() if line and "-----" not in line]
    assert len(lines) > 10
    assert not [secret for secret in (CANARY, *lines) if secret in everything]


async def test_no_ticket_token_or_session_that_worked_is_in_a_log(
    simulated: SimulatedSite, everything_logged: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: set[str] = set()
    credentials = simulated.simulator.site.credentials
    original = credentials.new_ticket
    credentials.proxy_sessions.clear()

    def noting(user: str) -> str:
        made = original(user)
        given.add(made)
        return made

    credentials.new_ticket = noting  # type: ignore[method-assign]
    try:
        ticket, oauth = sites(simulated)[3], sites(simulated)[1]
        async with QlikClient(ticket) as client:
            await _open(client)
        monkeypatch.setattr(credentials, "jwt_user", lambda token: "EXT\\reporter")
        async with QlikClient(sites(simulated)[2]) as client:
            assert await client.apps()
            await _open(client)
        good = oauth.model_copy(
            update={"auth": OAuthM2MAuth(client_id="sim-client", client_secret=SecretStr("sim-secret"))}
        )
        async with QlikClient(good) as client:
            assert await client.apps()
            await _open(client)
    finally:
        credentials.new_ticket = original  # type: ignore[method-assign]
    secrets = given | set(credentials.tokens) | {"sim-secret"}
    for opened in credentials.proxy_sessions.values():
        secrets |= {opened.id, opened.csrf}
    assert len(secrets) >= 5
    logged = everything_logged.getvalue()
    assert logged
    assert not [secret for secret in secrets if secret in logged]


async def _open(client: QlikClient) -> None:
    async with client.session(FLIGHTS):
        pass
