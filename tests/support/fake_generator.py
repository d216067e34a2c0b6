"""The generator's ports in memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Generic, TypeVar

from contracts.base import Event, ObjectRef, Reason
from contracts.configuration import TaskVersion
from contracts.events import ExecutionPlanned, ReportRequested
from contracts.plan import ExecutionPlan, PlannedReport, PlannedUnit
from generator.domain.request import Answer, Catalog, Firing, Question, TaskSetup
from generator.ports import Busy, Claim, Reading, RenderedFile, RenderJob, Settled, SettledUnit, Unmet
from rendering.model import Rendered
from runtime.clock import Clock
from runtime.errors import Permanent
from support.tasks import answered

E = TypeVar("E")


class FakePublisher:
    """Keeps what was published; `failing` raises for so many calls."""

    def __init__(self) -> None:
        self.events: list[tuple[Event, datetime | None]] = []
        self.failing: list[Exception] = []

    async def publish(
        self, event: Event, *, occurred_at: datetime | None = None, trace: Mapping[str, str] | None = None
    ) -> None:
        del trace
        if self.failing:
            raise self.failing.pop(0)
        self.events.append((event, occurred_at))

    async def publish_all(self, events: Sequence[Event], *, occurred_at: datetime | None = None) -> None:
        for event in events:
            await self.publish(event, occurred_at=occurred_at)


class _FakeWork(Generic[E]):
    """One row at a time: free, claimed or settled."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.settled: dict[str, Settled[E]] = {}
        self.claims: dict[str, Claim] = {}
        self.attempts: dict[str, int] = {}
        self.first_seen: dict[str, datetime] = {}
        self.taken_over = False
        self.requests: dict[str, Any] = {}
        self.waiting: dict[str, datetime] = {}
        self.errors: list[Reason] = []
        self.published_ids: list[str] = []

    def _claim(self, key: str, request: Any, seen: datetime) -> Claim | Settled[E] | Busy:
        if key in self.settled:
            return self.settled[key]
        if key in self.claims or self.waiting.get(key, self.clock.now()) > self.clock.now():
            return Busy()
        self.waiting.pop(key, None)
        self.requests.setdefault(key, request)
        self.attempts[key] = self.attempts.get(key, 0) + 1
        first = self.first_seen.setdefault(key, seen)
        self.claims[key] = Claim(key, f"token-{self.attempts[key]}", self.attempts[key], first)
        return self.claims[key]

    @asynccontextmanager
    async def kept(self, claim: Claim) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            # As when the lease of a process that failed has run out.
            self.claims.pop(claim.id, None)
            raise

    async def due(self) -> tuple[Claim, Any] | None:
        for key, until in list(self.waiting.items()):
            if until <= self.clock.now():
                claim = self._claim(key, None, self.clock.now())
                assert isinstance(claim, Claim)
                return claim, self.requests[key]
        return None

    async def postpone(self, claim: Claim, until: datetime, reason: Reason) -> None:
        assert self.claims.pop(claim.id) == claim
        self.waiting[claim.id] = until
        self.errors.append(reason)

    async def published(self, key: str, at: datetime) -> None:
        del at
        self.published_ids.append(key)

    async def unpublished(self, settled_before: datetime) -> list[Settled[E]]:
        return [
            each
            for key, each in self.settled.items()
            if key not in self.published_ids and each.at < settled_before
        ]

    async def settle(self, claim: Claim, event: E, at: datetime) -> bool:
        if self.taken_over or self.claims.get(claim.id) != claim:
            return False
        del self.claims[claim.id]
        self.settled[claim.id] = Settled(event, at)
        return True


class FakeExecutions(_FakeWork[ExecutionPlanned]):
    """The Executions port."""

    async def claim(self, firing: Firing) -> Claim | Settled[ExecutionPlanned] | Busy:
        return self._claim(firing.execution_id, firing, firing.fired_at)


class FakeUnits(_FakeWork[SettledUnit]):
    """The Units port."""

    async def claim(self, request: ReportRequested) -> Claim | Settled[SettledUnit] | Busy:
        return self._claim(request.unit_id, request, self.clock.now())


class FakeConfiguration:
    """The Configuration port."""

    def __init__(self, setup: TaskSetup, catalog: Catalog) -> None:
        self.found, self.everything = setup, catalog
        self.failing: list[Exception] = []

    async def setup(self, task_id: str) -> TaskSetup:
        del task_id
        return self.found

    async def catalog(self, task: TaskVersion) -> Catalog:
        del task
        if self.failing:
            raise self.failing.pop(0)
        return self.everything


class FakeQuestions:
    """The Questions port: gives every iteration the same values."""

    def __init__(self, values: Sequence[str] = ()) -> None:
        self.values = values
        self.failing: list[Exception] = []
        self.rounds = 0

    async def answers(self, questions: Sequence[Question]) -> Mapping[Question, Answer]:
        self.rounds += 1
        if self.failing:
            raise self.failing.pop(0)
        return answered(questions, self.values)


class FakePlans:
    """The Plans port."""

    def __init__(self) -> None:
        self.held: dict[str, ExecutionPlan] = {}

    async def put(self, plan: ExecutionPlan) -> ObjectRef:
        body = plan.model_dump_json().encode()
        digest = sha256(body).hexdigest()
        self.held[digest] = plan
        return ObjectRef(key=f"plans/{digest}.json", size=len(body), sha256=digest)

    async def load(self, ref: ObjectRef) -> ExecutionPlan:
        if ref.sha256 not in self.held:
            raise Permanent("object-missing", f"no {ref.key}")
        return self.held[ref.sha256]


class FakeReader:
    """The DataReader port: gives `reading`, after raising what is `failing`."""

    def __init__(self, reading: Reading | Unmet) -> None:
        self.reading = reading
        self.failing: list[BaseException] = []
        self.asked: list[PlannedUnit] = []
        self.folders: list[Path] = []

    async def read(self, report: PlannedReport, unit: PlannedUnit, folder: Path) -> Reading | Unmet:
        del report
        self.folders.append(folder)
        self.asked.append(unit)
        if self.failing:
            raise self.failing.pop(0)
        return self.reading


class FakeFiles:
    """The Files port."""

    def __init__(self) -> None:
        self.artifacts: dict[str, bytes] = {}

    async def template(self, ref: ObjectRef) -> bytes:
        return ref.key.encode()

    async def keep(self, key: str, content: bytes | Path, content_type: str) -> ObjectRef:
        content = content if isinstance(content, bytes) else content.read_bytes()  # noqa: ASYNC240 - a fake
        self.artifacts[key] = content
        digest = sha256(content).hexdigest()
        return ObjectRef(key=key, size=len(content), sha256=digest, content_type=content_type)


class FakeRenderer:
    """The Renderer port: makes a file that names its template."""

    def __init__(self) -> None:
        self.jobs: list[RenderJob] = []
        self.failing: list[Exception] = []
        self.gives: Rendered | RenderedFile | None = None

    async def render(self, job: RenderJob) -> Rendered | RenderedFile:
        self.jobs.append(job)
        if self.failing:
            raise self.failing.pop(0)
        return self.gives or Rendered(b"made from " + job.template, "text/plain", "txt", ("mind the gap",))
