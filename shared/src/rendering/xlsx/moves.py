"""Where references point after sheets were laid out."""

from collections.abc import Callable, Mapping

from rendering.xlsx.formula import MAX_ROW, Mention, Ref, map_formula, parsed, split_cell
from rendering.xlsx.layout import Out, Plan, Turn


class Plans(dict[str, Plan]):
    """Plans of the sheets that were laid out, by their lower-case names in the template.

    ``renames`` has the new names of sheets whose name changes.
    """

    def __init__(
        self, plans: Mapping[str, Plan] | None = None, renames: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(plans or {})
        self.renames = dict(renames or {})


def mover(sheet: str, plans: Plans) -> Callable[[str, Out, int], str]:
    """Moves the formulas of one sheet; those of a repeated row as if it were filled down."""
    own = sheet.lower()

    def move(formula: str, out: Out, turn: int) -> str:
        return map_formula(formula, lambda ref: _from_row(ref, out, turn, own, plans), plans.renames)

    return move


def downwards(sheet: str, plans: Plans) -> Callable[[str, Out], tuple[str, list[int]] | None]:
    """Reads a formula of a repeated row once for all its repetitions.

    The answer is a text with a ``%d`` for every row number that grows by one with each repetition, and these
    numbers at the first; None where the repetitions differ in more than that.
    """
    own = sheet.lower()

    def read(formula: str, out: Out) -> tuple[str, list[int]] | None:
        pieces: list[str] = []
        numbers: list[int] = []
        for part in parsed(formula):
            if not isinstance(part, Mention):
                text = part if isinstance(part, str) else part.written(plans.renames)
                pieces.append(text.replace("%", "%%"))
                continue
            first = _from_row(part.ref, out, 0, own, plans)
            last = _from_row(part.ref, out, out.count - 1, own, plans)
            if first is None or last is None or min(first) < 1 or max(first + last) > MAX_ROW:
                return None
            alone = part.one and first[0] == first[1]
            grows = [b != a for a, b in zip(first, last, strict=True)][: 1 if alone else 2]
            pattern = (part.one if alone else part.many).replace("%d", "%s")
            numbers.extend(row for row, moves in zip(first, grows, strict=False) if moves)
            pieces.append(
                pattern % tuple("%d" if moves else row for row, moves in zip(first, grows, strict=False))
            )
        return "".join(pieces), numbers

    return read


def _from_row(ref: Ref, out: Out, turn: int, own: str, plans: Plans) -> tuple[int, int] | None:
    if ref.sheet is not None and ref.sheet.lower() != own:
        plan = plans.get(ref.sheet.lower())
        return _from_outside(ref, plan.root) if plan else (ref.first, ref.last or ref.first)
    holder = _around(out.turn, ref)
    if out.repeat is None:
        return _from_outside(ref, holder)

    def place(row: int, found: int, *, fixed: bool) -> int:
        if fixed:
            return found
        return out.start + turn if row == out.row else found + turn

    first = place(ref.first, holder.begin(ref.first), fixed=ref.first_fixed)
    if ref.last is None:
        grown = ref.argument and ref.first_fixed
        return first, holder.end(ref.first) if grown else first
    end = place(ref.last, holder.end(ref.last), fixed=ref.last_fixed)
    return (first, end) if first <= end else None


def _from_outside(ref: Ref, holder: Turn) -> tuple[int, int] | None:
    if ref.last is not None:
        return holder.span(ref.first, ref.last)
    span = holder.span(ref.first, ref.first)
    if span is None:
        return None
    return span if ref.argument else (span[0], span[0])


def outside(plans: Plans, default: str = "") -> Callable[[str], str]:
    """Moves formulas of no row, such as names and charts; ``default`` is the sheet of bare references."""

    def mapper(ref: Ref) -> tuple[int, int] | None:
        plan = plans.get((ref.sheet or default).lower())
        return _from_outside(ref, plan.root) if plan else (ref.first, ref.last or ref.first)

    return lambda formula: map_formula(formula, mapper, plans.renames)


def inside(turn: Turn, sheet: str, plans: Plans) -> Callable[[str], str]:
    """Moves formulas of something that stands in one turn of a block, such as a chart."""

    def mapper(ref: Ref) -> tuple[int, int] | None:
        if (ref.sheet or sheet).lower() != sheet.lower():
            plan = plans.get((ref.sheet or "").lower())
            return _from_outside(ref, plan.root) if plan else (ref.first, ref.last or ref.first)
        return _from_outside(ref, _around(turn, ref))

    return lambda formula: map_formula(formula, mapper, plans.renames)


def _around(turn: Turn, ref: Ref) -> Turn:
    """The innermost turn that has all rows of a reference."""
    holder = turn
    while holder.parent is not None and not (
        holder.first <= ref.first and (ref.last or ref.first) <= holder.last
    ):
        holder = holder.parent
    return holder


def rule(plan: Plan, sheet: str, plans: Plans) -> Callable[[str], str]:
    """Moves the formula of a rule (format, validation): relative references mean the rule's first row."""

    def mapper(ref: Ref) -> tuple[int, int] | None:
        own = ref.sheet is None or ref.sheet.lower() == sheet.lower()
        if own and ref.last is None and not ref.first_fixed:
            row = plan.root.begin(ref.first)
            return row, row
        target = plan if own else plans.get((ref.sheet or "").lower())
        return _from_outside(ref, target.root) if target else (ref.first, ref.last or ref.first)

    return lambda formula: map_formula(formula, mapper, plans.renames)


def split_range(reference: str) -> tuple[str, int, str, int] | None:
    """``A1:B2`` or ``A1`` as columns and rows; None for whole columns or rows."""
    first, _, last = reference.partition(":")
    try:
        a, b = split_cell(first), split_cell(last or first)
    except ValueError:
        return None
    return a[0], a[1], b[0], b[1]


def _join(a: str, first: int, b: str, last: int, *, single: bool) -> str:
    return f"{a}{first}" if single and first == last and a == b else f"{a}{first}:{b}{last}"


def grown(reference: str, turn: Turn) -> str | None:
    """One reference, moved and grown; None if all its rows vanished."""
    parts = split_range(reference)
    if parts is None:
        return reference
    span = turn.span(parts[1], parts[3])
    return _join(parts[0], span[0], parts[2], span[1], single=":" not in reference) if span else None


def copied(reference: str, turn: Turn) -> list[str]:
    """A reference once per repetition of its rows."""
    parts = split_range(reference)
    if parts is None:
        return [reference]
    single = ":" not in reference
    return [_join(parts[0], a, parts[2], b, single=single) for a, b in turn.copies(parts[1], parts[3])]


def covered(references: str, turn: Turn) -> str:
    """A list of references as rules have it, moved; ranges that touch are one."""
    result: list[str] = []
    for reference in references.split():
        parts = split_range(reference)
        if parts is None:
            result.append(reference)
            continue
        for first, last in turn.union(parts[1], parts[3]):
            result.append(_join(parts[0], first, parts[2], last, single=True))
    return " ".join(result)
