"""Tables of slides: what does not fit goes on to the next page of the slide."""

from collections.abc import Iterator
from dataclasses import dataclass

from rendering.language import Scope
from rendering.program import Context, Steps, TableRow, write_all


@dataclass(slots=True, eq=False)
class SlideTable:
    """The rows of a slide's table: what does not fit goes on to the next page of the slide."""

    inner: Steps
    room: int

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Write the rows of the current page."""
        if id(self) not in at.paged:
            at.paged[id(self)] = self._pages(at, scope)
        pages = at.paged[id(self)]
        at.pages = max(at.pages, len(pages))
        out.extend(pages[at.page] if at.page < len(pages) else ())

    def _pages(self, at: Context, scope: Scope) -> list[list[str]]:
        outer, at.rows, loops, at.loops = at.rows, [], at.loops, 0
        write_all(self.inner, [], at, scope)
        rows, at.rows, at.loops = at.rows, outer, loops
        return list(_paged(rows, self.room))


def _paged(rows: list[TableRow], room: int) -> Iterator[list[str]]:
    """Cut rows into pages: what is above and below the repeated rows stands on each of them."""
    repeated = [at for at, row in enumerate(rows) if row.repeated]
    if not repeated:
        yield [row.xml for row in rows]
        return
    above, below = rows[: repeated[0]], rows[repeated[-1] + 1 :]
    room -= sum(row.height for row in (*above, *below))
    page: list[str] = []
    used = 0
    for row in rows[repeated[0] : repeated[-1] + 1]:
        if page and used + row.height > room:
            yield [*(r.xml for r in above), *page, *(r.xml for r in below)]
            page, used = [], 0
        page.append(row.xml)
        used += row.height
    yield [*(r.xml for r in above), *page, *(r.xml for r in below)]
