"""The listener, both kinds of site and a real MongoDB: a reload starts one execution, whatever is lost.

The sites are one simulator, as a client-managed site and as a tenant of Qlik Cloud.
"""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.sites import PushKind
from contracts.triggers import ReloadOn
from qlik.webhooks import RELOAD_FINISHED
from runtime.errors import Transient
from runtime.store import Store
from scheduler.callbacks import webhook_key
from standalone.mongo import Mongo
from support.clock import FakeClock
from support.listening import (
    SECRET,
    client_managed,
    configure,
    listening,
    on_reload,
    small_site,
    state_of,
    tenant,
)
from support.qlik_site import FLIGHTS, SimulatedSite
from support.stores import fresh_store
from support.waiting import until

pytestmark = pytest.mark.integration
HOUR = timedelta(hours=1)


@pytest.fixture
async def store(mongo_server: Mongo) -> AsyncIterator[Store]:
    async with fresh_store(mongo_server.uri) as opened:
        yield opened


@pytest.fixture
async def simulated(tmp_path: Path) -> AsyncIterator[SimulatedSite]:
    async with small_site(tmp_path / "site") as made:
        yield made


@pytest.fixture
def clock(simulated: SimulatedSite) -> FakeClock:
    """The clock of the simulated site, too."""
    made = FakeClock(datetime.now(tz=UTC).replace(microsecond=0))
    simulated.simulator.site.now = made.now
    return made


async def reload(simulated: SimulatedSite, **given: Any) -> Any:
    return await simulated.control("POST", "/_sim/reload", json={"app_id": FLIGHTS, **given})


async def started(store: Store) -> int:
    return await store.db["scheduler_occurrences"].count_documents({"skipped": False})


async def webhooks(simulated: SimulatedSite) -> list[Any]:
    return list((await simulated.control("GET", "/_sim/state"))["webhooks"])


