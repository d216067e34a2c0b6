"""What a part of a document becomes once its tags are read: a list of steps that write text.

A template part is read once (``flow``); what follows is joining texts, which is why a long table costs what
its characters cost. Steps know nothing of elements: all of the part that no tag touches is literal text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Protocol

from rendering.language import Language, Scope
from rendering.model import TableData, TemplateError
from rendering.shapes import shaped
from rendering.tags import Expression, Statement
from rendering.text import Runs, fill
from rendering.values import clean

Shape = Callable[[str], str]
"""How a text is written at its place: escaped, its line ends as the document has them."""


@dataclass(slots=True)
class Context:
    """One writing of one part. ``left`` is how many characters it may still grow by."""

    language: Language
    owner: str
    left: int
    free_id: int = 0
    loops: int = 0
    turns: list[int] = field(default_factory=list)  # of the loops around, outermost first
    turn: int = 0
    first_turn: bool = True  # of the innermost loop
    seen: set[int] = field(default_factory=set)
    page: int = 0
    pages: int = 1
    rows: "list[TableRow] | None" = None
    paged: dict[int, list[list[str]]] = field(default_factory=dict)

    def spend(self, size: int) -> None:
        """Count characters; refuses what grows beyond the limit."""
        self.left -= size
        if self.left < 0:
            raise TemplateError(
                self.owner, "it grows beyond the limit", "Filter the data or loop over fewer rows"
            )

    def first(self, step: object) -> bool:
        """Whether a step is reached for the first time in this writing."""
        known = id(step) in self.seen
        self.seen.add(id(step))
        return not known

    def number(self) -> int:
        """A drawing number nobody has."""
        self.free_id += 1
        return self.free_id


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a slide's table as it was written."""

    height: int
    repeated: bool
    xml: str


class Step(Protocol):
    """Writes its part of the text."""

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Append to ``out``."""


Steps = list[Step]


def write_all(steps: Steps, out: list[str], at: Context, scope: Scope) -> None:
    """Run steps in order."""
    for step in steps:
        step.write(out, at, scope)


@dataclass(slots=True, eq=False)
class Literal:
    """What no tag touches."""

    text: str

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Append the text."""
        del scope
        at.spend(len(self.text))
        out.append(self.text)


@dataclass(slots=True, eq=False)
class Value:
    """One ``{{ value }}``."""

    expression: Expression
    place: str
    shape: Shape

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Append the value as it reads in a text."""
        text = at.language.text(self.expression, scope, self.place)
        out.append(self.shape(at.language.spend(text, self.place)))


@dataclass(slots=True, eq=False)
class Paragraph:
    """A text with statements in it, over one run or several."""

    runs: Runs
    filled: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Run:
    """One run of such a text; the first one fills all of them."""

    paragraph: Paragraph
    index: int
    shape: Shape

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Append what this run gets."""
        if self.index == 0:
            self.paragraph.filled = self.paragraph.runs.fill(at.language, scope)
        out.append(self.shape(self.paragraph.filled[self.index]))


@dataclass(slots=True, eq=False)
class Attribute:
    """The text of an attribute."""

    text: str
    place: str

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Append the filled text."""
        out.append(escape(clean(fill(self.text, at.language, scope, self.place))).replace("\n", "&#10;"))


@dataclass(slots=True, eq=False)
class Call:
    """Something only the kind of document knows: a picture, the number of a drawing, a chart of its own."""

    make: Callable[[Context, Scope], str]

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Append what it makes."""
        out.append(self.make(at, scope))


@dataclass(slots=True, eq=False)
class Number:
    """The number of a drawing: the first copy keeps the one it has, others get one of their own."""

    original: str

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Append the number."""
        del scope
        out.append(self.original if at.first(self) else str(at.number()))


@dataclass(slots=True, eq=False)
class Once:
    """What may stand in a document once only, such as a bookmark."""

    inner: Steps

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Write it the first time."""
        if at.first(self):
            write_all(self.inner, out, at, scope)


