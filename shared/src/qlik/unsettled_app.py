"""Questions about Qlik that only an app at hand answers: how it describes numbers and finds values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qlik import excel, formats, selecting
from qlik.errors import QlikError
from qlik.lists import FieldInfo
from qlik.model import Value
from qlik.session import AppSession

_MOST = 1_000  # values of a field that is tried; larger ones are left alone
_SHOWN = 5


async def number_format(session: AppSession) -> str:
    """How the engine describes a number without a format of its own, and what Excel gets for it."""
    definition = {
        "qInfo": {"qType": "broadsheet-question"},
        "qHyperCubeDef": {
            "qMeasures": [{"qDef": {"qDef": "=0.25"}}],
            "qDimensions": [],
            "qInitialDataFetch": [],
        },
    }
    engine, doc = session.connection, session.doc
    made = await engine.call_object(doc.handle, "CreateSessionObject", definition, missing="No cube was made")
    try:
        layout = (await engine.call(made.handle, "GetLayout")).get("qLayout") or {}
    finally:
        await selecting.discard(engine, doc, made)
    info = ((layout.get("qHyperCube") or {}).get("qMeasureInfo") or [{}])[0]
    told = info.get("qNumFormat") or {}
    code = excel.code(formats.number_format(told, auto=bool(info.get("qIsAutoFormat"))))
    parts = ", ".join(f"{name} {value!r}" for name, value in sorted(told.items())) or "no format"
    automatic = "automatic" if info.get("qIsAutoFormat") else "not called automatic"
    verdict = "as it should be" if code == excel.GENERAL else "which is WRONG: report this"
    return f"{parts}, {automatic}; Excel gets {code}, {verdict}"


async def always_one(session: AppSession) -> str:
    """Which fields keep a value when everything is cleared."""
    await session.connection.call(session.doc.handle, "ClearAll", True)
    left = await selecting.current(session.connection, session.doc)
    told = [
        f"{entry.get('qField')} = {entry.get('qSelected')} ("
        + ("always one" if entry.get("qOneAndOnlyOne") else "not said to be always one")
        + ")"
        for entry in left
    ]
    return ", ".join(told[:_SHOWN]) if told else "none: nothing is selected after clearing"


async def numbers_by_text(session: AppSession) -> str | None:
    """What selecting a number by its text, its number and its element does; None without such a field."""
    return await _tried(session, dates=False)


async def dates_by_text(session: AppSession) -> str | None:
    """The same for a date."""
    return await _tried(session, dates=True)


async def _tried(session: AppSession, *, dates: bool) -> str | None:
    fields = sorted((field for field in await session.fields() if _fits(field, dates=dates)), key=_size)
    for field in fields:
        values = await session.field_values(field.name, limit=1, truncate=True)
        if values and values[0].number is not None:
            return await _ways(session, field.name, values[0])
    return None


async def _ways(session: AppSession, name: str, value: Value) -> str:
    number: Any = value.number
    ways: dict[str, Sequence[dict[str, Any]]] = {
        "by text": [{"qText": value.text, "qIsNumeric": False}],
        "by number": [{"qText": value.text, "qIsNumeric": True, "qNumber": number}],
    }
    told = []
    engine, doc = session.connection, session.doc
    field = await engine.call_object(
        doc.handle, "GetField", selecting.bare(name), missing="The field is gone"
    )
    for way, asked in ways.items():
        await engine.call(doc.handle, "ClearAll", True)
        try:
            said = (await engine.call(field.handle, "SelectValues", asked, False, False)).get("qReturn")
        except QlikError as error:
            told.append(f"{way} it is refused [{error.code}]")
            continue
        found = await selecting.listed(engine, doc, name, states={"S", "L", "XS", "XL"}, limit=_SHOWN)
        selected = ", ".join(each.text for each in found.values) or "nothing"
        told.append(f"{way} it answers {str(said).lower()} and selects {selected}")
    await engine.call(doc.handle, "ClearAll", True)
    return f"{name} = {value.text} ({number}): {'; '.join(told)}"


def _fits(field: FieldInfo, *, dates: bool) -> bool:
    is_date = "$date" in field.tags or "$timestamp" in field.tags
    return 1 < field.values <= _MOST and "$numeric" in field.tags and is_date is dates


def _size(field: FieldInfo) -> int:
    return field.values
