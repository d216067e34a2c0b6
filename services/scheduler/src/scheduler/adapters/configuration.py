"""Tasks and connections as config-api stored them."""

from collections.abc import AsyncIterator

from runtime.configuration import ConfigurationReader
from runtime.errors import Permanent
from scheduler.ports import ConfiguredTask, UnreadableTask


class StoredTasks:
    """Implements `ports.Tasks`."""

    def __init__(self, reader: ConfigurationReader) -> None:
        """Take the reader of the configuration."""
        self._reader = reader

    async def all(self) -> AsyncIterator[ConfiguredTask | UnreadableTask]:
        """Yield every task with its current version. Raises Transient."""
        unreadable: list[UnreadableTask] = []

        def left_out(task_id: str, error: Permanent) -> None:
            unreadable.append(UnreadableTask(task_id, error.reason))

        async for head, version in self._reader.tasks_with_triggers(left_out):
            yield ConfiguredTask(enabled=head.enabled, version=version)
        for task in unreadable:
            yield task
