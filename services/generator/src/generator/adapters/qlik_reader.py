"""Reads a unit's data from Qlik: a session of its own, proved selections, one state of the app."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import qlik
from contracts.base import Selection
from contracts.configuration import (
    ChartItem,
    ExpressionItem,
    FieldItem,
    ImageItem,
    ObjectItem,
    TableItem,
    VariableItem,
)
from contracts.plan import PlannedReport, PlannedUnit
from generator.adapters.native import export, picture
from generator.adapters.qlik_data import (
    cell_of,
    chart,
    field_table,
    named_table,
    object_table,
    options_of,
    sort_of,
)
from generator.adapters.qlik_questions import qlik_selections, same_data, verdict
from generator.adapters.qlik_sites import QlikSites
from generator.adapters.spooling import long_table, spool
from generator.domain.units import unmet
from generator.ports import Reading, Unmet
from qlik import AppSession, Dimension, Measure, ProvedSelection, QlikClient
from rendering.model import Cell, ChartSpec, TableData
from runtime.errors import Transient

_ROUNDS = 3


@dataclass(slots=True)
class _Data:
    """What was read so far, by name."""

    values: dict[str, Cell] = field(default_factory=dict)
    tables: dict[str, TableData] = field(default_factory=dict)
    images: dict[str, bytes | ChartSpec] = field(default_factory=dict)


class QlikReader:
    """The DataReader port on Qlik."""

    def __init__(self, sites: QlikSites) -> None:
        """Take the clients."""
        self._sites = sites

    async def read(self, report: PlannedReport, unit: PlannedUnit, folder: Path) -> Reading | Unmet:
        """Return the unit's data, or the condition that is not met, from one state of the app.

        When the app is reloaded meanwhile everything is read again in a new session: a report never mixes two
        states. Raises Transient when that happens time and again, or Qlik is out of order, Permanent when
        Qlik refuses.
        """
        for _ in range(_ROUNDS):
            async with self._sites.opened(report.connection_id, report.app_id) as (client, session):
                reading = await _read(client, session, report, unit, folder)
                if await same_data(session):
                    return reading
        raise Transient(f"the app {report.app_id} is reloaded again and again while it is read")


async def _read(
    client: QlikClient, session: AppSession, report: PlannedReport, unit: PlannedUnit, folder: Path
) -> Reading | Unmet:
    # Selected even when there are none: that clears the session, and proves that it is clear.
    asked = qlik_selections(unit.selections)
    proved = await session.select(asked)
    for condition in unit.conditions:
        found = await verdict(session, condition)
        if not found.holds:
            return Unmet(unmet(condition.name, found.detail))
    exported = spooled = None
    data = _Data()
    if report.native is not None:
        await session.check_reached(report.native.id)
        exported = await export(client, report, report.native, [*asked, *_forced(proved)])
    elif (long := long_table(report)) is not None:
        spooled = await spool(session, long, folder)
    if exported is None and spooled is None:
        await _read_items(client, session, report, data)
    return Reading(
        selections=tuple(
            Selection(field=item.field, values=tuple(value.text for value in item.values), forced=item.forced)
            for item in proved
        ),
        reloaded_at=session.layout.last_reload_time,
        values=data.values,
        tables=data.tables,
        images=data.images,
        options=options_of(session.layout),
        spooled=spooled,
        exported=exported,
    )


def _forced(proved: Sequence[ProvedSelection]) -> list[qlik.Selection]:
    """Return what the app keeps selected by itself, as an export is made in another session."""
    return [
        qlik.Selection(field=item.field, values=tuple(value.text for value in item.values))
        for item in proved
        if item.forced
    ]


async def _read_items(client: QlikClient, session: AppSession, report: PlannedReport, data: _Data) -> None:
    # Side by side: an engine is a network away, and the connection bounds the calls under way. The session
    # and its filters are the same for all, and nothing here changes them.
    try:
        async with asyncio.TaskGroup() as group:
            for item in report.data:
                if isinstance(item, ImageItem):
                    group.create_task(_read_picture(client, session, item, report, data))
                elif not isinstance(item, ChartItem):
                    group.create_task(_read_item(session, item, data))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    for item in report.data:
        if isinstance(item, ChartItem):
            data.images[item.name] = await asyncio.to_thread(chart, item, data.tables)


async def _read_picture(
    client: QlikClient, session: AppSession, item: ImageItem, report: PlannedReport, data: _Data
) -> None:
    await session.check_reached(item.object_id)
    data.images[item.name] = await picture(client, session, item, report.options.image_dpi)


async def _read_item(
    session: AppSession, item: ExpressionItem | VariableItem | FieldItem | TableItem | ObjectItem, data: _Data
) -> None:
    match item:
        case ExpressionItem():
            data.values[item.name] = cell_of(await session.evaluate(item.expression), session.layout)
        case VariableItem():
            data.values[item.name] = cell_of(await session.variable(item.variable), session.layout)
        case FieldItem():
            column, values = await session.field_column(item.field, limit=item.limit)
            data.tables[item.name] = await asyncio.to_thread(field_table, item, values, column)
        case TableItem():
            table = await session.table(
                [
                    Dimension(column.expression, label=column.label or column.name)
                    for column in item.dimensions
                ],
                [Measure(column.expression, label=column.label or column.name) for column in item.measures],
                sort=sort_of(item),
                max_rows=item.limit,
            )
            # A hundred thousand rows take a second; heartbeats must go on meanwhile.
            data.tables[item.name] = await asyncio.to_thread(named_table, item, table)
        case ObjectItem():
            table = await session.object_table(item.object_id, max_rows=item.limit)
            data.tables[item.name] = await asyncio.to_thread(object_table, table)
