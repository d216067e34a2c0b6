"""Spool and export so many rows in this process, and say how much memory it took.

Run as a process of its own, as only a whole process's peak says anything.
"""

import asyncio
import resource
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import qlik
from contracts.configuration import ColumnDef, TableItem
from generator.adapters.finishing import export_table
from generator.adapters.spooling import spool
from rendering.model import OutputFormat, RenderOptions

PAGE = 1_000


class Session:
    """A session on an app with a table of any length, made as it is read."""

    def __init__(self, rows: int) -> None:
        """Take the number of rows."""
        self._rows = rows

    @asynccontextmanager
    async def stream(
        self, *_: Any, **__: Any
    ) -> AsyncIterator[tuple[tuple[qlik.Column, ...], AsyncIterator[qlik.RowPage]]]:
        """Yield columns and pages, as qlik.AppSession does."""

        async def pages() -> AsyncIterator[qlik.RowPage]:
            for start in range(0, self._rows, PAGE):
                yield qlik.RowPage(
                    start,
                    [
                        (
                            qlik.Cell(f"customer {number}", f"customer {number}"),
                            qlik.Cell(number + 0.5, f"{number}.5"),
                        )
                        for number in range(start, min(start + PAGE, self._rows))
                    ],
                )

        yield (qlik.Column("Customer", "text"), qlik.Column("Amount", "number", role="measure")), pages()


async def main(rows: int, output: OutputFormat) -> None:
    """Print rows, bytes and the peak of memory in KiB."""
    item = TableItem(
        name="t",
        dimensions=(ColumnDef(name="customer", expression="customer"),),
        measures=(ColumnDef(name="amount", expression="Sum(amount)"),),
        limit=1_000_000,
    )
    with tempfile.TemporaryDirectory() as folder:
        session: Any = Session(rows)
        spooled = await spool(session, item, Path(folder))
        assert spooled is not None
        file = export_table(spooled, output, RenderOptions(), "Long")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(spooled.rows, file.path.stat().st_size, peak)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), OutputFormat(sys.argv[2])))
