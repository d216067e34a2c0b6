"""Pictures and exports from a tenant, with their filters, and with errors by class."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from qlik import (
    ApiKeyAuth,
    ConfigurationError,
    Limits,
    QlikClient,
    QlikSite,
    Selection,
    SelectionNotProved,
    Transient,
)
from qlik.reports import CloudReports, Picture, data_request, picture_request
from support.qlik_site import FLIGHTS, SimulatedSite

pytestmark = pytest.mark.integration


@pytest.fixture
async def reports(simulated: SimulatedSite) -> AsyncIterator[CloudReports]:
    site = QlikSite(
        kind="cloud",
        engine_url=simulated.http_url.replace("http", "ws"),
        tenant_url=simulated.http_url,
        auth=ApiKeyAuth(key=SecretStr("sim-api-key")),
        limits=Limits(connect_s=5),
    )
    await simulated.control("POST", "/_sim/policy", json={"report_seconds": 0.1})
    async with QlikClient(site) as client:
        yield client.tenant.reports


JFK = [Selection(field="origin", values=("JFK",))]


async def test_a_chart_comes_as_a_picture(reports: CloudReports) -> None:
    (output,) = await reports.make(picture_request(FLIGHTS, Picture("bar-airlines"), JFK))
    assert output.content.startswith(b"\x89PNG")
    assert output.content_type.startswith("image/png")


async def test_a_sheet_comes_as_pdf_and_data_as_workbook(reports: CloudReports) -> None:
    wish = Picture("sheet-overview", kind="sheet", format="pdf")
    (sheet,) = await reports.make(picture_request(FLIGHTS, wish, JFK))
    assert sheet.content.startswith(b"%PDF")
    (data,) = await reports.make(data_request(FLIGHTS, "table-airlines", JFK))
    assert data.content.startswith(b"PK")


async def test_filters_that_fail_fail_the_report(reports: CloudReports) -> None:
    nowhere = [Selection(field="origin", values=("XXX",))]
    with pytest.raises(SelectionNotProved):
        await reports.make(picture_request(FLIGHTS, Picture("bar-airlines"), nowhere))


async def test_what_is_not_there_is_named(reports: CloudReports) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await reports.make(picture_request(FLIGHTS, Picture("no-such-chart"), []))
    assert caught.value.code == "REP-404002"
    with pytest.raises(ConfigurationError):
        await reports.make(picture_request("no-such-app", Picture("bar-airlines"), []))


@pytest.mark.parametrize("fault", [{"kind": "fail", "topic": "REP-503005"}, {"kind": "stay"}])
async def test_a_report_that_breaks_or_hangs_is_transient(
    simulated: SimulatedSite, reports: CloudReports, fault: dict[str, Any]
) -> None:
    await simulated.control("POST", "/_sim/fault", json={"place": "report", "fault": fault})
    with pytest.raises(Transient):
        await reports.make(picture_request(FLIGHTS, Picture("bar-airlines"), []), within_s=2)
