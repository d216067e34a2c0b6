"""One simulator with the flights app for all tests here; faults are taken away after each test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from qlik_simulator.app import Running, running
from qlik_simulator.options import Options


@pytest.fixture(scope="session")
async def shared_simulator() -> AsyncIterator[Running]:
    async with running(Options(port=0, http_port=0)) as simulator:
        yield simulator


@pytest.fixture
def simulator(shared_simulator: Running) -> Iterator[Running]:
    yield shared_simulator
    shared_simulator.site.faults.clear()
