"""Write the JSON Schemas and the AsyncAPI document: `python -m contracts.schemas write`, or `check` them.

`write` refuses to change a published version in a way that breaks somebody.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from contracts.base import Event
from contracts.catalog import TopicSpec, topics
from contracts.compatibility import Schema, breaking_changes
from contracts.events import EVENT_TYPES

SCHEMAS = Path(__file__).parent / "catalog" / "schemas"
EXAMPLES = Path(__file__).parent / "catalog" / "examples"
ASYNCAPI = Path(__file__).parents[3] / "docs" / "reference" / "asyncapi.yaml"


def schema_path(event: type[Event]) -> Path:
    """Return where the committed schema of an event version lies."""
    return SCHEMAS / f"{event.TYPE}.v{event.VERSION}.schema.json"


def examples_folder(event: type[Event]) -> Path:
    """Return where the committed examples of an event version lie."""
    return EXAMPLES / event.TYPE / f"v{event.VERSION}"


def schema_of(event: type[Event]) -> Schema:
    """Return the JSON Schema of an event's data, as generated from the model."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **event.model_json_schema()}


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of every topic, for readers of the bus."""
    by_type = {event.ce_type(): event for event in EVENT_TYPES}
    messages = {event.ce_type(): _message(event) for event in EVENT_TYPES}
    channels = {spec.name: _channel(spec, by_type) for spec in topics()}
    operations = {
        f"{verb}-{spec.name}": {
            "action": verb,
            "channel": {"$ref": f"#/channels/{spec.name}"},
            "summary": f"{'Published' if verb == 'send' else 'Read'} by {', '.join(who)}.",
        }
        for spec in topics()
        for verb, who in (("send", spec.producers), ("receive", spec.consumers))
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Broadsheet events",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 in Kafka binary mode. Generated from the catalogue; do not edit.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def _channel(spec: TopicSpec, by_type: Mapping[str, type[Event]]) -> dict[str, Any]:
    return {
        "address": spec.name,
        "description": (
            f"{spec.description} Owner: {spec.owner}. Key: {spec.key}. "
            f"Kept {spec.retention_days} days. Dead letters: {spec.dead_letter_topic}."
        ),
        "messages": {by_type[name].TYPE: {"$ref": f"#/components/messages/{name}"} for name in spec.events},
        "bindings": {"kafka": {"topic": spec.name, "partitions": spec.partitions}},
    }


def _message(event: type[Event]) -> dict[str, Any]:
    return {
        "name": event.ce_type(),
        "summary": (event.__doc__ or "").strip().splitlines()[0],
        "headers": {
            "type": "object",
            "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"],
            "properties": {
                "ce_specversion": {"const": "1.0"},
                "ce_type": {"const": event.ce_type()},
                "ce_id": {"type": "string", "description": "the same for a repeated fact"},
                "ce_source": {"type": "string"},
                "ce_time": {"type": "string", "format": "date-time"},
                "ce_subject": {"type": "string", "description": "the partition key"},
                "traceparent": {"type": "string"},
            },
        },
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": schema_of(event),
        },
        "bindings": {"kafka": {"key": {"type": "string", "description": event.KEY}}},
    }


def problems() -> list[str]:
    """Return how the committed files differ from the models; breaking changes first."""
    breaking: list[str] = []
    stale: list[str] = []
    for event in EVENT_TYPES:
        path = schema_path(event)
        if not path.exists():
            stale.append(f"{path.name} is missing")
            continue
        committed = json.loads(path.read_text(encoding="utf-8"))
        breaking += [
            f"{event.ce_type()}: {change}; make a new version of the event instead"
            for change in breaking_changes(committed, schema_of(event))
        ]
        if committed != schema_of(event):
            stale.append(f"{path.name} differs from the model; run `make contracts`")
    if not ASYNCAPI.exists() or ASYNCAPI.read_text(encoding="utf-8") != _yaml(asyncapi()):
        stale.append(f"{ASYNCAPI.name} differs from the catalogue; run `make contracts`")
    return breaking + stale


def _yaml(document: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    return text


def main(arguments: list[str] | None = None) -> int:
    """Run the command; exit status 1 when something breaks or is stale."""
    parser = argparse.ArgumentParser(prog="python -m contracts.schemas", description=__doc__)
    parser.add_argument("command", choices=["write", "check"])
    options = parser.parse_args(arguments)
    found = problems()
    breaking = [each for each in found if "make a new version" in each]
    if options.command == "check" or breaking:
        sys.stderr.writelines(f"{each}\n" for each in found)
        return 1 if found else 0
    SCHEMAS.mkdir(parents=True, exist_ok=True)
    for event in EVENT_TYPES:
        text = json.dumps(schema_of(event), indent=2, ensure_ascii=False) + "\n"
        schema_path(event).write_text(text, encoding="utf-8")
    ASYNCAPI.parent.mkdir(parents=True, exist_ok=True)
    ASYNCAPI.write_text(_yaml(asyncapi()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
