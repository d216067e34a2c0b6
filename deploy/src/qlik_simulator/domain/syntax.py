"""What an expression is made of: the nodes the parser gives and the compiler takes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Number:
    """A number written in the expression."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A text in single quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class FieldRef:
    """A name: of a field, or else of a variable. Position and length count characters of the source."""

    name: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Unary:
    """``-x``, ``+x`` or ``not x``."""

    operator: str
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands and what stands between them."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments; the set, ``distinct`` and ``total`` belong to aggregations only."""

    name: str
    arguments: tuple["Node", ...]
    distinct: bool = False
    total: bool = False
    chosen_set: "SetNode | None" = None


Node = Number | Text | FieldRef | Unary | Binary | Call


@dataclass(frozen=True, slots=True)
class SetName:
    """``$`` for the current selections, ``1`` for all rows, or the name of an alternate state."""

    name: str


@dataclass(frozen=True, slots=True)
class SetValue:
    """One value of a modifier: a literal, or a search in double quotes."""

    text: str
    is_search: bool


@dataclass(frozen=True, slots=True)
class Modifier:
    """``Field={values}`` with ``=``, ``+=``, ``-=`` or ``*=``; no values at all clears the field."""

    field: str
    operator: str
    values: tuple[SetValue, ...] | None


@dataclass(frozen=True, slots=True)
class ModifiedSet:
    """A set with some fields' selections replaced."""

    base: "SetNode"
    modifiers: tuple[Modifier, ...]


@dataclass(frozen=True, slots=True)
class SetOperation:
    """Union ``+``, exclusion ``-``, intersection ``*`` or symmetric difference ``/`` of two sets."""

    operator: str
    left: "SetNode"
    right: "SetNode"


SetNode = SetName | ModifiedSet | SetOperation
