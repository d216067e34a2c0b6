"""Waiting on conditions, never for a fixed time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable


async def until(
    condition: Callable[[], bool | Awaitable[bool]],
    *,
    seconds: float = 30,
    every: float = 0.05,
    what: str = "the condition",
) -> None:
    """Return once the condition holds; fail with `what` after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        await asyncio.sleep(every)
