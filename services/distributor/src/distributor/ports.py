"""What the use cases need from outside."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from contracts.base import Artifact, ObjectRef
from contracts.events import Channel, DeliveryEvent
from contracts.mailing import Addresses, Answered
from contracts.plan import ExecutionPlan
from distributor.domain.mailing import Letter
from distributor.domain.results import Result, Settle
from distributor.domain.rows import Row, SettledUnit, State


class Plans(Protocol):
    """Plans of executions, by claim check."""

    async def load(self, ref: ObjectRef) -> ExecutionPlan:
        """Return the plan. Raises Permanent when it is missing, damaged or no plan; Transient otherwise."""
        ...


class WaitingRows(Protocol):
    """Rows until they are ready. Every method may be repeated at will."""

    async def add(self, rows: Sequence[Row]) -> int:
        """Insert rows that are not there, waiting for all of their units. Return how many were new."""
        ...

    async def record(self, unit: SettledUnit) -> None:
        """Keep the outcome of a unit; the first one stays."""
        ...

    async def outcomes(
        self, execution_id: str, units: Collection[str] | None = None
    ) -> dict[str, SettledUnit]:
        """Return the outcomes known, of all units of an execution or of some."""
        ...

    async def strike(self, execution_id: str, units: Collection[str]) -> None:
        """Take units off what the rows of an execution wait for."""
        ...

    def complete(self, execution_id: str | None) -> AsyncIterator[Row]:
        """Yield waiting rows that wait for nothing any more, of one execution or of all."""
        ...

    async def make_ready(self, row_id: str, now: datetime) -> bool:
        """Move a waiting row to ready. Return False when it was no longer waiting."""
        ...

    async def close(self, row_id: str, *, decision: Settle, now: datetime) -> bool:
        """Settle a row that nobody works on, with its event; False when somebody does, or it is settled."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """A row that is ours until the lease runs out."""

    row: Row
    attempt: int
    """1 for the first attempt."""
    token: str
    until: datetime
    last: str = ""
    """What the attempt before this one ended with, in words."""


@dataclass(frozen=True, slots=True)
class AttemptNote:
    """What is kept of an attempt in the row."""

    number: int
    started_at: datetime
    finished_at: datetime
    code: str
    text: str


class ClaimedRows(Protocol):
    """Rows that are being delivered. Every write is fenced: it returns False when the lease was lost."""

    async def claim(self, channel: Channel, *, not_to: Collection[str]) -> Claim | None:
        """Return a due row of a channel whose target is none of `not_to`, leased; None when there is none."""
        ...

    async def extend(self, claim: Claim) -> bool:
        """Lengthen the lease."""
        ...

    async def transmitting(self, claim: Claim, addresses: Addresses) -> bool:
        """Write down that from now on repeating is not safe, and for which addresses."""
        ...

    async def settle(self, claim: Claim, *, state: State, event: DeliveryEvent, note: AttemptNote) -> bool:
        """Finish the row and leave its event to the relay, in one write."""
        ...

    async def release(self, claim: Claim, *, at: datetime, row: Row, note: AttemptNote) -> bool:
        """Make the row ready again, due `at`, with the addresses and the acceptance of `row`."""
        ...


@dataclass(frozen=True, slots=True)
class Stray:
    """A row nobody works on whose time is over."""

    row: Row
    attempts: int
    last: str
    """What the last attempt ended with, in words."""
    waiting: bool
    """Whether files of it had not settled."""


class StrayRows(Protocol):
    """Rows that nobody finishes by himself."""

    def past_time(self, now: datetime) -> AsyncIterator[Stray]:
        """Yield rows nobody works on whose time is over."""
        ...

    def abandoned(self, now: datetime) -> AsyncIterator[Claim]:
        """Yield rows whose lease ran out while transmitting, under the lease that was lost."""
        ...


class Files(Protocol):
    """Artifacts in the object store. Raises Permanent when one is missing or damaged, Transient otherwise."""

    async def read(self, artifact: Artifact) -> bytes:
        """Return the bytes, verified against size and checksum."""
        ...

    async def save(self, artifact: Artifact, to: Path) -> None:
        """Write the bytes to a new file, verified against size and checksum."""
        ...

    async def publish(self, artifact: Artifact, key: str) -> Artifact:
        """Copy an artifact to a key of the Hub, verified; return where it lies now. May be repeated."""
        ...


class Commit(Protocol):
    """Called right before the point of no return, and for a large mail again before its end."""

    async def __call__(self, answers: Answered = ..., /) -> bool:
        """Return whether to go on. `answers` are addresses that do not get the mail in this attempt."""
        ...


class Mailer(Protocol):
    """Hands mails over."""

    async def send(self, letter: Letter, *, test_address: str | None, commit: Commit) -> Result:
        """Hand a mail to the server, asking `commit` before its content goes out.

        Raises TestModeBreachError, before anything is sent, when others than the test address would get it.
        """
        ...


class Space(Protocol):
    """An opened storage space."""

    async def put(self, source: Path, path: str, *, content_type: str, tag: str) -> str:
        """Save a file at a relative path, replacing what is there, and verify it. Return where it lies.

        `tag` tells attempts apart. Raises SpaceError when it did not work, PathRefusedError for a bad path.
        """
        ...


class SpaceError(Exception):
    """A storage space did not take a file."""

    def __init__(
        self, code: str, message: str, *, remedy: str = "", lasting: bool, unreachable: bool = False
    ) -> None:
        """Take what went wrong; `lasting` if trying again cannot help, `unreachable` if nobody answered."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.lasting = lasting
        self.unreachable = unreachable


class Spaces(Protocol):
    """Storage spaces as they are configured."""

    async def open(self, storage_id: str) -> Space:
        """Return a space. Raises SpaceError when it is not configured, or not so that it could work."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt to deliver one row."""

    row: Row
    outcomes: Mapping[str, SettledUnit]
    attempt: int
    now: datetime


class ChannelPort(Protocol):
    """One way of delivering."""

    async def deliver(self, job: Job, *, commit: Commit) -> Result:
        """Deliver, and say how it ended. Raises Permanent and Transient of the object store."""
        ...
