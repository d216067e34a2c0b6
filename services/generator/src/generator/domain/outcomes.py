"""How executions and units settle, as the events that say so."""

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from contracts.base import Artifact, ObjectRef, Reason, Selection
from contracts.events import (
    Disposition,
    ExecutionPlanned,
    RenderTimings,
    ReportFailed,
    ReportGenerated,
    ReportRequested,
    ReportSkipped,
)
from contracts.plan import ExecutionPlan, PlannedReport, PlannedUnit
from contracts.runs import RunOptions
from generator.domain.admission import Fail, Skip
from generator.domain.request import Firing, TaskSetup
from generator.domain.wording import shown_filters
from rendering.model import Meta


def planned(plan: ExecutionPlan, stored: ObjectRef) -> ExecutionPlanned:
    """Return the event of an execution with a plan."""
    return ExecutionPlanned(
        execution_id=plan.execution_id,
        task_id=plan.task_id,
        task_name=plan.task_name,
        task_version=plan.task_version,
        trigger=plan.trigger,
        disposition=Disposition.PLANNED,
        plan=stored,
        unit_count=len(plan.units),
        delivery_count=len(plan.deliveries),
        deadline_at=plan.deadline_at,
        test_mode=plan.test_address is not None,
        options=plan.options,
        problems=plan.problems,
    )


def not_planned(
    firing: Firing, setup: TaskSetup, ended: Skip | Fail, deadline_at: datetime
) -> ExecutionPlanned:
    """Return the event of an execution without a plan."""
    name = setup.version.name if setup.version else setup.head.name if setup.head else firing.task_id
    return ExecutionPlanned(
        execution_id=firing.execution_id,
        task_id=firing.task_id,
        task_name=name,
        task_version=setup.version.version if setup.version else 0,
        trigger=firing.trigger,
        disposition=Disposition.SKIPPED if isinstance(ended, Skip) else Disposition.FAILED,
        reason=ended.reason,
        deadline_at=deadline_at,
        test_mode=_in_test_mode(firing, setup),
        options=firing.options,
        problems=ended.problems if isinstance(ended, Fail) else (),
        delivery_count=ended.deliveries if isinstance(ended, Fail) else 0,
    )


def _in_test_mode(firing: Firing, setup: TaskSetup) -> bool:
    of_task = setup.version.test_mode if setup.version else None
    return (firing.options or RunOptions()).effective_test_mode(of_task) is not None


def requests(plan: ExecutionPlan, stored: ObjectRef) -> Iterator[ReportRequested]:
    """Yield what the renderers are asked for, in the plan's order."""
    reports = {report.id: report for report in plan.reports}
    for unit in plan.units:
        report = reports[unit.report]
        yield ReportRequested(
            execution_id=plan.execution_id,
            task_id=plan.task_id,
            task_name=plan.task_name,
            unit_id=unit.id,
            plan=stored,
            report_name=report.name,
            format=report.format.value,
            iteration_value=unit.iteration_value,
            deadline_at=plan.deadline_at,
        )


def find(plan: ExecutionPlan, unit_id: str) -> tuple[PlannedUnit, PlannedReport] | None:
    """Return a unit of a plan with its report, or None."""
    unit = next((each for each in plan.units if each.id == unit_id), None)
    report = next((each for each in plan.reports if unit is not None and each.id == unit.report), None)
    return None if unit is None or report is None else (unit, report)


def about(plan: ExecutionPlan, report: PlannedReport, unit: PlannedUnit) -> Meta:
    """Return what a template can show about the file itself. Now is when the run was due, in its zone."""
    reader = unit.recipient
    return Meta(
        now=plan.trigger.due_at.astimezone(ZoneInfo(plan.timezone)),
        report=report.name,
        format=report.format.value,
        task=plan.task_name,
        task_id=plan.task_id,
        execution_id=plan.execution_id,
        iteration=unit.iteration_value or "",
        iteration_field=report.iteration_field or "",
        filters=shown_filters(unit.selections, report.iteration_field),
        recipient=reader.name if reader else "",
        email=reader.email if reader else "",
        attributes=reader.attributes if reader else {},
    )


def generated(
    request: ReportRequested,
    artifact: Artifact,
    *,
    selections: tuple[Selection, ...],
    reloaded_at: datetime | None,
    timings: RenderTimings,
    warnings: tuple[Reason, ...] = (),
) -> ReportGenerated:
    """Return the event of a finished file."""
    return ReportGenerated(
        execution_id=request.execution_id,
        task_id=request.task_id,
        task_name=request.task_name,
        unit_id=request.unit_id,
        report_name=request.report_name,
        iteration_value=request.iteration_value,
        artifact=artifact,
        selections=selections,
        app_reloaded_at=reloaded_at,
        timings=timings,
        warnings=warnings,
    )


def skipped(request: ReportRequested, reason: Reason) -> ReportSkipped:
    """Return the event of a file that was left out on purpose."""
    return ReportSkipped(
        execution_id=request.execution_id,
        task_id=request.task_id,
        task_name=request.task_name,
        unit_id=request.unit_id,
        report_name=request.report_name,
        iteration_value=request.iteration_value,
        reason=reason,
    )


def failed(request: ReportRequested, reason: Reason, attempts: int) -> ReportFailed:
    """Return the event of a file that could not be made."""
    return ReportFailed(
        execution_id=request.execution_id,
        task_id=request.task_id,
        task_name=request.task_name,
        unit_id=request.unit_id,
        report_name=request.report_name,
        iteration_value=request.iteration_value,
        reason=reason,
        attempts=attempts,
    )
