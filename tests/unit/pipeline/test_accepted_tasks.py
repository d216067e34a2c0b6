"""Whatever REST accepts gets an answer everywhere: a decision, a skip with a reason or a named failure.

Tasks are made as callers send them, with every field in odd but possible forms. Those that the validation
of config-api accepts go through scheduling, planning, naming and the rows and mails of deliveries. Nothing of
that may raise: an unexpected exception would be somebody's report that never comes.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from config_api.domain.changes import Stamp, save
from config_api.domain.drafts import RecipientDraft, ReportDraft, TaskDraft
from config_api.domain.errors import InvalidError
from config_api.domain.kinds import TASK
from config_api.domain.rights import Actor, Role
from config_api.domain.storable import unstorable
from config_api.domain.validation import check
from contracts.base import Artifact, Reason
from contracts.configuration import Recipient, Report, TaskVersion
from contracts.events import TaskTriggered, TriggerInfo, TriggerKind
from contracts.plan import ExecutionPlan
from distributor.domain.mailing import Sender, compose, too_large
from distributor.domain.rows import Deliver, SettledUnit, UnitKind, judge, rows_of
from generator.domain.admission import Admitted, Fail, admit, deadline
from generator.domain.localising import options_for
from generator.domain.request import Firing, Limits, TaskSetup
from rendering.model import RenderOptions
from scheduler.domain.reloads import Reload, ReloadStatus
from scheduler.ports import ConfiguredTask
from scheduler.use_cases import tick, watch_reloads
from support.fake_scheduler import (
    FakeOccurrences,
    FakeReloadMarks,
    FakeReloadSource,
    FakeSightings,
    FakeTasks,
    FakeTriggerProblems,
)
from support.tasks import LIMITS, catalog, group, head, planned, space

ACTOR = Actor("1", "dev@example.com", Role.DEVELOPER, None, "session")
MOMENTS = [
    datetime(2000, 1, 1, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    datetime(2024, 4, 6, 15, 30, tzinfo=UTC),
    datetime(2200, 12, 31, 23, 59, 59, tzinfo=UTC),
]
ODD = [
    "a",
    "\u202eabc",
    "ﬃ",
    "😀" * 20,
    " ",
    "x" * 200,
    "..",
    "con",
    "{{ date }}",
    "{{",
    "ß/\\:*",
    "%Y",
    "'; drop",
]
ODD += [
    "<b>",
    "=1+1",
    "{{ task.name | upper }}",
    '{{ date | format("%d.%m.%Y") }}',
    "{{ nope }}",
    "\u2028",
    "&amp;",
]

printable = st.characters(exclude_categories=("Cs", "Cc"))
words = st.one_of(st.sampled_from(ODD), st.text(printable, min_size=1, max_size=20))
ids = st.sampled_from(["a", "b", "c", "A.b-c_d", "0"])
# Early and late ones keep their order more often, so that an end comes after its start.
starts = st.one_of(
    st.sampled_from(["2000-01-01T00:00:00Z", "2025-10-25T23:30:00+14:00", "2026-01-01T00:00:00Z"]),
    st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1)).map(lambda each: each.isoformat() + "Z"),
)
ends = st.one_of(
    st.sampled_from(["2200-12-31T23:59:59Z", "9999-12-31T23:59:59Z"]),
    st.datetimes(datetime(2040, 1, 1), datetime(2200, 1, 1)).map(lambda each: each.isoformat() + "Z"),
)
zones = st.sampled_from(
    (
        "UTC",
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "America/St_Johns",
        "Asia/Kathmandu",
        "Etc/GMT+12",
        "Africa/Casablanca",
        "Factory",
        "posixrules",
        "Pacific/Kiritimati",
        "Europe",
    )
)
CRON_FIELDS = (
    ["*", "*/7", "0", "5-50/9", "59", "1,2,40", "30"],
    ["*", "*/5", "0", "23", "1-4", "2,3"],
    ["*", "1", "31", "L", "LW", "*/9", "29"],
    ["*", "2", "JAN-MAR", "*/5", "12"],
    ["*", "0", "7", "MON-FRI", "1#5", "5L", "*/3"],
)
crons = st.one_of(
    st.sampled_from(
        ["* * * * *", "0 6 * * *", "30 2 29 2 *", "0 0 L * *", "0 0 * * 1#5", "*/7 */5 LW JAN-MAR *"]
    ),
    st.sampled_from(["0 0 31 4 1", "59 23 31 12 *", "0 0 29 2 7", "0 0 1,L */2 *"]),
    st.tuples(*(st.sampled_from(field) for field in CRON_FIELDS)).map(" ".join),
)
times = st.sampled_from(["00:00", "02:30", "04:00", "23:59", "12:00"])


def some(required: dict[str, Any], **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with all of the required fields and any of the others."""
    return st.fixed_dictionaries(
        {
            key: value if isinstance(value, st.SearchStrategy) else st.just(value)
            for key, value in required.items()
        },
        optional=optional,
    )


