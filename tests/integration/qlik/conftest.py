from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from qlik.rpc import EngineConnection
from support.openrpc import FrameJudge, openrpc
from support.qlik_site import SimulatedSite, simulated_site


@pytest.fixture(scope="session")
async def shared_site() -> AsyncIterator[SimulatedSite]:
    async with simulated_site() as made:
        yield made


@pytest.fixture
async def simulated(shared_site: SimulatedSite) -> AsyncIterator[SimulatedSite]:
    """One simulator for all tests, without faults of the test before."""
    await shared_site.control("DELETE", "/_sim/fault")
    yield shared_site
    await shared_site.control("DELETE", "/_sim/fault")


@pytest.fixture
def judges(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FrameJudge]]:
    """Every frame of every connection goes by Qlik's own description; complaints fail the test."""
    description = openrpc()
    by_socket: dict[int, FrameJudge] = {}
    keep: list[Any] = []  # a freed socket's id would be used again

    def judge_of(socket: ClientConnection) -> FrameJudge:
        if id(socket) not in by_socket:
            keep.append(socket)
            by_socket[id(socket)] = FrameJudge(description)
        return by_socket[id(socket)]

    send, take = ClientConnection.send, EngineConnection._take

    async def judged_send(self: ClientConnection, message: Any, *args: Any, **options: Any) -> None:
        judge_of(self).sent(message)
        await send(self, message, *args, **options)

    def judged_take(self: EngineConnection, text: str | bytes) -> None:
        judge_of(self._socket).received(text.decode() if isinstance(text, bytes) else text)
        take(self, text)

    monkeypatch.setattr(ClientConnection, "send", judged_send)
    monkeypatch.setattr(EngineConnection, "_take", judged_take)
    found: list[FrameJudge] = []
    yield found
    found.extend(by_socket.values())
    complaints = [complaint for judge in found for complaint in judge.complaints]
    assert found, "nothing was judged"
    assert not complaints, "\n".join(complaints[:20])
