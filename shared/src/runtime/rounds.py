"""How the rounds of a background loop go: counted, logged, and told by readiness while they keep failing.

A loop that serves many rows must neither end with the first bad one nor fail without anybody noticing. So a
loop has one `Rounds`: each round runs inside `round()`, each row inside `isolated()`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from time import monotonic
from types import TracebackType

import structlog
from prometheus_client import Counter, Gauge

from runtime.errors import Transient

log = structlog.get_logger(__name__)

ROUND_FAILURES = Counter(
    "broadsheet_round_failures_total", "Rounds of a background loop that failed.", ["loop"]
)
ROUND_ITEM_FAILURES = Counter(
    "broadsheet_round_item_failures_total",
    "Rows, sites or messages that failed in a round of a background loop and were left out of it.",
    ["loop"],
)
ROUND_LAST_SUCCESS = Gauge(
    "broadsheet_round_last_success_timestamp_seconds",
    "When a background loop last completed a round (Unix time).",
    ["loop"],
)

# One lost connection is not worth a page; a loop that fails for longer than that does no work.
_FAILURES_BEFORE_PROBLEM = 3
_SECONDS_BEFORE_PROBLEM = 15.0


class Rounds:
    """The rounds of one loop of this process.

    `problems` is a readiness check (`Service.ready_when`): it names the loop once at least three rounds in a
    row failed over at least 15 seconds, and is empty again after the next round that succeeds.
    """

    def __init__(self, loop: str, *, seconds: Callable[[], float] = monotonic) -> None:
        """Take the loop's name as it stands in metrics, logs and readiness, and a monotonic clock."""
        self.loop = loop
        self._seconds = seconds
        self.failures_in_row = 0
        self._failing_since: float | None = None
        self._last_error = ""
        # From the start on, so that a rule on a rate or an age has something to compare with.
        ROUND_FAILURES.labels(loop)
        ROUND_ITEM_FAILURES.labels(loop)

    def round(self) -> AbstractContextManager[None, bool]:
        """Run one round in the body; what it raises is logged and counted, and not raised again.

        `failures_in_row` is 0 afterwards when the round succeeded.
        """
        return _Ended(self._round_ended)

    def isolated(self, **what: str) -> AbstractContextManager[None, bool]:
        """Serve one row, site or message in the body, so that a bad one does not stop the others.

        What it raises is logged with `what` (say, `trigger_id=...`) and counted. Transient is raised again:
        a server is unavailable, and the other rows would fail the same way.
        """
        return isolated(self.loop, **what)

    def _round_ended(self, error: Exception | None) -> bool:
        if error is None:
            self.succeeded()
            return False
        self.failed(error)
        if isinstance(error, Transient):
            log.warning("loop round failed", loop=self.loop, error=str(error)[:500])
        else:
            log.error("loop round failed", loop=self.loop, exc_info=error)
        return True

    def failed(self, error: BaseException) -> None:
        """Count a round that failed, for a loop that handles its errors itself."""
        ROUND_FAILURES.labels(self.loop).inc()
        self.failures_in_row += 1
        self._last_error = f"{type(error).__name__}: {error}"[:300]
        if self._failing_since is None:
            self._failing_since = self._seconds()

    def succeeded(self) -> None:
        """Note a round that succeeded."""
        ROUND_LAST_SUCCESS.labels(self.loop).set_to_current_time()
        self.failures_in_row = 0
        self._failing_since = None

    async def problems(self) -> list[str]:
        """Return that the loop keeps failing, and the last error; empty when it does not."""
        if self._failing_since is None or self.failures_in_row < _FAILURES_BEFORE_PROBLEM:
            return []
        failing_for = self._seconds() - self._failing_since
        if failing_for < _SECONDS_BEFORE_PROBLEM:
            return []
        failed = f"{self.failures_in_row} rounds in a row failed in {failing_for:.0f} s"
        return [f"loop {self.loop}: {failed}; the last error: {self._last_error}"]


def isolated(loop: str, **what: str) -> AbstractContextManager[None, bool]:
    """Do as `Rounds.isolated` for a part of a loop that does not hold its `Rounds`, such as an adapter."""

    def ended(error: Exception | None) -> bool:
        if error is None or isinstance(error, Transient):
            return False
        ROUND_ITEM_FAILURES.labels(loop).inc()
        log.error("left out of this round", loop=loop, **what, exc_info=error)
        return True

    return _Ended(ended)


class _Ended(AbstractContextManager[None, bool]):
    """Tells a function how the body ended; the function says whether the exception stops here."""

    def __init__(self, ended: Callable[[Exception | None], bool]) -> None:
        self._ended = ended

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return self._ended(None)
        # A cancelled loop ends; only failures are its own business.
        return isinstance(error, Exception) and self._ended(error)
