"""OTLP/HTTP receiver, JSON API and pages of the collector."""

import zlib
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from standalone.collector.spans import BadPayload, Span, read_export, tree
from standalone.collector.store import TraceStore

MAX_BODY = 16 * 1024 * 1024  # bytes, before and after decompression; exporters send 512 spans at a time
_PROTOBUF = "application/x-protobuf"
_TEMPLATES = Jinja2Templates(Path(__file__).parent / "templates")
_NO_SCRIPTS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


def build_web(store: TraceStore) -> FastAPI:
    """The application."""
    app = FastAPI(title="Broadsheet trace collector", docs_url="/api", redoc_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    app.include_router(_receiver(store))
    app.include_router(_api(store), prefix="/api")
    app.include_router(_pages(store))
    return app


def _receiver(store: TraceStore) -> APIRouter:
    receiver = APIRouter()

    @receiver.post("/v1/traces")
    async def traces(request: Request) -> Response:
        """Take an export; 415 for JSON, 413 and 400 for what cannot be read."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind != _PROTOBUF:
            raise HTTPException(415, f"send {_PROTOBUF}; {kind or 'no content type'} is not understood here")
        body = await _bounded(request)
        try:
            spans = await run_in_threadpool(lambda: read_export(_unpacked(request, body)))
        except BadPayload as error:
            raise HTTPException(400, str(error)) from error
        await run_in_threadpool(store.add, spans)
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type=_PROTOBUF)

    return receiver


async def _bounded(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"the body has more than {MAX_BODY} bytes")
    return bytes(body)


def _unpacked(request: Request, body: bytes) -> bytes:
    match request.headers.get("content-encoding", "identity").lower():
        case "identity":
            return body
        case "gzip":
            unpacker = zlib.decompressobj(wbits=31)
            try:
                content = unpacker.decompress(body, MAX_BODY)
            except zlib.error as error:
                raise BadPayload(f"the body is no gzip: {error}") from error
            if not unpacker.eof:
                raise BadPayload(f"the body is cut off, or has more than {MAX_BODY} bytes unpacked")
            return content
        case other:
            raise BadPayload(f"content encoding {other} is not understood; use gzip or none")


def _api(store: TraceStore) -> APIRouter:
    api = APIRouter()

    @api.get("/traces")
    def recent(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[dict[str, object]]:
        """The latest traces, newest first."""
        return [_summary(trace_id, spans) for trace_id, spans in store.recent(limit)]

    @api.get("/traces/{trace_id}")
    def one(trace_id: str) -> dict[str, object]:
        """All spans of a trace; the id may be written as a UUID."""
        spans = store.trace(trace_id)
        if not spans:
            raise HTTPException(404, f"no span of trace {trace_id} has come, or it is too long ago")
        return {
            "trace_id": spans[0].trace_id,
            "services": sorted({span.service for span in spans}),
            "spans": [span.model_dump(mode="json") for span in spans],
        }

    return api


def _pages(store: TraceStore) -> APIRouter:
    pages = APIRouter(include_in_schema=False)

    @pages.get("/", response_class=HTMLResponse)
    def index(request: Request) -> Response:
        traces = [_summary(trace_id, spans) for trace_id, spans in store.recent(200)]
        return _TEMPLATES.TemplateResponse(request, "traces.html", {"traces": traces}, headers=_NO_SCRIPTS)

    @pages.get("/traces/{trace_id}", response_class=HTMLResponse)
    def trace(request: Request, trace_id: str) -> Response:
        spans = store.trace(trace_id)
        context = {"trace_id": trace_id, "rows": tree(spans)}
        status = 200 if spans else 404
        return _TEMPLATES.TemplateResponse(request, "trace.html", context, status, headers=_NO_SCRIPTS)

    return pages


def _summary(trace_id: str, spans: list[Span]) -> dict[str, object]:
    first = min(spans, key=lambda span: span.start)
    return {
        "trace_id": trace_id,
        "name": first.name,
        "start": first.start,
        "seconds": (max(span.end for span in spans) - first.start).total_seconds(),
        "spans": len(spans),
        "errors": sum(span.status == "error" for span in spans),
        "services": sorted({span.service for span in spans}),
    }
