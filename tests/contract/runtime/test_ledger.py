"""What the ledger promises: the fake and the real one on both drivers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from runtime.ledger import KEPT_ATTEMPTS, Lease, Ledger, lease_of
from runtime.store import Driver
from standalone.mongo import Mongo
from support.fake_ledger import FakeLedger
from support.stores import DRIVERS, fresh_store

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LEASE = timedelta(minutes=5)
LATER = NOW + timedelta(minutes=5)


class LedgerContract:
    """Run against every implementation."""

    async def test_add_inserts_what_is_new_and_leaves_the_rest_untouched(self, ledger: Ledger) -> None:
        assert await ledger.add([{"_id": "a", "n": 1}, {"_id": "b", "n": 1}]) == 2
        assert await ledger.add([{"_id": "b", "n": 2}, {"_id": "c", "n": 2}]) == 1
        assert [(await row(ledger, key))["n"] for key in "abc"] == [1, 1, 2]
        assert await ledger.add([]) == 0

    async def test_add_of_one_id_twice_in_a_batch_keeps_the_first(self, ledger: Ledger) -> None:
        assert await ledger.add([{"_id": "a", "n": 1}, {"_id": "a", "n": 2}]) == 1
        assert (await row(ledger, "a"))["n"] == 1

    async def test_get_of_nothing_is_none(self, ledger: Ledger) -> None:
        assert await ledger.get("a") is None

    async def test_claim_of_a_due_row(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a", "n": 7}])
        lease = await claim(ledger)
        assert (lease.id, lease.attempt, lease.until, lease.document["n"]) == ("a", 1, LATER, 7)
        assert (await row(ledger, "a"))["state"] == "claimed"

    async def test_nothing_due_is_none(self, ledger: Ledger) -> None:
        assert await ledger.claim(NOW, lease_for=LEASE) is None
        await ledger.add([{"_id": "a", "next_attempt_at": NOW + timedelta(seconds=1)}])
        await ledger.add([{"_id": "b", "state": "waiting"}])
        assert await ledger.claim(NOW, lease_for=LEASE) is None

    async def test_row_due_this_very_moment_is_due(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a", "next_attempt_at": NOW}])
        assert (await claim(ledger)).id == "a"

    async def test_row_is_claimed_once_while_the_lease_runs(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a"}])
        await claim(ledger)
        assert await ledger.claim(LATER - timedelta(milliseconds=1), lease_for=LEASE) is None

    async def test_many_claims_at_once_get_different_rows(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": f"row-{n}"} for n in range(10)])
        leases = await asyncio.gather(*(ledger.claim(NOW, lease_for=LEASE) for _ in range(25)))
        got = [lease for lease in leases if lease is not None]
        assert len(got) == 10
        assert len({lease.id for lease in got}) == 10
        assert len({lease.token for lease in got}) == 10

    async def test_many_claims_of_one_row_at_once_have_one_winner(self, ledger: Ledger) -> None:
        leases = await asyncio.gather(
            *(ledger.claim_one("a", NOW, lease_for=LEASE, add={"n": 1}) for _ in range(20))
        )
        assert len([lease for lease in leases if lease is not None]) == 1
        assert (await row(ledger, "a"))["attempt"] == 1

    async def test_earliest_due_row_comes_first(self, ledger: Ledger) -> None:
        await ledger.add(
            [{"_id": str(n), "next_attempt_at": NOW - timedelta(minutes=n)} for n in range(1, 4)]
        )
        assert [(await claim(ledger)).id for _ in range(3)] == ["3", "2", "1"]

    async def test_filter_and_sort_choose(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": str(n), "channel": "email" if n % 2 else "hub", "p": n} for n in range(6)])
        lease = await ledger.claim(NOW, lease_for=LEASE, filter={"channel": "email"}, sort=[("p", -1)])
        assert lease is not None
        assert lease.id == "5"
        assert await ledger.claim(NOW, lease_for=LEASE, filter={"channel": {"$in": ["storage"]}}) is None

    async def test_states_to_claim_from_are_named(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a", "state": "retry"}])
        lease = await ledger.claim(NOW, lease_for=LEASE, states=("retry",))
        assert lease is not None

    async def test_claim_one_takes_only_that_row(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a"}, {"_id": "b"}])
        lease = await ledger.claim_one("b", NOW, lease_for=LEASE)
        assert lease is not None
        assert lease.id == "b"
        assert await ledger.claim_one("b", NOW, lease_for=LEASE) is None
        assert await ledger.claim_one("missing", NOW, lease_for=LEASE) is None

    async def test_claim_one_does_not_overwrite_a_row_it_would_add(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a", "n": 1}])
        lease = await ledger.claim_one("a", NOW, lease_for=LEASE, add={"n": 2})
        assert lease is not None
        assert lease.document["n"] == 1

    async def test_lease_that_ran_out_in_a_safe_state_is_claimed_again(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a"}])
        first = await claim(ledger)
        second = await claim(ledger, LATER)
        assert second.id == "a"
        assert second.token != first.token
        assert second.attempt == 2

    async def test_worker_whose_row_was_taken_over_can_write_nothing(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a"}])
        first = await claim(ledger)
        second = await claim(ledger, LATER)
        before = await row(ledger, "a")
        assert not await ledger.extend(first, LATER, LEASE)
        assert not await ledger.mark(first, state="transmitting", set={"by": "first"})
        assert not await ledger.settle(first, state="succeeded", events=[event("e")])
        assert not await ledger.release(first, next_attempt_at=NOW, error={"code": "x"})
        assert await row(ledger, "a") == before
        assert await ledger.mark(second, state="transmitting")

    async def test_lease_that_ran_out_in_an_unsafe_state_is_never_claimed_again(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a"}])
        lease = await claim(ledger)
        assert await ledger.mark(lease, state="transmitting", set={"sent_at": NOW})
        much_later = NOW + timedelta(days=30)
        assert await ledger.claim(much_later, lease_for=LEASE) is None
        assert await ledger.claim_one("a", much_later, lease_for=LEASE) is None

    async def test_expired_shows_rows_in_an_unsafe_state_and_only_those(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": key} for key in ("safe", "sending", "done")])
        for key in ("safe", "sending", "done"):
            lease = await ledger.claim_one(key, NOW, lease_for=LEASE)
            assert lease is not None
            if key != "safe":
                assert await ledger.mark(lease, state="transmitting")
            if key == "done":
                assert await ledger.settle(lease, state="succeeded")
        assert [each["_id"] async for each in ledger.expired(LATER - timedelta(seconds=1))] == []
        assert [each["_id"] async for each in ledger.expired(LATER)] == ["sending"]

    async def test_of_two_who_decide_about_an_expired_row_the_first_wins(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a"}])
        assert await ledger.mark(await claim(ledger), state="transmitting")
        (first,) = [lease_of(each) async for each in ledger.expired(LATER)]
        (second,) = [lease_of(each) async for each in ledger.expired(LATER)]
        assert await ledger.settle(first, state="unknown", events=[event("e1")])
        assert not await ledger.settle(second, state="unknown", events=[event("e2")])
        assert [each["event_id"] for each in (await row(ledger, "a"))["outbox"]] == ["e1"]

    async def test_worker_that_comes_back_before_the_decision_may_settle(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a"}])
        lease = await claim(ledger)
        assert await ledger.mark(lease, state="transmitting")
        (seen,) = [lease_of(each) async for each in ledger.expired(LATER)]
        assert await ledger.settle(lease, state="succeeded")
        assert not await ledger.settle(seen, state="unknown")
        assert (await row(ledger, "a"))["state"] == "succeeded"

    async def test_extended_lease_lasts_longer(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a"}])
        lease = await claim(ledger)
        assert await ledger.extend(lease, LATER - timedelta(seconds=1), LEASE)
        assert await ledger.claim(LATER, lease_for=LEASE) is None
        assert (await claim(ledger, LATER + LEASE)).id == "a"

    async def test_mark_can_move_the_end_of_the_lease(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a"}])
        lease = await claim(ledger)
        assert await ledger.mark(lease, state="transmitting", until=LATER + LEASE)
        assert [each async for each in ledger.expired(LATER)] == []
        assert len([each async for each in ledger.expired(LATER + LEASE)]) == 1

    async def test_settled_row_is_final(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a"}])
        lease = await claim(ledger)
        done = {"accepted_at": NOW, "result.code": 250}
        assert await ledger.settle(lease, state="succeeded", set=done, events=[event("e1"), event("e2")])
        found = await row(ledger, "a")
        assert (found["state"], found["accepted_at"], found["result"]) == ("succeeded", NOW, {"code": 250})
        assert [each["event_id"] for each in found["outbox"]] == ["e1", "e2"]
        assert not await ledger.settle(lease, state="failed")
        assert not await ledger.release(lease, next_attempt_at=NOW)
        assert await ledger.claim(NOW + timedelta(days=1), lease_for=LEASE) is None

    async def test_released_row_comes_again_at_its_time_with_its_history(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a"}])
        again_at = NOW + timedelta(seconds=30)
        error = {"code": "deferred", "message": "try later"}
        assert await ledger.release(
            await claim(ledger), next_attempt_at=again_at, error=error, set={"last_error": error}
        )
        assert await ledger.claim(again_at - timedelta(milliseconds=1), lease_for=LEASE) is None
        second = await claim(ledger, again_at)
        assert second.attempt == 2
        assert second.document["last_error"] == error
        assert second.document["attempts"] == [
            {"number": 1, "started_at": NOW, "state": "ready", "error": error}
        ]

    async def test_history_keeps_the_latest_attempts_only(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a"}])
        for _ in range(KEPT_ATTEMPTS + 3):
            assert await ledger.release(await claim(ledger), next_attempt_at=NOW)
        attempts = (await row(ledger, "a"))["attempts"]
        assert [each["number"] for each in attempts] == list(range(4, KEPT_ATTEMPTS + 4))

    async def test_moments_are_kept_to_the_millisecond(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a", "at": NOW + timedelta(microseconds=1_999)}])
        assert (await row(ledger, "a"))["at"] == NOW + timedelta(milliseconds=1)

    async def test_row_that_was_handed_out_is_a_copy(self, ledger: Ledger) -> None:
        await ledger.add([{"_id": "a", "tags": ["x"]}])
        (await row(ledger, "a"))["tags"].append("y")
        (await claim(ledger)).document["tags"].append("z")
        assert (await row(ledger, "a"))["tags"] == ["x"]


class TestFakeLedger(LedgerContract):
    @pytest.fixture
    def ledger(self) -> FakeLedger:
        return FakeLedger()

    async def test_filter_it_does_not_understand_raises(self) -> None:
        """A fake that cannot honour a promise has to say so."""
        ledger = FakeLedger()
        await ledger.add([{"_id": "a", "n": 1}])
        with pytest.raises(NotImplementedError):
            await ledger.claim(NOW, lease_for=LEASE, filter={"n": {"$regex": "x"}})
        with pytest.raises(NotImplementedError):
            await ledger.claim(NOW, lease_for=LEASE, filter={"$or": [{"n": 1}]})

    async def test_safe_states_can_be_chosen(self) -> None:
        await safe_states_can_be_chosen(cast("Ledger", FakeLedger(safe_states=("claimed", "rendering"))))


@pytest.mark.integration
@pytest.mark.parametrize("driver", DRIVERS, scope="class")
class TestMongoLedger(LedgerContract):
    @pytest.fixture
    async def ledger(self, driver: Driver, mongo_server: Mongo) -> AsyncIterator[Ledger]:
        async with fresh_store(mongo_server.uri, driver=driver) as store:
            ledger = Ledger(store.db["rows"])
            await ledger.ensure_indexes()
            yield ledger

    async def test_safe_states_can_be_chosen(self, driver: Driver, mongo_server: Mongo) -> None:
        async with fresh_store(mongo_server.uri, driver=driver) as store:
            await safe_states_can_be_chosen(Ledger(store.db["rows"], safe_states=("claimed", "rendering")))

    async def test_claims_are_served_by_the_index(self, driver: Driver, mongo_server: Mongo) -> None:
        async with fresh_store(mongo_server.uri, driver=driver) as store:
            ledger = Ledger(store.db["rows"])
            await ledger.ensure_indexes()
            await ledger.add([{"_id": str(n), "next_attempt_at": NOW} for n in range(100)])
            explained = await store.db.command(
                "explain",
                {
                    "find": "rows",
                    "filter": {"state": {"$in": ["ready", "claimed"]}, "next_attempt_at": {"$lte": NOW}},
                    "sort": {"next_attempt_at": 1},
                    "limit": 1,
                },
                verbosity="executionStats",
            )
            assert explained["executionStats"]["totalDocsExamined"] <= 2


async def safe_states_can_be_chosen(ledger: Ledger) -> None:
    await ledger.add([{"_id": "a"}])
    lease = await claim(ledger)
    assert await ledger.mark(lease, state="rendering")
    assert (await claim(ledger, LATER)).id == "a"


def test_lease_of_a_row_without_one_is_refused() -> None:
    with pytest.raises(ValueError, match="no lease"):
        lease_of({"_id": "a", "lease_token": None})


async def claim(ledger: Ledger, now: datetime = NOW) -> Lease:
    lease = await ledger.claim(now, lease_for=LEASE)
    assert lease is not None
    return lease


async def row(ledger: Ledger, key: str) -> dict[str, Any]:
    found = await ledger.get(key)
    assert found is not None
    return found


def event(event_id: str) -> dict[str, Any]:
    return {"event_id": event_id, "occurred_at": NOW}
