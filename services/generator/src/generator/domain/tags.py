"""The small tags of subjects, bodies, file names and paths: `{{ task.name }}`, `{{ date | format("%Y") }}`.

Values and a few filters, no statements, no loops and no arithmetic: whoever writes a tag can neither run code
nor take time or memory, so these are rendered in the planner itself, while report templates need a limited
process of their own.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import TypeAlias

Context: TypeAlias = Mapping[str, "str | date | time | Context"]

# A tag shows a name or a value, not a document; what is longer is cut rather than refused, as data decide it.
MAX_VALUE = 500
_TAG = re.compile(
    r"\{\{\s*(?P<path>\w[\w.-]*)\s*(?P<filters>(?:\|\s*\w+\s*(?:\(\s*(?:\"[^\"{}]*\"|'[^'{}]*')\s*\))?\s*)*)\}\}"
)
_FILTER = re.compile(r"\|\s*(?P<name>\w+)\s*(?:\(\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)')\s*\))?")
_DIRECTIVES = re.compile(r"%[YymdHMSjVGuaAbB%-]")
_HELP = (
    'write {{ name }} or {{ name | filter }}; filters are upper, lower, default("...") and format("%Y-%m-%d")'
)


class TagError(Exception):
    """A text with tags that cannot be rendered; `str()` says which tag and what is allowed."""


def _raw(value: str) -> str:
    return value


def render(template: str, context: Context, *, escape: Callable[[str], str] = _raw) -> str:
    """Return `template` with its tags replaced by values of `context`.

    `escape` is applied to every value and to nothing of the template itself. Raises TagError for an unknown
    tag or filter, and for any other use of `{{` or `{%`.
    """
    pieces: list[str] = []
    position = 0
    for match in _TAG.finditer(template):
        pieces.append(_literal(template[position : match.start()]))
        pieces.append(escape(_value(match, context)[:MAX_VALUE]))
        position = match.end()
    pieces.append(_literal(template[position:]))
    return "".join(pieces)


def _literal(text: str) -> str:
    for opening in ("{{", "{%"):
        if (at := text.find(opening)) >= 0:
            raise TagError(f"{text[at : at + 40]!r} is no tag; {_HELP}")
    return text


def _value(match: re.Match[str], context: Context) -> str:
    path = match["path"]
    value = _lookup(path, context)
    for step in _FILTER.finditer(match["filters"]):
        argument = step["double"] if step["double"] is not None else step["single"]
        value = _filtered(path, value, step["name"], argument)
    if value is None:
        raise TagError(f"there is no tag {path!r} here; known are {', '.join(sorted(_names(context)))}")
    return _text(value)


def _lookup(path: str, context: Context) -> str | date | time | None:
    found: str | date | time | Context = context
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return None if isinstance(found, Mapping) else found


def _names(context: Context, prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in context.items():
        names += _names(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [prefix + key]
    return names


def _filtered(
    path: str, value: str | date | time | None, name: str, argument: str | None
) -> str | date | time | None:
    if name == "default":
        return value if value not in {None, ""} else (argument or "")
    if name not in {"upper", "lower", "format"}:
        raise TagError(f"unknown filter {name!r} in tag {path!r}; {_HELP}")
    if value is None:
        return None
    if name == "format":
        return _formatted(path, value, argument)
    return _text(value).upper() if name == "upper" else _text(value).lower()


def _formatted(path: str, value: str | date | time, pattern: str | None) -> str:
    if isinstance(value, str):
        raise TagError(f"tag {path!r} is no date or time, so it has no format(); leave the filter out")
    if not pattern or "%" in _DIRECTIVES.sub("", pattern):
        raise TagError(
            f'tag {path!r}: format() takes directives such as "%Y-%m-%d" or "%H%M", not {pattern!r}'
        )
    return value.strftime(pattern)


def _text(value: str | date | time) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="minutes")
    return value.isoformat(timespec="minutes") if isinstance(value, time) else str(value)
