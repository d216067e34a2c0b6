"""Rows and units may come in any order, twice, side by side and half: the rows end the same."""

from collections.abc import Callable, Coroutine, Generator
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.base import Reason
from contracts.events import DeliveryFailed, DeliverySkipped, Disposition, UnitEvent
from contracts.plan import ExecutionPlan
from distributor.domain.rows import State
from distributor.use_cases.fan_in import advance, plan_deliveries, settle_unit
from support import deliveries as make
from support.clock import FakeClock
from support.fake_deliveries import FakeDeliveries

MARGIN = timedelta(0)


class Pause:
    """Hands control back to whoever drives the coroutine."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def pause() -> None:
    await Pause()


def rows_with(pace: Callable[[], Any] | None = None) -> FakeDeliveries:
    return FakeDeliveries(FakeClock(), pace=pace) if pace else FakeDeliveries(FakeClock())


def message(
    rows: FakeDeliveries, plan: ExecutionPlan, event: UnitEvent | None
) -> Callable[[], Coroutine[Any, Any, None]]:
    """One message of the bus: None stands for ExecutionPlanned."""
    clock = FakeClock()
    if event is None:
        plans = make.FixedPlans(plan)
        return lambda: plan_deliveries(
            make.planned(made=plan), plans=plans, rows=rows, clock=clock, margin=MARGIN
        )
    return lambda: settle_unit(event, rows=rows, clock=clock)


OUTCOMES: dict[str, Callable[[str], UnitEvent]] = {
    "generated": make.generated,
    "skipped": make.skipped,
    "failed": make.failed,
}


@st.composite
def stories(draw: st.DrawFn) -> tuple[ExecutionPlan, list[UnitEvent]]:
    units = [f"unit-{number}" for number in range(draw(st.integers(1, 4)))]
    mails = draw(st.lists(st.sets(st.sampled_from(units), min_size=1), min_size=1, max_size=3))
    chosen = [
        make.mail_delivery(*sorted(wanted), to=f"reader{number}@example.com")
        for number, wanted in enumerate(mails)
    ]
    chosen += [make.hub_delivery(unit) for unit in units[:2]]
    events = [OUTCOMES[draw(st.sampled_from(sorted(OUTCOMES)))](unit) for unit in units]
    return make.plan(*chosen), events


def final(rows: FakeDeliveries) -> dict[str, Any]:
    return {
        row_id: (kept.state, kept.pending, [event.model_dump() for event in kept.outbox])
        for row_id, kept in rows.kept.items()
    }


def in_order(plan: ExecutionPlan, events: list[UnitEvent]) -> dict[str, Any]:
    rows = rows_with()
    for event in (None, *events):
        assert drive(message(rows, plan, event)())
    return final(rows)


def drive(running: Coroutine[Any, Any, None]) -> bool:
    """Let a handler take one step; return whether it is through."""
    try:
        running.send(None)
    except StopIteration:
        return True
    return False


@given(story=stories(), data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_order_repetition_interleaving_and_crash_gives_the_same_rows(
    story: tuple[ExecutionPlan, list[UnitEvent]], data: st.DataObject
) -> None:
    plan, events = story
    rows = rows_with(pause)
    copies = data.draw(st.lists(st.sampled_from([None, *events]), max_size=3), label="repeated")
    waiting = data.draw(st.permutations([None, *events, *copies]), label="order")
    running: list[tuple[UnitEvent | None, Coroutine[Any, Any, None]]] = []
    crashes = data.draw(st.integers(0, 3), label="crashes")
    try:
        while waiting or running:
            may_start = bool(waiting) and len(running) < 3
            choice = data.draw(st.integers(0, len(running) - (0 if may_start else 1)), label="who goes on")
            if choice == len(running):
                event = waiting.pop(0)
                running.append((event, message(rows, plan, event)()))
                continue
            event, handler = running[choice]
            if crashes and data.draw(st.integers(0, 9), label="crash at 0") == 0:
                crashes -= 1
                handler.close()
                del running[choice]
                waiting.append(event)  # not acknowledged: it comes again
            elif drive(handler):
                del running[choice]
    finally:
        for _, handler in running:
            handler.close()
    assert final(rows) == in_order(plan, events)


async def test_a_row_waits_for_every_unit_of_its_own() -> None:
    plan = make.plan(make.mail_delivery("a", "b"), make.hub_delivery("a"))
    rows = rows_with()
    await message(rows, plan, None)()
    await message(rows, plan, make.generated("a"))()
    assert rows.states() == {plan.deliveries[0].id: "waiting", plan.deliveries[1].id: "ready"}
    await message(rows, plan, make.failed("b"))()
    assert set(rows.states().values()) == {"ready"}


async def test_a_row_all_of_whose_files_were_left_out_is_skipped_with_their_reasons() -> None:
    plan = make.plan(make.mail_delivery("a", "b"))
    rows = rows_with()
    for event in (make.skipped("a", "no data"), make.skipped("b", "weekend")):
        await message(rows, plan, event)()
    await message(rows, plan, None)()
    (event,) = rows.events(plan.deliveries[0].id)
    assert isinstance(event, DeliverySkipped)
    assert (event.reason.code, event.reason.message) == ("nothing-generated", "no data; weekend")
    assert event.attempts == 0


async def test_a_row_without_any_file_fails_when_one_could_not_be_made() -> None:
    plan = make.plan(make.mail_delivery("a", "b"))
    rows = rows_with()
    for event in (make.skipped("a", "no data"), make.failed("b", "template broken")):
        await message(rows, plan, event)()
    await message(rows, plan, None)()
    (event,) = rows.events(plan.deliveries[0].id)
    assert isinstance(event, DeliveryFailed)
    assert (event.reason.code, event.reason.message) == (
        "files-failed",
        "No file of this delivery could be made: no data; template broken",
    )


async def test_what_the_plan_decided_settles_at_once_and_needs_no_file() -> None:
    why = Reason(code="tag-wrong", message="The subject has a wrong tag.")
    mail = make.mail_delivery("a").model_copy(update={"mail": None, "failed": why})
    hub = make.hub_delivery("b").model_copy(update={"held": Reason(code="held-back", message="Test mode.")})
    plan = make.plan(mail, hub)
    rows = rows_with()
    await message(rows, plan, None)()
    assert rows.states() == {mail.id: "failed", hub.id: "skipped"}
    (failed,), (skipped,) = rows.events(mail.id), rows.events(hub.id)
    assert isinstance(failed, DeliveryFailed)
    assert isinstance(skipped, DeliverySkipped)
    assert (failed.reason, skipped.reason.code) == (why, "held-back")


async def test_the_first_outcome_of_a_unit_stays() -> None:
    rows = rows_with()
    await message(rows, make.plan(), make.generated("a"))()
    await message(rows, make.plan(), make.failed("a"))()
    assert rows.units[make.EXECUTION, "a"].kind == "generated"


async def test_units_of_another_execution_move_nothing() -> None:
    plan = make.plan(make.mail_delivery("a"))
    rows = rows_with()
    await message(rows, plan, None)()
    other = "00000000-0000-5000-8000-000000000001"
    await message(rows, plan, make.generated("a", execution=other))()
    assert set(rows.states().values()) == {"waiting"}


async def test_an_outcome_that_is_missing_holds_up_its_own_row_only() -> None:
    plan = make.plan(make.mail_delivery("a"), make.hub_delivery("b"))
    rows = rows_with()
    for event in (None, make.generated("b")):
        await message(rows, plan, event)()
    # Nothing does this; if something ever did, the others must go on and the row end at its deadline.
    rows.kept[plan.deliveries[0].id].pending.clear()
    hub = rows.kept[plan.deliveries[1].id]
    hub.state = State.WAITING
    await advance(None, rows=rows, clock=FakeClock())
    assert rows.states() == {plan.deliveries[0].id: "waiting", plan.deliveries[1].id: "ready"}


async def test_an_execution_without_a_plan_makes_no_rows() -> None:
    rows = rows_with()
    event = make.planned().model_copy(update={"disposition": Disposition.SKIPPED, "plan": None})
    plans = make.FixedPlans(make.plan(make.mail_delivery("a")))
    await plan_deliveries(event, plans=plans, rows=rows, clock=FakeClock(), margin=MARGIN)
    assert rows.kept == {}


async def test_pools_are_woken_when_something_became_ready_and_only_then() -> None:
    plan = make.plan(make.mail_delivery("a"))
    rows, woken = rows_with(), []
    await message(rows, plan, None)()
    await advance(None, rows=rows, clock=FakeClock(), wake=lambda: woken.append(1))
    assert woken == []
    await settle_unit(make.generated("a"), rows=rows, clock=FakeClock(), wake=lambda: woken.append(1))
    assert woken == [1]
    assert rows.kept[plan.deliveries[0].id].state is State.READY
