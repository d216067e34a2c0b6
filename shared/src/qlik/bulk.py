"""Making very many objects at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Keep the cycle collector out of a burst of work that makes thousands of objects and no cycles.

    It would look through them every few hundred, which took a third of the time of reading a large cube. For
    code without an await in it only: afterwards the collector is what it was.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
