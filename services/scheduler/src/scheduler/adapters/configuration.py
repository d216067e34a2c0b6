"""Tasks and connections as config-api stored them."""

from collections.abc import AsyncIterator

from runtime.configuration import ConfigurationReader
from scheduler.ports import ConfiguredTask


class StoredTasks:
    """Implements `ports.Tasks`."""

    def __init__(self, reader: ConfigurationReader) -> None:
        """Take the reader of the configuration."""
        self._reader = reader

    async def all(self) -> AsyncIterator[ConfiguredTask]:
        """Yield every task with its current version. Raises Transient."""
        async for head, version in self._reader.tasks_with_triggers():
            yield ConfiguredTask(enabled=head.enabled, version=version)
