"""Faults on command: what goes wrong, at which call, and how often."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

PLACES: Final = {
    "engine": {
        "drop": "the socket is cut without a close frame",
        "stall": "the call is never answered",
        "late": "the answer comes after `seconds`; later calls are answered before it",
        "malformed": "a frame that is not JSON",
        "error": "an error reply with `code` (15: aborted)",
        "reload": "the app is reloaded before the call is answered",
        "close": "the socket is closed with `code`",
        "notify": "the notification `topic` is sent, then the socket is closed",
    },
    "upgrade": {"refuse": "the upgrade is answered with the HTTP status `code`"},
    "greeting": {
        "silent": "no greeting comes",
        "notify": "the notification `topic` comes instead, then the socket is closed",
        "close": "the socket is closed with `code` at once",
        "state": "OnConnected carries the session state `topic`",
    },
    "qrs": {"refuse": "HTTP status `code`; 302 leads to the login page, `topic` is the text"},
    "cloud": {"refuse": "HTTP status `code`; 429 carries Retry-After: `seconds`"},
    "callback": {
        "lose": "the callback or webhook is not sent",
        "duplicate": "it is sent twice",
        "late": "it is sent after `seconds`, so that later ones overtake it",
    },
    "report": {
        "fail": "the report ends with status failed and the reason `topic`",
        "stay": "the report stays in processing",
    },
}


class FaultError(ValueError):
    """A fault command that cannot be carried out; the message says what to change."""


@dataclass
class Fault:
    """When a call of ``method`` comes for the ``after + 1``-th time, ``kind`` happens, ``times`` times.

    ``method`` is a method of the engine or a path of an HTTP interface, with ``*`` for anything; empty is
    all.
    """

    kind: str
    method: str = ""
    after: int = 0
    times: int = 1
    code: int = 15
    seconds: float = 0.0
    topic: str = ""
    user: str = ""  # only calls of this user
    seen: int = 0

    def hits(self, method: str, user: str) -> bool:
        """Count a call and say whether the fault happens now."""
        if (self.method and not fnmatchcase(method, self.method)) or (self.user and self.user != user):
            return False
        self.seen += 1
        return self.after < self.seen <= self.after + self.times

    @property
    def is_spent(self) -> bool:
        """Whether it will not happen any more."""
        return self.seen >= self.after + self.times


@dataclass
class Faults:
    """The faults that wait to happen, by the place they happen at."""

    waiting: dict[str, list[Fault]] = field(default_factory=dict)

    def add(self, place: str, fault: Fault) -> None:
        """Order a fault at one of `PLACES`. Raises `FaultError` when it cannot happen there."""
        kinds = PLACES.get(place)
        if kinds is None or fault.kind not in kinds:
            known = ", ".join(kinds or PLACES)
            raise FaultError(f"{fault.kind} cannot happen at {place}; there is: {known}")
        self.waiting.setdefault(place, []).append(fault)

    def take(self, place: str, method: str, user: str = "") -> Fault | None:
        """The fault that happens at this call, or None."""
        faults = self.waiting.get(place, [])
        hit = next((fault for fault in faults if fault.hits(method, user)), None)
        self.waiting[place] = [fault for fault in faults if not fault.is_spent]
        return hit

    def clear(self) -> None:
        """Forget every fault."""
        self.waiting.clear()


def fault_of(given: Mapping[str, Any]) -> Fault:
    """Read a fault command. Raises `FaultError`."""
    allowed = {"kind", "method", "after", "times", "code", "seconds", "topic", "user"}
    unknown = set(given) - allowed
    if unknown:
        raise FaultError(
            f"unknown members {', '.join(sorted(unknown))}; there are {', '.join(sorted(allowed))}"
        )
    try:
        return Fault(
            kind=str(given["kind"]),
            method=str(given.get("method", "")),
            after=int(given.get("after", 0)),
            times=int(given.get("times", 1)),
            code=int(given.get("code", 15)),
            seconds=float(given.get("seconds", 0.0)),
            topic=str(given.get("topic", "")),
            user=str(given.get("user", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FaultError(f"a fault needs at least a kind: {error}") from error
