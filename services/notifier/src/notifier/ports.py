"""What the notifier's use cases need."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from contracts.base import ObjectRef
from contracts.events import TaskCompleted
from contracts.plan import ExecutionPlan
from notifier.domain.letters import Audience
from notifier.domain.model import Completion, Execution, Item, Planned, Triggered
from runtime.ledger import Lease
from runtime.outbox import OutboxEntry


class Executions(Protocol):
    """The executions under watch, and what has settled in them."""

    async def triggered(
        self, execution_id: str, task_id: str, fact: Triggered, deadline_at: datetime
    ) -> None:
        """Begin to watch; `deadline_at` holds until the plan names one."""
        ...

    async def planned(self, execution_id: str, task_id: str, fact: Planned, deadline_at: datetime) -> bool:
        """Record the plan; False when it came too late, after the end of the execution."""
        ...

    async def settled(self, item: Item, deadline_at: datetime) -> bool:
        """Record an item once; False when it came too late, after the end of the execution."""
        ...

    async def get(self, execution_id: str) -> Execution | None:
        """Return an execution, or None."""
        ...

    async def items(self, execution_id: str) -> Sequence[Item]:
        """Return what has settled in an execution."""
        ...

    async def complete(self, execution: Execution, completion: Completion, event: TaskCompleted) -> bool:
        """End an execution and announce it in one write.

        False, and nothing written, when it has ended already or more has settled than `execution.seen`.
        """
        ...

    def overdue(self, before: datetime) -> AsyncIterator[str]:
        """Yield ids of executions that have not ended and whose deadline lies before a moment."""
        ...

    def unannounced(self) -> AsyncIterator[str]:
        """Yield ids of ended executions whose mails were not written down yet."""
        ...

    async def announced(self, execution_id: str) -> None:
        """Record that the mails of an execution are written down."""
        ...


class Plans(Protocol):
    """The plans that lie in the object store."""

    async def load(self, ref: ObjectRef) -> ExecutionPlan:
        """Return a plan. Raises Permanent when it is gone or no plan."""
        ...


class Logs(Protocol):
    """The task logs in the object store."""

    async def store(self, execution_id: str, text: str) -> ObjectRef:
        """Store a log under a key that holds its hash."""
        ...

    async def load(self, ref: ObjectRef) -> bytes:
        """Return a log. Raises Permanent when it is gone or damaged."""
        ...


class Tasks(Protocol):
    """The task configuration."""

    async def audience(self, task_id: str, version: int | None) -> Audience | None:
        """Return who is to be told in a version of a task, or its current one; None without task."""
        ...


class MailLedger(Protocol):
    """The outcome mails, as rows of runtime.ledger."""

    async def add(self, docs: Sequence[Mapping[str, Any]]) -> int:
        """Insert rows whose `_id` is new."""
        ...

    async def claim(self, now: datetime, *, lease_for: timedelta) -> Lease | None:
        """Take one due row."""
        ...

    async def extend(self, lease: Lease, now: datetime, lease_for: timedelta) -> bool:
        """Move the end of the lease; False when it is lost."""
        ...

    async def mark(
        self,
        lease: Lease,
        *,
        state: str,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - as the ledger calls it
        until: datetime | None = None,
    ) -> bool:
        """Record progress; False when the lease is lost."""
        ...

    async def settle(
        self,
        lease: Lease,
        *,
        state: str,
        set: Mapping[str, Any],  # noqa: A002 - as the ledger calls it
        events: Sequence[OutboxEntry],
    ) -> bool:
        """End a row; False when the lease is lost."""
        ...

    async def release(
        self,
        lease: Lease,
        *,
        next_attempt_at: datetime,
        error: Mapping[str, Any] | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - as the ledger calls it
    ) -> bool:
        """Give a row back; False when the lease is lost."""
        ...

    def expired(self, now: datetime) -> AsyncIterator[dict[str, Any]]:
        """Yield rows whose lease ran out while they were transmitted."""
        ...
