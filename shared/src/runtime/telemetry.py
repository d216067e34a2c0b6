"""Traces: one execution is one trace, whoever works on it and whenever (ADR-0007).

The trace id is the execution id, so every service can join the trace without having met the others, and an
operator can look a trace up by the id that stands in the log.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from uuid import UUID

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
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
    trace_id = UUID(execution_id).int
    # The root is known to all by derivation; no process has to have created it first.
    span_id = int.from_bytes(sha256(f"root:{execution_id}".encode()).digest()[:8], "big") or 1
    parent = SpanContext(
        trace_id=trace_id, span_id=span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
    return trace.set_span_in_context(NonRecordingSpan(parent))


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


def context_from(headers: Mapping[str, str]) -> Context:
    """Return the context that W3C headers carry."""
    return propagate.extract(dict(headers))
