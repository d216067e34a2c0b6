"""The plan of an execution: which files, from which data, to whom. Pure; nothing is read or written here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contracts.base import Reason
from contracts.configuration import Recipient, TaskVersion
from contracts.plan import ExecutionPlan, PlannedDelivery, PlannedReader, PlannedReport, PlannedUnit
from generator.domain.admission import Fail
from generator.domain.deliveries import Files, mails, publications, storages
from generator.domain.mode import mode_of
from generator.domain.passwords import NoVault, Vault
from generator.domain.people import WAYS, Person
from generator.domain.request import Answer, Catalog, Firing, Limits, Question, Request, SlicedReport
from generator.domain.selections import PlanProblemError
from generator.domain.units import HARMLESS, Draft, by_unit, drafts
from generator.domain.wording import Wording
from rendering.file_names import Namer

# Reasons are for people; what a thousand recipients have in common is said a hundred times, then counted.
MAX_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Sources:
    """What a plan is made of besides the request and Qlik's answers."""

    firing: Firing
    task: TaskVersion
    catalog: Catalog
    now: datetime
    deadline_at: datetime
    vault: Vault = field(default_factory=NoVault)


def plan(
    sources: Sources, request: Request, answers: Mapping[Question, Answer], limits: Limits
) -> ExecutionPlan | Fail:
    """Return the plan, or why there is none.

    What cannot be made is left out and named in the plan's problems; everything else is planned. There is no
    plan when nothing is left and something is wrong, or when it would be too large.
    """
    firing, task = sources.firing, sources.task
    execution_id, problems = firing.execution_id, list(request.problems)
    mode, excluded = mode_of(task, firing.options), dict(request.excluded)
    try:
        zone = ZoneInfo(firing.trigger.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return Fail(
            _reason("timezone-unknown", f"there is no time zone {firing.trigger.timezone!r}", "correct it")
        )
    wording = Wording(task, execution_id, firing.trigger.due_at.astimezone(zone))
    found = [
        draft for item in request.reports for draft in drafts(execution_id, item, answers, problems, excluded)
    ]
    problems += _without_destination(request, found) + _without_scope(request) + _without_readers(found)
    wanted = by_unit(draft for draft in found if draft.wanted)
    if (large := _too_many("files", len(wanted), limits.units)) is not None:
        return large
    files = _named(wanted, wording, sources.vault, problems)
    deliveries = (
        *mails(execution_id, files, request.people, wording, mode=mode, excluded=excluded),
        *storages(execution_id, files, sources.catalog.storage, wording, mode),
        *publications(execution_id, files, mode),
    )
    possible = sum(each.failed is None for each in deliveries)
    if (large := _too_many("deliveries", possible, limits.deliveries)) is not None:
        return large
    units = _delivered(files, deliveries)
    failures = [each.failed for each in deliveries if each.failed is not None]
    noted = _noted([*problems, *failures])
    if not units and not _harmless(noted):
        return Fail(_nothing(noted), noted, deliveries=len(failures))
    return ExecutionPlan(
        execution_id=execution_id,
        task_id=task.task_id,
        task_name=task.name,
        task_version=task.version,
        trigger=firing.trigger,
        planned_at=sources.now,
        deadline_at=sources.deadline_at,
        timezone=firing.trigger.timezone,
        test_address=mode.test_address,
        reports=_reports(request.reports, {unit.report for unit in units}),
        units=units,
        deliveries=deliveries,
        notification=task.notification,
        problems=noted,
        options=firing.options,
    )


def _named(
    wanted: Mapping[str, list[Draft]], wording: Wording, vault: Vault, problems: list[Reason]
) -> Files:
    namer, units, lost = Namer(), dict[str, PlannedUnit](), dict[str, Reason]()
    for key, candidates in wanted.items():
        draft = candidates[0]
        try:
            name = wording.file_name(candidates)
            owner = draft.owner.recipient if draft.owner else None
            sealed = draft.item.locks.sealed(key, draft.iteration_value, owner, vault)
        except PlanProblemError as problem:
            problems.append(problem.reason)
            lost[key] = problem.reason
            continue
        units[key] = PlannedUnit(
            id=key,
            report=draft.item.entry.id,
            file_name=namer.unique(name),
            selections=draft.selections,
            sealed=sealed,
            iteration_value=draft.iteration_value,
            recipient=_reader(owner) if owner else None,
            conditions=draft.conditions,
            skip=draft.skip,
        )
    return Files(units, wanted, lost)


def _reader(owner: Recipient) -> PlannedReader:
    return PlannedReader(name=owner.name, email=owner.email or "", attributes=owner.attributes)


def _delivered(files: Files, deliveries: Iterable[PlannedDelivery]) -> tuple[PlannedUnit, ...]:
    """Leave out files that in the end nobody gets, such as those of a person without an address."""
    needed = {unit for each in deliveries if each.failed is None for unit in each.units}
    return tuple(unit for key, unit in files.units.items() if key in needed)


def _reports(items: Iterable[SlicedReport], used: set[str]) -> tuple[PlannedReport, ...]:
    return tuple(
        PlannedReport(
            id=item.entry.id,
            report_id=item.report.id,
            name=item.report.name,
            format=item.entry.format,
            connection_id=item.report.connection_id,
            app_id=item.report.app_id,
            template_kind=item.template.kind if item.template else None,
            template=item.template.file if item.template else None,
            native=item.report.native,
            data=item.report.data,
            options=item.entry.options,
            iteration_field=item.report.iteration.field if item.report.iteration else None,
        )
        for item in items
        if item.entry.id in used
    )


def _without_destination(request: Request, found: Iterable[Draft]) -> list[Reason]:
    made: dict[str, bool] = {
        item.entry.id: False for item in request.reports if item.locks.personal and not _reachable(item)
    }
    for draft in found:
        made[draft.item.entry.id] = made.get(draft.item.entry.id, False) or draft.wanted
    return [
        _reason(
            "nobody-gets-it",
            f"the report {item.report.name!r} goes to nobody: no mail, no storage, no reader in the Hub",
            "add recipients with a right to the report, or a storage space",
        )
        for item in request.reports
        if made.get(item.entry.id) is False
    ]


def _reachable(item: SlicedReport) -> bool:
    """Return whether anybody may get a file that is made for one person alone."""
    return any(person.has(way) for part in item.slices for person in part.people for way in WAYS)


def _without_readers(found: Iterable[Draft]) -> list[Reason]:
    """Return a reason for each report that is published in the Hub, where nobody may see any of its files."""
    read: dict[str, tuple[str, bool]] = {}
    for draft in found:
        if draft.item.entry.hub.publish and draft.wanted:
            before = read.get(draft.item.entry.id, ("", False))[1]
            read[draft.item.entry.id] = (draft.item.report.name, before or bool(draft.shown))
    return [
        _reason(
            "hub-without-readers",
            f"The report {name!r} is set to go to the Hub, but no recipient of the task may see it there.",
            "Give recipients of the task the right to the Hub, or do not publish the report.",
        )
        for name, seen in read.values()
        if not seen
    ]


def _without_scope(request: Request) -> list[Reason]:
    if not any(item.report.iteration for item in request.reports):
        return []
    return [
        _scope_missing(person, name)
        for person in request.people
        for name in person.missing_scope_attributes()
    ]


def _scope_missing(person: Person, attribute: str) -> Reason:
    return _reason(
        "scope-attribute-missing",
        f"{person.recipient.name} gets only his own files, but his attribute {attribute!r} is not set",
        f"set the attribute {attribute!r} of the recipient",
    )


def _noted(problems: Iterable[Reason]) -> tuple[Reason, ...]:
    unique = tuple({(each.code, each.message): each for each in problems}.values())
    if len(unique) <= MAX_PROBLEMS:
        return unique
    more = _reason(
        "more-problems", f"{len(unique) - MAX_PROBLEMS} more problems are not listed", "mend those first"
    )
    return (*unique[:MAX_PROBLEMS], more)


def _harmless(problems: tuple[Reason, ...]) -> bool:
    codes = {problem.code for problem in problems}
    return bool(codes) and codes <= HARMLESS


def _nothing(problems: tuple[Reason, ...]) -> Reason:
    if problems:
        return problems[0]
    return _reason(
        "task-empty", "the task has no reports, or nobody to get them", "add reports and recipients"
    )


def _too_many(what: str, count: int, limit: int) -> Fail | None:
    if count <= limit:
        return None
    return Fail(
        _reason(
            "plan-too-large",
            f"the task would make {count} {what}, more than the {limit} one execution may have",
            "split the task or restrict its filters, or raise the limit of the generator",
        )
    )


def _reason(code: str, message: str, remedy: str) -> Reason:
    return Reason(code=code, message=message[:4000], remedy=remedy)
