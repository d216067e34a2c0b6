"""The simulated site.

Its apps, who may come in, its faults, its policy, and the clock and id source of everything.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from qlik_simulator.apps.app import App
from qlik_simulator.credentials import Credentials
from qlik_simulator.faults import Faults

ENGINE_VERSION: Final = "12.2528.0"
MOST_SESSIONS: Final = 5  # parallel sessions of one user through the proxy


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(tz=UTC)


def new_id() -> str:
    """A random GUID."""
    return str(uuid.uuid4())


@dataclass
class Policy:
    """What the proxy allows."""

    most_sessions: int = MOST_SESSIONS
    unlicensed: set[str] = field(default_factory=set)  # users without an access assignment
    prefixes: set[str] = field(
        default_factory=lambda: {"", "jwt"}
    )  # virtual proxies linked to the central proxy
    origins: set[str] = field(default_factory=set)  # host allow-list; empty: every origin
    hang_after_ping: bool = False  # the first request after a ping through the proxy is never answered


@dataclass
class Site:
    """Everything the engine, the repository and the Cloud endpoints share."""

    credentials: Credentials
    apps: dict[str, App] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    policy: Policy = field(default_factory=Policy)
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
