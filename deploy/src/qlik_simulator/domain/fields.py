"""Fields: a symbol table (the distinct values, in load order) and one code per row of the table.

The position of a value in its symbol table is the element number the engine shows as ``qElemNumber``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cached_property
from typing import Any, Final, overload

import numpy as np
import numpy.typing as npt
import polars as pl

from qlik_simulator.domain.formats import DATE, GENERAL, TIMESTAMP, NumberFormat, general_text, to_serial

Codes = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
_FEW: Final = 10_000  # texts that are kept; more are written when they are asked for
SYSTEM_FIELDS: Final = ("$Table", "$Field", "$Fields", "$FieldNo", "$Rows", "$Info")
NULL: Final = -2  # the element number of a missing value


class WrittenNumbers(Sequence[str]):
    """The texts of numbers, written when they are asked for: of a million amounts few are ever shown."""

    def __init__(self, numbers: Numbers, write: Callable[[float], str]) -> None:
        self._numbers = numbers
        self._write = write

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            return WrittenNumbers(self._numbers[at], self._write)
        return self._write(float(self._numbers[at]))

    def __iter__(self) -> Iterator[str]:
        return map(self._write, self._numbers.tolist())


@dataclass(frozen=True, eq=False)
class Field:
    """One field of the model, immutable and shared by every session.

    ``codes`` has one entry per row: the element number, or ``len(texts)`` where the row has no value, so that
    a table with one entry more than there are symbols can be looked up without a test.
    """

    name: str
    texts: Sequence[str]
    numbers: Numbers
    codes: Codes
    shown: NumberFormat = GENERAL
    tags: tuple[str, ...] = ()

    @property
    def is_system(self) -> bool:
        """Whether the field describes the data model, such as ``$Field``, and no row has values of it."""
        return self.name in SYSTEM_FIELDS

    @property
    def size(self) -> int:
        """How many distinct values there are."""
        return len(self.texts)

    @cached_property
    def longest(self) -> int:
        """Characters of the longest text."""
        return max(map(len, self.texts), default=0)

    @cached_property
    def is_numeric(self) -> bool:
        """Whether every value has a number."""
        return self.size > 0 and not bool(np.isnan(self.numbers).any())

    @cached_property
    def text_index(self) -> dict[str, int]:
        """Element number by text."""
        return {text: code for code, text in reversed(list(enumerate(self.texts)))}

    @cached_property
    def number_index(self) -> dict[float, int]:
        """Element number by number."""
        return {float(n): code for code, n in enumerate(self.numbers) if not np.isnan(n)}

    @cached_property
    def text_rank(self) -> npt.NDArray[np.int64]:
        """Rank of each element by text, ignoring case first."""
        order = sorted(range(self.size), key=lambda code: (self.texts[code].casefold(), self.texts[code]))
        return _ranks(order)

    @cached_property
    def number_rank(self) -> npt.NDArray[np.int64]:
        """Rank of each element by number; values without a number come last, in load order."""
        order = np.argsort(self.numbers, kind="stable")  # NaN sorts last
        return _ranks([int(code) for code in order])

    @cached_property
    def frequencies(self) -> npt.NDArray[np.int64]:
        """How many rows of the whole table have each element."""
        return np.bincount(self.codes, minlength=self.size + 1)[: self.size]

    @cached_property
    def has_nulls(self) -> bool:
        """Whether some row has no value."""
        return bool((self.codes == self.size).any())

    @cached_property
    def code_series(self) -> pl.Series:
        """The codes as a column; a missing value is null."""
        series = pl.Series(self.codes)
        return series.set(series == self.size, None) if self.has_nulls else series

    @cached_property
    def number_series(self) -> pl.Series:
        """The numbers as a column; null where there is no value or the value has no number."""
        table = np.append(self.numbers, np.nan)
        return pl.Series(table[self.codes]).fill_nan(None)

    @cached_property
    def text_series(self) -> pl.Series:
        """The texts as a column; null where there is no value."""
        table = pl.Series([*self.texts, None], dtype=pl.String)
        return table.gather(pl.Series(self.codes))


def _ranks(order: list[int]) -> npt.NDArray[np.int64]:
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


def field_of(series: pl.Series, shown: NumberFormat | None = None) -> Field:
    """Build a field from a column of a table; dates and times become duals (a serial number with a text)."""
    column = series.cast(pl.Int64) if series.dtype == pl.Boolean else series
    if column.dtype.is_float():
        column = column.fill_nan(None)
    values = column.drop_nulls().unique(maintain_order=True)
    codes = column.replace_strict(
        values, pl.Series(range(len(values)), dtype=pl.Int32), default=len(values), return_dtype=pl.Int32
    )
    presentation = shown or _natural_format(column.dtype)
    texts, numbers = _symbols(values, presentation)
    return Field(
        name=series.name,
        texts=texts,
        numbers=numbers,
        codes=codes.fill_null(len(values)).to_numpy(),
        shown=presentation,
        tags=_tags(numbers, presentation),
    )


def _natural_format(dtype: pl.DataType) -> NumberFormat:
    if dtype == pl.Date:
        return DATE
    if isinstance(dtype, pl.Datetime):
        return TIMESTAMP
    return NumberFormat("I", "###0") if dtype.is_integer() else GENERAL


def _symbols(values: pl.Series, shown: NumberFormat) -> tuple[Sequence[str], Numbers]:
    if values.dtype == pl.String:
        return tuple(values.to_list()), np.full(len(values), np.nan)
    if values.dtype.is_numeric():
        numbers = values.cast(pl.Float64).to_numpy()
        text = general_text if shown.type in {"U", "I"} else shown.text
        written = WrittenNumbers(numbers, text)
        return written if len(written) > _FEW else tuple(written), numbers
    duals = [_dual(value, shown) for value in values.to_list()]
    return tuple(text for text, _ in duals), np.array([number for _, number in duals], dtype=np.float64)


def _dual(value: Any, shown: NumberFormat) -> tuple[str, float]:
    match value:
        case datetime():
            serial = to_serial(value if value.tzinfo else value.replace(tzinfo=UTC))
            return shown.text(serial), serial
        case date():
            serial = to_serial(datetime.combine(value, time(), tzinfo=UTC))
            return shown.text(serial), serial
        case _:
            return str(value), float("nan")


def _tags(numbers: Numbers, shown: NumberFormat) -> tuple[str, ...]:
    if len(numbers) == 0:
        return ()
    if np.isnan(numbers).all():
        return ("$ascii", "$text")
    if np.isnan(numbers).any():
        return ()
    if shown.type == "D":
        return ("$numeric", "$integer", "$timestamp", "$date")
    if shown.type == "TS":
        return ("$numeric", "$timestamp")
    return ("$numeric", "$integer") if bool((numbers == np.floor(numbers)).all()) else ("$numeric",)
