"""What an object refers to, and where in it."""

from collections.abc import Iterator
from dataclasses import dataclass

from config_api.domain.drafts import Draft, GroupDraft, ReportDraft, TaskDraft
from config_api.domain.errors import Problem
from config_api.domain.kinds import KINDS
from contracts.triggers import ReloadTrigger, ScheduleTrigger


@dataclass(frozen=True, slots=True)
class Reference:
    """One object named by another."""

    kind: str
    id: str
    field: str

    @property
    def key(self) -> str:
        """Return `kind:id`, as it is indexed to answer who refers to an object."""
        return f"{self.kind}:{self.id}"


def references(draft: Draft) -> tuple[Reference, ...]:
    """Return everything the draft refers to, in the order of its fields."""
    if isinstance(draft, GroupDraft):
        return tuple(
            Reference("recipient", member, f"members.{index}") for index, member in enumerate(draft.members)
        )
    if isinstance(draft, ReportDraft):
        return tuple(_of_report(draft))
    if isinstance(draft, TaskDraft):
        return tuple(_of_task(draft))
    return ()


def _of_report(draft: ReportDraft) -> Iterator[Reference]:
    yield Reference("connection", draft.connection_id, "connection_id")
    if draft.template_id is not None:
        yield Reference("template", draft.template_id, "template_id")


def _of_task(draft: TaskDraft) -> Iterator[Reference]:
    for index, report in enumerate(draft.reports):
        yield Reference("report", report.report_id, f"reports.{index}.report_id")
        for place, target in enumerate(report.storage):
            yield Reference("storage-space", target.storage_id, f"reports.{index}.storage.{place}.storage_id")
    for index, recipient in enumerate(draft.recipients):
        if recipient.recipient_id is not None:
            yield Reference("recipient", recipient.recipient_id, f"recipients.{index}.recipient_id")
        if recipient.group_id is not None:
            yield Reference("group", recipient.group_id, f"recipients.{index}.group_id")
    for index, trigger in enumerate(draft.triggers):
        if isinstance(trigger, ReloadTrigger):
            yield Reference("connection", trigger.connection_id, f"triggers.{index}.connection_id")
        elif not isinstance(trigger, ScheduleTrigger):
            for place, app in enumerate(trigger.apps):
                yield Reference(
                    "connection", app.connection_id, f"triggers.{index}.apps.{place}.connection_id"
                )


def unknown(reference: Reference) -> Problem:
    """Return the problem of a reference to nothing."""
    path = KINDS[reference.kind].path
    return Problem(
        field=reference.field,
        message=f"there is no {reference.kind} {reference.id!r}",
        remedy=f"create it first, or take an id that GET /api/v1/{path} lists",
    )
