"""Reloads of a tenant, and the events they cause."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from qlik_simulator.apps.app import App
from qlik_simulator.cloud.events import (
    APP_RELOAD_FINISHED,
    DATA_UPDATED,
    RELOAD_FINISHED,
    TENANT,
    Event,
)
from qlik_simulator.site import Site, iso

Json = dict[str, Any]
RUNNING: Final = frozenset({"QUEUED", "RELOADING", "CANCELING"})


@dataclass
class CloudReload:
    """A reload request of a tenant."""

    id: str
    app_id: str
    user: str
    created: datetime
    type: str = "external"
    status: str = "QUEUED"
    started: datetime | None = None
    ended: datetime | None = None
    partial: bool = False
    weight: int = 1
    error_code: str = ""
    error_message: str = ""

    def shown(self) -> Json:
        """The reload as the API shows it; what has not happened yet is left out."""
        found: Json = {
            "id": self.id,
            "appId": self.app_id,
            "tenantId": TENANT,
            "userId": self.user,
            "type": self.type,
            "status": self.status,
            "creationTime": iso(self.created),
            "partial": self.partial,
            "weight": self.weight,
            "links": {"self": {"href": f"/api/v1/reloads/{self.id}"}},
        }
        for name, moment in (
            ("startTime", self.started),
            ("endTime", self.ended),
            ("engineTime", self.ended),
        ):
            if moment is not None:
                found[name] = iso(moment)
        if self.error_code:
            found |= {"errorCode": self.error_code, "errorMessage": self.error_message}
        if self.ended is not None:
            found["log"] = self.error_message or "Reload finished"
        return found


@dataclass
class CloudReloads:
    """The reloads of a tenant."""

    site: Site
    emit: Callable[[Event], None]
    all: dict[str, CloudReload] = field(default_factory=dict)

    def request(self, app: App, user: str, *, partial: bool = False, weight: int = 1) -> CloudReload:
        """A new reload, queued."""
        made = CloudReload(self.site.new_id(), app.id, user, self.site.now(), partial=partial, weight=weight)
        self.all[made.id] = made
        return made

    def start(self, found: CloudReload) -> None:
        """The engine works on it."""
        found.status, found.started = "RELOADING", self.site.now()

    def engine_finished(self, found: CloudReload, app: App, *, success: bool, message: str) -> None:
        """The engine is done with an attempt; the app is not saved yet."""
        data: Json = {
            "name": app.name,
            "status": "ok" if success else "error",
            "reloadId": found.id,
            "endTime": iso(self.site.now()),
            "duration": self._milliseconds(found),
            "errors": [] if success else [{"message": message}],
            "warnings": [],
            "size": {"memory": app.model.rows * 8},
            "isPartialReload": found.partial,
            "isSessionApp": False,
            "isSkipStore": False,
            "isDirectQueryMode": False,
            "peakMemoryBytes": app.model.rows * 16,
            "endedWithMemoryConstraint": False,
            "statements": [],
        }
        self._emit(APP_RELOAD_FINISHED, "com.qlik/engine", found, data)

    def saved(self, found: CloudReload, app: App) -> None:
        """The new data can be opened."""
        data = {
            "id": app.id,
            "name": app.name,
            "size": app.model.rows * 8,
            "spaceId": "",
            "lastReloadTime": iso(app.last_reload_time),
        }
        self._emit(DATA_UPDATED, "com.qlik/apps", found, data)

    def finish(self, found: CloudReload, app: App, *, success: bool, message: str) -> None:
        """The reload request is over."""
        found.ended = self.site.now()
        if found.status == "CANCELING":
            found.status = "CANCELED"
        else:
            found.status = "SUCCEEDED" if success else "FAILED"
        if found.status == "FAILED":
            found.error_code, found.error_message = "EngineConnectionError", message or "Reload failed"
        started = found.started or found.created
        data = {
            "id": found.id,
            "appId": app.id,
            "status": found.status,
            "succeeded": found.status == "SUCCEEDED",
            "type": found.type,
            "taskId": "",
            "partial": found.partial,
            "weight": found.weight,
            "creationTime": iso(found.created),
            "startTime": iso(started),
            "lastReloadTime": iso(app.last_reload_time),
            "durationSeconds": int((found.ended - started).total_seconds()),
            "errorCode": found.error_code,
            "errorMessage": found.error_message,
            "userId": found.user,
            "tenantId": TENANT,
            "resourceId": app.id,
            "resourceType": "app",
            "requeueCounters": {"requeuesTotal": 0, "requeuesWithErrors": 0},
        }
        self._emit(RELOAD_FINISHED, "com.qlik/reloads", found, data)

    def _milliseconds(self, found: CloudReload) -> int:
        return int((self.site.now() - (found.started or found.created)).total_seconds() * 1000)

    def _emit(self, event_type: str, source: str, found: CloudReload, data: Json) -> None:
        event = Event(self.site.new_id(), event_type, source, self.site.now(), found.user, found.app_id, data)
        self.emit(event)
