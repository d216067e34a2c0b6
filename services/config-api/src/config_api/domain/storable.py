"""What of a JSON document cannot be stored as it was sent."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from config_api.domain.errors import Problem

DEEPEST = 50
"""Levels a document may have. MongoDB stores 100, and what is sent lies inside a document of ours."""
_INT64 = 2**63


class Repeated(dict[str, Any]):
    """An object in which `names` stand more than once; JSON allows it, and readers differ in it."""

    names: tuple[str, ...] = ()


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these pairs (json's `object_pairs_hook`); a Repeated when names are repeated."""
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    repeated = Repeated(made)
    repeated.names = tuple(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return repeated


def unstorable(value: Any, path: str = "", depth: int = 1) -> Iterator[Problem]:
    """Yield what no store and no JSON keeps as it was sent, with its place."""
    if isinstance(value, dict | list) and depth > DEEPEST:
        yield Problem(path[:200], f"This is nested deeper than {DEEPEST} levels.", "Send fewer levels.")
    elif isinstance(value, dict):
        yield from _object(value, path, depth)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unstorable(item, f"{path}.{index}" if path else str(index), depth + 1)
    elif isinstance(value, str) and not _whole(value):
        message = "This text has half a character in it (a lone surrogate)."
        yield Problem(path, message, "Send both halves of the pair, or the character itself.")
    elif isinstance(value, float) and not math.isfinite(value):
        yield Problem(path, "This is not a finite number.", "Send a finite number, or leave the field out.")
    elif isinstance(value, int) and not -_INT64 <= value < _INT64:
        yield Problem(
            path, "This number needs more than 64 bits.", "Send a smaller number, or send it as text."
        )


def _object(value: dict[str, Any], path: str, depth: int) -> Iterator[Problem]:
    for name in value.names if isinstance(value, Repeated) else ():
        message = f"The name {_plain(name)!r} stands more than once in this object."
        yield Problem(path, message, "Send each name once.")
    for name, item in value.items():
        if "\x00" in name or not _whole(name):
            message = "A name in this object has characters that cannot be stored."
            yield Problem(path, message, "Use letters and digits in names.")
        else:
            yield from unstorable(item, f"{path}.{name}" if path else name, depth + 1)


def _plain(name: str) -> str:
    return name[:100].encode(errors="replace").decode()


def _whole(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)
