"""Filters: ``status eq 7 and (appID eq <guid> or name so 'x')``, of the repository and of a tenant alike."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*'|"[^"]*")|(?P<paren>[()])|(?P<word>[^\s()'"]+))"""
)
_OPERATORS: Final = ("eq", "ne", "gt", "ge", "lt", "le", "sw", "ew", "so")
Predicate = Callable[[Mapping[str, Any]], bool]


class FilterError(ValueError):
    """A filter the repository would refuse; the message says where it went wrong."""


def matches(text: str, entity: Mapping[str, Any]) -> bool:
    """Whether an entity passes a filter; an empty filter lets everything pass. Raises `FilterError`."""
    return predicate(text)(entity)


def predicate(text: str) -> Predicate:
    """Read a filter. Raises `FilterError`."""
    tokens = _tokens(text)
    if not tokens:
        return lambda _: True
    found, rest = _either(tokens)
    if rest:
        raise FilterError(f"nothing expected after the filter, found {rest[0]!r}")
    return found


def _tokens(text: str) -> list[str]:
    found, position = [], 0
    stripped = text.strip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise FilterError(f"cannot read {stripped[position:]!r}")
        found.append(match.group().strip())
        position = match.end()
    return found


def _either(tokens: list[str]) -> tuple[Predicate, list[str]]:
    left, rest = _both(tokens)
    while rest and rest[0].lower() == "or":
        right, rest = _both(rest[1:])
        left = _joined(any, left, right)
    return left, rest


def _both(tokens: list[str]) -> tuple[Predicate, list[str]]:
    left, rest = _single(tokens)
    while rest and rest[0].lower() == "and":
        right, rest = _single(rest[1:])
        left = _joined(all, left, right)
    return left, rest


def _joined(how: Callable[[list[bool]], bool], *parts: Predicate) -> Predicate:
    return lambda entity: how([part(entity) for part in parts])


def _single(tokens: list[str]) -> tuple[Predicate, list[str]]:
    if tokens and tokens[0] == "(":
        found, rest = _either(tokens[1:])
        if not rest or rest[0] != ")":
            raise FilterError("')' is missing")
        return found, rest[1:]
    if len(tokens) < 3 or tokens[1].lower() not in _OPERATORS:  # noqa: PLR2004 - property, operator, value
        raise FilterError(f"'<property> <operator> <value>' expected, found {' '.join(tokens[:3])!r}")
    name, operator, value = tokens[0], tokens[1].lower(), tokens[2]
    return (lambda entity: _compare(_property(entity, name), operator, value)), tokens[3:]


def _property(entity: Mapping[str, Any], name: str) -> Any:
    found: Any = entity
    for part in name.split("."):
        if not isinstance(found, Mapping):
            return None
        found = next((value for key, value in found.items() if key.lower() == part.lower()), None)
    return found


def _compare(actual: Any, operator: str, raw: str) -> bool:
    if raw[0] in {"'", '"'}:
        wanted: Any = raw[1:-1].replace("''", "'")
    elif raw.lower() in {"true", "false"}:
        wanted = raw.lower() == "true"
    elif re.fullmatch(r"-?\d+(\.\d+)?", raw):
        wanted = float(raw)
    else:
        wanted = raw
    if isinstance(actual, str) or isinstance(wanted, str):
        actual, wanted = str(actual).lower(), str(wanted).lower()
    return _decide(actual, operator, wanted)


def _decide(actual: Any, operator: str, wanted: Any) -> bool:  # noqa: PLR0911 - one return per operator
    match operator:
        case "eq":
            return bool(actual == wanted)
        case "ne":
            return bool(actual != wanted)
        case "sw":
            return str(actual).startswith(str(wanted))
        case "ew":
            return str(actual).endswith(str(wanted))
        case "so":
            return str(wanted) in str(actual)
        case _ if actual is None:
            return False
        case "gt":
            return bool(actual > wanted)
        case "ge":
            return bool(actual >= wanted)
        case "lt":
            return bool(actual < wanted)
        case _:
            return bool(actual <= wanted)
