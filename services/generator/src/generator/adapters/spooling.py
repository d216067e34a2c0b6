"""Long tables from Qlik, batch by batch into a file: a million rows need the memory of some thousands."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import IO

import qlik
from contracts.configuration import DataItem, ObjectItem, OutputFormat, TableItem
from contracts.plan import PlannedReport
from generator.adapters.qlik_data import (
    Maker,
    column_data,
    makers,
    mixed,
    named_columns,
    object_columns,
    scalars,
    settled,
    sort_of,
)
from generator.ports import Spooled
from qlik import Aborted, AppSession, ConfigurationError, Dimension, Measure, RowPage
from runtime.errors import Permanent, Transient

MAX_BYTES = 4 * 1024**3
_PLAIN = frozenset({OutputFormat.CSV, OutputFormat.TXT, OutputFormat.XLSX, OutputFormat.PARQUET})
_ROUNDS = 3
_NO_STREAM = "mode"
Opened = tuple[tuple[qlik.Column, ...], AsyncIterator[RowPage]]


def long_table(report: PlannedReport) -> TableItem | ObjectItem | None:
    """Return the table that a report without template exports as it is; None for any other report."""
    if report.template is not None or report.native is not None or report.format not in _PLAIN:
        return None
    tables: list[DataItem] = [each for each in report.data if each.kind in {"table", "object", "field"}]
    chosen = [each for each in tables if each.name == report.options.table] or tables
    only = chosen[0] if len(chosen) == 1 else None
    return only if isinstance(only, TableItem | ObjectItem) else None


async def spool(session: AppSession, item: TableItem | ObjectItem, folder: Path) -> Spooled | None:
    """Write the rows of a table under the session's selections into a file; None if it cannot be streamed.

    Rows of two states of the app never mix: when the data changes meanwhile it begins anew. Raises Transient
    when that happens time and again.
    """
    path = folder / "rows"
    for _ in range(_ROUNDS):
        try:
            async with _opened(session, item) as (columns, pages):
                return await _write(item, columns, pages, path)
        except Aborted:
            continue
        except ConfigurationError as error:
            if error.code == _NO_STREAM:  # pivots and stacked charts are read whole
                return None
            raise
    raise Transient("the app is reloaded again and again while a long table is read")


def _opened(session: AppSession, item: TableItem | ObjectItem) -> AbstractAsyncContextManager[Opened]:
    if isinstance(item, ObjectItem):
        return session.stream_object(item.object_id, max_rows=item.limit)
    return session.stream(
        [Dimension(column.expression, label=column.label or column.name) for column in item.dimensions],
        [Measure(column.expression, label=column.label or column.name) for column in item.measures],
        sort=sort_of(item),
        max_rows=item.limit,
    )


async def _write(
    item: TableItem | ObjectItem,
    columns: Sequence[qlik.Column],
    pages: AsyncIterator[RowPage],
    path: Path,
) -> Spooled:
    names = named_columns(item) if isinstance(item, TableItem) else object_columns(columns)
    make, texts = makers(columns), set[int]()
    count = 0
    with path.open("wb") as file:
        async for page in pages:
            # Ten thousand cells take long enough for heartbeats to notice.
            texts |= await asyncio.to_thread(_append, file, page.rows, columns, make)
            count += len(page.rows)
    return Spooled(path, settled(column_data(columns, names), texts), count)


def _append(
    file: IO[bytes], rows: Sequence[qlik.Row], columns: Sequence[qlik.Column], make: Sequence[Maker]
) -> set[int]:
    """Write rows; return the places of the columns that have texts among their numbers."""
    pickle.dump(scalars(rows, make), file, protocol=5)
    if file.tell() > MAX_BYTES:
        raise Permanent(
            "table-too-large",
            f"the rows of the table take more than {MAX_BYTES // 2**30} GiB",
            "filter the report, or iterate over a field",
        )
    return mixed(rows, columns)
