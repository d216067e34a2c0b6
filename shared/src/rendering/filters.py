"""The filters of the language: ours, and the engine with nothing else in reach."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any

import minijinja

from rendering.model import RenderOptions, TemplateError, raw
from rendering.tags import SHOWN, Expression, Path
from rendering.values import display, number, strftime

MAX_TEXT = 1_000_000  # characters one tag may print
_CALL = re.compile(
    r"""\s*\|\s*(?P<name>number|percent|date|format)\s*(?:\(\s*(?:(?P<number>\d{1,3})|"(?P<double>[^"\\]*)"|'(?P<single>[^'\\]*)')?\s*\))?\s*$"""
)


@dataclass(frozen=True, slots=True)
class Filtered:
    """A tag that is a path and one of our own filters: it needs no engine."""

    path: Path
    name: str
    arguments: tuple[int | str, ...]


@lru_cache(maxsize=4_096)
def filtered(expression: Expression) -> Filtered | None:
    """Read ``path | number(2)`` and its like; None for everything else."""
    if len(expression.paths) != 1 or expression.source[: expression.paths[0][1]].strip():
        return None
    path, _, end = expression.paths[0]
    call = _CALL.match(expression.source, end)
    if call is None:
        return None
    given = next((v for v in (call["double"], call["single"]) if v is not None), None)
    arguments: tuple[int | str, ...] = () if given is None else (given,)
    return Filtered(path, call["name"], (int(call["number"]),) if call["number"] else arguments)


@lru_cache(maxsize=4_096)
def _syntax(source: str) -> str:
    """What the engine says of an expression it cannot read; empty if it can."""
    try:
        minijinja.Environment(debug=False, pycompat=False).add_template("x", f"{{{{ {source} }}}}")
    except minijinja.TemplateError as error:
        return str(getattr(error, "message", error)).split("\n", 1)[0].split(" (in ", 1)[0]
    return ""


def check_syntax(expression: Expression, place: str) -> None:
    """Refuse an expression the engine could not read; raises TemplateError."""
    said = _syntax(expression.source)
    if said:
        raise TemplateError(
            place,
            f"{expression.source[:60]!r} cannot be read ({said})",
            "See the tag reference for what can be written",
        )


def own_filters(options: RenderOptions) -> Mapping[str, Callable[..., Any]]:
    """The filters that write values for people, in the separators and language of the report."""
    return {
        "number": lambda value, decimals=0: _number(value, decimals, options),
        "percent": lambda value, decimals=0: _percent(value, decimals, options),
        "date": lambda value, pattern=options.date_format: _date(value, pattern, options.language),
        "format": lambda value, pattern=options.date_format: _date(value, pattern, options.language),
        "text": lambda value: display(raw(value), options),
        "default": _default,
        "d": _default,
        "truncate": _truncate,
    }


_REMOVED = (
    "pprint", "tojson", "attr", "map", "safe", "indent", "wordwrap", "list", "batch",
    "zip", "chain", "slice", "split", "urlencode", "dictsort", "striptags", "filesizeformat",
)  # fmt: skip


def environment(
    options: RenderOptions, fuel: int, finalizer: Any, *, longest: int = MAX_TEXT
) -> minijinja.Environment:
    """An engine with our filters only in reach: scanning refuses the rest before it gets here.

    ``longest`` is how many characters a filter may make of a text.
    """
    env = minijinja.Environment(
        debug=False, fuel=fuel, pycompat=False, undefined_behavior="strict", finalizer=finalizer
    )
    for name in ("debug", "namespace", "cycler", "joiner", "dict", "lipsum"):
        env.remove_global(name)
    for name in _REMOVED:
        env.remove_filter(name)
    for name, own in own_filters(options).items():
        env.add_filter(name, own)
    env.add_filter("groupby", lambda rows, column: group(rows, column, "filter groupby"))
    env.add_filter("replace", lambda value, old, new: _replace(value, old, new, longest))
    env.add_filter("join", lambda items, between="": _join(items, between, options, longest))
    return env


def _number(value: Any, decimals: int, options: RenderOptions) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TemplateError("filter number", f"{str(value)[:40]!r} is not a number", "Use it on numbers only")
    return number(value, decimals, options)


def _percent(value: Any, decimals: int, options: RenderOptions) -> str:
    text = _number(None if value is None else value * 100, decimals, options)
    return f"{text}%" if text else ""


def _date(value: Any, pattern: str, language: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        value = _read(value)
    if isinstance(value, time):
        value = datetime.combine(date(1900, 1, 1), value)
    if not isinstance(value, date):
        raise TemplateError("filter date", f"{str(value)[:40]!r} is not a date", "Use it on dates only")
    return strftime(value, pattern, language)


def _read(text: str) -> date | time:
    for kind in (datetime, time):
        try:
            return kind.fromisoformat(text)
        except ValueError:
            continue
    raise TemplateError("filter date", f"{text[:40]!r} is not a date", "Use it on dates only")


def _default(value: Any, other: Any = "", also_false: bool = False) -> Any:
    """The other value for one that is missing or an empty text; for zero and false only when asked for."""
    return other if value is None or value == "" or (also_false and not value) else value


def _truncate(value: Any, length: int = 255, killwords: bool = False, end: str = "...") -> str:
    """The beginning of a text with ``end``, in at most ``length`` characters, cut between words."""
    text = str(value)
    if len(text) <= length:
        return text
    cut = text[: max(0, length - len(end))]
    return (cut if killwords or " " not in cut else cut.rpartition(" ")[0]) + end[:length]


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise TemplateError("template", "a text grows beyond the limit", "Print shorter texts")
    return text


def _replace(value: Any, old: str, new: str, longest: int) -> str:
    text = str(value)
    if old and len(text) + text.count(old) * len(new) > longest:
        raise TemplateError("template", "a text grows beyond the limit", "Print shorter texts")
    return text.replace(old, new) if old else text


def _join(items: Any, between: str, options: RenderOptions, longest: int) -> str:
    parts = [item if isinstance(item, str) else display(raw(item), options) for item in items]
    if sum(map(len, parts)) + len(between) * len(parts) > longest:
        raise TemplateError("template", "a text grows beyond the limit", "Print shorter texts")
    return between.join(parts)


def group(rows: list[Any], column: str, place: str) -> list[dict[str, Any]]:
    """Rows by the value of a column, groups in the order they first appear."""
    groups: dict[Any, dict[str, Any]] = {}
    for row in rows:
        if column not in row:
            raise TemplateError(
                place,
                f"there is no column {column!r} to group by",
                f"Columns: {', '.join(n for n in row if not n.endswith(SHOWN))}",
            )
        key = raw(row[column])
        own = {"grouper": row[column], "rows": [], "list": []}
        if column + SHOWN in row:  # inside the engine every cell has its text beside it
            own["grouper" + SHOWN] = row[column + SHOWN]
        groups.setdefault(key, own)
        groups[key]["rows"].append(row)
    for group in groups.values():
        group["list"] = group["rows"]
    return list(groups.values())
