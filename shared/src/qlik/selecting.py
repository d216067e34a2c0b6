"""Filters that prove themselves: cleared, selected, locked, read back, compared.

A selection call that answers true proves nothing: values may not exist, or an earlier filter
may have been dropped. A filter that is not proved ends the job, because the alternative is somebody else's
data in a report.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qlik import formats
from qlik.cube import Source, list_def, pages
from qlik.errors import Aborted, ConfigurationError, SelectionNotProved
from qlik.model import Column, FieldValue, ProvedSelection, Selection, Value
from qlik.rpc import EngineConnection, ObjectRef

_TRIES = 3


def field_values(values: Sequence[FieldValue], *, numbers_as_written: bool = False) -> list[dict[str, Any]]:
    """The FieldValue list for SelectValues.

    With `numbers_as_written`, texts that read as numbers go as numbers.
    """
    out: list[dict[str, Any]] = []
    for item in values:
        number = item if isinstance(item, int | float) else (_as_number(item) if numbers_as_written else None)
        if number is None:
            out.append({"qText": str(item), "qIsNumeric": False})
        else:
            out.append({"qText": _plain(item), "qIsNumeric": True, "qNumber": number})
    return out


def matches(asked: FieldValue, found: Value) -> bool:
    """Whether a value of the field is the one asked for: texts by text, numbers by number."""
    if isinstance(asked, str):
        if found.text == asked:
            return True
        number = _as_number(asked)
        return number is not None and found.number is not None and _plain(found.number) == asked
    return found.number is not None and math.isclose(found.number, asked, rel_tol=1e-12, abs_tol=1e-12)


def difference(asked: Sequence[FieldValue], found: Sequence[Value]) -> str:
    """Why the values found are not the ones asked for; empty if they are."""
    missing = [item for item in asked if not any(matches(item, value) for value in found)]
    extra = [value.text for value in found if not any(matches(item, value) for item in asked)]
    words = []
    if missing:
        words.append("not selected: " + ", ".join(str(item) for item in missing[:5]))
    if extra:
        words.append("selected without being asked for: " + ", ".join(extra[:5]))
    return "; ".join(words)


async def apply(
    connection: EngineConnection, doc: ObjectRef, selections: Sequence[Selection], states: Sequence[str] = ()
) -> list[ProvedSelection]:
    """Make exactly these filters active in the session, and prove it.

    In the alternate states named, nothing is selected afterwards.

    Raises:
        SelectionNotProved: naming field and values, when what is active is not what was asked.

    """
    _no_field_twice(selections)
    for tries_left in reversed(range(_TRIES)):
        try:
            return await _apply_once(connection, doc, selections, states)
        except Aborted:
            if tries_left == 0:
                raise
    raise AssertionError  # pragma: no cover - the last round returns or raises


async def _apply_once(
    connection: EngineConnection, doc: ObjectRef, selections: Sequence[Selection], states: Sequence[str]
) -> list[ProvedSelection]:
    await connection.call(doc.handle, "ClearAll", True)
    for state in states:
        await connection.call(doc.handle, "ClearAll", True, state)
    for selection in selections:
        await _select_and_lock(connection, doc, selection)
    proved = list(await asyncio.gather(*(prove(connection, doc, selection) for selection in selections)))
    await still_active(connection, doc, proved, states)
    return proved


async def still_active(
    connection: EngineConnection, doc: ObjectRef, proved: Sequence[ProvedSelection], states: Sequence[str]
) -> None:
    """Compare the engine's own lists of selections with what was proved.

    Raises:
        SelectionNotProved: when a filter is gone, not locked, of another size, or there is one more.

    """
    _exactly(await current(connection, doc), proved)
    for state in states:
        _exactly(await current(connection, doc, state), (), where=f" of the alternate state {state!r}")


async def _select_and_lock(connection: EngineConnection, doc: ObjectRef, selection: Selection) -> None:
    try:
        field = await connection.call_object(
            doc.handle,
            "GetField",
            _bare(selection.field),
            missing=f"The app has no field {selection.field!r}",
        )
    except ConfigurationError as error:
        raise SelectionNotProved(
            selection.field, selection.values, "the app has no such field", code=error.code
        ) from error
    if not await _select(connection, field, selection):
        raise SelectionNotProved(selection.field, selection.values, "the engine did not accept the selection")
    # unlocked, this filter would silently be dropped by a later one it does not go together with
    if not _true(await connection.call(field.handle, "Lock")):
        raise SelectionNotProved(selection.field, selection.values, "the engine did not lock the field")


async def _select(connection: EngineConnection, field: ObjectRef, selection: Selection) -> bool:
    values = field_values(selection.values)
    if _true(await connection.call(field.handle, "SelectValues", values, False, False)):
        return True
    as_numbers = field_values(selection.values, numbers_as_written=True)
    if as_numbers == values:
        return False
    return _true(await connection.call(field.handle, "SelectValues", as_numbers, False, False))


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
    why = difference(selection.values, found)
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
        counts = (info.get("qDimensionInfo") or {}).get("qStateCounts") or {}
        expected = sum(int(counts.get(_COUNT_OF[state]) or 0) for state in states)
        wanted = expected if limit is None else min(expected, limit)
        height = int((info.get("qSize") or {}).get("qcy") or 0)
        values = await _read_states(connection, made, states, min(wanted, height), what=what)
        if len(values) < wanted < height:  # an engine that does not sort by state
            values = await _read_states(connection, made, states, height, what=what)
        column = formats.column(info.get("qDimensionInfo") or {}, role="dimension", name=field)
        return Listing(values if limit is None else values[:limit], counts, column)
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
    seen = {_bare(str(entry.get("qField") or "")): entry for entry in active}
    for selection in proved:
        texts = tuple(value.text for value in selection.values)
        entry = seen.pop(_bare(selection.field), None)
        if entry is None:
            raise SelectionNotProved(selection.field, texts, "no selection is active in this field")
        if not entry.get("qLocked"):
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
        name = _bare(selection.field)
        if name in names:
            raise ConfigurationError(
                f"Two filters name the field {selection.field!r}",
                code="field-twice",
                remedy="Join them into one.",
            )
        names.add(name)


def _bare(field: str) -> str:
    if field.startswith("[") and field.endswith("]"):
        return field[1:-1].replace("]]", "]")
    return field


def _true(result: Mapping[str, Any]) -> bool:
    return result.get("qReturn", result.get("qSuccess")) is True


def _as_number(text: str) -> float | int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number) or text != text.strip() or "_" in text:
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _plain(value: FieldValue) -> str:
    if isinstance(value, str):
        return value
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))
