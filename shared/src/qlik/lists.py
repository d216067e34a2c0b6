"""What an app has to offer: sheets with their objects, master items, fields, variables, bookmarks.

Lists are read through session objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from qlik.errors import ConfigurationError
from qlik.model import FieldValue, Selection
from qlik.objects import ObjectInfo
from qlik.rpc import EngineConnection, ObjectRef
from qlik.selecting import discard


@dataclass(frozen=True, slots=True)
class SheetInfo:
    """A sheet and what lies on it, in the order of rows and then columns."""

    id: str
    title: str
    rank: float
    objects: tuple[ObjectInfo, ...]


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """A field of the data model: its name, how many values it has, and Qlik's tags."""

    name: str
    values: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MasterItem:
    """A dimension or measure of the app's library."""

    id: str
    title: str
    kind: Literal["dimension", "measure"]


async def sheets(connection: EngineConnection, doc: ObjectRef) -> list[SheetInfo]:
    """The sheets this user sees, by rank."""
    data = {"title": "/qMetaDef/title", "rank": "/rank", "cells": "/cells"}
    properties = {
        "qInfo": {"qType": "SheetList"},
        "qAppObjectListDef": {"qType": "sheet", "qData": data},
    }
    items = (await _layout(connection, doc, properties)).get("qAppObjectList") or {}
    return sorted((_sheet(raw) for raw in items.get("qItems") or []), key=lambda sheet: sheet.rank)


async def fields(connection: EngineConnection, doc: ObjectRef) -> list[FieldInfo]:
    """The fields of the data model, without system fields."""
    properties = {
        "qInfo": {"qType": "FieldList"},
        "qFieldListDef": {"qShowSystem": False, "qShowHidden": False},
    }
    items = (await _layout(connection, doc, properties)).get("qFieldList") or {}
    return [
        FieldInfo(str(raw["qName"]), int(raw.get("qCardinal") or 0), tuple(raw.get("qTags") or ()))
        for raw in items.get("qItems") or []
        if raw.get("qName")
    ]


async def variables(connection: EngineConnection, doc: ObjectRef) -> list[str]:
    """The names of the app's variables, without reserved ones."""
    properties = {
        "qInfo": {"qType": "VariableList"},
        "qVariableListDef": {"qType": "variable", "qShowReserved": False, "qShowConfig": False},
    }
    items = (await _layout(connection, doc, properties)).get("qVariableList") or {}
    return [str(raw["qName"]) for raw in items.get("qItems") or [] if raw.get("qName")]


async def master_items(connection: EngineConnection, doc: ObjectRef) -> list[MasterItem]:
    """The dimensions and then the measures of the library, as far as this user sees them."""
    found: list[MasterItem] = []
    kinds: tuple[Literal["dimension", "measure"], ...] = ("dimension", "measure")
    for kind in kinds:
        name = f"q{kind.capitalize()}List"
        properties = {
            "qInfo": {"qType": f"{kind.capitalize()}List"},
            f"{name}Def": {"qType": kind, "qData": {"title": "/qMetaDef/title"}},
        }
        items = (await _layout(connection, doc, properties)).get(name) or {}
        found += [MasterItem(*_named(raw), kind) for raw in items.get("qItems") or []]
    return found


async def bookmarks(connection: EngineConnection, doc: ObjectRef) -> list[ObjectInfo]:
    """The bookmarks this user sees."""
    properties = {
        "qInfo": {"qType": "BookmarkList"},
        "qBookmarkListDef": {"qType": "bookmark", "qData": {"title": "/qMetaDef/title"}},
    }
    items = (await _layout(connection, doc, properties)).get("qBookmarkList") or {}
    named = (_named(raw) for raw in items.get("qItems") or [])
    return [ObjectInfo(key, "bookmark", title) for key, title in named]


async def bookmark(connection: EngineConnection, doc: ObjectRef, bookmark_id: str) -> list[Selection]:
    """The filters a bookmark keeps in the default state.

    Raises:
        ConfigurationError: there is no such bookmark, or it keeps more than lists of values.

    """
    found = await connection.call_object(
        doc.handle, "GetBookmark", bookmark_id, missing=f"The app has no bookmark {bookmark_id!r}"
    )
    layout = (await connection.call(found.handle, "GetLayout")).get("qLayout") or {}
    selections: list[Selection] = []
    for state in (layout.get("qBookmark") or {}).get("qStateData") or []:
        items = state.get("qFieldItems") or []
        if items and state.get("qStateName") not in {None, "", "$"}:
            raise _not_values(bookmark_id, f"selections in the alternate state {state['qStateName']!r}")
        selections += [_kept(bookmark_id, item) for item in items]
    return selections


def _kept(bookmark_id: str, item: Mapping[str, Any]) -> Selection:
    field = str((item.get("qDef") or {}).get("qName") or "")
    how = item.get("qSelectInfo") or {}
    values = [raw for raw in item.get("qValues") or [] if isinstance(raw, Mapping)]
    asked = [key for key in ("qTextSearch", "qRangeInfo", "qContinuousRangeInfo") if how.get(key)]
    count = item.get("qValuesCount", len(values))
    if not field or not values or asked or item.get("qAndMode") or count != len(values):
        raise _not_values(bookmark_id, f"a selection in {field!r} that is no list of values")
    # By its text a value is found whatever its number is.
    return Selection(field=field, values=tuple(_text_of(raw) for raw in values))


def _text_of(raw: Mapping[str, Any]) -> FieldValue:
    return str(raw["qText"]) if raw.get("qText") else float(raw.get("qNumber") or 0)


def _not_values(bookmark_id: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The bookmark {bookmark_id!r} keeps {what}",
        code="bookmark",
        remedy="Make a bookmark of values selected one by one in the default state, or filter by values.",
    )


async def _layout(
    connection: EngineConnection, doc: ObjectRef, properties: Mapping[str, Any]
) -> Mapping[str, Any]:
    made = await connection.call_object(
        doc.handle, "CreateSessionObject", properties, missing="The app could not be listed"
    )
    try:
        layout = (await connection.call(made.handle, "GetLayout")).get("qLayout")
        return layout if isinstance(layout, dict) else {}
    finally:
        await discard(connection, doc, made)


def _named(raw: Mapping[str, Any]) -> tuple[str, str]:
    title = (raw.get("qMeta") or {}).get("title") or (raw.get("qData") or {}).get("title")
    return str((raw.get("qInfo") or {}).get("qId") or ""), str(title or "")


def _sheet(raw: Mapping[str, Any]) -> SheetInfo:
    data, meta = raw.get("qData") or {}, raw.get("qMeta") or {}
    cells = sorted(data.get("cells") or [], key=lambda cell: (cell.get("row") or 0, cell.get("col") or 0))
    rank = data.get("rank")
    return SheetInfo(
        id=str((raw.get("qInfo") or {}).get("qId") or ""),
        title=str(meta.get("title") or data.get("title") or ""),
        rank=float(rank) if isinstance(rank, int | float) else 0.0,
        objects=tuple(ObjectInfo(str(c.get("name") or ""), str(c.get("type") or "")) for c in cells),
    )
