"""What the use cases of the scheduler need of the world."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from contracts.base import Reason
from contracts.configuration import TaskVersion
from contracts.events import TaskTriggered, TriggerSkipped
from contracts.schedules import TriggerProblem
from contracts.sites import PushKind, SitePush
from scheduler.domain.model import Cursor
from scheduler.domain.reloads import Awaited, Reload


@dataclass(frozen=True, slots=True)
class ConfiguredTask:
    """A task as it is configured now."""

    enabled: bool
    version: TaskVersion


@dataclass(frozen=True, slots=True)
class UnreadableTask:
    """A task that is stored in a form that cannot be read; none of its triggers can start it."""

    task_id: str
    reason: Reason


class Tasks(Protocol):
    """The configuration."""

    def all(self) -> AsyncIterator[ConfiguredTask | UnreadableTask]:
        """Yield every task with its current version. Raises Transient."""
        ...


class TriggerProblems(Protocol):
    """What is wrong with triggers, for people to see."""

    async def replace(self, source: str, found: Sequence[TriggerProblem]) -> Sequence[TriggerProblem]:
        """Keep what a source has found now in place of what it found before; return what is new.

        A problem that stays keeps the `since` it was first written with. Raises Transient.
        """
        ...


class Occurrences(Protocol):
    """The ledger of due times: what was decided is there before it is published."""

    async def cursor(self, key: str) -> Cursor | None:
        """Return how far the series of a trigger was looked at; None when it never was. Raises Transient."""
        ...

    async def record(self, events: Sequence[TaskTriggered | TriggerSkipped], at: datetime) -> int:
        """Write down what will be published; return how many were new.

        An occurrence that has its record already keeps it. Raises Transient.
        """
        ...

    async def skipped_after(self, execution_ids: Sequence[str], at: datetime) -> set[str]:
        """Return which of these were recorded as skipped by a clock that was ahead of `at`.

        Raises Transient.
        """
        ...

    async def move(self, key: str, before: Cursor | None, after: Cursor) -> bool:
        """Move the cursor if it still stands at `before`; False when another scheduler moved it."""
        ...


class ReloadSource(Protocol):
    """Where reloads of one Qlik site are read from.

    `settle` is how long after its end a reload may still be missing from what is read.
    """

    settle: timedelta

    async def since(self, mark: datetime) -> Sequence[Reload]:
        """Return the reloads that ended at or after `mark`, oldest first. Raises Transient."""
        ...


class Push(Protocol):
    """How a site is made to tell of reloads, so that it is polled at once."""

    kind: PushKind

    async def ensure(self) -> "Pushing":
        """Make sure that the site tells of reloads, and mend what is not as it should be.

        Asked again from time to time. Raises Transient when the site cannot be asked or refuses.
        """
        ...

    async def aclose(self) -> None:
        """Give up what only this process needs. Never raises for the site's faults."""
        ...


@dataclass(frozen=True, slots=True)
class Pushing:
    """What came of it: `mended` says what was found broken, `problem` why nothing is pushed; else empty."""

    id: str = ""
    mended: str = ""
    problem: str = ""


class SiteStates(Protocol):
    """What is known of each site, for people to see. Every method raises Transient."""

    async def read(self, connection_id: str, at: datetime, lag_s: float | None) -> datetime | None:
        """The site was polled and all is well; `lag_s` is None when there was no reload.

        Returns since when it could not be polled, None when it could before.
        """
        ...

    async def failed(self, connection_id: str, at: datetime, message: str) -> None:
        """The site could not be polled; the problem began with the first of these in a row."""
        ...

    async def pushed(self, connection_id: str, at: datetime) -> None:
        """The site called."""
        ...

    async def pushed_at(self, connection_id: str) -> datetime | None:
        """Return when the site last called any listener."""
        ...

    async def push_is(self, connection_id: str, at: datetime, push: SitePush) -> None:
        """How the site tells of reloads, as of now; a push of the same id keeps its `since`."""
        ...

    async def warn(self, connection_id: str, at: datetime, warnings: Sequence[str]) -> None:
        """What is wrong with the site though it can be read, in place of what was before."""
        ...

    async def mended(self, connection_id: str, at: datetime, what: str) -> None:
        """Something was found broken and put right."""
        ...


class Events(Protocol):
    """The events of webhooks that were taken, by every listener together."""

    async def first(self, connection_id: str, event_id: str, at: datetime) -> bool:
        """Remember an event; return whether it is the first time. Raises Transient."""
        ...


class ReloadMarks(Protocol):
    """How far the reloads of each site were read."""

    async def get(self, connection_id: str) -> datetime | None:
        """Return the mark; None when the site was never read. Raises Transient."""
        ...

    async def advance(self, connection_id: str, to: datetime) -> None:
        """Move the mark forward, never back. Raises Transient."""
        ...

    async def set_back(self, connection_id: str, to: datetime) -> None:
        """Move the mark, and when the site was last read, back to `to`: the clock was ahead."""
        ...

    async def read(self, connection_id: str, at: datetime) -> None:
        """Note that the site was asked at `at` and what it answered is recorded. Raises Transient."""
        ...

    async def read_at(self, connection_ids: Collection[str]) -> Mapping[str, datetime]:
        """Return when sites were last read; those that never were are left out. Raises Transient."""
        ...


@dataclass(frozen=True, slots=True)
class Note:
    """A reload that bears on one window of a trigger, which is named by the key of its series."""

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
