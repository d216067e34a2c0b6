"""What a check of a report found."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from config_api.domain.bindings import unbound
from config_api.domain.errors import Problem
from contracts.configuration import Report, Template


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """The report cannot be made like this."""
    WARNING = "warning"
    """Nobody can say now whether it can."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, with how bad it is."""

    severity: Severity
    problem: Problem


@dataclass(frozen=True, slots=True)
class Checked:
    """A report and everything that was found about it."""

    report: Report
    findings: tuple[Finding, ...]

    @property
    def in_order(self) -> bool:
        """Whether nothing is known to be wrong; warnings do not count."""
        return all(each.severity is not Severity.ERROR for each in self.findings)


def of_template(report: Report, template: Template | None) -> Sequence[Finding]:
    """Return what the template shows and the report does not bind."""
    if template is None:
        return ()
    if template.uses is None:
        problem = Problem(
            "template_id",
            f"the template {template.name!r} was uploaded before templates were looked into",
            "upload its file once more, so that its names can be compared with the report's data",
        )
        return (Finding(Severity.WARNING, problem),)
    return tuple(Finding(Severity.ERROR, problem) for problem in unbound(template.uses, report.data))
