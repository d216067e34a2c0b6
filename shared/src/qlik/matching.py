"""Which values of a field are the ones asked for. Pure, and linear in the number of values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from qlik.duals import is_code
from qlik.model import FieldValue, Selection, Value

MANY: Final = 5_000
"""From so many values on the work is to be done off the event loop."""

_NAMED: Final = 5  # values in a text for people
_EXACT: Final = 2**53  # from here on a double is no longer every integer
_NEAR: Final = 1e-12  # two numbers this close, relatively, are one


class Wanted:
    """The values a filter asks for, ready to be compared with many values of the field.

    A text is compared with the text; if the field has no such text, with the number as it is plainly
    written. A number is compared with the number. A text whose number is known has to have both.
    """

    def __init__(
        self, values: Sequence[FieldValue], numbers: Sequence[float | None] = (), *, exact: bool = False
    ) -> None:
        """Take values, and the number behind each text where it is known (None for the others).

        With `exact`, numbers asked for without a text must be the very same, else they may differ in the
        last of their digits, as what an engine gives back may.
        """
        self.values = tuple(values)
        self._exact = exact
        self._texts: dict[str, list[int]] = {}
        self._numbers: dict[str, list[int]] = {}
        self._behind = tuple(numbers) or (None,) * len(self.values)
        for place, item in enumerate(self.values):
            if isinstance(item, str):
                self._texts.setdefault(item, []).append(place)
            else:
                self._numbers.setdefault(_key(item), []).append(place)

    def by_itself(self, found: Value) -> list[int]:
        """The places of the values that ask for `found`, by its text or by a number that was asked for."""
        places = [place for place in self._texts.get(found.text, ()) if self._has(place, found)]
        if found.number is not None and self._numbers:
            for key in _keys(found.number):
                places += [
                    place
                    for place in self._numbers.get(key, ())
                    if place not in places and self._is(float(self.values[place]), found.number)
                ]
        return places

    def as_written(self, found: Value) -> list[int]:
        """The places of texts that plainly write the number of `found`, which itself is shown otherwise."""
        if found.number is None or is_code(found.text):
            return []
        return [place for place in self._texts.get(plain(found.number), ()) if self._behind[place] is None]

    def _is(self, asked: float, found: float) -> bool:
        return asked == found if self._exact else _near(asked, found)

    def _has(self, place: int, found: Value) -> bool:
        behind = self._behind[place]
        return behind is None or (found.number is not None and _near(behind, found.number))


def chosen(wanted: Wanted, values: Iterable[Value]) -> tuple[list[int], list[int]]:
    """Which of the values are asked for, and which of what was asked is not among them.

    Places in `values` and places in `wanted.values`. A value that is shown in another way than asked (1,000
    for
    1000) counts only where no value is shown just so.
    """
    exact: dict[int, list[int]] = {}
    written: dict[int, list[int]] = {}
    for at, value in enumerate(values):
        for place in wanted.by_itself(value):
            exact.setdefault(place, []).append(at)
        for place in wanted.as_written(value):
            written.setdefault(place, []).append(at)
    found: set[int] = set()
    missing = []
    for place in range(len(wanted.values)):
        places = exact.get(place) or written.get(place)
        if places:
            found.update(places)
        else:
            missing.append(place)
    return sorted(found), missing


def difference(
    asked: Sequence[FieldValue], found: Sequence[Value], numbers: Sequence[float | None] = ()
) -> str:
    """Why the values found are not the ones asked for; empty if they are."""
    places, missing = chosen(Wanted(asked, numbers), found)
    words = []
    if missing:
        words.append("not selected: " + ", ".join(str(asked[place]) for place in missing[:_NAMED]))
    if len(places) < len(found):
        known = set(places)
        extra = [value.text for at, value in enumerate(found) if at not in known]
        words.append("selected without being asked for: " + ", ".join(extra[:_NAMED]))
    return "; ".join(words)


def matches(asked: FieldValue, found: Value) -> bool:
    """Whether a value of the field is the one asked for: texts by text, numbers by number."""
    wanted = Wanted((asked,))
    return bool(wanted.by_itself(found) or wanted.as_written(found))


def wanted(selection: Selection) -> Wanted:
    """What a filter asks for."""
    return Wanted(selection.values, selection.numbers)


def plain(value: FieldValue) -> str:
    """A number as people write it, whole numbers without a point; a text as it is."""
    if isinstance(value, str):
        return value
    return str(int(value)) if float(value).is_integer() and abs(value) < _EXACT else repr(float(value))


def _near(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_NEAR, abs_tol=_NEAR)


def _key(number: float) -> str:
    return f"{number:.9e}" if abs(number) > 1e-9 else "0"  # noqa: PLR2004 - all of these are looked at one by one


def _keys(number: float) -> set[str]:
    """The keys under which a number that is nearly this one may be kept."""
    margin = abs(number) * 2 * _NEAR + 2 * _NEAR
    return {_key(number), _key(number - margin), _key(number + margin)}
