"""Which values of a field a filter asks for: by text, by number, by both; linear in their number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qlik import Value
from qlik.matching import Wanted, chosen, difference, matches
from qlik.model import FieldValue

VALUES = st.builds(
    Value,
    st.sampled_from(["7", "007", "7.0", "x", "", "Jan", "1,000", "1000"]),
    st.sampled_from([None, 7, 7.0, 1, 1000, 7.0000000001]),
)
ASKED = st.one_of(st.sampled_from(["7", "007", "x", "Jan", "1000", ""]), st.sampled_from([7.0, 1.0, 1000.0]))


@pytest.mark.parametrize(
    ("asked", "found", "same"),
    [
        ("7", Value("7", 7), True),
        ("007", Value("007", 7), True),
        ("7", Value("007", 7), False),
        ("007", Value("7", 7), False),
        ("1000", Value("1,000", 1000), True),
        ("45413", Value("5/1/2024", 45413), True),
        ("5/1/2024", Value("5/1/2024", 45413), True),
        (45413.0, Value("5/1/2024", 45413), True),
        (7.0, Value("007", 7), True),
        ("x", Value("X"), False),
    ],
)
def test_a_value_is_the_one_asked_for_by_its_text_or_its_number(
    asked: FieldValue, found: Value, same: bool
) -> None:
    assert same is matches(asked, found)
    assert same is (difference((asked,), [found]) == "")


def test_a_text_whose_number_is_known_has_to_have_both() -> None:
    first, second = Value("Jan", 1), Value("Jan", 13)
    assert [1] == chosen(Wanted(("Jan",), (13,)), [first, second])[0]
    assert [0, 1] == chosen(Wanted(("Jan",)), [first, second])[0]
    assert difference(("Jan",), [first], (13,)) == "not selected: Jan; selected without being asked for: Jan"


def test_another_way_of_writing_counts_only_where_no_value_is_written_so() -> None:
    assert [0] == chosen(Wanted(("1000",)), [Value("1000", 1000), Value("1,000", 1000)])[0]
    assert [0] == chosen(Wanted(("1000",)), [Value("1,000", 1000)])[0]


@given(asked=st.lists(ASKED, min_size=1, max_size=6, unique=True), found=st.lists(VALUES, max_size=6))
def test_values_are_the_ones_asked_for_if_each_is_asked_for_and_none_is_missing(
    asked: list[FieldValue], found: list[Value]
) -> None:
    places, missing = chosen(Wanted(asked), found)
    assert all(any(matches(item, found[at]) for item in asked) for at in places)
    assert all(not any(matches(asked[at], value) for value in found) for at in missing)
    assert (difference(asked, found) == "") is (not missing and len(places) == len(found))


def test_comparing_takes_as_many_steps_as_there_are_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: every value is looked up once or twice, however many were asked for."""
    looked_up = 0
    by_itself = Wanted.by_itself

    def counted(self: Wanted, found: Value) -> list[int]:
        nonlocal looked_up
        looked_up += 1
        return by_itself(self, found)

    monkeypatch.setattr(Wanted, "by_itself", counted)
    count = 20_000
    asked = tuple(f"Customer {number}" for number in range(count))
    assert difference(asked, [Value(text) for text in asked]) == ""
    assert count == looked_up
    numbers = tuple(float(number) for number in range(count))
    assert difference(numbers, [Value(str(number), number) for number in numbers]) == ""
    assert 2 * count == looked_up
