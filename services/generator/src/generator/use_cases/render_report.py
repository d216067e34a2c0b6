"""Render one unit of a plan."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256

import structlog

from contracts.base import Artifact, ObjectRef, Reason
from contracts.events import RenderTimings, ReportGenerated, ReportRequested
from contracts.plan import ExecutionPlan, PlannedReport, PlannedUnit
from generator.domain.admission import late
from generator.domain.outcomes import artifact_key, failed, find, generated, moment, skipped
from generator.domain.patience import next_attempt
from generator.ports import (
    Busy,
    Claim,
    DataReader,
    Files,
    Plans,
    Reading,
    Renderer,
    RenderJob,
    Settled,
    SettledUnit,
    Units,
    Unmet,
)
from rendering.model import Meta, OutputFormat, RenderData, Rendered, TemplateKind
from runtime.bus import Publisher
from runtime.clock import Clock
from runtime.errors import Permanent, Transient
from runtime.telemetry import execution_span, span

log = structlog.get_logger(__name__)

# A fault of the program rarely mends itself.
_ATTEMPTS_OF_A_BUG = 3


@dataclass(frozen=True, kw_only=True)
class RenderReport:
    """Claims a unit, makes its file, and publishes how it settled as often as it is asked."""

    units: Units
    plans: Plans
    reader: DataReader
    files: Files
    renderer: Renderer
    publisher: Publisher
    clock: Clock
    attempts: int
    """How often a unit is begun before it fails for good; crashes of a whole process count."""
    budget: timedelta
    """How long one attempt may take; it has to end well before Kafka takes the consumer for dead."""

    async def __call__(self, request: ReportRequested) -> None:
        """Record the unit and make its file, unless it has settled, and publish what came of it.

        Returns when the message is no longer needed: the unit has settled and is published, or its row says
        when it is tried again. Raises Transient while neither can be recorded.
        """
        with execution_span("render", request.execution_id, unit_id=request.unit_id):
            found = await self.units.claim(request)
            if isinstance(found, Settled):
                await self._publish(found)
            elif not isinstance(found, Busy):
                await self._work(request, found)

    async def resume(self) -> bool:
        """Make one unit that was put off or left behind; False if there is none."""
        if (found := await self.units.due()) is None:
            return False
        claim, request = found
        with execution_span("render", request.execution_id, unit_id=request.unit_id):
            await self._work(request, claim)
        return True

    async def republish(self, patience: timedelta) -> None:
        """Publish what settled so long ago and was perhaps never published, as after a crash."""
        for settled in await self.units.unpublished(self.clock.now() - patience):
            with execution_span("render again", settled.event.execution_id):
                await self._publish(settled)

    async def _publish(self, settled: Settled[SettledUnit]) -> None:
        await self.publisher.publish(settled.event, occurred_at=settled.at)
        await self.units.published(settled.event.unit_id, self.clock.now())

    async def _work(self, request: ReportRequested, claim: Claim) -> None:
        async with self.units.kept(claim):
            event = await self._attempt(request, claim)
            if event is None:
                return
            at = self.clock.now()
            if not await self.units.settle(claim, event, at):
                log.warning("unit was taken over", unit_id=request.unit_id)
                return
        log.info(
            "unit settled",
            execution_id=request.execution_id,
            unit_id=request.unit_id,
            outcome=event.TYPE,
            reason=None if isinstance(event, ReportGenerated) else event.reason.code,
            attempt=claim.attempt,
        )
        await self._publish(Settled(event, at))

    async def _attempt(self, request: ReportRequested, claim: Claim) -> SettledUnit | None:
        """Return how the unit settled; None when it is put off."""
        left = request.deadline_at - self.clock.now()
        if left <= timedelta(0):
            return failed(request, late(request.deadline_at), claim.attempt)
        try:
            async with asyncio.timeout(min(left, self.budget).total_seconds()):
                return await self._make(request)
        except Permanent as error:
            return failed(request, error.reason, claim.attempt)
        except Exception as error:  # noqa: BLE001 - whatever it is, the unit has to settle in the end
            return await self._after(error, request, claim)

    async def _after(self, error: Exception, request: ReportRequested, claim: Claim) -> SettledUnit | None:
        """Settle as failed when there is no further attempt, else put the unit off."""
        reason, now = self._reason(error), self.clock.now()
        if now >= request.deadline_at:
            return failed(request, late(request.deadline_at, reason.message), claim.attempt)
        unexpected = reason.code == "internal-error"
        if unexpected:
            log.error("rendering failed", unit_id=request.unit_id, attempt=claim.attempt, exc_info=error)
        if claim.attempt >= (min(self.attempts, _ATTEMPTS_OF_A_BUG) if unexpected else self.attempts):
            return failed(request, reason, claim.attempt)
        until = next_attempt(claim.attempt, now, request.deadline_at)
        log.warning(
            "unit put off", unit_id=request.unit_id, until=until.isoformat(), error=reason.message[:500]
        )
        await self.units.postpone(claim, until, reason)
        return None

    def _reason(self, error: Exception) -> Reason:
        if isinstance(error, Transient):
            return Reason(
                code="out-of-order",
                message=f"{error}; tried {self.attempts} times at most"[:4000],
                remedy="see whether Qlik and the object store are in order, then run the task again",
            )
        if isinstance(error, TimeoutError):
            return Reason(
                code="too-slow",
                message=f"reading and rendering took longer than {self.budget.total_seconds():.0f} s",
                remedy="make the report smaller, filter it, or raise the generator's unit budget",
            )
        # The type only: the text of an unexpected error may hold data or secrets.
        return Reason(
            code="internal-error",
            message=f"an unexpected error occurred: {type(error).__name__}",
            remedy="look for this unit in the log of the generator and report the fault",
        )

    async def _make(self, request: ReportRequested) -> SettledUnit:
        plan = await self.plans.get(request.plan)
        if (found := find(plan, request.unit_id)) is None:
            raise Permanent("unit-unknown", f"the plan holds no unit {request.unit_id}", "run the task again")
        unit, report = found
        if unit.skip is not None:
            return skipped(request, unit.skip)
        watch = _Watch(self.clock)
        with watch.step("qlik"):
            reading = await self.reader.read(report, unit)
        if isinstance(reading, Unmet):
            return skipped(request, reading.reason)
        with watch.step("render"):
            file = await self._render(plan, report, unit, reading)
        with watch.step("store"):
            artifact = await self._keep(request, unit, file)
        return generated(
            request,
            artifact,
            selections=reading.selections,
            reloaded_at=reading.reloaded_at,
            timings=RenderTimings(**watch.seconds),
            warnings=(*reading.warnings, *_warnings(file)),
        )

    async def _render(
        self, plan: ExecutionPlan, report: PlannedReport, unit: PlannedUnit, reading: Reading
    ) -> Rendered:
        # No recipient: people who may see the same data share the file.
        meta = Meta(
            now=moment(plan), report=report.name, task=plan.task_name, iteration=unit.iteration_value or ""
        )
        template = await self.files.template(report.template) if report.template else b""
        try:
            data = RenderData(meta=meta, values=reading.values, tables=reading.tables, images=reading.images)
        except ValueError as error:
            raise Permanent("report-data-wrong", str(error), "rename the data item in the report") from error
        return await self.renderer.render(
            RenderJob(
                kind=TemplateKind(report.template_kind.value) if report.template_kind else TemplateKind.TABLE,
                template=template,
                template_sha256=report.template.sha256 if report.template else "",
                data=data,
                output=OutputFormat(report.format.value),
                options=reading.options,
            )
        )

    async def _keep(self, request: ReportRequested, unit: PlannedUnit, file: Rendered) -> Artifact:
        key = artifact_key(request, unit.file_name, sha256(file.content).hexdigest())
        ref: ObjectRef = await self.files.keep(key, file.content, file.content_type)
        return Artifact(**ref.model_dump(), file_name=unit.file_name)


@dataclass(slots=True)
class _Watch:
    """Measures the steps of a unit, each in a span of its own."""

    clock: Clock
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = self.clock.now()
        with span(name):
            yield
        self.seconds[name] = max(0.0, (self.clock.now() - began).total_seconds())


def _warnings(file: Rendered) -> tuple[Reason, ...]:
    return tuple(Reason(code="rendering", message=text[:4000]) for text in file.warnings)
