"""How we learn that an app has new data. Push is a hint, polling is the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from qlik.formats import parse_time

ReloadStatus = Literal["succeeded", "failed", "cancelled", "running"]

_EXECUTION: dict[int, ReloadStatus] = {
    6: "cancelled", 7: "succeeded", 8: "failed", 9: "cancelled", 11: "failed", 12: "cancelled",
}  # fmt: skip
_EXECUTION_NAME = {
    "Aborted": 6, "FinishedSuccess": 7, "FinishedFail": 8, "Skipped": 9, "Error": 11, "Reset": 12,
}  # fmt: skip
_CLOUD: dict[str, ReloadStatus] = {
    "SUCCEEDED": "succeeded", "FAILED": "failed", "CANCELED": "cancelled", "EXCEEDED_LIMIT": "failed",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReloadSeen:
    """A reload that was noticed, in one form wherever it came from.

    `reload_id` is the same however often and by whichever road the same reload is seen from one `source`, so
    it is the key to recognise repeats by. `last_reload_time` is when the data was loaded, to compare with the
    layout of the app that is opened. `began_at` is when it was started (QRS) or asked for (Cloud). All times
    are aware UTC.
    """

    source: Literal["qrs-execution", "qrs-app", "cloud-reload"]
    app_id: str
    reload_id: str
    status: ReloadStatus
    finished_at: datetime | None = None
    last_reload_time: datetime | None = None
    began_at: datetime | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will come of this reload."""
        return self.status != "running"


def from_execution(raw: Mapping[str, Any]) -> ReloadSeen | None:
    """A QRS ExecutionResult; None if it belongs to no app (user sync and other tasks).

    The id is that of the execution, which its several updates share, and not that of the row.
    """
    app_id = str(raw.get("appID") or raw.get("appId") or "")
    if not app_id or set(app_id) <= {"0", "-"}:
        return None
    status = raw.get("status")
    number = _EXECUTION_NAME.get(status, 0) if isinstance(status, str) else status
    running: ReloadStatus = "running"
    return ReloadSeen(
        source="qrs-execution",
        app_id=app_id,
        reload_id=str(raw.get("executionID") or raw.get("executionId") or raw.get("id") or ""),
        status=_EXECUTION.get(number, running) if isinstance(number, int) else running,
        finished_at=parse_time(raw.get("stopTime")),
        began_at=parse_time(raw.get("startTime")),
    )


def from_app(raw: Mapping[str, Any]) -> ReloadSeen | None:
    """A QRS App whose lastReloadTime moved: the only trace of a reload outside the scheduler.

    None if never loaded.
    """
    loaded = parse_time(raw.get("lastReloadTime"))
    app_id = str(raw.get("id") or "")
    if loaded is None or not app_id:
        return None
    return ReloadSeen(
        source="qrs-app",
        app_id=app_id,
        reload_id=f"{app_id}@{loaded.isoformat()}",
        status="succeeded",
        finished_at=loaded,
        last_reload_time=loaded,
    )


def from_cloud(raw: Mapping[str, Any]) -> ReloadSeen | None:
    """A reload of Qlik Cloud, from its list or from the data of `com.qlik.v1.reload.finished`."""
    app_id, reload_id = str(raw.get("appId") or ""), str(raw.get("id") or "")
    if not app_id or not reload_id:
        return None
    return ReloadSeen(
        source="cloud-reload",
        app_id=app_id,
        reload_id=reload_id,
        status=_CLOUD.get(str(raw.get("status") or "").upper(), "running"),
        finished_at=parse_time(raw.get("endTime")) or parse_time(raw.get("lastReloadTime")),
        last_reload_time=parse_time(raw.get("lastReloadTime")),
        began_at=parse_time(raw.get("creationTime")),
    )