@pytest.mark.parametrize(
    "reloads", [50, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
)
async def test_every_reload_starts_one_execution_though_calls_are_lost_doubled_and_late(
    simulated: SimulatedSite, store: Store, reloads: int
) -> None:
    await configure(store, [client_managed(simulated), tenant(simulated)])
    await simulated.control("POST", "/_sim/policy", json={"limits": {"tier1": 1_000_000}})
    draw = random.Random(reloads)
    async with (
        listening(store, watch=True, reload_poll_s=1) as first,
        listening(store, watch=True, reload_poll_s=1),
        httpx.AsyncClient(base_url=simulated.http_url) as control,
    ):
        await until(lambda: _pushing(store), what="both sites to push")
        for number in range(reloads):
            fault = {"kind": draw.choice(["lose", "duplicate", "late"]), "seconds": draw.random()}
            order = {"place": "callback", "fault": fault | {"times": draw.randrange(1, 8)}}
            (await control.post("/_sim/fault", json=order)).raise_for_status()
            (await control.post("/_sim/reload", json={"app_id": FLIGHTS})).raise_for_status()
            if number == reloads // 2:
                await simulated.control("POST", "/_sim/forget-subscriptions")
                # one of the two ends, and the other goes on
                await first.watchers.aclose()

        async def all_started() -> bool:
            return await started(store) >= 2 * reloads

        await until(all_started, seconds=60, what=f"{2 * reloads} executions")
        # what is late still comes, and what is read again must start nothing
        await reload(simulated)
        await until(lambda: _started_is(store, 2 * reloads + 2), what="the last reload's executions")
    assert 2 * reloads + 2 == await started(store)


async def _pushing(store: Store) -> bool:
    found = await store.db["scheduler_sites"].count_documents({"push.working": True})
    return found == 2


async def _started_is(store: Store, number: int) -> bool:
    return await started(store) >= number


async def test_a_listener_that_was_down_for_an_hour_catches_up(
    simulated: SimulatedSite, store: Store, clock: FakeClock
) -> None:
    connections = [client_managed(simulated), tenant(simulated)]
    await configure(store, connections)
    async with listening(store, clock=clock) as listener:
        for each in connections:
            async with listener.sites.open(each.id) as site:
                await site.round()

    for _ in range(20):
        clock.advance(HOUR / 20)
        await reload(simulated)
    assert 0 == await started(store)

    async with listening(store, clock=clock) as listener:
        for each in connections:
            async with listener.sites.open(each.id) as site:
                await site.round()
                await site.round()
    assert 40 == await started(store)


async def test_a_reload_outside_the_scheduler_starts_one_execution_and_one_of_a_task_no_second(
    simulated: SimulatedSite, store: Store, clock: FakeClock
) -> None:
    await configure(store, [client_managed(simulated)])
    async with (
        listening(store, clock=clock, reload_settle_s=15) as listener,
        listener.sites.open("managed") as site,
    ):
        await site.round()
        clock.advance(timedelta(minutes=1))
        await reload(simulated, seconds=0.05)
        for _ in range(3):
            clock.advance(timedelta(seconds=20))
            await site.round()
        assert 1 == await started(store)

        clock.advance(timedelta(minutes=10))
        await reload(simulated, with_task=False)
        clock.advance(timedelta(seconds=5))
        await site.round()
        assert 1 == await started(store), "an execution may still tell of it"
        for _ in range(3):
            clock.advance(timedelta(seconds=20))
            await site.round()
        assert 2 == await started(store)


async def test_a_subscription_the_site_forgot_is_made_anew_at_the_next_renewal(
    simulated: SimulatedSite, store: Store, clock: FakeClock
) -> None:
    await configure(store, [client_managed(simulated)])
    async with listening(store, clock=clock) as listener, listener.sites.open("managed") as site:
        await site.round()
        before = (await state_of(store, "managed")).push
        assert (PushKind.SUBSCRIPTION, True, clock.now()) == (before.kind, before.working, before.since)
        await simulated.control("POST", "/_sim/forget-subscriptions")

        clock.advance(timedelta(seconds=301))
        await site.round()

        state = await state_of(store, "managed")
        assert state.push.working
        assert before.id != state.push.id
        assert SECRET not in repr(state)
        assert ["the site had forgotten 2 of 2 subscriptions; it was asked for anew"] == [
            each.what for each in state.mended
        ]
        subscriptions = (await simulated.control("GET", "/_sim/state"))["subscriptions"]
        assert {"ExecutionResult", "App"} == {each["type"] for each in subscriptions}
    assert not (await simulated.control("GET", "/_sim/state"))["subscriptions"]


async def test_a_reload_nobody_told_of_makes_the_listener_subscribe_anew_at_once(
    simulated: SimulatedSite, store: Store, clock: FakeClock
) -> None:
    await configure(store, [client_managed(simulated)])
    async with listening(store, clock=clock) as listener, listener.sites.open("managed") as site:
        await site.round()
        await simulated.control("POST", "/_sim/forget-subscriptions")
        clock.advance(timedelta(seconds=20))
        await reload(simulated)
        clock.advance(timedelta(seconds=10))

        await site.round()

        assert 2 == len((await simulated.control("GET", "/_sim/state"))["subscriptions"])
        state = await state_of(store, "managed")
        assert 1 == len(state.mended)
        assert 10 == state.lag_s
        assert 1 == await started(store)


async def test_a_webhook_is_made_once_and_switched_on_again(
    simulated: SimulatedSite, store: Store, clock: FakeClock
) -> None:
    await configure(store, [tenant(simulated)])
    async with listening(store, clock=clock) as listener, listener.sites.open("cloud") as site:
        await site.round()
        (made,) = await webhooks(simulated)
        assert f"{listener.url}/webhooks/cloud" == made["url"]
        assert [RELOAD_FINISHED] == made["eventTypes"]
        assert made["secretKeyAdded"]

        headers = {"Authorization": "Bearer sim-api-key"}
        async with httpx.AsyncClient(base_url=simulated.http_url, headers=headers) as http:
            off = [
                {"op": "replace", "path": "/enabled", "value": False},
                {"op": "replace", "path": "/disabledReason", "value": "too many failures"},
            ]
            (await http.patch(f"/api/v1/webhooks/{made['id']}", json=off)).raise_for_status()
            clock.advance(timedelta(seconds=301))
            await site.round()
            (again,) = await webhooks(simulated)
            assert (made["id"], True) == (again["id"], again["enabled"])

            (await http.delete(f"/api/v1/webhooks/{made['id']}")).raise_for_status()
            clock.advance(timedelta(seconds=301))
            await site.round()
            (anew,) = await webhooks(simulated)

        state = await state_of(store, "cloud")
        assert webhook_key(SECRET, "cloud") not in repr((state, made))
        assert (PushKind.WEBHOOK, anew["id"], clock.now()) == (
            state.push.kind,
            state.push.id,
            state.push.since,
        )
        assert any("too many failures" in each.what for each in state.mended)
    # it serves the other listeners, and this one when it is back
    assert [anew["id"]] == [each["id"] for each in await webhooks(simulated)]


async def test_a_webhook_that_is_signed_with_another_key_gets_the_one_of_the_listener(
    simulated: SimulatedSite, store: Store
) -> None:
    await configure(store, [tenant(simulated)])
    async with listening(store, listener_secret="the secret before this one") as listener:
        url = listener.url
        async with listener.sites.open("cloud") as site:
            await site.round()
    before = next(iter(await webhooks(simulated)))

    async with (
        listening(store, listener_public_url=url) as listener,
        listener.sites.open("cloud") as site,
    ):
        await site.round()

    (after,) = await webhooks(simulated)
    assert before["id"] == after["id"]
    assert before["description"] != after["description"]


async def test_a_site_that_is_down_is_shown_harms_no_other_and_is_caught_up(
    simulated: SimulatedSite, store: Store, tmp_path: Path
) -> None:
    async with small_site(tmp_path / "other") as other:
        await configure(store, [client_managed(simulated, "north"), client_managed(other, "south")])
        async with listening(store, watch=True, reload_poll_s=0.2):
            await until(lambda: _pushing(store), what="both sites to push")
            fault = {"place": "qrs", "fault": {"kind": "refuse", "code": 400, "times": 1_000_000}}
            await simulated.control("POST", "/_sim/fault", json=fault)

            async def told() -> bool:
                return (await state_of(store, "north")).problem is not None

            await until(told, what="the problem to be shown")
            await reload(simulated)
            await reload(other)
            await until(lambda: _started_is(store, 1), what="the other site's execution")
            north = await state_of(store, "north")
            assert north.problem is not None
            assert "400" in north.problem.message
            assert (await state_of(store, "south")).problem is None

            await simulated.control("DELETE", "/_sim/fault")
            await until(lambda: _started_is(store, 2), what="what was missed")

            async def mended() -> bool:
                state = await state_of(store, "north")
                return state.problem is None and any("caught up" in each.what for each in state.mended)

            await until(mended, what="the mending to be shown")
    assert 2 == await started(store)


async def test_a_problem_keeps_the_moment_it_began(simulated: SimulatedSite, store: Store) -> None:
    clock = FakeClock()
    await configure(store, [client_managed(simulated)])
    fault = {"place": "qrs", "fault": {"kind": "refuse", "code": 403, "times": 1_000}}
    await simulated.control("POST", "/_sim/fault", json=fault)
    began = clock.now()
    async with listening(store, clock=clock) as listener, listener.sites.open("managed") as site:
        for _ in range(2):
            with pytest.raises(Transient) as caught:
                await site.round()
            await site.failed(str(caught.value))
            clock.advance(timedelta(minutes=1))
    problem = (await state_of(store, "managed")).problem
    assert problem is not None
    assert (began, began + timedelta(minutes=1)) == (problem.since, problem.at)


async def test_a_connection_that_cannot_be_opened_is_shown_and_harms_no_other(
    simulated: SimulatedSite, store: Store
) -> None:
    broken = client_managed(simulated, "broken").model_copy(update={"settings": {"engine_url": "nowhere"}})
    await configure(store, [broken, client_managed(simulated)])
    async with listening(store, watch=True, reload_poll_s=0.2):

        async def shown() -> bool:
            return await store.db["scheduler_sites"].count_documents({"read_at": {"$exists": True}}) == 1

        await until(shown, what="the other site to be read")

        async def told() -> bool:
            return await store.db["scheduler_sites"].count_documents({"_id": "broken"}) == 1

        await until(told, what="the broken one to be shown")
    problem = (await state_of(store, "broken")).problem
    assert problem is not None
    assert "engine_url" in problem.message


@pytest.mark.parametrize("kind", ["managed", "cloud"])
async def test_a_site_s_call_makes_the_listener_read_at_once(
    simulated: SimulatedSite, store: Store, kind: str
) -> None:
    await configure(store, [client_managed(simulated) if kind == "managed" else tenant(simulated)])
    # it would poll by itself only after an hour
    async with listening(store, watch=True, reload_poll_s=3600):

        async def pushing() -> bool:
            return await store.db["scheduler_sites"].count_documents({"push.working": True}) == 1

        await until(pushing, what="the site to push")
        await reload(simulated)
        await until(lambda: _started_is(store, 1), what="the execution")

        async def noted() -> bool:
            return (await state_of(store, kind)).pushed_at is not None

        await until(noted, what="the call to be shown")


async def test_without_an_address_or_a_key_that_stays_sites_are_polled_and_it_is_said_why(
    simulated: SimulatedSite, store: Store
) -> None:
    await configure(store, [client_managed(simulated), tenant(simulated)])
    async with (
        listening(store, listener_public_url=None) as listener,
        listener.sites.open("managed") as site,
    ):
        await site.round()
    async with listening(store, listener_secret=None) as listener, listener.sites.open("cloud") as site:
        await site.round()

    assert "BROADSHEET_LISTENER_PUBLIC_URL" in (await state_of(store, "managed")).push.problem
    assert "BROADSHEET_LISTENER_SECRET" in (await state_of(store, "cloud")).push.problem
    assert [] == await webhooks(simulated)


async def test_a_disabled_task_has_a_reload_recorded_as_skipped(
    simulated: SimulatedSite, store: Store
) -> None:
    connections = [client_managed(simulated), tenant(simulated)]
    triggers = [on_reload(each, on=ReloadOn.FINISHED) for each in connections]
    await configure(store, connections, triggers, enabled=False)
    async with listening(store) as listener:
        for each in connections:
            async with listener.sites.open(each.id) as site:
                await site.round()
                await reload(simulated, status="fail")
                await reload(simulated)
                await site.round()

    found = [document async for document in store.db["scheduler_occurrences"].find()]
    assert 6 == len(found), "of the client-managed site two, of the tenant all that the simulator did"
    assert all(document["skipped"] for document in found)
