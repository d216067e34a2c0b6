"""What the use cases of the scheduler need of the world."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from contracts.configuration import TaskVersion
from contracts.events import TaskTriggered, TriggerSkipped
from scheduler.domain.model import Cursor
from scheduler.domain.reloads import Reload


@dataclass(frozen=True, slots=True)
class ConfiguredTask:
    """A task as it is configured now."""

    enabled: bool
    version: TaskVersion


class Tasks(Protocol):
    """The configuration."""

    def all(self) -> AsyncIterator[ConfiguredTask]:
        """Yield every task with its current version. Raises Transient."""
        ...


class Occurrences(Protocol):
    """The ledger of due times: what was decided is there before it is published."""

    async def cursor(self, trigger_id: str) -> Cursor | None:
        """Return how far a trigger was looked at; None when it never was. Raises Transient."""
        ...

    async def record(self, events: Sequence[TaskTriggered | TriggerSkipped], at: datetime) -> int:
        """Write down what will be published; return how many were new.

        An occurrence that has its record already keeps it. Raises Transient.
        """
        ...

    async def move(self, trigger_id: str, before: Cursor | None, after: Cursor) -> bool:
        """Move the cursor if it still stands at `before`; False when another scheduler moved it."""
        ...


class ReloadSource(Protocol):
    """Where reloads of one Qlik site are read from."""

    async def since(self, mark: datetime) -> Sequence[Reload]:
        """Return the reloads that ended at or after `mark`, oldest first. Raises Transient."""
        ...


class ReloadMarks(Protocol):
    """How far the reloads of each site were read."""

    async def get(self, connection_id: str) -> datetime | None:
        """Return the mark; None when the site was never read. Raises Transient."""
        ...

    async def advance(self, connection_id: str, to: datetime) -> None:
        """Move the mark forward, never back. Raises Transient."""
        ...
