"""Write the JSON Schemas and the AsyncAPI document: `python -m contracts.schemas write`, or `check` them.

`write` refuses to change a published version in a way that breaks somebody.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from contracts.asyncapi import document
from contracts.base import Event
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
    """Return the AsyncAPI document of every topic, with an example of each event."""
    return document({event.ce_type(): _examples(event)[:1] for event in EVENT_TYPES})


def _examples(event: type[Event]) -> list[Any]:
    paths = sorted(examples_folder(event).glob("*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


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
