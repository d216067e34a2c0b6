"""Selections on engines that behave as users of Qlik's interfaces report it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from qlik import ProtocolError, Selection, SelectionNotProved, Value, selecting
from qlik.rpc import ObjectRef

DOC = ObjectRef(1, "Doc", "app")
_FIELD, _LIST, _SELECTIONS = 50, 60, 61


@dataclass
class OneField:
    """An engine with one field, `F`. `by` says what SelectValues finds a value by."""

    values: Sequence[tuple[str, float | None]]
    by: str = "text"
    says: bool = True
    always_one: bool = False
    elements: bool = True  # whether the engine knows LowLevelSelect
    selected: set[int] = field(default_factory=set)
    locked: bool = False
    calls: list[str] = field(default_factory=list)

    async def call_object(self, handle: int, method: str, *params: Any, missing: str) -> ObjectRef:
        del handle, missing
        self.calls.append(method)
        if method == "GetField":
            return ObjectRef(_FIELD, "Field")
        listed = "qListObjectDef" in params[0]
        return ObjectRef(_LIST if listed else _SELECTIONS, "GenericObject", "made")

    async def post(self, handle: int, method: str, *params: Any) -> None:
        del handle, method, params

    def version(self, handle: int) -> int:
        del handle
        return 0

    async def call(self, handle: int, method: str, *params: Any) -> dict[str, Any]:
        self.calls.append(method)
        match method:
            case "ClearAll":
                self.locked, self.selected = False, {0} if self.always_one else set()
            case "SelectValues":
                found = {
                    at
                    for at, value in enumerate(self.values)
                    for asked in params[0]
                    if self._is(asked, value)
                }
                self.selected = found or self.selected
                return {"qReturn": self.says}
            case "LowLevelSelect" if not self.elements:
                raise ProtocolError("Method does not exist", code=-32601)
            case "LowLevelSelect":
                self.selected = set(params[0])
                return {"qReturn": self.says}
            case "Lock":
                self.locked = bool(self.selected)
                return {"qReturn": self.locked}
            case "GetLayout":
                return {"qLayout": self._list() if handle == _LIST else self._current()}
            case "GetListObjectData":
                return {"qDataPages": [{"qMatrix": self._rows(params[1][0])}]}
        return {}

    def _is(self, asked: dict[str, Any], value: tuple[str, float | None]) -> bool:
        if self.by == "text" or value[1] is None:
            return not asked["qIsNumeric"] and asked["qText"] == value[0]
        return bool(asked["qIsNumeric"]) and asked["qNumber"] == value[1]

    def _state(self, at: int) -> str:
        if at in self.selected:
            return "L" if self.locked else "S"
        return "X" if self.selected else "O"

    def _list(self) -> dict[str, Any]:
        states = [self._state(at) for at in range(len(self.values))]
        names = {"L": "qLocked", "S": "qSelected", "O": "qOption", "X": "qExcluded"}
        counts = {name: states.count(letter) for letter, name in names.items()}
        size = {"qcx": 1, "qcy": len(self.values)}
        return {"qListObject": {"qSize": size, "qDimensionInfo": {"qStateCounts": counts}}}

    def _rows(self, page: dict[str, int]) -> list[Any]:
        order = sorted(range(len(self.values)), key=lambda at: "LSOX".index(self._state(at)))
        rows = []
        for at in order[page["qTop"] : page["qTop"] + page["qHeight"]]:
            text, number = self.values[at]
            shown = {"qText": text, "qNum": "NaN" if number is None else number}
            rows.append([{**shown, "qElemNumber": at, "qState": self._state(at)}])
        return rows

    def _current(self) -> dict[str, Any]:
        entry = {"qField": "F", "qLocked": self.locked, "qSelectedCount": len(self.selected)}
        more = {"qOneAndOnlyOne": True} if self.always_one else {}
        return {"qSelectionObject": {"qSelections": [{**entry, **more}] if self.selected else []}}


YEARS = [("2023", 2023.0), ("2024", 2024.0)]
DATES = [("5/1/2024", 45413.0), ("5/2/2024", 45414.0)]
CODES = [("007", 7.0), ("7", 7.0)]
MONEY: list[tuple[str, float | None]] = [("EUR", None), ("USD", None)]


async def select(engine: Any, *values: str | float, numbers: Sequence[float | None] = ()) -> list[Value]:
    asked = [Selection(field="F", values=values, numbers=tuple(numbers))] if values else []
    proved = await selecting.apply(engine, DOC, asked)
    return [value for each in proved for value in each.values]


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("elements", [True, False])
@pytest.mark.parametrize("by", ["text", "number"])
@pytest.mark.parametrize(
    ("values", "asked"),
    [(YEARS, "2024"), (YEARS, 2024), (DATES, "5/2/2024"), (DATES, 45414.0), (MONEY, "USD")],
)
async def test_a_value_is_found_whatever_the_engine_finds_it_by_and_answers(
    values: Sequence[tuple[str, float | None]], asked: str | float, by: str, elements: bool, says: bool
) -> None:
    engine = OneField(values, by=by, says=says, elements=elements)
    assert [Value(*values[1])] == await select(engine, asked)
    assert engine.locked


async def test_a_value_whose_number_is_known_is_found_at_once() -> None:
    engine = OneField(DATES, by="number")
    assert [Value("5/2/2024", 45414)] == await select(engine, "5/2/2024", numbers=[45414])
    assert "LowLevelSelect" not in engine.calls


async def test_a_code_is_not_the_number_it_looks_like() -> None:
    assert [Value("7", 7)] == await select(OneField(CODES, by="number"), "7")
    assert [Value("007", 7)] == await select(OneField(CODES, by="number"), "007", numbers=[7])


async def test_a_value_the_field_does_not_have_is_named() -> None:
    with pytest.raises(SelectionNotProved, match="the field has no value 2025"):
        await select(OneField(YEARS), "2025")


async def test_what_the_app_always_keeps_selected_is_proved_and_shown() -> None:
    proved = await selecting.apply(OneField(MONEY, always_one=True), DOC, [])  # type: ignore[arg-type]
    assert [("F", (Value("EUR"),), True)] == [(each.field, each.values, each.forced) for each in proved]


async def test_a_filter_takes_the_place_of_what_the_app_keeps_selected() -> None:
    engine = OneField(MONEY, always_one=True)
    proved = await selecting.apply(engine, DOC, [Selection(field="F", values=("USD",))])  # type: ignore[arg-type]
    assert [("F", (Value("USD"),), False)] == [(each.field, each.values, each.forced) for each in proved]


async def test_another_value_that_the_app_keeps_selected_later_is_refused() -> None:
    engine: Any = OneField(MONEY, always_one=True)
    proved = await selecting.apply(engine, DOC, [])
    engine.selected = {1}
    with pytest.raises(SelectionNotProved, match="the app now keeps 'USD' selected"):
        await selecting.check_forced(engine, DOC, proved)


async def test_several_values_that_nobody_asked_for_are_refused_even_where_the_app_keeps_one() -> None:
    engine = OneField(MONEY, always_one=True)
    engine_call = engine.call

    async def call(handle: int, method: str, *params: Any) -> dict[str, Any]:
        answer = await engine_call(handle, method, *params)
        if method == "ClearAll":
            engine.selected = {0, 1}
        return answer

    engine.call = call  # type: ignore[method-assign]
    with pytest.raises(SelectionNotProved, match="nobody asked for"):
        await select(engine)
