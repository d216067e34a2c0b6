"""The scalar functions the simulator knows. Everything else is refused by name."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from qlik_simulator.domain.errors import ExpressionError, UnsupportedError
from qlik_simulator.domain.formats import (
    DATE,
    EPOCH,
    GENERAL,
    MONTH_NAME,
    TIMESTAMP,
    WEEKDAY_NAME,
    NumberFormat,
)
from qlik_simulator.domain.syntax import Node, Number, Text, Unary
from qlik_simulator.domain.values import Value, boolean, choice, constant

_DAY_MS: Final = 86_400_000


@dataclass(frozen=True)
class Arguments:
    """The arguments of one call: their values, and the nodes for those that must be constants."""

    values: Sequence[Value]
    nodes: Sequence[Node]
    now: float  # serial number of this moment

    def number(self, index: int) -> pl.Expr:
        """An argument as a number."""
        return self.values[index].as_number()

    def text(self, index: int) -> pl.Expr:
        """An argument as a text."""
        return self.values[index].as_text()

    def constant_text(self, index: int, default: str = "") -> str:
        """An argument that has to be written as a text in quotes."""
        if index >= len(self.nodes):
            return default
        node = self.nodes[index]
        if isinstance(node, Text):
            return node.value
        raise UnsupportedError("a calculated format or delimiter")

    def constant_number(self, index: int, default: float) -> float:
        """An argument that has to be written as a number."""
        if index >= len(self.nodes):
            return default
        match self.nodes[index]:
            case Number(value):
                return value
            case Unary("-", Number(value)):
                return -value
            case _:
                raise UnsupportedError("a calculated step or position")


Scalar = Callable[[Arguments], Value]


def moment(serial: pl.Expr) -> pl.Expr:
    """A serial number as a polars datetime."""
    return (serial * _DAY_MS).round().cast(pl.Int64).cast(pl.Duration("ms")) + pl.lit(
        EPOCH.replace(tzinfo=None), dtype=pl.Datetime("ms")
    )


def serial_of(when: pl.Expr) -> pl.Expr:
    """A polars datetime as a serial number."""
    elapsed = when.cast(pl.Datetime("ms")) - pl.lit(EPOCH.replace(tzinfo=None), dtype=pl.Datetime("ms"))
    return elapsed.dt.total_milliseconds().cast(pl.Float64) / _DAY_MS


def _if(given: Arguments) -> Value:
    other = given.values[2] if len(given.values) == 3 else constant(None)  # noqa: PLR2004
    return choice([(given.values[0].truth(), given.values[1])], other)


def _alt(given: Arguments) -> Value:
    result = given.values[-1]
    for value in reversed(given.values[:-1]):
        result = choice([(value.as_number().is_not_null(), value)], result)
    return result


def _coalesce(given: Arguments) -> Value:
    result = given.values[-1]
    for value in reversed(given.values[:-1]):
        result = choice([(~value.is_null(), value)], result)
    return result


def _round(given: Arguments) -> Value:
    step = given.constant_number(1, 1.0)
    if step <= 0 or len(given.nodes) > 2:  # noqa: PLR2004
        raise UnsupportedError("Round() with an offset or a step that is not positive")
    # Qlik rounds halves up: floor(x/step + 0.5) * step
    rounded = (given.number(0) / step + 0.5).floor()
    return Value(rounded * step if step >= 1 else rounded / round(1 / step))


def _stepped(given: Arguments, name: str) -> Value:
    step = given.constant_number(1, 1.0)
    if step <= 0 or len(given.nodes) > 2:  # noqa: PLR2004
        raise UnsupportedError(f"{name}() with an offset or a step that is not positive")
    scaled = given.number(0) / step
    return Value((scaled.floor() if name == "Floor" else scaled.ceil()) * step)


def _formatted(kind: str, default: NumberFormat) -> Scalar:
    def make(given: Arguments) -> Value:
        pattern = given.constant_text(1)
        shown = default if not pattern else NumberFormat(kind, pattern, default.decimal, default.thousand)
        return Value(given.number(0), shown=shown)

    return make


def _part(pick: Callable[[pl.Expr], pl.Expr], shown: NumberFormat = GENERAL) -> Scalar:
    return lambda given: Value(pick(moment(given.number(0))).cast(pl.Float64), shown=shown)


def _start(unit: str, shown: NumberFormat) -> Scalar:
    def make(given: Arguments) -> Value:
        if len(given.values) > 1:
            raise UnsupportedError("a shift of periods")
        return Value(serial_of(moment(given.number(0)).dt.truncate(unit)), shown=shown)

    return make


def _end(unit: str) -> Scalar:
    def make(given: Arguments) -> Value:
        if len(given.values) > 1:
            raise UnsupportedError("a shift of periods")
        after = moment(given.number(0)).dt.truncate(unit).dt.offset_by(unit)
        return Value(serial_of(after - pl.duration(milliseconds=1)), shown=DATE)

    return make


def _add_months(given: Arguments) -> Value:
    months = given.number(1).cast(pl.Int64).cast(pl.String) + "mo"
    # The 31st of a month becomes the last day of a shorter one, in polars as in Qlik.
    return Value(serial_of(moment(given.number(0)).dt.offset_by(months)), shown=given.values[0].shown)


def _pick(given: Arguments) -> Value:
    branches = [(given.number(0) == index, value) for index, value in enumerate(given.values[1:], start=1)]
    return choice([(when.fill_null(value=False), value) for when, value in branches], constant(None))


def _wild_match(given: Arguments) -> Value:
    position: pl.Expr = pl.lit(0.0)
    for index in range(len(given.values) - 1, 0, -1):
        pattern = "(?is)" + _wild_pattern(given.constant_text(index))
        hit = given.text(0).str.contains(pattern).fill_null(value=False)
        position = pl.when(hit).then(float(index)).otherwise(position)
    return Value(position)


def _wild_pattern(wild: str) -> str:
    """A pattern with ``*`` and ``?`` as a regular expression for the whole text."""
    return "^" + "".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in wild) + "$"


def _make_date(given: Arguments) -> Value:
    month = given.number(1) if len(given.values) > 1 else pl.lit(1.0)
    day = given.number(2) if len(given.values) > 2 else pl.lit(1.0)  # noqa: PLR2004
    when = pl.datetime(given.number(0).cast(pl.Int32), month.cast(pl.Int8), day.cast(pl.Int8), time_unit="ms")
    return Value(serial_of(when), shown=DATE)


def _mathematics(apply: Callable[[pl.Expr], pl.Expr]) -> Scalar:
    return lambda given: Value(_finite(apply(given.number(0))))


def _finite(number: pl.Expr) -> pl.Expr:
    return pl.when(number.is_finite()).then(number)


def _textual(apply: Callable[[pl.Expr], pl.Expr]) -> Scalar:
    return lambda given: Value(None, apply(given.text(0)))


def _left(given: Arguments) -> Value:
    return Value(None, given.text(0).str.head(given.number(1).cast(pl.Int64)))


def _right(given: Arguments) -> Value:
    return Value(None, given.text(0).str.tail(given.number(1).cast(pl.Int64)))


def _mid(given: Arguments) -> Value:
    offset = given.number(1).cast(pl.Int64) - 1
    length = given.number(2).cast(pl.UInt64) if len(given.values) > 2 else None  # noqa: PLR2004
    return Value(None, given.text(0).str.slice(offset, length))


def _subfield(given: Arguments) -> Value:
    delimiter = given.constant_text(1)
    index = int(given.constant_number(2, 0))
    if index == 0 or len(given.nodes) != 3:  # noqa: PLR2004
        raise UnsupportedError("SubField() without a field number")
    parts = given.text(0).str.split(delimiter)
    return Value(None, parts.list.get(index - 1 if index > 0 else index, null_on_oob=True))


def _replace(given: Arguments) -> Value:
    return Value(
        None, given.text(0).str.replace_all(given.constant_text(1), given.constant_text(2), literal=True)
    )


def _match(given: Arguments) -> Value:
    position: pl.Expr = pl.lit(0.0)
    for index in range(len(given.values) - 1, 0, -1):
        hit = equals(given.values[0], given.values[index]).fill_null(value=False)
        position = pl.when(hit).then(float(index)).otherwise(position)
    return Value(position)


def equals(left: Value, right: Value) -> pl.Expr:
    """Whether two values are the same: by number when both have one, else by text."""
    if left.is_text or right.is_text:
        return left.as_text() == right.as_text()
    return left.as_number() == right.as_number()


def _ranged(pick: Callable[[list[pl.Expr]], pl.Expr]) -> Scalar:
    return lambda given: Value(pick([value.as_number() for value in given.values]))


@dataclass(frozen=True)
class Signature:
    """How many arguments a function takes, and what it makes of them."""

    least: int
    most: int
    make: Scalar


_MANY: Final = 99
SCALARS: Final[dict[str, Signature]] = {
    "if": Signature(2, 3, _if),
    "alt": Signature(2, _MANY, _alt),
    "coalesce": Signature(1, _MANY, _coalesce),
    "isnull": Signature(1, 1, lambda given: boolean(given.values[0].is_null())),
    "null": Signature(0, 0, lambda _: constant(None)),
    "true": Signature(0, 0, lambda _: constant(-1.0)),
    "false": Signature(0, 0, lambda _: constant(0.0)),
    "match": Signature(2, _MANY, _match),
    "wildmatch": Signature(2, _MANY, _wild_match),
    "pick": Signature(2, _MANY, _pick),
    "round": Signature(1, 3, _round),
    "floor": Signature(1, 3, lambda given: _stepped(given, "Floor")),
    "ceil": Signature(1, 3, lambda given: _stepped(given, "Ceil")),
    "fabs": Signature(1, 1, _mathematics(lambda x: x.abs())),
    "sqrt": Signature(1, 1, _mathematics(lambda x: x.sqrt())),
    "exp": Signature(1, 1, _mathematics(lambda x: x.exp())),
    "log": Signature(1, 1, _mathematics(lambda x: x.log())),
    "log10": Signature(1, 1, _mathematics(lambda x: x.log10())),
    "sign": Signature(1, 1, _mathematics(lambda x: x.sign())),
    "pow": Signature(2, 2, lambda given: Value(_finite(given.number(0).pow(given.number(1))))),
    "mod": Signature(2, 2, lambda given: Value(_finite(given.number(0) % given.number(1)))),
    "div": Signature(2, 2, lambda given: Value(_finite((given.number(0) / given.number(1)).truncate()))),
    "rangesum": Signature(1, _MANY, _ranged(pl.sum_horizontal)),
    "rangemin": Signature(1, _MANY, _ranged(pl.min_horizontal)),
    "rangemax": Signature(1, _MANY, _ranged(pl.max_horizontal)),
    "num": Signature(1, 4, _formatted("F", GENERAL)),
    "money": Signature(1, 4, _formatted("M", NumberFormat("M", "$#,##0.00;-$#,##0.00"))),
    "date": Signature(1, 2, _formatted("D", DATE)),
    "timestamp": Signature(1, 2, _formatted("TS", TIMESTAMP)),
    "time": Signature(1, 2, _formatted("T", NumberFormat("T", "hh:mm:ss"))),
    "interval": Signature(1, 1, _formatted("IV", NumberFormat("IV"))),
    "text": Signature(1, 1, _textual(lambda x: x)),
    "year": Signature(1, 1, _part(lambda x: x.dt.year())),
    "month": Signature(1, 1, _part(lambda x: x.dt.month(), MONTH_NAME)),
    "day": Signature(1, 1, _part(lambda x: x.dt.day())),
    "hour": Signature(1, 1, _part(lambda x: x.dt.hour())),
    "minute": Signature(1, 1, _part(lambda x: x.dt.minute())),
    "second": Signature(1, 1, _part(lambda x: x.dt.second())),
    "weekday": Signature(1, 1, _part(lambda x: x.dt.weekday() - 1, WEEKDAY_NAME)),
    "week": Signature(1, 1, _part(lambda x: x.dt.week())),
    "monthname": Signature(1, 1, _start("1mo", NumberFormat("D", "MMM YYYY"))),
    "monthstart": Signature(1, 1, _start("1mo", DATE)),
    "quarterstart": Signature(1, 1, _start("1q", DATE)),
    "yearstart": Signature(1, 1, _start("1y", DATE)),
    "weekstart": Signature(1, 2, _start("1w", DATE)),
    "monthend": Signature(1, 2, _end("1mo")),
    "quarterend": Signature(1, 2, _end("1q")),
    "yearend": Signature(1, 2, _end("1y")),
    "addmonths": Signature(2, 2, _add_months),
    "makedate": Signature(1, 3, _make_date),
    "today": Signature(0, 0, lambda given: constant(float(int(given.now)), DATE)),
    "now": Signature(0, 0, lambda given: constant(given.now, TIMESTAMP)),
    "upper": Signature(1, 1, _textual(lambda x: x.str.to_uppercase())),
    "lower": Signature(1, 1, _textual(lambda x: x.str.to_lowercase())),
    "capitalize": Signature(1, 1, _textual(lambda x: x.str.to_titlecase())),
    "trim": Signature(1, 1, _textual(lambda x: x.str.strip_chars(" "))),
    "ltrim": Signature(1, 1, _textual(lambda x: x.str.strip_chars_start(" "))),
    "rtrim": Signature(1, 1, _textual(lambda x: x.str.strip_chars_end(" "))),
    "len": Signature(1, 1, lambda given: Value(given.text(0).str.len_chars().cast(pl.Float64))),
    "left": Signature(2, 2, _left),
    "right": Signature(2, 2, _right),
    "mid": Signature(2, 3, _mid),
    "subfield": Signature(2, 3, _subfield),
    "replace": Signature(3, 3, _replace),
    "chr": Signature(1, 1, lambda given: constant(chr(int(given.constant_number(0, 32))))),
}


def apply_scalar(name: str, given: Arguments) -> Value:
    """Call a scalar function. Raises `UnsupportedError` for one the simulator has not."""
    signature = SCALARS.get(name)
    if signature is None:
        raise UnsupportedError(f"the function {name}()")
    if not signature.least <= len(given.values) <= signature.most:
        raise ExpressionError(
            f"Error in expression: {name} takes {signature.least} to {signature.most} parameters"
        )
    return signature.make(given)
