"""What one trigger fails with is its own: collected, written down at its task, and no reason to stop."""

from datetime import datetime

import structlog

from contracts.base import Reason
from contracts.schedules import TriggerProblem
from runtime.errors import Permanent, Transient
from runtime.rounds import ROUND_ITEM_FAILURES
from scheduler.domain.rules import InvalidRuleError
from scheduler.ports import TriggerProblems

log = structlog.get_logger(__name__)

# A server that is unavailable fails every trigger; trying all of them would take longer than a round may.
_UNAVAILABLE_IN_A_ROW = 3


class Findings:
    """The problems of one round of a loop over triggers."""

    def __init__(self, source: str, loop: str, now: datetime) -> None:
        """Take who finds them, the loop's name in metrics, and the time of the round."""
        self._source = source
        self._loop = loop
        self._now = now
        self._found: dict[tuple[str, str], TriggerProblem] = {}
        self._unavailable: Transient | None = None
        self._in_a_row = 0

    def went_well(self) -> None:
        """Note that a trigger was served."""
        self._in_a_row = 0

    def failed(self, task_id: str, trigger_id: str, error: Exception) -> None:
        """Note what a trigger failed with. Raises it when a server seems to be unavailable."""
        if isinstance(error, Transient):
            self._unavailable = self._unavailable or error
            self._in_a_row += 1
            if self._in_a_row >= _UNAVAILABLE_IN_A_ROW:
                raise error
            return
        self._in_a_row = 0
        ROUND_ITEM_FAILURES.labels(self._loop).inc()
        if isinstance(error, InvalidRuleError):
            reason = Reason(
                code="trigger-invalid",
                message=str(error)[:4000],
                remedy="Correct the trigger and save the task.",
            )
        elif isinstance(error, Permanent):
            reason = error.reason
        else:
            log.error("trigger failed", task_id=task_id, trigger_id=trigger_id, exc_info=error)
            reason = Reason(
                code="trigger-failed",
                message=f"The trigger could not be evaluated: {type(error).__name__}.",
                remedy="See the log of the scheduler, and report it. Other triggers are not affected.",
            )
        self.add(task_id, trigger_id, reason)

    def add(self, task_id: str, trigger_id: str, reason: Reason) -> None:
        """Note something that is wrong with a trigger, or with all triggers of a task."""
        self._found.setdefault(
            (task_id, trigger_id),
            TriggerProblem(
                task_id=task_id, trigger_id=trigger_id, source=self._source, reason=reason, since=self._now
            ),
        )

    async def finish(self, problems: TriggerProblems | None) -> None:
        """Write down what was found, log what is new, and raise Transient if the round was not complete."""
        found = list(self._found.values())
        if self._unavailable is not None:
            raise self._unavailable
        new = found if problems is None else await problems.replace(self._source, found)
        for each in new:
            log.error(
                "trigger has a problem",
                task_id=each.task_id,
                trigger_id=each.trigger_id,
                code=each.reason.code,
                reason=each.reason.message,
            )
