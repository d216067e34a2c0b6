"""Selections: states, conflicts, locks."""

import polars as pl
import pytest

from qlik_simulator.domain.model import DataModel, model_of
from qlik_simulator.domain.search import search
from qlik_simulator.domain.selections import (
    NOTHING,
    Selections,
    choose,
    clear,
    clear_all,
    element_states,
    lock,
)


@pytest.fixture(scope="module")
def model() -> DataModel:
    return model_of(
        pl.DataFrame({"A": ["a1", "a1", "a2", "a3"], "B": ["b1", "b2", "b2", "b3"], "N": [1, 5, 10, 20]})
    )


def states(model: DataModel, name: str, selections: Selections) -> str:
    return " ".join(element_states(model, model.fields[name], selections))


def test_states_follow_the_selections_of_the_field_and_of_the_others(model: DataModel) -> None:
    chosen = choose(model, NOTHING, "A", [0]).selections
    assert states(model, "A", chosen) == "S A A"
    assert states(model, "B", chosen) == "O O X"
    both = choose(model, chosen, "B", [1]).selections
    assert states(model, "A", both) == "S A X"
    assert states(model, "B", both) == "A S X"
    assert element_states(model, model.fields["B"], both).counts()["qAlternative"] == 1
    wide = choose(model, both, "A", [0, 2]).selections
    assert states(model, "A", wide) == "S A XS"


def test_a_locked_field_shows_l_and_refuses_selections_unless_the_lock_is_soft(model: DataModel) -> None:
    locked = lock(choose(model, NOTHING, "A", [0]).selections, "A", locked=True)
    assert locked.success
    assert states(model, "A", locked.selections) == "L X X"
    refused = choose(model, locked.selections, "A", [1])
    assert (refused.success, refused.selections) == (False, locked.selections)
    assert choose(model, locked.selections, "A", [1], soft_lock=True).success
    assert clear(locked.selections, "A").success is False
    assert clear_all(locked.selections, locked_also=False) == locked.selections
    assert clear_all(locked.selections, locked_also=True) == NOTHING


def test_a_conflict_drops_the_unlocked_and_fails_against_the_locked(model: DataModel) -> None:
    chosen = choose(model, NOTHING, "A", [0]).selections
    dropped = choose(model, chosen, "B", [2])
    assert dropped.success
    assert [name for name, _ in dropped.selections.by_field] == ["B"]
    locked = lock(chosen, "A", locked=True).selections
    failed = choose(model, locked, "B", [2])
    assert (failed.success, failed.selections) == (False, locked)


def test_only_what_conflicts_is_dropped(model: DataModel) -> None:
    selections = choose(model, NOTHING, "N", [0, 1, 3]).selections
    selections = choose(model, selections, "A", [0]).selections
    outcome = choose(model, selections, "B", [2])  # b3 goes with a3 and 20
    assert [name for name, _ in outcome.selections.by_field] == ["N", "B"]


def test_toggling_and_selecting_nothing(model: DataModel) -> None:
    chosen = choose(model, NOTHING, "A", [0]).selections
    assert states(model, "A", choose(model, chosen, "A", [1], toggle=True).selections) == "S S A"
    assert choose(model, chosen, "A", [0], toggle=True).selections == NOTHING
    assert lock(NOTHING, "A", locked=True).success is False


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("A", "a2", {1}),
        ("A", "A2", {1}),
        ("A", "a*", {0, 1, 2}),
        ("A", "?2", {1}),
        ("A", "(a1|a3)", {0, 2}),
        ("A", "nothing", set()),
        ("N", ">4", {1, 2, 3}),
        ("N", ">=5<20", {1, 2}),
        ("N", "10", {2}),
        ("A", ">1", set()),
        ("A", "a[1", set()),
    ],
)
def test_searches(model: DataModel, field: str, text: str, expected: set[int]) -> None:
    assert search(model.fields[field], text) == expected
