"""What the process that render workers are forked from imports once, so that each starts in milliseconds.

Importing this module is its only use; multiprocessing does it in the fork server.
"""

import contextlib

import generator.adapters.render_worker
import rendering

# It takes seconds to import. OSError means that a system library is missing; only reports that need it fail.
with contextlib.suppress(ImportError, OSError):
    import weasyprint

__all__ = ["generator", "rendering", "weasyprint"]
