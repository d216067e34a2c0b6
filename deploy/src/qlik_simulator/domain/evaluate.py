"""Running compiled expressions over the rows of a model, with or without groups."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from qlik_simulator.domain.compiler import DEFAULT_SET, Compiler, Context
from qlik_simulator.domain.errors import ExpressionError
from qlik_simulator.domain.fields import Codes, Field, Mask, Numbers
from qlik_simulator.domain.formats import GENERAL, NumberFormat
from qlik_simulator.domain.parser import parse
from qlik_simulator.domain.selections import possible_rows
from qlik_simulator.domain.syntax import Node, SetNode
from qlik_simulator.domain.values import Value

_EXPANSION: Final = re.compile(r"\$\(")
_MOST_EXPANSIONS: Final = 50


@dataclass(frozen=True, eq=False)
class Column:
    """The results of one expression.

    Numbers (NaN where there is none), texts (None where formatted from the number).
    """

    numbers: Numbers
    texts: tuple[str | None, ...] | None
    shown: NumberFormat = GENERAL

    def text(self, row: int, shown: NumberFormat | None = None) -> str | None:
        """The text of a row, or None when the value is missing."""
        if self.texts is not None and (shown is None or shown.is_auto) and self.texts[row] is not None:
            return self.texts[row]
        number = float(self.numbers[row])
        if np.isnan(number):
            return None if self.texts is None else self.texts[row]
        chosen = self.shown if shown is None or shown.is_auto else shown
        return chosen.text(number)

    def texts_of(self, rows: range, shown: NumberFormat | None = None) -> list[str | None]:
        """The texts of some rows."""
        if self.texts is not None:
            return [self.text(row, shown) for row in rows]
        chosen = self.shown if shown is None or shown.is_auto else shown
        numbers = self.numbers[rows.start : rows.stop].tolist()
        return [None if number != number else chosen.text(number) for number in numbers]  # noqa: PLR0124 - NaN


@dataclass(frozen=True, eq=False)
class Grouped:
    """Groups of dimension values and the results for each.

    ``codes[d][i]`` is the element of group i (size = missing).
    """

    codes: tuple[Codes, ...]
    columns: tuple[Column, ...]
    frequencies: Codes
    totals: tuple[Column, ...]  # one row each: the same expressions over everything

    @property
    def size(self) -> int:
        """How many groups there are."""
        return len(self.frequencies)


def expand(source: str, context: Context) -> str:
    """Replace ``$(name)`` by the text of the variable and ``$(=expression)`` by its result."""
    text = source
    for _ in range(_MOST_EXPANSIONS):
        found = _EXPANSION.search(text)
        if found is None:
            return text
        end = _closing(text, found.end())
        inner = text[found.end() : end].strip()
        text = text[: found.start()] + _expansion(inner, context) + text[end + 1 :]
    raise ExpressionError("Error in expression: dollar-sign expansions do not come to an end")


def _closing(text: str, start: int) -> int:
    depth = 1
    for position in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return position
    raise ExpressionError("Error in expression: ')' expected after '$('")


def _expansion(inner: str, context: Context) -> str:
    if inner.startswith("="):
        return scalar(inner, context).text(0) or ""
    definition = context.variables.get(inner, "")
    if definition.startswith("="):
        return scalar(definition, context).text(0) or ""
    return definition


def scalar(source: str, context: Context) -> Column:
    """The value of one expression over the current selections. Raises `ExpressionError`."""
    node = parse(expand(source, context))
    return grouped([], [node], context).totals[0]


def grouped(dimensions: Sequence[Field], nodes: Sequence[Node], context: Context) -> Grouped:
    """Evaluate expressions per combination of dimension values (in element order) and over everything."""
    compiler = Compiler(context)
    values = [compiler.aggregate(node) for node in nodes]
    if set(compiler.sets) <= {DEFAULT_SET}:
        compiler = Compiler(context, one_set=True)
        values = [compiler.aggregate(node) for node in nodes]
    masks = {node: context.rows(node) for node in compiler.sets}
    selected = possible_rows(context.model, context.states[context.state])
    base = selected
    for mask in masks.values():
        base = base | mask
    frame = _frame(compiler, dimensions, masks, base)
    totals = _totals(frame, compiler, values)
    if not dimensions:
        nothing = np.zeros(0, dtype=np.int32)
        return Grouped((), (), nothing, totals)
    keys = [f"d{index}" for index in range(len(dimensions))]
    per_group = (
        frame.group_by(keys)
        .agg([pl.len().alias("len"), *compiler.aggregate_columns])
        .sort(keys, nulls_last=True)
        .with_columns(_constants(frame, compiler.total_columns))
    )
    columns = _columns(per_group, values)
    codes = tuple(
        per_group[key].fill_null(of.size).to_numpy().astype(np.int32)
        for key, of in zip(keys, dimensions, strict=True)
    )
    return Grouped(codes, columns, per_group["len"].to_numpy().astype(np.int32), totals)


def calculated_field(name: str, node: Node, context: Context) -> Field:
    """A field made of an expression per row: a calculated dimension."""
    compiler = Compiler(context)
    value = compiler.row(node)
    needed = {root for expression in value.columns("n", "t") for root in expression.meta.root_names()}
    frame = pl.DataFrame({column: context.model.column(column) for column in sorted(needed)})
    if not needed:
        frame = pl.DataFrame({"any": pl.Series(np.zeros(context.model.rows, dtype=np.int8))})
    results = frame.with_columns(value.columns("n", "t"))
    keys = [column for column in ("n", "t") if column in results.columns]
    pairs = results.select(pl.struct(keys).alias("pair"))["pair"]
    present = ~results.select(pl.all_horizontal(pl.col(keys).is_null()).alias("gone"))["gone"]
    symbols = pairs.filter(present).unique(maintain_order=True)
    codes = (
        pl.DataFrame({"pair": pairs})
        .join(
            pl.DataFrame({"pair": symbols, "code": pl.Series(range(len(symbols)), dtype=pl.Int32)}),
            on="pair",
            how="left",
            maintain_order="left",
            nulls_equal=True,
        )["code"]
        .fill_null(len(symbols))
        .to_numpy()
    )
    texts, numbers = [], []
    for pair in symbols.to_list():
        number = pair.get("n")
        numbers.append(float("nan") if number is None else float(number))
        text = pair.get("t")
        texts.append(text if text is not None else value.shown.text(numbers[-1]))
    return Field(name, tuple(texts), np.array(numbers, dtype=np.float64), codes, value.shown)


def _frame(
    compiler: Compiler, dimensions: Sequence[Field], masks: Mapping[SetNode, Mask], base: Mask
) -> pl.DataFrame:
    model = compiler.context.model
    roots = {
        root
        for expression in (*compiler.row_columns, *compiler.aggregate_columns, *compiler.total_columns)
        for root in expression.meta.root_names()
    }
    needed = sorted(root for root in roots if root[:2] in {"c:", "n:", "t:"})
    data = {column: model.column(column) for column in needed}
    for index, of in enumerate(dimensions):
        data[f"d{index}"] = of.code_series
    if not compiler.one_set:
        data |= {name: pl.Series(masks[node]) for node, name in compiler.sets.items()}
    if not data:
        data["any"] = pl.Series(np.zeros(model.rows, dtype=np.int8))
    frame = pl.DataFrame(data)
    if not base.all():
        frame = frame.filter(pl.Series(base))
    return frame.with_columns(compiler.row_columns) if compiler.row_columns else frame


def _constants(frame: pl.DataFrame, columns: Sequence[pl.Expr]) -> list[pl.Expr]:
    """What the columns come to over everything, as constants."""
    whole = frame.select(columns) if columns else frame.select([])
    return [pl.lit(whole[name][0], dtype=whole[name].dtype).alias(name) for name in whole.columns]


def _totals(frame: pl.DataFrame, compiler: Compiler, values: Sequence[Value]) -> tuple[Column, ...]:
    columns = [*compiler.aggregate_columns, *compiler.total_columns] or [pl.lit(0).alias("none")]
    return _columns(frame.select(columns).head(1), values)


def _columns(frame: pl.DataFrame, values: Sequence[Value]) -> tuple[Column, ...]:
    found = []
    for value in values:
        parts = (
            frame.select(value.columns("n", "t"))
            if value.number is not None or value.text is not None
            else None
        )
        found.append(_column(parts, value, frame.height))
    return tuple(found)


def _column(parts: pl.DataFrame | None, value: Value, rows: int) -> Column:
    numbers = np.full(rows, np.nan)
    texts: tuple[str | None, ...] | None = None
    if parts is not None and "n" in parts.columns:
        numbers = np.resize(parts["n"].fill_null(np.nan).to_numpy(), rows)
    if parts is not None and "t" in parts.columns:
        found = parts["t"].to_list()
        texts = tuple(found * rows if len(found) == 1 and rows != 1 else found)
    return Column(numbers, texts, value.shown)
