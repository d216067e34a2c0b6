"""docs/architecture/outcome.md as a table."""

import inspect
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base import Reason
from contracts.events import Disposition, Outcome
from contracts.mailing import AddressRole, AddressState, MailAddress
from notifier.domain.model import Item, Planned, Status
from notifier.domain.outcome import MAX_REASONS, Complete, Wait, decide
from support.notifier_kit import DEADLINE, NOW, TRIGGER, delivery, execution, planned, unit

ROOT = Path(__file__).parents[3]
GRACE = timedelta(seconds=10)
PROBLEM = Reason(code="no-address", message="Bob has no address.")
G, SK, F, OK, UN = Status.GENERATED, Status.SKIPPED, Status.FAILED, Status.SUCCEEDED, Status.UNKNOWN


class Case(NamedTuple):
    plan: Planned
    units: tuple[Status, ...]
    deliveries: tuple[Status, ...]
    outcome: Outcome
    codes: tuple[str, ...]


CASES = {
    "all generated, all delivered": Case(planned(2, 1), (G, G), (OK,), Outcome.SUCCESS, ()),
    "some units skipped by condition": Case(
        planned(2, 1), (G, SK), (OK,), Outcome.SUCCESS, ("units-skipped",)
    ),
    "some deliveries skipped with their units": Case(
        planned(2, 2), (G, SK), (OK, SK), Outcome.SUCCESS, ("units-skipped",)
    ),
    "all units skipped by condition": Case(
        planned(2, 1), (SK, SK), (SK,), Outcome.WARNING, ("nothing-generated",)
    ),
    "generated but nothing to deliver": Case(
        planned(2, 1), (G, SK), (SK,), Outcome.WARNING, ("nothing-delivered",)
    ),
    "nothing planned": Case(planned(0, 0), (), (), Outcome.WARNING, ("nothing-planned",)),
    "generated, no deliveries wanted": Case(planned(1, 0), (G,), (), Outcome.SUCCESS, ()),
    "a unit failed, something delivered": Case(
        planned(2, 1), (G, F), (OK,), Outcome.WARNING, ("unit-failed",)
    ),
    "a unit failed, nothing delivered": Case(planned(1, 1), (F,), (SK,), Outcome.ERROR, ("unit-failed",)),
    "a unit failed, no deliveries wanted": Case(planned(2, 0), (G, F), (), Outcome.WARNING, ("unit-failed",)),
    "every unit failed, no deliveries wanted": Case(planned(1, 0), (F,), (), Outcome.ERROR, ("unit-failed",)),
    "a delivery failed, another succeeded": Case(
        planned(1, 2), (G,), (OK, F), Outcome.WARNING, ("delivery-failed",)
    ),
    "every delivery failed": Case(planned(1, 1), (G,), (F,), Outcome.ERROR, ("delivery-failed",)),
    "a delivery unknown, another succeeded": Case(
        planned(1, 2), (G,), (OK, UN), Outcome.WARNING, ("delivery-unknown",)
    ),
    "the only delivery unknown": Case(planned(1, 1), (G,), (UN,), Outcome.ERROR, ("delivery-unknown",)),
    "problems while planning": Case(
        planned(1, 1, problems=(PROBLEM,)), (G,), (OK,), Outcome.WARNING, ("no-address",)
    ),
    "planning skipped it": Case(
        planned(0, 0, disposition=Disposition.SKIPPED, reason=Reason(code="task-disabled", message="x")),
        (),
        (),
        Outcome.SKIPPED,
        ("task-disabled",),
    ),
    "planning failed": Case(
        planned(0, 0, disposition=Disposition.FAILED, reason=Reason(code="app-missing", message="x")),
        (),
        (),
        Outcome.ERROR,
        ("app-missing",),
    ),
    "planning failed without a reason": Case(
        planned(0, 0, disposition=Disposition.FAILED), (), (), Outcome.ERROR, ("planning-failed",)
    ),
}


def items(units: tuple[Status, ...], deliveries: tuple[Status, ...]) -> list[Item]:
    return [
        *(unit(status, number) for number, status in enumerate(units)),
        *(delivery(status, number) for number, status in enumerate(deliveries)),
    ]


