"""The tags of subjects, bodies, file names, paths and passwords, as the planner fills them in."""

from rendering.phrases import MAX_VALUE, TagError, is_html, mentions, render
from rendering.vocabulary import Facts as Context

__all__ = ["MAX_VALUE", "Context", "TagError", "is_html", "mentions", "render"]
