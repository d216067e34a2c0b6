"""A disabled or expired task is never run, whoever asks for it, and the reason is recorded."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from contracts.events import TriggerKind
from generator.domain.admission import Admitted, Fail, Skip, admit, deadline
from generator.domain.request import Limits, TaskSetup
from support.tasks import DEADLINE, NOW, firing, head, schedule, setup

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("kind", list(TriggerKind))
def test_a_disabled_task_is_refused_whoever_asks(kind: TriggerKind) -> None:
    found = admit(firing(kind=kind), setup(enabled=False), now=NOW, deadline_at=DEADLINE)
    assert isinstance(found, Skip)
    assert found.reason.code == "task-disabled"
    assert found.reason.remedy


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"valid_from": NOW + HOUR}, "task-not-yet-valid"),
        ({"valid_until": NOW - HOUR}, "task-no-longer-valid"),
        ({"triggers": ()}, "trigger-removed"),
        ({"triggers": (schedule(id="other"),)}, "trigger-removed"),
        ({"triggers": (schedule(enabled=False),)}, "trigger-disabled"),
        ({"triggers": (schedule(start=NOW + HOUR),)}, "trigger-out-of-dates"),
        ({"triggers": (schedule(end=NOW - HOUR),)}, "trigger-out-of-dates"),
    ],
)
def test_what_is_out_of_its_dates_is_skipped_with_a_reason(changes: dict[str, Any], code: str) -> None:
    found = admit(firing(), setup(**changes), now=NOW, deadline_at=DEADLINE)
    assert isinstance(found, Skip)
    assert found.reason.code == code


@pytest.mark.parametrize("kind", [TriggerKind.MANUAL, TriggerKind.API])
def test_a_run_by_hand_needs_no_trigger(kind: TriggerKind) -> None:
    found = admit(firing(kind=kind, trigger_id="console"), setup(triggers=()), now=NOW, deadline_at=DEADLINE)
    assert isinstance(found, Admitted)


def test_bounds_belong_to_the_dates() -> None:
    within = setup(valid_from=NOW, valid_until=NOW, triggers=(schedule(start=NOW, end=NOW),))
    assert isinstance(admit(firing(), within, now=NOW, deadline_at=DEADLINE), Admitted)


def test_an_occurrence_that_was_due_in_time_may_be_planned_late() -> None:
    late = setup(triggers=(schedule(end=NOW),))
    assert isinstance(admit(firing(), late, now=NOW + timedelta(minutes=5), deadline_at=DEADLINE), Admitted)


def test_after_the_deadline_nothing_is_planned() -> None:
    found = admit(firing(), setup(), now=DEADLINE, deadline_at=DEADLINE)
    assert isinstance(found, Fail)
    assert found.reason.code == "deadline"


@pytest.mark.parametrize("missing", [TaskSetup(None, None), TaskSetup(head(), None)])
def test_a_task_that_does_not_exist_fails(missing: TaskSetup) -> None:
    found = admit(firing(), missing, now=NOW, deadline_at=DEADLINE)
    assert isinstance(found, Fail)
    assert found.reason.code == "task-unknown"


@pytest.mark.parametrize("year", [1, 1999, 2201, 9999])
def test_a_due_time_too_far_away_to_compute_with_fails_with_its_date(year: int) -> None:
    asked = firing(kind=TriggerKind.API)
    far = replace(asked, trigger=asked.trigger.model_copy(update={"due_at": NOW.replace(year=year)}))

    found = admit(far, setup(), now=NOW, deadline_at=DEADLINE)

    assert isinstance(found, Fail)
    assert "due-time-out-of-range" == found.reason.code
    assert f"{year:04}-" in found.reason.message


def test_the_deadline_counts_from_the_firing() -> None:
    limits = Limits(units=1, deliveries=1, default_deadline=timedelta(minutes=7))
    assert deadline(firing(), setup(deadline=timedelta(minutes=5)), limits) == NOW + timedelta(minutes=5)
    assert deadline(firing(), TaskSetup(None, None), limits) == NOW + timedelta(minutes=7)
