"""The simulated site: its apps, its users, its sessions, and the clock and id source everything uses."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from qlik_simulator.apps.app import App
from qlik_simulator.faults import Faults

ENGINE_VERSION = "12.2528.0"


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(tz=UTC)


def new_id() -> str:
    """A random GUID."""
    return str(uuid.uuid4())


@dataclass
class Site:
    """Everything the engine, the repository and the Cloud endpoints share."""

    apps: dict[str, App] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)  # bearer token -> user
    faults: Faults = field(default_factory=Faults)
    now: Callable[[], datetime] = utc_now
    new_id: Callable[[], str] = new_id
    reloading: set[str] = field(default_factory=set)  # ids of apps that are being reloaded

    def app(self, id_or_name: str) -> App | None:
        """The app of that id, or else of that name."""
        found = self.apps.get(id_or_name)
        return found or next((app for app in self.apps.values() if app.name == id_or_name), None)


def iso(moment: datetime) -> str:
    """A moment as Qlik writes it: UTC, milliseconds, ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
