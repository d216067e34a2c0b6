"""Which loads of an app are reloads of their own, and which are the trace of an execution.

A reload in the data load editor, or by the engine's own call, leaves no execution at a client-managed site:
only the app's time of the last reload moves. That moves for an execution too, so time tells them apart.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

# Nodes of one site keep their own clocks.
SLACK = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Span:
    """An execution of an app; `ended_at` is None while it runs."""

    app_id: str
    began_at: datetime | None
    ended_at: datetime | None


def belongs_to_an_execution(app_id: str, loaded_at: datetime, spans: Iterable[Span]) -> bool:
    """Return whether an execution of the app explains that it was loaded at `loaded_at`."""
    return any(
        span.app_id == app_id
        and span.began_at is not None
        and span.began_at - SLACK <= loaded_at
        and (span.ended_at is None or loaded_at <= span.ended_at + SLACK)
        for span in spans
    )
