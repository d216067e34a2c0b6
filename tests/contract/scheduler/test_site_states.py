"""What the listener writes about sites and events, on both drivers; read as the console reads it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from contracts.sites import SITES, PushKind, SitePush, SiteState
from runtime.store import Store
from scheduler.adapters.sites import MongoEvents, MongoSiteStates
from standalone.mongo import Mongo
from support.stores import DRIVERS, fresh_store

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture(params=DRIVERS)
async def store(request: pytest.FixtureRequest, mongo_server: Mongo) -> AsyncIterator[Store]:
    async with fresh_store(mongo_server.uri, driver=request.param) as opened:
        yield opened


async def state(store: Store) -> SiteState:
    return SiteState.model_validate(await store.db[SITES].find_one({"_id": "site"}))


async def test_a_problem_keeps_its_beginning_until_the_site_is_read_again(store: Store) -> None:
    states = MongoSiteStates(store, poll_every_s=10)
    assert await states.read("site", NOW, 2.5) is None
    # what a site answers may look like an expression of the database
    await states.failed("site", NOW, "$problem.since")
    await states.failed("site", LATER, "$$ROOT {$literal: 1}")

    found = await state(store)
    assert found.problem is not None
    assert (NOW, LATER, "$$ROOT {$literal: 1}") == (
        found.problem.since,
        found.problem.at,
        found.problem.message,
    )
    assert (2.5, NOW, LATER) == (found.lag_s, found.read_at, found.reported_at)
    assert NOW == await states.read("site", LATER, None)
    assert (await state(store)).problem is None
    assert 2.5 == (await state(store)).lag_s, "it is that of the latest reload"


async def test_a_push_keeps_its_beginning_while_it_is_the_same(store: Store) -> None:
    states = MongoSiteStates(store, poll_every_s=10)

    async def since(push_id: str, at: datetime) -> datetime | None:
        push = SitePush(kind=PushKind.WEBHOOK, working=True, id=push_id, since=at)
        await states.push_is("site", at, push)
        found = await state(store)
        assert (at, push_id) == (found.push.checked_at, found.push.id)
        return found.push.since

    assert NOW == await since("one", NOW)
    assert NOW == await since("one", LATER)
    assert LATER == await since("two", LATER)


async def test_calls_move_forward_and_mendings_are_the_latest_few(store: Store) -> None:
    states = MongoSiteStates(store, poll_every_s=10)
    assert await states.pushed_at("site") is None
    await states.pushed("site", LATER)
    await states.pushed("site", NOW)
    assert LATER == await states.pushed_at("site")

    for number in range(12):
        await states.mended("site", NOW + timedelta(minutes=number), f"mending {number}")
    assert [f"mending {number}" for number in range(2, 12)] == [
        each.what for each in (await state(store)).mended
    ]


async def test_an_event_is_the_first_of_its_id_once_for_each_connection(store: Store) -> None:
    events = MongoEvents(store)
    await events.ensure_indexes()
    calls = [("north", "e1"), ("north", "e1"), ("south", "e1"), ("north", "e2"), ("north", "x" * 100_000)]

    assert [True, False, True, True, True] == [await events.first(*call, NOW) for call in calls]
