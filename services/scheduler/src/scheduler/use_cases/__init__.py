"""Load, decide, record. Publishing is the outbox relay's work, from what was recorded."""

from scheduler.use_cases.reloads import Heard, watch_reloads
from scheduler.use_cases.ticking import tick

__all__ = ["Heard", "tick", "watch_reloads"]
