"""Sessions: keyed by user, app and identity.

Sockets with the same key share everything; that is the danger.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from qlik_simulator.engine.document import Document

DEFAULT_IDLE: Final = 1800.0  # seconds a session stays after its last socket when the URL has no ttl


@dataclass(frozen=True)
class SessionKey:
    """What makes two sockets share one session."""

    user: str
    app: str
    identity: str


class Listener(Protocol):
    """A socket of a session, as the session sees it."""

    def push_changes(self) -> None:
        """Tell the client that everything it holds may have changed."""

    def end(self, code: int, reason: str) -> None:
        """Close the socket."""


@dataclass
class EngineSession:
    """One engine session.

    ``version`` grows with every change of selections or variables: what is being calculated for an older
    version is aborted.
    """

    key: SessionKey
    document: Document | None = None
    version: int = 0
    listeners: list[Listener] = field(default_factory=list)
    ending: asyncio.TimerHandle | None = None
    aborted: set[int] = field(default_factory=set)

    def changed(self, by: Listener | None) -> None:
        """Selections, variables or objects changed: abort what runs, tell the other sockets."""
        self.version += 1
        for listener in self.listeners:
            if listener is not by:
                listener.push_changes()


class Sessions:
    """The sessions of the engine."""

    def __init__(self, idle: float = DEFAULT_IDLE) -> None:
        self._idle = idle
        self._by_key: dict[SessionKey, EngineSession] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def all(self) -> list[EngineSession]:
        """Every session, connected or lingering."""
        return list(self._by_key.values())

    def has(self, key: SessionKey) -> bool:
        """Whether there is a session of that key."""
        return key in self._by_key

    def count(self, user: str) -> int:
        """How many sessions a user has, those that linger included."""
        return sum(key.user == user for key in self._by_key)

    def attach(self, key: SessionKey) -> tuple[EngineSession, bool]:
        """The session of a key, and whether it was there already."""
        found = self._by_key.get(key)
        if found is not None:
            if found.ending is not None:
                found.ending.cancel()
                found.ending = None
            return found, True
        made = EngineSession(key)
        self._by_key[key] = made
        return made, False

    def detach(self, session: EngineSession, listener: Listener, ttl: float | None) -> None:
        """A socket is gone.

        After the last one the session lingers for ``ttl`` seconds, then it is forgotten.
        """
        if listener in session.listeners:
            session.listeners.remove(listener)
        if session.listeners or self._by_key.get(session.key) is not session:
            return
        delay = self._idle if ttl is None else ttl
        session.ending = asyncio.get_running_loop().call_later(delay, self._forget, session)

    def end(self, matches: Callable[[SessionKey], bool], code: int, reason: str) -> int:
        """End sessions at once and close their sockets; the answer is how many."""
        ended = [session for session in self.all() if matches(session.key)]
        for session in ended:
            self._forget(session)
            for listener in list(session.listeners):
                listener.end(code, reason)
        return len(ended)

    def close(self) -> None:
        """Cancel all timers."""
        for session in self.all():
            if session.ending is not None:
                session.ending.cancel()
        self._by_key.clear()

    def _forget(self, session: EngineSession) -> None:
        if session.ending is not None:
            session.ending.cancel()
        if self._by_key.get(session.key) is session:
            del self._by_key[session.key]
