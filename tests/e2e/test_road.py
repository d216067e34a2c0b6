"""A task through the whole road, in every way that may not go wrong."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts import ids
from contracts.events import TaskTriggered, TriggerInfo, TriggerKind
from runtime.store import open_store
from standalone.demo.run import console_command
from standalone.web import http_client
from support.platforms import CUSTOMERS_APP, Stage
from support.read_models import quiet, views
from support.servers import unique
from support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


async def people(stage: Stage, count: int, **attributes: str) -> list[dict[str, Any]]:
    """Create recipients, each for a customer of the app."""
    tag = unique("p")
    return [
        await stage.create(
            "recipients",
            id=f"{tag}-{number}",
            name=f"Person {number}",
            email=f"{tag}-{number}@example.com",
            attributes={"customer": f"C{number:04d}", **attributes},
        )
        for number in range(count)
    ]


async def task(stage: Stage, persons: list[dict[str, Any]], /, **changes: Any) -> dict[str, Any]:
    """Create a task that sends each recipient the file of their own customer."""
    body: dict[str, Any] = {
        "id": unique("task"),
        "name": "Customer letters",
        "reports": [{"id": "letter", "report_id": "per-customer", "format": "html"}],
        "recipients": [
            {"recipient_id": each["id"], "scope": "own", "scope_attribute": "customer"} for each in persons
        ],
        "notification": {"on_success": False, "on_warning": False, "on_error": False},
        "deadline": 300,
    }
    return await stage.create("tasks", **(body | changes))


async def test_each_recipient_gets_only_the_file_with_their_numbers(stage: Stage) -> None:
    """Nine: no file reaches a person whose filters differ; a person named twice gets one mail."""
    persons = await people(stage, 5)
    created = await task(stage, persons)

    execution = await stage.run(created["id"])

    assert "success" == execution["outcome"]
    for person in persons:
        (mail,) = await stage.mails_for(person["email"])
        (attachment,) = mail["attachments"]
        page = (await stage.inbox.attachment(mail, attachment["index"])).decode()
        customer = person["attributes"]["customer"]
        assert f'<p id="total">{stage.totals[customer]}</p>' in page
        assert {customer} == {name for name in stage.totals if name in page}


async def test_in_test_mode_every_mail_goes_to_the_test_address_alone(stage: Stage) -> None:
    """N recipients, N mails; subjects name the original address; no Cc, no Bcc, no other envelope address."""
    persons = await people(stage, 12)
    address = f"{unique('tester')}@example.com"
    bystanders = [f"{unique('by')}@example.com" for _ in range(4)]
    before = {each["id"] for each in await stage.inbox.messages()}
    created = await task(
        stage,
        persons,
        mail={"subject": "Letter", "cc": bystanders[:1], "bcc": bystanders[1:2]},
        notification={
            "on_success": True,
            "to": bystanders[2:3],
            "cc": bystanders[3:],
            "bcc": bystanders[3:],
        },
        test_mode={"address": address},
    )

    await stage.run(created["id"])

    async def told() -> bool:
        return len(await stage.mails_for(address)) >= len(persons) + 1

    await until(told, what="the outcome mail")
    new = [each for each in await stage.inbox.messages() if each["id"] not in before]
    assert {(address,)} == {tuple(each["rcpt_to"]) for each in new}
    reports = [each for each in new if any(p["email"] in each["subject"] for p in persons)]
    assert Counter(p["email"] for p in persons) == Counter(
        p["email"] for each in reports for p in persons if p["email"] in each["subject"]
    )
    assert all(each["subject"].lstrip("[").startswith(tuple(p["email"] for p in persons)) for each in reports)
    assert {""} == {each["header_cc"] for each in new}
    assert all(other not in each["header_to"] for each in new for other in bystanders)


async def test_a_disabled_task_is_run_by_nothing_and_each_attempt_is_recorded(stage: Stage) -> None:
    """Schedule, Qlik event, and an event that is already under way."""
    persons = await people(stage, 1)
    created = await task(
        stage,
        persons,
        triggers=[
            {
                "kind": "schedule",
                "id": unique("every-second"),
                "rule": {"kind": "interval", "every_seconds": 1},
                "start": (now := datetime.now(tz=UTC)).isoformat(),
                "end": (now + timedelta(seconds=8)).isoformat(),
            },
            {
                "kind": "qlik-reload",
                "id": unique("on-reload"),
                "connection_id": "customers-site",
                "app_id": CUSTOMERS_APP,
            },
        ],
        enabled=False,
    )
    in_flight = TaskTriggered(
        execution_id=ids.execution_id(unique("flight"), "1"),
        task_id=created["id"],
        trigger=TriggerInfo(
            kind=TriggerKind.SCHEDULE, trigger_id="gone", occurrence="1", due_at=datetime.now(tz=UTC)
        ),
    )
    await stage.publish(in_flight)
    execution = await stage.finished(in_flight.execution_id)
    await listening(stage, "customers-site")
    await stage.platform.qlik.reload(CUSTOMERS_APP)

    async def recorded() -> bool:
        skips = await stage.audit(task_id=created["id"], type="io.broadsheet.trigger-skipped.v1")
        kinds = {record["data"]["trigger"]["kind"] for record in skips}
        return kinds == {"schedule", "qlik-reload"}

    await until(recorded, seconds=60, every=0.5, what="a recorded skip of schedule and reload")
    assert "skipped" == execution["outcome"]
    assert [] == await stage.mails_for(persons[0]["email"])
    records = await stage.audit(task_id=created["id"])
    planned = [each["data"] for each in records if "execution-planned" in each["type"]]
    assert [("skipped", "task-disabled")] == [
        (each["disposition"], each["reason"]["code"]) for each in planned
    ]


async def listening(stage: Stage, connection: str) -> None:
    """Return once the listener polls the connection's site."""
    listener = stage.platform.processes["qlik-listener"]

    async def polled() -> bool:
        wanted = f'broadsheet_reload_polls_total{{connection="{connection}",result="ok"}}'
        return wanted in await listener.metrics()

    await until(polled, seconds=60, every=0.5, what="the listener to poll the site")


