"""What a preview shows: a report under its own filters, narrowed by whoever asks. Pure."""

from dataclasses import dataclass

from contracts.base import Reason, Selection
from contracts.configuration import OutputFormat, Recipient, Report, Template
from contracts.events import PreviewRequested, PreviewSettled
from contracts.plan import PlannedReport, PlannedUnit
from generator.domain.request import AskValues
from generator.domain.selections import (
    FieldValue,
    PlanProblemError,
    canonical,
    for_filters,
    with_iteration,
)
from rendering.file_names import safe_name


@dataclass(frozen=True, slots=True)
class Sources:
    """What a preview is made of, as it is configured now; None is what does not exist."""

    report: Report | None
    template: Template | None
    recipient: Recipient | None


@dataclass(frozen=True, slots=True)
class Sketch:
    """A report under the filters of a preview, its iteration value still open."""

    report: Report
    planned: PlannedReport
    selections: tuple[Selection, ...]

    @property
    def question(self) -> AskValues | None:
        """What has to be asked for the iteration value; None for a report that makes one file."""
        if self.report.iteration is None:
            return None
        return AskValues(
            self.report.connection_id, self.report.app_id, self.selections, self.report.iteration.field, 1
        )


def sketch(request: PreviewRequested, sources: Sources) -> Sketch:
    """Return what is to be shown.

    Raises PlanProblemError when something does not exist, or the filters leave nothing to show.
    """
    report = sources.report
    if report is None:
        raise PlanProblemError(
            "report-unknown", f"there is no report {request.report_id!r}", "save the report first"
        )
    if report.template_id and sources.template is None:
        raise PlanProblemError(
            "template-unknown",
            f"the report {report.name!r} names the template {report.template_id!r}, which does not exist",
            "choose another template for the report",
        )
    if request.recipient_id is not None and sources.recipient is None:
        raise PlanProblemError(
            "recipient-unknown",
            f"there is no recipient {request.recipient_id!r}",
            "take an id that GET /api/v1/recipients lists",
        )
    attributes = sources.recipient.attributes if sources.recipient else {}
    own = for_filters(report.filters, attributes)
    planned = PlannedReport(
        id="preview",
        report_id=report.id,
        name=report.name,
        format=OutputFormat(request.format),
        connection_id=report.connection_id,
        app_id=report.app_id,
        template_kind=sources.template.kind if sources.template else None,
        template=sources.template.file if sources.template else None,
        native=report.native,
        data=report.data,
        options=request.options,
        iteration_field=report.iteration.field if report.iteration else None,
    )
    return Sketch(report, planned, canonical([*own, *request.selections]))


def unit(request: PreviewRequested, found: Sketch, value: FieldValue | None) -> PlannedUnit:
    """Return the one file of a preview. Raises PlanProblemError when the filters exclude the value."""
    selections = found.selections
    if value is not None and found.report.iteration is not None:
        selections = with_iteration(selections, found.report.iteration.field, value)
    shown = f"{found.report.name} {value.text}" if value else found.report.name
    return PlannedUnit(
        id=request.preview_id,
        report="preview",
        file_name=safe_name(shown, extension=request.format),
        selections=selections,
        iteration_value=value.text if value else None,
    )


def refused(request: PreviewRequested, reason: Reason, name: str = "") -> PreviewSettled:
    """Return the event of a preview that could not be made."""
    return PreviewSettled(
        preview_id=request.preview_id,
        report_id=request.report_id,
        report_name=name,
        iteration_value=request.iteration_value,
        reason=reason,
    )
