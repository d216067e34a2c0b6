"""File names and storage paths that every file system, archive and mail program takes."""

import re
import unicodedata

# File systems allow 255 bytes; the rest is left for a suffix that makes a name unique.
MAX_NAME_BYTES = 200
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]')
_SPACES = re.compile(r"\s+")
_RESERVED = re.compile(r"^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)


class PathRefusedError(Exception):
    """A storage path that would leave its storage space."""


def safe_name(text: str, *, extension: str = "") -> str:
    """Return `text` as one file or folder name of at most MAX_NAME_BYTES bytes, never empty, '.' or '..'.

    `extension` (without dot) is appended unless the text ends with it. Separators, control characters,
    direction overrides and what Windows forbids become '_'.
    """
    suffix = f".{extension}" if extension else ""
    if suffix and text.lower().endswith(suffix.lower()):
        text = text[: -len(suffix)]
    clean = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", _SPACES.sub(" ", text))).strip(" .")
    if _RESERVED.match(clean):
        clean = f"_{clean}"
    return (_cut(clean, MAX_NAME_BYTES - len(suffix.encode())).rstrip(" .") or "_") + suffix


def safe_folder(path: str) -> str:
    """Return a folder path as clean names joined by '/', relative, maybe empty.

    Raises PathRefusedError when it climbs with '..'.
    """
    parts = [part.strip() for part in path.replace("\\", "/").split("/")]
    if ".." in parts:
        raise PathRefusedError(f"the path {path!r} climbs out of its storage space; leave '..' out")
    return "/".join(safe_name(part) for part in parts if part not in {"", "."})


class Namer:
    """Hands out each name once, whatever its case: a second 'Sales.pdf' becomes 'Sales (2).pdf'."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        # Ten thousand files of one name would otherwise be counted up from 2 ten thousand times.
        self._last: dict[str, int] = {}

    def unique(self, name: str) -> str:
        """Return `name`, or the first numbered form of it that was not handed out before."""
        stem, dot, extension = name.rpartition(".")
        if not dot:
            stem, extension = name, ""
        key = name.casefold()
        candidate, number = name, self._last.get(key, 1)
        while candidate.casefold() in self._taken:
            number += 1
            candidate = f"{stem} ({number}){dot}{extension}"
        self._last[key] = number
        self._taken.add(candidate.casefold())
        return candidate


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")
