"""The places of a channel: as many as allowed, none for servers that are down, finished before the end."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from contracts.base import Reason
from contracts.events import Channel
from contracts.plan import PlannedDelivery
from distributor.domain.circuits import Circuits
from distributor.domain.results import Nothing, Postponed, Rejected, Settle, failed
from distributor.domain.rows import State
from distributor.pool import Pool
from distributor.ports import Claim
from distributor.use_cases.attempt import Finished
from distributor.use_cases.fan_in import plan_deliveries, settle_unit
from runtime.errors import Transient
from support import deliveries as make
from support.clock import FakeClock
from support.fake_deliveries import FakeDeliveries
from support.waiting import until

Attempt = Callable[[Claim], Awaitable[Finished]]
REASON = Reason(code="x", message="x")


async def ready(*deliveries: PlannedDelivery) -> tuple[FakeClock, FakeDeliveries]:
    clock = FakeClock()
    rows = FakeDeliveries(clock)
    plan = make.plan(*deliveries)
    await plan_deliveries(
        make.planned(made=plan), plans=make.FixedPlans(plan), rows=rows, clock=clock, margin=timedelta(0)
    )
    for unit in plan.units:
        await settle_unit(make.generated(unit.id), rows=rows, clock=clock)
    return clock, rows


@asynccontextmanager
async def running(
    clock: FakeClock,
    rows: FakeDeliveries,
    attempt: Attempt,
    *,
    channel: Channel,
    places: int = 2,
    share: int = 2,
) -> Any:
    circuits = Circuits(first_pause=timedelta(seconds=2), longest_pause=timedelta(seconds=8), share=share)
    pool = Pool(
        channel, rows=rows, attempt=attempt, circuits=circuits, clock=clock, places=places, poll_s=0.001
    )
    stopping = asyncio.Event()
    task = asyncio.create_task(pool.run(stopping))
    try:
        yield pool
    finally:
        stopping.set()
        await asyncio.wait_for(task, timeout=10)


async def fail(rows: FakeDeliveries, claim: Claim) -> Finished:
    event = failed(claim.row, REASON, attempts=1)
    kept = rows.kept[claim.row.id]
    kept.state, kept.token = State.FAILED, None
    return Finished(Rejected(REASON), Settle(State.FAILED, event), recorded=True)


def mails(count: int) -> list[PlannedDelivery]:
    return [make.mail_delivery("a", to=f"reader{number}@example.com") for number in range(count)]


async def test_never_more_than_its_places_at_once_and_all_in_the_end() -> None:
    clock, rows = await ready(*mails(7))
    now, most, done = 0, 0, []

    async def attempt(claim: Claim) -> Finished:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.005)
        now -= 1
        done.append(claim.row.id)
        return await fail(rows, claim)

    async with running(clock, rows, attempt, channel=Channel.EMAIL, places=3, share=3):
        await until(lambda: len(done) == 7)
    assert most == 3
    assert len(set(done)) == 7


async def test_a_storage_that_is_down_leaves_the_places_to_the_others() -> None:
    down = [make.storage_delivery({f"d{number}": "x"}, storage="down") for number in range(5)]
    up = [make.storage_delivery({f"u{number}": "x"}, storage=f"up-{number}") for number in range(5)]
    clock, rows = await ready(*down, *up)
    tried: list[str] = []

    async def attempt(claim: Claim) -> Finished:
        tried.append(claim.row.target_key)
        if claim.row.target_key == "storage:down":
            rows.kept[claim.row.id].state = State.READY
            rows.kept[claim.row.id].next_attempt_at = clock.now()
            return Finished(Postponed("down", "down", unreachable=True), Nothing(), recorded=True)
        return await fail(rows, claim)

    async with running(clock, rows, attempt, channel=Channel.STORAGE, places=2, share=1):
        await until(lambda: len([key for key in tried if key != "storage:down"]) == 5)
        assert tried.count("storage:down") <= 1
        clock.advance(timedelta(seconds=3))
        before = tried.count("storage:down")
        await until(lambda: tried.count("storage:down") == before + 1)


async def test_a_storage_that_hangs_takes_up_its_share_only() -> None:
    slow = [make.storage_delivery({f"d{number}": "x"}, storage="slow") for number in range(3)]
    clock, rows = await ready(*slow, make.storage_delivery({"u": "x"}, storage="quick"))
    hanging, done = asyncio.Event(), []

    async def attempt(claim: Claim) -> Finished:
        if claim.row.target_key == "storage:slow":
            await hanging.wait()
        done.append(claim.row.target_key)
        return await fail(rows, claim)

    async with running(clock, rows, attempt, channel=Channel.STORAGE, places=2, share=1):
        await until(lambda: done == ["storage:quick"])
        hanging.set()
        await until(lambda: len(done) == 4)


async def test_a_failing_attempt_or_claim_stops_nobody() -> None:
    clock, rows = await ready(*mails(3))
    done: list[str] = []
    broken: list[Exception] = [Transient("store down"), KeyError("bug")]
    claim_for_real = rows.claim

    async def claim(channel: Channel, *, not_to: Any) -> Claim | None:
        if broken:
            raise broken.pop()
        return await claim_for_real(channel, not_to=not_to)

    rows.claim = claim  # type: ignore[method-assign]
    troubles: list[Exception] = [KeyError("bug"), Transient("store down")]

    async def attempt(claim: Claim) -> Finished:
        if troubles:
            raise troubles.pop()
        done.append(claim.row.id)
        return await fail(rows, claim)

    async with running(clock, rows, attempt, channel=Channel.EMAIL):
        await until(lambda: len(done) == 1)
        clock.advance(timedelta(minutes=1))
        await until(lambda: len(done) == 3)


async def test_stopping_waits_for_what_is_under_way_and_starts_nothing_new() -> None:
    clock, rows = await ready(*mails(2))
    started, go, done = asyncio.Event(), asyncio.Event(), []

    async def attempt(claim: Claim) -> Finished:
        started.set()
        await go.wait()
        done.append(claim.row.id)
        return await fail(rows, claim)

    async with running(clock, rows, attempt, channel=Channel.EMAIL, places=1):
        await started.wait()
        asyncio.get_running_loop().call_later(0.02, go.set)
    assert len(done) == 1
    assert sorted(rows.states().values()) == ["failed", "ready"]


async def test_a_pool_leaves_other_channels_alone() -> None:
    clock, rows = await ready(*mails(1), make.hub_delivery("a"))
    done: list[Channel] = []

    async def attempt(claim: Claim) -> Finished:
        done.append(claim.row.channel)
        return await fail(rows, claim)

    async with running(clock, rows, attempt, channel=Channel.HUB) as pool:
        pool.wake()
        await until(lambda: bool(done))
    assert done == [Channel.HUB]
