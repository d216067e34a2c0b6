"""Find and end what an earlier run left behind, by a mark in the environment of every process it started."""

import contextlib
import os
import signal
from pathlib import Path

MARK = "BROADSHEET_STANDALONE_DATA"


def leftovers(folder: Path) -> list[int]:
    """Process ids whose mark names this folder or one below it; processes of other users cannot be seen."""
    root = str(folder.absolute())
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            mark = _mark(process)
            if int(process.name) != os.getpid() and (mark == root or mark.startswith(root + os.sep)):
                found.append(int(process.name))
    return found


def sweep(folder: Path) -> list[int]:
    """Kill the leftovers of a folder; returns their ids.

    The kernel kills direct children when their parent ends, so what is left are children of children, such as
    render workers. The mark cannot be inherited by anybody else, unlike a process id, which is used again.
    """
    found = leftovers(folder)
    for pid in found:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return found


def _mark(process: Path) -> str:
    prefix = f"{MARK}=".encode()
    for entry in (process / "environ").read_bytes().split(b"\0"):
        if entry.startswith(prefix):
            return os.fsdecode(entry[len(prefix) :])
    return ""
