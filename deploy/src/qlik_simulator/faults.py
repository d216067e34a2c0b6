"""Faults on command: what goes wrong, at which call, and how often."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

EngineFault = Literal[
    "drop",  # the socket is cut without a close frame
    "stall",  # no answer ever
    "late",  # the answer comes after `seconds`
    "malformed",  # a frame that is not JSON
    "error",  # an error reply with `code`
    "reload",  # the app is reloaded before this call is answered
    "close",  # the socket is closed with `code`
    "notify",  # the notification `topic` is sent, then the socket is closed
]
ENGINE_FAULTS: Final = ("drop", "stall", "late", "malformed", "error", "reload", "close", "notify")


class FaultError(ValueError):
    """A fault command that cannot be carried out; the message says what to change."""


@dataclass
class Fault:
    """One fault: when a call of ``method`` comes for the ``after + 1``-th time, ``kind`` happens, ``times`` times."""

    kind: str
    method: str = ""  # empty: every method
    after: int = 0
    times: int = 1
    code: int = 15
    seconds: float = 0.0
    topic: str = ""
    user: str = ""  # only calls of this user
    seen: int = 0

    def hits(self, method: str, user: str) -> bool:
        """Count a call and say whether the fault happens now."""
        if (self.method and self.method != method) or (self.user and self.user != user):
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
        """Order a fault at a place: ``engine``, ``upgrade``, ``greeting``, ``qrs``, ``cloud``, ``callback``."""
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
