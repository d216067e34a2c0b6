"""Files with passwords: sealed in the plan, one file a person where the password is theirs, never without."""

import pytest

from contracts.configuration import OutputFormat, Recipient
from contracts.plan import ExecutionPlan
from support.fake_vault import FakeVault
from support.tasks import catalog, entry, failed, made, over, person, report, space, task, to

ANN, BOB = person("ann", pin="4711-ann-x"), person("bob", pin="0815-bob-x")


def plan_of(
    *people: Recipient, over_field: bool = False, values: list[str] | None = None, **sealed: str
) -> ExecutionPlan:
    version = task(
        reports=(entry(format=OutputFormat.PDF),),
        recipients=tuple(to(each.id) for each in people),
        sealed={f"reports.tr1.{name.replace('__', '.')}": f"sealed:{text}" for name, text in sealed.items()},
    )
    reports = [report(iteration=over() if over_field else None)]
    return made(version, catalog(reports=reports, people=people), values=values or [])


def test_a_password_for_all_is_sealed_and_shared() -> None:
    plan = plan_of(ANN, BOB, open_password="correct horse")

    (unit,) = plan.units
    assert {"open": "sealed:correct horse"} == unit.sealed
    assert {"ann", "bob"} == {each.recipient_id for each in plan.deliveries}


def test_a_personal_password_makes_a_file_for_each_person() -> None:
    plan = plan_of(ANN, BOB, open_password="{{ recipient.attributes.pin }}")

    by_person = {each.recipient_id: each.units for each in plan.deliveries}
    passwords = {unit.id: unit.sealed["open"] for unit in plan.units}
    assert {"ann": "sealed:4711-ann-x", "bob": "sealed:0815-bob-x"} == {
        person_id: passwords[units[0]] for person_id, units in by_person.items()
    }
    assert all(1 == len(units) for units in by_person.values())


def test_a_recipients_secret_is_opened_for_their_file_only() -> None:
    cid = ANN.model_copy(update={"id": "cid", "sealed": {"pdf": "sealed:cids own secret"}})
    plan = plan_of(cid, open_password="{{ recipient.secrets.pdf }}")

    assert {"open": "sealed:cids own secret"} == plan.units[0].sealed


def test_an_iteration_value_may_have_a_password_of_its_own() -> None:
    plan = plan_of(
        ANN,
        over_field=True,
        values=["AA", "UA"],
        open_password="for all others",
        open_password__AA="for AA alone",
    )

    assert {"AA": "sealed:for AA alone", "UA": "sealed:for all others"} == {
        unit.iteration_value: unit.sealed["open"] for unit in plan.units
    }


@pytest.mark.parametrize("text", ["{{ recipient.attributes.nothing }}", "{{ recipient.secrets.nothing }}"])
def test_without_the_password_there_is_no_file_and_the_secret_is_not_told(text: str) -> None:
    version = task(
        reports=(entry(format=OutputFormat.PDF),),
        sealed={"reports.tr1.open_password": f"sealed:prefix-in-secret{text}"},
    )

    failure = failed(version, catalog(people=[ANN]))

    assert "password-missing" == failure.reason.code
    assert "Ann" in failure.reason.message
    assert all("prefix-in-secret" not in str(each) for each in (failure.reason, *failure.problems))


def test_a_password_that_is_too_short_is_refused_without_being_told() -> None:
    version = task(
        reports=(entry(format=OutputFormat.PDF),), sealed={"reports.tr1.open_password": "sealed:short"}
    )
    failure = failed(version, catalog())
    assert "password-weak" == failure.reason.code
    assert "'short'" not in failure.reason.message


def test_a_secret_that_cannot_be_opened_leaves_the_report_out() -> None:
    version = task(
        reports=(entry(format=OutputFormat.PDF),), sealed={"reports.tr1.open_password": "of another key"}
    )
    assert "secret-unreadable" == failed(version, catalog()).reason.code


def test_an_encrypted_archive_is_named_after_the_file_in_it() -> None:
    plan = plan_of(ANN, zip_password="correct horse")
    assert "Flights.pdf.zip" == plan.units[0].file_name


def test_a_personal_file_goes_to_storage_for_those_only_who_get_it() -> None:
    version = task(
        reports=(entry(format=OutputFormat.PDF, storage=({"storage_id": "share"},)),),
        recipients=(to("ann"), to("bob", email=False, hub=False)),
        sealed={"reports.tr1.open_password": "sealed:{{ recipient.attributes.pin }}"},
    )
    plan = made(version, catalog(people=[ANN, BOB], storage=[space()]))
    assert ["sealed:4711-ann-x"] == [unit.sealed["open"] for unit in plan.units]


def test_a_personal_file_that_nobody_can_get_is_named() -> None:
    version = task(
        reports=(
            entry(format=OutputFormat.PDF, storage=({"storage_id": "share"},)),
            entry("tr2", storage=({"storage_id": "share"},)),
        ),
        recipients=(),
        sealed={"reports.tr1.open_password": "sealed:{{ recipient.attributes.pin }}"},
    )
    plan = made(version, catalog(people=[ANN], storage=[space()]))
    assert ["tr2"] == [unit.report for unit in plan.units]
    assert ["nobody-gets-it"] == [problem.code for problem in plan.problems]


def test_the_id_of_a_unit_does_not_depend_on_the_password_in_clear() -> None:
    """Whoever sees the id must not be able to try passwords; the sealed text is different every time."""
    vault = FakeVault()
    assert vault.open(vault.seal("x", bound_to="a"), bound_to="a") == "x"
    first = plan_of(ANN, open_password="correct horse").units[0].id
    other = plan_of(ANN, open_password="battery staple").units[0].id
    assert first != other
