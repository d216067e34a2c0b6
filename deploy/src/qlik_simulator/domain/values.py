"""Values while they are calculated: a number, a text, or both (a dual), as polars expressions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from qlik_simulator.domain.formats import GENERAL, NumberFormat

TRUE: Final = -1.0  # Qlik's true


@dataclass(frozen=True)
class Value:
    """What an expression gives: ``number`` and/or ``text`` columns, and how the number is shown.

    With both, the text belongs to the number where there is one (a dual); where the number is null the
    text stands alone.
    """

    number: pl.Expr | None
    text: pl.Expr | None = None
    shown: NumberFormat = GENERAL

    def as_number(self) -> pl.Expr:
        """The number; a text that looks like one counts, any other is null."""
        if self.number is not None:
            return self.number
        if self.text is None:
            return pl.lit(None, dtype=pl.Float64)
        return self.text.str.strip_chars().cast(pl.Float64, strict=False)

    def as_text(self) -> pl.Expr:
        """The text; a number is written in its format."""
        if self.number is None:
            return pl.lit(None, dtype=pl.String) if self.text is None else self.text
        written = self.number.map_batches(
            lambda series: _written(series, self.shown), return_dtype=pl.String, is_elementwise=True
        )
        return written if self.text is None else pl.coalesce(self.text, written)

    @property
    def is_text(self) -> bool:
        """Whether there is no number at all."""
        return self.number is None

    def is_null(self) -> pl.Expr:
        """Whether there is neither."""
        parts = [part.is_null() for part in (self.number, self.text) if part is not None]
        return pl.all_horizontal(parts) if parts else pl.lit(value=True)

    def truth(self) -> pl.Expr:
        """Whether the value counts as true: a number other than zero."""
        return (self.as_number() != 0).fill_null(value=False)

    def renamed(self, number: str, text: str) -> "Value":
        """The same value read from columns of these names."""
        return Value(
            None if self.number is None else pl.col(number),
            None if self.text is None else pl.col(text),
            self.shown,
        )

    def columns(self, number: str, text: str) -> list[pl.Expr]:
        """The expressions to store under these names."""
        found = [] if self.number is None else [self.number.cast(pl.Float64).alias(number)]
        return found if self.text is None else [*found, self.text.alias(text)]


def _written(series: pl.Series, shown: NumberFormat) -> pl.Series:
    distinct = series.unique()
    texts = [None if number is None else shown.text(number) for number in distinct.to_list()]
    return series.replace_strict(distinct, pl.Series(texts, dtype=pl.String), return_dtype=pl.String)


def constant(value: float | str | None, shown: NumberFormat = GENERAL) -> Value:
    """A value that is the same everywhere."""
    if isinstance(value, str):
        return Value(None, pl.lit(value))
    return Value(pl.lit(None if value is None else float(value), dtype=pl.Float64), shown=shown)


def boolean(condition: pl.Expr) -> Value:
    """True as -1, false as 0; a condition that cannot be decided is false."""
    return Value(pl.when(condition.fill_null(value=False)).then(TRUE).otherwise(0.0))


def choice(branches: Sequence[tuple[pl.Expr, Value]], otherwise: Value) -> Value:
    """The value of the first branch whose condition holds."""
    values = [value for _, value in branches] + [otherwise]
    number = _chosen([(when, value.number) for when, value in branches], otherwise.number)
    has_text = any(value.text is not None for value in values)
    text = _chosen([(when, value.text) for when, value in branches], otherwise.text) if has_text else None
    shown = next((value.shown for value in values if value.number is not None), GENERAL)
    has_number = any(value.number is not None for value in values)
    return Value(number if has_number else None, text, shown)


def _chosen(branches: Sequence[tuple[pl.Expr, pl.Expr | None]], otherwise: pl.Expr | None) -> pl.Expr:
    nothing = pl.lit(None)
    result = nothing if otherwise is None else otherwise
    for condition, value in reversed(branches):
        result = pl.when(condition).then(nothing if value is None else value).otherwise(result)
    return result
