"""Whose processor time a burst takes: seconds by part of the platform."""

import contextlib
import os
from collections import defaultdict
from collections.abc import Mapping

import psutil

_PARTS: Mapping[str, str] = {
    # First: its command line holds the paths of all the others.
    "multiprocessing": "generator: render workers",
    "mongod": "MongoDB",
    "java": "Kafka",
    "tansu": "Kafka (embedded broker)",
    "weed": "S3 server",
    "qlik_simulator": "Qlik (simulator)",
    "scheduler listener": "Qlik listener",
    "scheduler": "scheduler",
    "distributor": "distributor",
    "notifier": "notifier",
    "config_api": "config-api",
    "generator": "generator",
    "collector": "trace collector",
    "inbox": "mail server",
}


def processor_seconds() -> dict[str, float]:
    """Return the seconds of processor time that each part has had, all its processes together."""
    found: defaultdict[str, float] = defaultdict(float)
    for process in psutil.Process(os.getpid()).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            # What a process has waited for counts too: render workers come and go.
            found[_part(" ".join(process.cmdline()))] += (
                times.user + times.system + times.children_user + times.children_system
            )
    return dict(found)


def since(before: Mapping[str, float]) -> dict[str, float]:
    """Return what each part has had since, the largest first."""
    spent = {part: seconds - before.get(part, 0.0) for part, seconds in processor_seconds().items()}
    return dict(sorted(spent.items(), key=lambda each: -each[1]))


def _part(command: str) -> str:
    return next((name for mark, name in _PARTS.items() if mark in command), "other")
