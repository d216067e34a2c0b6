"""Loopback ports: find a free one, and say who has one that is not free."""

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

from standalone.errors import PortTaken

HOST = "127.0.0.1"

# Below the range from which Linux takes ports for outgoing connections (32768 up): a server that is killed
# and started again on its port must not find that port lent to somebody's client in between.
_FIRST, _LAST = 20_000, 32_000
_LISTEN = "0A"  # the state column of /proc/net/tcp

# Locked files, one for each port this process was given: the locks end with it, however it ends.
_reserved: dict[int, int] = {}


def free_port() -> int:
    """A port of 127.0.0.1 nobody listens on, never one that was given to this or another living process.

    It is used a while after it is chosen, so that nobody listening there now is not enough. Raises
    `PortTaken` when a few hundred tries found none.
    """
    pick = random.SystemRandom()
    for _ in range(300):
        port = pick.randrange(_FIRST, _LAST)
        if port not in _reserved and _reserve(port):
            if is_free(port):
                return port
            os.close(_reserved.pop(port))
    raise PortTaken(f"found no free port between {_FIRST} and {_LAST}: stop some servers")


def _reserve(port: int) -> bool:
    """Return whether no other process of this user has been given the port; from now on none is."""
    folder = Path(tempfile.gettempdir()) / f"broadsheet-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / str(port), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    _reserved[port] = lock
    return True


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def require_free(port: int, *, who: str, how_to_choose: str) -> None:
    """Raise `PortTaken` unless the port is free: which one, who has it, how to choose another."""
    if is_free(port):
        return
    owner = owner_of(port)
    by = f"by {owner}" if owner else "by a process that cannot be seen from here"
    raise PortTaken(
        f"{who} wants port {port} of {HOST}, which is taken {by}. Choose another: {how_to_choose}"
    )


def owner_of(port: int) -> str | None:
    """`name (pid N)` of the process that listens on the port, or None: not Linux, or not ours to look at."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        if inodes & _sockets(process):
            with contextlib.suppress(OSError):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return None


def _sockets(process: Path) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):  # closed since the folder was listed
                found.add(str(descriptor.readlink()))
    return found


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found
