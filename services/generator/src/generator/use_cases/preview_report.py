"""Make the file of a preview: the same road as a unit's, but nothing is planned and nothing delivered."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import structlog

from contracts.base import Reason
from contracts.events import PreviewRequested, PreviewSettled
from generator.domain.admission import late
from generator.domain.previews import Sketch, Sources, refused, sketch, unit
from generator.domain.request import NoAnswer, Values
from generator.domain.selections import FieldValue, PlanProblemError
from generator.domain.wording import shown_filters
from generator.ports import PreviewSources, Questions, Unmet
from generator.use_cases.making import MakeFile
from rendering.model import Meta
from runtime.bus import Publisher
from runtime.clock import Clock
from runtime.errors import Permanent, Transient

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class PreviewReport:
    """Makes a preview and tells how it went.

    Somebody waits for it, so it is tried once: what is out of order now is told at once. A message that comes
    again makes it again; the event of the second time has the id of the first.
    """

    sources: PreviewSources
    qlik: Questions
    make: MakeFile
    publisher: Publisher
    clock: Clock
    budget: timedelta
    """How long it may take at most, whatever its deadline."""

    async def __call__(self, request: PreviewRequested) -> None:
        """Make the preview and publish what came of it. Raises Transient when that cannot be published."""
        settled = await self._settled(request)
        log.info(
            "preview settled",
            preview_id=request.preview_id,
            report_id=request.report_id,
            reason=settled.reason.code if settled.reason else None,
        )
        await self.publisher.publish(settled, occurred_at=self.clock.now())

    async def _settled(self, request: PreviewRequested) -> PreviewSettled:
        left = min(request.deadline_at - self.clock.now(), self.budget)
        if left <= timedelta(0):
            return refused(request, late(request.deadline_at))
        try:
            async with asyncio.timeout(left.total_seconds()):
                return await self._made(request)
        except PlanProblemError as problem:
            return refused(request, problem.reason)
        except Permanent as error:
            return refused(request, error.reason)
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits to hear of it
            return refused(request, _reason(error, left))

    async def _made(self, request: PreviewRequested) -> PreviewSettled:
        report = await self.sources.report(request.report_id)
        recipients = await self.sources.recipients([request.recipient_id] if request.recipient_id else [])
        template_id = report.template_id if report else None
        template = await self.sources.template(template_id) if template_id else None
        recipient = recipients.get(request.recipient_id or "")
        found = sketch(request, Sources(report, template, recipient))
        value = await self._value(request, found)
        planned = unit(request, found, value)
        meta = Meta(
            now=self.clock.now(),
            report=found.report.name,
            format=found.planned.format.value,
            task="Preview",
            task_id="preview",
            execution_id=request.preview_id,
            iteration=planned.iteration_value or "",
            iteration_field=found.planned.iteration_field or "",
            filters=shown_filters(planned.selections, found.planned.iteration_field),
            recipient=recipient.name if recipient else "",
            email=(recipient.email or "") if recipient else "",
            attributes=recipient.attributes if recipient else {},
        )
        made = await self.make(found.planned, planned, meta, folder=f"previews/{request.preview_id}")
        if isinstance(made, Unmet):
            return refused(request, made.reason, found.report.name)
        return PreviewSettled(
            preview_id=request.preview_id,
            report_id=request.report_id,
            report_name=found.report.name,
            iteration_value=planned.iteration_value,
            artifact=made.artifact,
            selections=made.selections,
            app_reloaded_at=made.reloaded_at,
            warnings=made.warnings,
        )

    async def _value(self, request: PreviewRequested, found: Sketch) -> FieldValue | None:
        question = found.question
        if question is None:
            return None
        if request.iteration_value is not None:
            return FieldValue(request.iteration_value)
        answer = (await self.qlik.answers([question]))[question]
        if isinstance(answer, NoAnswer):
            raise PlanProblemError(answer.reason.code, answer.reason.message, answer.reason.remedy)
        if not isinstance(answer, Values) or not answer.values:
            raise PlanProblemError(
                "iteration-empty",
                f"{question.field!r} has no values under the filters, so there is nothing to show",
                "check the filters and whether the app holds data",
            )
        return answer.values[0]


def _reason(error: Exception, budget: timedelta) -> Reason:
    if isinstance(error, Transient):
        remedy = "see whether Qlik and the object store are in order, then ask again"
        return Reason(code="out-of-order", message=str(error), remedy=remedy)
    if isinstance(error, TimeoutError):
        message = f"the preview took longer than {budget.total_seconds():.0f} s"
        return Reason(code="too-slow", message=message, remedy="narrow it with a filter")
    log.error("preview failed", exc_info=error)
    return Reason(
        code="internal-error",
        message=f"an unexpected error occurred: {type(error).__name__}",
        remedy="look for this preview in the log of the generator and report the fault",
    )
