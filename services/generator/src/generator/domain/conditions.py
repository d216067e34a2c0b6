"""Whether a condition's rule holds, once both of its sides are known."""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from contracts.configuration import ConditionRule, Operator

_SHOWN = 80
_CODE = re.compile(r"\s*0\d+\s*")


@dataclass(frozen=True, slots=True)
class Operand:
    """One side of a rule: what it shows, and its number if it has one. Qlik's null shows nothing.

    A code such as 007 has no number here, so that it is compared as a text.
    """

    text: str
    number: float | None = None


_ORDER: Final[Mapping[Operator, Callable[[float, float], bool]]] = {
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
}
_TEXT_ORDER: Final[Mapping[Operator, Callable[[str, str], bool]]] = {
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
    Operator.CONTAINS: operator.contains,
    Operator.STARTS_WITH: str.startswith,
}


def right_expression(rule: ConditionRule) -> str | None:
    """Return the right side when Qlik has to calculate it, else None."""
    needed = rule.operator not in {Operator.IS_EMPTY, Operator.IS_NOT_EMPTY}
    return rule.right if needed and rule.right.startswith("=") else None


def plain(text: str) -> Operand:
    """Return the right side that is a fixed value; a code such as 007 is a text, and never equal to 7."""
    if _CODE.fullmatch(text):
        return Operand(text)
    try:
        number = float(text.strip())
    except ValueError:
        return Operand(text)
    return Operand(text, number if math.isfinite(number) else None)


def holds(rule: ConditionRule, left: Operand, right: Operand) -> bool:
    """Return whether the rule holds.

    Two numbers are compared as numbers; anything else as text, without regard to case and outer spaces,
    because a person typed one side.
    """
    if rule.operator in {Operator.IS_EMPTY, Operator.IS_NOT_EMPTY}:
        empty = left.number is None and not left.text.strip()
        return empty is (rule.operator is Operator.IS_EMPTY)
    compare = _ORDER.get(rule.operator)
    if compare is not None and left.number is not None and right.number is not None:
        return compare(left.number, right.number)
    return _TEXT_ORDER[rule.operator](left.text.strip().casefold(), right.text.strip().casefold())


def describe(rule: ConditionRule, left: Operand, right: Operand) -> str:
    """Return the rule with what its sides were, for the task log."""
    shown = f"{rule.left[:_SHOWN]} was {left.text[:_SHOWN]!r}"
    if rule.operator in {Operator.IS_EMPTY, Operator.IS_NOT_EMPTY}:
        return f"{shown}, which is not as it should be: {rule.operator.value}"
    return f"{shown}, which is not {rule.operator.value} {right.text[:_SHOWN]!r}"
