"""Tasks, reports and people for tests of planning, said in few words."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from contracts.base import ObjectRef
from contracts.configuration import (
    Condition,
    ConditionRule,
    FilterDef,
    FilterSource,
    Group,
    Iteration,
    Operator,
    OutputFormat,
    Recipient,
    Report,
    StorageKind,
    StorageSpace,
    TaskHead,
    TaskRecipient,
    TaskReport,
    TaskVersion,
    Template,
    TemplateKind,
)
from contracts.events import TriggerInfo, TriggerKind
from contracts.plan import ExecutionPlan
from contracts.runs import RunOptions
from contracts.triggers import ScheduleTrigger
from generator.domain.admission import Fail
from generator.domain.planning import Sources, plan
from generator.domain.request import (
    Answer,
    AskValues,
    Catalog,
    Firing,
    Limits,
    Question,
    TaskSetup,
    Values,
    Verdict,
    prepare,
    questions,
)
from generator.domain.selections import FieldValue
from support.fake_vault import FakeVault

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
DEADLINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LIMITS = Limits(units=1000, deliveries=1000)
EXECUTION = "0d0f9a3e-1111-5222-8333-444455556666"


def trigger(kind: TriggerKind = TriggerKind.SCHEDULE, **changes: Any) -> TriggerInfo:
    return TriggerInfo(
        **{
            "kind": kind,
            "trigger_id": "daily",
            "occurrence": NOW.isoformat(),
            "due_at": NOW,
            "timezone": "Europe/Zurich",
            **changes,
        }
    )


def firing(**changes: Any) -> Firing:
    return Firing(EXECUTION, "task", trigger(**changes), NOW)


def fired_with(**options: Any) -> Firing:
    return replace(firing(), options=RunOptions.model_validate(options))


def schedule(**changes: Any) -> ScheduleTrigger:
    return ScheduleTrigger.model_validate(
        {
            "id": "daily",
            "rule": {"kind": "interval", "every_seconds": 60},
            "start": datetime(2026, 1, 1, tzinfo=UTC),
            **changes,
        }
    )


def task(**changes: Any) -> TaskVersion:
    return TaskVersion(
        **{
            "task_id": "task",
            "version": 3,
            "name": "Flights daily",
            "reports": (entry(),),
            "recipients": (to("ann"),),
            "triggers": (schedule(),),
            "created_at": NOW,
            "created_by": "test",
            **changes,
        }
    )


def head(**changes: Any) -> TaskHead:
    return TaskHead(**{"id": "task", "name": "Flights daily", "current_version": 3, **changes})


def setup(*, enabled: bool = True, **changes: Any) -> TaskSetup:
    return TaskSetup(head(enabled=enabled), task(**changes))


def entry(id: str = "tr1", report: str = "flights", **changes: Any) -> TaskReport:  # noqa: A002
    return TaskReport(**{"id": id, "report_id": report, "format": OutputFormat.XLSX, **changes})


def report(id: str = "flights", **changes: Any) -> Report:  # noqa: A002
    return Report(
        **{
            "id": id,
            "name": id.capitalize(),
            "connection_id": "site",
            "app_id": "app",
            "template_id": "template",
            **changes,
        }
    )


def over(field: str = "Airline", limit: int = 100) -> Iteration:
    return Iteration(field=field, limit=limit)


def fixed(field: str, *values: str | float) -> FilterDef:
    return FilterDef(field=field, values=values)


def by_attribute(field: str, attribute: str) -> FilterDef:
    return FilterDef(field=field, source=FilterSource.RECIPIENT_ATTRIBUTE, attribute=attribute)


def condition(name: str = "has data", *, per_iteration: bool = False) -> Condition:
    rule = ConditionRule(left="=Count(Flight)", operator=Operator.GT, right="0")
    return Condition(name=name, rules=(rule,), per_iteration=per_iteration)


def to(recipient: str | None = None, **changes: Any) -> TaskRecipient:
    return TaskRecipient(recipient_id=recipient, **changes)


def person(id: str, *, email: str | None = "", enabled: bool = True, **attributes: str) -> Recipient:  # noqa: A002
    address = f"{id}@example.com" if email == "" else email
    return Recipient(id=id, name=id.capitalize(), email=address, enabled=enabled, attributes=attributes)


def group(id: str, *members: str) -> Group:  # noqa: A002
    return Group(id=id, name=id, members=members)


def space(id: str = "share") -> StorageSpace:  # noqa: A002
    return StorageSpace(id=id, name=id.capitalize(), kind=StorageKind.FOLDER, settings={"root": "/srv"})


def template(id: str = "template", sha: str = "a") -> Template:  # noqa: A002
    file = ObjectRef(key=f"templates/{sha * 64}", size=10, sha256=sha * 64)
    return Template(id=id, name=id, kind=TemplateKind.XLSX, version=1, file=file)


def catalog(
    *,
    reports: Sequence[Report] = (),
    people: Sequence[Recipient] = (),
    groups: Sequence[Group] = (),
    storage: Sequence[StorageSpace] = (),
    templates: Sequence[Template] | None = None,
) -> Catalog:
    return Catalog(
        reports={each.id: each for each in (reports or [report()])},
        templates={each.id: each for each in ([template()] if templates is None else templates)},
        recipients={each.id: each for each in (people or [person("ann")])},
        groups={each.id: each for each in groups},
        storage={each.id: each for each in storage},
    )


def answered(
    asked: Sequence[Question],
    values: Sequence[str | tuple[str, float]] = (),
    verdict: Answer | None = None,
) -> Mapping[Question, Answer]:
    found = tuple(FieldValue(*each) if isinstance(each, tuple) else FieldValue(each) for each in values)
    met = verdict or Verdict(holds=True)
    return {each: Values(found[: each.limit]) if isinstance(each, AskValues) else met for each in asked}


def planned(
    version: TaskVersion,
    catalog_: Catalog,
    *,
    values: Sequence[str | tuple[str, float]] = (),
    answers: Mapping[Question, Answer] | None = None,
    verdict: Answer | None = None,
    limits: Limits = LIMITS,
    firing_: Firing | None = None,
) -> ExecutionPlan | Fail:
    vault = FakeVault()
    fired = firing_ or firing()
    only = fired.options.recipients if fired.options else None
    request = prepare(version, catalog_, vault, only=only)
    given = answers if answers is not None else answered(questions(request), values, verdict)
    sources = Sources(fired, version, catalog_, NOW, DEADLINE, vault)
    return plan(sources, request, given, limits)


def made(version: TaskVersion, catalog_: Catalog, **how: Any) -> ExecutionPlan:
    result = planned(version, catalog_, **how)
    assert isinstance(result, ExecutionPlan), result
    return result


def failed(version: TaskVersion, catalog_: Catalog, **how: Any) -> Fail:
    result = planned(version, catalog_, **how)
    assert isinstance(result, Fail), result
    return result
