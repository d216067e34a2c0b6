"""Limits on our side: slots per site, a breaker for a site that does not answer, a bucket per tier."""

from __future__ import annotations

import asyncio

import pytest

from qlik.errors import ConfigurationError, PermissionDenied, QlikError, SiteBusy, Transient
from qlik.gate import Breaking, LocalBreaker, LocalGate
from qlik.throttle import Throttle, Tier, tier_of


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def breaker(clock: Clock) -> LocalBreaker:
    return LocalBreaker(now=clock, rules=Breaking(threshold=3, cool_s=10, longest_s=40))


def away() -> QlikError:
    return Transient("away", code="unreachable")


async def test_a_failed_probe_waits_twice_as_long_up_to_a_limit() -> None:
    clock = Clock()
    guard = breaker(clock)
    for _ in range(3):
        await guard.failed("s", away())
    waits = []
    for _ in range(4):
        with pytest.raises(Transient) as caught:
            await guard.check("s")
        waits.append(caught.value.retry_after)
        clock.now += caught.value.retry_after or 0
        await guard.check("s")
        await guard.failed("s", away())
    assert waits == [10, 20, 40, 40]


@pytest.mark.parametrize("answer", [PermissionDenied("no"), ConfigurationError("no")])
async def test_a_clear_no_is_an_answer_of_a_site_that_is_up(answer: QlikError) -> None:
    guard = breaker(Clock())
    for error in (away(), away(), answer, away()):
        await guard.failed("s", error)
    await guard.check("s")


async def test_a_busy_site_is_left_alone_for_as_long_as_it_asks() -> None:
    clock = Clock()
    guard = breaker(clock)
    for _ in range(3):
        await guard.failed("s", SiteBusy("busy", retry_after=60))
    clock.now += 59
    with pytest.raises(Transient):
        await guard.check("s")
    clock.now += 1
    await guard.check("s")


async def test_a_gate_lets_in_as_many_as_its_capacity_per_site() -> None:
    gate, inside, most = LocalGate(), 0, 0

    async def job() -> None:
        nonlocal inside, most
        async with gate.slot("a", capacity=2):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    async with gate.slot("b", capacity=1):
        await asyncio.gather(*(job() for _ in range(6)))
    assert most == 2


@pytest.mark.parametrize(
    ("method", "path", "tier"),
    [
        ("GET", "/api/v1/reports/x/status", "tier1"),
        ("POST", "/api/v1/reports", "reports"),
        ("POST", "/api/v1/reloads", "reloads"),
        ("POST", "/api/v1/webhooks", "tier2"),
        ("DELETE", "/api/v1/webhooks/x", "tier2"),
    ],
)
def test_requests_count_against_their_tier(method: str, path: str, tier: Tier) -> None:
    assert tier_of(method, path) == tier


async def test_no_more_than_the_rate_goes_out() -> None:
    clock = Clock()
    throttle = Throttle(
        now=clock, sleep=clock.sleep, per_minute={"tier1": 60, "tier2": 60, "reports": 10, "reloads": 60}
    )
    began = clock.now
    for _ in range(30):
        await throttle.take("reports")
    # ten at once, then one each six seconds
    assert clock.now - began == pytest.approx(20 * 6, abs=1)


async def test_a_blocked_tier_waits_and_the_others_go_on() -> None:
    clock = Clock()
    throttle = Throttle(now=clock, sleep=clock.sleep)
    throttle.blocked("tier2", 13)
    await throttle.take("tier1")
    assert clock.slept == []
    await throttle.take("tier2")
    assert clock.now >= 1013
