"""What an app has to offer: sheets with their objects, fields, variables. Read through session objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
