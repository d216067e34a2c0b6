"""What the delivery ledger promises, on the fake and on MongoDB with both drivers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from unittest.mock import patch

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from contracts.events import Channel, DeliveryFailed, DeliverySkipped
from contracts.mailing import AddressState, answered, sending
from contracts.plan import PlannedDelivery
from distributor.adapters.mongo import DELIVERIES, Deliveries
from distributor.domain.results import failed, given_up
from distributor.domain.rows import Acceptance, Row, SettledUnit, State, settled_unit
from distributor.ports import AttemptNote, Claim, Stray
from distributor.use_cases.fan_in import plan_deliveries, settle_unit
from runtime.outbox import OutboxRelay
from runtime.store import Store
from standalone.mongo import Mongo
from support import deliveries as make
from support.clock import FakeClock
from support.fake_deliveries import FakeDeliveries
from support.outbox_bus import OutboxBus
from support.servers import unique
from support.stores import fresh_store

pytestmark = pytest.mark.integration

LEASE = timedelta(minutes=1)
Rows = FakeDeliveries | Deliveries


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["fake", "motor", "pymongo"])
async def rows(request: pytest.FixtureRequest, mongo_server: Mongo, clock: FakeClock) -> AsyncIterator[Rows]:
    if request.param == "fake":
        yield FakeDeliveries(clock, lease_for=LEASE)
        return
    async with fresh_store(mongo_server.uri, driver=request.param) as store:
        made = Deliveries(store, clock=clock, lease_for=LEASE)
        await made.ensure_indexes()
        yield made


async def planned(rows: Rows, clock: FakeClock, *deliveries: PlannedDelivery) -> tuple[Row, ...]:
    plan = make.plan(*deliveries)
    await plan_deliveries(
        make.planned(made=plan), plans=make.FixedPlans(plan), rows=rows, clock=clock, margin=timedelta(0)
    )
    return tuple(make.row(delivery) for delivery in deliveries)


async def ready(rows: Rows, clock: FakeClock, *deliveries: PlannedDelivery) -> None:
    await planned(rows, clock, *deliveries)
    for unit in dict.fromkeys(unit for delivery in deliveries for unit in delivery.units):
        await settle_unit(make.generated(unit), rows=rows, clock=clock)


async def claimed(rows: Rows, channel: Channel = Channel.EMAIL) -> Claim:
    claim = await rows.claim(channel, not_to=())
    assert claim is not None
    return claim


def note(claim: Claim, code: str = "450") -> AttemptNote:
    return AttemptNote(claim.attempt, make.START, make.START + timedelta(seconds=1), code, "words")


async def test_rows_are_inserted_once(rows: Rows) -> None:
    row = make.row(make.mail_delivery("a"))
    assert [await rows.add([row]), await rows.add([row])] == [1, 0]


async def test_the_first_outcome_stays_and_is_read_back_whole(rows: Rows) -> None:
    first: SettledUnit = settled_unit(make.generated("a"))
    await rows.record(first)
    await rows.record(settled_unit(make.failed("a")))
    await rows.record(settled_unit(make.skipped("b")))
    assert await rows.outcomes(make.EXECUTION, ["a"]) == {"a": first}
    assert set(await rows.outcomes(make.EXECUTION)) == {"a", "b"}


async def test_outcomes_of_executions_do_not_mix(rows: Rows) -> None:
    other = "00000000-0000-5000-8000-000000000001"
    await rows.record(settled_unit(make.generated("a", execution=other)))
    await rows.record(settled_unit(make.failed("a")))
    assert (await rows.outcomes(make.EXECUTION))["a"].kind == "failed"
    assert (await rows.outcomes(other, ["a"]))["a"].kind == "generated"


async def test_a_row_is_complete_when_its_last_unit_is_struck_off(rows: Rows, clock: FakeClock) -> None:
    (row, _) = await planned(rows, clock, make.mail_delivery("a", "b"), make.hub_delivery("c"))
    await rows.strike(make.EXECUTION, ["a"])
    assert [each async for each in rows.complete(make.EXECUTION)] == []
    assert not await rows.make_ready(row.id, clock.now())
    await rows.strike(make.EXECUTION, ["b", "a"])
    assert [each async for each in rows.complete(make.EXECUTION)] == [row]
    assert [each async for each in rows.complete(None)] == [row]
    assert [await rows.make_ready(row.id, clock.now()) for _ in range(2)] == [True, False]


async def test_a_claim_is_exclusive_while_its_lease_runs(rows: Rows, clock: FakeClock) -> None:
    await ready(rows, clock, make.mail_delivery("a"))
    first = await claimed(rows)
    assert first.attempt == 1
    assert await rows.claim(Channel.EMAIL, not_to=()) is None
    clock.advance(LEASE)
    second = await claimed(rows)
    assert second.attempt == 2
    event = failed(first.row, make.failed("a").reason, attempts=1)
    assert not await rows.extend(first)
    assert not await rows.transmitting(first, sending(first.row.addresses, {}))
    assert not await rows.release(first, at=clock.now(), row=first.row, note=note(first))
    assert not await rows.settle(first, state=State.FAILED, event=event, note=note(first))
    assert await rows.transmitting(second, sending(second.row.addresses, {}))


async def test_claims_look_at_channel_and_target(rows: Rows, clock: FakeClock) -> None:
    await ready(
        rows,
        clock,
        make.storage_delivery({"a": "x"}, storage="one"),
        make.storage_delivery({"a": "x"}, storage="two"),
    )
    assert await rows.claim(Channel.EMAIL, not_to=()) is None
    assert await rows.claim(Channel.STORAGE, not_to={"storage:one", "storage:two"}) is None
    claim = await rows.claim(Channel.STORAGE, not_to={"storage:one"})
    assert claim is not None
    assert claim.row.target_key == "storage:two"


async def test_an_extended_lease_lasts_longer(rows: Rows, clock: FakeClock) -> None:
    await ready(rows, clock, make.mail_delivery("a"))
    claim = await claimed(rows)
    clock.advance(LEASE - timedelta(seconds=1))
    assert await rows.extend(claim)
    clock.advance(LEASE - timedelta(seconds=1))
    assert await rows.claim(Channel.EMAIL, not_to=()) is None


async def test_a_released_row_comes_back_when_it_is_due(rows: Rows, clock: FakeClock) -> None:
    await ready(rows, clock, make.mail_delivery("a"))
    claim = await claimed(rows)
    assert await rows.transmitting(claim, sending(claim.row.addresses, {}))
    at = clock.now() + timedelta(seconds=30)
    deferred = answered(claim.row.addresses, {"ann@example.com": (AddressState.PENDING, "450 later")})
    after = claim.row.model_copy(
        update={"addresses": deferred, "acceptance": Acceptance(at=clock.now(), message_id="<m@x>")}
    )
    assert await rows.release(claim, at=at, row=after, note=note(claim))
    assert await rows.claim(Channel.EMAIL, not_to=()) is None
    clock.set(at)
    again = await claimed(rows)
    assert (again.attempt, again.row, again.last) == (2, after, "450 words")


async def test_a_transmitting_row_is_never_handed_out_again(rows: Rows, clock: FakeClock) -> None:
    await ready(rows, clock, make.mail_delivery("a"))
    claim = await claimed(rows)
    assert await rows.transmitting(claim, sending(claim.row.addresses, {}))
    assert [each async for each in rows.abandoned(clock.now())] == []
    clock.advance(LEASE * 10)
    assert await rows.claim(Channel.EMAIL, not_to=()) is None
    (left,) = [each async for each in rows.abandoned(clock.now())]
    assert (left.row.id, left.attempt) == (claim.row.id, 1)
    assert [each.state for each in left.row.addresses] == [AddressState.SENDING]
    event = failed(left.row, make.failed("a").reason, attempts=1)
    assert await rows.settle(left, state=State.UNKNOWN, event=event, note=note(left))
    assert not await rows.settle(left, state=State.UNKNOWN, event=event, note=note(left))
    assert [each async for each in rows.abandoned(clock.now())] == []


async def test_past_its_time_a_row_is_found_unless_somebody_works_on_it(rows: Rows, clock: FakeClock) -> None:
    waiting, _ = await planned(rows, clock, make.mail_delivery("never"), make.hub_delivery("a"))
    await settle_unit(make.generated("a"), rows=rows, clock=clock)
    tried = await claimed(rows, Channel.HUB)
    assert await rows.release(tried, at=clock.now(), row=tried.row, note=note(tried))
    held = await claimed(rows, Channel.HUB)
    clock.set(waiting.give_up_at - timedelta(seconds=1))
    assert [each async for each in rows.past_time(clock.now())] == []
    assert await rows.extend(held)
    clock.set(waiting.give_up_at)
    assert [each async for each in rows.past_time(clock.now())] == [Stray(waiting, 0, "", waiting=True)]
    clock.advance(LEASE)
    found = {each.row.id: each async for each in rows.past_time(clock.now())}
    assert found == {
        waiting.id: Stray(waiting, 0, "", waiting=True),
        held.row.id: Stray(held.row, 2, "450 words", waiting=False),
    }
    decision = given_up(waiting, attempts=0, waiting=True)
    assert [await rows.close(waiting.id, decision=decision, now=clock.now()) for _ in range(2)] == [
        True,
        False,
    ]


@pytest.fixture
async def store(mongo_server: Mongo) -> AsyncIterator[Store]:
    async with fresh_store(mongo_server.uri) as opened:
        yield opened


async def test_events_reach_the_bus_once_from_the_row_they_settle(store: Store, clock: FakeClock) -> None:
    rows, bus = Deliveries(store, clock=clock, lease_for=LEASE), OutboxBus()
    await rows.ensure_indexes()
    told: list[str] = []
    rows.on_settled(lambda: told.append("now"))
    relay = OutboxRelay(store.collection(DELIVERIES), bus)
    await ready(rows, clock, make.mail_delivery("a"))
    await planned(rows, clock, make.hub_delivery("b"))
    await settle_unit(make.skipped("b"), rows=rows, clock=clock)
    claim = await claimed(rows)
    event = failed(claim.row, make.failed("a").reason, attempts=1)
    assert await rows.settle(claim, state=State.FAILED, event=event, note=note(claim))
    assert [await relay.run_once(), await relay.run_once()] == [2, 0]
    assert {type(each) for each in bus.events()} == {DeliveryFailed, DeliverySkipped}
    assert told == ["now", "now"]
    sources = {message.headers["ce_source"] for message in bus.messages}
    assert sources == {"/broadsheet/distributor"}


async def test_the_row_shows_its_attempts(store: Store, clock: FakeClock) -> None:
    rows = Deliveries(store, clock=clock, lease_for=LEASE)
    await ready(rows, clock, make.mail_delivery("a"))
    claim = await claimed(rows)
    assert await rows.release(claim, at=clock.now(), row=claim.row, note=note(claim, "450"))
    claim = await claimed(rows)
    event = failed(claim.row, make.failed("a").reason, attempts=2)
    assert await rows.settle(claim, state=State.FAILED, event=event, note=note(claim, "550"))
    document = await store.collection(DELIVERIES).find_one({"_id": claim.row.id})
    assert document is not None
    assert [each["number"] for each in document["attempts"]] == [1, 2]
    assert document["attempts"][0]["error"]["code"] == "450"
    assert document["last_attempt"] == {
        "number": 2,
        "started_at": make.START,
        "finished_at": make.START + timedelta(seconds=1),
        "code": "550",
        "text": "words",
    }
    assert (document["state"], document["target"], document["channel"]) == (
        "failed",
        "ann@example.com",
        "email",
    )


async def test_old_rows_are_forgotten_once_they_are_settled_and_told(store: Store, clock: FakeClock) -> None:
    rows, bus = Deliveries(store, clock=clock, lease_for=LEASE), OutboxBus()
    await planned(rows, clock, make.mail_delivery("a"), make.hub_delivery("b"))
    await settle_unit(make.skipped("b"), rows=rows, clock=clock)
    clock.advance(timedelta(days=100))
    assert await rows.forget(clock.now()) == 0, "its event is not published yet"
    await OutboxRelay(store.collection(DELIVERIES), bus).run_once()
    assert await rows.forget(make.START) == 0, "it is not old enough"
    assert await rows.forget(clock.now()) == 1
    assert await rows.outcomes(make.EXECUTION) == {}
    assert await store.collection(DELIVERIES).count_documents({"state": "waiting"}) == 1


async def test_events_of_the_sweep_belong_to_the_trace_of_their_execution(
    store: Store, clock: FakeClock
) -> None:
    rows = Deliveries(store, clock=clock, lease_for=LEASE)
    (row,) = await planned(rows, clock, make.mail_delivery("a"))
    decision = given_up(row, attempts=0, waiting=True)
    # A provider like a service's; without one there are no spans at all.
    provider = TracerProvider()
    with patch.object(trace, "get_tracer", provider.get_tracer):
        assert await rows.close(row.id, decision=decision, now=clock.now())
    document = await store.collection(DELIVERIES).find_one({"_id": row.id})
    assert document is not None
    assert make.EXECUTION.replace("-", "") in document["outbox"][0]["headers"]["traceparent"]


async def test_two_handlers_at_once_leave_the_same_rows_as_one(store: Store, clock: FakeClock) -> None:
    rows = Deliveries(store, clock=clock, lease_for=LEASE)
    units = [unique("unit") for _ in range(8)]
    plan = make.plan(make.mail_delivery(*units), *(make.hub_delivery(unit) for unit in units))
    plans = make.FixedPlans(plan)
    work = [settle_unit(make.generated(unit), rows=rows, clock=clock) for unit in units * 2]
    work += [
        plan_deliveries(make.planned(made=plan), plans=plans, rows=rows, clock=clock, margin=timedelta(0))
        for _ in range(2)
    ]
    await asyncio.gather(*work)
    found = [each async for each in store.collection(DELIVERIES).find()]
    assert {each["state"] for each in found} == {"ready"}
    assert len(found) == 9


async def test_a_row_that_cannot_be_read_keeps_no_other_from_being_settled(
    mongo_server: Mongo, clock: FakeClock
) -> None:
    async with fresh_store(mongo_server.uri, driver="pymongo") as store:
        rows = Deliveries(store, clock=clock, lease_for=LEASE)
        await ready(rows, clock, make.mail_delivery("a"))
        claim = await claimed(rows)
        assert await rows.transmitting(claim, sending(claim.row.addresses, {}))
        document = await store.db["distributor_deliveries"].find_one({"_id": claim.row.id})
        assert document is not None
        await store.db["distributor_deliveries"].insert_one({**document, "_id": "damaged", "row": {}})
        clock.advance(LEASE * 10)
        assert [claim.row.id] == [each.row.id async for each in rows.abandoned(clock.now())]
        await store.db["distributor_deliveries"].update_many({}, {"$set": {"state": "waiting"}})
        clock.advance(timedelta(days=30))
        assert [claim.row.id] == [each.row.id async for each in rows.past_time(clock.now())]
