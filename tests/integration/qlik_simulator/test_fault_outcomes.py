"""Every fault the simulator can make, and what it must come to at Broadsheet's own client.

`OUTCOMES` is the table; a fault without a row in it fails, and so does a row that names a test that is gone.
A job here is what a report is to the generator: a session of its own, a proved filter, a table and a value.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

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
    Selection,
    SiteBusy,
    Transient,
)
from qlik_simulator.app import Running
from qlik_simulator.faults import PLACES, Fault
from qlik_simulator.rest import control
from support.simulator import FLIGHTS, http

pytestmark = pytest.mark.integration
ROOT: Final = Path(__file__).resolve().parents[3]
JFK: Final = [("JFK", 111279)]


@dataclass(frozen=True)
class Outcome:
    """What a job comes to: the right rows, an error of a class with a code, or what another test shows."""

    error: type[QlikError] | None = None
    code: int | str | None = None
    shown_by: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table: the fault as it is ordered, and the outcome."""

    place: str
    kind: str
    outcome: Outcome
    order: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.place, self.kind, *(str(value) for value in self.order.values())])


RIGHT: Final = Outcome()
PAGES: Final = "GetHyperCubeData"
LISTENER: Final = "tests/integration/scheduler/test_listener.py::"
LOST: Final = f"{LISTENER}test_every_reload_starts_one_execution_though_calls_are_lost_doubled_and_late"
REPORTS: Final = "tests/integration/qlik/test_cloud_reports.py::"
CLOSE_CODES: Final[dict[int, type[QlikError]]] = {
    4000: Transient,
    4001: Transient,
    4002: PermissionDenied,
    4003: Transient,
    4004: Transient,
    4005: SiteBusy,
    4006: PermissionDenied,
    4007: Transient,
    4200: Transient,
    4201: Transient,
    4202: ProtocolError,
    4203: PermissionDenied,
    4204: ConfigurationError,
    4205: SiteBusy,
    4206: Transient,
    4210: Transient,
    4211: Transient,
    4220: Transient,
    4222: ConfigurationError,
    4230: PermissionDenied,
    4240: Transient,
}
OUTCOMES: Final[list[Row]] = [
    Row("engine", "drop", Outcome(Transient), {"method": PAGES}),
    Row("engine", "drop", Outcome(Transient), {"method": "Lock"}),
    Row("engine", "stall", Outcome(Transient, "call-timeout"), {"method": "SelectValues"}, {"call_s": 2}),
    Row("engine", "late", RIGHT, {"method": "GetLayout", "seconds": 0.2}),
    Row("engine", "malformed", Outcome(ProtocolError), {"method": PAGES}),
    Row("engine", "error", RIGHT, {"method": PAGES, "code": 15}),
    Row("engine", "error", Outcome(Aborted, 15), {"method": PAGES, "code": 15, "times": 1000}),
    Row("engine", "error", Outcome(PermissionDenied, 5), {"method": "OpenDoc", "code": 5}),
    Row("engine", "error", Outcome(LimitReached, 6001), {"method": PAGES, "code": 6001}),
    Row("engine", "error", Outcome(Transient, 11000), {"method": "OpenDoc", "code": 11000}),
    Row("engine", "reload", RIGHT, {"method": PAGES}),
    Row("engine", "notify", Outcome(Transient, "OnSessionTimedOut"), {"topic": "OnSessionTimedOut"}),
    Row(
        "engine",
        "notify",
        Outcome(PermissionDenied, "OnLicenseAccessDenied"),
        {"topic": "OnLicenseAccessDenied"},
    ),
    *(Row("engine", "close", Outcome(error, code), {"code": code}) for code, error in CLOSE_CODES.items()),
    # What passes is tried again as long as nothing was read: the client opens another socket.
    *(
        Row("greeting", "close", RIGHT if error is Transient else Outcome(error, code), {"code": code})
        for code, error in CLOSE_CODES.items()
    ),
    Row("greeting", "close", Outcome(Transient, 4240), {"code": 4240, "times": 1000}, {"connect_s": 1}),
    Row("upgrade", "refuse", Outcome(ConfigurationError, 400), {"code": 400}),
    Row("upgrade", "refuse", Outcome(PermissionDenied, 401), {"code": 401}),
    Row("upgrade", "refuse", Outcome(PermissionDenied, 403), {"code": 403}),
    Row("upgrade", "refuse", Outcome(SiteBusy, 429), {"code": 429}),
    Row("upgrade", "refuse", RIGHT, {"code": 503}),
    Row("greeting", "silent", Outcome(Transient, "connect-timeout"), {}, {"connect_s": 0.5}),
    Row("greeting", "notify", Outcome(SiteBusy), {"topic": "OnMaxParallelSessionsExceeded"}),
    Row("greeting", "notify", RIGHT, {"topic": "OnNoEngineAvailable"}),
    Row("greeting", "state", Outcome(Transient, "SESSION_ATTACHED"), {"topic": "SESSION_ATTACHED"}),
    Row("greeting", "state", Outcome(PermissionDenied), {"topic": "SESSION_ERROR_NO_LICENSE"}),
    Row("greeting", "state", Outcome(SiteBusy), {"topic": "SESSION_ERROR_LIMIT_EXCEEDED"}),
    Row(
        "qrs",
        "refuse",
        Outcome(shown_by=f"{LISTENER}test_a_site_that_is_down_is_shown_harms_no_other_and_is_caught_up"),
    ),
    Row(
        "cloud",
        "refuse",
        Outcome(
            shown_by="tests/integration/qlik/test_reload_watching.py::test_a_tenant_that_asks_to_wait_is_waited_for"
        ),
    ),
    Row("callback", "lose", Outcome(shown_by=LOST)),
    Row("callback", "duplicate", Outcome(shown_by=LOST)),
    Row("callback", "late", Outcome(shown_by=LOST)),
    Row("report", "fail", Outcome(shown_by=f"{REPORTS}test_a_report_that_breaks_or_hangs_is_transient")),
    Row("report", "stay", Outcome(shown_by=f"{REPORTS}test_a_report_that_breaks_or_hangs_is_transient")),
]
SIGN_IN: Final = "tests/integration/qlik/test_sign_in.py::"
FORGOTTEN: Final = "test_a_subscription_the_site_forgot_is_made_anew_at_the_next_renewal"
RENEWED: Final = "test_an_oauth_client_signs_in_and_renews_its_token_when_it_is_refused"
SIGNED_IN: Final = "test_a_jwt_signs_in_with_cookie_and_csrf_token_and_renews_an_expired_session"
COMMANDS: Final = {
    "/forget-subscriptions": LISTENER + FORGOTTEN,
    "/expire-tokens": SIGN_IN + RENEWED,
    "/expire-proxy-sessions": SIGN_IN + SIGNED_IN,
    "/end-sessions": f"{Path(__file__).relative_to(ROOT)}::test_a_session_ended_by_the_site",
}


