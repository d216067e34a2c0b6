"""The catalogue of topics: one YAML file a topic, committed schemas and examples (ADR-0006).

`topics()` is the only source of topic names and settings; `deploy` creates them from it and nothing
auto-creates.
"""

from functools import cache
from importlib.resources import files
from typing import Annotated

import yaml
from pydantic import Field

from contracts.base import Wire


class TopicSpec(Wire):
    """One topic: who owns it, who writes and reads it, how it is stored."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    owner: str
    description: str
    producers: Annotated[tuple[str, ...], Field(min_length=1)]
    consumers: tuple[str, ...]
    events: Annotated[tuple[str, ...], Field(min_length=1, description="CloudEvents types, versioned")]
    key: str = Field(description="what the partition key is, in words")
    partitions: Annotated[int, Field(ge=1, le=200)]
    retention_days: Annotated[int, Field(ge=1, le=400)]
    max_message_bytes: Annotated[int, Field(ge=1_048_576)]
    dead_letter_topic: str
    dead_letter_retention_days: Annotated[int, Field(ge=1, le=400)]


@cache
def topics() -> tuple[TopicSpec, ...]:
    """Return every topic of the catalogue, sorted by name. Raises pydantic.ValidationError on a bad file."""
    folder = files(__package__) / "topics"
    specs = [
        TopicSpec.model_validate(yaml.safe_load(entry.read_text(encoding="utf-8")))
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    ]
    return tuple(sorted(specs, key=lambda spec: spec.name))


def topic(name: str) -> TopicSpec:
    """Return one topic. Raises KeyError when the catalogue has none of that name."""
    for spec in topics():
        if spec.name == name:
            return spec
    raise KeyError(f"no topic {name!r} in the catalogue; topics are declared in contracts/catalog/topics")
