"""Builders and fakes for tests of the notifier."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.base import ObjectRef, Reason
from contracts.configuration import NotificationSettings
from contracts.events import Disposition, TaskCompleted, TriggerInfo, TriggerKind
from contracts.plan import ExecutionPlan
from notifier.domain.letters import Audience
from notifier.domain.model import Completion, Execution, Item, ItemKind, Planned, Status, Triggered
from runtime.outbox import OutboxEntry, entry

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
DEADLINE = NOW + timedelta(hours=1)
EXECUTION = "01234567-89ab-4cde-8f01-23456789abcd"
TRIGGER = TriggerInfo(
    kind=TriggerKind.SCHEDULE, trigger_id="tr-1", occurrence="o", due_at=NOW, timezone="Europe/Berlin"
)
TO = NotificationSettings(on_success=True, to=("ann@example.org",))


def planned(units: int = 1, deliveries: int = 1, **more: Any) -> Planned:
    return Planned.model_validate(
        {
            "at": NOW + timedelta(seconds=2),
            "task_name": "Sales",
            "task_version": 3,
            "trigger": TRIGGER,
            "disposition": Disposition.PLANNED,
            "unit_count": units,
            "delivery_count": deliveries,
            **more,
        }
    )


def execution(plan: Planned | None = None, **more: Any) -> Execution:
    return Execution.model_validate(
        {
            "id": EXECUTION,
            "task_id": "t-1",
            "first_seen_at": NOW,
            "deadline_at": DEADLINE,
            "triggered": Triggered(at=NOW, trigger=TRIGGER),
            "planned": plan,
            **more,
        }
    )


def unit(status: Status, number: int = 1, **more: Any) -> Item:
    return _item(ItemKind.UNIT, status, f"u-{number}", "Sales report", more)


def delivery(status: Status, number: int = 1, **more: Any) -> Item:
    return _item(ItemKind.DELIVERY, status, f"d-{number}", "email to ann@example.org", more)


def _item(kind: ItemKind, status: Status, item_id: str, title: str, more: dict[str, Any]) -> Item:
    why = Reason(code=f"{kind.value}-{status.value}", message=f"The {kind.value} is {status.value}.")
    good = status in (Status.GENERATED, Status.SUCCEEDED)
    return Item.model_validate(
        {
            "id": item_id,
            "execution_id": EXECUTION,
            "task_id": "t-1",
            "kind": kind,
            "status": status,
            "at": NOW + timedelta(seconds=10),
            "title": title,
            "reason": None if good else why,
            **more,
        }
    )


def plan(**more: Any) -> ExecutionPlan:
    return ExecutionPlan.model_validate(
        {
            "execution_id": EXECUTION,
            "task_id": "t-1",
            "task_name": "Sales",
            "task_version": 3,
            "trigger": TRIGGER,
            "planned_at": NOW,
            "deadline_at": DEADLINE,
            "timezone": "America/New_York",
            "notification": TO,
            **more,
        }
    )


class FakeExecutions:
    """notifier.ports.Executions in memory, held to it by tests/contract/notifier/test_executions.py."""

    def __init__(self) -> None:
        self.rows: dict[str, Execution] = {}
        self.settled_items: dict[str, Item] = {}
        self.outbox: list[OutboxEntry] = []
        self.late: list[str] = []
        self.pending: set[str] = set()

    def _row(self, execution_id: str, task_id: str, at: datetime, deadline_at: datetime) -> Execution:
        new = Execution(id=execution_id, task_id=task_id, first_seen_at=at, deadline_at=deadline_at)
        return self.rows.setdefault(execution_id, new)

    def _change(self, row: Execution, **change: Any) -> None:
        self.rows[row.id] = row.model_copy(update=change)

    async def triggered(
        self, execution_id: str, task_id: str, fact: Triggered, deadline_at: datetime
    ) -> None:
        self._change(self._row(execution_id, task_id, fact.at, deadline_at), triggered=fact)

    async def planned(self, execution_id: str, task_id: str, fact: Planned, deadline_at: datetime) -> bool:
        row = self._row(execution_id, task_id, fact.at, deadline_at)
        if row.completion is not None:
            if row.planned is None:
                self.late.append("planned")
            return row.planned is not None
        self._change(row, planned=fact, deadline_at=deadline_at)
        return True

    async def settled(self, item: Item, deadline_at: datetime) -> bool:
        if item.id in self.settled_items:
            return True
        self.settled_items[item.id] = item
        row = self._row(item.execution_id, item.task_id, item.at, deadline_at)
        self._change(row, seen=row.seen + 1)
        if row.completion is not None:
            self.late.append(item.id)
            return False
        return True

    async def get(self, execution_id: str) -> Execution | None:
        return self.rows.get(execution_id)

    async def items(self, execution_id: str) -> Sequence[Item]:
        return [item for item in self.settled_items.values() if item.execution_id == execution_id]

    async def complete(self, execution: Execution, completion: Completion, event: TaskCompleted) -> bool:
        row = self.rows[execution.id]
        changed = row.seen != execution.seen or (execution.planned is None and row.planned is not None)
        if row.completion is not None or changed:
            return False
        self._change(row, completion=completion)
        self.outbox.append(entry(event, source="notifier", occurred_at=completion.at))
        self.pending.add(row.id)
        return True

    async def overdue(self, before: datetime) -> AsyncIterator[str]:
        open_rows = [row for row in self.rows.values() if row.completion is None]
        for row in sorted(open_rows, key=lambda each: each.deadline_at):
            if row.deadline_at <= before:
                yield row.id

    async def unannounced(self) -> AsyncIterator[str]:
        for execution_id in sorted(self.pending):
            yield execution_id

    async def announced(self, execution_id: str) -> None:
        self.pending.discard(execution_id)

    def completed(self) -> list[TaskCompleted]:
        return [TaskCompleted.model_validate_json(each["body"]) for each in self.outbox]


class FakeTasks:
    """notifier.ports.Tasks with answers by (task, version)."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, int | None], Audience] = {}

    async def audience(self, task_id: str, version: int | None) -> Audience | None:
        return self.answers.get((task_id, version))


def ref(key: str = "plans/p.json") -> ObjectRef:
    return ObjectRef(key=key, size=1, sha256="0" * 64)
