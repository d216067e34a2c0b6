"""Where the rows of a template sheet go: which repeat, which vanish, and how far the rest moves.

A sheet is read as a list of plain rows, *repeats* (one row whose tags name columns of a table) and *blocks*
(rows between ``{% for %}`` or ``{% if %}`` and their end, each alone in a row of its own, which vanishes).
Laying it out gives the list of output rows and a map from template rows to output rows, which everything
that points at rows (formulas, charts, merged cells, ...) is moved by.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from rendering.language import Language, Scope
from rendering.model import TemplateError
from rendering.tags import MAX_BLOCKS, Statement

MAX_ROW = 1_048_576


@dataclass(frozen=True, slots=True)
class Repeat:
    """A row that is written once for every row of its tables (side by side when there are several)."""

    row: int
    tables: tuple[str, ...]


@dataclass(slots=True)
class Branch:
    """The rows under one ``for``, ``if``, ``elif`` or ``else``; ``row`` holds the statement itself."""

    row: int
    statement: Statement
    nodes: list["Node"] = field(default_factory=list)


@dataclass(slots=True)
class Block:
    """Rows that are written once per turn of a loop, or only under a condition."""

    first: int
    last: int
    branches: list[Branch]


Node = Repeat | Block


def read(
    statements: dict[int, Statement],
    tables: dict[int, tuple[str, ...]],
    place: str,
    vanish: AbstractSet[int] = frozenset(),
) -> list[Node]:
    """Build the nodes of a sheet from its statement rows and its rows with columns of tables.

    The rows ``vanish`` rule the whole sheet and are not written.
    """
    root: list[Node] = []
    stack: list[Block] = []

    def target() -> list[Node]:
        return stack[-1].branches[-1].nodes if stack else root

    for row in sorted({*statements, *tables, *vanish}):
        if row in vanish:
            target().append(Block(row, row, []))
            continue
        found = statements.get(row)
        if found is None:
            target().append(Repeat(row, tables[row]))
        elif found.word in {"for", "if"}:
            stack.append(Block(row, row, [Branch(row, found)]))
            if len(stack) > MAX_BLOCKS:
                raise TemplateError(f"{place}, row {row}", "too many blocks stand in each other", "Use fewer")
        elif not stack or (
            found.word.startswith("end") and found.word[3:] != stack[-1].branches[0].statement.word
        ):
            raise TemplateError(
                f"{place}, row {row}", f"{found.word!r} closes nothing", "Open the block before it"
            )
        elif found.word in {"elif", "else"}:
            stack[-1].branches.append(Branch(row, found))
        else:
            block = stack.pop()
            block.last = row
            target().append(block)
    if stack:
        raise TemplateError(
            f"{place}, row {stack[-1].first}", f"'{stack[-1].branches[0].statement.word}' is never closed",
            f"Add {{% end{stack[-1].branches[0].statement.word} %}} in a row of its own",
        )  # fmt: skip
    return root


@dataclass(slots=True)
class Region:
    """Template rows whose count changed, and the output rows they became (``stop`` is past the last)."""

    first: int
    last: int
    start: int
    stop: int
    turns: list["Turn"] | None = None  # None: a repeat
    marks: frozenset[int] = frozenset()  # rows of statements, which vanish
    loop: bool = False

    def spans(self, first: int, last: int) -> list[tuple[int, int]]:
        """Output rows of template rows inside this region, one span per turn."""
        if self.turns is None:
            return [(self.start, self.stop - 1)]
        found = (turn.span(first, last) for turn in self.turns if turn.first <= last and first <= turn.last)
        return [span for span in found if span]


@dataclass(slots=True)
class Turn:
    """One copy of template rows ``first`` to ``last``, written from output row ``start`` on."""

    first: int
    last: int
    start: int
    parent: "Turn | None" = None
    scope: Scope | None = None
    regions: list[Region] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)

    def add(self, region: Region) -> None:
        """Note a region; regions come in order."""
        self.regions.append(region)
        self._starts.append(region.first)

    def region(self, row: int) -> Region | None:
        """The region a template row lies in."""
        at = bisect_right(self._starts, row) - 1
        return self.regions[at] if at >= 0 and row <= self.regions[at].last else None

    def begin(self, row: int) -> int:
        """The first output row of a template row; for a vanished row, the row that took its place."""
        at = bisect_right(self._starts, row) - 1
        if at < 0:
            return self.start + row - self.first
        region = self.regions[at]
        if row > region.last:
            return region.stop + row - region.last - 1
        spans = region.spans(row, row)
        return spans[0][0] if spans else region.stop if row == region.last else region.start

    def end(self, row: int) -> int:
        """The last output row of a template row; for a vanished row, the row before its place."""
        region = self.region(row)
        if region is None:
            return self.begin(row)
        spans = region.spans(row, row)
        if spans:
            return spans[-1][1]
        return (region.start if row == region.first < region.last else region.stop) - 1

    def span(self, first: int, last: int) -> tuple[int, int] | None:
        """Output rows from the beginning of one template row to the end of another; None if all vanished."""
        result = self.begin(first), self.end(last)
        return result if result[0] <= result[1] else None

    def holder(self, row: int) -> "Turn":
        """The innermost turn around this one that has the row."""
        turn = self
        while turn.parent is not None and not turn.first <= row <= turn.last:
            turn = turn.parent
        return turn

    def places(self, row: int) -> Iterator[tuple[int, "Turn"]]:
        """Where a thing that stands on a row goes, and in which turn: once, or once per turn of its block."""
        region = self.region(row)
        if region is None or region.turns is None or row in region.marks:
            yield self.begin(row), self
            return
        for turn in region.turns:
            if turn.first <= row <= turn.last:
                yield from turn.places(row)

    def in_loop(self, row: int) -> bool:
        """Whether a row stands in a loop, however often that turns."""
        region = self.region(row)
        if region is None or region.turns is None or row in region.marks:
            return False
        return region.loop or any(t.in_loop(row) for t in region.turns if t.first <= row <= t.last)

    def copies(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Where a thing of these rows stands: once per repetition, or once, grown.

        What covers all rows of a block, those of its statements too, stands around the block. What covers one
        of these and some of its rows is repeated with the rows that stay.
        """
        region = self.region(first)
        around = region is not None and first == region.first < last == region.last
        if region is None or last > region.last or around:
            span = self.span(first, last)
            if span:
                yield span
        elif region.turns is None:
            for row in range(region.start, region.stop):
                yield row, row
        else:
            for turn in region.turns:
                top, bottom = max(first, turn.first), min(last, turn.last)
                if top <= bottom:
                    yield from turn.copies(top, bottom)

    def breaks(self, row: int) -> Iterator[int]:
        """The output rows below which a page break stands that stands below a row of the template.

        One below the row of ``for``, ``if`` or ``else`` stands before each turn of its rows, one below
        ``endfor`` after each turn.
        """
        region = self.region(row)
        if region is None:
            yield self.begin(row)
        elif region.turns is None:
            yield from range(region.start, region.stop)
        elif row not in region.marks:
            for turn in region.turns:
                if turn.first <= row <= turn.last:
                    yield from turn.breaks(row)
        elif row < region.last:
            yield from (turn.start - 1 for turn in region.turns if turn.first == row + 1)
        elif region.loop:
            yield from (turn.end(turn.last) for turn in region.turns)
        else:
            yield region.stop - 1

    def union(self, first: int, last: int) -> list[tuple[int, int]]:
        """The same as ranges that touch each other joined: what a rule about these rows covers."""
        region = self.region(first)
        if region is not None and last <= region.last and region.turns is None:
            return [(region.start, region.stop - 1)]
        result: list[tuple[int, int]] = []
        for start, stop in self.copies(first, last):
            if result and result[-1][1] + 1 >= start:
                result[-1] = (result[-1][0], max(stop, result[-1][1]))
            else:
                result.append((start, stop))
        return result