async def test_a_schedule_runs_its_task_once_per_due_time(stage: Stage) -> None:
    persons = await people(stage, 1)
    start = datetime.now(tz=UTC) + timedelta(seconds=3)
    created = await task(
        stage,
        persons,
        triggers=[
            {
                "kind": "schedule",
                "id": unique("three-times"),
                "rule": {"kind": "interval", "every_seconds": 2},
                "start": start.isoformat(),
                "end": (start + timedelta(seconds=5)).isoformat(),
            }
        ],
    )

    async def ran() -> bool:
        return len(await stage.mails_for(persons[0]["email"])) >= 3

    await until(ran, seconds=90, every=0.5, what="three mails")
    triggered = await stage.audit(task_id=created["id"], type="io.broadsheet.task-triggered.v1")
    assert 3 == len(triggered)
    assert 3 == len(await stage.mails_for(persons[0]["email"]))


async def test_deleting_every_read_model_and_replaying_gives_the_same_read_models(stage: Stage) -> None:
    persons = await people(stage, 2)
    created = await task(stage, persons)
    await stage.run(created["id"])
    settings = stage.platform.settings()
    # A projector that runs meanwhile would add what comes in between; the trail itself stands still now.
    await quiet(stage)
    async with open_store(settings.mongo_uri.get_secret_value(), settings.mongo_database) as store:
        before = await views(store)
        await stage.platform.services.stop_one("config-api")
        try:
            answer = console_command(stage.platform, ["rebuild"])
            after = await views(store)
            verdict = console_command(stage.platform, ["audit", "verify"])
        finally:
            await stage.platform.services.start_one("config-api")

    assert len(before) >= 4
    assert before == after, answer
    assert "intact" in verdict


