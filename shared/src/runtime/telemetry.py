"""Traces: one execution is one trace, whoever works on it and whenever (ADR-0007, ADR-0016).

The trace id is the execution id, so every service can join the trace without having met the others, and an
operator can look a trace up by the id that stands in the log.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from time import time_ns
from uuid import UUID

from opentelemetry import propagate, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Tracer, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, Status, StatusCode, TraceFlags

from runtime.settings import RuntimeSettings

_TRACER = "broadsheet"


def tracer_provider(settings: RuntimeSettings, service: str) -> TracerProvider:
    """Return a provider that exports to the collector of the settings, or nowhere when none is set.

    It is made the process's default, once. Shut it down at the end, or the last spans are lost.
    """
    provider = TracerProvider(
        resource=Resource.create({"service.name": service, "service.instance.id": settings.replica})
    )
    if settings.otlp_endpoint:
        exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces", timeout=5)
        # A short delay lets a trace be complete in the collector soon after the outcome mail.
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1_000))
    trace.set_tracer_provider(provider)
    return provider


def execution_context(execution_id: str) -> Context:
    """Return a context inside the trace of an execution, below its root."""
    return trace.set_span_in_context(NonRecordingSpan(_root(execution_id)))


def execution_headers(execution_id: str) -> dict[str, str]:
    """Return the W3C headers of what happens in an execution.

    They name the current span when it belongs to the trace of the execution, else the trace's root.
    """
    current = trace.get_current_span().get_span_context()
    carrier: dict[str, str] = {}
    inside = current.trace_id == UUID(execution_id).int
    propagate.inject(carrier, context=None if inside else execution_context(execution_id))
    return carrier


def record_root(name: str, execution_id: str, *, at: datetime, **attributes: str | float | bool) -> None:
    """Export the root of an execution's trace, below which everything else hangs.

    The service that records an execution calls it when the record is new and stored, and so exactly once. The
    span begins at `at`, an aware time, and ends now.
    """
    tracer = trace.get_tracer_provider().get_tracer(_TRACER)
    if not isinstance(tracer, Tracer):
        return  # no provider of the SDK, so nothing is exported
    began, now = int(at.timestamp() * 1e9), time_ns()
    # The SDK gives a span an id of its own choice; this one is derived, so that others could name it before.
    tracer.span_processor.on_end(
        ReadableSpan(
            name,
            context=_root(execution_id, is_remote=False),
            resource=tracer.resource,
            instrumentation_scope=InstrumentationScope(_TRACER),
            attributes={
                "broadsheet.execution_id": execution_id,
                **{f"broadsheet.{key}": value for key, value in attributes.items()},
            },
            start_time=min(began, now),
            end_time=now,
        )
    )


def _root(execution_id: str, *, is_remote: bool = True) -> SpanContext:
    # The root is known to all by derivation; no process has to have created it first.
    span_id = int.from_bytes(sha256(f"root:{execution_id}".encode()).digest()[:8], "big") or 1
    return SpanContext(
        trace_id=UUID(execution_id).int,
        span_id=span_id,
        is_remote=is_remote,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


@contextmanager
def execution_span(name: str, execution_id: str, **attributes: str | float | bool) -> Iterator[Span]:
    """Run the body in a span of the execution's trace.

    The span hangs below the current one when that belongs to the same trace, else below the trace's root. An
    exception marks the span as failed and goes on.
    """
    current = trace.get_current_span().get_span_context()
    context = None if current.trace_id == UUID(execution_id).int else execution_context(execution_id)
    tracer = trace.get_tracer(_TRACER)
    with tracer.start_as_current_span(name, context=context, set_status_on_exception=False) as span:
        span.set_attribute("broadsheet.execution_id", execution_id)
        for key, value in attributes.items():
            span.set_attribute(f"broadsheet.{key}", value)
        try:
            yield span
        except Exception as error:
            # The type only: messages of servers may quote what nobody should read in a trace.
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


@contextmanager
def span(name: str, **attributes: str | float | bool) -> Iterator[Span]:
    """Run the body in a child of the current span."""
    with trace.get_tracer(_TRACER).start_as_current_span(name) as child:
        for key, value in attributes.items():
            child.set_attribute(f"broadsheet.{key}", value)
        yield child


def trace_headers() -> dict[str, str]:
    """Return the W3C headers of the current span; empty without one."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


@contextmanager
def below(headers: Mapping[str, str], name: str) -> Iterator[None]:
    """Run the body below the span that W3C headers name; without such headers, in a new trace.

    A message without them belongs to no execution; its trace begins with a span `name`.
    """
    context = propagate.extract(dict(headers))
    if not trace.get_current_span(context).get_span_context().is_valid:
        with trace.get_tracer(_TRACER).start_as_current_span(name, context=Context()):
            yield
        return
    token = attach(context)
    try:
        yield
    finally:
        detach(token)
