"""Rows wait for their units, whatever order the events come in.

Each use case only adds facts: rows that wait for all their units, outcomes of units, and strikes of settled
units. Whoever comes second finds what the first one left. A crash between two steps is mended by the
message's redelivery, which repeats all of them.
"""

from collections.abc import Callable
from datetime import timedelta

import structlog

from contracts.events import Disposition, ExecutionPlanned, UnitEvent
from distributor.domain.results import Settle, failed, skipped
from distributor.domain.rows import Deliver, Fail, Skip, State, judge, rows_of, settled_unit
from distributor.ports import Plans, WaitingRows
from runtime.clock import Clock

log = structlog.get_logger(__name__)

Wake = Callable[[], None]
"""Tells the pools that rows are ready; they would find them by themselves a little later."""


def _asleep() -> None:
    """Wake nobody."""


async def plan_deliveries(
    event: ExecutionPlanned,
    *,
    plans: Plans,
    rows: WaitingRows,
    clock: Clock,
    margin: timedelta,
    wake: Wake = _asleep,
) -> None:
    """Write every delivery of a plan into the ledger. Raises Permanent when the plan cannot be read."""
    if event.disposition is not Disposition.PLANNED or event.plan is None:
        return
    plan = await plans.load(event.plan)
    await rows.add(rows_of(plan, margin=margin))
    # Units may have settled before their rows were there to hear of it.
    settled = await rows.outcomes(event.execution_id)
    if settled:
        await rows.strike(event.execution_id, settled.keys())
    await advance(event.execution_id, rows=rows, clock=clock, wake=wake)


async def settle_unit(event: UnitEvent, *, rows: WaitingRows, clock: Clock, wake: Wake = _asleep) -> None:
    """Keep the outcome of a unit and take it off what rows wait for."""
    unit = settled_unit(event)
    # Recorded before it is struck off: rows that are written in between look for it here.
    await rows.record(unit)
    await rows.strike(unit.execution_id, (unit.id,))
    await advance(unit.execution_id, rows=rows, clock=clock, wake=wake)


async def advance(execution_id: str | None, *, rows: WaitingRows, clock: Clock, wake: Wake = _asleep) -> int:
    """Move rows that wait for nothing any more, of one execution or of all; return how many became ready."""
    ready = 0
    async for row in rows.complete(execution_id):
        outcomes = await rows.outcomes(row.execution_id, row.waits_for)
        if not outcomes.keys() >= set(row.waits_for):
            # Struck off without an outcome: nothing writes that, and one such row may not hold up the others.
            log.error("outcomes are missing", delivery_id=row.id, execution_id=row.execution_id)
            continue
        match judge(row, outcomes):
            case Deliver():
                ready += await rows.make_ready(row.id, clock.now())
            case Skip(reason=reason):
                decision = Settle(State.SKIPPED, skipped(row, reason))
                await rows.close(row.id, decision=decision, now=clock.now())
            case Fail(reason=reason):
                decision = Settle(State.FAILED, failed(row, reason, attempts=0))
                await rows.close(row.id, decision=decision, now=clock.now())
    if ready:
        wake()
    return ready
