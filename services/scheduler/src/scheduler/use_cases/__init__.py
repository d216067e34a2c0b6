"""Load, decide, record. Publishing is the outbox relay's work, from what was recorded."""

from scheduler.use_cases.reloads import Heard, site_unavailable, watch_reloads
from scheduler.use_cases.ticking import tick

__all__ = ["Heard", "site_unavailable", "tick", "watch_reloads"]