common = {"enabled": st.booleans(), "name": words, "timezone": zones, "priority": st.integers(1, 100)}
schedules = some(
    {
        "kind": "schedule",
        "id": ids,
        "start": starts,
        "rule": st.one_of(
            some({"kind": "cron", "expression": crons}),
            some(
                {
                    "kind": "interval",
                    "every_seconds": st.sampled_from([1, 59, 86_400, 366 * 86_400]),
                }
            ),
        ),
    },
    end=st.one_of(st.none(), ends),
    catch_up=st.sampled_from(["latest", "all", "none"]),
    **common,
)
watched_apps = st.lists(
    some({"connection_id": "site", "app_id": ids}, name=words),
    min_size=1,
    max_size=3,
    unique_by=lambda each: each["app_id"],
)
reload_triggers = st.one_of(
    some(
        {"kind": "qlik-reload", "id": ids, "connection_id": "site", "app_id": ids},
        start=starts,
        end=ends,
        on=st.sampled_from(["succeeded", "failed", "finished"]),
        **common,
    ),
    some({"kind": "qlik-reload-any", "id": ids, "apps": watched_apps}, start=starts, end=ends, **common),
    some(
        {"kind": "qlik-reload-all", "id": ids, "apps": watched_apps, "since": times},
        late_at=times,
        late_next_day=st.booleans(),
        late=st.sampled_from(["start", "skip"]),
        days=st.lists(st.sampled_from(["mon", "wed", "sun"]), max_size=3),
        start=starts,
        end=ends,
        **common,
    ),
)
numbers = st.floats(allow_nan=False, allow_infinity=False)
filters = st.lists(
    st.one_of(
        some({"field": words, "values": st.lists(st.one_of(words, numbers), min_size=1, max_size=2)}),
        some(
            {
                "field": words,
                "source": "recipient-attribute",
                "attribute": st.sampled_from(["airline", "no"]),
            }
        ),
    ),
    max_size=2,
)
conditions = st.lists(
    some(
        {
            "name": words,
            "rules": st.lists(
                some(
                    {"left": "=Sum(x)", "operator": st.sampled_from(["=", "<", "is-empty", "contains"])},
                    right=words,
                ),
                min_size=1,
                max_size=2,
            ),
        },
        per_iteration=st.booleans(),
    ),
    max_size=2,
)
patterns = st.sampled_from(["%d.%m.%Y", "%-d.", "%B %Y 😀", "%j%V%G", "%%%d"])
output = some(
    {},
    decimal=st.sampled_from([".", ",", "", "x"]),
    thousands=st.sampled_from(["", ".", ",", " "]),
    date_format=patterns,
    datetime_format=patterns,
    language=st.sampled_from(["de", "de-CH", "xx"]),
    csv_separator=st.sampled_from([";", ",", "\t", '"', "\n"]),
)
task_reports = some(
    {
        "id": ids,
        "report_id": st.sampled_from(["r", "iterating", "missing"]),
        "format": st.sampled_from(["xlsx", "html", "pdf", "csv"]),
    },
    options=output,
    attach=st.booleans(),
    embed=st.booleans(),
    zip_email=st.booleans(),
    filters=filters,
    conditions=conditions,
    storage=st.lists(some({"storage_id": "share"}, path=words, zip=st.booleans()), max_size=2),
    hub=some({}, publish=st.booleans(), keep=st.integers(0, 3)),
)
task_recipients = st.one_of(
    some(
        {"recipient_id": st.sampled_from(["ann", "bob", "gone"])},
        email=st.booleans(),
        hub=st.booleans(),
        zip_email=st.booleans(),
        scope=st.sampled_from(["all", "own"]),
        scope_attribute=st.sampled_from(["airline", "no"]),
    ),
    some({"group_id": "team"}, email=st.booleans(), hub=st.booleans()),
)
addresses = st.lists(st.sampled_from(["cc@example.com", "a@b"]), max_size=2)
tasks = some(
    {
        "name": words,
        "reports": st.lists(task_reports, min_size=1, max_size=2),
        "recipients": st.lists(task_recipients, max_size=2),
        "triggers": st.lists(st.one_of(schedules, reload_triggers), max_size=2),
    },
    mail=some({}, subject=words, body=words, cc=addresses, bcc=addresses),
    notification=some({}, to=addresses, on_success=st.booleans()),
    test_mode=st.one_of(st.none(), st.just({"address": "test@example.com"})),
    timezone=zones,
    valid_from=starts,
    valid_until=ends,
    deadline=st.sampled_from([10, 600, "PT1H", 7 * 86_400]),
    description=words,
)
report_bodies = some(
    {"name": words, "connection_id": "site", "app_id": "a", "template_id": "template"},
    file_name=words,
    filters=filters,
    iteration=some({"field": words}, limit=st.sampled_from([1, 10])),
)
attributes = st.dictionaries(st.sampled_from(["airline", "x"]), words, max_size=2)


def accepted(task: dict[str, Any]) -> TaskVersion | None:
    """Return the task as it is stored, or None when REST refuses it."""
    try:
        draft = TaskDraft.model_validate(task)
        if any(unstorable(task)):
            return None
        if check(draft):
            return None
        stamp = Stamp(ACTOR, datetime(2026, 3, 1, tzinfo=UTC), "1")
        write = save(TASK, "task", draft, None, stamp)
    except (ValidationError, InvalidError):
        return None
    assert write.version is not None
    return TaskVersion.model_validate(write.version)


