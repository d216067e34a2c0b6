"""Spans in a file, and the most recent traces in memory."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from standalone.collector.spans import Span

MAX_TRACES = 2000
MAX_SPANS_PER_TRACE = 10_000


class TraceStore:
    """Appends every span to a file; answers for the last traces only, those of the file included at start.

    Both bounds are there so that a demo left running does not eat the machine: older traces stay in the file.
    """

    def __init__(
        self, file: Path, *, max_traces: int = MAX_TRACES, max_spans: int = MAX_SPANS_PER_TRACE
    ) -> None:
        self._max_traces = max_traces
        self._max_spans = max_spans
        self._traces: OrderedDict[str, list[Span]] = OrderedDict()
        self._lock = threading.Lock()
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            self._load(file)
        self._file = file.open("ab")

    def add(self, spans: Sequence[Span]) -> None:
        """Append to the file, then remember. Safe from several threads."""
        with self._lock:
            self._file.write(b"".join(span.model_dump_json().encode() + b"\n" for span in spans))
            self._file.flush()
            for span in spans:
                self._remember(span)

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of a trace in the order they came; empty when the trace is unknown or long gone."""
        with self._lock:
            return list(self._traces.get(trace_id.lower().replace("-", ""), ()))

    def recent(self, limit: int) -> list[tuple[str, list[Span]]]:
        """The traces that got a span last, newest first."""
        with self._lock:
            return [(each, list(self._traces[each])) for each in list(reversed(self._traces))[:limit]]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _load(self, file: Path) -> None:
        with file.open("rb") as lines:
            for line in lines:
                try:
                    self._remember(Span.model_validate_json(line))
                except ValidationError:  # the last line of a killed process may be half a line
                    continue

    def _remember(self, span: Span) -> None:
        spans = self._traces.setdefault(span.trace_id, [])
        if len(spans) < self._max_spans:
            spans.append(span)
        self._traces.move_to_end(span.trace_id)
        if len(self._traces) > self._max_traces:
            self._traces.popitem(last=False)
