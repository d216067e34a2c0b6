"""The repository's view of the site: tasks, executions, change subscriptions, and what a reload does."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Final

from qlik_simulator.apps.app import App
from qlik_simulator.site import Site, iso

Json = dict[str, Any]
_LOG: Final = logging.getLogger(__name__)
NO_DATE: Final = "1753-01-01T00:00:00.000Z"  # how the repository writes an empty date
NO_ID: Final = "00000000-0000-0000-0000-000000000000"
NODE_ID: Final = "b3b1c8e2-6c1f-4c0e-9a55-0c4d1e5f7a10"
ADD, UPDATE, DELETE = 1, 2, 3


class Status(IntEnum):
    """The status of an execution, as the repository numbers it."""

    NEVER_STARTED = 0
    TRIGGERED = 1
    STARTED = 2
    QUEUED = 3
    ABORTED = 6
    SUCCESS = 7
    FAIL = 8
    SKIPPED = 9
    ERROR = 11


TERMINAL: Final = frozenset({Status.ABORTED, Status.SUCCESS, Status.FAIL, Status.SKIPPED, Status.ERROR})


@dataclass
class Task:
    """A reload task of an app."""

    id: str
    name: str
    app_id: str
    enabled: bool = True
    operational_id: str = ""
    last_result: str = ""


@dataclass
class Execution:
    """An ``ExecutionResult``."""

    id: str
    task_id: str
    app_id: str
    execution_id: str
    created: datetime
    status: Status
    start: datetime | None = None
    stop: datetime | None = None
    modified: datetime | None = None
    details: list[Json] = field(default_factory=list)


@dataclass(frozen=True)
class Subscription:
    """A change subscription: where changes of a type of entity are posted to."""

    handle: str
    type: str
    url: str
    change_type: int = 0  # 0: any
    entity_id: str = ""
    filter: str = ""
    property_name: str = ""


Post = Callable[[str, list[Json]], Awaitable[None]]


class Repository:
    """Tasks, executions and subscriptions of a site.

    Callbacks go out in the background, one request per change.
    """

    def __init__(self, site: Site, post: Post, matches: Callable[[str, Json], bool]) -> None:
        self._site = site
        self._post = post
        self._matches = matches
        self.tasks: dict[str, Task] = {}
        self.executions: dict[str, Execution] = {}
        self.sessions: dict[str, str] = {}  # execution session id -> execution result id
        self.subscriptions: dict[str, Subscription] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self.modified: dict[str, datetime] = {}

    def add_task(self, app: App, task_id: str) -> Task:
        """A reload task for an app."""
        task = Task(task_id, f"Reload {app.name}", app.id, operational_id=self._site.new_id())
        self.tasks[task.id] = task
        return task

    # what the repository shows

    def app_json(self, app: App) -> Json:
        """The ``App`` entity."""
        reloaded = iso(app.last_reload_time)
        return {
            "id": app.id,
            "createdDate": reloaded,
            "modifiedDate": reloaded,
            "modifiedByUserName": app.owner,
            "customProperties": [],
            "owner": self._owner(app.owner),
            "name": app.name,
            "appId": app.id,
            "publishTime": reloaded,
            "published": True,
            "tags": [],
            "description": app.description,
            "stream": {"id": "aaec8d41-5201-43ab-809f-3063750dfafd", "name": app.stream, "privileges": None},
            "fileSize": app.model.rows * 8,
            "lastReloadTime": reloaded,
            "thumbnail": "",
            "savedInProductVersion": "12.2528.0",
            "availabilityStatus": 2,
            "dynamicColor": "",
            "privileges": None,
            "schemaPath": "App",
        }

    @staticmethod
    def _owner(name: str) -> Json:
        directory, _, user = name.partition("\\")
        return {"id": NODE_ID, "userId": user, "userDirectory": directory, "name": user, "privileges": None}

    def execution_json(self, found: Execution) -> Json:
        """The ``ExecutionResult`` entity."""
        duration = (
            0 if found.start is None or found.stop is None else (found.stop - found.start) // _MILLISECOND
        )
        return {
            "id": found.id,
            "createdDate": iso(found.created),
            "modifiedDate": iso(found.modified or found.created),
            "modifiedByUserName": "INTERNAL\\sa_scheduler",
            "taskID": found.task_id,
            "executionID": found.execution_id,
            "appID": found.app_id,
            "executingNodeID": NODE_ID,
            "executingNodeName": "simulator",
            "status": int(found.status),
            "startTime": NO_DATE if found.start is None else iso(found.start),
            "stopTime": NO_DATE if found.stop is None else iso(found.stop),
            "duration": duration,
            "fileReferenceID": NO_ID,
            "scriptLogAvailable": False,
            "scriptLogLocation": "",
            "scriptLogSize": 0,
            "details": list(found.details),
            "privileges": None,
            "schemaPath": "ExecutionResult",
        }

    def task_json(self, task: Task) -> Json:
        """The ``ReloadTask`` entity."""
        app = self._site.apps[task.app_id]
        last = self.executions.get(task.last_result)
        stamp = iso(app.last_reload_time)
        return {
            "id": task.id,
            "createdDate": stamp,
            "modifiedDate": stamp,
            "modifiedByUserName": app.owner,
            "customProperties": [],
            "app": {
                "id": app.id,
                "name": app.name,
                "publishTime": stamp,
                "published": True,
                "stream": {
                    "id": "aaec8d41-5201-43ab-809f-3063750dfafd",
                    "name": app.stream,
                    "privileges": None,
                },
                "savedInProductVersion": "12.2528.0",
                "migrationHash": "",
                "availabilityStatus": 2,
                "privileges": None,
            },
            "isManuallyTriggered": True,
            "isPartialReload": False,
            "timeToLive": 0,
            "operational": {
                "id": task.operational_id,
                "lastExecutionResult": None if last is None else self.execution_json(last),
                "nextExecution": NO_DATE,
                "privileges": None,
            },
            "name": task.name,
            "taskType": 0,
            "enabled": task.enabled,
            "taskSessionTimeout": 1440,
            "maxRetries": 0,
            "tags": [],
            "privileges": None,
            "schemaPath": "ReloadTask",
        }

    def session_json(self, session_id: str) -> Json | None:
        """The ``ExecutionSession`` entity while the execution runs; None when it is over."""
        found = self.executions.get(self.sessions.get(session_id, ""))
        if found is None or found.status in TERMINAL:
            return None
        task = self.tasks.get(found.task_id)
        return {
            "id": session_id,
            "executingNode": {"id": NODE_ID, "name": "simulator", "privileges": None},
            "executionResult": self.execution_json(found),
            "abortAt": NO_DATE,
            "abortReason": 0,
            "reloadTask": None if task is None else {"id": task.id, "name": task.name, "privileges": None},
            "privileges": None,
            "schemaPath": "ExecutionSession",
        }

    # what happens

    def trigger(self, task: Task) -> tuple[Execution, str] | None:
        """Start a task: an execution and its session. None when it is disabled or runs already."""
        running = any(
            found.task_id == task.id and found.status not in TERMINAL for found in self.executions.values()
        )
        if not task.enabled or running:
            return None
        found = Execution(
            id=self._site.new_id(),
            task_id=task.id,
            app_id=task.app_id,
            execution_id=self._site.new_id(),
            created=self._site.now(),
            status=Status.TRIGGERED,
        )
        self.executions[found.id] = found
        session_id = self._site.new_id()
        self.sessions[session_id] = found.id
        task.last_result = found.id
        self.announce("ExecutionResult", found.id, ADD, [])
        return found, session_id

    def start(self, found: Execution) -> None:
        """The execution runs."""
        found.status, found.start = Status.STARTED, self._site.now()
        self._update(found, ["status", "startTime", "modifiedDate"])

    def finish(self, found: Execution, *, success: bool, message: str = "") -> None:
        """The execution is over: status, stop time and log come as separate changes, as on a real site."""
        found.status = Status.SUCCESS if success else Status.FAIL
        self._update(found, ["status", "modifiedDate"])
        found.stop = self._site.now()
        self._update(found, ["modifiedDate", "stopTime", "duration"])
        found.details.append(
            {
                "id": self._site.new_id(),
                "detailsType": 2 if success else 0,
                "message": message or ("Reload finished" if success else "Reload failed"),
                "detailCreatedDate": iso(self._site.now()),
                "privileges": None,
            }
        )
        self._update(found, ["details", "scriptLogAvailable", "modifiedDate"])

    def _update(self, found: Execution, properties: list[str]) -> None:
        found.modified = self._site.now()
        self.announce("ExecutionResult", found.id, UPDATE, properties)

    def app_changed(self, app: App) -> None:
        """An app has new data."""
        self.announce("App", app.id, UPDATE, ["lastReloadTime", "modifiedDate", "fileSize"])

    def entity(self, entity_type: str, entity_id: str) -> Json | None:
        """The JSON of an entity."""
        if entity_type == "ExecutionResult" and entity_id in self.executions:
            return self.execution_json(self.executions[entity_id])
        if entity_type == "App" and entity_id in self._site.apps:
            return self.app_json(self._site.apps[entity_id])
        if entity_type == "ReloadTask" and entity_id in self.tasks:
            return self.task_json(self.tasks[entity_id])
        return None

    def announce(self, entity_type: str, entity_id: str, change: int, properties: list[str]) -> None:
        """Call everybody who subscribed to this change."""
        for subscription in list(self.subscriptions.values()):
            if self._concerns(subscription, entity_type, entity_id, change, properties):
                body = [self._change(entity_type, entity_id, change, properties)]
                fault = self._site.faults.take("callback", entity_type)
                if fault is not None and fault.kind == "lose":
                    continue
                copies = 2 if fault is not None and fault.kind == "duplicate" else 1
                delay = fault.seconds if fault is not None and fault.kind == "late" else 0.0
                for _ in range(copies):
                    self._send(subscription.url, body, delay)

    def _concerns(
        self, found: Subscription, entity_type: str, entity_id: str, change: int, properties: list[str]
    ) -> bool:
        if found.type != entity_type or (found.change_type and found.change_type != change):
            return False
        if found.entity_id and found.entity_id != entity_id:
            return False
        name = found.property_name
        if name.startswith("!") and properties == [name[1:]]:
            return False
        if name and not name.startswith("!") and name not in properties:
            return False
        entity = self.entity(entity_type, entity_id)
        if found.filter and change != DELETE and entity is not None:
            return self._matches(found.filter, entity)
        return True

    def _change(self, entity_type: str, entity_id: str, change: int, properties: list[str]) -> Json:
        moment = iso(self._site.now())
        return {
            "changeType": change,
            "objectType": entity_type,
            "objectID": entity_id,
            "changedProperties": properties,
            "engineID": "",
            "engineType": "",
            "originatorNodeID": NODE_ID,
            "originatorHostName": "simulator",
            "originatorContextID": None,
            "createdDate": moment,
            "modifiedDate": moment,
            "schemaPath": "ExternalChangeInfo",
        }

    def _send(self, url: str, body: list[Json], delay: float) -> None:
        async def work() -> None:
            await asyncio.sleep(delay)
            try:
                await self._post(url, body)
            except Exception as error:  # noqa: BLE001 - a subscriber that is away is no concern of the repository
                _LOG.warning("a callback to %s failed: %s", url, error)

        task = asyncio.create_task(work())
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def close(self) -> None:
        """Drop the callbacks that are under way."""
        for task in self._sending:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._sending, return_exceptions=True)


_MILLISECOND: Final = timedelta(milliseconds=1)