@dataclass(slots=True, eq=False)
class FirstTurn:
    """What stands in the first turn of its loop; an empty paragraph in the others."""

    inner: Steps
    paragraph: str

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Write the inside or the paragraph."""
        if at.first_turn:
            write_all(self.inner, out, at, scope)
        else:
            out.append(f"<{self.paragraph}/>")


@dataclass(slots=True, eq=False)
class For:
    """A loop over rows or groups."""

    head: Statement
    place: str
    inner: Steps
    otherwise: Steps

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Write the inside once per turn, or what stands for no turn at all."""
        at.loops += 1
        turned = self._whole_table(out, at, scope)
        if turned:
            at.loops -= 1
            return
        around = at.first_turn
        for turn in at.language.loop(self.head, scope, self.place):
            at.first_turn = not turned
            turned = True
            at.spend(1)
            at.turn += 1
            at.turns.append(at.turn)
            write_all(self.inner, out, at, turn)
            at.turns.pop()
        at.first_turn = around
        at.loops -= 1
        if not turned:
            write_all(self.otherwise, out, at, scope)

    def _whole_table(self, out: list[str], at: Context, scope: Scope) -> bool:
        """Write a loop over all rows of a table as a repeating row is written, where that is the same."""
        over = self.head.over.simple if self.head.over else None
        if not over or over[1:] != ("rows",) or self.head.condition or len(self.head.names) > 1:
            return False
        table = scope.table(over[0])
        if table is None or not table.rows:
            return False
        return _by_column(self.inner, self.head.names[0], table, out, at)


@dataclass(slots=True, eq=False)
class If:
    """The first branch whose condition holds."""

    branches: list[tuple[Statement, Steps]]
    place: str

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Write that branch."""
        for head, inner in self.branches:
            if head.condition is None or at.language.holds(head.condition, scope, self.place):
                write_all(inner, out, at, scope)
                return


@dataclass(slots=True, eq=False)
class Rows:
    """A row whose tags name columns: once per row of those tables that are in the data and not in a loop."""

    candidates: tuple[str, ...]
    inner: Steps

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Write the rows; an empty table leaves none."""
        known = scope.data.tables
        names = [n for n in self.candidates if n in known and n not in scope.rows and n not in scope.names]
        if not names:
            write_all(self.inner, out, at, scope)
            return
        at.loops += 1
        if len(names) > 1 or not _by_column(self.inner, names[0], known[names[0]], out, at):
            tables = {name: scope.records(name) for name in names}
            for number in range(max(len(rows) for rows in tables.values())):
                at.spend(1)
                current = {n: rows[number] if number < len(rows) else None for n, rows in tables.items()}
                write_all(self.inner, out, at, scope.with_rows(current))
        at.loops -= 1


def _by_column(inner: Steps, root: str, table: TableData, out: list[str], at: Context) -> bool:
    """Write steps for every row of a table a column at a time; False where a tag is more than that."""
    cover = inner[0] if len(inner) == 1 else None
    pattern, columns = [], []
    for step in cover.inner if isinstance(cover, SlideRow) else inner:
        if isinstance(step, Literal):
            pattern.append(step.text.replace("%", "%%"))
            continue
        texts = (
            at.language.column(step.expression, root, table, step.place) if isinstance(step, Value) else None
        )
        if texts is None or not isinstance(step, Value):
            return False
        pattern.append("%s")
        columns.append(shaped(step.shape, texts))
    if not columns:
        return False
    line = "".join(pattern)
    at.spend(len(line) * len(columns[0]) + sum(sum(map(len, column)) for column in columns))
    written = [line % texts for texts in zip(*columns, strict=True)]
    if isinstance(cover, SlideRow) and at.rows is not None:
        at.rows.extend(TableRow(cover.height, True, xml) for xml in written)
    else:
        out.extend(written)
    return True


@dataclass(slots=True, eq=False)
class Cell:
    """A container that must end with a paragraph, whatever its blocks leave of it."""

    inner: Steps
    paragraph: str

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Write the inside and, where needed, an empty paragraph."""
        found: list[str] = []
        write_all(self.inner, found, at, scope)
        text = "".join(found)
        out.append(text)
        ends = [m.start() for m in re.finditer(f"</{self.paragraph}>|<{self.paragraph}(?: [^>]*)?/>", text)]
        if not ends or ends[-1] < text.rfind(f"</{self.paragraph[:-1]}tbl>"):
            out.append(f"<{self.paragraph}/>")


@dataclass(slots=True, eq=False)
class Table:
    """A table of Word: without rows it is none."""

    inner: Steps
    row: str

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Write the table unless all its rows are gone."""
        found: list[str] = []
        write_all(self.inner, found, at, scope)
        if any(f"</{self.row}>" in text for text in found):
            out.extend(found)


@dataclass(slots=True, eq=False)
class SlideRow:
    """A row of a slide's table; its height decides how many fit."""

    height: int
    inner: Steps

    def write(self, out: list[str], at: Context, scope: Scope) -> None:
        """Hand the row to the table it stands in."""
        found: list[str] = []
        write_all(self.inner, found, at, scope)
        if at.rows is None:
            out.extend(found)
        else:
            at.rows.append(TableRow(self.height, at.loops > 0, "".join(found)))
