"""The OpenAPI description is true: schemathesis asks every operation as every role, and finds nothing."""

import random
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from config_api.domain.rights import Role
from config_api.reference import openapi
from standalone.mongo import Mongo
from support.config_api_kit import Kit
from support.rest_description import described, judge

# Judged are hundreds of requests, each answered by a real MongoDB.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
async def served(mongo_server: Mongo) -> AsyncIterator[tuple[Kit, str]]:
    async with described(mongo_server.uri) as served:
        yield served


async def _key(kit: Kit, role: Role) -> str:
    """Return an API key of a role; readers, who can create none, get theirs from an administrator."""
    actor = await kit.account(role, f"{role.value}-{random.getrandbits(64)}@example.com", "ann")
    _, key = await kit.parts.identity.create_key("judge", role, 30, replace(actor, role=Role.ADMIN))
    return key


@pytest.mark.parametrize("role", [Role.ADMIN, Role.DEVELOPER, Role.READER])
async def test_every_answer_is_as_described(served: tuple[Kit, str], role: Role, tmp_path: Path) -> None:
    kit, url = served
    found = await judge(url, await _key(kit, role), tmp_path, examples=4, phases="examples,fuzzing")
    assert "" == found, found


async def test_every_field_of_an_answer_is_described(served: tuple[Kit, str]) -> None:
    """A field that the service answers and the description does not have would be unknown to clients."""
    kit, _ = served
    description = openapi()
    async with kit.client(await _key(kit, Role.ADMIN)) as client:
        answers = {}
        for path, operations in description["paths"].items():
            success = operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
            if "application/json" in success:
                filled = await _filled(client, path)
                answer = await client.get(filled)
                assert answer.status_code in {200, 502}, (filled, answer.text)
                if answer.status_code == 200:
                    answers[path] = (answer.json(), success["application/json"]["schema"])
    unknown = {
        f"{path}: {place}"
        for path, (body, schema) in answers.items()
        for place in _undescribed(body, schema, description["components"]["schemas"])
    }
    assert set() == unknown
    assert len(answers) > 25


_OBJECTS = {"connections", "storage-spaces", "reports", "recipients", "groups", "tasks", "templates"}


async def _filled(client: httpx.AsyncClient, path: str) -> str:
    """Return a path with the id of something that is there."""
    before, brace, _ = path.partition("{")
    if not brace:
        return path
    kind = before.removeprefix("/api/v1/").strip("/")
    if kind == "previews":
        found = await client.get("/api/v1/audit", params={"type": "io.broadsheet.preview-settled.v1"})
        key = found.json()["items"][0]["data"]["preview_id"]
    else:
        assert kind in _OBJECTS | {"executions"}, f"say where an id of {kind} comes from"
        key = (await client.get(before.rstrip("/"))).json()["items"][0]["id"]
    return re.sub(r"\{\w+\}", str(key), path)


def _undescribed(value: Any, schema: Any, schemas: Any, place: str = "") -> Iterator[str]:
    """Yield the places of an answer that its schema says nothing of."""
    options = list(_resolved(schema, schemas))
    if isinstance(value, list):
        items = [each["items"] for each in options if "items" in each]
        for item in value:
            yield from _undescribed(item, {"anyOf": items}, schemas, f"{place}[]") if items else ()
    elif isinstance(value, dict):
        known = [each["properties"] for each in options if "properties" in each]
        if not known:
            return
        for name, item in value.items():
            inside = [properties[name] for properties in known if name in properties]
            if inside:
                yield from _undescribed(item, {"anyOf": inside}, schemas, f"{place}.{name}")
            else:
                yield f"{place}.{name}"


def _resolved(schema: Any, schemas: Any) -> Iterator[Any]:
    if "$ref" in schema:
        yield from _resolved(schemas[schema["$ref"].rpartition("/")[2]], schemas)
        return
    yield schema
    for several in ("anyOf", "oneOf", "allOf"):
        for each in schema.get(several, ()):
            yield from _resolved(each, schemas)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("role", [Role.ADMIN, Role.DEVELOPER, Role.READER])
async def test_every_answer_at_every_bound_is_as_described(
    served: tuple[Kit, str], role: Role, tmp_path: Path
) -> None:
    kit, url = served
    phases = "examples,coverage,fuzzing,stateful"
    seed = random.SystemRandom().getrandbits(32)
    found = await judge(url, await _key(kit, role), tmp_path, examples=50, phases=phases, seed=seed)
    assert "" == found, found
