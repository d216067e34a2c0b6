"""What the use cases need of the world."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from contracts.base import ObjectRef, Reason, Selection
from contracts.configuration import Recipient, Report, TaskVersion, Template
from contracts.events import (
    ExecutionPlanned,
    ReportFailed,
    ReportGenerated,
    ReportRequested,
    ReportSkipped,
)
from contracts.plan import ExecutionPlan, PlannedReport, PlannedUnit
from generator.domain.request import Answer, Catalog, Firing, Question, TaskSetup
from rendering.model import (
    Cell,
    ChartSpec,
    ColumnData,
    OutputFormat,
    RenderData,
    Rendered,
    RenderOptions,
    TableData,
    TemplateKind,
)

E_co = TypeVar("E_co", covariant=True)
SettledUnit = ReportGenerated | ReportSkipped | ReportFailed


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on one execution or unit for now; later writes carry its token."""

    id: str
    token: str
    attempt: int
    """How often the work was begun, this time and crashes included."""
    first_seen: datetime
    """When the work was first asked for, UTC; the same for every attempt."""


@dataclass(frozen=True, slots=True)
class Settled(Generic[E_co]):
    """The work is done, and this is what was published about it."""

    event: E_co
    at: datetime


@dataclass(frozen=True, slots=True)
class Busy:
    """The work is recorded, and in somebody's hands or put off; it will be done without the one who asks."""


class Executions(Protocol):
    """Which executions are planned; each exactly once."""

    async def claim(self, firing: Firing) -> Claim | Settled[ExecutionPlanned] | Busy:
        """Record an execution and take its planning, or say why not."""
        ...

    async def due(self) -> tuple[Claim, Firing] | None:
        """Take a planning that was put off and is due, or that a process left behind; None if none is."""
        ...

    def kept(self, claim: Claim) -> AbstractAsyncContextManager[None]:
        """Keep the claim alive while the body runs."""
        ...

    async def settle(self, claim: Claim, event: ExecutionPlanned, at: datetime) -> bool:
        """Record the outcome; False when somebody else took the execution over."""
        ...

    async def postpone(self, claim: Claim, until: datetime, reason: Reason) -> None:
        """Record a failed attempt and when the next one begins."""
        ...

    async def published(self, execution_id: str, at: datetime) -> None:
        """Record that everything the outcome asks for was published."""
        ...

    async def unpublished(self, settled_before: datetime) -> Sequence[Settled[ExecutionPlanned]]:
        """Return outcomes that were recorded, but perhaps never published."""
        ...


class Units(Protocol):
    """Which units are rendered; each settles exactly once."""

    async def claim(self, request: ReportRequested) -> Claim | Settled[SettledUnit] | Busy:
        """Record a unit and take it, or say why not."""
        ...

    async def due(self) -> tuple[Claim, ReportRequested] | None:
        """Take a unit that was put off and is due, or that a process left behind; None if none is."""
        ...

    def kept(self, claim: Claim) -> AbstractAsyncContextManager[None]:
        """Keep the claim alive while the body runs."""
        ...

    async def settle(self, claim: Claim, event: SettledUnit, at: datetime) -> bool:
        """Record the outcome; False when somebody else took the unit over."""
        ...

    async def postpone(self, claim: Claim, until: datetime, reason: Reason) -> None:
        """Record a failed attempt and when the next one begins."""
        ...

    async def published(self, unit_id: str, at: datetime) -> None:
        """Record that the outcome was published."""
        ...

    async def unpublished(self, settled_before: datetime) -> Sequence[Settled[SettledUnit]]:
        """Return outcomes that were recorded, but perhaps never published."""
        ...


class Configuration(Protocol):
    """The configuration as it is at this moment."""

    async def setup(self, task_id: str) -> TaskSetup:
        """Return the task's head and current version."""
        ...

    async def catalog(self, task: TaskVersion) -> Catalog:
        """Return everything the version refers to that exists."""
        ...


