"""Where in a request a fault is that pydantic found."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError

from config_api.domain.errors import Problem
from config_api.domain.wording import Words, words_of

MOST = 50
"""So many faults one answer names."""


def problems_of(error: RequestValidationError) -> list[Problem]:
    """Return what is wrong with a request that does not fit its schema, at most MOST problems.

    A value that may have one of several types has one problem, not one for each of the types.
    """
    found: dict[str, list[Words]] = {}
    faults = error.errors()[: 4 * MOST]
    for fault in faults:
        if _follows(fault, faults):
            continue
        words = found.setdefault(_place(fault, error.body), [])
        new = words_of(fault["type"], fault.get("ctx") or {})
        if new not in words:
            words.append(new)
    return [Problem(place, *_merged(words)) for place, words in list(found.items())[:MOST]]


def _merged(words: Sequence[Words]) -> Words:
    if len(words) == 1:
        return words[0]
    remedies = list(dict.fromkeys(remedy for _, remedy in words))
    return "This value has none of the types allowed here.", " Or: ".join(remedies)


def _follows(fault: Mapping[str, Any], faults: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a list is too short only because pydantic does not count its invalid items."""
    where = tuple(fault["loc"])
    return fault["type"] == "too_short" and any(
        len(each["loc"]) > len(where) and tuple(each["loc"][: len(where)]) == where for each in faults
    )


def _place(fault: Mapping[str, Any], body: Any) -> str:
    """Return the path of a fault as in `triggers.0.rule.expression`, or the name of a parameter."""
    steps: Sequence[str | int] = fault["loc"]
    if not steps or steps[0] != "body":
        name = str(steps[-1]) if steps else ""
        return name.title() if steps and steps[0] == "header" else name
    missing = steps[-1:] if fault["type"] == "missing" else ()
    return ".".join(str(step) for step in (*_path(steps[1 : len(steps) - len(missing)], body), *missing))


def _path(steps: Sequence[str | int], body: Any) -> Iterator[str | int]:
    """Yield the steps that are in the JSON.

    pydantic's path also names which member of a union it tried, and `[key]` for the name of an entry.
    """
    here = body
    for step in steps:
        inside = isinstance(here, Mapping) and step in here
        if inside or (isinstance(here, list) and isinstance(step, int) and step < len(here)):
            here = here[step]
            yield step
