"""The data model of one app: the fields of one wide table, shared by every session that has the app open."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, TypeVar

import numpy as np
import polars as pl

from qlik_simulator.domain.fields import SYSTEM_FIELDS, Field, Mask, field_of
from qlik_simulator.domain.formats import NumberFormat

T = TypeVar("T")
_KEPT: Final = 64  # results per model: enough for the sheets of a test, small enough to forget about
_KEPT_ROWS: Final = 4_000_000  # of the results together: a few cubes of a million rows, or all that are small


class DataModel:
    """The fields of an app. Immutable to callers; it remembers what it calculated (thread-safe)."""

    def __init__(self, fields: Mapping[str, Field], rows: int, table: str = "Data") -> None:
        self.fields = dict(fields)
        self.rows = rows
        self.table = table
        self._derived: dict[str, Field] = {}
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._kept_rows = 0
        self._lock = threading.Lock()

    def field(self, name: str) -> Field | None:
        """The field of that name, or None; a name in square brackets means the same field.

        A calculated dimension is found by its expression once a cube has used it.
        """
        bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
        return (
            self.fields.get(name) or self.fields.get(bare) or self._derived.get(name) or self.system.get(bare)
        )

    @cached_property
    def system(self) -> Mapping[str, Field]:
        """The fields that describe the model: its table and the names and numbers of its fields."""
        described: dict[str, list[Any]] = {
            "$Table": [self.table],
            "$Field": list(self.fields),
            "$Fields": [len(self.fields)],
            "$FieldNo": list(range(1, len(self.fields) + 1)),
            "$Rows": [self.rows],
            "$Info": [],
        }
        return {name: self._described(name, described[name]) for name in SYSTEM_FIELDS}

    def _described(self, name: str, values: list[Any]) -> Field:
        dtype = pl.Int64 if name in {"$Fields", "$FieldNo", "$Rows"} else pl.String
        made = field_of(pl.Series(name, values, dtype=dtype))
        tags = (*made.tags, "$system", "$hidden")
        return replace(made, codes=np.full(self.rows, made.size, dtype=np.int32), tags=tags)

    def derive(self, name: str, make: Callable[[], Field]) -> Field:
        """The calculated dimension of that name, made when it is asked for the first time."""
        found = self._derived.get(name)
        if found is None:
            found = self._derived.setdefault(name, make())
        return found

    def remember(self, key: Hashable, make: Callable[[], T], rows: Callable[[T], int] = lambda _: 0) -> T:
        """The value kept under the key, made now when there is none; ``rows`` says how large it is."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                found: T = self._kept[key][0]
                return found
        value = make()
        with self._lock:
            self._forget(key)
            self._kept[key] = value, rows(value)
            self._kept_rows += rows(value)
            while len(self._kept) > _KEPT or (self._kept_rows > _KEPT_ROWS and len(self._kept) > 1):
                self._forget(next(iter(self._kept)))
        return value

    def _forget(self, key: Hashable) -> None:
        self._kept_rows -= self._kept.pop(key, (None, 0))[1]

    def all_rows(self) -> Mask:
        """A mask in which every row is possible."""
        return np.ones(self.rows, dtype=np.bool_)

    def without_rows(self) -> "DataModel":
        """The same fields without a value, as section access leaves them to a user who may see nothing."""
        fields = {name: field_of(pl.Series(name, [], dtype=pl.String)) for name in self.fields}
        return DataModel(fields, 0, self.table)

    def column(self, name: str) -> pl.Series:
        """A column of a calculation: ``c:<field>`` codes, ``n:<field>`` numbers, ``t:<field>`` texts."""
        kind, _, field_name = name.partition(":")
        field = self.fields[field_name]
        match kind:
            case "c":
                return field.code_series
            case "n":
                return field.number_series
            case _:
                return field.text_series


def model_of(
    frame: pl.DataFrame, formats: Mapping[str, NumberFormat] | None = None, table: str = "Data"
) -> DataModel:
    """Build a model from one wide table."""
    shown = formats or {}
    fields = {name: field_of(frame[name], shown.get(name)) for name in frame.columns}
    return DataModel(fields, frame.height, table)
