"""A table as a typed column file (Parquet), written in batches."""

import shutil
import tempfile
from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import IO, Any

from rendering.model import Cell, ColumnData, ColumnKind, RenderOptions, Scalar, check_widths, raw
from rendering.values import display

_HELD = 100_000  # rows that are kept in memory; more wait in files until all are there
_GROUP = 100_000  # rows of a row group


class ParquetExport:
    """Numbers, dates and truth values by the kind of the column, texts otherwise.

    Polars has no way to add to a Parquet file, so long tables wait as Arrow files in the folder for temporary
    files, which needs room for them.
    """

    def __init__(self, out: IO[bytes], columns: Sequence[ColumnData]) -> None:
        import polars as pl  # noqa: PLC0415 - only this export needs it

        self._polars: Any = pl
        self._out = out
        self._columns = tuple(columns)
        self._types: dict[ColumnKind, Any] = {
            "number": pl.Float64(),
            "date": pl.Date(),
            "datetime": pl.Datetime("us"),
            "bool": pl.Boolean(),
            "text": pl.String(),
        }
        self._frames: list[Any] = []
        self._held = 0
        self._folder: Path | None = None
        self._files: list[Path] = []

    def write(self, rows: Sequence[tuple[Cell, ...]]) -> None:
        """Add rows."""
        check_widths(rows, len(self._columns))
        self._frames.append(self._frame(rows))
        self._held += len(rows)
        if self._held >= _HELD:
            self._put_away()

    def close(self) -> None:
        """Write the file."""
        settings: dict[str, Any] = {"compression": "zstd", "statistics": True, "row_group_size": _GROUP}
        if self._folder is None:
            self._together().write_parquet(self._out, **settings)
            return
        try:
            if self._frames:
                self._put_away()
            lazy = self._polars.scan_ipc(self._files)
            lazy.sink_parquet(self._out, engine="streaming", maintain_order=True, **settings)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _put_away(self) -> None:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="broadsheet-parquet-"))
        path = self._folder / f"{len(self._files):06}.arrow"
        self._together().write_ipc(path, compression="lz4")
        self._files.append(path)
        self._frames, self._held = [], 0

    def _together(self) -> Any:
        frames = self._frames or [self._frame([])]
        return self._polars.concat(frames, rechunk=True)

    def _frame(self, rows: Sequence[tuple[Cell, ...]]) -> Any:
        series = self._polars.Series
        return self._polars.DataFrame(
            [
                series(
                    column.name,
                    [_typed(raw(row[position]), column.kind) for row in rows],
                    dtype=self._types[column.kind],
                    strict=False,
                )
                for position, column in enumerate(self._columns)
            ]
        )


def _typed(value: Scalar, kind: ColumnKind) -> Scalar:
    """The value as its column has it; what does not fit is missing, except that anything can be a text."""
    if isinstance(value, bool) or value is None:
        return value if kind == "bool" else None if kind != "text" or value is None else str(value).lower()
    fits: Scalar = None
    if kind == "text":
        fits = value if isinstance(value, str) else display(value, RenderOptions())
    elif kind == "number" and isinstance(value, int | float):
        fits = float(value)
    elif kind == "date" and isinstance(value, date):
        fits = value.date() if isinstance(value, datetime) else value
    elif kind == "datetime" and isinstance(value, date):
        fits = value if isinstance(value, datetime) else datetime.combine(value, time())
        fits = fits.replace(tzinfo=None)
    return fits
