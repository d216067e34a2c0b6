"""The shape every embedded server has, and the part of starting one that they share."""

import asyncio
import json
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from standalone.errors import MissingTool, StartFailed
from standalone.libraries import require_libraries
from standalone.ports import free_port, is_free, require_free
from standalone.process import Child
from standalone.sweep import MARK

_POLL_S = 0.05


class Server(Protocol):
    """Something that can be started, stopped and killed, and whose addresses are known before it runs."""

    @property
    def name(self) -> str:
        """Short name: prefix of its log lines, key in the supervisor."""

    @property
    def title(self) -> str:
        """What it is, with its version, for people."""

    @property
    def log_file(self) -> Path:
        """Where its output goes; appended to over restarts."""

    @property
    def pid(self) -> int | None:
        """Process id of the last start."""

    @property
    def alive(self) -> bool:
        """Whether the process runs."""

    @property
    def returncode(self) -> int | None:
        """How the last process ended; None while it runs."""

    @property
    def addresses(self) -> Mapping[str, str]:
        """Label to address, for people. Never contains a secret."""

    async def start(self) -> None:
        """Return when it is ready to serve, checked over its real protocol. Does nothing when it runs.

        Raises `MissingTool`, `PortTaken` or `StartFailed`.
        """

    async def stop(self) -> None:
        """Clean end in bounded time. Idempotent."""

    async def kill(self) -> None:
        """`kill -9`. Its data folder stays, `start` goes on with it. Idempotent."""


class ProcessServer(ABC):
    """A server that is one child process with a data folder, a log file and loopback ports.

    A port of 0 is replaced by a free one when the object is made. The choice is remembered in the data
    folder, since some servers write their own address into their data.
    """

    name: str
    title: str
    port_option: str
    start_timeout_s: float = 60.0  # a cold JVM on a busy two-core machine took 20
    stop_grace_s: float = 15.0

    def __init__(self, data: Path, ports: Mapping[str, int]) -> None:
        self.data = data.absolute()
        self.ports = self._choose(ports)
        self._child: Child | None = None

    @property
    def log_file(self) -> Path:
        """`server.log` in the data folder."""
        return self.data / "server.log"

    @property
    def pid(self) -> int | None:
        """Process id of the last start."""
        return self._child.pid if self._child else None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.alive

    @property
    def returncode(self) -> int | None:
        """How the last process ended."""
        return self._child.returncode if self._child else None

    @property
    @abstractmethod
    def addresses(self) -> Mapping[str, str]:
        """Label to address."""

    @abstractmethod
    async def _argv(self) -> Sequence[str]:
        """The command line; called with the data folder there, so it may write configuration into it."""

    @abstractmethod
    async def _ready(self) -> bool:
        """Whether it serves now, asked over its real protocol. Answers within a few seconds."""

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)

    async def start(self) -> None:
        """See `Server.start`."""
        if self.alive:
            return
        self.data.mkdir(parents=True, exist_ok=True)
        argv = await self._argv()
        await asyncio.to_thread(require_libraries, self.title, argv[0])
        for port in self.ports.values():
            require_free(port, who=self.title, how_to_choose=f"{self.port_option}, 0 for any free one")
        (self.data / "ports.json").write_text(json.dumps(self.ports), encoding="utf-8")
        self._child = Child(
            self.name,
            argv,
            log_file=self.log_file,
            env=self._environment() | {MARK: str(self.data)},
            cwd=self.data,
        )
        self._child.start()
        try:
            await wait_ready(self.title, self._ready, self._child, self.start_timeout_s)
        except BaseException:
            await self._child.kill()
            raise

    async def stop(self) -> None:
        """See `Server.stop`."""
        if self._child:
            await self._child.stop(self.stop_grace_s)

    async def kill(self) -> None:
        """See `Server.kill`."""
        if self._child:
            await self._child.kill()

    def _choose(self, wanted: Mapping[str, int]) -> dict[str, int]:
        remembered: dict[str, int] = {}
        if (self.data / "ports.json").exists():
            remembered = json.loads((self.data / "ports.json").read_text(encoding="utf-8"))

        def one(role: str, port: int) -> int:
            old = remembered.get(role, 0)
            return port or (old if old and is_free(old) else free_port())

        return {role: one(role, port) for role, port in wanted.items()}


async def wait_ready(
    title: str, ready: Callable[[], Awaitable[bool]], child: Child, timeout_s: float
) -> None:
    """Return once `ready` answers True; `StartFailed` when the process ends or `timeout_s` seconds pass."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not child.alive:
            raise StartFailed(title, f"it ended with code {child.returncode}", child.log_file)
        if await ready():
            return
        await asyncio.sleep(_POLL_S)
    raise StartFailed(title, f"not ready after {timeout_s:.0f} s", child.log_file)


def find_tool(name: str, how_to_get: str, *, beside: Path | None = None) -> str:
    """Path of a program: in the folder `beside`, else on PATH. Raises `MissingTool` with `how_to_get`."""
    if beside and (beside / name).is_file():
        return str(beside / name)
    found = shutil.which(name)
    if not found:
        raise MissingTool(f"{name} was not found: {how_to_get}")
    return found


async def connects(port: int) -> bool:
    """Whether somebody accepts TCP connections on this loopback port."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 2.0)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
