"""Section access: who may open an app, and which rows of it each of them sees.

A user sees the rows whose values are all among the user's own; other values are not there at all, not even
as excluded ones. As with strict exclusion in Qlik, a user who is not named, or whose values leave no row, may
not open the app.
"""

from collections.abc import Mapping

import numpy as np

from qlik_simulator.domain.fields import Field
from qlik_simulator.domain.model import DataModel
from qlik_simulator.domain.search import literal
from qlik_simulator.domain.selections import NOTHING, Selection, possible_rows

Reduction = Mapping[str, frozenset[str]]  # texts by field; no field: every row


def reduced(model: DataModel, reduction: Reduction) -> DataModel | None:
    """What of the data a user may see; None when that is nothing."""
    if not reduction:
        return model
    key = ("reduced", frozenset((name, texts) for name, texts in reduction.items()))
    return model.remember(key, lambda: _reduced(model, reduction), lambda made: made.rows if made else 0)


def _reduced(model: DataModel, reduction: Reduction) -> DataModel | None:
    selections = NOTHING
    for name, texts in reduction.items():
        of = model.field(name)
        if of is None:
            return None
        elements = frozenset[int]().union(*(literal(of, text) for text in texts))
        selections = selections.put(of.name, Selection(elements))
    rows = np.flatnonzero(possible_rows(model, selections))
    if len(rows) == 0:
        return None
    fields = {name: _taken(of, rows) for name, of in model.fields.items()}
    return DataModel(fields, len(rows), model.table)


def _taken(of: Field, rows: "np.typing.NDArray[np.intp]") -> Field:
    codes = of.codes[rows]
    kept = np.unique(codes)
    kept = kept[kept < of.size]
    places = np.full(of.size + 1, len(kept), dtype=np.int32)
    places[kept] = np.arange(len(kept), dtype=np.int32)
    texts = tuple(of.texts[code] for code in kept.tolist())
    return Field(of.name, texts, of.numbers[kept], places[codes], of.shown, of.tags)
