"""Which data a file may show: filters of every level intersected per field, never widened.

Task report filters, report filters, recipient filters and the iteration value all restrict; what two of them
say about one field is intersected, and an empty intersection is a problem, never an unfiltered report.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from contracts.base import Reason, Selection
from contracts.configuration import FilterDef, FilterSource

Value = str | float


class PlanProblemError(Exception):
    """Something of a plan cannot be made; the rest can. Carries the reason."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        """Take a code for programs, a sentence for people and what to do about it."""
        super().__init__(message)
        self.reason = Reason(code=code, message=message[:4000], remedy=remedy)


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
    by_field: dict[str, dict[str, Value]] = {}
    for selection in selections:
        values = {text_of(value): value for value in selection.values}
        if (before := by_field.get(selection.field)) is not None:
            values = {text: value for text, value in before.items() if text in values}
            if not values:
                raise _empty(selection.field)
        by_field[selection.field] = values
    return tuple(
        Selection(field=field, values=tuple(values[text] for text in sorted(values)))
        for field, values in sorted(by_field.items())
    )


def for_filters(filters: Sequence[FilterDef], attributes: Mapping[str, str]) -> tuple[Selection, ...]:
    """Return the selections that filters mean for a person with these attributes.

    Raises PlanProblemError when an attribute is missing or the filters exclude each other.
    """
    return canonical(_selection(item, attributes) for item in filters)


def with_iteration(base: tuple[Selection, ...], field: str, value: FieldValue) -> tuple[Selection, ...]:
    """Return `base` narrowed to one iteration value.

    Qlik may show a number that a filter names ("1,000" for 1000), so numbers are compared, too. Raises
    PlanProblemError when a filter on the field excludes the value.
    """
    for selection in base:
        if selection.field == field and not any(_same(item, value) for item in selection.values):
            raise _empty(field)
    others = [selection for selection in base if selection.field != field]
    return canonical([*others, Selection(field=field, values=(value.text,))])


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


def _same(named: Value, value: FieldValue) -> bool:
    return text_of(named) == value.text or (not isinstance(named, str) and named == value.number)


def _empty(field: str) -> PlanProblemError:
    return PlanProblemError(
        "filters-exclude-each-other",
        f"the filters on {field!r} have no value in common, so nothing may be shown",
        f"compare the filters on {field!r} of the task, of the report and of the recipient",
    )