@pytest.mark.parametrize("name", CASES)
def test_table(name: str) -> None:
    case = CASES[name]
    result = decide(execution(case.plan), items(case.units, case.deliveries), NOW, grace=GRACE)
    assert isinstance(result, Complete)
    assert (result.outcome, tuple(each.code for each in result.reasons)) == (case.outcome, case.codes)
    assert not result.overdue


def test_warning_of_a_renderer_is_a_warning() -> None:
    made = unit(G, warnings=(Reason(code="table-truncated", message="cut"),))
    result = decide(execution(planned(1, 1)), [made, delivery(OK)], NOW, grace=GRACE)
    assert isinstance(result, Complete)
    assert (result.outcome, result.reasons[0].code) == (Outcome.WARNING, "table-truncated")


@pytest.mark.parametrize(
    ("planning", "status", "outcome"),
    [
        ({}, Status.SUCCEEDED, Outcome.WARNING),
        ({}, Status.FAILED, Outcome.ERROR),
        ({"disposition": Disposition.SKIPPED, "reason": PROBLEM}, None, Outcome.SKIPPED),
    ],
)
def test_what_the_trigger_warns_of_is_a_warning_where_nothing_is_worse(
    planning: dict[str, Any], status: Status | None, outcome: Outcome
) -> None:
    late = Reason(code="app-missing", message="Costs was not reloaded.")
    trigger = TRIGGER.model_copy(update={"warnings": (late,)})
    plan = planned(1, 1, trigger=trigger, **planning)
    items = [unit(Status.GENERATED), delivery(status)] if status else []

    found = decide(execution(plan), items, NOW, grace=GRACE)

    assert isinstance(found, Complete)
    assert outcome is found.outcome
    assert (outcome is Outcome.WARNING) == (late in found.reasons)


def test_counts() -> None:
    settled = items((G, G, SK, F), (OK, F, UN, SK, SK))
    result = decide(execution(planned(4, 5)), settled, NOW, grace=GRACE)
    assert isinstance(result, Complete)
    assert result.units.model_dump() == {"planned": 4, "generated": 2, "skipped": 1, "failed": 1}
    assert result.deliveries.model_dump() == {
        "planned": 5,
        "succeeded": 1,
        "failed": 1,
        "unknown": 1,
        "skipped": 2,
    }


@pytest.mark.parametrize(
    ("plan", "settled"),
    [
        (None, []),
        (None, [unit(G)]),
        (planned(1, 1), []),
        (planned(1, 1), [unit(G)]),
        (planned(2, 0), [unit(G), delivery(OK, 1), delivery(OK, 2)]),
    ],
)
def test_what_has_not_settled_is_waited_for_until_the_grace_is_over(
    plan: Planned | None, settled: list[Item]
) -> None:
    run = execution(plan)
    almost = DEADLINE + GRACE - timedelta(milliseconds=1)
    assert isinstance(decide(run, settled, almost, grace=GRACE), Wait)
    result = decide(run, settled, DEADLINE + GRACE, grace=GRACE)
    assert isinstance(result, Complete)
    assert result.overdue
    assert (result.outcome, result.reasons[0].code) == (Outcome.ERROR, "deadline-passed")


def test_deadline_says_what_is_missing() -> None:
    result = decide(execution(planned(3, 2)), [unit(G), delivery(F)], DEADLINE + GRACE, grace=GRACE)
    assert isinstance(result, Complete)
    assert result.reasons[0].message == "At the deadline 2 files and 1 deliveries had not settled."
    assert result.reasons[1].code == "delivery-failed"


def test_everything_settled_is_no_matter_of_the_deadline() -> None:
    late = DEADLINE + timedelta(days=1)
    result = decide(execution(planned(1, 1)), [unit(G), delivery(OK)], late, grace=GRACE)
    assert isinstance(result, Complete)
    assert result.outcome is Outcome.SUCCESS


def test_same_reason_many_times_is_said_once() -> None:
    result = decide(execution(planned(30, 0)), items((F,) * 30, ()), NOW, grace=GRACE)
    assert isinstance(result, Complete)
    assert [each.message for each in result.reasons] == ["30 times: The unit is failed."]


def test_reasons_are_bounded() -> None:
    many = [unit(F, n, reason=Reason(code="x", message=f"reason {n}")) for n in range(50)]
    result = decide(execution(planned(50, 0)), many, NOW, grace=GRACE)
    assert isinstance(result, Complete)
    assert len(result.reasons) == MAX_REASONS
    assert result.reasons[-1].message == "and 31 more; the task log has them all"


