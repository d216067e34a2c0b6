"""The OpenAPI description is true: schemathesis asks every operation as every role, and finds nothing."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from config_api.domain.rights import Role
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
