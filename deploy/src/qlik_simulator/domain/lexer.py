"""Expression text into tokens."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from qlik_simulator.domain.errors import ExpressionError

TokenKind = Literal["number", "text", "quoted", "bracketed", "name", "operator", "end"]

_PATTERN: Final = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<text>'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*"|`[^`]*`)
  | (?P<bracketed>\[(?:[^\]]|\]\])*\])
  | (?P<name>[^\W\d][\w.#%@]*)
  | (?P<operator><=|>=|<>|\+=|-=|\*=|/=|[-+*/&=<>(){},$:])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression; ``value`` is without its quotes, ``start`` counts characters."""

    kind: TokenKind
    value: str
    start: int
    length: int

    def is_operator(self, *operators: str) -> bool:
        """Whether this is one of the operators."""
        return self.kind == "operator" and self.value in operators

    def is_word(self, *words: str) -> bool:
        """Whether this is one of the words, in any letter case."""
        return self.kind == "name" and self.value.lower() in words


def tokens(source: str) -> list[Token]:
    """Cut an expression into tokens, ending with one of kind ``end``. Raises `ExpressionError`."""
    found: list[Token] = []
    position = 0
    while position < len(source):
        match = _PATTERN.match(source, position)
        if match is None:
            raise ExpressionError(
                f"Error in expression: unexpected character {source[position]!r} at {position}"
            )
        kind = match.lastgroup
        if kind is not None and kind != "space":
            found.append(_token(kind, match.group(), position))
        position = match.end()
    found.append(Token("end", "", len(source), 0))
    return found


def _token(kind: str, raw: str, start: int) -> Token:
    match kind:
        case "number":
            return Token("number", raw, start, len(raw))
        case "text":
            return Token("text", raw[1:-1].replace("''", "'"), start, len(raw))
        case "quoted":
            return Token("quoted", raw[1:-1].replace('""', '"'), start, len(raw))
        case "bracketed":
            return Token("bracketed", raw[1:-1].replace("]]", "]"), start, len(raw))
        case "name":
            return Token("name", raw, start, len(raw))
        case _:
            return Token("operator", raw, start, len(raw))
