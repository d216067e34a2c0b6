"""A recording of the frames of every socket, for a judge that looks at them afterwards.

One file per process, one line per event: the number of the socket, what happened, and its text, with tabs
between. What happened is ``open`` (the text is the caller's ``User-Agent``), ``in`` (a request came), ``out``
(a frame was sent) or ``broken`` (a fault sent something that is no frame). A file is complete up to its last
line end, also when its process was killed.
"""

import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TextIO

import orjson

Json = dict[str, Any]
_LINE_ENDS: Final = str.maketrans("\n\r", "  ")
VARIABLE: Final = "QLIK_SIMULATOR_RECORD"  # names the folder, where no option does
_WHOLE: Final = 256 * 1024  # a longer frame loses the middle of its pages: disks are no faster than engines
_KEPT_ROWS: Final = 100  # of a long page at each end


class SocketRecord:
    """What happens on one socket; without a file it is forgotten."""

    def __init__(self, file: TextIO | None, number: int) -> None:
        self._file = file
        self._number = number

    def _write(self, what: str, text: str) -> None:
        if self._file is not None and not self._file.closed:
            # A line end cannot stand inside of a text of JSON, so nothing is lost.
            self._file.write(f"{self._number}\t{what}\t{text.translate(_LINE_ENDS)}\n")

    def received(self, text: str) -> None:
        """A request came in."""
        self._write("in", text)

    def sent(self, frame: Json, text: str) -> None:
        """A frame goes out; of long pages the first and the last rows are kept."""
        if self._file is None:
            return
        # The patches of a delta belong to each other: without all of them none can be judged.
        is_long = len(text) > _WHOLE and frame.get("delta") is not True
        self._write("out", orjson.dumps(_thinned(frame)).decode() if is_long else text)

    def broken(self, text: str) -> None:
        """A fault sends what is no frame."""
        self._write("broken", text)


class Recorder:
    """Records into a new file in a folder, or nowhere."""

    def __init__(self, folder: str = "") -> None:
        self._file: TextIO | None = None
        self._numbers: Iterator[int] = itertools.count(1)
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            path = Path(folder) / f"{uuid.uuid4().hex}.frames"
            self._file = path.open("w", encoding="utf-8", buffering=1, newline="\n")

    def socket(self, agent: str) -> SocketRecord:
        """Begin the record of a socket; ``agent`` is what its caller says it is."""
        record = SocketRecord(self._file, next(self._numbers))
        record._write("open", agent)  # noqa: SLF001 - both are this module's
        return record

    def close(self) -> None:
        """No more is recorded."""
        if self._file is not None:
            self._file.close()


def _thinned(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            name: _ends(value)
            if name in {"qMatrix", "qData"} and isinstance(value, list)
            else _thinned(value)
            for name, value in node.items()
        }
    return [_thinned(entry) for entry in node] if isinstance(node, list) else node


def _ends(rows: list[Any]) -> list[Any]:
    return rows if len(rows) <= 2 * _KEPT_ROWS else [*rows[:_KEPT_ROWS], *rows[-_KEPT_ROWS:]]
