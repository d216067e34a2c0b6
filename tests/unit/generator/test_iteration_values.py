"""Iteration values keep their text and their number from the question to the session."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.base import Selection
from contracts.plan import PlannedUnit
from generator.adapters.qlik_questions import qlik_selections
from generator.domain.selections import FieldValue, Narrowing, PlanProblemError, canonical, with_iteration
from generator.domain.units import _by_text

BASE = (Selection(field="A", values=("x",)), Selection(field="Z", values=("z",)))


def test_the_number_of_an_iteration_value_goes_with_its_text() -> None:
    found = with_iteration(BASE, "Day", FieldValue("5/1/2024", 45413))
    assert found[1] == Selection(field="Day", values=("5/1/2024",), numbers=(45413,))
    assert [each.field for each in found] == ["A", "Day", "Z"]
    asked = qlik_selections(found)[1]
    assert (asked.values, asked.numbers) == (("5/1/2024",), (45413,))


def test_a_text_without_a_number_has_none() -> None:
    assert with_iteration((), "Day", FieldValue("x")) == (Selection(field="Day", values=("x",)),)


def test_numbers_outlast_the_joining_of_filters() -> None:
    several = Selection(field="Day", values=("b", "a"), numbers=(2, None))
    assert canonical([several]) == (Selection(field="Day", values=("a", "b"), numbers=(None, 2)),)
    assert canonical([several, Selection(field="Day", values=("b",))]) == (
        Selection(field="Day", values=("b",), numbers=(2,)),
    )


def test_a_text_that_stands_for_several_numbers_stands_for_all_of_them() -> None:
    """Twice Jan: both rows belong into the file of Jan."""
    found = _by_text((FieldValue("Jan", 1), FieldValue("Feb", 2), FieldValue("Jan", 13)))
    assert found == (FieldValue("Jan"), FieldValue("Feb", 2))


def test_a_code_and_the_number_it_looks_like_are_two_values() -> None:
    both = _by_text((FieldValue("007", 7), FieldValue("7", 7)))
    assert both == (FieldValue("007", 7), FieldValue("7", 7))
    narrowing = Narrowing((Selection(field="Article", values=("007",)),), "Article")
    assert narrowing.to(FieldValue("007", 7))[0].values == ("007",)
    with pytest.raises(PlanProblemError):
        narrowing.to(FieldValue("7", 7))


def test_a_number_that_a_filter_names_is_found_however_it_is_shown() -> None:
    narrowing = Narrowing((Selection(field="N", values=(1000.0,)),), "N")
    assert narrowing.to(FieldValue("1,000", 1000))[0].values == ("1,000",)


def test_plans_of_before_are_read() -> None:
    stored: dict[str, Any] = {
        "id": "u",
        "report": "r",
        "file_name": "r.xlsx",
        "selections": [{"field": "Day", "values": ["5/1/2024"]}],
    }
    assert PlannedUnit.model_validate(stored).selections[0].numbers == ()


def test_a_number_for_only_some_of_the_values_is_refused() -> None:
    with pytest.raises(ValueError, match="2 values and 1 numbers"):
        Selection(field="Day", values=("a", "b"), numbers=(1,))
