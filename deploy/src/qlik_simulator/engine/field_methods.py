"""Methods of Field."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from qlik_simulator.domain.errors import Code, ExpressionError, QixError
from qlik_simulator.domain.fields import Field
from qlik_simulator.domain.search import search
from qlik_simulator.domain.selections import (
    Outcome,
    Selections,
    choose,
    clear,
    element_states,
    lock,
    possible_elements,
    possible_rows,
)
from qlik_simulator.engine.calls import Call, Method, method

Json = dict[str, Any]


def _field(call: Call) -> Field:
    of = call.document.model.field(call.target.id)
    if of is None:
        raise QixError(Code.NOT_FOUND, call.target.id)
    return of


def _selections(call: Call) -> Selections:
    found = call.document.states.get(call.target.state)
    if found is None:
        raise QixError(Code.NOT_FOUND, call.target.state)
    return found


def settle(call: Call, state: str, outcome: Outcome) -> bool:
    """Put an outcome in place; the answer is whether the call succeeded."""
    if call.document.select(state, outcome.selections):
        call.changed()
    return outcome.success


def select_elements(
    call: Call, state: str, of: Field, elements: Iterable[int], *, toggle: bool = False, search_text: str = ""
) -> bool:
    """Select elements of a field in a state, as every selection method does in the end.

    When nothing of what was asked for exists, nothing changes and the answer is false. (No public source
    settles what the engine answers there.)
    """
    wanted = frozenset(element for element in elements if 0 <= element < of.size)
    if not wanted:
        return False
    soft = call.flag("qSoftLock")
    document = call.document
    outcome = choose(
        document.model,
        document.states[state],
        of.name,
        wanted,
        toggle=toggle,
        soft_lock=soft,
        search=search_text,
    )
    return settle(call, state, outcome)


def _element(of: Field, value: Mapping[str, Any], *, numbers_by_text: bool) -> int | None:
    if value.get("qIsNumeric"):
        number = value.get("qNumber")
        return of.number_index.get(float(number)) if isinstance(number, int | float) else None
    found = of.text_index.get(str(value.get("qText", "")))
    return found if found is None or numbers_by_text or np.isnan(of.numbers[found]) else None


def select_values(call: Call) -> Json:
    """Select by text or by number."""
    of = _field(call)
    values = call.items("qFieldValues")
    if not all(isinstance(value, dict) for value in values):
        raise QixError(Code.INVALID_PARAMS, "qFieldValues has to be a list of field values")
    app = call.document.app
    found = (_element(of, value, numbers_by_text=app.numbers_by_text) for value in values)
    elements = [element for element in found if element is not None]
    done = select_elements(call, call.target.state, of, elements, toggle=call.flag("qToggleMode"))
    return {"qReturn": done or (app.says_true and not elements)}


def low_level_select(call: Call) -> Json:
    """Select by element number."""
    of = _field(call)
    toggle = call.flag("qToggleMode")
    return {"qReturn": select_elements(call, call.target.state, of, call.integers("qValues"), toggle=toggle)}


def _found(call: Call) -> frozenset[int]:
    try:
        return search(_field(call), call.text("qMatch"))
    except ExpressionError as error:
        raise QixError(Code.NOT_IMPLEMENTED, str(error)) from error


def select_match(call: Call) -> Json:
    """Select what a search finds."""
    match = call.text("qMatch")
    return {
        "qReturn": select_elements(call, call.target.state, _field(call), _found(call), search_text=match)
    }


def toggle_select(call: Call) -> Json:
    """Toggle what a search finds."""
    return {"qReturn": select_elements(call, call.target.state, _field(call), _found(call), toggle=True)}


def _by_state(call: Call, *wanted: str) -> Json:
    of = _field(call)
    states = element_states(call.document.model, of, _selections(call))
    elements = np.flatnonzero(states.any_of(*wanted)).tolist()
    return {"qReturn": select_elements(call, call.target.state, of, elements)}


def select_all(call: Call) -> Json:
    """Select every value that other fields do not exclude."""
    of = _field(call)
    others = possible_rows(call.document.model, _selections(call).put(of.name, None))
    possible = possible_elements(of, others)
    elements = [code for code in range(of.size) if possible[code]]
    return {"qReturn": select_elements(call, call.target.state, of, elements)}


def select_possible(call: Call) -> Json:
    """Select what is possible now."""
    return _by_state(call, "S", "O", "L")


def select_excluded(call: Call) -> Json:
    """Select what is excluded now."""
    return _by_state(call, "X", "A", "XS", "XL", "D")


def select_alternative(call: Call) -> Json:
    """Select the alternatives."""
    return _by_state(call, "A")


def clear_field(call: Call) -> Json:
    """Clear the field; false when it is locked."""
    outcome = clear(_selections(call), call.target.id)
    return {"qReturn": settle(call, call.target.state, outcome)}


def clear_all_but_this(call: Call) -> Json:
    """Clear every other field; locked ones stay unless the lock is soft."""
    selections = _selections(call)
    soft = call.flag("qSoftLock")
    kept = tuple(
        (name, chosen)
        for name, chosen in selections.by_field
        if name == call.target.id or (chosen.locked and not soft)
    )
    return {"qReturn": settle(call, call.target.state, Outcome(Selections(kept), success=True))}


def lock_field(call: Call) -> Json:
    """Lock what is selected."""
    return {"qReturn": settle(call, call.target.state, lock(_selections(call), call.target.id, locked=True))}


def unlock_field(call: Call) -> Json:
    """Unlock."""
    return {"qReturn": settle(call, call.target.state, lock(_selections(call), call.target.id, locked=False))}


FIELD_METHODS: Final[dict[str, Method]] = {
    "GetCardinal": method(lambda call: {"qReturn": _field(call).size}),
    "GetAndMode": method(lambda _: {"qReturn": False}),
    "GetNxProperties": method(
        lambda call: {"qProperties": {"qOneAndOnlyOne": call.target.id in call.document.app.always_one}}
    ),
    "SelectValues": method(select_values, "qFieldValues", "qToggleMode?", "qSoftLock?"),
    "Select": method(select_match, "qMatch", "qSoftLock?", "qExcludedValuesMode?"),
    "ToggleSelect": method(toggle_select, "qMatch", "qSoftLock?", "qExcludedValuesMode?"),
    "LowLevelSelect": method(low_level_select, "qValues", "qToggleMode", "qSoftLock?"),
    "SelectAll": method(select_all, "qSoftLock?"),
    "SelectPossible": method(select_possible, "qSoftLock?"),
    "SelectExcluded": method(select_excluded, "qSoftLock?"),
    "SelectAlternative": method(select_alternative, "qSoftLock?"),
    "Clear": method(clear_field),
    "ClearAllButThis": method(clear_all_but_this, "qSoftLock?"),
    "Lock": method(lock_field),
    "Unlock": method(unlock_field),
}
