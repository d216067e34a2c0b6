"""Tokens into a tree. What Qlik has and the simulator has not is refused here or in the compiler, by name."""

from functools import lru_cache
from typing import Final

from qlik_simulator.domain.errors import ExpressionError, UnsupportedError
from qlik_simulator.domain.lexer import Token, tokens
from qlik_simulator.domain.syntax import (
    Binary,
    Call,
    FieldRef,
    ModifiedSet,
    Modifier,
    Node,
    Number,
    SetName,
    SetNode,
    SetOperation,
    SetValue,
    Text,
    Unary,
)

_DEEPEST: Final = (
    100  # nested parentheses and calls; keeps hostile input from the interpreter's recursion limit
)
_COMPARISONS: Final = ("=", "<>", "<", ">", "<=", ">=")
_MODIFIER_OPERATORS: Final = ("=", "+=", "-=", "*=", "/=")


@lru_cache(maxsize=1024)
def parse(source: str) -> Node:
    """Parse an expression; a leading ``=`` is ignored. Raises `ExpressionError` or `UnsupportedError`."""
    text = source.strip()
    text = text.removeprefix("=")
    if not text.strip():
        raise ExpressionError("Error in expression: it is empty")
    reader = _Reader(tokens(text), offset=source.find(text))
    node = reader.expression()
    reader.expect_end()
    return node


