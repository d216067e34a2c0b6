"""Canaries in every credential: none is ever found in a log or in an error, at any level of logging."""

from __future__ import annotations

import io
import logging
import traceback
from collections.abc import Iterator

import pytest
import structlog
from pydantic import SecretStr

from qlik import ApiKeyAuth, JwtAuth, Limits, OAuthM2MAuth, QlikClient, QlikError, QlikSite, TicketAuth
from qlik.check import check
from support.qlik_site import FLIGHTS, SimulatedSite

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
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(out))
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
