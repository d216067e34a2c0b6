"""Rate limits per user and tier, over a window of five minutes."""

import math
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

WINDOW: Final = 300.0  # seconds
PER_MINUTE: Final = {"tier1": 1000, "tier2": 100, "reports": 10, "reloads": 50}


@dataclass
class RateLimiter:
    """Counts calls.

    Over the limit the whole tier is blocked for that user until the oldest calls are forgotten.
    """

    clock: Callable[[], float]  # seconds, never going back
    per_minute: dict[str, int] = field(default_factory=lambda: dict(PER_MINUTE))
    _calls: dict[tuple[str, str], deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _blocked: dict[tuple[str, str], float] = field(default_factory=dict)

    def wait(self, user: str, tier: str) -> int | None:
        """Count a call; the seconds to wait when it is one too many, else None."""
        now, key = self.clock(), (user, tier)
        if self._blocked.get(key, now) > now:
            return max(math.ceil(self._blocked[key] - now), 1)
        calls = self._calls[key]
        while calls and calls[0] <= now - WINDOW:
            calls.popleft()
        if len(calls) >= self.per_minute[tier] * WINDOW / 60:
            self._blocked[key] = calls[0] + WINDOW if calls else now + 60
            return max(math.ceil(self._blocked[key] - now), 1)
        calls.append(now)
        return None

    def set(self, tier: str, per_minute: int) -> None:
        """Change a limit and forget what was counted for it."""
        self.per_minute[tier] = per_minute
        for counted in [key for key in (*self._calls, *self._blocked) if key[1] == tier]:
            self._calls.pop(counted, None)
            self._blocked.pop(counted, None)
