"""The catalogue holds together, and what was published stays readable."""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from contracts import asyncapi, schemas
from contracts.base import Event
from contracts.catalog import TopicSpec, topics
from contracts.compatibility import breaking_changes
from contracts.envelope import decode, encode
from contracts.events import EVENT_TYPES, ExecutionPlanned, TaskTriggered

SERVICES = {"scheduler", "generator", "distributor", "notifier", "config-api", "qlik-listener"}
NOW = datetime(2026, 3, 2, tzinfo=UTC)
EXAMPLES = [
    pytest.param(event, path, id=f"{event.TYPE}-{path.stem}")
    for event in EVENT_TYPES
    for path in sorted(schemas.examples_folder(event).glob("*.json"))
]


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_committed_schemas_and_asyncapi_are_those_of_the_models() -> None:
    assert [] == schemas.problems()


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = yaml.safe_load(schemas.ASYNCAPI.read_text(encoding="utf-8"))

    assert [] == asyncapi.dangling(document)
    broken = {"components": {"schemas": {"A": {"$ref": "#/$defs/B"}}}}
    assert ["#/$defs/B at #/components/schemas/A"] == asyncapi.dangling(broken)


def test_the_asyncapi_document_tells_other_teams_what_they_need() -> None:
    document = schemas.asyncapi()

    assert {"production", "standalone"} == set(document["servers"])
    for spec in topics():
        kafka = document["channels"][spec.name]["bindings"]["kafka"]
        assert spec.retention_days * 86_400_000 == kafka["topicConfiguration"]["retention.ms"]
        assert spec.max_message_bytes == kafka["topicConfiguration"]["max.message.bytes"]
        subscribe = document["operations"][f"subscribe-{spec.name}"]
        assert subscribe["action"] == "receive"
        assert subscribe["bindings"]["kafka"]["groupId"]["type"] == "string"
    for event in EVENT_TYPES:
        message = document["components"]["messages"][event.ce_type()]
        assert message["bindings"]["kafka"]["key"]["type"] == "string"
        headers = document["components"]["schemas"][f"{event.__name__}Headers"]
        sent = encode(event.model_validate(message["examples"][0]["payload"]), source="x", time=NOW).headers
        Draft202012Validator(headers).validate(dict(sent))
        assert set(sent) <= set(headers["required"])


@pytest.mark.parametrize(
    "event",
    [
        each
        for each in EVENT_TYPES
        if each.TOPIC in {"report-settled", "delivery-settled", "notification-sent", "task-completed"}
    ],
    ids=lambda event: event.TYPE,
)
def test_events_that_people_act_on_name_the_task_and_older_ones_are_read(event: type[Event]) -> None:
    for path in schemas.examples_folder(event).glob("*.json"):
        example = read(path)
        assert "Sales" == event.model_validate({**example, "task_name": "Sales"}).model_dump()["task_name"]
        if event.TYPE != "task-completed":  # had it from the beginning
            example.pop("task_name", None)
            assert "" == event.model_validate(example).model_dump()["task_name"]


def test_no_file_of_the_catalogue_belongs_to_nobody() -> None:
    expected = {schemas.schema_path(event) for event in EVENT_TYPES}

    assert expected == set(schemas.SCHEMAS.glob("*"))
    assert {event.TYPE for event in EVENT_TYPES} == {each.name for each in schemas.EXAMPLES.iterdir()}


@pytest.mark.parametrize("event", EVENT_TYPES, ids=lambda event: event.TYPE)
def test_each_version_has_at_least_three_examples(event: type[Event]) -> None:
    assert 3 <= len(list(schemas.examples_folder(event).glob("*.json")))


@pytest.mark.parametrize(("event", "path"), EXAMPLES)
def test_each_example_fits_its_schema_and_survives_the_wire(event: type[Event], path: Path) -> None:
    example = read(path)
    Draft202012Validator(read(schemas.schema_path(event))).validate(example)
    parsed = event.model_validate(example)

    message = encode(parsed, source="test", time=datetime(2026, 3, 2, tzinfo=UTC))

    assert parsed == decode(dict(message.headers), message.body).event
    assert event.TOPIC == message.topic


@pytest.mark.parametrize("spec", topics(), ids=lambda spec: spec.name)
def test_each_topic_has_owner_readers_retention_and_a_dead_letter_topic(spec: TopicSpec) -> None:
    assert spec.owner in SERVICES
    assert spec.owner in spec.producers
    assert {*spec.producers, *spec.consumers} <= SERVICES
    assert "config-api" in spec.consumers, "every event reaches the audit trail"
    assert f"{spec.name}-dlq" == spec.dead_letter_topic
    assert spec.dead_letter_retention_days >= spec.retention_days


def test_every_event_type_stands_in_exactly_the_topic_it_names() -> None:
    listed = {(spec.name, ce_type) for spec in topics() for ce_type in spec.events}

    assert {(event.TOPIC, event.ce_type()) for event in EVENT_TYPES} == listed


def test_a_topic_file_without_owner_or_dead_letter_topic_is_refused() -> None:
    whole = topics()[0].model_dump()
    for member in ("owner", "retention_days", "dead_letter_topic"):
        with pytest.raises(ValueError, match=member):
            TopicSpec.model_validate({key: value for key, value in whole.items() if key != member})


def changed(**edits: Any) -> dict[str, Any]:
    schema = copy.deepcopy(schemas.schema_of(TaskTriggered))
    for name, edit in edits.items():
        edit(schema) if callable(edit) else schema.update({name: edit})
    return schema


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda s: s["properties"].pop("priority"), "priority: was removed"),
        (lambda s: s["required"].append("priority"), "priority: became required"),
        (lambda s: s["required"].remove("task_id"), "task_id: is no longer required"),
        (lambda s: s["properties"]["priority"].update(maximum=10), "maximum"),
        (lambda s: s["properties"]["task_id"].update(type="integer"), "task_id.type"),
        (lambda s: s["$defs"]["TriggerKind"]["enum"].pop(), "alternatives"),
        (lambda s: s["$defs"]["TriggerInfo"]["properties"].pop("due_at"), "trigger.due_at: was removed"),
        (lambda s: s["properties"]["execution_id"].update(pattern="^x$"), "pattern"),
    ],
)
def test_a_breaking_change_is_named(edit: Any, words: str) -> None:
    found = breaking_changes(schemas.schema_of(TaskTriggered), changed(edit=edit))

    assert any(words in each for each in found), found


def test_a_new_optional_member_breaks_nobody() -> None:
    schema = changed(edit=lambda s: s["properties"].update(note={"type": "string", "default": ""}))

    assert [] == breaking_changes(schemas.schema_of(TaskTriggered), schema)


def test_a_better_description_breaks_nobody() -> None:
    schema = copy.deepcopy(schemas.schema_of(ExecutionPlanned))
    schema["description"] = "said better"

    assert [] == breaking_changes(schemas.schema_of(ExecutionPlanned), schema)


def test_writing_refuses_a_breaking_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for event in EVENT_TYPES:
        (tmp_path / schemas.schema_path(event).name).write_text(
            schemas.schema_path(event).read_text(encoding="utf-8"), encoding="utf-8"
        )
    monkeypatch.setattr(schemas, "SCHEMAS", tmp_path)
    published = schemas.schema_path(TaskTriggered)
    before = read(published)
    before["properties"]["legacy"] = {"type": "string"}
    published.write_text(json.dumps(before), encoding="utf-8")

    assert 1 == schemas.main(["write"])
    assert "legacy: was removed; make a new version" in capsys.readouterr().err
    assert before == read(published)
