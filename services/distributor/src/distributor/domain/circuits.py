"""Which servers are left alone for now, and how many deliveries may be under way to each."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(slots=True)
class _Target:
    failures: int = 0
    closed_until: datetime | None = None
    running: int = 0


@dataclass(slots=True)
class Circuits:
    """A pause per target after it did not answer, doubling up to a longest one; and a share per target.

    The state of one process: what it protects are this process's places. A server that hangs may take up
    `share` places, a server that is down takes up none until its pause is over; others go on.
    """

    first_pause: timedelta
    longest_pause: timedelta
    share: int
    _targets: dict[str, _Target] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.share < 1:
            raise ValueError("at least one delivery to a target has to be allowed")

    def blocked(self, now: datetime) -> frozenset[str]:
        """Return the targets that get nothing now."""
        return frozenset(
            key
            for key, target in self._targets.items()
            if target.running >= self.share
            or (target.closed_until is not None and now < target.closed_until)
            # After a pause one delivery goes ahead to try; the others follow when it came through.
            or (target.failures > 0 and target.running > 0)
        )

    def begin(self, key: str) -> None:
        """Count a delivery that starts."""
        self._targets.setdefault(key, _Target()).running += 1

    def end(self, key: str, now: datetime, *, unreachable: bool) -> None:
        """Count a delivery that ended; `unreachable` when the target did not answer."""
        target = self._targets.setdefault(key, _Target())
        target.running = max(target.running - 1, 0)
        if unreachable:
            # Deliveries that ran side by side and failed together count once.
            if target.closed_until is None or now >= target.closed_until:
                pause = min(self.first_pause * 2 ** min(target.failures, 30), self.longest_pause)
                target.failures += 1
                target.closed_until = now + pause
        else:
            target.failures, target.closed_until = 0, None
        if target.running == 0 and target.failures == 0:
            del self._targets[key]

    def open_targets(self) -> int:
        """Return how many targets have failed and not come back yet."""
        return sum(target.failures > 0 for target in self._targets.values())
