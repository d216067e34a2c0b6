"""File names from patterns: whatever the data says, the name is safe on every file system and unique."""

import re
import unicodedata
from collections.abc import Set as AbstractSet

from rendering.language import Language, Scope
from rendering.model import RenderData, RenderOptions, TemplateError
from rendering.text import fill

MAX_BYTES = 200  # file systems allow 255, but copies and archives add to names
MAX_PATTERN = 500
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(
    r"(?:CON|PRN|AUX|NUL|CLOCK\$|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])(?:\..*)?", re.IGNORECASE
)
_FALLBACK = "report"


def safe_file_name(
    pattern: str,
    data: RenderData,
    extension: str,
    taken: AbstractSet[str] = frozenset(),
    options: RenderOptions | None = None,
) -> str:
    """The name of a file, e.g. from ``{{ meta.report }} {{ meta.now | date('%Y-%m') }}``.

    Values cannot make folders, hide the extension or clash with names in ``taken``; case makes no difference.
    At most 200 bytes, the extension included. Raises TemplateError for a pattern that cannot be read.
    """
    if len(pattern) > MAX_PATTERN:
        raise TemplateError(
            "file name", f"the pattern has more than {MAX_PATTERN} characters", "Make it shorter"
        )
    options = options or RenderOptions()
    text = fill(pattern, Language(data, options), Scope(data), "file name")
    ending = "." + re.sub(r"[^A-Za-z0-9]", "", extension)[:10]
    stem = _stem(text)
    used = {unicodedata.normalize("NFC", name).casefold() for name in taken}
    for number in range(1, len(used) + 2):
        suffix = f" ({number})" if number > 1 else ""
        name = _cut(stem, MAX_BYTES - len((suffix + ending).encode())) + suffix + ending
        if name.casefold() not in used:
            return name
    raise AssertionError("more names than numbers")  # pragma: no cover - one number more than names is tried


def _stem(text: str) -> str:
    """A text without what any file system or any reader of names could take for something else."""
    visible = "".join(
        c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) not in _INVISIBLE
    )
    stem = re.sub(r"\s+", " ", _FORBIDDEN.sub("_", visible)).strip(" .")
    stem = stem.lstrip("~-. ")  # '-rf' is an option, '~' a home, '.x' is hidden
    return f"_{stem}" if _RESERVED.fullmatch(stem) else stem or _FALLBACK


_INVISIBLE = frozenset(
    {"Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
)  # among them the marks that turn 'fdp.exe' around


def _cut(stem: str, size: int) -> str:
    """At most so many bytes, no half character, no space or dot at the end."""
    return stem.encode()[:size].decode("utf-8", "ignore").rstrip(" .") or _FALLBACK
