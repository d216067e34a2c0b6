"""Qlik Cloud's rate limits, kept on our side.

It sends no 'remaining' headers, and blocks a whole tier when exceeded.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

Tier = Literal["tier1", "tier2", "reports", "reloads"]

_WINDOW_MIN = 5  # limits are averaged over five minutes
# 90 % of what is published: other tools sign in as the same user
_PER_MINUTE: dict[Tier, float] = {"tier1": 900, "tier2": 90, "reports": 9, "reloads": 45}


def tier_of(method: str, path: str) -> Tier:
    """The tier a request counts against.

    Reading is tier 1, changing tier 2, reports and reloads have their own.
    """
    if method in {"GET", "HEAD"}:
        return "tier1"
    if re.search(r"/reports/?$", path):
        return "reports"
    if re.search(r"/reloads/?$", path):
        return "reloads"
    return "tier2"


@dataclass
class _Bucket:
    tokens: float
    filled_at: float
    blocked_until: float = 0.0


class Throttle:
    """A token bucket per tier, for one user of one tenant. Clock and sleep are given, in seconds."""

    def __init__(
        self,
        *,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        per_minute: dict[Tier, float] | None = None,
    ) -> None:
        self._now, self._sleep = now, sleep
        self._rate = per_minute or _PER_MINUTE
        self._buckets: dict[Tier, _Bucket] = {}

    async def take(self, tier: Tier) -> None:
        """Wait until one more request of this tier is allowed, and count it."""
        while (wait := self._take(tier)) > 0:
            await self._sleep(wait)

    def blocked(self, tier: Tier, seconds: float) -> None:
        """Qlik answered 429: nothing of this tier goes out for so long."""
        bucket = self._bucket(tier)
        bucket.blocked_until = max(bucket.blocked_until, self._now() + seconds)
        bucket.tokens = min(bucket.tokens, 0.0)

    def _take(self, tier: Tier) -> float:
        now, bucket, rate = self._now(), self._bucket(tier), self._rate[tier] / 60
        capacity = self._rate[tier] * _WINDOW_MIN
        bucket.tokens = min(capacity, bucket.tokens + (now - bucket.filled_at) * rate)
        bucket.filled_at = now
        if now < bucket.blocked_until:
            return bucket.blocked_until - now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / rate
        bucket.tokens -= 1
        return 0.0

    def _bucket(self, tier: Tier) -> _Bucket:
        if tier not in self._buckets:
            # a fresh process does not know what was used in the last minutes: it starts with one minute's
            # worth
            self._buckets[tier] = _Bucket(self._rate[tier], self._now())
        return self._buckets[tier]
