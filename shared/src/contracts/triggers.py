"""What runs a task: times, and reloads of Qlik apps."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from contracts.base import Id, Utc, Wire

TimeOfDay = Annotated[
    str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="HH:MM in the trigger's time zone")
]


class CatchUp(StrEnum):
    """What happens to due times that were missed."""

    LATEST = "latest"
    ALL = "all"
    NONE = "none"


class CronRule(Wire):
    """Five-field cron, read in the trigger's time zone."""

    kind: Literal["cron"] = "cron"
    expression: Annotated[str, Field(min_length=9, max_length=200)]


class IntervalRule(Wire):
    """Every so many seconds, counted from the trigger's start."""

    kind: Literal["interval"] = "interval"
    every_seconds: Annotated[int, Field(ge=1, le=366 * 24 * 3600)]


class ScheduleTrigger(Wire):
    """Runs a task at times."""

    kind: Literal["schedule"] = "schedule"
    id: Id
    name: str = ""
    enabled: bool = True
    rule: Annotated[CronRule | IntervalRule, Field(discriminator="kind")]
    timezone: str = "UTC"
    start: Utc
    end: Utc | None = None
    catch_up: CatchUp = CatchUp.LATEST
    priority: Annotated[int, Field(ge=1, le=100)] = 50


class ReloadOn(StrEnum):
    """How a reload has to end to count. One that somebody cancelled never counts."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    FINISHED = "finished"


class WatchedApp(Wire):
    """A Qlik app that a trigger waits for; `name` is what people see."""

    connection_id: Id
    app_id: Id
    name: Annotated[str, Field(max_length=200)] = ""


class _OnReload(Wire):
    id: Id
    name: str = ""
    enabled: bool = True
    timezone: str = "UTC"
    start: Utc | None = None
    end: Utc | None = None
    priority: Annotated[int, Field(ge=1, le=100)] = 50


class ReloadTrigger(_OnReload):
    """Runs a task when a Qlik app has been reloaded."""

    kind: Literal["qlik-reload"] = "qlik-reload"
    connection_id: Id
    app_id: Id
    app_name: Annotated[str, Field(max_length=200)] = ""
    on: ReloadOn = ReloadOn.SUCCEEDED

    @property
    def watched(self) -> tuple[WatchedApp, ...]:
        """Return the apps the trigger waits for."""
        return (WatchedApp(connection_id=self.connection_id, app_id=self.app_id, name=self.app_name),)


class AnyReloadTrigger(_OnReload):
    """Runs a task at each reload of any of several apps, on one site or more."""

    kind: Literal["qlik-reload-any"] = "qlik-reload-any"
    apps: Annotated[tuple[WatchedApp, ...], Field(max_length=50)]
    on: ReloadOn = ReloadOn.SUCCEEDED

    @property
    def watched(self) -> tuple[WatchedApp, ...]:
        """Return the apps the trigger waits for."""
        return self.apps


class Weekday(StrEnum):
    """A day on which a window opens, in the trigger's time zone."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class LatePolicy(StrEnum):
    """What happens when a window is decided and apps are missing."""

    START = "start"
    SKIP = "skip"


class AllReloadsTrigger(_OnReload):
    """Runs a task once a day, when all of several apps have been reloaded since a time of day.

    A window opens at `since` on each of `days`. At `late_at`, or when the next day's window would open, it is
    decided without the apps that are missing: by `late`. See docs/architecture/scheduling.md.
    """

    kind: Literal["qlik-reload-all"] = "qlik-reload-all"
    apps: Annotated[tuple[WatchedApp, ...], Field(max_length=50)]
    since: TimeOfDay
    days: tuple[Weekday, ...] = tuple(Weekday)
    late_at: TimeOfDay | None = None
    late_next_day: bool = Field(default=False, description="late_at is on the day after the window opened")
    late: LatePolicy = LatePolicy.SKIP

    @property
    def watched(self) -> tuple[WatchedApp, ...]:
        """Return the apps the trigger waits for."""
        return self.apps


OnReloadTrigger = ReloadTrigger | AnyReloadTrigger | AllReloadsTrigger
Trigger = Annotated[ScheduleTrigger | OnReloadTrigger, Field(discriminator="kind")]
