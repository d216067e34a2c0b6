"""Runs servers and programs together: started in the order of their needs, watched, stopped in reverse."""

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal, Self

from standalone.errors import StandaloneError, tail
from standalone.output import Echo, Follower
from standalone.server import ProcessServer, Server
from standalone.sweep import sweep
from standalone.web import answers

Restart = Literal["never", "on-failure"]

_WATCH_S = 0.2
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True)
class ChildSpec:
    """A program to run.

    `env` is added to the environment of the supervisor. `ready` is a URL that must answer 200, or a coroutine
    function that must return True; without it the program counts as ready once it runs. `needs` names the
    children that must be ready before it is started. With `on-failure` it is started again, after growing
    pauses, when it ends by itself with a code other than 0.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # it may hold secrets
    ready: str | Callable[[], Awaitable[bool]] | None = None
    restart: Restart = "never"
    needs: tuple[str, ...] = ()
    start_timeout_s: float = 60.0
    stop_grace_s: float = 15.0


@dataclass(frozen=True)
class Managed:
    """A server object under the supervisor, with the same meaning of `needs` and `restart`."""

    server: Server
    needs: tuple[str, ...] = ()
    restart: Restart = "never"


@dataclass(frozen=True)
class Death:
    """A child that ended though nobody asked it to; a negative code is the signal."""

    name: str
    returncode: int | None


class Program(ProcessServer):
    """A `ChildSpec` in the shape of a server."""

    port_option = "its own option"

    def __init__(self, spec: ChildSpec, data: Path) -> None:
        self.name = self.title = spec.name
        self.start_timeout_s = spec.start_timeout_s
        self.stop_grace_s = spec.stop_grace_s
        self._spec = spec
        super().__init__(data, {})

    @property
    def addresses(self) -> Mapping[str, str]:
        """The readiness URL, when there is one."""
        return {"ready": self._spec.ready} if isinstance(self._spec.ready, str) else {}

    def _environment(self) -> dict[str, str]:
        return super()._environment() | dict(self._spec.env)

    async def _argv(self) -> Sequence[str]:
        return self._spec.argv

    async def _ready(self) -> bool:
        match self._spec.ready:
            case None:
                return True
            case str(url):
                return await answers(url)
            case condition:
                return await condition()


class Supervisor:
    """Children by name, under one folder that holds a folder with data and log for each program.

    Use it as `async with supervisor:` (started, stopped at the end), or `await supervisor.run()` for a
    command that lasts until Ctrl-C or SIGTERM. Start it in the main thread: the kernel kills the children
    with that thread.
    """

    def __init__(
        self,
        folder: Path,
        children: Sequence[ChildSpec | Managed],
        *,
        echo: Echo | None = None,
        colour: bool = False,
        follow_logs: bool = True,
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self._folder = folder.absolute()
        managed = [_managed(child, self._folder) for child in children]
        self._children = {child.server.name: child for child in managed}
        if len(self._children) != len(managed):
            raise StandaloneError("two children have the same name; give each one of its own")
        self._order = start_order({name: child.needs for name, child in self._children.items()})
        self._echo = echo
        self._colour = colour
        self._follow_logs = follow_logs
        self._first_pause_s = first_pause_s
        self._wanted: set[str] = set()
        self._failures: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._restarts: dict[str, asyncio.Task[None]] = {}
        self._lock: int | None = None
        self.deaths: list[Death] = []

    def __getitem__(self, name: str) -> Server:
        """The child of that name. Raises `StandaloneError` that lists the names there are."""
        if name not in self._children:
            raise StandaloneError(f"there is no child {name}; there are {', '.join(self._children)}")
        return self._children[name].server

    async def start(self) -> None:
        """Start all, each when what it needs is ready; return when all are. If one fails, all are stopped."""
        self._take_folder()
        if killed := sweep(self._folder):
            self._say(f"ended {len(killed)} processes that an earlier run left behind")
        self._follow()
        try:
            for level in self._order:
                await asyncio.gather(*(self.start_one(name) for name in level))
        except BaseException:
            await self.stop()
            raise
        self._tasks.append(asyncio.create_task(self._watch()))

    async def stop(self) -> None:
        """Stop all, each before what it needs. Idempotent; goes on when one does not stop cleanly."""
        for task in (*self._tasks, *self._restarts.values()):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._restarts.values(), return_exceptions=True)
        self._tasks.clear()
        self._restarts.clear()
        for level in reversed(self._order):
            await asyncio.gather(*(self.stop_one(name) for name in level))
        if self._lock is not None:
            sweep(self._folder)  # grandchildren that made themselves a session of their own
            os.close(self._lock)
            self._lock = None

    async def start_one(self, name: str) -> None:
        """Start a child and return when it is ready; nothing happens when it runs."""
        server = self[name]
        if not server.alive:
            self._say(f"starting {name}")
            await server.start()
            where = ", ".join(f"{label} {address}" for label, address in server.addresses.items())
            self._say(f"{name} is ready" + (f": {where}" if where else ""))
        self._wanted.add(name)

    async def stop_one(self, name: str) -> None:
        """Stop a child cleanly, in bounded time, and leave it stopped."""
        self._forget(name)
        if self[name].alive:
            self._say(f"stopping {name}")
        await self[name].stop()

    async def kill(self, name: str) -> None:
        """`kill -9`, and leave it dead until it is started."""
        self._forget(name)
        self._say(f"killing {name}")
        await self[name].kill()

    async def restart(self, name: str) -> None:
        """Stop cleanly, start, return when ready."""
        await self.stop_one(name)
        await self.start_one(name)

    async def wait_ready(self, name: str, timeout_s: float) -> None:
        """Return once the child runs and is ready, after a restart by the supervisor for instance.

        Raises `StandaloneError` after `timeout_s` seconds.
        """
        server = self[name]
        try:
            async with asyncio.timeout(timeout_s):
                while not (name in self._wanted and server.alive):  # noqa: ASYNC110 - processes set no event
                    await asyncio.sleep(_WATCH_S / 4)
        except TimeoutError as error:
            raise StandaloneError(
                f"{name} is not ready after {timeout_s:.0f} s\n{tail(server.log_file)}"
            ) from error

    async def run(self) -> None:
        """Start, wait for Ctrl-C or SIGTERM (also while starting), stop."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, over.set)
        starting, waiting = asyncio.create_task(self.start()), asyncio.create_task(over.wait())
        try:
            await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting  # raises what went wrong
                await waiting
        finally:
            for task in (starting, waiting):
                task.cancel()
            await asyncio.gather(starting, waiting, return_exceptions=True)
            await self.stop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def __aenter__(self) -> Self:
        """Start all."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop all."""
        await self.stop()

    async def _watch(self) -> None:
        while True:
            for name in [each for each in self._wanted if not self[each].alive]:
                self._wanted.discard(name)
                self._report(name)
            await asyncio.sleep(_WATCH_S)

    def _report(self, name: str) -> None:
        server = self[name]
        self.deaths.append(Death(name=name, returncode=server.returncode))
        self._say(
            f"{name} died with code {server.returncode}; log: {server.log_file}\n{tail(server.log_file)}"
        )
        if self._children[name].restart == "on-failure" and server.returncode != 0:
            self._restarts[name] = asyncio.create_task(self._start_again(name))

    async def _start_again(self, name: str) -> None:
        while True:
            failures = self._failures[name] = self._failures.get(name, 0) + 1
            pause = min(self._first_pause_s * 2 ** (failures - 1), _LONGEST_PAUSE_S)
            self._say(f"starting {name} again in {pause:g} s")
            await asyncio.sleep(pause)
            try:
                await self.start_one(name)
            except StandaloneError as error:
                self._say(str(error))
            else:
                return

    def _forget(self, name: str) -> None:
        self._wanted.discard(name)
        self._failures.pop(name, None)
        if (task := self._restarts.pop(name, None)) is not None:
            task.cancel()

    def _follow(self) -> None:
        if self._echo and self._follow_logs:
            files = {name: child.server.log_file for name, child in self._children.items()}
            follower = Follower(files, self._echo, colour=self._colour)
            self._tasks.append(asyncio.create_task(follower.run()))

    def _say(self, text: str) -> None:
        if self._echo:
            self._echo(text)

    def _take_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._folder / "supervisor.lock", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(lock, 20, 0).decode() or "unknown"
            os.close(lock)
            raise StandaloneError(
                f"{self._folder} is in use by another supervisor (pid {owner}): stop it or take another"
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock


def start_order(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Names in levels, each needing only earlier ones. Raises `StandaloneError` when there is no order."""
    for name, wanted in needs.items():
        for each in wanted:
            if each not in needs:
                raise StandaloneError(
                    f"{name} needs {each}, which is not among the children: {', '.join(needs)}"
                )
    sorter = TopologicalSorter(needs)
    try:
        sorter.prepare()
    except CycleError as error:
        raise StandaloneError(
            f"children need each other in a circle: {' -> '.join(error.args[1])}"
        ) from error
    levels = []
    while sorter.is_active():
        level = sorter.get_ready()
        levels.append(sorted(level))
        sorter.done(*level)
    return levels


def terminal_colour() -> bool:
    """Whether standard output is a terminal that wants colour (https://no-color.org)."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _managed(child: ChildSpec | Managed, folder: Path) -> Managed:
    if isinstance(child, Managed):
        return child
    return Managed(Program(child, folder / child.name), needs=child.needs, restart=child.restart)
