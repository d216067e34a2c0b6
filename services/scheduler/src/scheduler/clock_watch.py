"""Noticing that the machine's clock jumps, which schedules cannot see by themselves."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter

from runtime.clock import Clock

log = structlog.get_logger(__name__)

JUMPS = Counter(
    "broadsheet_clock_jumps_total", "Jumps of this machine's clock that were noticed.", ["direction"]
)
SET_BACK = Counter(
    "broadsheet_schedule_cursors_set_back_total",
    "Schedules whose cursor stood in the future, moved there by a clock that ran ahead.",
)
# Time servers correct a clock by less than this, and slowly.
_JUMP = timedelta(seconds=30)
_REPORTED_FOR_S = 900.0


def seconds_awake_and_asleep() -> float:
    """Return the seconds since the machine started, including those it was suspended, if known."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


class ClockWatch:
    """Compares the clock with the time that has passed, and reports a jump for 15 minutes."""

    def __init__(self, clock: Clock, *, seconds: Callable[[], float] = seconds_awake_and_asleep) -> None:
        """Take the clock and what counts the seconds that have passed."""
        self._clock = clock
        self._seconds = seconds
        self._last = (clock.now(), seconds())
        self._reported_at: float | None = None
        self._report = ""

    def look(self) -> datetime:
        """Return the time, and report it when the clock has jumped since the last look."""
        now, seconds = self._clock.now(), self._seconds()
        before, passed = self._last[0], timedelta(seconds=seconds - self._last[1])
        self._last = (now, seconds)
        jump = now - before - passed
        if abs(jump) >= _JUMP:
            direction = "forward" if jump > timedelta(0) else "back"
            JUMPS.labels(direction).inc()
            log.error(
                "the clock jumped",
                direction=direction,
                seconds=round(jump.total_seconds()),
                was=(before + passed).isoformat(),
                now=now.isoformat(),
            )
            self._tell(
                f"the clock of this machine jumped {direction} by {abs(jump.total_seconds()):.0f} s at "
                f"{now.isoformat(timespec='seconds')}; check its time synchronisation, and the executions of "
                "that time"
            )
        return now

    def set_back(self, key: str, ahead: datetime) -> None:
        """Report a schedule that a clock which ran ahead had moved into the future."""
        SET_BACK.inc()
        log.warning("cursor in the future set back", series=key, cursor=ahead.isoformat())
        self._tell(
            f"schedules had been evaluated up to {ahead.isoformat(timespec='seconds')} by a clock that ran "
            "ahead of this one; they were set back to now. Check the clocks of the machines schedulers run on"
        )

    async def problems(self) -> list[str]:
        """Return what was noticed within the last 15 minutes. For readiness checks."""
        if self._reported_at is None or self._seconds() - self._reported_at > _REPORTED_FOR_S:
            return []
        return [f"clock: {self._report}"]

    def _tell(self, report: str) -> None:
        self._report, self._reported_at = report, self._seconds()
