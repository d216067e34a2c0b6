"""Reloading an app: new data and a new reload time, seen by the engine, the repository and the subscribers."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from qlik_simulator.apps.app import App
from qlik_simulator.domain.model import DataModel
from qlik_simulator.repository import Execution, Repository, Task
from qlik_simulator.site import Site

_TICK: Final = timedelta(milliseconds=1)
Refresh = Callable[[App], DataModel]


class Reloads:
    """Carries out reloads. An open session keeps the data it opened; a new one sees the new data."""

    def __init__(self, site: Site, repository: Repository, refresh: Refresh) -> None:
        self._site = site
        self._repository = repository
        self._refresh = refresh
        self._running: set[asyncio.Task[None]] = set()

    def renew(self, app: App) -> None:
        """New data at once, without an execution: what a reload in the data load editor leaves behind."""
        app.model = self._refresh(app)
        app.last_reload_time = max(self._site.now(), app.last_reload_time + _TICK)
        self._repository.app_changed(app)

    async def run(self, found: Execution, *, success: bool, seconds: float = 0.0, message: str = "") -> None:
        """Run an execution to its end, ``seconds`` long."""
        app = self._site.apps[found.app_id]
        self._site.reloading.add(app.id)
        try:
            self._repository.start(found)
            await asyncio.sleep(seconds)
            if success:
                self.renew(app)
        finally:
            self._site.reloading.discard(app.id)
        self._repository.finish(found, success=success, message=message)

    def start(
        self, task: Task, *, success: bool = True, seconds: float = 0.0, message: str = ""
    ) -> str | None:
        """Start a task in the background; the id of the execution session, or None when it cannot be started."""
        triggered = self._repository.trigger(task)
        if triggered is None:
            return None
        found, session_id = triggered
        running = asyncio.create_task(self.run(found, success=success, seconds=seconds, message=message))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return session_id

    async def close(self) -> None:
        """Drop what is running."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
