"""What sessions rely on of limits at a site: in one process, and shared by replicas on both drivers."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from generator.adapters.qlik_gate import SLOTS, MongoBreaker, MongoGate
from qlik import LocalBreaker, LocalGate, SiteBreaker, SiteBusy, SiteGate
from qlik import Transient as QlikTransient
from qlik.gate import Breaking
from runtime.clock import SystemClock
from runtime.store import Driver, Store
from standalone.mongo import Mongo
from support.clock import FakeClock
from support.stores import DRIVERS, fresh_store

LEASE = timedelta(seconds=30)
RULES = Breaking(threshold=3, cool_s=10, longest_s=40, probe_s=60)
AWAY = QlikTransient("away", code="unreachable")


class GatePromises:
    """Two gates stand for two replicas; in one process they are the same one."""

    async def test_no_more_hold_a_slot_than_its_capacity(self, gates: tuple[SiteGate, SiteGate]) -> None:
        inside, most, done = 0, 0, 0

        async def job(gate: SiteGate) -> None:
            nonlocal inside, most, done
            async with gate.slot("site", capacity=3):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.02)
                inside -= 1
            done += 1

        await asyncio.gather(*(job(gates[number % 2]) for number in range(20)))
        assert (3, 20) == (most, done)

    async def test_another_key_has_slots_of_its_own(self, gates: tuple[SiteGate, SiteGate]) -> None:
        async with gates[0].slot("site", capacity=1), gates[1].slot("other", capacity=1):
            pass

    async def test_a_slot_comes_back_when_its_holder_fails(self, gates: tuple[SiteGate, SiteGate]) -> None:
        with pytest.raises(ValueError, match="mine"):
            async with gates[0].slot("site", capacity=1):
                raise ValueError("mine")
        async with gates[1].slot("site", capacity=1):
            pass

    async def test_a_slot_that_lingers_is_free_only_later(self, gates: tuple[SiteGate, SiteGate]) -> None:
        async with gates[0].slot("site", capacity=1, linger_s=4):
            pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), gates[1].slot("site", capacity=1):
                pass
        async with asyncio.timeout(30), gates[1].slot("site", capacity=1):
            pass


class TestLocalGate(GatePromises):
    @pytest.fixture
    def gates(self) -> tuple[SiteGate, SiteGate]:
        gate = LocalGate()
        return gate, gate


@pytest.fixture(params=DRIVERS)
async def store(mongo_server: Mongo, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    driver: Driver = request.param
    async with fresh_store(mongo_server.uri, driver=driver) as opened:
        yield opened


async def mongo_gate(store: Store, *, lease: timedelta = LEASE, wait: float = 20) -> MongoGate:
    gate = MongoGate(store, SystemClock(), lease_for=lease, wait_for=timedelta(seconds=wait))
    await gate.ensure_indexes()
    return gate


@pytest.mark.integration
class TestMongoGate(GatePromises):
    @pytest.fixture
    async def gates(self, store: Store) -> tuple[SiteGate, SiteGate]:
        return await mongo_gate(store), await mongo_gate(store)

    async def test_a_smaller_capacity_counts_from_the_next_session_on(self, store: Store) -> None:
        gate = await mongo_gate(store, wait=0.3)
        async with gate.slot("site", capacity=2):
            pass
        async with gate.slot("site", capacity=1):
            with pytest.raises(SiteBusy) as caught:
                async with gate.slot("site", capacity=1):
                    pass
        assert "no-slot" == caught.value.code
        assert "sessions_per_user" in caught.value.remedy

    async def test_a_slot_is_kept_for_longer_than_a_lease(self, store: Store) -> None:
        short = timedelta(seconds=2)
        gate, other = await mongo_gate(store, lease=short), await mongo_gate(store, lease=short, wait=3)
        async with gate.slot("site", capacity=1):
            with pytest.raises(SiteBusy):
                async with other.slot("site", capacity=1):
                    pass

    async def test_a_holder_whose_slot_was_taken_over_is_stopped(self, store: Store) -> None:
        gate = await mongo_gate(store, lease=timedelta(seconds=0.6))

        async def hold() -> None:
            async with gate.slot("site", capacity=1):
                await store.db[SLOTS].update_many({}, {"$set": {"lease_token": "somebody else"}})
                await asyncio.sleep(30)

        with pytest.raises(QlikTransient) as caught:
            await hold()
        assert "slot-lost" == caught.value.code

    async def test_a_holder_that_stood_still_stops_before_it_does_anything_more(self, store: Store) -> None:
        """A process that was frozen for longer than its lease wakes up to find its time over."""
        gate = await mongo_gate(store, lease=timedelta(seconds=0.3))
        went_on = False

        async def hold() -> None:
            nonlocal went_on
            async with gate.slot("site", capacity=1):
                time.sleep(0.5)  # noqa: ASYNC251 - the whole process stands still
                await asyncio.sleep(30)
                went_on = True

        with pytest.raises(QlikTransient):
            await hold()
        assert not went_on

    async def test_slots_of_a_killed_replica_come_back(self, mongo_server: Mongo) -> None:
        async with fresh_store(mongo_server.uri) as store:
            await mongo_gate(store)
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", HOLDER, mongo_server.uri, store.db.name),
                stdout=asyncio.subprocess.PIPE,
            )
            try:
                assert child.stdout is not None
                assert b"held\n" == await child.stdout.readline()
                held = {"lease_token": {"$ne": None}}
                assert 2 == await store.db[SLOTS].count_documents(held)
                with pytest.raises(SiteBusy):
                    async with (await mongo_gate(store, wait=0.5)).slot("site", capacity=2):
                        pass
            finally:
                child.kill()
                await child.wait()
            gate = await mongo_gate(store)
            async with gate.slot("site", capacity=2), gate.slot("site", capacity=2):
                assert 2 == await store.db[SLOTS].count_documents(held)


HOLDER = """
import asyncio, sys
from datetime import timedelta
from generator.adapters.qlik_gate import MongoGate
from runtime.clock import SystemClock
from runtime.store import open_store

