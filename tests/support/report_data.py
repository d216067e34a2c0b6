"""Small report data for tests of the rendering engine."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rendering import Cell, ChartSpec, ColumnData, Meta, RenderData, TableData

NOW = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)


def table(columns: str, *rows: Sequence[Cell], totals: Sequence[Cell] | None = None) -> TableData:
    """A table whose columns are named by words; kinds do not matter to most tests."""
    names = tuple(ColumnData(name) for name in columns.split())
    return TableData(names, [tuple(row) for row in rows], tuple(totals) if totals is not None else None)


def report(
    values: Mapping[str, Cell] | None = None,
    tables: Mapping[str, TableData] | None = None,
    images: Mapping[str, bytes | ChartSpec] | None = None,
) -> RenderData:
    """Data of a report made at a fixed moment."""
    meta = Meta(NOW, report="Sales", task="Weekly", recipient="Ada", iteration="North")
    return RenderData(meta, values or {}, tables or {}, images or {})
