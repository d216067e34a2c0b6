"""Paths in a storage space, refused when they lead elsewhere."""

from pathlib import PurePosixPath
from unicodedata import category

from contracts.base import Reason
from rendering import file_names

_MAX_PATH = 1024
_MAX_PART_BYTES = 255
# Control characters, line and paragraph separators, halves of surrogate pairs.
_UNFIT = frozenset(("Cc", "Zl", "Zp", "Cs"))


class PathRefusedError(file_names.PathRefusedError):
    """A path that does not stay where it belongs; `reason` says what to change."""

    def __init__(self, message: str) -> None:
        """Take the sentence for people."""
        super().__init__(message)
        self.reason = Reason(
            code="path-refused",
            message=message,
            remedy="change the storage path of the task: a relative path, with '/' between its parts",
        )


def relative_parts(path: str) -> tuple[str, ...]:
    """Return the parts of a relative path. Raises PathRefusedError for one that could lead elsewhere."""
    shown = path[:200]
    if not path or len(path) > _MAX_PATH:
        raise PathRefusedError(f"the path {shown!r} is empty or longer than {_MAX_PATH} characters")
    if any(c == "\\" or category(c) in _UNFIT for c in path):
        raise PathRefusedError(f"the path {shown!r} contains a backslash or a control character")
    if path.startswith("/") or PurePosixPath(path).is_absolute():
        raise PathRefusedError(f"the path {shown!r} is absolute; storage paths are relative")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if not parts or path.endswith("/"):
        raise PathRefusedError(f"the path {shown!r} names no file")
    if ".." in parts:
        raise PathRefusedError(f"the path {shown!r} leads upwards ('..')")
    long = [part for part in parts if len(part.encode()) > _MAX_PART_BYTES]
    if long:
        raise PathRefusedError(f"a part of the path {shown!r} is longer than {_MAX_PART_BYTES} bytes")
    return parts


def object_key(prefix: str, path: str) -> str:
    """Return the key of a file in a bucket. Raises PathRefusedError as `relative_parts` does."""
    key = "/".join((*(part for part in prefix.split("/") if part), *relative_parts(path)))
    if len(key.encode()) > _MAX_PATH:
        raise PathRefusedError(f"the key {key[:200]!r} is longer than {_MAX_PATH} bytes")
    return key
