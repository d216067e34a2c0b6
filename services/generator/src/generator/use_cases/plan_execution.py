"""Plan an execution and ask for its reports."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from contracts.base import ObjectRef, Reason
from contracts.events import ExecutionPlanned
from contracts.plan import ExecutionPlan
from generator.domain.admission import Admitted, Fail, admit, deadline, late
from generator.domain.outcomes import not_planned, planned, requests
from generator.domain.passwords import Vault
from generator.domain.patience import next_attempt
from generator.domain.planning import Sources, plan
from generator.domain.request import Firing, Limits, TaskSetup, prepare, questions
from generator.ports import Busy, Claim, Configuration, Executions, Plans, Questions, Settled
from runtime.bus import Publisher
from runtime.clock import Clock
from runtime.errors import Permanent, Transient
from runtime.rounds import Rounds
from runtime.telemetry import execution_span

log = structlog.get_logger(__name__)

_REPUBLISH = Rounds("plan republish")

# So many unconfirmed events at a time: enough for the producer to batch, few enough to bound memory.
_BATCH = 200


@dataclass(frozen=True, kw_only=True)
class PlanExecution:
    """Claims an execution, plans it once, and publishes the outcome as often as it is asked."""

    executions: Executions
    configuration: Configuration
    qlik: Questions
    plans: Plans
    publisher: Publisher
    clock: Clock
    limits: Limits
    vault: Vault
    budget: timedelta
    """How long one attempt may take; it has to end well before Kafka takes the consumer for dead."""

    async def __call__(self, firing: Firing) -> None:
        """Record and plan the execution, unless it is planned, and publish what came of it.

        Returns when the message is no longer needed: the execution is planned and published, or its row says
        when it is tried again. Raises Transient while neither can be recorded.
        """
        with execution_span("plan", firing.execution_id, task_id=firing.task_id):
            found = await self.executions.claim(firing)
            if isinstance(found, Settled):
                await self._publish(found)
            elif not isinstance(found, Busy):
                await self._work(firing, found)

    async def resume(self) -> bool:
        """Plan one execution that was put off or left behind; False if there is none."""
        if (found := await self.executions.due()) is None:
            return False
        claim, firing = found
        with execution_span("plan", firing.execution_id, task_id=firing.task_id):
            await self._work(firing, claim)
        return True

    async def republish(self, patience: timedelta) -> None:
        """Publish what was planned so long ago and perhaps never published, as after a crash."""
        for settled in await self.executions.unpublished(self.clock.now() - patience):
            with (
                _REPUBLISH.isolated(execution_id=settled.event.execution_id),
                execution_span("plan again", settled.event.execution_id),
            ):
                await self._publish(settled)

    async def _work(self, firing: Firing, claim: Claim) -> None:
        # The first sight counts for the deadline: a message that comes again must not move it.
        firing = replace(firing, fired_at=claim.first_seen)
        async with self.executions.kept(claim):
            setup = TaskSetup(None, None)
            try:
                setup = await self.configuration.setup(firing.task_id)
                event = await self._decide(firing, setup)
            except Transient as error:
                known = setup.version is not None
                deadline_at = deadline(firing, setup, self.limits) if known else None
                await self._postpone(claim, deadline_at, str(error))
                return
            at = self.clock.now()
            if not await self.executions.settle(claim, event, at):
                log.warning("planning was taken over", execution_id=firing.execution_id)
                return
        log.info(
            "execution planned",
            execution_id=firing.execution_id,
            disposition=event.disposition.value,
            reason=event.reason.code if event.reason else None,
            units=event.unit_count,
            deliveries=event.delivery_count,
        )
        await self._publish(Settled(event, at))

    async def _postpone(self, claim: Claim, deadline_at: datetime | None, message: str) -> None:
        until = next_attempt(claim.attempt, self.clock.now(), deadline_at)
        log.warning("planning put off", execution_id=claim.id, until=until.isoformat(), error=message[:500])
        reason = Reason(code="out-of-order", message=message[:4000], remedy="none needed; it is tried again")
        await self.executions.postpone(claim, until, reason)

    async def _decide(self, firing: Firing, setup: TaskSetup) -> ExecutionPlanned:
        deadline_at = deadline(firing, setup, self.limits)
        admission = admit(firing, setup, now=self.clock.now(), deadline_at=deadline_at)
        if isinstance(admission, Admitted):
            made = await self._planned_in_time(firing, admission, deadline_at)
            if not isinstance(made, Fail):
                return planned(*made)
            admission = made
        return not_planned(firing, setup, admission, deadline_at)

    async def _planned_in_time(
        self, firing: Firing, admission: Admitted, deadline_at: datetime
    ) -> tuple[ExecutionPlan, ObjectRef] | Fail:
        left = min(self.budget, deadline_at - self.clock.now())
        try:
            async with asyncio.timeout(left.total_seconds()):
                return await self._plan(firing, admission, deadline_at)
        except Permanent as error:
            return Fail(error.reason)
        except (Transient, TimeoutError) as error:
            if self.clock.now() >= deadline_at:
                detail = str(error) or f"planning took longer than {left}"
                return Fail(late(deadline_at, detail))
            if isinstance(error, TimeoutError):
                raise Transient(f"planning took longer than {self.budget}") from error
            raise

    async def _plan(
        self, firing: Firing, admission: Admitted, deadline_at: datetime
    ) -> tuple[ExecutionPlan, ObjectRef] | Fail:
        catalog = await self.configuration.catalog(admission.task)
        only = firing.options.recipients if firing.options else None
        request = prepare(admission.task, catalog, self.vault, only=only)
        answers = await self.qlik.answers(questions(request))
        sources = Sources(firing, admission.task, catalog, self.clock.now(), deadline_at, self.vault)
        # Twenty thousand files take seconds to plan, and heartbeats must go on meanwhile.
        made = await asyncio.to_thread(plan, sources, request, answers, self.limits)
        return made if isinstance(made, Fail) else (made, await self.plans.put(made))

    async def _publish(self, settled: Settled[ExecutionPlanned]) -> None:
        event, at = settled.event, settled.at
        await self.publisher.publish(event, occurred_at=at)
        if event.plan is not None:
            wanted = list(requests(await self.plans.load(event.plan), event.plan))
            for start in range(0, len(wanted), _BATCH):
                await self.publisher.publish_all(wanted[start : start + _BATCH], occurred_at=at)
        await self.executions.published(event.execution_id, self.clock.now())
