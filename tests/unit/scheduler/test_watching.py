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
