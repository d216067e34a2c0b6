"""Units: the distinct files of an execution, and who wants them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from hashlib import sha256

from contracts.base import Reason, Selection
from contracts.configuration import Condition, Report, TaskReport
from contracts.ids import unit_id
from generator.domain.people import WAYS, Audience, Person
from generator.domain.request import (
    Answer,
    NoAnswer,
    Question,
    Slice,
    SlicedReport,
    Values,
    Verdict,
    condition_question,
    once_conditions,
    values_question,
)
from generator.domain.selections import FieldValue, Narrowing, PlanProblemError

HARMLESS = frozenset({"iteration-empty"})
"""Problems that leave nothing to do although nothing is wrong: there simply is no data today."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One file that could be made for some people of a task report."""

    unit_id: str
    item: SlicedReport
    selections: tuple[Selection, ...]
    iteration_value: str | None
    conditions: tuple[Condition, ...]
    mailed: tuple[Person, ...]
    """Who gets it by email; everybody's filters are exactly those of the file."""
    shown: tuple[Person, ...]
    """Who sees it in the Hub; the same holds."""
    skip: Reason | None = None
    owner: Person | None = None
    """The one person the file is made for, because its password is theirs or it shows them."""

    @property
    def wanted(self) -> bool:
        """Whether the file has anywhere to go."""
        entry = self.item.entry
        by_mail = bool(self.mailed) and (entry.attach or entry.embed)
        return by_mail or bool(entry.storage) or (entry.hub.publish and bool(self.shown))


def fingerprint(
    item: SlicedReport,
    selections: tuple[Selection, ...],
    iteration_value: str | None,
    owner: Person | None = None,
) -> str:
    """Return what tells one file of an execution from another: all that determines its bytes.

    `selections` are canonical. Conditions count, as they determine whether there are bytes at all. Names and
    recipients do not: people who may see the same share the file, unless its password is of one of them,
    or it shows one of them.
    Passwords count as they are sealed: an id must not let anybody try passwords.
    """
    report, template, entry = item.report, item.template, item.entry
    parts = {
        "report": [report.id, report.version, report.connection_id, report.app_id],
        "template": [template.kind, template.file.sha256] if template else None,
        "native": report.native.model_dump(mode="json") if report.native else None,
        "format": entry.format,
        "options": entry.options.model_dump(mode="json"),
        "locks": [item.locks.tokens, owner.recipient.id if owner else None],
        "data": [each.model_dump(mode="json") for each in report.data],
        # How Qlik finds a value says nothing about what it is.
        "selections": [each.model_dump(mode="json", include={"field", "values"}) for each in selections],
        "iteration": [report.iteration.field, iteration_value] if report.iteration else None,
        "conditions": [each.model_dump(mode="json") for each in entry.conditions],
    }
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def drafts(
    execution_id: str,
    item: SlicedReport,
    answers: Mapping[Question, Answer],
    problems: list[Reason],
    excluded: dict[str, Reason],
) -> Iterator[Draft]:
    """Yield the files of a task report; what cannot be made is added to `problems`, with its reason.

    Whoever should have got one of those by mail is added to `excluded`, by recipient id.
    """
    mailed = item.entry.attach or item.entry.embed
    for part in item.slices:
        reached: set[str] = set()
        try:
            for draft in _of_slice(execution_id, item, part, answers, problems):
                reached |= {person.recipient.id for person in (*draft.mailed, *draft.shown)}
                yield draft
        except PlanProblemError as problem:
            problems.append(_for_report(problem, item.report, part))
            if mailed and problem.reason.code not in HARMLESS:
                excluded |= {person.recipient.id: problems[-1] for person in part.people}
        else:
            problems += _without_own_file(item.report, part, reached)


def _without_own_file(report: Report, part: Slice, reached: AbstractSet[str]) -> list[Reason]:
    """Return a reason for each person whose own values are none of those that files were made for."""
    found = []
    for person in part.people:
        values = [person.own_values(way) for way in WAYS if person.has(way)]
        own = sorted(frozenset().union(*(each for each in values if each is not None)))
        if person.recipient.id in reached or None in values or not own:
            continue
        who, shown = person.recipient.name, ", ".join(map(repr, own[:5]))
        found.append(
            Reason(
                code="no-own-file",
                message=f"{who} gets no file of the report {report.name!r}: it has none for {shown}.",
                remedy="Compare the recipient's attribute with the values of the field that the report "
                "iterates over.",
            )
        )
    return found


def by_unit(found: Iterable[Draft]) -> dict[str, list[Draft]]:
    """Return drafts by unit id, in order: the same file may be wanted by several task reports."""
    units: dict[str, list[Draft]] = {}
    for draft in found:
        units.setdefault(draft.unit_id, []).append(draft)
    return units


