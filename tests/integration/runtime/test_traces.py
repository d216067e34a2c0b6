"""Traces: one root for each execution, no orphans, and spans by the work and not by the poll."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from contracts.base import Reason
from contracts.envelope import Received
from contracts.events import PreviewRequested, TaskTriggered, TriggerInfo, TriggerKind, TriggerSkipped
from runtime.bus import Bus, Subscription
from runtime.outbox import OutboxRelay
from runtime.store import open_store
from runtime.telemetry import execution_context, execution_headers, execution_span, record_root
from scheduler.adapters.mongo import MongoOccurrences
from standalone.broker import BrokerServer
from standalone.mongo import Mongo
from support.servers import unique
from support.topics import bus_settings, create_topics
from support.waiting import until

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def exported() -> InMemorySpanExporter:
    """Every span of this process; there is one provider for all tests of it."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


def spans_of(exported: InMemorySpanExporter, execution_id: str) -> Sequence[ReadableSpan]:
    trace_id = uuid.UUID(execution_id).int
    return [span for span in exported.get_finished_spans() if span.context.trace_id == trace_id]


def check_one_tree(spans: Sequence[ReadableSpan]) -> None:
    """There is one root, and every other span has a parent among them."""
    ids = [span.context.span_id for span in spans]
    assert len(ids) == len(set(ids)), "no span twice"
    assert 1 == len([span for span in spans if span.parent is None]), "one root"
    assert [] == [span.name for span in spans if span.parent and span.parent.span_id not in ids], "no orphans"


def info(occurrence: str) -> TriggerInfo:
    return TriggerInfo(kind=TriggerKind.API, trigger_id="trigger", occurrence=occurrence, due_at=NOW)


def triggered(execution_id: str) -> TaskTriggered:
    return TaskTriggered(execution_id=execution_id, task_id="task", trigger=info(execution_id))


def test_the_root_has_the_id_that_everybody_derives(exported: InMemorySpanExporter) -> None:
    execution_id = str(uuid.uuid4())
    with execution_span("before", execution_id):
        pass
    record_root("trigger", execution_id, at=NOW, task_id="task")
    with execution_span("after", execution_id):
        headers = execution_headers(execution_id)
    spans = spans_of(exported, execution_id)
    check_one_tree(spans)
    (root,) = [span for span in spans if span.parent is None]
    derived = trace.get_current_span(execution_context(execution_id)).get_span_context()
    assert (derived.trace_id, derived.span_id) == (root.context.trace_id, root.context.span_id)
    assert root.attributes is not None
    assert root.attributes["broadsheet.task_id"] == "task"
    (after,) = [span for span in spans if span.name == "after"]
    assert f"{after.context.span_id:016x}" in headers["traceparent"]
    assert f"{root.context.span_id:016x}" in execution_headers(execution_id)["traceparent"]


async def test_recording_an_occurrence_again_adds_nothing_to_its_trace(
    exported: InMemorySpanExporter, mongo_server: Mongo
) -> None:
    known, skipped, fresh = (str(uuid.uuid4()) for _ in range(3))
    reason = Reason(code="missed", message="It was missed.")
    async with open_store(mongo_server.uri, unique("traces")) as store:
        occurrences = MongoOccurrences(store)
        first = (
            triggered(known),
            TriggerSkipped(execution_id=skipped, task_id="task", trigger=info("skipped"), reason=reason),
        )
        assert 2 == await occurrences.record(first, NOW)
        for _ in range(20):
            assert 0 == await occurrences.record(first, NOW)
        assert 1 == await occurrences.record((*first, triggered(fresh)), NOW)
    for execution_id in (known, skipped, fresh):
        spans = spans_of(exported, execution_id)
        assert ["trigger"] == [span.name for span in spans]
        check_one_tree(spans)


async def test_messages_carry_a_trace_from_work_to_work_without_spans_of_their_own(
    exported: InMemorySpanExporter, mongo_server: Mongo, broker_server: BrokerServer
) -> None:
    execution_id = str(uuid.uuid4())
    done: list[str] = []

    reason = Reason(code="missed", message="It was missed.")
    follow_up = TriggerSkipped(execution_id=execution_id, task_id="task", trigger=info("next"), reason=reason)

    async def handle(received: Received[TaskTriggered | TriggerSkipped]) -> None:
        if received.event.execution_id != execution_id:
            return
        if isinstance(received.event, TaskTriggered):
            with execution_span("plan", execution_id):
                await bus.publish(follow_up)
        else:
            with execution_span("tell", execution_id):
                done.append(execution_id)

    await create_topics(broker_server)
    bus = Bus(
        bus_settings(broker_server),
        service="test",
        subscriptions=[
            Subscription(
                topic="task-triggered",
                group=unique("group"),
                handler=handle,
                events=(TaskTriggered, TriggerSkipped),
            )
        ],
    )
    async with bus, open_store(mongo_server.uri, unique("traces")) as store:
        occurrences = MongoOccurrences(store)
        await occurrences.record([triggered(execution_id)], NOW)
        await OutboxRelay(occurrences.collection, bus).run_once()
        await until(lambda: bool(done), what="both messages")
    spans = spans_of(exported, execution_id)
    check_one_tree(spans)
    parents = {span.context.span_id: span.name for span in spans}
    hangs = {span.name: parents.get(span.parent.span_id) if span.parent else None for span in spans}
    assert {"trigger": None, "plan": "trigger", "tell": "plan"} == hangs


async def test_a_message_of_no_execution_begins_a_trace_with_one_root(
    exported: InMemorySpanExporter, broker_server: BrokerServer
) -> None:
    preview_id = unique("preview")
    seen: list[int] = []

    async def preview(received: Received[PreviewRequested]) -> None:
        if received.event.preview_id == preview_id:
            with trace.get_tracer("test").start_as_current_span("render") as span:
                seen.append(span.get_span_context().trace_id)

    await create_topics(broker_server)
    subscription = Subscription(
        topic="preview-requested", group=unique("group"), handler=preview, events=(PreviewRequested,)
    )
    async with Bus(bus_settings(broker_server), service="test", subscriptions=[subscription]) as bus:
        await bus.publish(
            PreviewRequested(
                preview_id=preview_id, report_id="r", format="html", requested_by="a", deadline_at=NOW
            )
        )
        await until(lambda: bool(seen), what="the preview")
    spans = [span for span in exported.get_finished_spans() if span.context.trace_id == seen[0]]
    check_one_tree(spans)
    assert {"render", "io.broadsheet.preview-requested.v1"} == {span.name for span in spans}
