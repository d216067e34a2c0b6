"""How many sessions a site may bear, and when to leave it alone.

In process by default; replicas may share one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from qlik.errors import QlikError, SiteBusy, Transient


class SiteGate(Protocol):
    """Hands out the right to have one session open at a site. Implementations may be shared by replicas."""

    def slot(self, site: str, *, capacity: int) -> AbstractAsyncContextManager[None]:
        """Wait for one of `capacity` slots of this site and hold it while the context lasts."""


class LocalGate:
    """Slots of this process only."""

    def __init__(self) -> None:
        self._slots: dict[str, asyncio.Semaphore] = {}

    @asynccontextmanager
    async def slot(self, site: str, *, capacity: int) -> AsyncIterator[None]:
        """See SiteGate. The capacity named first counts for the life of the process."""
        semaphore = self._slots.setdefault(site, asyncio.Semaphore(capacity))
        async with semaphore:
            yield


class Breaker:
    """Stops asking a site that does not answer: after `threshold` failures in a row, for `cool_s` seconds.

    Then one caller is let through; its success closes the breaker, its failure opens it again, for twice as
    long up to `longest_s`. Only failures that say something about the site count, not those of one app or
    user.
    """

    def __init__(
        self, *, now: Callable[[], float], threshold: int = 5, cool_s: float = 10, longest_s: float = 300
    ) -> None:
        self._now, self._threshold, self._cool, self._longest = now, threshold, cool_s, longest_s
        self._failures, self._open_until, self._times = 0, 0.0, 0
        self._probing = False

    def check(self, site: str) -> None:
        """Raise Transient with the time left if the site is to be left alone."""
        left = self._open_until - self._now()
        if self._failures < self._threshold:
            return
        if left > 0 or self._probing:
            raise Transient(
                f"The Qlik site {site} did not answer {self._failures} times in a row",
                code="circuit-open",
                remedy="It is left alone for a while; check that it is up and reachable.",
                retry_after=max(left, 1.0),
            )
        self._probing = True

    def succeeded(self) -> None:
        """The site answered."""
        self._failures, self._times, self._probing = 0, 0, False

    def failed(self, error: QlikError) -> None:
        """The site refused or did not answer; counts only if `error` is about the site."""
        self._probing = False
        if not error.transient:
            # a clear no is an answer: the site is up
            self.succeeded()
            return
        self._failures += 1
        if isinstance(error, SiteBusy):
            self._open_for(error.retry_after or self._cool)
        elif self._failures >= self._threshold:
            self._open_for(min(self._longest, self._cool * 2**self._times))
            self._times += 1

    def gave_up(self) -> None:
        """The caller went away before the site could answer: that says nothing about the site."""
        self._probing = False

    def _open_for(self, seconds: float) -> None:
        self._open_until = max(self._open_until, self._now() + seconds)