def reports_of(body: dict[str, Any]) -> list[Report]:
    try:
        draft = ReportDraft.model_validate(body)
    except ValidationError:
        draft = None
    if draft is None or check(draft):
        return [
            Report(id=key, name=key, connection_id="site", app_id="a", template_id="template")
            for key in ("r", "iterating")
        ]
    content = draft.model_dump(exclude={"id"})
    return [Report.model_validate({**content, "id": key}) for key in ("r", "iterating")]


def recipient(key: str, given: dict[str, str]) -> Recipient:
    try:
        draft = RecipientDraft.model_validate(
            {"name": key, "email": f"{key}@example.com", "attributes": given}
        )
    except ValidationError:
        return Recipient(id=key, name=key)
    return Recipient(id=key, name=draft.name, email=draft.email, attributes=draft.attributes)


async def scheduled(version: TaskVersion, now: datetime) -> list[TaskTriggered]:
    """Return the runs that a task gets around a moment, from time and from reloads."""
    tasks = FakeTasks(ConfiguredTask(enabled=True, version=version))
    occurrences, sightings, marks = FakeOccurrences(), FakeSightings(), FakeReloadMarks()
    problems = FakeTriggerProblems()
    ports: dict[str, Any] = {
        "tasks": tasks,
        "occurrences": occurrences,
        "sightings": sightings,
        "marks": marks,
    }
    marks.marks["site"] = now - timedelta(minutes=1)
    reloads = [
        Reload("site", app_id, f"{app_id}-{status}", status, now)
        for app_id in ("a", "b", "c", "A.b-c_d", "0")
        for status in ReloadStatus
    ]
    source = FakeReloadSource(*reloads)
    for step in (timedelta(0), timedelta(seconds=61), timedelta(days=1, hours=2)):
        await tick(now + step, problems=problems, **ports)
        await watch_reloads("site", now + step, source=source, problems=problems, **ports)
    assert {} == problems.codes("scheduler")
    assert {} == problems.codes("site:site")
    return [each for each in occurrences.recorded.values() if isinstance(each, TaskTriggered)]


def delivered(plan: ExecutionPlan) -> None:
    """Write the rows of a plan, settle its units, and compose its mails."""
    fate = {
        unit.id: SettledUnit(
            id=unit.id,
            execution_id=plan.execution_id,
            kind=UnitKind.FAILED if number % 3 == 2 else UnitKind.GENERATED,
            artifact=None
            if number % 3 == 2
            else Artifact(
                key="k", size=1, sha256="a" * 64, content_type="text/html", file_name=unit.file_name
            ),
            reason=Reason(code="x", message="x") if number % 3 == 2 else None,
        )
        for number, unit in enumerate(plan.units)
    }
    sender = Sender(name="Broadsheet", address="b@example.com", message_id_domain="example.com")
    for row in rows_of(plan, margin=timedelta(seconds=30)):
        row.model_dump_json()
        outcomes = {unit: fate[unit] for unit in row.planned.units}
        if isinstance(judge(row, outcomes), Deliver) and row.planned.mail is not None:
            too_large(row, outcomes, 10_000)
            contents = {unit: b"<p>x</p>" for unit, each in outcomes.items() if each.artifact}
            compose(row, outcomes, contents, sender, date=plan.planned_at)


def firing_of(runs: Sequence[TaskTriggered], now: datetime) -> Firing:
    if runs:
        return Firing(runs[0].execution_id, "task", runs[0].trigger, now)
    by_hand = TriggerInfo(kind=TriggerKind.MANUAL, trigger_id="manual:task", occurrence="1", due_at=now)
    return Firing("0d0f9a3e-1111-5222-8333-444455556666", "task", by_hand, now)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], deadline=None
)
@given(task=tasks, report=report_bodies, ann=attributes, now=st.sampled_from(MOMENTS), value=words)
def test_everything_that_is_accepted_gets_an_answer(
    task: dict[str, Any], report: dict[str, Any], ann: dict[str, str], now: datetime, value: str
) -> None:
    version = accepted(task)
    assume(version is not None)
    assert version is not None

    runs = asyncio.run(scheduled(version, now))
    firing = firing_of(runs, now)
    setup = TaskSetup(head(), version)
    until = deadline(firing, setup, Limits(units=1, deliveries=1))
    admission = admit(firing, setup, now=now, deadline_at=until)

    people = [recipient("ann", ann), recipient("bob", {})]
    known = catalog(
        reports=reports_of(report), people=people, groups=[group("team", "ann", "bob")], storage=[space()]
    )
    result = planned(version, known, values=[value, "AA"], limits=LIMITS, firing_=firing)
    for each in version.reports:
        options_for(each.options, RenderOptions())
    if isinstance(result, Fail):
        assert result.reason.code
        event("not planned")
    else:
        event("planned")
        delivered(result)
    assert isinstance(admission, Admitted) or admission.reason.code
    event("admitted" if isinstance(admission, Admitted) else "not admitted")