async def main(uri, database):
    async with open_store(uri, database) as store:
        gate = MongoGate(store, SystemClock(), lease_for=timedelta(seconds=5))
        async with gate.slot("site", capacity=2), gate.slot("site", capacity=2):
            print("held", flush=True)
            await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""


class BreakerPromises:
    """The first and the second breaker stand for two replicas."""

    async def test_a_site_that_fails_again_and_again_is_left_alone_and_then_probed_by_one(
        self, breakers: tuple[SiteBreaker, SiteBreaker], clock: FakeClock
    ) -> None:
        for number in range(3):
            await breakers[number % 2].check("s")
            await breakers[number % 2].failed("s", AWAY)
        for breaker in breakers:
            with pytest.raises(QlikTransient) as caught:
                await breaker.check("s")
            assert ("circuit-open", 10) == (caught.value.code, caught.value.retry_after)
        await breakers[0].check("another site")

        clock.advance(timedelta(seconds=10))
        await breakers[0].check("s")
        with pytest.raises(QlikTransient):
            await breakers[1].check("s")

        await breakers[0].succeeded("s")
        await breakers[1].check("s")

    async def test_a_probe_that_went_away_lets_the_next_one_in_at_once_and_a_killed_one_later(
        self, breakers: tuple[SiteBreaker, SiteBreaker], clock: FakeClock
    ) -> None:
        for _ in range(3):
            await breakers[0].failed("s", AWAY)
        clock.advance(timedelta(seconds=10))
        await breakers[0].check("s")
        await breakers[0].gave_up("s")
        await breakers[1].check("s")
        clock.advance(timedelta(seconds=59))
        with pytest.raises(QlikTransient):
            await breakers[0].check("s")
        clock.advance(timedelta(seconds=1))
        await breakers[0].check("s")

    async def test_failures_that_come_at_once_all_count(
        self, breakers: tuple[SiteBreaker, SiteBreaker]
    ) -> None:
        await asyncio.gather(*(breakers[number % 2].failed("s", AWAY) for number in range(8)))
        with pytest.raises(QlikTransient, match="8 times"):
            await breakers[0].check("s")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class TestLocalBreaker(BreakerPromises):
    @pytest.fixture
    def breakers(self, clock: FakeClock) -> tuple[SiteBreaker, SiteBreaker]:
        breaker = LocalBreaker(now=lambda: clock.now().timestamp(), rules=RULES)
        return breaker, breaker


@pytest.mark.integration
class TestMongoBreaker(BreakerPromises):
    @pytest.fixture
    def breakers(self, store: Store, clock: FakeClock) -> tuple[SiteBreaker, SiteBreaker]:
        return MongoBreaker(store, clock, RULES), MongoBreaker(store, clock, RULES)
