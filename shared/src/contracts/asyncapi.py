"""The AsyncAPI 3.0 document of the bus, for other teams and their tools; generated from the catalogue.

Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0 and the Kafka bindings 0.5.0.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from contracts.base import Event
from contracts.catalog import TopicSpec, topics
from contracts.compatibility import Schema
from contracts.events import EVENT_TYPES

_KAFKA_BINDING = "0.5.0"
_DAY_MS = 24 * 3600 * 1000
_SCHEMAS = "#/components/schemas/"

_DESCRIPTION = """\
What Broadsheet publishes: CloudEvents 1.0 in the binary mode of Kafka, attributes in `ce_` headers and data
as JSON. Generated from the catalogue of topics; do not edit.

Readers have to ignore members they do not know (optional ones may be added), and to expect the same event
more than once, with the same `ce_id`. Events with one key keep their order. Only Broadsheet writes to these
topics; to start a run, use the REST interface.
"""


def document(examples: Mapping[str, list[Any]] | None = None) -> dict[str, Any]:
    """Return the document. `examples` holds examples of the data of an event by its CloudEvents type.

    Every reference leads to a member of the document. Raises ValueError when two events need different
    schemas under one name.
    """
    by_type = {event.ce_type(): event for event in EVENT_TYPES}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Broadsheet events",
            "version": "1.0.0",
            "description": _DESCRIPTION,
            "tags": [{"name": "cloudevents", "description": "CloudEvents 1.0, Kafka binary mode"}],
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {spec.name: _channel(spec, by_type) for spec in topics()},
        "operations": dict(_operations(by_type)),
        "components": {
            "schemas": _schemas(),
            "messages": {
                event.ce_type(): _message(event, (examples or {}).get(event.ce_type(), []))
                for event in EVENT_TYPES
            },
            "securitySchemes": {
                "scram": {
                    "type": "scramSha512",
                    "description": "A user that may read these topics; the people who run Kafka create it.",
                }
            },
        },
    }


def dangling(found: dict[str, Any]) -> list[str]:
    """Return the references of a document that lead nowhere, each with its place."""
    return [
        f"{reference} at {place}"
        for place, reference in _references(found, "#")
        if not (reference.startswith("#/") and _is_there(found, reference))
    ]


def _references(node: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield place, reference
        for key, value in node.items():
            yield from _references(value, f"{place}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _references(value, f"{place}/{index}")


def _is_there(found: Any, reference: str) -> bool:
    node = found
    for step in reference.removeprefix("#/").split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, dict) or key not in node:
            return False
        node = node[key]
    return True


def _servers() -> dict[str, Any]:
    address = {"host": "{bootstrap}", "protocolVersion": "3.0"}
    variable = {"description": "host:port of a broker, as in BROADSHEET_KAFKA_BOOTSTRAP"}
    return {
        "production": {
            **address,
            "protocol": "kafka-secure",
            "title": "Kafka of an installation",
            "description": "Every installation has a Kafka of its own, with TLS and users.",
            "variables": {"bootstrap": {**variable, "default": "kafka.example.com:9093"}},
            "security": [{"$ref": "#/components/securitySchemes/scram"}],
        },
        "standalone": {
            **address,
            "protocol": "kafka",
            "title": "Kafka of the demo and of docker compose",
            "description": "No TLS and no users, on loopback only.",
            "variables": {"bootstrap": {**variable, "default": "127.0.0.1:9092"}},
        },
    }


def _channel(spec: TopicSpec, by_type: Mapping[str, type[Event]]) -> dict[str, Any]:
    return {
        "address": spec.name,
        "title": spec.name,
        "description": (
            f"{spec.description} Owner: {spec.owner}. Key: {spec.key}. "
            f"Kept {spec.retention_days} days. Dead letters: {spec.dead_letter_topic}."
        ),
        "messages": {by_type[name].TYPE: {"$ref": f"#/components/messages/{name}"} for name in spec.events},
        "bindings": {
            "kafka": {
                "topic": spec.name,
                "partitions": spec.partitions,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": spec.retention_days * _DAY_MS,
                    "max.message.bytes": spec.max_message_bytes,
                },
                "bindingVersion": _KAFKA_BINDING,
            }
        },
    }


def _operations(by_type: Mapping[str, type[Event]]) -> Iterator[tuple[str, Any]]:
    for spec in topics():
        base = {
            "channel": {"$ref": f"#/channels/{spec.name}"},
            "messages": [{"$ref": f"#/channels/{spec.name}/messages/{by_type[n].TYPE}"} for n in spec.events],
        }
        yield (
            f"send-{spec.name}",
            {"action": "send", **base, "summary": f"Published by {', '.join(spec.producers)}."},
        )
        yield (
            f"receive-{spec.name}",
            {"action": "receive", **base, "summary": f"Read by {', '.join(spec.consumers)}."},
        )
        yield (
            f"subscribe-{spec.name}",
            {
                "action": "receive",
                **base,
                "summary": f"Read {spec.name} from a program of another team.",
                "description": "Use a consumer group of your own, start at the earliest offset, and "
                "commit an event after it was handled.",
                "tags": [{"name": "other-teams"}],
                "bindings": {
                    "kafka": {
                        "groupId": {
                            "type": "string",
                            "description": "a name of your own, with none of Broadsheet's services before it",
                            "examples": ["analytics-reports"],
                        },
                        "bindingVersion": _KAFKA_BINDING,
                    }
                },
            },
        )


def _message(event: type[Event], examples: list[Any]) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": event.ce_type(),
        "title": event.__name__,
        "summary": (event.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/json",
        "headers": {"$ref": f"{_SCHEMAS}{_headers_name(event)}"},
        "payload": {"$ref": f"{_SCHEMAS}{_data_name(event)}"},
        "bindings": {
            "kafka": {
                "key": {
                    "type": "string",
                    "description": f"`{event.KEY}` of the event, as UTF-8; events of a key keep their order",
                },
                "bindingVersion": _KAFKA_BINDING,
            }
        },
    }
    if event.KEY == "execution_id":
        message["correlationId"] = {
            "description": "the execution, which is also the trace id",
            "location": "$message.payload#/execution_id",
        }
    if examples:
        message["examples"] = [
            {"name": f"{event.TYPE}-{i}", "payload": each} for i, each in enumerate(examples, 1)
        ]
    return message


def _data_name(event: type[Event]) -> str:
    return event.__name__ if event.VERSION == 1 else f"{event.__name__}V{event.VERSION}"


def _headers_name(event: type[Event]) -> str:
    return f"{_data_name(event)}Headers"


def _headers(event: type[Event]) -> Schema:
    def text(description: str, **more: Any) -> Schema:
        return {"type": "string", "description": description, **more}

    return {
        "title": _headers_name(event),
        "type": "object",
        "description": f"Kafka headers of {event.ce_type()}, each as UTF-8.",
        "required": [
            "ce_specversion",
            "ce_id",
            "ce_source",
            "ce_type",
            "ce_time",
            "ce_subject",
            "content-type",
        ],
        "properties": {
            "ce_specversion": text("version of CloudEvents", const="1.0"),
            "ce_type": text("type and version of the event", const=event.ce_type()),
            "ce_id": text("the same whenever the same fact is published again; drop the second copy"),
            "ce_source": text("the service that published it", examples=["/broadsheet/generator"]),
            "ce_time": text("when the fact happened, UTC", format="date-time"),
            "ce_subject": text(f"`{event.KEY}` of the event, as in the key of the message"),
            "content-type": text("of the data", const="application/json"),
            "traceparent": text("W3C Trace Context; the trace id is the execution id"),
            "tracestate": text("W3C Trace Context"),
        },
    }


def _schemas() -> dict[str, Schema]:
    """Return the schema of every event and of every part, once each, references set right."""
    found: dict[str, Schema] = {}

    def add(name: str, schema: Schema) -> None:
        if found.setdefault(name, schema) != schema:
            raise ValueError(f"two different schemas are called {name}; rename one of the models")

    for event in EVENT_TYPES:
        whole = event.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
        for name, part in whole.pop("$defs", {}).items():
            add(name, _tidied(part, name))
        add(_data_name(event), _tidied(whole, _data_name(event)))
        add(_headers_name(event), _headers(event))
    return {name: found[name] for name in sorted(found)}


def _tidied(schema: Schema, name: str) -> Schema:
    """Return a schema without the titles of its members: generators would make a type of each.

    Alternatives that are listed in a member are such a type, and get a name to be called by.
    """
    plain: Schema = json.loads(json.dumps(schema))
    for key, member in plain.get("properties", {}).items():
        member.pop("title", None)
        for each in (member, *member.get("anyOf", ())):
            if "enum" in each:
                each["title"] = name + "".join(word.title() for word in key.split("_"))
    return {**plain, "title": name}
