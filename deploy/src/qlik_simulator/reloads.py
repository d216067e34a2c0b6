"""Reloading an app: new data and a new reload time, seen by engine, repository, tenant and subscribers."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from qlik_simulator.apps.app import App
from qlik_simulator.cloud.reloads import CloudReload, CloudReloads
from qlik_simulator.domain.model import DataModel
from qlik_simulator.repository import Execution, Repository, Task
from qlik_simulator.site import Site

_TICK: Final = timedelta(milliseconds=1)
Refresh = Callable[[App], DataModel]


@dataclass(frozen=True)
class Course:
    """How a reload goes: whether it succeeds, how long it takes in seconds, and what the log says."""

    success: bool = True
    seconds: float = 0.0
    message: str = ""


@dataclass(frozen=True)
class Records:
    """Where a reload leaves traces: an execution of the repository, a reload of the tenant, both or none."""

    execution: Execution | None = None
    cloud: CloudReload | None = None


class Reloads:
    """Carries out reloads. An open session keeps the data it opened; a new one sees the new data."""

    def __init__(self, site: Site, repository: Repository, cloud: CloudReloads, refresh: Refresh) -> None:
        self._site = site
        self._repository = repository
        self._cloud = cloud
        self._refresh = refresh
        self._running: set[asyncio.Task[None]] = set()

    def renew(self, app: App) -> None:
        """New data at once, without an execution: what a reload in the data load editor leaves behind."""
        app.model = self._refresh(app)
        app.last_reload_time = max(self._site.now(), app.last_reload_time + _TICK)
        self._repository.app_changed(app)

    async def run(self, app: App, course: Course, records: Records) -> None:
        """Reload an app. The event of the engine comes before the data is saved, as on a real tenant."""
        execution, cloud = records.execution, records.cloud
        self._site.reloading.add(app.id)
        try:
            if execution is not None:
                self._repository.start(execution)
            if cloud is not None:
                self._cloud.start(cloud)
            await asyncio.sleep(course.seconds)
            success = course.success and (cloud is None or cloud.status != "CANCELING")
            if cloud is not None:
                self._cloud.engine_finished(cloud, app, success=success, message=course.message)
            if success:
                self.renew(app)
        finally:
            self._site.reloading.discard(app.id)
        if cloud is not None:
            if success:
                self._cloud.saved(cloud, app)
            self._cloud.finish(cloud, app, success=success, message=course.message)
        if execution is not None:
            self._repository.finish(execution, success=success, message=course.message)

    def start_task(self, task: Task) -> str | None:
        """Start a task in the background.

        The id of the execution session, or None when it cannot be started.
        """
        triggered = self._repository.trigger(task)
        if triggered is None:
            return None
        found, session_id = triggered
        self._start(self.run(self._site.apps[task.app_id], Course(), Records(execution=found)))
        return session_id

    def start_cloud(self, found: CloudReload) -> None:
        """Start a reload of the tenant in the background."""
        self._start(self.run(self._site.apps[found.app_id], Course(), Records(cloud=found)))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        running = asyncio.create_task(work)
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Drop what is running."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
