"""A config-api per test."""

from collections.abc import AsyncIterator

import httpx
import pytest

from config_api.domain.rights import Role
from standalone.mongo import Mongo
from support.config_api_kit import ADMIN, Kit, config_api


@pytest.fixture
async def kit(mongo_server: Mongo) -> AsyncIterator[Kit]:
    async with config_api(mongo_server.uri) as kit:
        yield kit


@pytest.fixture
async def admin(kit: Kit) -> AsyncIterator[httpx.AsyncClient]:
    key = await kit.key(Role.ADMIN, ADMIN)
    async with kit.client(key) as client:
        yield client
