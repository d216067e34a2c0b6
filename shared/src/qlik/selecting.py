"""Filters that prove themselves: cleared, selected, locked, read back, compared.

A selection call that answers true proves nothing: values may not exist, or an earlier filter
may have been dropped. A filter that is not proved ends the job, because the alternative is somebody else's
data in a report.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from qlik import formats
from qlik.cube import Matrix, Source, list_def, pages
from qlik.errors import Aborted, ConfigurationError, QlikError, SelectionNotProved
from qlik.matching import MANY, Wanted, chosen, difference, matches, plain
from qlik.model import Column, FieldValue, ProvedSelection, Selection, Value
from qlik.rpc import EngineConnection, ObjectRef

__all__ = ["apply", "bare", "check_forced", "current", "difference", "discard", "field_values", "listed",
"matches",
           "prove", "still_active"]  # fmt: skip

_T = TypeVar("_T")
_EXACT = 2**53  # from here on a double is no longer every integer
_NO_FIELD = "no-field"
_NO_METHOD = {-32601, 20}
_TRIES = 3


def field_values(values: Sequence[FieldValue], numbers: Sequence[float | None] = ()) -> list[dict[str, Any]]:
    """The FieldValue list for SelectValues: by text, by number, and by both where both are known.

    Engines differ in whether they find a number or a date by its text.
    """
    out: list[dict[str, Any]] = []
    for item, behind in zip(values, numbers or (None,) * len(values), strict=True):
        if isinstance(item, str):
            out.append({"qText": item, "qIsNumeric": False})
        number = behind if isinstance(item, str) else item
        if number is not None:
            whole = float(number).is_integer() and abs(number) < _EXACT
            out.append(
                {"qText": plain(item), "qIsNumeric": True, "qNumber": int(number) if whole else number}
            )
    return out


async def apply(
    connection: EngineConnection, doc: ObjectRef, selections: Sequence[Selection], states: Sequence[str] = ()
) -> list[ProvedSelection]:
    """Make exactly these filters active in the session, and prove it.

    Fields in which the app's author keeps one value selected are part of the answer, after the filters and
    marked as forced. In the alternate states named, nothing else is selected afterwards.

    Raises:
        SelectionNotProved: naming field and values, when what is active is not what was asked.

    """
    _no_field_twice(selections)
    for tries_left in reversed(range(_TRIES)):
        try:
            return await _apply(connection, doc, selections, states)
        except Aborted:
            if tries_left == 0:
                raise
    raise AssertionError  # pragma: no cover - the last round returns or raises


async def _apply(
    connection: EngineConnection, doc: ObjectRef, selections: Sequence[Selection], states: Sequence[str]
) -> list[ProvedSelection]:
    """Select by what the values are; if that is not proved, look them up in their fields and select those.

    What a selection call answers decides nothing here: engines say true and select nothing, and the reverse.
    """
    try:
        return await _apply_once(connection, doc, selections, states, _by_value)
    except SelectionNotProved as error:
        if not selections or error.code == _NO_FIELD:
            raise
    return await _apply_once(connection, doc, selections, states, _by_element)


_Select = Callable[[EngineConnection, ObjectRef, ObjectRef, Selection], Awaitable[None]]


async def _apply_once(
    connection: EngineConnection,
    doc: ObjectRef,
    selections: Sequence[Selection],
    states: Sequence[str],
    select: _Select,
) -> list[ProvedSelection]:
    await connection.call(doc.handle, "ClearAll", True)
    for state in states:
        await connection.call(doc.handle, "ClearAll", True, state)
    for selection in selections:
        await _select_and_lock(connection, doc, selection, select)
    proved = list(await asyncio.gather(*(prove(connection, doc, selection) for selection in selections)))
    proved += await _forced(connection, doc, {bare(selection.field) for selection in selections})
    await still_active(connection, doc, proved, states)
    return proved


async def _forced(
    connection: EngineConnection, doc: ObjectRef, asked: Container[str]
) -> list[ProvedSelection]:
    """What the app keeps selected in fields where one value always is (`qOneAndOnlyOne`)."""
    names = [
        str(entry["qField"])
        for entry in await current(connection, doc)
        if _always_one(entry) and bare(str(entry.get("qField") or "")) not in asked
    ]
    return list(await asyncio.gather(*(_prove_forced(connection, doc, name) for name in names)))


async def _prove_forced(connection: EngineConnection, doc: ObjectRef, field: str) -> ProvedSelection:
    listing = await listed(connection, doc, field, states={"L", "S", "XS", "XL"})
    texts = tuple(value.text for value in listing.values)
    if listing.counts.get("qLockedExcluded") or listing.counts.get("qSelectedExcluded"):
        raise SelectionNotProved(
            field, texts, "the app keeps it selected, and it is not possible together with the filters"
        )
    if len(texts) != 1:
        raise SelectionNotProved(
            field, texts, f"the app always keeps one value selected, and {len(texts)} were read back"
        )
    return ProvedSelection(field, tuple(listing.values), forced=True)


def _always_one(entry: Mapping[str, Any]) -> bool:
    return entry.get("qOneAndOnlyOne") is True and entry.get("qSelectedCount", 1) == 1


async def still_active(
    connection: EngineConnection, doc: ObjectRef, proved: Sequence[ProvedSelection], states: Sequence[str]
) -> None:
    """Compare the engine's own lists of selections with what was proved.

    Raises:
        SelectionNotProved: when a filter is gone, not locked, of another size, or there is one more.

    """
    _exactly(await current(connection, doc), proved)
    for state in states:
        chosen_there = await current(connection, doc, state)
        # The author's own value in a state that no filter of ours reaches.
        others = [entry for entry in chosen_there if not _always_one(entry)]
        _exactly(others, (), where=f" of the alternate state {state!r}")


async def check_forced(
    connection: EngineConnection, doc: ObjectRef, proved: Sequence[ProvedSelection]
) -> None:
    """Raise SelectionNotProved if the app now keeps another value selected than was proved."""
    for selection in proved:
        if selection.forced:
            now = await _prove_forced(connection, doc, selection.field)
            if now.values != selection.values:
                raise SelectionNotProved(
                    selection.field,
                    tuple(value.text for value in selection.values),
                    f"the app now keeps {now.values[0].text!r} selected",
                )


async def _select_and_lock(
    connection: EngineConnection, doc: ObjectRef, selection: Selection, select: _Select
) -> None:
    try:
        field = await connection.call_object(
            doc.handle,
            "GetField",
            bare(selection.field),
            missing=f"The app has no field {selection.field!r}",
        )
    except ConfigurationError as error:
        raise SelectionNotProved(
            selection.field, selection.values, "the app has no such field", code=_NO_FIELD
        ) from error
    await select(connection, doc, field, selection)
    # unlocked, this filter would silently be dropped by a later one it does not go together with
    if not _true(await connection.call(field.handle, "Lock")):
        raise SelectionNotProved(
            selection.field,
            selection.values,
            "the engine did not lock the field, as nothing is selected in it",
        )


async def _by_value(
    connection: EngineConnection, doc: ObjectRef, field: ObjectRef, selection: Selection
) -> None:
    del doc
    values = field_values(selection.values, selection.numbers)
    await connection.call(field.handle, "SelectValues", values, False, False)


async def _by_element(
    connection: EngineConnection, doc: ObjectRef, field: ObjectRef, selection: Selection
) -> None:
    """Select by element number, which is exact; by text and number where the engine knows no such call."""
    found = await _looked_up(connection, doc, selection)
    try:
        elements = [element for element, _ in found]
        await connection.call(field.handle, "LowLevelSelect", elements, False, False)
    except QlikError as error:
        if error.code not in _NO_METHOD:
            raise
        values = [value for _, value in found]
        exact = field_values([value.text for value in values], [value.number for value in values])
        await connection.call(field.handle, "SelectValues", exact, False, False)


async def _looked_up(
    connection: EngineConnection, doc: ObjectRef, selection: Selection
) -> list[tuple[int, Value]]:
    """The values of the field that the filter asks for, with their element numbers."""
    what = f"The field {selection.field!r}"
    wanted = Wanted(selection.values, selection.numbers, exact=True)
    candidates: list[tuple[int, Value]] = []
    async with _list_object(connection, doc, selection.field) as (made, info):
        height = int((info.get("qSize") or {}).get("qcy") or 0)
        source = Source(made.handle, "/qListObjectDef", what, "GetListObjectData")
        async with aclosing(pages(connection, source, 1, height, pages_in_flight=2)) as reading:
            async for _, matrix in reading:
                candidates += await _aside(len(matrix), _asked_for, wanted, matrix)
    places, missing = await _aside(len(candidates), chosen, wanted, [value for _, value in candidates])
    if missing:
        names = ", ".join(str(selection.values[place]) for place in missing[:5])
        raise SelectionNotProved(selection.field, selection.values, f"the field has no value {names}")
    return [candidates[place] for place in places]


def _asked_for(wanted: Wanted, matrix: Matrix) -> list[tuple[int, Value]]:
    found = []
    for row in matrix:
        value = formats.value(row[0])
        if wanted.by_itself(value) or wanted.as_written(value):
            found.append((int(row[0].get("qElemNumber") or 0), value))
    return found


async def _aside(size: int, work: Callable[..., _T], *arguments: Any) -> _T:
    """Do work on so many values, off the event loop if they are many."""
    return await asyncio.to_thread(work, *arguments) if size >= MANY else work(*arguments)


async def prove(connection: EngineConnection, doc: ObjectRef, selection: Selection) -> ProvedSelection:
    """Read the field's values back and compare them, one by one, with what was asked.

    Raises:
        SelectionNotProved: when they differ, or are not locked, or are not possible together with other
        filters.

    """
    listing = await listed(connection, doc, selection.field, states={"L", "S", "XS", "XL"})
    found, counts = listing.values, listing.counts

    def refuse(why: str) -> SelectionNotProved:
        return SelectionNotProved(selection.field, selection.values, why)

    if counts.get("qLockedExcluded") or counts.get("qSelectedExcluded"):
        raise refuse("not possible together with the other filters")
    if counts.get("qSelected") or int(counts.get("qLocked") or 0) != len(found):
        raise refuse(f"{counts.get('qLocked') or 0} values are locked, {len(found)} were read back")
    why = await _aside(len(found), difference, selection.values, found, selection.numbers)
    if why:
        raise refuse(why)
    return ProvedSelection(selection.field, tuple(found))


@dataclass(frozen=True, slots=True)
class Listing:
    """Values of a field, how many it has in each state (`qStateCounts`), and how it looks as a column."""

    values: list[Value]
    counts: Mapping[str, Any]
    column: Column


async def listed(
    connection: EngineConnection,
    doc: ObjectRef,
    field: str,
    *,
    states: set[str],
    limit: int | None = None,
) -> Listing:
    """The values of a field in these states. Reads no more pages than it must.

    With `limit`, reading stops after so many values.
    """
    what = f"The field {field!r}"
    async with _list_object(connection, doc, field) as (made, info):
        counts = (info.get("qDimensionInfo") or {}).get("qStateCounts") or {}
        expected = sum(int(counts.get(_COUNT_OF[state]) or 0) for state in states)
        wanted = expected if limit is None else min(expected, limit)
        height = int((info.get("qSize") or {}).get("qcy") or 0)
        values = await _read_states(connection, made, states, min(wanted, height), what=what)
        if len(values) < wanted < height:  # an engine that does not sort by state
            values = await _read_states(connection, made, states, height, what=what)
        column = formats.column(info.get("qDimensionInfo") or {}, role="dimension", name=field)
        return Listing(values if limit is None else values[:limit], counts, column)


@asynccontextmanager
async def _list_object(
    connection: EngineConnection, doc: ObjectRef, field: str
) -> AsyncIterator[tuple[ObjectRef, Mapping[str, Any]]]:
    """A list object of a field, and its layout. Raises ConfigurationError when it has none."""
    properties = {"qInfo": {"qType": "broadsheet-values"}, "qListObjectDef": list_def(field)}
    what = f"The field {field!r}"
    made = await connection.call_object(
        doc.handle, "CreateSessionObject", properties, missing=f"{what} cannot be listed"
    )
    try:
        layout = (await connection.call(made.handle, "GetLayout")).get("qLayout") or {}
        info = layout.get("qListObject") or {}
        error = info.get("qError") or (info.get("qDimensionInfo") or {}).get("qError")
        if isinstance(error, Mapping) and error.get("qErrorCode"):
            raise ConfigurationError(f"{what} cannot be listed", code=int(error["qErrorCode"]))
        yield made, info
    finally:
        await discard(connection, doc, made)


async def _read_states(
    connection: EngineConnection, made: ObjectRef, states: set[str], height: int, *, what: str
) -> list[Value]:
    values: list[Value] = []
    source = Source(made.handle, "/qListObjectDef", what, "GetListObjectData")
    async for _, matrix in pages(connection, source, 1, height, pages_in_flight=2):
        values.extend(formats.value(row[0]) for row in matrix if row[0].get("qState") in states)
    return values


_COUNT_OF = {
    "L": "qLocked", "S": "qSelected", "O": "qOption", "D": "qDeselected", "A": "qAlternative",
    "X": "qExcluded", "XS": "qSelectedExcluded", "XL": "qLockedExcluded",
}  # fmt: skip


async def current(connection: EngineConnection, doc: ObjectRef, state: str = "") -> list[Mapping[str, Any]]:
    """The engine's own list of active selections, of the default state or of the one named."""
    chosen = {"qStateName": state} if state else {}
    properties = {"qInfo": {"qType": "SelectionObject"}, "qSelectionObjectDef": chosen}
    made = await connection.call_object(
        doc.handle, "CreateSessionObject", properties, missing="The selections cannot be read"
    )
    try:
        layout = (await connection.call(made.handle, "GetLayout")).get("qLayout") or {}
        entries = (layout.get("qSelectionObject") or {}).get("qSelections") or []
        return [entry for entry in entries if isinstance(entry, Mapping)]
    finally:
        await discard(connection, doc, made)