@asynccontextmanager
async def client_of(simulator: Running, **limits: Any) -> AsyncIterator[QlikClient]:
    site = QlikSite(
        kind="client-managed",
        engine_url=f"ws://{simulator.host}:{simulator.engine_port}",
        qrs_url=f"http://{simulator.host}:{simulator.http_port}",
        auth=CertificateAuth(user_directory="INTERNAL", user_id="sa_engine"),
        limits=Limits(**{"connect_s": 20, "open_s": 30, "call_s": 30, "ttl_s": 0, **limits}),
    )
    async with QlikClient(site) as client:
        yield client


async def job(client: QlikClient) -> list[tuple[str, int]]:
    async with client.session(FLIGHTS) as session:
        await session.select([Selection(field="origin", values=("JFK",))])
        table = await session.table(["origin"], ["Count(flight)"])
        value = await session.evaluate("Count(flight)")
        rows = [(row[0].text, int(row[1].text)) for row in table.rows]
        assert value.number == sum(count for _, count in rows)
        return rows


@pytest.mark.parametrize("row", [row for row in OUTCOMES if not row.outcome.shown_by], ids=str)
async def test_a_fault_comes_to_what_the_table_says(simulator: Running, row: Row) -> None:
    order = {"method": "GetAppLayout" if row.place == "engine" else "", **row.order}
    simulator.site.faults.add(row.place, Fault(row.kind, **order))
    async with client_of(simulator, **row.limits) as client:
        if row.outcome.error is None:
            assert await job(client) == JFK
        else:
            with pytest.raises(row.outcome.error) as caught:
                await job(client)
            assert type(caught.value) is row.outcome.error
            if row.outcome.code is not None:
                assert caught.value.code == row.outcome.code
        assert not any(simulator.site.faults.waiting.values()) or row.order.get("times"), "it never happened"
        # Whatever it was, the next job has nothing of it.
        simulator.site.faults.clear()
        assert await job(client) == JFK


async def test_a_session_ended_by_the_site(simulator: Running) -> None:
    async with client_of(simulator) as client, http(simulator) as web, client.session(FLIGHTS) as session:
        assert (await web.post("/_sim/end-sessions", json={"code": 4003})).json()["ended"] >= 1
        with pytest.raises(Transient) as caught:
            await session.evaluate("Count(flight)")
    assert caught.value.code == 4003


def test_every_fault_has_a_row() -> None:
    assert {(row.place, row.kind) for row in OUTCOMES} == {
        (place, kind) for place, kinds in PLACES.items() for kind in kinds
    }


def test_every_command_that_breaks_something_has_a_test() -> None:
    source = Path(control.__file__).read_text(encoding="utf-8")
    harmless = {"/reload", "/task", "/fault", "/policy"}
    assert set(re.findall(r'@router\.post\("(/[\w-]+)"', source)) - harmless == set(COMMANDS)


@pytest.mark.parametrize(
    "name", sorted({row.outcome.shown_by for row in OUTCOMES} - {""} | set(COMMANDS.values()))
)
def test_a_test_that_is_named_is_there(name: str) -> None:
    path, _, function = name.partition("::")
    assert re.search(rf"^(async )?def {function}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