@dataclass(frozen=True, slots=True)
class Out:
    """Output rows made from one template row: ``count`` of them if it repeats."""

    row: int
    start: int
    scope: Scope
    turn: Turn
    repeat: Repeat | None = None
    count: int = 1
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A sheet laid out: output rows in order, and the map of rows."""

    outs: list[Out]
    root: Turn

    @property
    def changed(self) -> bool:
        """Whether any row stands elsewhere than in the template."""
        return any(r.stop - r.start != r.last - r.first + 1 or r.turns is not None for r in self.root.regions)


@dataclass(slots=True)
class _Work:
    """What laying out needs everywhere: the rows of the sheet, and how many more may be written."""

    rows: list[int]
    language: Language
    place: str
    outs: list[Out]
    budget: int

    def spend(self, rows: int) -> None:
        """Count rows; refuses a template that multiplies without end."""
        self.budget -= rows
        if self.budget < 0:
            raise TemplateError(
                self.place, "it grows beyond the limit", "Filter the data or loop over fewer rows"
            )


def vanished() -> Plan:
    """The plan of a sheet that is gone."""
    root = Turn(1, MAX_ROW, 1)
    root.add(Region(1, MAX_ROW, 1, 1, []))
    return Plan([], root)


def lay_out(rows: list[int], nodes: list[Node], language: Language, scope: Scope, place: str) -> Plan:
    """Lay out a sheet that has these rows."""
    limit = min(MAX_ROW, language.options.limits.rows)
    work = _Work(rows, language, place, [], 2 * limit)
    root = Turn(1, MAX_ROW, 1)
    last = _turn(work, nodes, root, scope)
    if last > limit:
        raise TemplateError(
            place,
            f"it would grow to {last} rows, at most {limit} are allowed",
            "Filter the data or export it as csv",
        )
    return Plan(work.outs, root)


def _turn(work: _Work, nodes: list[Node], turn: Turn, scope: Scope) -> int:
    """Write the rows of one turn; returns its last output row."""
    by_row = {row: node for node in nodes for row in _rows_of(node)}
    done: set[int] = set()
    own = work.rows[bisect_left(work.rows, turn.first) : bisect_right(work.rows, turn.last)]
    for row in own:
        node = by_row.get(row)
        if node is None:
            work.outs.append(Out(row, turn.begin(row), scope, turn))
        elif isinstance(node, Repeat):
            out = _repeat(node, turn.begin(row), scope, turn, work.language)
            turn.add(Region(row, row, out.start, out.start + out.count))
            work.outs.append(out)
            work.spend(out.count)
        elif node.first not in done:
            done.add(node.first)
            _block(work, node, turn, scope)
    return turn.end(max(own, default=turn.first))


def _rows_of(node: Node) -> range:
    return range(node.row, node.row + 1) if isinstance(node, Repeat) else range(node.first, node.last + 1)


def _repeat(node: Repeat, start: int, scope: Scope, turn: Turn, language: Language) -> Out:
    count = max(len(language.data.tables[name].rows) for name in node.tables)
    return Out(node.row, start, scope, turn, node, max(count, 1), empty=count == 0)


def _block(work: _Work, block: Block, turn: Turn, scope: Scope) -> None:
    start = turn.begin(block.first)
    turns: list[Turn] = []
    loop = bool(block.branches) and block.branches[0].statement.word == "for"
    marks = frozenset({block.first, block.last, *(branch.row for branch in block.branches)})
    region = Region(block.first, block.last, start, start, turns, marks, loop)
    for branch, end, inner in _turns(block, work.language, scope, work.place):
        copy = Turn(branch.row + 1, end - 1, region.stop, turn, inner)
        if copy.last >= copy.first:
            _turn(work, branch.nodes, copy, inner)
            region.stop = copy.end(copy.last) + 1
            turns.append(copy)
        work.spend(1 + copy.last - copy.first)
    turn.add(region)


def _turns(block: Block, language: Language, scope: Scope, place: str) -> Iterator[tuple[Branch, int, Scope]]:
    """The branches to write, the row each ends before, and what names mean in it."""
    if not block.branches:
        return
    ends = [*(branch.row for branch in block.branches[1:]), block.last]
    where = f"{place}, row {block.first}"
    head = block.branches[0].statement
    if head.word == "for":
        any_turn = False
        for inner in language.loop(head, scope, where):
            any_turn = True
            yield block.branches[0], ends[0], inner
        if not any_turn and len(block.branches) > 1:
            yield block.branches[1], ends[1], scope
        return
    for branch, end in zip(block.branches, ends, strict=True):
        condition = branch.statement.condition
        if condition is None or language.holds(condition, scope, where):
            yield branch, end, scope
            return
