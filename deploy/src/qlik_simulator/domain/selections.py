"""Selections: which values are chosen per field, and what follows for every other value.

All functions are pure: they take a state and give a new one. The logical rule is Qlik's: values within a
field are alternatives, fields are conditions that must hold together.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from qlik_simulator.domain.fields import Field, Mask
from qlik_simulator.domain.model import DataModel

StateName = Literal["L", "S", "O", "D", "A", "X", "XS", "XL"]
LETTERS: Final[tuple[StateName, ...]] = ("L", "S", "O", "D", "A", "X", "XS", "XL")
_L, _S, _O, _D, _A, _X, _XS, _XL = (np.uint8(place) for place in range(len(LETTERS)))
COUNTED: Final[dict[StateName, str]] = {
    "L": "qLocked",
    "S": "qSelected",
    "O": "qOption",
    "D": "qDeselected",
    "A": "qAlternative",
    "X": "qExcluded",
    "XS": "qSelectedExcluded",
    "XL": "qLockedExcluded",
}


class States:
    """The state of every element of a field, in element order."""

    def __init__(self, places: npt.NDArray[np.uint8]) -> None:
        self._places = places  # in `LETTERS`

    def __getitem__(self, element: int) -> StateName:
        return LETTERS[int(self._places[element])]

    def __iter__(self) -> Iterator[StateName]:
        return (LETTERS[place] for place in self._places)

    def __len__(self) -> int:
        return len(self._places)

    def any_of(self, *wanted: str) -> Mask:
        """Which elements are in one of these states."""
        return np.isin(self._places, [place for place, letter in enumerate(LETTERS) if letter in wanted])

    def valued(self, values: Mapping[StateName, float]) -> npt.NDArray[np.float64]:
        """A number for every element, by its state."""
        return np.array([values[letter] for letter in LETTERS], dtype=np.float64)[self._places]

    def counts(self) -> dict[str, int]:
        """The ``qStateCounts`` of a field: zero counts are there."""
        found = np.bincount(self._places, minlength=len(LETTERS))
        return {COUNTED[letter]: int(count) for letter, count in zip(LETTERS, found, strict=True)}


@dataclass(frozen=True)
class Selection:
    """The chosen elements of one field."""

    elements: frozenset[int]
    locked: bool = False
    search: str = ""


@dataclass(frozen=True)
class Selections:
    """The chosen elements of every field that has some, oldest selection first."""

    by_field: tuple[tuple[str, Selection], ...] = field(default=())

    def get(self, name: str) -> Selection | None:
        """The selection in a field, or None."""
        return next((chosen for found, chosen in self.by_field if found == name), None)

    def put(self, name: str, chosen: Selection | None) -> "Selections":
        """The same selections with one field's replaced (and made the newest), or taken away."""
        rest = tuple((found, kept) for found, kept in self.by_field if found != name)
        return Selections(rest if chosen is None else (*rest, (name, chosen)))

    def with_lock(self, name: str, *, locked: bool) -> "Selections":
        """The same selections, in the same order, with one field locked or unlocked."""
        return Selections(
            tuple(
                (found, replace(kept, locked=locked) if found == name else kept)
                for found, kept in self.by_field
            )
        )

    def without_unlocked(self) -> "Selections":
        """Only what is locked."""
        return Selections(tuple((name, kept) for name, kept in self.by_field if kept.locked))


NOTHING: Final = Selections()


@dataclass(frozen=True)
class Outcome:
    """What a selection call did: the state after it and what the engine answers."""

    selections: Selections
    success: bool


def element_mask(of: Field, elements: Iterable[int]) -> Mask:
    """Which elements are chosen, with one entry more (false) for the missing value."""
    mask = np.zeros(of.size + 1, dtype=np.bool_)
    mask[[element for element in elements if 0 <= element < of.size]] = True
    return mask


def possible_rows(model: DataModel, selections: Selections) -> Mask:
    """The rows that fulfil every selection."""
    return model.remember(("rows", selections_key(selections)), lambda: _rows(model, selections))


def selections_key(selections: Selections) -> tuple[tuple[str, frozenset[int]], ...]:
    """What identifies the rows of a state: order and locks do not matter."""
    return tuple(
        sorted(((name, kept.elements) for name, kept in selections.by_field), key=lambda item: item[0])
    )


