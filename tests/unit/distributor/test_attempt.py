"""One attempt: what is executed, decided and written down, also when things break in between."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.configuration import UnknownPolicy
from contracts.events import Channel, DeliveryFailed, DeliverySucceeded, DeliveryUnknown
from contracts.mailing import TestModeBreachError, sending
from distributor.domain.results import Delivered, LeaseLost, Postponed, Result, RetryPolicy, Settle, Uncertain
from distributor.domain.rows import State, completed
from distributor.ports import Commit, Job
from distributor.use_cases.attempt import Attempts, Patience
from distributor.use_cases.fan_in import plan_deliveries, settle_unit
from distributor.use_cases.sweep import give_up_overdue, resolve_abandoned
from runtime.errors import Permanent, Transient
from support import deliveries as make
from support.clock import FakeClock
from support.fake_deliveries import FakeDeliveries, Kept

LEASE = timedelta(minutes=1)
Script = Callable[[Job, Commit], Awaitable[Result]]


class Scripted:
    """A channel that does what the test says."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.jobs: list[Job] = []

    async def deliver(self, job: Job, *, commit: Commit) -> Result:
        self.jobs.append(job)
        return await self.script(job, commit)


class Scene:
    """A ledger with one mail that is ready, and what works on it."""

    def __init__(self, script: Script, *, unknown: UnknownPolicy = UnknownPolicy.HOLD) -> None:
        self.clock = FakeClock()
        self.rows = FakeDeliveries(self.clock, lease_for=LEASE)
        self.plan = make.plan(make.mail_delivery("a", unknown=unknown))
        self.channel = Scripted(script)
        self.naps: list[float] = []
        self.attempts = Attempts(
            rows=self.rows,
            facts=self.rows,
            channels={Channel.EMAIL: self.channel},
            clock=self.clock,
            policy=RetryPolicy(delays=(timedelta(seconds=10),)),
            patience=Patience(extend_every=timedelta(hours=1), settle_for=timedelta(seconds=30)),
            chance=lambda: 0.5,
            sleep=self._nap,
        )

    async def _nap(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.clock.advance(timedelta(seconds=seconds))

    async def prepare(self) -> "Scene":
        plans = make.FixedPlans(self.plan)
        event = make.planned(made=self.plan)
        await plan_deliveries(
            event, plans=plans, rows=self.rows, clock=self.clock, margin=timedelta(seconds=15)
        )
        await settle_unit(make.generated("a"), rows=self.rows, clock=self.clock)
        return self

    async def work(self) -> Any:
        claim = await self.rows.claim(Channel.EMAIL, not_to=())
        assert claim is not None
        return await self.attempts.run(claim)

    async def sweep(self, grace: timedelta = timedelta(0)) -> int:
        return await resolve_abandoned(rows=self.rows, strays=self.rows, clock=self.clock, grace=grace)

    @property
    def kept(self) -> Kept:
        (only,) = self.rows.kept.values()
        return only


async def accept(job: Job, commit: Commit) -> Result:
    return Delivered(files=(), message_id="<m@x>") if await commit() else LeaseLost()


async def defer(job: Job, commit: Commit) -> Result:
    return Postponed("450", "later")


def raising(error: Exception, *, committed: bool = False) -> Script:
    async def script(job: Job, commit: Commit) -> Result:
        if committed:
            assert await commit()
        raise error

    return script


async def test_an_accepted_mail_settles_once_with_its_event_and_its_history() -> None:
    scene = await Scene(accept).prepare()
    finished = await scene.work()
    assert finished.recorded
    assert scene.kept.state is State.SUCCEEDED
    assert [type(event) for event in scene.kept.outbox] == [DeliverySucceeded]
    assert [(note.number, note.code) for note in scene.kept.notes] == [(1, "succeeded")]
    assert await scene.rows.claim(Channel.EMAIL, not_to=()) is None


async def test_a_deferred_mail_is_due_again_after_the_pause_and_not_before() -> None:
    scene = await Scene(defer).prepare()
    await scene.work()
    assert await scene.rows.claim(Channel.EMAIL, not_to=()) is None
    scene.clock.advance(timedelta(seconds=10))
    scene.channel.script = accept
    await scene.work()
    assert scene.kept.state is State.SUCCEEDED
    assert [(note.number, note.code, note.text) for note in scene.kept.notes] == [
        (1, "450", "later"),
        (2, "succeeded", ""),
    ]


async def test_a_mail_that_is_deferred_for_ever_fails_in_time() -> None:
    scene = await Scene(defer).prepare()
    while scene.kept.state is State.READY:
        scene.clock.set(max(scene.clock.now(), scene.kept.next_attempt_at or scene.clock.now()))
        await scene.work()
    assert scene.kept.state is State.FAILED
    (event,) = scene.kept.outbox
    assert isinstance(event, DeliveryFailed)
    assert event.reason.code == "deadline"
    assert scene.clock.now() < scene.plan.deadline_at
    assert event.attempts > 300


async def test_a_row_claimed_past_its_time_fails_without_being_sent() -> None:
    scene = await Scene(accept).prepare()
    scene.clock.set(scene.kept.row.give_up_at)
    await scene.work()
    assert scene.channel.jobs == []
    assert scene.kept.state is State.FAILED


async def test_nothing_is_handed_over_after_the_deadline_even_if_the_attempt_began_before() -> None:
    async def slow(job: Job, commit: Commit) -> Result:
        scene.clock.set(job.row.deadline_at)
        return await accept(job, commit)

    scene = await Scene(slow).prepare()
    await scene.work()
    assert scene.kept.state is State.FAILED
    (event,) = scene.kept.outbox
    assert isinstance(event, DeliveryFailed)
    assert event.reason.code == "deadline"


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (Permanent("artifact-damaged", "the file is not what was made"), State.FAILED, "artifact-damaged"),
        (TestModeBreachError("somebody else"), State.FAILED, "test-mode-breach"),
        (Transient("object store down"), State.READY, "not-now"),
        (KeyError("a bug"), State.READY, "internal-error"),
    ],
)
async def test_errors_before_the_hand_over_are_known_to_have_sent_nothing(
    error: Exception, state: State, code: str
) -> None:
    scene = await Scene(raising(error)).prepare()
    await scene.work()
    assert (scene.kept.state, scene.kept.notes[0].code) == (state, code)


