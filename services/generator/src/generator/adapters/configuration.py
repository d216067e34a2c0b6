"""The configuration a plan is made of, read from config-api's collections at the moment of planning."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from contracts.configuration import TaskVersion
from generator.domain.request import Catalog, TaskSetup
from runtime.configuration import ConfigurationReader

T = TypeVar("T")


class StoredConfiguration:
    """The Configuration port on MongoDB."""

    def __init__(self, reader: ConfigurationReader) -> None:
        """Take the reader of config-api's collections."""
        self._reader = reader

    async def setup(self, task_id: str) -> TaskSetup:
        """Return the task's head and current version."""
        head = await self._reader.task_head(task_id)
        version = await self._reader.task_version(task_id, head.current_version) if head else None
        return TaskSetup(head, version)

    async def catalog(self, task: TaskVersion) -> Catalog:
        """Return everything the version refers to that exists."""
        groups = await self._reader.groups(item.group_id for item in task.recipients if item.group_id)
        members = [member for group in groups.values() for member in group.members]
        named = [item.recipient_id for item in task.recipients if item.recipient_id]
        reports = await _each((item.report_id for item in task.reports), self._reader.report)
        used = (report.template_id for report in reports.values() if report.template_id)
        spaces = (target.storage_id for item in task.reports for target in item.storage)
        return Catalog(
            reports=reports,
            templates=await _each(used, self._reader.template),
            recipients=await self._reader.recipients([*named, *members]),
            groups=groups,
            storage=await _each(spaces, self._reader.storage_space),
        )


async def _each(ids: Iterable[str], read: Callable[[str], Awaitable[T | None]]) -> dict[str, T]:
    found = {key: await read(key) for key in dict.fromkeys(ids)}
    return {key: entity for key, entity in found.items() if entity is not None}
