"""What the use cases of the scheduler need of the world."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from contracts.configuration import TaskVersion
from contracts.events import TaskTriggered, TriggerSkipped
from scheduler.domain.model import Cursor
from scheduler.domain.reloads import Awaited, Reload


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

    async def read(self, connection_id: str, at: datetime) -> None:
        """Note that the site was asked at `at` and what it answered is recorded. Raises Transient."""
        ...

    async def read_at(self, connection_ids: Collection[str]) -> Mapping[str, datetime]:
        """Return when sites were last read; those that never were are left out. Raises Transient."""
        ...


@dataclass(frozen=True, slots=True)
class Note:
    """A reload that bears on one window of a trigger."""

    trigger_id: str
    opens_at: datetime
    reload: Reload


class Sightings(Protocol):
    """What reload triggers wait for and since when, and what was seen of their windows."""

    async def known(self, trigger_id: str) -> Mapping[Awaited, datetime]:
        """Return since when a trigger waits for what; empty when it was never looked at. Raises Transient."""
        ...

    async def keep(self, trigger_id: str, known: Mapping[Awaited, datetime]) -> None:
        """Replace what `known` returns. Raises Transient."""
        ...

    async def note(self, notes: Sequence[Note]) -> None:
        """Keep reloads for the windows' decisions; of each app and status the first that is noted.

        Noting again changes nothing. Raises Transient.
        """
        ...

    async def noted(self, trigger_id: str, after: datetime) -> Sequence[Reload]:
        """Return the reloads of all windows that opened after `after`, in any order. Raises Transient."""
        ...
