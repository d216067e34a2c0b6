"""What no event and no worker finishes: rows past their time, and rows left behind while transmitting."""

from datetime import timedelta

from distributor.domain.results import Settle, after_abandoned, given_up
from distributor.ports import AttemptNote, ClaimedRows, StrayRows, WaitingRows
from runtime.clock import Clock
from runtime.rounds import Rounds

_ROUNDS = Rounds("sweep")
_ABANDONED = "the process that handed the mail over stopped before it wrote down the answer"


async def give_up_overdue(*, rows: WaitingRows, strays: StrayRows, clock: Clock) -> int:
    """Settle every row whose time is over and that nobody works on; return how many."""
    count = 0
    now = clock.now()
    async for stray in strays.past_time(now):
        with _ROUNDS.isolated(delivery_id=stray.row.id):
            decision = given_up(stray.row, attempts=stray.attempts, last=stray.last, waiting=stray.waiting)
            count += await rows.close(stray.row.id, decision=decision, now=now)
    return count


async def resolve_abandoned(
    *, rows: ClaimedRows, strays: StrayRows, clock: Clock, grace: timedelta = timedelta(0)
) -> int:
    """Settle as unknown, or send again where the task allows it, every mail that was left behind.

    Between the mark in the ledger and the answer of the mail server a worker died or lost its lease. Whether
    the server took the mail cannot be found out from here. A worker that was only cut off from the store
    gets `grace` after the end of its lease to write its answer; the ledger lets only one of the two write.
    """
    count = 0
    now = clock.now()
    async for claim in strays.abandoned(now - grace):
        with _ROUNDS.isolated(delivery_id=claim.row.id):
            note = AttemptNote(claim.attempt, now, now, "unknown", _ABANDONED)
            decision = after_abandoned(claim.row, _ABANDONED, attempt=claim.attempt, now=now)
            if isinstance(decision, Settle):
                count += await rows.settle(claim, state=decision.state, event=decision.event, note=note)
            else:
                count += await rows.release(claim, at=decision.at, row=decision.row, note=note)
    return count
