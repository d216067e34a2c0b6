"""The collector, fed by the real exporter."""

import gzip
import json
from pathlib import Path

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from standalone.collector_server import Collector
from support.servers import running

pytestmark = pytest.mark.integration


def export(collector: Collector, compression: Compression) -> str:
    """Send two spans, one inside the other; returns the trace id."""
    provider = TracerProvider(resource=Resource.create({"service.name": "tester"}))
    exporter = OTLPSpanExporter(f"{collector.url}/v1/traces", compression=compression)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("outer") as outer:
        with tracer.start_as_current_span("inner") as inner:
            inner.set_attribute("units", 3)
            inner.record_exception(ValueError("broken template"))
        trace_id = f"{outer.get_span_context().trace_id:032x}"
    provider.shutdown()
    return trace_id


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
async def test_exported_spans_can_be_asked_for_and_looked_at(
    collector_server: Collector, compression: Compression
) -> None:
    trace_id = export(collector_server, compression)
    async with httpx.AsyncClient(base_url=collector_server.url) as web:
        trace = (await web.get(f"/api/traces/{trace_id}")).json()
        page = (await web.get(f"/traces/{trace_id}")).text
        assert trace_id in (await web.get("/")).text
        assert (await web.get("/api/traces/" + "0" * 32)).status_code == 404
    by_name = {span["name"]: span for span in trace["spans"]}
    assert by_name["inner"]["parent_id"] == by_name["outer"]["span_id"]
    assert by_name["inner"]["attributes"] == {"units": 3}
    assert trace["services"] == ["tester"]
    assert page.index("outer") < page.index("inner")
    assert "broken template" in page
    lines = [json.loads(line) for line in collector_server.spans_file.read_text().splitlines()]
    assert len([line for line in lines if line["trace_id"] == trace_id]) == 2


async def test_bad_exports_are_refused_and_hurt_nobody(collector_server: Collector) -> None:
    protobuf = {"Content-Type": "application/x-protobuf"}
    zipped = protobuf | {"Content-Encoding": "gzip"}
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    async with httpx.AsyncClient(base_url=collector_server.url, timeout=20) as web:
        assert (
            await web.post("/v1/traces", content=b"{}", headers={"Content-Type": "application/json"})
        ).status_code == 415
        assert (await web.post("/v1/traces", content=b"\xff\xff\xff", headers=protobuf)).status_code == 400
        assert (await web.post("/v1/traces", content=b"no gzip", headers=zipped)).status_code == 400
        assert (await web.post("/v1/traces", content=bomb, headers=zipped)).status_code == 400
        assert (await web.post("/v1/traces", content=b"", headers=protobuf)).status_code == 200


async def test_traces_outlive_kill_9(tmp_path: Path) -> None:
    async with running(Collector(tmp_path / "collector")) as collector:
        trace_id = export(collector, Compression.Gzip)
        await collector.kill()
        await collector.start()
        async with httpx.AsyncClient(base_url=collector.url) as web:
            assert len((await web.get(f"/api/traces/{trace_id}")).json()["spans"]) == 2
