"""The AsyncAPI document as tools of others see it: it parses, and models made from it read our events."""

import ast
import importlib
import json
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from contracts import schemas
from contracts.events import EVENT_TYPES
from support.node import Node, node_with

pytestmark = pytest.mark.integration
SCRIPTS: Final = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
async def node(request: pytest.FixtureRequest) -> Node:
    return await node_with(
        request.config, SCRIPTS, cache="node-asyncapi", what="AsyncAPI's own parser and generators"
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
async def verdict(node: Node, models: Path) -> dict[str, Any]:
    found: dict[str, Any] = await node.answer("judge.cjs", str(schemas.ASYNCAPI), str(models), seconds=240)
    return found


async def test_the_official_parser_finds_nothing_wrong(verdict: dict[str, Any]) -> None:
    assert (True, [], []) == (verdict["valid"], verdict["errors"], verdict["warnings"])
    headers = {message["id"]: message["headers"] for message in verdict["messages"]}
    assert {event.ce_type() for event in EVENT_TYPES} == set(headers)
    for described in headers.values():
        assert {"ce_id", "ce_type", "ce_source", "ce_time", "ce_subject", "traceparent"} <= set(described)


async def test_models_in_three_languages_can_be_made_and_no_type_is_without_a_name(
    verdict: dict[str, Any],
) -> None:
    for language in ("java", "python", "typescript"):
        assert {event.__name__ for event in EVENT_TYPES} <= set(verdict["models"][language]), language
    assert [] == [name for name in verdict["models"]["typescript"] if name.startswith("Anonymous")]


async def test_the_python_models_read_every_example(
    verdict: dict[str, Any], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert verdict["valid"]
    monkeypatch.syspath_prepend(str(models))
    found = 0
    try:
        for event in EVENT_TYPES:
            module = importlib.import_module(f"python.{event.TYPE.replace('-', '_')}")
            for path in schemas.examples_folder(event).glob("*.json"):
                text = path.read_text(encoding="utf-8")
                read = getattr(module, event.__name__).model_validate_json(text)
                known = event.model_validate_json(text)
                assert str(json.loads(text)[event.KEY]) == known.key() == str(getattr(read, event.KEY))
                found += 1
    finally:
        for name in [each for each in sys.modules if each == "python" or each.startswith("python.")]:
            del sys.modules[name]
    assert found >= 3 * len(EVENT_TYPES)
    for file in (models / "python").glob("*.py"):
        ast.parse(file.read_text(encoding="utf-8"))
