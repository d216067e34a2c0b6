"""Which values of a field a search text finds: wildcards, number ranges, lists, plain words."""

import re
from typing import Final

import numpy as np

from qlik_simulator.domain.errors import UnsupportedError
from qlik_simulator.domain.fields import Field

_RANGE: Final = re.compile(r"(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)")
_WHOLE_RANGE: Final = re.compile(r"\s*(?:(?:<=|>=|<|>)\s*-?\d+(?:\.\d+)?\s*)+")


def literal(of: Field, text: str) -> frozenset[int]:
    """The value with exactly this text, or with this number when the text is one."""
    if text in of.text_index:
        return frozenset({of.text_index[text]})
    try:
        number = float(text)
    except ValueError:
        return frozenset()
    found = of.number_index.get(number)
    return frozenset() if found is None else frozenset({found})


def search(of: Field, text: str) -> frozenset[int]:
    """The values a search finds: ``>=5<10`` by number, ``A*`` by pattern, ``(a|b)`` any of, else the text.

    A search by expression (``=Sum(x)>5``) is refused with `UnsupportedError`.
    """
    stripped = text.strip()
    if stripped.startswith("="):
        raise UnsupportedError("search by expression")
    if stripped.startswith("(") and stripped.endswith(")"):
        return frozenset[int]().union(*(search(of, part) for part in stripped[1:-1].split("|")))
    if _WHOLE_RANGE.fullmatch(stripped):
        return _in_range(of, stripped)
    if "*" in stripped or "?" in stripped:
        pattern = "".join(
            {"*": ".*", "?": "."}.get(part, re.escape(part)) for part in re.split(r"([*?])", stripped)
        )
        matcher = re.compile(pattern, re.IGNORECASE | re.DOTALL)
        return frozenset(code for code, value in enumerate(of.texts) if matcher.fullmatch(value))
    exact = literal(of, stripped)
    if exact:
        return exact
    folded = stripped.casefold()
    return frozenset(code for code, value in enumerate(of.texts) if value.casefold() == folded)


def _in_range(of: Field, text: str) -> frozenset[int]:
    fits = ~np.isnan(of.numbers)
    for operator, bound in _RANGE.findall(text):
        limit = float(bound)
        match operator:
            case "<":
                fits &= of.numbers < limit
            case "<=":
                fits &= of.numbers <= limit
            case ">":
                fits &= of.numbers > limit
            case _:
                fits &= of.numbers >= limit
    return frozenset(int(code) for code in np.flatnonzero(fits))