@pytest.mark.parametrize("error", [Transient("store down"), KeyError("a bug")])
async def test_errors_of_ours_after_the_hand_over_began_leave_it_unknown(error: Exception) -> None:
    scene = await Scene(raising(error, committed=True)).prepare()
    await scene.work()
    assert scene.kept.state is State.UNKNOWN


async def test_the_outcome_is_written_through_a_failover_of_the_store() -> None:
    async def accepted(job: Job, commit: Commit) -> Result:
        result = await accept(job, commit)
        scene.rows.broken = 3
        return result

    scene = await Scene(accepted).prepare()
    await scene.work()
    assert scene.kept.state is State.SUCCEEDED
    assert len(scene.naps) == 3


async def test_an_outcome_that_cannot_be_written_is_unknown_and_not_sent_again() -> None:
    async def accepted(job: Job, commit: Commit) -> Result:
        result = await accept(job, commit)
        scene.rows.broken = 1_000
        return result

    scene = await Scene(accepted).prepare()
    with pytest.raises(Transient):
        await scene.work()
    scene.rows.broken = 0
    assert scene.kept.state is State.TRANSMITTING
    assert await scene.sweep() == 0, "the lease still runs"
    scene.clock.advance(LEASE)
    assert await scene.rows.claim(Channel.EMAIL, not_to=()) is None, "never handed out again"
    assert await scene.sweep() == 1
    (event,) = scene.kept.outbox
    assert isinstance(event, DeliveryUnknown)
    assert len(scene.channel.jobs) == 1


