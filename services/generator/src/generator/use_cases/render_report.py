"""Render one unit of a plan."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import structlog

from contracts.base import Reason
from contracts.events import ReportGenerated, ReportRequested
from generator.domain.admission import late
from generator.domain.outcomes import about, failed, find, generated, skipped
from generator.domain.patience import next_attempt
from generator.ports import Busy, Claim, Plans, Settled, SettledUnit, Units, Unmet
from generator.use_cases.making import MakeFile
from runtime.bus import Publisher
from runtime.clock import Clock
from runtime.errors import Permanent, Transient
from runtime.rounds import Rounds
from runtime.telemetry import execution_span

log = structlog.get_logger(__name__)

_REPUBLISH = Rounds("render republish")

# A fault of the program rarely mends itself.
_ATTEMPTS_OF_A_BUG = 3


@dataclass(frozen=True, kw_only=True)
class RenderReport:
    """Claims a unit, makes its file, and publishes how it settled as often as it is asked."""

    units: Units
    plans: Plans
    make: MakeFile
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
            with (
                _REPUBLISH.isolated(unit_id=settled.event.unit_id),
                execution_span("render again", settled.event.execution_id),
            ):
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
        plan = await self.plans.load(request.plan)
        if (found := find(plan, request.unit_id)) is None:
            raise Permanent("unit-unknown", f"the plan holds no unit {request.unit_id}", "run the task again")
        unit, report = found
        if unit.skip is not None:
            return skipped(request, unit.skip)
        meta = about(plan, report, unit)
        made = await self.make(report, unit, meta, folder=f"artifacts/{request.execution_id}/{unit.id}")
        if isinstance(made, Unmet):
            return skipped(request, made.reason)
        return generated(
            request,
            made.artifact,
            selections=made.selections,
            reloaded_at=made.reloaded_at,
            timings=made.timings,
            warnings=made.warnings,
        )
