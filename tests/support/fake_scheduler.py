"""The scheduler's ports in memory."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from contracts.events import TaskTriggered, TriggerSkipped
from contracts.schedules import TriggerProblem
from scheduler.domain.model import Cursor
from scheduler.domain.reloads import Awaited, Reload, ReloadStatus
from scheduler.ports import ConfiguredTask, Note, UnreadableTask


class FakeTasks:
    def __init__(self, *tasks: ConfiguredTask | UnreadableTask) -> None:
        self.tasks = list(tasks)

    async def all(self) -> AsyncIterator[ConfiguredTask | UnreadableTask]:
        for task in self.tasks:
            yield task


class FakeOccurrences:
    def __init__(self) -> None:
        self.recorded: dict[str, TaskTriggered | TriggerSkipped] = {}
        self.recorded_at: dict[str, datetime] = {}
        self.cursors: dict[str, Cursor] = {}
        self.broken: dict[str, Exception] = {}
        """What recording an occurrence of a trigger raises."""

    async def cursor(self, trigger_id: str) -> Cursor | None:
        return self.cursors.get(trigger_id)

    async def record(self, events: Sequence[TaskTriggered | TriggerSkipped], at: datetime) -> int:
        if (error := self.broken.get(events[0].trigger.trigger_id)) is not None:
            raise error
        new = [event for event in events if event.execution_id not in self.recorded]
        self.recorded |= {event.execution_id: event for event in new}
        self.recorded_at |= {event.execution_id: at for event in new}
        return len(new)

    async def skipped_after(self, execution_ids: Sequence[str], at: datetime) -> set[str]:
        found = {key: self.recorded_at[key] for key in execution_ids if key in self.recorded}
        return {
            key
            for key, recorded_at in found.items()
            if recorded_at > at and isinstance(self.recorded[key], TriggerSkipped)
        }

    async def move(self, trigger_id: str, before: Cursor | None, after: Cursor) -> bool:
        if self.cursors.get(trigger_id) != before:
            return False
        self.cursors[trigger_id] = after
        return True


class FakeReloadSource:
    def __init__(self, *reloads: Reload, settle: timedelta = timedelta(0)) -> None:
        self.settle = settle
        self.reloads = list(reloads)

    async def since(self, mark: datetime) -> Sequence[Reload]:
        found = [each for each in self.reloads if each.finished_at >= mark]
        return sorted(found, key=lambda each: each.finished_at)


class FakeSiteApps:
    def __init__(self, *ids: str) -> None:
        self.ids = set(ids)
        self.away: Exception | None = None

    async def __call__(self, waited_for: Collection[str]) -> Collection[str]:
        del waited_for
        if self.away is not None:
            raise self.away
        return self.ids


class FakeReloadMarks:
    def __init__(self) -> None:
        self.marks: dict[str, datetime] = {}
        self.reads: dict[str, datetime] = {}

    async def get(self, connection_id: str) -> datetime | None:
        return self.marks.get(connection_id)

    async def advance(self, connection_id: str, to: datetime) -> None:
        self.marks[connection_id] = max(to, self.marks.get(connection_id, to))

    async def set_back(self, connection_id: str, to: datetime) -> None:
        self.marks[connection_id] = self.reads[connection_id] = to

    async def read(self, connection_id: str, at: datetime) -> None:
        self.reads[connection_id] = max(at, self.reads.get(connection_id, at))

    async def read_at(self, connection_ids: Collection[str]) -> Mapping[str, datetime]:
        return {key: self.reads[key] for key in connection_ids if key in self.reads}


class FakeSightings:
    def __init__(self) -> None:
        self.waits_for: dict[str, dict[Awaited, datetime]] = {}
        self.notes: dict[tuple[str, datetime, str, str, ReloadStatus], Note] = {}

    async def known(self, trigger_id: str) -> Mapping[Awaited, datetime]:
        return self.waits_for.get(trigger_id, {})

    async def keep(self, trigger_id: str, known: Mapping[Awaited, datetime]) -> None:
        self.waits_for[trigger_id] = dict(known)

    async def note(self, notes: Sequence[Note]) -> None:
        for each in notes:
            reload = each.reload
            key = (each.trigger_id, each.opens_at, reload.connection_id, reload.app_id, reload.status)
            self.notes.setdefault(key, each)

    async def noted(self, trigger_id: str, after: datetime) -> Sequence[Reload]:
        return [
            each.reload
            for each in self.notes.values()
            if each.trigger_id == trigger_id and each.opens_at > after
        ]


class FakeTriggerProblems:
    def __init__(self) -> None:
        self.found: dict[str, list[TriggerProblem]] = {}

    async def replace(self, source: str, found: Sequence[TriggerProblem]) -> Sequence[TriggerProblem]:
        before = {(each.task_id, each.trigger_id) for each in self.found.get(source, [])}
        self.found[source] = list(found)
        return [each for each in found if (each.task_id, each.trigger_id) not in before]

    def codes(self, source: str = "scheduler") -> dict[str, str]:
        return {each.trigger_id: each.reason.code for each in self.found.get(source, [])}


class FakeEvents:
    """`away` is what remembering raises."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str]] = set()
        self.away: Exception | None = None

    async def first(self, connection_id: str, event_id: str, at: datetime) -> bool:
        del at
        if self.away is not None:
            raise self.away
        new = (connection_id, event_id) not in self.seen
        self.seen.add((connection_id, event_id))
        return new