def _exactly(
    active: Sequence[Mapping[str, Any]], proved: Sequence[ProvedSelection], *, where: str = ""
) -> None:
    """The engine's list must hold the fields asked for, locked and with as many values, and no other."""
    seen = {bare(str(entry.get("qField") or "")): entry for entry in active}
    for selection in proved:
        texts = tuple(value.text for value in selection.values)
        entry = seen.pop(bare(selection.field), None)
        if entry is None:
            raise SelectionNotProved(selection.field, texts, "no selection is active in this field")
        if not selection.forced and not entry.get("qLocked"):
            raise SelectionNotProved(selection.field, texts, "the selection is not locked")
        count = entry.get("qSelectedCount")
        if isinstance(count, int) and count != len(texts):
            raise SelectionNotProved(selection.field, texts, f"the engine counts {count} selected values")
    for name, entry in seen.items():
        count = entry.get("qSelectedCount") or "?"
        raise SelectionNotProved(name, (), f"a filter nobody asked for is active{where} ({count} values)")


async def discard(connection: EngineConnection, doc: ObjectRef, made: ObjectRef) -> None:
    """Free a session object. The session's end frees it anyway, so a failure here is no failure."""
    if made.id:
        await connection.post(doc.handle, "DestroySessionObject", made.id)


def _no_field_twice(selections: Sequence[Selection]) -> None:
    names: set[str] = set()
    for selection in selections:
        name = bare(selection.field)
        if name in names:
            raise ConfigurationError(
                f"Two filters name the field {selection.field!r}",
                code="field-twice",
                remedy="Join them into one.",
            )
        names.add(name)


def bare(field: str) -> str:
    """A field name without the brackets it is written with in expressions."""
    if field.startswith("[") and field.endswith("]"):
        return field[1:-1].replace("]]", "]")
    return field


def _true(result: Mapping[str, Any]) -> bool:
    return result.get("qReturn", result.get("qSuccess")) is True
