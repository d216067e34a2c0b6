from datetime import timedelta

import pytest

from contracts.base import Reason
from contracts.configuration import OutputFormat
from contracts.events import Channel, Disposition, ReloadInfo
from contracts.mailing import AddressRole, AddressState, MailAddress
from contracts.plan import ExecutionPlan, PlannedDelivery, PlannedReport, PlannedUnit
from notifier.domain.model import Execution, Item, Status, Triggered
from notifier.domain.outcome import Complete, decide
from notifier.domain.tasklog import task_log
from support.notifier_kit import DEADLINE, NOW, TRIGGER, delivery, execution, plan, planned, unit

DONE = NOW + timedelta(seconds=30)


def text_of(run: Execution, items: list[Item], document: ExecutionPlan | None, now: object = DONE) -> str:
    at = DEADLINE + timedelta(minutes=1) if now != DONE else DONE
    result = decide(run, items, at, grace=timedelta(0))
    assert isinstance(result, Complete)
    return task_log(run, items, result, completed_at=at, plan=document)


def test_log_of_a_whole_run_in_the_tasks_time_zone_and_utc() -> None:
    run = execution(planned(2, 1, problems=(Reason(code="no-address", message="Bob has no address."),)))
    items = [
        delivery(Status.SUCCEEDED, at=NOW + timedelta(seconds=20), detail="3 attempts"),
        unit(Status.GENERATED, 1, at=NOW + timedelta(seconds=11), detail="sales.xlsx, 900 bytes"),
        unit(Status.FAILED, 2, at=NOW + timedelta(seconds=12)),
    ]
    assert text_of(run, items, plan()) == (
        "Task       Sales (t-1)\n"
        "Execution  01234567-89ab-4cde-8f01-23456789abcd\n"
        "Time zone  America/New_York\n"
        "\n"
        "2026-03-02T08:00:00Z  2026-03-02 03:00:00 -05:00  "
        "TRIGGERED  by schedule tr-1, due 2026-03-02T08:00:00Z\n"
        "2026-03-02T08:00:02Z  2026-03-02 03:00:02 -05:00  "
        "PLANNED    version 3: 2 files, 1 deliveries, deadline 2026-03-02T09:00:00Z\n"
        "2026-03-02T08:00:02Z  2026-03-02 03:00:02 -05:00  PROBLEM    Bob has no address. [no-address]\n"
        "2026-03-02T08:00:11Z  2026-03-02 03:00:11 -05:00  "
        "FILE       generated  Sales report, sales.xlsx, 900 bytes\n"
        "2026-03-02T08:00:12Z  2026-03-02 03:00:12 -05:00  "
        "FILE       FAILED  Sales report: The unit is failed. [unit-failed]\n"
        "2026-03-02T08:00:20Z  2026-03-02 03:00:20 -05:00  "
        "DELIVERY   succeeded  email to ann@example.org, 3 attempts\n"
        "2026-03-02T08:00:30Z  2026-03-02 03:00:30 -05:00  COMPLETED  warning\n"
        "\n"
        "Outcome    warning\n"
        "           The unit is failed. [unit-failed]\n"
        "           Bob has no address. [no-address]\n"
        "Files      2 planned: 1 generated, 0 skipped, 1 failed\n"
        "Deliveries 1 planned: 1 succeeded, 0 skipped, 0 failed, 0 unknown\n"
    )


def test_what_the_trigger_warns_of_stands_below_it() -> None:
    late = TRIGGER.model_copy(update={"warnings": (Reason(code="app-missing", message="Costs is missing."),)})
    run = execution(planned(0, 0, trigger=late), triggered=Triggered(at=NOW, trigger=late))

    lines = text_of(run, [], None).splitlines()

    (at,) = [number for number, line in enumerate(lines) if "TRIGGERED" in line]
    assert lines[at + 1].endswith("WARNING    Costs is missing. [app-missing]")


def test_a_run_after_a_failed_reload_says_so() -> None:
    reload = ReloadInfo(connection_id="q", app_id="flights", reload_id="r", finished_at=NOW, succeeded=False)
    failed = TRIGGER.model_copy(update={"reload": reload})

    log = text_of(execution(planned(0, 0), triggered=Triggered(at=NOW, trigger=failed)), [], None)

    assert ", the reload of flights failed\n" in log


def test_what_is_missing_at_the_deadline_is_named() -> None:
    document = plan(
        reports=(
            PlannedReport(
                id="r", report_id="r", name="R", format=OutputFormat.XLSX, connection_id="c", app_id="a"
            ),
        ),
        units=tuple(PlannedUnit(id=f"u-{n}", report="r", file_name=f"{n}.xlsx") for n in (1, 2)),
        deliveries=(
            PlannedDelivery(id="d-1", channel=Channel.EMAIL, target="ann@example.org", units=("u-1",)),
        ),
    )
    text = text_of(execution(planned(2, 1)), [unit(Status.GENERATED, 1)], document, "overdue")
    assert "MISSING  file 2.xlsx\n" in text
    assert "MISSING  delivery email to ann@example.org\n" in text
    assert "1.xlsx" not in text


def test_without_a_plan_the_number_is_named() -> None:
    text = text_of(execution(planned(2, 1)), [unit(Status.GENERATED, 1)], None, "overdue")
    assert "MISSING  2 files or deliveries\n" in text
    assert "Time zone  Europe/Berlin" in text


def test_execution_that_was_never_planned() -> None:
    text = text_of(execution(None), [], None, "overdue")
    assert "MISSING  the plan\n" in text


def test_planning_that_was_skipped_says_why() -> None:
    why = Reason(code="task-disabled", message="The task is disabled.", remedy="Enable it.")
    text = text_of(execution(planned(0, 0, disposition=Disposition.SKIPPED, reason=why)), [], None)
    assert "PLANNING   skipped: The task is disabled. [task-disabled] -> Enable it.\n" in text


def test_text_from_outside_cannot_forge_lines() -> None:
    evil = unit(Status.GENERATED, title="x\n2026-01-01T00:00:00Z  COMPLETED  success\r\u2028y")
    text = text_of(execution(planned(1, 0)), [evil], None)
    assert sum("COMPLETED  success" in line for line in text.splitlines()) == 2
    assert sum(line.endswith("  COMPLETED  success") for line in text.splitlines()) == 1


@pytest.mark.parametrize("name", ["Not/A_Zone", "", "../etc/passwd"])
def test_time_zone_that_is_none_falls_back_to_utc(name: str) -> None:
    text = text_of(execution(planned(1, 0)), [unit(Status.GENERATED)], plan(timezone=name))
    assert "Time zone  UTC\n" in text


def test_log_names_each_address_with_the_servers_words() -> None:
    addresses = (
        MailAddress(
            address="ann@example.org", role=AddressRole.TO, state=AddressState.ACCEPTED, answer="250 queued"
        ),
        MailAddress(
            address="bob@example.org", role=AddressRole.BCC, state=AddressState.REFUSED, answer="550 no"
        ),
    )
    items = [unit(Status.GENERATED, 1), delivery(Status.SUCCEEDED, addresses=addresses)]
    text = text_of(execution(planned(1, 1)), items, None)
    assert "ADDRESS    accepted  ann@example.org (to): 250 queued\n" in text
    assert "ADDRESS    REFUSED  bob@example.org (bcc): 550 no\n" in text
