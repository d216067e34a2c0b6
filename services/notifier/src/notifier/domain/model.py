"""What the notifier knows of an execution: what was announced, and what has settled."""

from datetime import datetime
from enum import StrEnum

from contracts.base import ExecutionId, Id, ObjectRef, Reason, Utc, Wire
from contracts.events import Disposition, Outcome, TriggerInfo
from contracts.mailing import MailAddress
from contracts.runs import RunOptions


class ItemKind(StrEnum):
    """What can settle."""

    UNIT = "unit"
    DELIVERY = "delivery"


class Status(StrEnum):
    """How it settled."""

    GENERATED = "generated"
    SUCCEEDED = "succeeded"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Item(Wire):
    """A unit or a delivery that settled."""

    id: Id
    execution_id: ExecutionId
    task_id: Id
    kind: ItemKind
    status: Status
    at: Utc
    title: str
    detail: str = ""
    reason: Reason | None = None
    warnings: tuple[Reason, ...] = ()
    addresses: tuple[MailAddress, ...] = ()
    """Of a mail: what became of it for each address."""


class Triggered(Wire):
    """The execution was asked for."""

    at: Utc
    trigger: TriggerInfo
    options: RunOptions | None = None


class Planned(Wire):
    """Planning is over."""

    at: Utc
    task_name: str
    task_version: int
    trigger: TriggerInfo
    disposition: Disposition
    reason: Reason | None = None
    problems: tuple[Reason, ...] = ()
    unit_count: int = 0
    delivery_count: int = 0
    plan: ObjectRef | None = None
    test_mode: bool = False
    options: RunOptions | None = None


class Completion(Wire):
    """How an execution ended: what TaskCompleted says."""

    at: Utc
    outcome: Outcome
    reasons: tuple[Reason, ...] = ()
    overdue: bool = False
    log: ObjectRef | None = None


class Execution(Wire):
    """An execution under watch."""

    id: ExecutionId
    task_id: Id
    first_seen_at: Utc
    deadline_at: Utc
    triggered: Triggered | None = None
    planned: Planned | None = None
    completion: Completion | None = None
    seen: int = 0
    """Counts items that were added; whoever completes has to have seen the latest."""

    @property
    def task_name(self) -> str:
        """The task's name, or its id as long as the name is not known."""
        return self.planned.task_name if self.planned else self.task_id

    @property
    def trigger(self) -> TriggerInfo | None:
        """What started it, if that was heard of."""
        if self.planned:
            return self.planned.trigger
        return self.triggered.trigger if self.triggered else None

    @property
    def options(self) -> RunOptions | None:
        """What the run alone was asked to do otherwise; either event says it, whichever comes first."""
        known = self.planned or self.triggered
        return known.options if known else None

    @property
    def triggered_at(self) -> datetime:
        """When it was asked for; when it was first heard of, if the trigger's event has not come."""
        return self.triggered.at if self.triggered else self.first_seen_at

    @property
    def expected(self) -> int | None:
        """How many items have to settle; None as long as it is not planned."""
        return self.planned.unit_count + self.planned.delivery_count if self.planned else None