class _Reader:
    """A recursive descent over the tokens of one expression."""

    def __init__(self, found: list[Token], offset: int) -> None:
        self._tokens = found
        self._at = 0
        self._offset = offset
        self._depth = 0

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _take(self, *operators: str) -> str | None:
        if self._now.is_operator(*operators):
            return self._next().value
        return None

    def _expect(self, operator: str) -> None:
        if self._take(operator) is None:
            raise self._wrong(f"'{operator}' expected")

    def _wrong(self, why: str) -> ExpressionError:
        token = self._now
        where = "at the end" if token.kind == "end" else f"before '{token.value}'"
        return ExpressionError(f"Error in expression: {why} {where}")

    def expect_end(self) -> None:
        """Nothing may follow."""
        if self._now.kind != "end":
            raise self._wrong("garbage after expression")

    def expression(self) -> Node:
        """The whole precedence ladder: or, and, not, comparison, ``&``, sums, products."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ExpressionError("Error in expression: it is nested too deeply")
        left = self._conjunction()
        while self._now.is_word("or", "xor"):
            operator = self._next().value.lower()
            left = Binary(operator, left, self._conjunction())
        self._depth -= 1
        return left

    def _conjunction(self) -> Node:
        left = self._negation()
        while self._now.is_word("and"):
            self._next()
            left = Binary("and", left, self._negation())
        return left

    def _negation(self) -> Node:
        if self._now.is_word("not"):
            self._next()
            return Unary("not", self._negation())
        return self._comparison()

    def _comparison(self) -> Node:
        left = self._joined()
        while True:
            if operator := self._take(*_COMPARISONS):
                left = Binary(operator, left, self._joined())
            elif self._now.is_word("like"):
                self._next()
                left = Binary("like", left, self._joined())
            elif self._now.is_word("precedes", "follows", "bitand", "bitor", "bitxor", "bitnot"):
                raise UnsupportedError(self._now.value)
            else:
                return left

    def _joined(self) -> Node:
        left = self._sum()
        while self._take("&"):
            left = Binary("&", left, self._sum())
        return left

    def _sum(self) -> Node:
        left = self._product()
        while operator := self._take("+", "-"):
            left = Binary(operator, left, self._product())
        return left

    def _product(self) -> Node:
        left = self._signed()
        while operator := self._take("*", "/"):
            left = Binary(operator, left, self._signed())
        return left

    def _signed(self) -> Node:
        if operator := self._take("-", "+"):
            return Unary(operator, self._signed())
        return self._primary()

    def _primary(self) -> Node:
        token = self._next()
        match token.kind:
            case "number":
                return Number(float(token.value))
            case "text":
                return Text(token.value)
            case "quoted" | "bracketed":
                return FieldRef(token.value, token.start + self._offset, token.length)
            case "name":
                if self._now.is_operator("("):
                    return self._call(token)
                return FieldRef(token.value, token.start + self._offset, token.length)
            case "operator" if token.value == "(":
                inner = self.expression()
                self._expect(")")
                return inner
            case _:
                self._at = max(self._at - 1, 0) if token.kind != "end" else self._at
                raise self._wrong("an operand is missing")

    def _call(self, name: Token) -> Node:
        self._expect("(")
        chosen_set: SetNode | None = None
        distinct = total = False
        while True:
            if self._take("{"):
                chosen_set = self._set()
                self._expect("}")
            elif self._now.is_word("distinct"):
                self._next()
                distinct = True
            elif self._now.is_word("total"):
                self._next()
                total = True
                if self._now.is_operator("<"):
                    raise UnsupportedError("TOTAL with a list of fields")
            elif self._now.is_word("all") and not self._tokens[self._at + 1].is_operator(")", ","):
                raise UnsupportedError("ALL")
            else:
                break
        arguments: list[Node] = []
        if not self._now.is_operator(")"):
            arguments.append(self.expression())
            while self._take(","):
                arguments.append(self.expression())
        self._expect(")")
        return Call(
            name.value.lower(), tuple(arguments), distinct=distinct, total=total, chosen_set=chosen_set
        )

    def _set(self) -> SetNode:
        left = self._set_term()
        while operator := self._take("+", "-"):
            left = SetOperation(operator, left, self._set_term())
        return left

    def _set_term(self) -> SetNode:
        left = self._set_factor()
        while operator := self._take("*", "/"):
            left = SetOperation(operator, left, self._set_factor())
        return left

    def _set_factor(self) -> SetNode:
        if self._take("("):
            inner = self._set()
            self._expect(")")
            return inner
        base = self._set_name()
        if self._take("<>"):
            return base
        if self._take("<"):
            return ModifiedSet(base, self._modifiers())
        return base

    def _set_name(self) -> SetName:
        if self._take("$"):
            if self._now.kind in {"number", "name"}:
                raise UnsupportedError(f"set identifier ${self._now.value}")
            return SetName("$")
        if self._now.is_operator("<", "<>"):
            return SetName("$")
        token = self._next()
        if token.kind == "number" and token.value == "1":
            return SetName("1")
        if token.kind in {"name", "bracketed", "quoted"}:
            if self._now.is_operator(":"):
                raise UnsupportedError(f"set identifier {token.value}::")
            return SetName(token.value)
        raise ExpressionError(f"Error in set modifier expression near '{token.value}'")

    def _modifiers(self) -> tuple[Modifier, ...]:
        found = [self._modifier()]
        while self._take(","):
            found.append(self._modifier())
        self._expect(">")
        return tuple(found)

    def _modifier(self) -> Modifier:
        name = self._next()
        if name.kind not in {"name", "bracketed", "quoted"}:
            raise ExpressionError(f"Error in set modifier expression near '{name.value}'")
        operator = self._take(*_MODIFIER_OPERATORS)
        if operator is None:
            return Modifier(name.value, "=", None)
        if self._take("{"):
            return Modifier(name.value, operator, self._values())
        if self._now.is_operator(",", ">"):
            return Modifier(name.value, operator, None)
        if self._now.kind == "name" and self._tokens[self._at + 1].is_operator("("):
            raise UnsupportedError(f"element function {self._now.value}() in a set modifier")
        raise UnsupportedError(f"modifier {name.value}{operator}{self._now.value} in a set")

    def _values(self) -> tuple[SetValue, ...]:
        values: list[SetValue] = []
        while not self._now.is_operator("}"):
            values.append(self._value())
            if not self._take(","):
                break
        self._expect("}")
        if self._now.is_operator("+", "-", "*", "/"):
            raise UnsupportedError(f"'{self._now.value}' between element sets in a set modifier")
        return tuple(values)

    def _value(self) -> SetValue:
        if self._take("*"):
            return SetValue("*", is_search=True)
        sign = "-" if self._take("-") else ""
        token = self._next()
        if token.kind in {"number", "text", "name"}:
            return SetValue(sign + token.value, is_search=False)
        if token.kind in {"quoted", "bracketed"}:
            return SetValue(token.value, is_search=True)
        raise ExpressionError(f"Error in set modifier expression near '{token.value}'")
