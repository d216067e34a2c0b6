"""Plans in the object store: one way to write them, one way to read them, for every service."""

import asyncio
import gc
import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from threading import Lock
from typing import Any, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from contracts.base import ObjectRef
from contracts.plan import ExecutionPlan, PlannedDelivery, PlannedUnit
from runtime.errors import Permanent
from runtime.objects import IfExists
from runtime.settings import MAX_PLAN_BYTES

T = TypeVar("T")

_AT_ONCE = 200
"""Units or deliveries validated in one go, some milliseconds: other threads have their turn in between."""
_UNITS = TypeAdapter(tuple[PlannedUnit, ...])
_DELIVERIES = TypeAdapter(tuple[PlannedDelivery, ...])
_one_at_a_time = Lock()


class Objects(Protocol):
    """What is needed of the object store; `runtime.objects.ObjectStore` is one."""

    async def put(
        self, key: str, data: bytes, *, content_type: str, if_exists: IfExists = "same"
    ) -> ObjectRef:
        """Store bytes."""
        ...

    async def get(self, ref: ObjectRef, *, max_bytes: int) -> bytes:
        """Return verified bytes."""
        ...


class StoredPlans:
    """Plans of executions, by claim check."""

    def __init__(self, objects: Objects, *, max_bytes: int = MAX_PLAN_BYTES, keep: int = 0) -> None:
        """Take the internal bucket, the size a plan may have, and how many of the latest plans to keep."""
        self._objects = objects
        self._max_bytes = max_bytes
        self._keep = keep
        self._recent: OrderedDict[str, ExecutionPlan] = OrderedDict()

    async def put(self, plan: ExecutionPlan) -> ObjectRef:
        """Store a plan under its content and return where. Raises Permanent when it is too large."""
        body = (await asyncio.to_thread(plan.model_dump_json)).encode()
        if len(body) > self._max_bytes:
            raise Permanent(
                "plan-too-large",
                f"The plan has {len(body)} bytes, more than the {self._max_bytes} it may have.",
                "Split the task, or raise BROADSHEET_MAX_PLAN_BYTES of all services.",
            )
        digest = sha256(body).hexdigest()
        ref = await self._objects.put(
            f"plans/{plan.execution_id}/{digest}.json", body, content_type="application/json"
        )
        self._remember(digest, plan)
        return ref

    async def load(self, ref: ObjectRef) -> ExecutionPlan:
        """Return a plan, verified.

        Raises Permanent when it is missing, damaged, too large or not a plan; Transient when the store does
        not answer.
        """
        if (known := self._recent.get(ref.sha256)) is not None:
            self._recent.move_to_end(ref.sha256)
            return known
        body = await self._objects.get(ref, max_bytes=self._max_bytes)
        try:
            plan = await asyncio.to_thread(parse, body)
        except ValueError as error:
            raise Permanent(
                "plan-unreadable",
                f"The object {ref.key} is not a plan that this version can read ({_faults(error)}).",
                "Run all services in the same version, then run the task again.",
            ) from error
        self._remember(ref.sha256, plan)
        return plan

    def _remember(self, key: str, plan: ExecutionPlan) -> None:
        self._recent[key] = plan
        self._recent.move_to_end(key)
        while len(self._recent) > self._keep:
            self._recent.popitem(last=False)


def parse(body: bytes) -> ExecutionPlan:
    """Return the plan in a JSON document. Raises ValueError (pydantic's ValidationError among them).

    Runs in a thread. A thread alone would not help: the parser lets no other thread run until it is done,
    which takes seconds for a plan of 20,000 files. So units and deliveries are validated some at a time, and
    the garbage collector, which finds nothing in a plan and takes three quarters of the time, waits.
    """
    with _one_at_a_time, _no_collection():
        raw = json.loads(body)
        if not isinstance(raw, dict):
            return ExecutionPlan.model_validate(raw)  # says what it is instead
        units, deliveries = raw.pop("units", ()), raw.pop("deliveries", ())
        return ExecutionPlan.model_validate(raw).model_copy(
            update={
                "units": tuple(_in_portions(_UNITS, units)),
                "deliveries": tuple(_in_portions(_DELIVERIES, deliveries)),
            }
        )


def _in_portions(adapter: TypeAdapter[tuple[T, ...]], items: Any) -> Iterator[T]:
    if not isinstance(items, Sequence) or isinstance(items, str):
        adapter.validate_python(items)
    for start in range(0, len(items), _AT_ONCE):
        yield from adapter.validate_python(items[start : start + _AT_ONCE])


@contextmanager
def _no_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _faults(error: ValueError) -> str:
    return f"{error.error_count()} faults" if isinstance(error, ValidationError) else str(error)[:200]
