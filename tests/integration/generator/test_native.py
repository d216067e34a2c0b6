"""What Qlik makes by itself: pictures and exports under proved filters, or a clear refusal."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts.base import Selection
from contracts.configuration import (
    Connection,
    ConnectionKind,
    DataItem,
    ImageItem,
    OutputFormat,
)
from contracts.output import NativeExport, NativeKind
from contracts.plan import PlannedReport, PlannedUnit
from generator.adapters.qlik_reader import QlikReader
from generator.adapters.qlik_sites import QlikSites
from generator.ports import Reading
from rendering.model import ChartSpec
from runtime.errors import Permanent
from runtime.secrets import Sealer
from support.loopback import LOOPBACK
from support.qlik_site import FLIGHTS, SimulatedSite, simulated_site
from support.sealing import with_secrets
from support.stored_connections import Connections, client_managed

pytestmark = pytest.mark.integration
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
JFK = (Selection(field="origin", values=("JFK",)),)


@pytest.fixture(scope="module")
async def site() -> AsyncIterator[SimulatedSite]:
    async with simulated_site() as found:
        await found.control("POST", "/_sim/policy", json={"report_seconds": 0.1})
        yield found


@pytest.fixture
async def sites(site: SimulatedSite) -> AsyncIterator[QlikSites]:
    sealer = Sealer([KEY])
    tenant = Connection(
        id="cloud",
        name="Tenant",
        kind=ConnectionKind.CLOUD,
        settings={
            "engine_url": site.http_url.replace("http", "ws"),
            "tenant_url": site.http_url,
            "auth": {"kind": "api-key"},
            "limits": {"connect_s": 5},
        },
    )
    known = Connections(with_secrets(tenant, sealer, {"auth.key": "sim-api-key"}), client_managed(site))
    found = QlikSites(known, sealer, egress=LOOPBACK)  # type: ignore[arg-type]  # the one method it uses
    yield found
    await found.aclose()


async def read(
    sites: QlikSites,
    *data: DataItem,
    at: str = "cloud",
    selections: tuple[Selection, ...] = JFK,
    output: OutputFormat = OutputFormat.HTML,
    native: NativeExport | None = None,
) -> Reading:
    report = PlannedReport(
        id="tr",
        report_id="r",
        name="R",
        format=output,
        connection_id=at,
        app_id=FLIGHTS,
        data=data,
        native=native,
    )
    unit = PlannedUnit(id="u", report="tr", file_name="r", selections=selections)
    found = await QlikReader(sites).read(report, unit, Path("nowhere"))
    assert isinstance(found, Reading)
    assert found.selections == selections
    return found


@pytest.mark.parametrize(
    ("kind", "object_id", "output", "begins"),
    [
        (NativeKind.SHEET, "sheet-overview", OutputFormat.PDF, b"%PDF"),
        (NativeKind.OBJECT, "bar-airlines", OutputFormat.PNG, b"\x89PNG"),
        (NativeKind.OBJECT_DATA, "table-airlines", OutputFormat.XLSX, b"PK"),
    ],
)
async def test_a_tenant_exports_sheets_objects_and_data_as_they_are(
    sites: QlikSites, kind: NativeKind, object_id: str, output: OutputFormat, begins: bytes
) -> None:
    reading = await read(sites, output=output, native=NativeExport(kind=kind, id=object_id))
    assert reading.exported is not None
    assert reading.exported.content.startswith(begins)


async def test_a_picture_of_an_object_comes_from_the_tenant(sites: QlikSites) -> None:
    reading = await read(sites, ImageItem(name="airlines", object_id="bar-airlines"))
    picture = reading.images["airlines"]
    assert isinstance(picture, bytes)
    assert picture.startswith(b"\x89PNG")


@pytest.mark.parametrize(("object_id", "kind"), [("bar-airlines", "bar"), ("line-delay", "line")])
async def test_a_client_managed_site_has_common_charts_drawn_by_us(
    sites: QlikSites, object_id: str, kind: str
) -> None:
    reading = await read(sites, ImageItem(name="chart", object_id=object_id, width=500), at="site")
    chart = reading.images["chart"]
    assert isinstance(chart, ChartSpec)
    assert kind == chart.series[0].kind
    assert 500 == chart.width
    assert chart.categories
    assert any(chart.series[0].values)


@pytest.mark.parametrize("object_id", ["kpi-flights", "pivot-origin", "filters"])
async def test_what_we_cannot_draw_is_refused_with_what_to_do(sites: QlikSites, object_id: str) -> None:
    with pytest.raises(Permanent) as told:
        await read(sites, ImageItem(name="chart", object_id=object_id), at="site")
    assert "chart-not-drawn" == told.value.code
    assert told.value.remedy


async def test_a_client_managed_site_exports_nothing_by_itself_and_says_so(sites: QlikSites) -> None:
    wish = NativeExport(kind=NativeKind.SHEET, id="sheet-overview")
    with pytest.raises(Permanent) as told:
        await read(sites, at="site", output=OutputFormat.PDF, native=wish)
    assert "native-export-needs-cloud" == told.value.code


async def test_filters_the_app_does_not_confirm_give_no_picture(sites: QlikSites) -> None:
    nowhere: Any = (Selection(field="origin", values=("XXX",)),)
    with pytest.raises(Permanent) as told:
        await read(sites, ImageItem(name="airlines", object_id="bar-airlines"), selections=nowhere)
    assert "selection-not-proved" == told.value.code
