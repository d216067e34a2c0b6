"""The logs of several children in one terminal, each line with the name of its child, in its colour."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

Echo = Callable[[str], None]

_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)  # the readable ones on black and on white
_POLL_S = 0.1
_CHUNK = 256 * 1024


class Follower:
    """Follows log files from where they end now, as `tail -F` does.

    The children write to their files themselves, so a slow terminal never holds one of them up.
    """

    def __init__(self, files: Mapping[str, Path], echo: Echo, *, colour: bool) -> None:
        self._files = dict(files)
        self._echo = echo
        self._offsets = {name: _size(path) for name, path in files.items()}
        self._rest = dict.fromkeys(files, b"")
        width = max(map(len, files), default=0)
        self._prefixes = {
            name: _prefix(name.ljust(width), _COLOURS[index % len(_COLOURS)] if colour else None)
            for index, name in enumerate(files)
        }

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            self.pump()
            await asyncio.sleep(_POLL_S)

    def pump(self) -> None:
        """Print what has come since the last time; half a line waits for its end."""
        for name, path in self._files.items():
            size = _size(path)
            if size < self._offsets[name]:  # somebody emptied the file
                self._offsets[name] = 0
            if size == self._offsets[name]:
                continue
            with path.open("rb") as file:
                file.seek(self._offsets[name])
                chunk = file.read(_CHUNK)
            self._offsets[name] += len(chunk)
            *lines, self._rest[name] = (self._rest[name] + chunk).split(b"\n")
            for line in lines:
                self._echo(self._prefixes[name] + line.decode("utf-8", "replace"))


def _prefix(name: str, colour: int | None) -> str:
    return f"{name} | " if colour is None else f"\x1b[{colour}m{name} |\x1b[0m "


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