def _of_slice(
    execution_id: str,
    item: SlicedReport,
    part: Slice,
    answers: Mapping[Question, Answer],
    problems: list[Reason],
) -> Iterator[Draft]:
    report, entry, audiences = item.report, item.entry, _audiences(item, part)
    if report.iteration is None:
        yield from _shared(
            execution_id,
            item,
            audiences,
            selections=part.selections,
            value=None,
            conditions=entry.conditions,
        )
        return
    skip = _once(report, entry, part, answers)
    kept = tuple(condition for condition in entry.conditions if condition.per_iteration)
    narrowing = Narrowing(part.selections, report.iteration.field)
    for value in _values(report, part, answers):
        try:
            selections = narrowing.to(value)
        except PlanProblemError as problem:
            problems.append(_for_report(problem, report, part))
            continue
        for draft in _shared(
            execution_id, item, audiences, selections=selections, value=value.text, conditions=kept
        ):
            yield replace(draft, skip=skip)


def _audiences(item: SlicedReport, part: Slice) -> list[tuple[Person | None, Audience]]:
    """Return who shares a file: all people of a slice, or each alone where files differ by person.

    A file that shows its recipient, and that nobody gets by mail or in the Hub, is made once and shows none.
    """
    reached = any(person.has(way) for person in part.people for way in WAYS)
    if item.locks.personal or (item.shows_recipient and reached):
        return [(person, Audience([person])) for person in part.people]
    return [(None, Audience(part.people))]


def _shared(
    execution_id: str,
    item: SlicedReport,
    audiences: Sequence[tuple[Person | None, Audience]],
    *,
    selections: tuple[Selection, ...],
    value: str | None,
    conditions: tuple[Condition, ...],
) -> Iterator[Draft]:
    for owner, audience in audiences:
        draft = Draft(
            unit_id=unit_id(execution_id, fingerprint(item, selections, value, owner)),
            item=item,
            selections=selections,
            iteration_value=value,
            conditions=conditions,
            mailed=audience.readers("email", value),
            shown=audience.readers("hub", value),
            owner=owner,
        )
        # A file for one person that does not reach that person is not made for a storage alone.
        if owner is None or draft.mailed or draft.shown:
            yield draft


def _once(
    report: Report, entry: TaskReport, part: Slice, answers: Mapping[Question, Answer]
) -> Reason | None:
    for condition in once_conditions(entry):
        answer = answers.get(condition_question(report, part, condition))
        if isinstance(answer, NoAnswer):
            raise PlanProblemError(answer.reason.code, answer.reason.message, answer.reason.remedy)
        if not isinstance(answer, Verdict):
            raise _unanswered(report)
        if not answer.holds:
            return unmet(condition.name, answer.detail)
    return None


def unmet(name: str, detail: str) -> Reason:
    """Return the reason of a report that is skipped because a condition is not met."""
    return Reason(
        code="condition-not-met",
        message=f"the condition {name!r} is not met: {detail}",
        remedy="none needed; change the condition if the report should have been made",
    )


def _values(report: Report, part: Slice, answers: Mapping[Question, Answer]) -> tuple[FieldValue, ...]:
    question = values_question(report, part)
    answer = answers.get(question)
    if isinstance(answer, NoAnswer):
        raise PlanProblemError(answer.reason.code, answer.reason.message, answer.reason.remedy)
    if not isinstance(answer, Values):
        raise _unanswered(report)
    unique = _by_text(answer.values)
    if not answer.complete or len(unique) >= question.limit:
        raise PlanProblemError(
            "iteration-too-long",
            f"{question.field!r} has more values than the report's limit of {question.limit - 1}",
            "add a filter, or raise the limit of the report's iteration",
        )
    if not unique:
        raise PlanProblemError(
            "iteration-empty",
            f"{question.field!r} has no values under the filters, so there are no files to make",
            "check the filters and whether the app holds data",
        )
    return unique


def _by_text(values: Iterable[FieldValue]) -> tuple[FieldValue, ...]:
    """Return values once a text; a text that stands for several numbers stands for all of them."""
    found: dict[str, FieldValue] = {}
    for value in values:
        before = found.setdefault(value.text, value)
        if before.number != value.number:
            found[value.text] = FieldValue(value.text)
    return tuple(found.values())


def _unanswered(report: Report) -> PlanProblemError:
    return PlanProblemError(
        "not-asked",
        f"Qlik was not asked about the report {report.name!r}",
        "report this fault of the planner",
    )


def _for_report(problem: PlanProblemError, report: Report, part: Slice) -> Reason:
    names = ", ".join(person.recipient.name for person in part.people[:5])
    several = part.selections and names
    message = f"the report {report.name!r}{f' for {names}' if several else ''} cannot be made: "
    return problem.reason.worded(message + problem.reason.message)
