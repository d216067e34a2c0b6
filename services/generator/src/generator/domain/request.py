"""What planning starts from, and what it asks Qlik before it can decide."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from contracts.base import Reason, Selection
from contracts.configuration import (
    Condition,
    Group,
    Recipient,
    Report,
    StorageSpace,
    TaskHead,
    TaskReport,
    TaskVersion,
    Template,
)
from contracts.events import TriggerInfo
from contracts.runs import RunOptions
from generator.domain.passwords import Locks, NoVault, Vault, locks_of
from generator.domain.people import Person, resolve
from generator.domain.selections import FieldValue, PlanProblemError, for_filters


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a plan may get."""

    units: int
    deliveries: int
    # Counts from when the trigger fired, for a task whose version cannot be read.
    default_deadline: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Firing:
    """What came with the event that asks for the execution."""

    execution_id: str
    task_id: str
    trigger: TriggerInfo
    fired_at: datetime
    """When the trigger fired, UTC; the deadline counts from it."""
    options: RunOptions | None = None
    """What the run alone does otherwise than the task says."""


@dataclass(frozen=True, slots=True)
class TaskSetup:
    """The task as it was configured when planning began; None is what does not exist."""

    head: TaskHead | None
    version: TaskVersion | None


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything a task refers to, by id, as it was when planning began."""

    reports: Mapping[str, Report] = field(default_factory=dict)
    templates: Mapping[str, Template] = field(default_factory=dict)
    recipients: Mapping[str, Recipient] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    storage: Mapping[str, StorageSpace] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AskValues:
    """The question which values a field has under these selections."""

    connection_id: str
    app_id: str
    selections: tuple[Selection, ...]
    field: str
    limit: int


@dataclass(frozen=True, slots=True)
class AskCondition:
    """The question whether a condition holds under these selections."""

    connection_id: str
    app_id: str
    selections: tuple[Selection, ...]
    condition: Condition


Question = AskValues | AskCondition


@dataclass(frozen=True, slots=True)
class Values:
    """The possible values of a field, in Qlik's order; `complete` is False when there are more."""

    values: tuple[FieldValue, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a condition holds, and the rule that does not."""

    holds: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Qlik cannot answer, now or later: a field that does not exist, an app nobody may open."""

    reason: Reason


Answer = Values | Verdict | NoAnswer


@dataclass(frozen=True, slots=True)
class Slice:
    """People who may see the same data of one task report."""

    selections: tuple[Selection, ...]
    people: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class SlicedReport:
    """A task report whose report and template exist, with its slices."""

    entry: TaskReport
    report: Report
    template: Template | None
    slices: tuple[Slice, ...]
    locks: Locks = field(default_factory=Locks)

    @property
    def personal(self) -> bool:
        """Whether the bytes of its files differ from person to person: by password, or by what they show."""
        return self.locks.personal or self.shows_recipient

    @property
    def shows_recipient(self) -> bool:
        """Whether the template shows the recipient; a data item of the report may hide the short spelling."""
        uses = self.template.uses if self.template else None
        if uses is None:
            return False
        bare = "recipient" in uses.tables or "recipient" in uses.values
        return uses.recipient or (bare and all(item.name != "recipient" for item in self.report.data))


@dataclass(frozen=True, slots=True)
class Request:
    """A task report by report, slice by slice; what is wrong so far stands in `problems`."""

    reports: tuple[SlicedReport, ...]
    people: tuple[Person, ...]
    problems: tuple[Reason, ...]
    excluded: Mapping[str, Reason] = field(default_factory=dict)
    """Who gets no file of some report, by recipient id, and why."""


def prepare(
    task: TaskVersion, catalog: Catalog, vault: Vault | None = None, *, only: Collection[str] | None = None
) -> Request:
    """Return who may see which data of which report; reads nothing from Qlik.

    `only` are the recipients of this run; None stands for everybody.
    """
    vault = vault or NoVault()
    people, unresolved = resolve(task.recipients, catalog.recipients, catalog.groups, only=only)
    problems, excluded = list(unresolved), dict[str, Reason]()
    reports: list[SlicedReport] = []
    for entry in task.reports:
        try:
            found = _sliced(entry, people, catalog, problems, excluded)
            reports.append(replace(found, locks=_locks(task, found, vault)))
        except PlanProblemError as problem:
            problems.append(problem.reason)
            excluded |= {person.recipient.id: problem.reason for person in people if _mailed(entry)}
    return Request(tuple(reports), people, tuple(problems), excluded)


def _mailed(entry: TaskReport) -> bool:
    return entry.attach or entry.embed


def questions(request: Request) -> tuple[Question, ...]:
    """Return what has to be asked of Qlik before the plan can be made, each question once.

    One value more than a report's limit is asked for: too many are noticed, never cut off silently.
    """
    asked: dict[Question, None] = {}
    for item in request.reports:
        for part in item.slices:
            if item.report.iteration is None:
                continue
            asked[values_question(item.report, part)] = None
            for condition in once_conditions(item.entry):
                asked[condition_question(item.report, part, condition)] = None
    return tuple(asked)


def values_question(report: Report, part: Slice) -> AskValues:
    """Return the question for the iteration values of a slice. The report has to iterate."""
    if report.iteration is None:
        raise ValueError(f"report {report.id} does not iterate")
    return AskValues(
        report.connection_id,
        report.app_id,
        part.selections,
        report.iteration.field,
        report.iteration.limit + 1,
    )


def condition_question(report: Report, part: Slice, condition: Condition) -> AskCondition:
    """Return the question whether a condition holds for a slice as a whole."""
    return AskCondition(report.connection_id, report.app_id, part.selections, condition)


def once_conditions(entry: TaskReport) -> tuple[Condition, ...]:
    """Return the conditions that are tested once before an iteration, and skip all of it."""
    return tuple(condition for condition in entry.conditions if not condition.per_iteration)


def _sliced(
    entry: TaskReport,
    people: tuple[Person, ...],
    catalog: Catalog,
    problems: list[Reason],
    excluded: dict[str, Reason],
) -> SlicedReport:
    report = catalog.reports.get(entry.report_id)
    if report is None:
        raise PlanProblemError(
            "report-unknown",
            f"the task names the report {entry.report_id!r}, which does not exist",
            "take the report out of the task, or create it again",
        )
    template = catalog.templates.get(report.template_id) if report.template_id else None
    if report.template_id and template is None:
        raise PlanProblemError(
            "template-unknown",
            f"the report {report.name!r} names the template {report.template_id!r}, which does not exist",
            "choose another template for the report",
        )
    return SlicedReport(entry, report, template, _slices(entry, report, people, problems, excluded))


def _locks(task: TaskVersion, item: SlicedReport, vault: Vault) -> Locks:
    try:
        return locks_of(task, item.entry, item.report.name, vault)
    except PlanProblemError as problem:
        message = f"the report {item.report.name!r} cannot be made: {problem.reason.message}"
        raise PlanProblemError(problem.reason.code, message, problem.reason.remedy) from problem


def _slices(
    entry: TaskReport,
    report: Report,
    people: tuple[Person, ...],
    problems: list[Reason],
    excluded: dict[str, Reason],
) -> tuple[Slice, ...]:
    filters = (*entry.filters, *report.filters)
    if not any(item.attribute for item in filters):
        try:
            return (Slice(for_filters(filters, {}), people),)
        except PlanProblemError as problem:
            raise _for_report(problem, report) from problem
    by_selections: dict[tuple[Selection, ...], list[Person]] = {}
    for person in people:
        try:
            selections = for_filters(filters, person.recipient.attributes)
        except PlanProblemError as problem:
            problems.append(_for_person(problem, person, report))
            if _mailed(entry):
                excluded[person.recipient.id] = problems[-1]
        else:
            by_selections.setdefault(selections, []).append(person)
    return tuple(Slice(key, tuple(found)) for key, found in by_selections.items())


def _for_report(problem: PlanProblemError, report: Report) -> PlanProblemError:
    message = f"The report {report.name!r} cannot be made: {problem.reason.message}"
    return PlanProblemError(problem.reason.code, message, problem.reason.remedy)


def _for_person(problem: PlanProblemError, person: Person, report: Report) -> Reason:
    message = f"{person.recipient.name} does not get the report {report.name!r}: {problem.reason.message}"
    return problem.reason.worded(message)