class PreviewSources(Protocol):
    """What a preview is made of, as it is configured at this moment (runtime.configuration)."""

    async def report(self, report_id: str) -> Report | None:
        """Return a report."""
        ...

    async def template(self, template_id: str) -> Template | None:
        """Return a template in its current version."""
        ...

    async def recipients(self, ids: Iterable[str]) -> Mapping[str, Recipient]:
        """Return the recipients that exist, by id."""
        ...


class Questions(Protocol):
    """Asks Qlik what planning has to know."""

    async def answers(self, questions: Sequence[Question]) -> Mapping[Question, Answer]:
        """Return an answer to every question. Raises Transient when a site cannot be asked now."""
        ...


class Plans(Protocol):
    """Plans in the object store."""

    async def put(self, plan: ExecutionPlan) -> ObjectRef:
        """Store a plan under its content and return where."""
        ...

    async def load(self, ref: ObjectRef) -> ExecutionPlan:
        """Return a plan, verified. Raises Permanent when it is damaged or gone."""
        ...


@dataclass(frozen=True, slots=True)
class Spooled:
    """A table too long to be held: its rows lie in a file, batch after batch, as pickled lists of tuples."""

    path: Path
    columns: tuple[ColumnData, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that Qlik made by itself."""

    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What Qlik gave for a unit: values, tables and pictures by name, and under which selections.

    Instead of values and tables it may hold one long table that was spooled, or a whole file of Qlik's.
    """

    selections: tuple[Selection, ...]
    reloaded_at: datetime | None
    values: Mapping[str, Cell] = field(default_factory=dict)
    tables: Mapping[str, TableData] = field(default_factory=dict)
    images: Mapping[str, bytes | ChartSpec] = field(default_factory=dict)
    options: RenderOptions = field(default_factory=RenderOptions)
    spooled: Spooled | None = None
    exported: Exported | None = None
    warnings: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Unmet:
    """A condition of the unit is not met under its selections."""

    reason: Reason


class DataReader(Protocol):
    """Reads the data of a unit."""

    async def read(self, report: PlannedReport, unit: PlannedUnit, folder: Path) -> Reading | Unmet:
        """Return the data under the unit's selections, proved by Qlik, from one state of the app.

        What is too long to be held is left in `folder`, which the caller removes.

        Raises Permanent when Qlik refuses or the selections cannot be proved, Transient when it is out of
        order for now.
        """
        ...


class Files(Protocol):
    """Templates in, artifacts out."""

    async def template(self, ref: ObjectRef) -> bytes:
        """Return a template, verified. Raises Permanent when it is damaged or gone."""
        ...

    async def keep(self, key: str, content: bytes | Path, content_type: str) -> ObjectRef:
        """Store a finished file and return where."""
        ...


@dataclass(frozen=True, slots=True)
class Passwords:
    """What a finished file is locked with, in clear; empty is none. Never logged, never stored."""

    open: str = field(default="", repr=False)
    edit: str = field(default="", repr=False)
    zip: str = field(default="", repr=False)
    name: str = ""
    """Of the file inside an archive."""


@dataclass(frozen=True, slots=True)
class RenderJob:
    """A template, its data and the format asked for; picklable, nothing alive."""

    kind: TemplateKind
    template: bytes
    template_sha256: str
    data: RenderData
    output: OutputFormat
    options: RenderOptions = field(default_factory=RenderOptions)
    passwords: Passwords = field(default_factory=Passwords)
    spooled: Spooled | None = None
    """A long table, exported as it is; the file is then made beside it."""
    exported: Exported | None = None
    """A file that only has to be locked."""


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A finished file that was never in memory as a whole."""

    path: Path
    content_type: str
    warnings: tuple[str, ...] = ()


class Renderer(Protocol):
    """Turns data into a file."""

    async def render(self, job: RenderJob) -> Rendered | RenderedFile:
        """Return the file. Raises Permanent for a bad template or a limit that was hit."""
        ...
