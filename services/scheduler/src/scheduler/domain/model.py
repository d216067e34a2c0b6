"""The words of scheduling: occurrence, decision, cursor."""

from dataclasses import dataclass
from datetime import datetime

from contracts.base import Reason


@dataclass(frozen=True, slots=True)
class Request:
    """An occurrence becomes an execution; `missed` is how many earlier ones it stands for."""

    due_at: datetime
    missed: int = 0
    warnings: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Skip:
    """An occurrence does not become an execution; `missed` is how many earlier ones this record covers."""

    due_at: datetime
    reason: Reason
    missed: int = 0


Decision = Request | Skip


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a trigger was looked at.

    Every occurrence up to `at` (UTC, inclusive) has its record. `rule` is a fingerprint of the rule the
    cursor was moved under, so that a changed rule is not applied to the past. `ahead` is set while there may
    be records of occurrences after `at`: a clock that ran ahead had moved the cursor up to there.
    """

    at: datetime
    rule: str
    ahead: datetime | None = None

    def moved(self, at: datetime) -> "Cursor":
        """Return the cursor at another moment, under the same rule."""
        return Cursor(at, self.rule, self.ahead if self.ahead is not None and at < self.ahead else None)


@dataclass(frozen=True, slots=True)
class Due:
    """What to record now, and where the cursor stands once it is recorded."""

    decisions: tuple[Decision, ...]
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class Patience:
    """How lateness is treated."""

    grace_s: float = 60.0
    """An occurrence this much late still counts as on time: the tick and a restart of a pod fit in."""
    max_records: int = 1_000
    """Missed occurrences with a record of their own; older ones share one record that counts them."""
    max_steps: int = 200_000
    """Occurrences looked at in one go; what is left comes with the next tick."""
    late_s: float = 60.0
    """How long the late decision of a window waits for sites that were not read since; a poll fits in."""


DEFAULT_PATIENCE = Patience()
