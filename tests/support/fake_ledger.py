"""runtime.ledger.Ledger in memory, held to the same promises by tests/contract/runtime/test_ledger.py."""

import copy
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from runtime.ledger import BY_DUE_TIME, CLAIMED, KEPT_ATTEMPTS, Lease, lease_of, new_row
from runtime.outbox import OutboxEntry

Row = dict[str, Any]


class FakeLedger:
    """Rows in a dict; `rows` may be looked at, and changed to set a scene."""

    def __init__(self, *, safe_states: Sequence[str] = (CLAIMED,)) -> None:
        self.rows: dict[str, Row] = {}
        self._safe = tuple(safe_states)
        self._tokens = itertools.count(1)

    async def ensure_indexes(self) -> None:
        """Nothing to do."""

    async def add(self, docs: Sequence[Mapping[str, Any]]) -> int:
        new = [doc for doc in docs if doc["_id"] not in self.rows]
        self.rows |= {doc["_id"]: _stored(new_row(doc)) for doc in reversed(new)}
        return len({doc["_id"] for doc in new})

    async def get(self, row_id: str) -> Row | None:
        return copy.deepcopy(self.rows.get(row_id))

    async def claim(
        self,
        now: datetime,
        *,
        lease_for: timedelta,
        states: Sequence[str] = ("ready",),
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - as in the real one
        sort: Sequence[tuple[str, int]] = BY_DUE_TIME,
    ) -> Lease | None:
        rows = [
            row for row in self.rows.values() if self._due(row, now, states) and matches(row, filter or {})
        ]
        for field, direction in reversed(sort):
            rows.sort(key=lambda row, name=field: _at(row, name), reverse=direction < 0)  # type: ignore[misc]
        return self._take(rows[0], now, lease_for) if rows else None

    async def claim_one(
        self,
        row_id: str,
        now: datetime,
        *,
        lease_for: timedelta,
        states: Sequence[str] = ("ready",),
        add: Mapping[str, Any] | None = None,
    ) -> Lease | None:
        if add is not None:
            await self.add([{**add, "_id": row_id}])
        return await self.claim(now, lease_for=lease_for, states=states, filter={"_id": row_id})

    def _due(self, row: Row, now: datetime, states: Sequence[str]) -> bool:
        return row["state"] in (*states, *self._safe) and row["next_attempt_at"] <= now

    def _take(self, row: Row, now: datetime, lease_for: timedelta) -> Lease:
        until = now + lease_for
        row |= _stored(
            {
                "state": self._safe[0],
                "lease_token": f"token-{next(self._tokens)}",
                "lease_until": until,
                "next_attempt_at": until,
                "claimed_at": now,
                "attempt": row["attempt"] + 1,
            }
        )
        return lease_of(copy.deepcopy(row))

    async def extend(self, lease: Lease, now: datetime, lease_for: timedelta) -> bool:
        until = now + lease_for
        return self._write(lease, {"lease_until": until, "next_attempt_at": until})

    async def mark(
        self,
        lease: Lease,
        *,
        state: str,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - as in the real one
        until: datetime | None = None,
    ) -> bool:
        moved = {"lease_until": until, "next_attempt_at": until} if until else {}
        return self._write(lease, {**(set or {}), "state": state, **moved})

    async def settle(
        self,
        lease: Lease,
        *,
        state: str,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - as in the real one
        events: Sequence[OutboxEntry] = (),
    ) -> bool:
        done = {**(set or {}), "state": state, "lease_token": None, "lease_until": None}
        return self._write(lease, done, events=events, ended=(state, None))

    async def release(
        self,
        lease: Lease,
        *,
        next_attempt_at: datetime,
        error: Mapping[str, Any] | None = None,
        state: str = "ready",
        set: Mapping[str, Any] | None = None,  # noqa: A002 - as in the real one
    ) -> bool:
        done = {"state": state, "lease_token": None, "lease_until": None, "next_attempt_at": next_attempt_at}
        return self._write(lease, {**(set or {}), **done}, ended=(state, error))

    def _write(
        self,
        lease: Lease,
        change: Mapping[str, Any],
        *,
        events: Sequence[OutboxEntry] = (),
        ended: tuple[str, Mapping[str, Any] | None] | None = None,
    ) -> bool:
        row = self.rows.get(lease.id)
        if row is None or row["lease_token"] != lease.token:
            return False
        for name, value in _stored(dict(change)).items():
            _put(row, name, value)
        row["outbox"].extend(_stored(each) for each in events)
        if ended:
            attempt = {
                "number": lease.attempt,
                "started_at": lease.document.get("claimed_at"),
                "state": ended[0],
                "error": dict(ended[1]) if ended[1] else None,
            }
            row["attempts"] = [*row["attempts"], attempt][-KEPT_ATTEMPTS:]
        return True

    async def expired(
        self, now: datetime, states: Sequence[str] = ("transmitting",), *, limit: int = 100
    ) -> AsyncIterator[Row]:
        over = [
            row
            for row in self.rows.values()
            if row["state"] in states and row["lease_until"] is not None and row["lease_until"] <= now
        ]
        for row in sorted(over, key=lambda each: each["lease_until"])[:limit]:
            yield copy.deepcopy(row)


def matches(row: Row, wanted: Mapping[str, Any]) -> bool:
    """Understand the few operators that claims use; anything else raises instead of guessing."""
    return all(_fits(_at(row, name), condition) for name, condition in wanted.items())


def _fits(value: Any, condition: Any) -> bool:
    if not isinstance(condition, Mapping):
        return bool(value == condition)
    compare: dict[str, Callable[[Any], bool]] = {
        "$in": lambda bound: value in bound,
        "$nin": lambda bound: value not in bound,
        "$ne": lambda bound: value != bound,
        "$lt": lambda bound: value is not None and value < bound,
        "$lte": lambda bound: value is not None and value <= bound,
        "$gt": lambda bound: value is not None and value > bound,
        "$gte": lambda bound: value is not None and value >= bound,
        "$exists": lambda bound: (value is not None) == bound,
    }
    unknown = set(condition) - set(compare)
    if unknown:
        raise NotImplementedError(f"the fake ledger has no {', '.join(sorted(unknown))}")
    return all(compare[operator](bound) for operator, bound in condition.items())


def _at(row: Row, path: str) -> Any:
    if path.startswith("$"):
        raise NotImplementedError(f"the fake ledger has no {path}")
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _put(row: Row, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        row = row.setdefault(name, {})
    row[last] = value


def _stored(value: Any) -> Any:
    """Return a copy as MongoDB would give it back: lists for tuples, datetimes to the millisecond."""
    if isinstance(value, datetime):
        return value.replace(microsecond=value.microsecond // 1000 * 1000)
    if isinstance(value, Mapping):
        return {name: _stored(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_stored(each) for each in value]
    return copy.deepcopy(value)
