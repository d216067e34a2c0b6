"""Watchers end when they are told to, whatever else happens at that moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from unittest.mock import create_autospec

from scheduler.site import WatchedSite
from scheduler.watching import Watchers


@asynccontextmanager
async def opened(_: str) -> AsyncIterator[WatchedSite]:
    yield cast("WatchedSite", create_autospec(WatchedSite, instance=True))


async def failed(_: str, message: str) -> None:
    raise AssertionError(message)


async def test_watchers_end_though_a_site_calls_at_the_same_moment() -> None:
    watchers = Watchers(opened, failed, poll_s=3600)
    watchers.keep({"site": 1})
    # It is waiting for a call by now.
    for _ in range(10):
        await asyncio.sleep(0)

    watchers.wake("site")
    async with asyncio.timeout(20):
        await watchers.aclose()


async def test_a_site_whose_trouble_cannot_be_written_down_is_tried_again() -> None:
    tried: list[str] = []
    again = asyncio.Event()

    @asynccontextmanager
    async def broken(connection_id: str) -> AsyncIterator[WatchedSite]:
        tried.append(connection_id)
        if len(tried) > 2:
            again.set()
        if tried:
            raise KeyError("settings")
        yield cast("WatchedSite", create_autospec(WatchedSite, instance=True))

    async def unwritable(_: str, message: str) -> None:
        raise ValueError(message)

    watchers = Watchers(broken, unwritable, poll_s=0.01)
    watchers.keep({"site": 1})

    async with asyncio.timeout(20):
        await again.wait()
        await watchers.aclose()


async def test_a_watcher_that_ended_is_started_again() -> None:
    started: list[str] = []

    @asynccontextmanager
    async def ending(connection_id: str) -> AsyncIterator[WatchedSite]:
        started.append(connection_id)
        if started:
            raise asyncio.CancelledError
        yield cast("WatchedSite", create_autospec(WatchedSite, instance=True))

    watchers = Watchers(ending, failed, poll_s=3600)
    async with asyncio.timeout(20):
        while len(started) < 3:
            watchers.keep({"site": 1})
            await asyncio.sleep(0)
        await watchers.aclose()
