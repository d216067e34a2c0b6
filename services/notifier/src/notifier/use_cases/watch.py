"""Watch executions, end each of them once, write their mails down."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from contracts.base import ObjectRef, Reason
from contracts.events import TaskCompleted
from contracts.plan import ExecutionPlan
from notifier.domain.letters import Audience, Letter, letters
from notifier.domain.model import Completion, Execution, Item, Planned, Triggered
from notifier.domain.outcome import Complete, Wait, decide
from notifier.domain.tasklog import task_log, time_zone
from notifier.ports import Executions, Logs, MailLedger, Plans, Tasks
from runtime.clock import Clock
from runtime.errors import Permanent, Transient
from runtime.rounds import ROUND_ITEM_FAILURES
from runtime.telemetry import execution_span

log = structlog.get_logger(__name__)

# Each round lost means that an item arrived in between; more than a few in a row means a flood of them, and
# the handler of the last one completes.
_ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Watches executions and ends each of them once."""

    executions: Executions
    plans: Plans
    logs: Logs
    tasks: Tasks
    mails: MailLedger
    clock: Clock
    provisional: timedelta = field(default=timedelta(hours=1))
    """How long an execution may take that no plan has given a deadline yet."""
    grace: timedelta = field(default=timedelta(seconds=10))

    async def triggered(self, execution_id: str, task_id: str, fact: Triggered) -> None:
        """Begin to watch an execution."""
        await self.executions.triggered(execution_id, task_id, fact, fact.at + self.provisional)

    async def planned(self, execution_id: str, task_id: str, fact: Planned, deadline_at: datetime) -> None:
        """Record what has to settle, and end the execution if it is all over already."""
        if not await self.executions.planned(execution_id, task_id, fact, deadline_at):
            log.warning("planned after the execution ended", execution_id=execution_id)
        await self.advance(execution_id)

    async def settled(self, item: Item) -> None:
        """Record a unit or delivery that settled, and end the execution if it was the last."""
        if not await self.executions.settled(item, item.at + self.provisional):
            log.warning("settled after the execution ended", execution_id=item.execution_id, item_id=item.id)
        execution = await self.executions.get(item.execution_id)
        if execution and execution.expected is not None and execution.seen >= execution.expected:
            await self.advance(item.execution_id)

    async def advance(self, execution_id: str) -> bool:
        """End an execution if it is over; True for the one caller who ended it."""
        for _ in range(_ROUNDS):
            execution = await self.executions.get(execution_id)
            if execution is None or execution.completion is not None:
                return False
            items = await self.executions.items(execution_id)
            result = decide(execution, items, self.clock.now(), grace=self.grace)
            if isinstance(result, Wait):
                return False
            with execution_span("complete execution", execution_id, outcome=result.outcome.value):
                completion = await self._completion(execution, items, result)
                event = _event(execution, result, completion)
                if await self.executions.complete(execution, completion, event):
                    log.info("execution ended", execution_id=execution_id, outcome=result.outcome.value)
                    await self._alone(self.announce, execution_id)
                    return True
        return False

    async def _completion(self, execution: Execution, items: Sequence[Item], result: Complete) -> Completion:
        now = self.clock.now()
        reasons = result.reasons
        ref: ObjectRef | None = None
        try:
            plan = await self._plan(execution)
            text = task_log(execution, items, result, completed_at=now, plan=plan)
            ref = await self.logs.store(execution.id, text)
        except Transient:
            # An execution has to end in time, with or without a log; before its deadline there is patience.
            if now < execution.deadline_at:
                raise
            reasons = (*reasons, _LOG_NOT_STORED)
        return Completion(at=now, outcome=result.outcome, reasons=reasons, overdue=result.overdue, log=ref)

    async def _plan(self, execution: Execution) -> ExecutionPlan | None:
        if execution.planned is None or execution.planned.plan is None:
            return None
        try:
            return await self.plans.load(execution.planned.plan)
        except Permanent as error:
            log.warning("plan cannot be read", execution_id=execution.id, reason=error.message)
            return None

    async def announce(self, execution_id: str) -> None:
        """Write the mails about an ended execution down, to be sent; again and again gives the same mails."""
        execution = await self.executions.get(execution_id)
        if execution is None or execution.completion is None:
            return
        try:
            audience, zone = await self._audience(execution)
        except Permanent as error:
            # The configuration it was to be read from does not fit; repeating the attempt cannot help.
            log.warning("nobody is told", execution_id=execution_id, reason=error.message)
            audience, zone = None, time_zone(execution, None)
        if audience is not None:
            mails = letters(execution, execution.completion, audience, zone)
            await self.mails.add([mail_row(each, execution.completion.at) for each in mails])
        await self.executions.announced(execution_id)

    async def _audience(self, execution: Execution) -> tuple[Audience | None, ZoneInfo]:
        """Return who is to be told: as the plan says, or, without one, as the task was configured."""
        plan = await self._plan(execution)
        zone = time_zone(execution, plan)
        if plan is not None:
            return Audience(plan.notification, plan.test_address), zone
        version = execution.planned.task_version if execution.planned else None
        audience = await self.tasks.audience(execution.task_id, version or None)
        if execution.triggered is None and execution.planned is None:
            # Whether the run was a test is not known, and a test may reach nobody but its own address.
            log.warning(
                "neither the trigger nor the plan is known; nobody is told", execution_id=execution.id
            )
            return None, zone
        options = execution.options
        if audience is not None and options is not None and options.test_mode is not None:
            audience = replace(audience, test_address=options.test_mode.address)
        test_mode = execution.planned is not None and execution.planned.test_mode
        if audience is not None and test_mode and audience.test_address is None:
            # The people named were never meant to hear of a test, so without its address nobody does.
            log.warning("no test address known; nobody is told", execution_id=execution.id)
            return None, zone
        return audience, zone

    async def sweep(self) -> int:
        """End what is overdue and write down mails that a crash left out; return how many ended."""
        ended = 0
        async for execution_id in self.executions.overdue(self.clock.now() - self.grace):
            ended += await self._alone(self.advance, execution_id)
        async for execution_id in self.executions.unannounced():
            await self._alone(self.announce, execution_id)
        return ended

    async def _alone(self, step: Callable[[str], Awaitable[object]], execution_id: str) -> bool:
        """Run a step; one execution that cannot be ended now must not keep the others from it."""
        try:
            return bool(await step(execution_id))
        except (Transient, Permanent) as error:
            ROUND_ITEM_FAILURES.labels("deadlines").inc()
            log.warning("execution waits", execution_id=execution_id, reason=str(error)[:500])
            return False
        except Exception:
            ROUND_ITEM_FAILURES.labels("deadlines").inc()
            log.exception("execution left out of this round", execution_id=execution_id)
            return False


def mail_row(letter: Letter, now: datetime) -> dict[str, Any]:
    """Return a mail as a row of the ledger, due at once."""
    return {
        "_id": letter.id,
        "execution_id": letter.execution_id,
        "next_attempt_at": now,
        "written_at": now,
        "letter": letter.model_dump(mode="json"),
    }


def _event(execution: Execution, result: Complete, completion: Completion) -> TaskCompleted:
    return TaskCompleted(
        execution_id=execution.id,
        task_id=execution.task_id,
        task_name=execution.task_name,
        outcome=completion.outcome,
        reasons=completion.reasons,
        units=result.units,
        deliveries=result.deliveries,
        triggered_at=execution.triggered_at,
        completed_at=completion.at,
        log=completion.log,
    )


_LOG_NOT_STORED = Reason(
    code="log-not-stored",
    message="The task log could not be stored before the deadline.",
    remedy="Check the object store.",
)
