"""How many sessions a site may bear, and when to leave it alone.

Both are ports: in process here, and shared where several processes use one site.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from qlik.errors import QlikError, SiteBusy, Transient


class SiteGate(Protocol):
    """Hands out the right to have one session open. Implementations may be shared by replicas."""

    def slot(self, key: str, *, capacity: int, linger_s: float = 0) -> AbstractAsyncContextManager[None]:
        """Wait for one of `capacity` slots of `key`, a site or a user of it, and hold it for the context.

        Afterwards the slot stays taken for `linger_s` seconds more: so long the site counts the session.
        Whoever loses a shared slot, because it could not be kept, is stopped with Transient (`slot-lost`).
        """


class SiteBreaker(Protocol):
    """Says whether a site may be asked. Implementations may be shared by replicas.

    Every `check` that passes is followed by one of the other three.
    """

    async def check(self, site: str) -> None:
        """Raise Transient (`circuit-open`) with the time left if the site is to be left alone."""

    async def succeeded(self, site: str) -> None:
        """The site answered."""

    async def failed(self, site: str, error: QlikError) -> None:
        """The site refused or did not answer; counts only if `error` is about the site."""

    async def gave_up(self, site: str) -> None:
        """The caller went away before the site could answer: that says nothing about the site."""


class LocalGate:
    """Slots of this process only."""

    def __init__(self) -> None:
        self._slots: dict[str, asyncio.Semaphore] = {}

    @asynccontextmanager
    async def slot(self, key: str, *, capacity: int, linger_s: float = 0) -> AsyncIterator[None]:
        """See SiteGate. The capacity named first counts for the life of the process."""
        semaphore = self._slots.setdefault(key, asyncio.Semaphore(capacity))
        await semaphore.acquire()
        try:
            yield
        finally:
            if linger_s > 0:
                asyncio.get_running_loop().call_later(linger_s, semaphore.release)
            else:
                semaphore.release()


@dataclass(frozen=True, slots=True)
class Circuit:
    """What is known of a site: failures in a row, and until when it is left alone. Times are seconds.

    `probing_until` is when the one caller who was let through to look counts as gone.
    """

    failures: int = 0
    openings: int = 0
    open_until: float = 0.0
    probing_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Breaking:
    """The rules of a circuit breaker. Pure; whoever keeps the `Circuit` gives the time.

    After `threshold` failures in a row a site is left alone for `cool_s` seconds. Then one caller is let
    through; its success closes the circuit, its failure opens it again, for twice as long up to `longest_s`.
    A caller who has not come back after `probe_s` was killed: the next one looks.
    """

    threshold: int = 5
    cool_s: float = 10
    longest_s: float = 300
    probe_s: float = 120  # above connect_s with its repetitions

    def let_in(self, known: Circuit, now: float) -> Circuit | float:
        """The circuit with the caller let in, or how many seconds to leave the site alone."""
        if known.failures < self.threshold:
            return known
        if known.open_until > now:
            return max(known.open_until - now, 1.0)
        if known.probing_until > now:
            return 1.0
        return replace(known, probing_until=now + self.probe_s)

    def after(self, known: Circuit, error: QlikError | None, now: float) -> Circuit:
        """The circuit once a caller is back, with an error or without.

        A clear no is an answer: the site is up. Only failures that say something about the site count, not
        those of one app or user.
        """
        if error is None or not error.transient:
            return Circuit()
        failures, openings, open_until = known.failures + 1, known.openings, known.open_until
        if isinstance(error, SiteBusy):
            open_until = max(open_until, now + (error.retry_after or self.cool_s))
        elif failures >= self.threshold:
            open_until = max(open_until, now + min(self.longest_s, self.cool_s * 2**openings))
            openings = min(openings + 1, 30)
        return Circuit(failures, openings, open_until)


def circuit_open(site: str, failures: int, left: float) -> Transient:
    """The error for a caller who is not let in."""
    return Transient(
        f"The Qlik site {site} did not answer {failures} times in a row",
        code="circuit-open",
        remedy="It is left alone for a while; check that it is up and reachable.",
        retry_after=left,
    )


class LocalBreaker:
    """Circuits of this process only. `now` is a monotonic clock in seconds."""

    def __init__(self, *, now: Callable[[], float], rules: Breaking | None = None) -> None:
        self._now, self._rules = now, rules or Breaking()
        self._known: dict[str, Circuit] = {}

    async def check(self, site: str) -> None:
        """See SiteBreaker."""
        known = self._known.get(site, Circuit())
        answer = self._rules.let_in(known, self._now())
        if not isinstance(answer, Circuit):
            raise circuit_open(site, known.failures, answer)
        self._known[site] = answer

    async def succeeded(self, site: str) -> None:
        """See SiteBreaker."""
        self._known.pop(site, None)

    async def failed(self, site: str, error: QlikError) -> None:
        """See SiteBreaker."""
        self._known[site] = self._rules.after(self._known.get(site, Circuit()), error, self._now())

    async def gave_up(self, site: str) -> None:
        """See SiteBreaker."""
        if site in self._known:
            self._known[site] = replace(self._known[site], probing_until=0.0)