def _rows(model: DataModel, selections: Selections) -> Mask:
    rows = model.all_rows()
    for name, chosen in selections.by_field:
        of = model.field(name)
        if of is None or of.is_system:
            continue  # the field went away with a reload, and its selection with it; or it has no rows
        rows &= element_mask(of, chosen.elements)[of.codes]
    return rows


def possible_elements(of: Field, rows: Mask) -> Mask:
    """Which elements of a field appear in the rows."""
    found = np.zeros(of.size + 1, dtype=np.bool_)
    found[of.codes[rows]] = True
    return found[: of.size]


def element_states(model: DataModel, of: Field, selections: Selections) -> States:
    """The state of every element of a field, in element order."""
    key = ("states", of.name, id(of), selections_key(selections), _is_locked(selections, of.name))
    return model.remember(key, lambda: _states(model, of, selections))


def _is_locked(selections: Selections, name: str) -> bool:
    chosen = selections.get(name)
    return chosen is not None and chosen.locked


def _states(model: DataModel, of: Field, selections: Selections) -> States:
    chosen = selections.get(of.name)
    if of.is_system:
        picked = element_mask(of, chosen.elements if chosen else ())[: of.size]
        return States(np.where(picked, _S, _A if chosen else _O).astype(np.uint8))
    others = possible_elements(of, possible_rows(model, selections.put(of.name, None)))
    if chosen is None:
        return States(np.where(others, _O, _X))
    yes, no, alternative = (_L, _XL, _X) if chosen.locked else (_S, _XS, _A)
    is_chosen = element_mask(of, chosen.elements)[: of.size]
    return States(np.where(is_chosen, np.where(others, yes, no), np.where(others, alternative, _X)))


def choose(
    model: DataModel,
    selections: Selections,
    name: str,
    elements: Iterable[int],
    *,
    toggle: bool = False,
    soft_lock: bool = False,
    search: str = "",
) -> Outcome:
    """Select elements of a field.

    A selection in a locked field changes nothing and answers false, unless ``soft_lock``. When the new
    selection is impossible together with earlier ones, the earlier ones in other fields give way; when a
    *locked* one stands against it, nothing changes and the answer is false.
    """
    before = selections.get(name)
    locked = before is not None and before.locked
    if locked and not soft_lock:
        return Outcome(selections, success=False)
    wanted = frozenset(elements)
    if toggle and before is not None:
        wanted = wanted ^ before.elements
    if not wanted:
        return Outcome(selections.put(name, None), success=True)
    return _make_room(model, selections, name, Selection(wanted, locked=locked, search=search))


def _make_room(model: DataModel, selections: Selections, name: str, chosen: Selection) -> Outcome:
    candidate = selections.put(name, chosen)
    if possible_rows(model, candidate).any():
        return Outcome(candidate, success=True)
    kept = Selections(((name, chosen),))
    for other, other_chosen in selections.put(name, None).by_field:
        if other_chosen.locked:
            kept = kept.put(other, other_chosen)
    if not possible_rows(model, kept).any():
        return Outcome(selections, success=False)
    for other, other_chosen in reversed(selections.put(name, None).by_field):
        narrowed = kept.put(other, other_chosen)
        if not other_chosen.locked and possible_rows(model, narrowed).any():
            kept = narrowed
    survivors = {found for found, _ in kept.by_field}
    ordered = tuple(item for item in candidate.by_field if item[0] in survivors)
    return Outcome(Selections(ordered), success=True)


def clear(selections: Selections, name: str) -> Outcome:
    """Take a field's selection away; a locked one stays and the answer is false."""
    before = selections.get(name)
    if before is not None and before.locked:
        return Outcome(selections, success=False)
    return Outcome(selections.put(name, None), success=True)


def clear_all(selections: Selections, *, locked_also: bool) -> Selections:
    """Take every selection away, the locked ones only when asked."""
    return NOTHING if locked_also else selections.without_unlocked()


def lock(selections: Selections, name: str, *, locked: bool) -> Outcome:
    """Lock or unlock the selection in a field.

    Without a selection there is nothing to lock and the answer is false.
    """
    if selections.get(name) is None:
        return Outcome(selections, success=False)
    return Outcome(selections.with_lock(name, locked=locked), success=True)
