"""Plans, templates and artifacts in the object store."""

import asyncio
from collections import OrderedDict
from hashlib import sha256
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from contracts.base import ObjectRef
from contracts.plan import ExecutionPlan
from runtime.errors import Permanent
from runtime.objects import ObjectStore

T = TypeVar("T")

_PLANS = 8
_TEMPLATES = 32


class _Recent(Generic[T]):
    """The latest few, by SHA-256."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str) -> T | None:
        if key in self._held:
            self._held.move_to_end(key)
        return self._held.get(key)

    def put(self, key: str, value: T) -> T:
        self._held[key] = value
        self._held.move_to_end(key)
        while len(self._held) > self._size:
            self._held.popitem(last=False)
        return value


class StoredPlans:
    """The Plans port; keeps the latest plans, as the units of one come one after the other."""

    def __init__(self, objects: ObjectStore, *, max_bytes: int) -> None:
        """Take the object store and the size a plan may have."""
        self._objects = objects
        self._max_bytes = max_bytes
        self._recent: _Recent[ExecutionPlan] = _Recent(_PLANS)

    async def put(self, plan: ExecutionPlan) -> ObjectRef:
        """Store a plan under its content and return where. Raises Permanent when it is too large."""
        body = (await asyncio.to_thread(plan.model_dump_json)).encode()
        if len(body) > self._max_bytes:
            raise Permanent(
                "plan-too-large",
                f"the plan has {len(body)} bytes, more than the {self._max_bytes} it may have",
                "split the task, or raise the generator's limit of plan bytes",
            )
        digest = sha256(body).hexdigest()
        ref = await self._objects.put(
            f"plans/{plan.execution_id}/{digest}.json", body, content_type="application/json"
        )
        self._recent.put(digest, plan)
        return ref

    async def get(self, ref: ObjectRef) -> ExecutionPlan:
        """Return a plan, verified. Raises Permanent when it is damaged, gone or no plan."""
        if (known := self._recent.get(ref.sha256)) is not None:
            return known
        body = await self._objects.get(ref, max_bytes=self._max_bytes)
        try:
            # Seconds for a plan of 20,000 files; the event loop has heartbeats to send.
            plan = await asyncio.to_thread(ExecutionPlan.model_validate_json, body)
        except ValidationError as error:
            raise Permanent(
                "plan-unreadable",
                f"the plan {ref.key} does not fit its schema ({error.error_count()} faults)",
                "run the task again; check that all generators have the same version",
            ) from error
        return self._recent.put(ref.sha256, plan)


class StoredFiles:
    """The Files port; keeps the latest templates."""

    def __init__(self, objects: ObjectStore, *, max_template_bytes: int) -> None:
        """Take the object store and the size a template may have."""
        self._objects = objects
        self._max_template_bytes = max_template_bytes
        self._recent: _Recent[bytes] = _Recent(_TEMPLATES)

    async def template(self, ref: ObjectRef) -> bytes:
        """Return a template, verified. Raises Permanent when it is damaged, gone or too large."""
        known = self._recent.get(ref.sha256)
        if known is None:
            content = await self._objects.get(ref, max_bytes=self._max_template_bytes)
            known = self._recent.put(ref.sha256, content)
        return known

    async def keep(self, key: str, content: bytes | Path, content_type: str) -> ObjectRef:
        """Store a finished file and return where. Its key holds its content, so it never changes."""
        return await self._objects.put(key, content, content_type=content_type)
