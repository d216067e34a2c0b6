"""What a check of a whole task asks and finds: its Qlik apps, its recipients, its storage spaces."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from config_api.domain.errors import Problem
from config_api.domain.findings import Finding, Severity
from contracts.configuration import (
    FilterSource,
    Group,
    Operator,
    Recipient,
    Scope,
    StorageSpace,
    TaskRecipient,
    TaskReport,
)

MOST_FINDINGS = 200
"""So many findings one check names."""

_UNARY = frozenset({Operator.IS_EMPTY, Operator.IS_NOT_EMPTY})


@dataclass(frozen=True, slots=True)
class AppQuestion:
    """Something a Qlik app has to know: a field by its name, or an expression."""

    place: str
    """Of the task, as problems name it: `reports.0.filters.1.field`."""
    kind: Literal["field", "expression"]
    text: str


@dataclass(frozen=True, slots=True)
class CheckedTask:
    """A task and everything that was found about it."""

    task_id: str
    version: int
    findings: tuple[Finding, ...]

    @property
    def in_order(self) -> bool:
        """Whether nothing is known to be wrong; warnings do not count."""
        return all(each.severity is not Severity.ERROR for each in self.findings)


@dataclass(frozen=True, slots=True)
class CheckedSpace:
    """A storage space and what a write, a read and a deletion in it found."""

    space: StorageSpace
    findings: tuple[Finding, ...]

    @property
    def in_order(self) -> bool:
        """Whether a file could be written, read and deleted."""
        return not self.findings


def questions(report: TaskReport, index: int) -> Iterator[AppQuestion]:
    """Yield what the app of a task's report has to know: fields of filters, expressions of conditions."""
    for number, each in enumerate(report.filters):
        yield AppQuestion(f"reports.{index}.filters.{number}.field", "field", each.field)
    for number, condition in enumerate(report.conditions):
        for position, rule in enumerate(condition.rules):
            place = f"reports.{index}.conditions.{number}.rules.{position}"
            yield AppQuestion(f"{place}.left", "expression", rule.left)
            if rule.operator not in _UNARY and rule.right.startswith("="):
                yield AppQuestion(f"{place}.right", "expression", rule.right)


def of_report(index: int, report_id: str, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings about a report as findings of the task that uses it."""
    return [
        Finding(
            each.severity,
            Problem(
                f"reports.{index}.report_id",
                f"The report {report_id!r} has a problem at {each.problem.field}: {each.problem.message}",
                each.problem.remedy,
            ),
        )
        for each in findings
    ]


def people(
    entries: Sequence[TaskRecipient],
    reports: Sequence[TaskReport],
    recipients: Mapping[str, Recipient],
    groups: Mapping[str, Group],
) -> Iterator[Finding]:
    """Yield why somebody whom the task names would not get what the task promises."""
    attributes = sorted(
        {
            each.attribute
            for report in reports
            for each in report.filters
            if each.source is FilterSource.RECIPIENT_ATTRIBUTE and each.attribute
        }
    )
    for index, entry in enumerate(entries):
        field = f"recipients.{index}"
        members = _members(entry, groups)
        if entry.group_id is not None and not members:
            yield _warning(
                field, f"The group {entry.group_id!r} has no members.", "Add members, or remove the group."
            )
        for recipient_id in members:
            found = recipients.get(recipient_id)
            if found is None:
                yield _error(
                    field,
                    f"The recipient {recipient_id!r} does not exist.",
                    "Remove the recipient, or create it again.",
                )
            else:
                yield from _person(field, entry, found, attributes)


def _members(entry: TaskRecipient, groups: Mapping[str, Group]) -> tuple[str, ...]:
    if entry.recipient_id is not None:
        return (entry.recipient_id,)
    group = groups.get(entry.group_id or "")
    return tuple(dict.fromkeys(group.members)) if group else ()


def _person(
    field: str, entry: TaskRecipient, person: Recipient, attributes: Sequence[str]
) -> Iterator[Finding]:
    who = f"{person.name} ({person.id})"
    if not person.enabled:
        yield _warning(
            field, f"{who} is disabled and receives nothing.", "Enable the recipient, or remove it."
        )
        return
    if entry.email and not person.email:
        yield _error(
            field,
            f"{who} has no email address and cannot receive a mail.",
            "Enter the address, or set email to false for this recipient.",
        )
    wanted = list(attributes)
    if entry.scope is Scope.OWN and entry.scope_attribute:
        wanted.append(entry.scope_attribute)
    for name in dict.fromkeys(wanted):
        if not person.attributes.get(name):
            yield _error(
                field,
                f"{who} has no value for the attribute {name!r}, which decides what this person receives.",
                f"Enter the attribute {name!r} of the recipient.",
            )


def _error(field: str, message: str, remedy: str) -> Finding:
    return Finding(Severity.ERROR, Problem(field, message, remedy))


def _warning(field: str, message: str, remedy: str) -> Finding:
    return Finding(Severity.WARNING, Problem(field, message, remedy))
