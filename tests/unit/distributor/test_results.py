"""What follows from how an attempt ended."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base import Reason
from contracts.configuration import UnknownPolicy
from contracts.events import DeliveryFailed, DeliverySucceeded, DeliveryUnknown
from distributor.domain.results import (
    Again,
    Decision,
    Delivered,
    LeaseLost,
    Nothing,
    Postponed,
    Rejected,
    Result,
    RetryPolicy,
    Settle,
    Uncertain,
    clipped,
    decide,
)
from distributor.domain.rows import Row, State, rows_of
from support import deliveries as make

POLICY = RetryPolicy(delays=(timedelta(seconds=5), timedelta(minutes=1), timedelta(minutes=15)), spread=0.2)
MAIL = make.row(make.mail_delivery("a"))
RESEND = make.row(make.mail_delivery("a", unknown=UnknownPolicy.RESEND))


def after(result: Result, *, row: Row = MAIL, attempt: int = 1, now: datetime = make.START) -> Decision:
    return decide(row, result, attempt=attempt, now=now, policy=POLICY, chance=0.5)


def test_what_was_accepted_succeeds_with_what_was_delivered() -> None:
    decision = after(Delivered(files=(), message_id="<x@y>", detail="fine"), attempt=3)
    assert isinstance(decision, Settle)
    assert decision.state is State.SUCCEEDED
    assert isinstance(decision.event, DeliverySucceeded)
    assert (decision.event.attempts, decision.event.message_id, decision.event.accepted_at) == (
        3,
        "<x@y>",
        make.START,
    )


@pytest.mark.parametrize(
    "result", [Delivered(files=()), Rejected(Reason(code="mail-refused", message="550"))]
)
def test_whatever_settles_tells_the_name_of_its_task(result: Result) -> None:
    decision = after(result)
    assert isinstance(decision, Settle)
    assert "Weekly sales" == decision.event.task_name


def test_what_was_rejected_fails_with_the_reason() -> None:
    reason = Reason(code="mail-refused", message="550 no such user")
    decision = after(Rejected(reason))
    assert isinstance(decision, Settle)
    assert isinstance(decision.event, DeliveryFailed)
    assert (decision.state, decision.event.reason) == (State.FAILED, reason)


@pytest.mark.parametrize(
    ("attempt", "pause"), [(1, 5), (2, 60), (3, 900), (4, 900)], ids=["first", "second", "third", "beyond"]
)
def test_what_was_postponed_is_tried_again_after_longer_and_longer_pauses(attempt: int, pause: int) -> None:
    decision = after(Postponed("450", "later"), attempt=attempt)
    assert isinstance(decision, Again)
    assert decision.at == make.START + timedelta(seconds=pause)


def test_a_pause_beyond_the_end_becomes_one_last_chance_before_it() -> None:
    row = MAIL.model_copy(update={"give_up_at": make.START + timedelta(minutes=10)})
    decision = after(Postponed("450", "later"), row=row, attempt=3)
    assert isinstance(decision, Again)
    assert decision.at == row.give_up_at - timedelta(seconds=5)


def test_past_the_last_chance_it_fails_at_the_deadline_with_the_last_answer() -> None:
    now = MAIL.give_up_at - timedelta(seconds=1)
    decision = after(Postponed("450", "mailbox busy"), attempt=9, now=now)
    assert isinstance(decision, Settle)
    assert isinstance(decision.event, DeliveryFailed)
    assert decision.event.reason.code == "deadline"
    assert "450 mailbox busy" in decision.event.reason.message


def test_an_uncertain_mail_is_unknown_and_not_sent_again_under_hold() -> None:
    decision = after(Uncertain("connection lost"))
    assert isinstance(decision, Settle)
    assert isinstance(decision.event, DeliveryUnknown)
    assert decision.state is State.UNKNOWN
    assert "connection lost" in decision.event.reason.message


def test_an_uncertain_mail_is_sent_again_once_under_resend() -> None:
    decision = after(Uncertain("connection lost"), row=RESEND)
    assert isinstance(decision, Again)
    assert (decision.at, [each.resent for each in decision.row.addresses]) == (make.START, [True])
    again = after(Uncertain("connection lost"), row=decision.row)
    assert isinstance(again, Settle)
    assert again.state is State.UNKNOWN


def test_an_uncertain_mail_is_not_sent_again_when_its_time_is_over() -> None:
    decision = after(Uncertain("connection lost"), row=RESEND, now=RESEND.give_up_at)
    assert isinstance(decision, Settle)
    assert decision.state is State.UNKNOWN


def test_a_lost_lease_writes_nothing() -> None:
    assert after(LeaseLost()) == Nothing()


@given(
    result=st.sampled_from(
        [Postponed("450", "later"), Postponed("no-connection", "down", unreachable=True), Uncertain("lost")]
    ),
    attempt=st.integers(1, 1000),
    second=st.integers(0, 4000),
    chance=st.floats(0, 1),
    resent=st.booleans(),
    policy=st.sampled_from(UnknownPolicy),
)
def test_another_attempt_is_always_in_time_and_never_in_the_past(**drawn: Any) -> None:
    row = make.row(make.mail_delivery("a", unknown=drawn["policy"]))
    addresses = tuple(each.model_copy(update={"resent": drawn["resent"]}) for each in row.addresses)
    row = row.model_copy(update={"addresses": addresses})
    now = make.START + timedelta(seconds=drawn["second"])
    decision = decide(
        row, drawn["result"], attempt=drawn["attempt"], now=now, policy=POLICY, chance=drawn["chance"]
    )
    if isinstance(decision, Again):
        assert now <= decision.at < row.give_up_at
        resent = decision.row.addresses[0].resent
        assert resent == (drawn["resent"] or isinstance(drawn["result"], Uncertain))
    else:
        assert isinstance(decision, Settle)


@pytest.mark.parametrize(
    ("deadline", "margin", "early"),
    [(3600, 15, 15), (60, 15, 3), (0, 15, 0)],
    ids=["long: the margin", "short: a twentieth", "none left"],
)
def test_attempts_end_a_little_before_the_deadline(deadline: int, margin: int, early: int) -> None:
    plan = make.plan(make.mail_delivery("a"), deadline=timedelta(seconds=deadline))
    (row,) = rows_of(plan, margin=timedelta(seconds=margin))
    assert row.deadline_at - row.give_up_at == timedelta(seconds=early)


@pytest.mark.parametrize("delays", [(), (timedelta(0),), (timedelta(seconds=-1),)])
def test_senseless_pauses_are_refused(delays: tuple[timedelta, ...]) -> None:
    with pytest.raises(ValueError, match="positive"):
        RetryPolicy(delays=delays)


def test_what_a_server_says_is_kept_in_one_line_and_bounded() -> None:
    said = clipped("550\r\nBcc: x@example.com " + "y" * 1000)
    assert "\n" not in said
    assert "\r" not in said
    assert len(said) == 500