units_st = st.lists(st.sampled_from([G, SK, F]), max_size=6)
deliveries_st = st.lists(st.sampled_from([OK, SK, F, UN]), max_size=6)


@given(units=units_st, deliveries=deliveries_st, missing=st.integers(0, 3))
def test_success_means_that_nothing_failed_and_nothing_is_missing(
    units: list[Status], deliveries: list[Status], missing: int
) -> None:
    run = execution(planned(len(units) + missing, len(deliveries)))
    settled = items(tuple(units), tuple(deliveries))
    result = decide(run, settled, DEADLINE + GRACE, grace=GRACE)
    assert isinstance(result, Complete)
    if result.outcome is Outcome.SUCCESS:
        assert missing == 0
        assert F not in units
        assert not {F, UN} & set(deliveries)
        assert G in units
    if missing:
        assert result.outcome is Outcome.ERROR
        assert isinstance(decide(run, settled, NOW, grace=GRACE), Wait)


def test_page_names_every_reason_the_decision_can_give() -> None:
    page = (ROOT / "docs/architecture/outcome.md").read_text(encoding="utf-8")
    source = Path(inspect.getfile(decide)).read_text(encoding="utf-8")
    codes = set(re.findall(r'code="([a-z-]+)"', source)) - {"no-reason"}
    assert len(codes) > 5
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []


def copy(address: str, state: AddressState, **more: Any) -> MailAddress:
    return MailAddress(address=address, role=AddressRole.CC, state=state, **more)


_TWICE = (
    "bob@example.org may have received the mail twice: the first attempt got no answer, so it was sent once "
    "more, as the task is set to do."
)


@pytest.mark.parametrize(
    ("lost", "code", "words"),
    [
        (
            copy("bob@example.org", AddressState.REFUSED, answer="550 no such user"),
            "copy-not-delivered",
            "bob@example.org did not get a copy (cc) of the mail: 550 no such user",
        ),
        (
            copy("bob@example.org", AddressState.DEFERRED, answer="450 greylisted"),
            "copy-not-delivered",
            "bob@example.org did not get a copy (cc) of the mail: 450 greylisted",
        ),
        (
            copy("bob@example.org", AddressState.UNKNOWN, answer="no answer"),
            "copy-unknown",
            "Nobody can know whether bob@example.org got a copy (cc) of the mail: no answer",
        ),
        (
            copy("bob@example.org", AddressState.ACCEPTED, resent=True),
            "possibly-sent-twice",
            _TWICE,
        ),
    ],
)
def test_an_address_that_is_not_as_it_should_be_is_a_warning_that_names_it(
    lost: MailAddress, code: str, words: str
) -> None:
    main = MailAddress(address="ann@example.org", role=AddressRole.TO, state=AddressState.ACCEPTED)
    deliveries = [delivery(Status.SUCCEEDED, number, addresses=(main, lost)) for number in (1, 2)]
    result = decide(execution(planned(1, 2)), [unit(Status.GENERATED), *deliveries], NOW, grace=timedelta(0))
    assert isinstance(result, Complete)
    assert result.outcome is Outcome.WARNING
    assert [(each.code, each.message) for each in result.reasons] == [(code, f"2 times: {words}")]


def test_reasons_name_whom_they_are_about() -> None:
    refused = Reason(code="mail-refused", message="554 5.7.1 spam")
    failed = [
        delivery(Status.FAILED, number, reason=refused, title=f"email to p{number}@example.org")
        for number in range(7)
    ]
    result = decide(execution(planned(1, 7)), [unit(Status.GENERATED), *failed], NOW, grace=timedelta(0))
    assert isinstance(result, Complete)
    (reason,) = result.reasons
    names = ", ".join(f"email to p{number}@example.org" for number in range(5))
    assert reason.message == f"7 times: 554 5.7.1 spam ({names} and 2 more)"


def test_the_same_reason_stands_once_in_an_outcome() -> None:
    why = Reason(code="filters-exclude-each-other", message="The filters have no value in common.")
    plan = planned(0, 0, disposition=Disposition.FAILED, reason=why, problems=(why,))
    result = decide(execution(plan), [], NOW, grace=timedelta(0))
    assert isinstance(result, Complete)
    assert result.reasons == (why,)