async def test_a_crash_before_the_hand_over_is_repeated() -> None:
    scene = await Scene(raising(asyncio.CancelledError())).prepare()  # type: ignore[arg-type]
    with pytest.raises(asyncio.CancelledError):
        await scene.work()
    scene.clock.advance(LEASE)
    scene.channel.script = accept
    await scene.work()
    assert (scene.kept.state, scene.kept.attempt) == (State.SUCCEEDED, 2)


async def test_a_crash_during_the_hand_over_is_sent_again_once_where_the_task_allows_it() -> None:
    crash = raising(asyncio.CancelledError(), committed=True)  # type: ignore[arg-type]
    scene = await Scene(crash, unknown=UnknownPolicy.RESEND).prepare()
    for _ in range(2):
        with pytest.raises(asyncio.CancelledError):
            await scene.work()
        scene.clock.advance(LEASE)
        assert await scene.sweep() == 1
    assert scene.kept.state is State.UNKNOWN
    assert len(scene.channel.jobs) == 2


async def test_a_worker_cut_off_for_a_moment_gets_its_grace() -> None:
    scene = await Scene(accept).prepare()
    claim = await scene.rows.claim(Channel.EMAIL, not_to=())
    assert claim is not None
    assert await scene.rows.transmitting(claim, sending(claim.row.addresses, {}))
    scene.clock.advance(LEASE)
    assert await scene.sweep(grace=timedelta(seconds=10)) == 0
    scene.clock.advance(timedelta(seconds=10))
    assert await scene.sweep(grace=timedelta(seconds=10)) == 1


async def test_a_worker_that_lost_its_lease_hands_nothing_over_and_writes_nothing() -> None:
    async def overtaken(job: Job, commit: Commit) -> Result:
        scene.clock.advance(LEASE)
        assert await scene.rows.claim(Channel.EMAIL, not_to=()) is not None
        assert not await commit()
        return LeaseLost()

    scene = await Scene(overtaken).prepare()
    finished = await scene.work()
    assert not finished.recorded
    assert (scene.kept.state, scene.kept.notes, scene.kept.outbox) == (State.CLAIMED, [], [])


async def test_a_worker_that_comes_back_after_the_sweep_changes_nothing() -> None:
    async def paused(job: Job, commit: Commit) -> Result:
        assert await commit()
        scene.clock.advance(LEASE)
        assert await scene.sweep() == 1
        return Delivered(files=())

    scene = await Scene(paused).prepare()
    finished = await scene.work()
    assert not finished.recorded
    assert [type(event) for event in scene.kept.outbox] == [DeliveryUnknown]


async def test_an_uncertain_answer_is_unknown_at_once_under_hold() -> None:
    async def lost(job: Job, commit: Commit) -> Result:
        assert await commit()
        return Uncertain("connection lost after DATA")

    scene = await Scene(lost).prepare()
    await scene.work()
    assert scene.kept.state is State.UNKNOWN


async def test_rows_past_their_time_fail_whether_they_wait_or_are_ready() -> None:
    scene = await Scene(defer).prepare()
    plan = make.plan(make.mail_delivery("never", to="bob@example.com"))
    await plan_deliveries(
        make.planned(made=plan),
        plans=make.FixedPlans(plan),
        rows=scene.rows,
        clock=scene.clock,
        margin=timedelta(0),
    )
    await scene.work()
    scene.clock.set(plan.deadline_at)
    assert await give_up_overdue(rows=scene.rows, strays=scene.rows, clock=scene.clock) == 2
    assert set(scene.rows.states().values()) == {"failed"}
    reasons = [kept.outbox[0].reason.message for kept in scene.rows.kept.values()]  # type: ignore[attr-defined]
    assert any("450 later" in reason for reason in reasons)
    assert any("not ready in time" in reason for reason in reasons)


