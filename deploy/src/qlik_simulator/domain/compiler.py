"""Trees into polars: row expressions first, then aggregations, then what is calculated from those.

The three stages keep every aggregation a plain ``pl.col(...)`` aggregation, so that grouped results do not
depend on how polars runs functions inside a group.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import polars as pl

from qlik_simulator.domain.errors import ExpressionError, UnsupportedError
from qlik_simulator.domain.fields import Mask
from qlik_simulator.domain.formats import GENERAL
from qlik_simulator.domain.functions import Arguments, apply_scalar, equals
from qlik_simulator.domain.model import DataModel
from qlik_simulator.domain.parser import parse
from qlik_simulator.domain.selections import Selections
from qlik_simulator.domain.sets import set_rows
from qlik_simulator.domain.syntax import Binary, Call, FieldRef, Node, Number, SetName, SetNode, Text, Unary
from qlik_simulator.domain.values import Value, boolean, constant

AGGREGATIONS: Final = frozenset(
    "sum count avg min max only concat median stdev nullcount minstring maxstring".split()  # noqa: SIM905 - one line
)
DEFAULT_SET: Final = SetName("$")


@dataclass(frozen=True)
class Context:
    """What an expression is evaluated against.

    The data, the selections by state, variables, and the moment.
    """

    model: DataModel
    states: Mapping[str, Selections]
    state: str = "$"
    variables: Mapping[str, str] = field(default_factory=dict)
    now: float = 0.0

    def rows(self, node: SetNode) -> Mask:
        """The rows of a set."""
        return set_rows(self.model, node, self.states, self.state)


class Compiler:
    """Collects what the expressions of one calculation need.

    With ``one_set`` every aggregation looks at the rows it is given: for expressions without set analysis,
    where filtering each aggregation again would only cost time.
    """

    def __init__(self, context: Context, *, one_set: bool = False) -> None:
        self.context = context
        self.one_set = one_set
        self.sets: dict[SetNode, str] = {}
        self.row_expressions: dict[Node, Value] = {}
        self.row_columns: list[pl.Expr] = []
        self.aggregates: dict[Node, Value] = {}
        self.aggregate_columns: list[pl.Expr] = []
        self.total_columns: list[pl.Expr] = []  # the same value for every group: over all of them
        self._open_variables: list[str] = []

    def row(self, node: Node) -> Value:
        """A value per row: what stands inside an aggregation, or a calculated dimension."""
        match node:
            case Call(name) if name in AGGREGATIONS:
                raise ExpressionError("Error in expression: nested aggregation not allowed")
            case FieldRef():
                return self._row_field(node)
            case _:
                return self._scalar(node, self.row)

    def aggregate(self, node: Node) -> Value:
        """A value per group. A field outside of every aggregation means its only value."""
        match node:
            case Call(name) if name in AGGREGATIONS:
                return self._aggregated(node)
            case FieldRef(name):
                if self.context.model.field(name) is None and name in self.context.variables:
                    return self._variable(name, self.aggregate)
                return self._aggregated(Call("only", (node,)))
            case _:
                return self._scalar(node, self.aggregate)

    def _row_field(self, reference: FieldRef) -> Value:
        of = self.context.model.field(reference.name)
        if of is None:
            if reference.name in self.context.variables:
                return self._variable(reference.name, self.row)
            return constant(None)  # the engine calculates on with null; CheckExpression names the field
        number, text = pl.col(f"n:{of.name}"), pl.col(f"t:{of.name}")
        if of.is_numeric:
            return Value(number, None if of.shown.type in {"U", "I"} else text, of.shown)
        has_numbers = bool((of.numbers == of.numbers).any())
        return Value(number if has_numbers else None, text, of.shown)

    def _variable(self, name: str, recurse: "_Recurse") -> Value:
        if name in self._open_variables:
            raise ExpressionError(f"Error in expression: the variable {name} refers to itself")
        definition = self.context.variables[name]
        if definition.startswith("="):
            self._open_variables.append(name)
            value = recurse(parse(definition))
            self._open_variables.pop()
            return value
        try:
            return constant(float(definition))
        except ValueError:
            return constant(definition)

    def _scalar(self, node: Node, recurse: "_Recurse") -> Value:
        match node:
            case Number(value):
                return constant(value)
            case Text(value):
                return constant(value)
            case Unary("not", operand):
                return boolean(~recurse(operand).truth())
            case Unary(sign, operand):
                inner = recurse(operand)
                return Value(-inner.as_number() if sign == "-" else inner.as_number(), shown=inner.shown)
            case Binary(operator, left, right):
                return _operation(operator, recurse(left), recurse(right))
            case Call(name, arguments, distinct, total, chosen_set):
                if distinct or total or chosen_set is not None:
                    raise UnsupportedError(f"a set, DISTINCT or TOTAL in {name}()")
                values = [recurse(argument) for argument in arguments]
                return apply_scalar(name, Arguments(values, arguments, self.context.now))
            case _:
                raise UnsupportedError(type(node).__name__)

    def _aggregated(self, call: Call) -> Value:
        known = self.aggregates.get(call)
        if known is not None:
            return known
        if not call.arguments:
            raise ExpressionError(f"Error in expression: {call.name} takes at least 1 parameter")
        source = self._stored_row(call.arguments[0])
        chosen = self._set_column(call.chosen_set or DEFAULT_SET)
        numbers = self._within(source.as_number(), chosen)
        shown = source.shown
        match call.name:
            case "sum":
                value = Value((numbers.unique() if call.distinct else numbers).sum())
            case "avg":
                value = Value((numbers.drop_nulls().unique() if call.distinct else numbers).mean())
            case "median":
                value = Value(numbers.median())
            case "stdev":
                value = Value((numbers.drop_nulls().unique() if call.distinct else numbers).std())
            case "min" | "max" if len(call.arguments) == 1:
                value = Value(numbers.min() if call.name == "min" else numbers.max(), shown=shown)
            case _:
                value = self._by_value(call, source, chosen)
        index = len(self.aggregates)
        number_name, text_name = f"a{index}:n", f"a{index}:t"
        columns = self.total_columns if call.total else self.aggregate_columns
        columns += value.columns(number_name, text_name)
        stored = value.renamed(number_name, text_name)
        self.aggregates[call] = stored
        return stored

    def _by_value(self, call: Call, source: Value, chosen: str) -> Value:
        key = self._within(source.as_text() if source.text is not None else source.as_number(), chosen)
        present = key.drop_nulls()
        if call.name == "count":
            return Value((present.n_unique() if call.distinct else present.len()).cast(pl.Float64))
        if call.name == "nullcount":
            return Value(key.null_count().cast(pl.Float64))
        if call.name == "only":
            single = present.n_unique() == 1
            number = (
                None if source.number is None else self._within(source.number, chosen).drop_nulls().first()
            )
            text = None if source.text is None else self._within(source.text, chosen).drop_nulls().first()
            return Value(
                None if number is None else pl.when(single).then(number),
                None if text is None else pl.when(single).then(text),
                source.shown,
            )
        texts = self._within(source.as_text(), chosen).drop_nulls()
        match call.name, len(call.arguments):
            case "concat", 1 | 2:
                delimiter = call.arguments[1] if len(call.arguments) == 2 else Text("")  # noqa: PLR2004
                if not isinstance(delimiter, Text):
                    raise UnsupportedError("a calculated delimiter in Concat()")
                joined = (texts.unique() if call.distinct else texts).sort().str.join(delimiter.value)
                return Value(None, joined)
            case "minstring", 1:
                return Value(None, texts.min())
            case "maxstring", 1:
                return Value(None, texts.max())
            case _:
                raise UnsupportedError(f"{call.name}() with {len(call.arguments)} parameters")

    def _stored_row(self, node: Node) -> Value:
        known = self.row_expressions.get(node)
        if known is not None:
            return known
        value = self.row(node)
        if not isinstance(node, FieldRef):
            index = len(self.row_expressions)
            self.row_columns += value.columns(f"r{index}:n", f"r{index}:t")
            value = value.renamed(f"r{index}:n", f"r{index}:t")
        self.row_expressions[node] = value
        return value

    def _within(self, values: pl.Expr, chosen: str) -> pl.Expr:
        return values if self.one_set else values.filter(pl.col(chosen))

    def _set_column(self, node: SetNode) -> str:
        return self.sets.setdefault(node, f"s:{len(self.sets)}")


class _Recurse(Protocol):
    """How a node below is compiled: per row or per group."""

    def __call__(self, node: Node) -> Value: ...


def _operation(operator: str, left: Value, right: Value) -> Value:  # noqa: PLR0911 - one return per operator
    match operator:
        case "and":
            return boolean(left.truth() & right.truth())
        case "or":
            return boolean(left.truth() | right.truth())
        case "xor":
            return boolean(left.truth() ^ right.truth())
        case "&":
            joined = left.as_text().fill_null("") + right.as_text().fill_null("")
            return Value(None, joined)
        case "=":
            return boolean(equals(left, right))
        case "<>":
            return boolean(~equals(left, right))
        case "like":
            raise UnsupportedError("like")
        case "<" | ">" | "<=" | ">=":
            return boolean(_ordered(operator, left, right))
        case _:
            return _arithmetic(operator, left, right)


def _ordered(operator: str, left: Value, right: Value) -> pl.Expr:
    by_text = left.is_text and right.is_text
    first, second = (left.as_text(), right.as_text()) if by_text else (left.as_number(), right.as_number())
    match operator:
        case "<":
            return first < second
        case ">":
            return first > second
        case "<=":
            return first <= second
        case _:
            return first >= second


def _arithmetic(operator: str, left: Value, right: Value) -> Value:
    first, second = left.as_number(), right.as_number()
    match operator:
        case "+":
            shown = left.shown if left.shown.type in {"D", "TS"} else GENERAL
            return Value(first + second, shown=shown)
        case "-":
            shown = left.shown if left.shown.type in {"D", "TS"} and right.shown.is_auto else GENERAL
            return Value(first - second, shown=shown)
        case "*":
            return Value(first * second)
        case _:
            return Value(pl.when(second != 0).then(first / second))
