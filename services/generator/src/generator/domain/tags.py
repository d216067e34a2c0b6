"""The tags of subjects, bodies, file names, paths and passwords, as the planner fills them in."""

from rendering.phrases import MAX_VALUE, TagError, mentions, render
from rendering.vocabulary import Facts as Context

__all__ = ["MAX_VALUE", "Context", "TagError", "mentions", "render"]
