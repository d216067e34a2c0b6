"""One child process: started, stopped in bounded time, killed; its output in a file of its own."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from standalone.errors import StandaloneError

_WRAPPER = Path(__file__).with_name("die_with_parent.py")
_POLL_S = 0.02


class Child:
    """A program in a session (and process group) of its own.

    It is not tied to an event loop: it may be started in one and stopped in another. The kernel kills it
    when the *thread* that called `start` ends, so call that from the main thread.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log_file: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log_file = log_file
        self._argv = list(argv)
        self._env = dict(env) if env is not None else None
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the last start, or None before the first."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit code of the last start; negative is a signal; None while it runs or before it ran."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Spawn it and return at once. `env` replaces the environment; output is appended to the log file."""
        if self.alive:
            raise StandaloneError(f"{self.name} runs already (pid {self.pid}): stop it first")
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_WRAPPER), str(os.getpid()), *self._argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                # its own group, so that Ctrl-C reaches us only and the order of stopping is ours
                start_new_session=True,
            )

    async def stop(self, grace_s: float) -> None:
        """SIGTERM, at most `grace_s` seconds of patience, then SIGKILL to it and its children. Idempotent."""
        if self.alive:
            self.signal(signal.SIGTERM)
            await self.wait(grace_s)
        await self.kill()

    async def kill(self) -> None:
        """SIGKILL to it and its children, and wait until it is gone. Idempotent."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self.wait(10.0)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself; nothing happens when it has ended."""
        if self._process is not None and self.alive:
            self._process.send_signal(number)

    async def wait(self, timeout_s: float) -> bool:
        """Whether it has ended, after at most `timeout_s` seconds of waiting for that."""
        deadline = time.monotonic() + timeout_s
        while self.alive and time.monotonic() < deadline:  # noqa: ASYNC110 - a process sets no event
            await asyncio.sleep(_POLL_S)
        return not self.alive
