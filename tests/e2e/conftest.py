"""One platform for all tests of the whole road; each uses tasks of its own."""

from collections.abc import AsyncIterator

import pytest

from support.platforms import Stage, staged
from support.servers import note


@pytest.fixture(scope="package")
async def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    async with staged(tmp_path_factory.mktemp("stage")) as opened:
        note(request.config, f"broker of tests/e2e: {opened.choice}")
        yield opened
