"""A report is held against its Qlik app: what the app does not have is told, all at once."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet

from config_api.adapters.app_check import QlikAppCheck
from config_api.domain.findings import Severity
from config_api.domain.rights import Role
from contracts.configuration import Connection, ConnectionKind, Report, TemplateUses
from runtime.secrets import Sealer
from support.config_api_kit import CONNECTION, REPORT, Kit, configure
from support.loopback import LOOPBACK
from support.qlik_site import FLIGHTS, SimulatedSite, simulated_site

pytestmark = pytest.mark.integration
COLUMNS = [{"name": "dest", "expression": "dest"}]


@pytest.fixture(scope="module")
async def site() -> AsyncIterator[SimulatedSite]:
    async with simulated_site() as found:
        yield found


def connection(site: SimulatedSite, **changes: Any) -> Connection:
    settings = json.loads(site.site().model_dump_json(exclude={"kind", "qrs_url"}))
    return Connection(
        id="site", name="Site", kind=ConnectionKind.CLIENT_MANAGED, settings={**settings, **changes}
    )


def report(*data: dict[str, Any], **changes: Any) -> Report:
    body = {"id": "r", "name": "R", "connection_id": "site", "app_id": FLIGHTS, "data": data, **changes}
    return Report.model_validate(body)


async def found(
    at: Connection, what: Report, uses: TemplateUses | None = None
) -> dict[str, tuple[Severity, str]]:
    findings = await QlikAppCheck(Sealer([Fernet.generate_key().decode()]), egress=LOOPBACK, timeout_s=30)(
        at, what, uses
    )
    assert all(each.problem.message for each in findings)
    return {each.problem.field: (each.severity, each.problem.message) for each in findings}


async def test_a_report_whose_app_has_everything_is_in_order(site: SimulatedSite) -> None:
    sound = report(
        {"kind": "expression", "name": "n", "expression": "Count(flight)"},
        {"kind": "variable", "name": "late", "variable": "vLate"},
        {"kind": "field", "name": "months", "field": "month"},
        {"kind": "image", "name": "picture", "object_id": "bar-airlines"},
        {
            "kind": "table",
            "name": "t",
            "dimensions": COLUMNS,
            "measures": [{"name": "n", "expression": "Count(flight)"}],
        },
        filters=[{"field": "origin", "values": ["JFK"]}],
        iteration={"field": "carrier"},
    )
    assert {} == await found(connection(site), sound)


async def test_everything_the_app_does_not_have_is_named_with_its_place(site: SimulatedSite) -> None:
    wrong = report(
        {"kind": "expression", "name": "n", "expression": "Count(flihgt)"},
        {"kind": "variable", "name": "late", "variable": "vLat"},
        {"kind": "field", "name": "months", "field": "mnth"},
        {"kind": "table", "name": "t", "dimensions": [{"name": "d", "expression": "dst"}]},
        {"kind": "object", "name": "o", "object_id": "no-such-object"},
        {"kind": "expression", "name": "open", "expression": "Count(flight"},
        {"kind": "image", "name": "picture", "object_id": "no-such-picture"},
        filters=[{"field": "orign", "values": ["JFK"]}],
        iteration={"field": "carier"},
    )

    problems = await found(connection(site), wrong)

    assert {
        "data.0.expression",
        "data.1.variable",
        "data.2.field",
        "data.3.dimensions.0.expression",
        "data.4.object_id",
        "data.5.expression",
        "data.6.object_id",
        "filters.0.field",
        "iteration.field",
    } == set(problems)
    assert {Severity.ERROR} == {severity for severity, _ in problems.values()}
    assert "flihgt" in problems["data.0.expression"][1]


async def test_columns_the_object_does_not_have_are_named_with_their_place_in_the_template(
    site: SimulatedSite,
) -> None:
    object_id = "kpi-flights"
    uses = TemplateUses(tables={"o": ("Nothing",)}, places={"o.Nothing": "Sheet1!B5"})

    problems = await found(
        connection(site), report({"kind": "object", "name": "o", "object_id": object_id}), uses
    )

    assert "'Nothing' of 'o' (Sheet1!B5)" in problems["data.0.object_id"][1]


async def test_a_site_that_is_down_is_a_warning_and_an_app_that_is_missing_an_error(
    site: SimulatedSite,
) -> None:
    down = await found(connection(site, engine_url="ws://127.0.0.1:9"), report())
    missing = await found(connection(site), report(app_id="no-such-app"))

    assert [Severity.WARNING] == [severity for severity, _ in down.values()]
    assert ["connection_id"] == list(down)
    assert {"app_id": Severity.ERROR} == {field: severity for field, (severity, _) in missing.items()}


async def test_a_check_over_rest_lists_what_the_template_misses_too(
    site: SimulatedSite, kit: Kit, admin: httpx.AsyncClient
) -> None:
    await configure(admin)
    away = {**CONNECTION, "settings": {**CONNECTION["settings"], "engine_url": site.engine_url}, "id": "q2"}
    away["secrets"] = {}
    await admin.post("/api/v1/connections", json=away)
    body = {**REPORT, "id": "r2", "connection_id": "q2", "app_id": FLIGHTS, "template_id": None}
    body["iteration"] = {"field": "carier"}
    await admin.post("/api/v1/reports", json=body)

    answer = await admin.post("/api/v1/reports/r2/check")

    assert 200 == answer.status_code, answer.text
    assert not answer.json()["in_order"]
    assert ["iteration.field"] == [each["field"] for each in answer.json()["findings"]]
    reader = await kit.key(Role.DEVELOPER, "dev@example.com")
    async with kit.client(reader) as developer:
        assert 200 == (await developer.post("/api/v1/reports/r2/check")).status_code
        assert 404 == (await developer.post("/api/v1/reports/none/check")).status_code
    async with kit.client() as nobody:
        assert 401 == (await nobody.post("/api/v1/reports/r2/check")).status_code
