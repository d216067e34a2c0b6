from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base import Reason
from contracts.configuration import NotificationSettings
from contracts.events import Outcome
from contracts.ids import notification_id
from contracts.mailing import TestModeBreachError
from notifier.domain.letters import Audience, Letter, letters
from notifier.domain.model import Completion
from support.notifier_kit import EXECUTION, NOW, execution, planned, ref

BERLIN = ZoneInfo("Europe/Berlin")
END = NOW + timedelta(minutes=3)


def told(outcome: Outcome = Outcome.ERROR, *, test: str | None = None, **settings: Any) -> tuple[Letter, ...]:
    done = Completion(
        at=END,
        outcome=outcome,
        reasons=(Reason(code="x", message="It broke.", remedy="Mend it."),),
        log=ref(),
    )
    audience = Audience(NotificationSettings(**settings), test)
    return letters(execution(planned()), done, audience, BERLIN)


@pytest.mark.parametrize("on_success", [True, False])
@pytest.mark.parametrize("on_warning", [True, False])
@pytest.mark.parametrize("on_error", [True, False])
@pytest.mark.parametrize("outcome", list(Outcome))
def test_flags_decide_who_hears_of_which_outcome(
    outcome: Outcome, on_success: bool, on_warning: bool, on_error: bool
) -> None:
    wanted = {Outcome.SUCCESS: on_success, Outcome.WARNING: on_warning, Outcome.ERROR: on_error}
    mails = told(outcome, to=("a@x.org",), on_success=on_success, on_warning=on_warning, on_error=on_error)
    assert len(mails) == (1 if wanted.get(outcome) else 0)


def test_one_mail_per_address_copies_once() -> None:
    first, second = told(to=("a@x.org", "b@x.org", "a@x.org"), cc=("c@x.org",), bcc=("d@x.org",))
    assert (first.to, first.cc, first.bcc) == ("a@x.org", ("c@x.org",), ("d@x.org",))
    assert (second.to, second.cc, second.bcc) == ("b@x.org", (), ())
    assert [each.id for each in (first, second)] == [
        notification_id(EXECUTION, "a@x.org"),
        notification_id(EXECUTION, "b@x.org"),
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"cc": ("c@x.org",), "bcc": ("d@x.org",)}, [("c@x.org", (), ("d@x.org",))]),
        ({"bcc": ("d@x.org", "e@x.org")}, [("d@x.org", (), ()), ("e@x.org", (), ())]),
        ({}, []),
    ],
)
def test_without_to_the_copies_are_told(settings: dict[str, Any], expected: list[Any]) -> None:
    assert [(each.to, each.cc, each.bcc) for each in told(**settings)] == expected


addresses = st.lists(st.sampled_from([f"{c}@x.org" for c in "abcdef"]), max_size=4).map(tuple)


@given(to=addresses, cc=addresses, bcc=addresses)
def test_in_test_mode_only_the_test_address_is_in_the_envelope(
    to: tuple[str, ...], cc: tuple[str, ...], bcc: tuple[str, ...]
) -> None:
    for mail in told(test="test@x.org", to=to, cc=cc, bcc=bcc):
        assert mail.envelope == ("test@x.org",)
        assert mail.guarded().test_address == "test@x.org"


def test_in_test_mode_the_subject_says_for_whom_it_was_meant() -> None:
    subjects = [each.subject for each in told(test="test@x.org", to=("a@x.org", "b@x.org"))]
    assert subjects == ["[a@x.org] Error: Sales", "[b@x.org] Error: Sales"]


def test_letter_that_breaks_the_rule_of_test_mode_is_refused() -> None:
    (mail,) = told(test="test@x.org", to=("a@x.org",))
    for change in ({"to": "a@x.org"}, {"cc": ("a@x.org",)}, {"bcc": ("a@x.org",)}):
        with pytest.raises(TestModeBreachError):
            mail.model_copy(update=change).guarded()


def test_text_says_what_happened_when_and_what_to_do() -> None:
    (mail,) = told(to=("a@x.org",))
    assert mail.text == (
        "The task Sales failed.\n"
        "\n"
        "Triggered  2026-03-02T08:00:00Z  2026-03-02 09:00:00 +01:00\n"
        "Completed  2026-03-02T08:03:00Z  2026-03-02 09:03:00 +01:00\n"
        f"Execution  {EXECUTION}\n"
        "\n"
        "Why:\n"
        "- It broke.\n"
        "  Mend it.\n"
        "\n"
        "The task log is attached.\n"
    )
    assert mail.log == ref()


def test_name_of_a_task_cannot_break_the_subject() -> None:
    run = execution(planned(task_name="Sales\r\nBcc: eve@x.org " + "x" * 500))
    done = Completion(at=END, outcome=Outcome.ERROR)
    (mail,) = letters(run, done, Audience(NotificationSettings(to=("a@x.org",))), BERLIN)
    assert mail.subject.isprintable()
    assert len(mail.subject) < 250