async def test_one_execution_is_one_trace_from_the_trigger_to_the_outcome_mail(stage: Stage) -> None:
    persons = await people(stage, 1)
    owner = f"{unique('owner')}@example.com"
    created = await task(stage, persons, notification={"on_success": True, "to": [owner]})
    execution = await stage.run(created["id"])
    trace_id = execution["id"].replace("-", "")

    async def told() -> bool:
        return bool(await stage.mails_for(owner))

    await until(told, what="the outcome mail")
    spans: list[dict[str, Any]] = []

    async def exported() -> bool:
        spans[:] = [
            span
            for line in stage.platform.collector.spans_file.read_text(encoding="utf-8").splitlines()
            if (span := json.loads(line))["trace_id"] == trace_id
        ]
        return {"config-api", "generator", "distributor", "notifier"} <= {
            span["service"] for span in spans
        } and any(span["service"] == "notifier" and "notification" in span["name"] for span in spans)

    await until(exported, seconds=30, every=0.5, what="spans of every service in one trace")

    async def hangs_together() -> bool:
        # A span is exported when it has ended, so a parent comes after its children, in a later batch.
        await exported()
        ids = {span["span_id"] for span in spans}
        roots = [span for span in spans if span["parent_id"] is None]
        return len(roots) == 1 and all(span["parent_id"] in ids for span in spans if span not in roots)

    await until(hangs_together, seconds=30, every=0.5, what="every span below one root")
    # One unit, one mail and its outcome, each message handled by all who read it.
    assert len(spans) <= 25, sorted(span["name"] for span in spans)


async def test_an_outcome_mail_carries_the_log_with_the_reason_of_a_skip(stage: Stage) -> None:
    persons = await people(stage, 2)
    owner = f"{unique('owner')}@example.com"
    created = await task(
        stage,
        persons,
        reports=[
            {
                "id": "letter",
                "report_id": "per-customer",
                "format": "html",
                "conditions": [
                    {
                        "name": "Large customer",
                        "per_iteration": True,
                        "rules": [{"left": "=Sum(amount)", "operator": ">", "right": "999999999"}],
                    }
                ],
            }
        ],
        notification={"on_warning": True, "to": [owner]},
    )

    execution = await stage.run(created["id"])

    async def told() -> bool:
        return bool(await stage.mails_for(owner))

    await until(told, what="the outcome mail")
    (mail,) = await stage.mails_for(owner)
    (log,) = mail["attachments"]
    text = (await stage.inbox.attachment(mail, log["index"])).decode()
    assert "warning" == execution["outcome"]
    assert "Large customer" in text
    assert [] == await stage.mails_for(persons[0]["email"])


async def test_people_who_may_see_everything_get_one_archive(stage: Stage) -> None:
    (manager,) = await people(stage, 1)
    created = await task(
        stage, [], recipients=[{"recipient_id": manager["id"], "zip_email": True, "scope": "all"}]
    )

    await stage.run(created["id"])

    (mail,) = await stage.mails_for(manager["email"])
    (archive,) = mail["attachments"]
    assert archive["file_name"].endswith(".zip")


async def test_a_run_that_is_asked_for_twice_with_one_key_runs_once(stage: Stage) -> None:
    persons = await people(stage, 1)
    created = await task(stage, persons)
    headers = {"Idempotency-Key": unique("key")}

    answers = [
        await stage.rest.call("POST", f"/api/v1/tasks/{created['id']}/runs", headers=headers)
        for _ in range(3)
    ]

    (execution_id,) = {answer["execution_id"] for answer in answers}
    await stage.finished(execution_id)
    assert 1 == len(await stage.mails_for(persons[0]["email"]))


async def test_a_task_that_cannot_be_planned_ends_in_error_and_says_why(stage: Stage) -> None:
    persons = await people(stage, 1)
    await stage.create(
        "reports",
        id=(report := unique("lost")),
        name="Lost",
        connection_id="customers-site",
        app_id="no-such-app",
        template_id="customer",
        data=[
            {"kind": "expression", "name": "customer", "expression": "Only(customer)"},
            {"kind": "expression", "name": "total", "expression": "Sum(amount)"},
            {
                "kind": "table",
                "name": "orders",
                "dimensions": [{"name": "product", "expression": "product"}],
                "measures": [{"name": "amount", "expression": "Sum(amount)"}],
            },
        ],
        iteration={"field": "customer"},
    )
    created = await task(stage, persons, reports=[{"id": "x", "report_id": report, "format": "html"}])

    execution = await stage.run(created["id"])

    assert "error" == execution["outcome"]
    assert "no-such-app" in json.dumps(execution)


async def test_the_status_page_is_not_for_strangers(stage: Stage) -> None:
    async with http_client(base_url=stage.platform.console_url) as http:
        status = await http.get("/status")
        api = await http.get("/api/v1/tasks")

    assert status.status_code in {302, 303, 401}
    assert 401 == api.status_code
