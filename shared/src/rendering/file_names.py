"""Names of files and folders that every file system, archive and mail program takes, each handed out once.

The one owner of these rules: the planner names files by them, and the distributor attachments, members of
archives and copies.
"""

import re
import unicodedata
from collections.abc import Iterable

MAX_NAME_BYTES = 200
"""File systems allow 255; the rest is left for a number that makes a name unique, and for copies."""
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]')
_SPACES = re.compile(r"\s+")
_INVISIBLE = frozenset({"Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Devices of Windows, with whatever ending. '-x' is an option to many programs, '~' a home or a lock file.
_TAKEN_FOR_SOMETHING = re.compile(
    r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\.|$)|[-~]", re.IGNORECASE
)


class PathRefusedError(ValueError):
    """A path that would leave the place it belongs to; `str()` says which and why."""


def safe_name(text: str, *, extension: str = "") -> str:
    """Return `text` as one name of at most MAX_NAME_BYTES bytes, never empty, '.' or '..'.

    `extension` (without dot) is appended unless the text ends with it. Separators, control characters, marks
    that turn text around, and what Windows forbids become '_'; other invisible characters are left out. One
    that programs or Windows take for something else gets a '_' in front.
    """
    suffix = f".{extension}" if extension else ""
    clean = _clean(text)
    if suffix and clean.lower().endswith(suffix.lower()):
        clean = clean[: -len(suffix)].strip(" .")
    if _TAKEN_FOR_SOMETHING.match(clean):
        clean = f"_{clean}"
    return (_cut(clean, MAX_NAME_BYTES - len(suffix.encode())).rstrip(" .") or "_") + suffix


def part_of_name(text: str) -> str:
    """Return a value as a part of a path that neither adds a folder nor leaves one."""
    part = _FORBIDDEN.sub("_", _SPACES.sub(" ", text))
    return part if part.strip(" .") else "_"


def safe_folder(path: str) -> str:
    """Return a folder path as clean names joined by '/', relative, maybe empty.

    Raises PathRefusedError when it climbs with '..'.
    """
    parts = [part.strip() for part in path.replace("\\", "/").split("/")]
    if ".." in parts:
        raise PathRefusedError(f"the path {path!r} climbs out of its storage space; leave '..' out")
    return "/".join(safe_name(part) for part in parts if part not in {"", "."})


class Namer:
    """Hands out each name or path once, whatever its case: a second 'Sales.pdf' becomes 'Sales (2).pdf'.

    Names that differ only in case, or in how an accent is written, overwrite each other on many file systems.
    """

    def __init__(self) -> None:
        """Begin with no name taken."""
        self._taken: set[str] = set()
        # Ten thousand files of one name would otherwise be counted up from 2 ten thousand times.
        self._last: dict[str, int] = {}

    def unique(self, name: str) -> str:
        """Return `name`, or the first numbered form of it that was not handed out before."""
        folder, slash, own = name.rpartition("/")
        stem, dot, extension = own.rpartition(".")
        if not stem:
            stem, dot, extension = own, "", ""
        key = _key(name)
        candidate, number = name, self._last.get(key, 1)
        while _key(candidate) in self._taken:
            number += 1
            candidate = f"{folder}{slash}{stem} ({number}){dot}{extension}"
        self._last[key] = number
        self._taken.add(_key(candidate))
        return candidate


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names in order, a repeated one with a number: 'a.pdf', 'a (2).pdf'."""
    namer = Namer()
    return tuple(namer.unique(name) for name in names)


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _clean(text: str) -> str:
    text = _FORBIDDEN.sub("_", _SPACES.sub(" ", text))
    text = "".join(char for char in text if unicodedata.category(char) not in _INVISIBLE)
    return unicodedata.normalize("NFC", _SPACES.sub(" ", text)).strip(" .")


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")
