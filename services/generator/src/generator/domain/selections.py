"""Which data a file may show: filters of every level intersected per field, never widened.

Task report filters, report filters, recipient filters and the iteration value all restrict; what two of them
say about one field is intersected, and an empty intersection is a problem, never an unfiltered report.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from contracts.base import Reason, Selection
from contracts.configuration import FilterDef, FilterSource

Value = str | float
_Known = tuple[Value, float | None]
"""A value, and the number behind its text where Qlik told it."""


class PlanProblemError(Exception):
    """Something of a plan cannot be made; the rest can. Carries the reason."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        """Take a code for programs, a sentence for people and what to do about it."""
        super().__init__(message)
        self.reason = Reason(code=code, message=message, remedy=remedy)


@dataclass(frozen=True, slots=True)
class FieldValue:
    """A value of a Qlik field: what it shows, and its number if it has one."""

    text: str
    number: float | None = None


def text_of(value: Value) -> str:
    """Return a value as text; a whole number has no decimals, as Qlik shows it."""
    if isinstance(value, str):
        return value
    return str(int(value)) if value.is_integer() else repr(value)


def canonical(selections: Iterable[Selection]) -> tuple[Selection, ...]:
    """Return the intersection of selections, one a field, fields and values sorted, values once.

    Raises PlanProblemError("filters-exclude-each-other") when two of them leave a field without values.
    """
    by_field: dict[str, dict[str, _Known]] = {}
    for selection in selections:
        numbers = selection.numbers or (None,) * len(selection.values)
        values = {
            text_of(value): (value, number) for value, number in zip(selection.values, numbers, strict=True)
        }
        if (before := by_field.get(selection.field)) is not None:
            values = {text: value for text, value in before.items() if text in values}
            if not values:
                raise _empty(selection.field)
        by_field[selection.field] = values
    return tuple(
        _selection_of(field, [values[text] for text in sorted(values)])
        for field, values in sorted(by_field.items())
    )


def _selection_of(field: str, values: Sequence[_Known]) -> Selection:
    numbers = tuple(number for _, number in values)
    known = any(number is not None for number in numbers)
    return Selection(
        field=field, values=tuple(value for value, _ in values), numbers=numbers if known else ()
    )


def for_filters(filters: Sequence[FilterDef], attributes: Mapping[str, str]) -> tuple[Selection, ...]:
    """Return the selections that filters mean for a person with these attributes.

    Raises PlanProblemError when an attribute is missing or the filters exclude each other.
    """
    return canonical(_selection(item, attributes) for item in filters)


def with_iteration(base: tuple[Selection, ...], field: str, value: FieldValue) -> tuple[Selection, ...]:
    """Return `base` narrowed to one iteration value; see `Narrowing`."""
    return Narrowing(base, field).to(value)


class Narrowing:
    """Filters to be narrowed to one value of a field after the other.

    What all values have in common is prepared once, so that a thousand values of a field that is itself
    filtered to a thousand values take a thousand steps and not a million.
    """

    def __init__(self, base: tuple[Selection, ...], field: str) -> None:
        """Take the filters and the name of the field."""
        others = canonical(selection for selection in base if selection.field != field)
        self._field = field
        self._before = tuple(selection for selection in others if selection.field < field)
        self._after = tuple(selection for selection in others if selection.field > field)
        self._filters = [
            (
                frozenset(text_of(value) for value in selection.values),
                frozenset(value for value in selection.values if not isinstance(value, str)),
            )
            for selection in base
            if selection.field == field
        ]

    def to(self, value: FieldValue) -> tuple[Selection, ...]:
        """Return the filters with this one value of the field.

        Qlik may show a number that a filter names ("1,000" for 1000), so numbers are compared, too. The
        value keeps its number: engines differ in whether they find a number or a date by its text.

        Raises PlanProblemError when a filter on the field excludes the value.
        """
        for texts, numbers in self._filters:
            if value.text not in texts and value.number not in numbers:
                raise _empty(self._field)
        one = _selection_of(self._field, [(value.text, value.number)])
        return (*self._before, one, *self._after)


def contains(wider: tuple[Selection, ...], narrower: tuple[Selection, ...]) -> bool:
    """Return whether everything `narrower` shows may be seen by who is restricted to `wider`."""
    fields = {item.field: {text_of(value) for value in item.values} for item in narrower}
    return all(
        item.field in fields and fields[item.field] <= {text_of(value) for value in item.values}
        for item in wider
    )


def _selection(item: FilterDef, attributes: Mapping[str, str]) -> Selection:
    if item.source is FilterSource.FIXED:
        return item.selection()
    value = attributes.get(item.attribute or "", "")
    if not value:
        raise PlanProblemError(
            "recipient-attribute-missing",
            f"the filter on {item.field!r} needs the attribute {item.attribute!r}, which is not set",
            f"set the attribute {item.attribute!r} of the recipient, or take the recipient out of the task",
        )
    return Selection(field=item.field, values=(value,))


def _empty(field: str) -> PlanProblemError:
    return PlanProblemError(
        "filters-exclude-each-other",
        f"the filters on {field!r} have no value in common, so nothing may be shown",
        f"compare the filters on {field!r} of the task, of the report and of the recipient",
    )