async def test_a_row_that_cannot_be_given_up_keeps_no_other_from_it() -> None:
    scene = await Scene(defer).prepare()
    bad = scene.kept.row.id
    plan = make.plan(make.mail_delivery("never", to="bob@example.com"))
    await plan_deliveries(
        make.planned(made=plan),
        plans=make.FixedPlans(plan),
        rows=scene.rows,
        clock=scene.clock,
        margin=timedelta(0),
    )
    close = scene.rows.close

    async def breaks(row_id: str, *, decision: Settle, now: datetime) -> bool:
        if row_id == bad:
            raise OverflowError("date value out of range")
        return await close(row_id, decision=decision, now=now)

    scene.rows.close = breaks  # type: ignore[method-assign]
    scene.clock.set(plan.deadline_at)

    assert 1 == await give_up_overdue(rows=scene.rows, strays=scene.rows, clock=scene.clock)
    assert {"failed", "ready"} == set(scene.rows.states().values())


async def test_a_row_under_a_live_lease_is_left_to_its_worker_even_past_its_time() -> None:
    scene = await Scene(accept).prepare()
    scene.clock.set(scene.kept.row.give_up_at - timedelta(seconds=1))
    assert await scene.rows.claim(Channel.EMAIL, not_to=()) is not None
    scene.clock.set(scene.kept.row.give_up_at)
    assert await give_up_overdue(rows=scene.rows, strays=scene.rows, clock=scene.clock) == 0


async def test_the_lease_is_kept_alive_while_a_long_send_runs() -> None:
    extended = asyncio.Event()

    async def long(job: Job, commit: Commit) -> Result:
        await extended.wait()
        return await accept(job, commit)

    scene = await Scene(long).prepare()
    extend = scene.rows.extend

    async def noticed(claim: Any) -> bool:
        done = await extend(claim)
        extended.set()
        return done

    scene.rows.extend = noticed  # type: ignore[method-assign]
    patient = Patience(extend_every=timedelta(milliseconds=1), settle_for=timedelta(seconds=1))
    scene.attempts = Attempts(
        rows=scene.rows,
        facts=scene.rows,
        channels={Channel.EMAIL: scene.channel},
        clock=scene.clock,
        policy=scene.attempts.policy,
        patience=patient,
        chance=lambda: 0.5,
    )
    await asyncio.wait_for(scene.work(), timeout=10)
    assert scene.kept.state is State.SUCCEEDED


async def test_a_large_mail_that_may_not_end_was_not_handed_over() -> None:
    async def large(job: Job, commit: Commit) -> Result:
        assert await commit()
        scene.rows.broken = 1
        await commit()
        return Delivered(files=())

    scene = await Scene(large).prepare()
    await scene.work()
    assert scene.kept.state is State.READY, "the ledger did not answer before the final dot"

    async def late(job: Job, commit: Commit) -> Result:
        assert await commit()
        scene.clock.set(job.row.deadline_at)
        assert not await commit()
        return LeaseLost()

    scene = await Scene(late).prepare()
    await scene.work()
    assert scene.kept.state is State.FAILED


async def test_a_row_that_was_never_attempted_says_so() -> None:
    scene = await Scene(accept).prepare()
    scene.clock.set(scene.kept.row.give_up_at)
    await give_up_overdue(rows=scene.rows, strays=scene.rows, clock=scene.clock)
    (event,) = scene.kept.outbox
    assert isinstance(event, DeliveryFailed)
    assert "no attempt could begin in time" in event.reason.message


async def test_rows_of_an_older_release_are_read() -> None:
    row = make.row(make.mail_delivery("a")).model_copy(update={"addresses": (), "resent": True})
    assert [
        (each.address, each.state.value, each.resent) for each in completed(row, transmitting=True).addresses
    ] == [("ann@example.com", "sending", True)]
    assert completed(make.row(make.hub_delivery("a")), transmitting=False).addresses == ()
