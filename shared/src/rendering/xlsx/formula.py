"""References inside formulas: find them, move them, leave everything else as it is written."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

_TOKENS = re.compile(
    r"""(?P<string>"(?:[^"]|"")*")"""
    r"""|(?P<sheet>'(?:[^']|'')+'!|(?:\[\d+\])?[^\W\d][\w.]*(?::[^\W\d][\w.]*)?!)"""
    r"""|(?P<bracket>\[)"""
    r"""|(?P<cell>(?<![\w.$])\$?[A-Za-z]{1,3}\$?[1-9]\d{0,6}(?::\$?[A-Za-z]{1,3}\$?[1-9]\d{0,6})?(?![\w.(!\[]))"""
    r"""|(?P<rows>(?<![\w.$])\$?[1-9]\d{0,6}:\$?[1-9]\d{0,6}(?![\w.(]))"""
    r"""|(?P<word>[^\W\d][\w.]*|\d[\w.]*|.)""",
    re.DOTALL,
)
_CELL = re.compile(r"(\$?)([A-Za-z]{1,3})(\$?)(\d+)")
MAX_ROW = 1_048_576
_OVER_MANY = re.compile(
    r"(?:_xlfn\.)?(?:SUM|AVERAGE|COUNT|COUNTA|COUNTBLANK|MIN|MAX|MEDIAN|PRODUCT|SUBTOTAL|AGGREGATE|SUMSQ|MODE|LARGE|SMALL"
    r"|STDEV|VAR|PERCENTILE|QUARTILE|RANK|SUMIF|COUNTIF|AVERAGEIF|MAXIFS|MINIFS|SUMPRODUCT|INDEX|MATCH|LOOKUP|VLOOKUP|XLOOKUP"
    r"|SPARKLINE|ROWS|TEXTJOIN|CONCAT|UNIQUE|SORT|FILTER)(?:S|P|A|PA|IFS)?(?:\.\w+)?",
    re.IGNORECASE,
)  # functions that take many cells: alone in them, a repeated cell means all its repetitions


@dataclass(frozen=True, slots=True)
class Ref:
    """Rows of a reference; ``last`` is None for a single cell, ``argument`` if it alone is a function's."""

    sheet: str | None
    first: int
    first_fixed: bool
    last: int | None = None
    last_fixed: bool = False
    argument: bool = False


Mapper = Callable[[Ref], tuple[int, int] | None]
"""Where the rows of a reference went; the two rows are equal for a single cell. None: they are gone."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A reference as it stands in a formula: ``one`` writes a single row, ``many`` the first and the last."""

    ref: Ref
    many: str
    one: str = ""

    def written(self, rows: tuple[int, int] | None) -> str:
        """The reference to these rows."""
        if rows is None or max(rows) > MAX_ROW or min(rows) < 1:
            return "#REF!"
        return self.one % rows[0] if self.one and rows[0] == rows[1] else self.many % rows


@dataclass(frozen=True, slots=True)
class SheetMention:
    """A sheet named before a reference, and how it is written."""

    name: str
    text: str

    def written(self, renames: Mapping[str, str] | None) -> str:
        """The name the sheet has now, by its old one in lower case; nothing if the sheet is gone."""
        new = renames.get(self.name.lower()) if renames else None
        if new == "":
            return ""
        return self.text if new is None else quote_sheet(new) + "!"


def map_formula(formula: str, mapper: Mapper, renames: Mapping[str, str] | None = None) -> str:
    """The formula with every reference moved; what is gone becomes ``#REF!``, as in a spreadsheet.

    ``renames`` has new names of sheets by their old ones in lower case.
    """
    return "".join(
        [
            part if isinstance(part, str)
            else part.written(mapper(part.ref)) if isinstance(part, Mention)
            else part.written(renames)
            for part in parsed(formula)
        ]
    )  # fmt: skip


@lru_cache(maxsize=4_096)
def parsed(formula: str) -> tuple[str | Mention | SheetMention, ...]:
    """The formula cut into references, names of sheets, and what stands between."""
    out: list[str | Mention | SheetMention] = []
    sheet: str | None = None
    calls: list[str] = []
    word = prefix = ""
    at = 0
    while at < len(formula):
        match = _TOKENS.match(formula, at)
        if match is None:  # pragma: no cover - the last branch takes any character
            break
        text, kind = match.group(), match.lastgroup
        if kind == "bracket":
            end = _bracket(formula, at)
            out.append(formula[at:end])
            sheet, at = None, end
            continue
        if kind in {"cell", "rows"} and not (sheet and (":" in sheet or "[" in sheet)):
            over_many = bool(_OVER_MANY.fullmatch(calls[-1])) if calls else sheet is not None
            before = formula[: at - len(prefix)].rstrip()[-1:]
            argument = (
                over_many
                and before in {"(", ",", ""}
                and formula[match.end() :].lstrip()[:1] in {")", ",", ""}
            )
            out.append(_mention(text, sheet, argument=argument))
        else:
            out.append(SheetMention(unquoted(text), text) if kind == "sheet" else text)
        if text == "(":
            calls.append(word)
        elif text == ")" and calls:
            calls.pop()
        word = text if kind == "word" else ""
        prefix = text if kind == "sheet" else ""
        sheet = unquoted(text) if kind == "sheet" else None
        at = match.end()
    return tuple(out)


def sheet_names(formula: str) -> set[str]:
    """Names of the other sheets a formula looks at."""
    return {unquoted(m.group()) for m in _TOKENS.finditer(formula) if m.lastgroup == "sheet"}


def unquoted(text: str) -> str:
    """The name of a sheet as it stands before a reference, ``'My sheet'!``."""
    name = text[:-1]
    return name[1:-1].replace("''", "'") if name.startswith("'") else name


def quote_sheet(name: str) -> str:
    """A sheet name as formulas write it."""
    return (
        name
        if re.fullmatch(r"[^\W\d]\w*", name) and not _CELL.fullmatch(name)
        else "'" + name.replace("'", "''") + "'"
    )


def _bracket(formula: str, at: int) -> int:
    depth = 0
    for position in range(at, len(formula)):
        depth += (formula[position] == "[") - (formula[position] == "]")
        if depth == 0:
            return position + 1
    return len(formula)


def _mention(text: str, sheet: str | None, *, argument: bool) -> Mention:
    first, _, last = text.partition(":")
    a = _CELL.fullmatch(first)
    b = _CELL.fullmatch(last) if last else None
    if a is None:  # whole rows
        fixed = first.startswith("$"), last.startswith("$")
        ref = Ref(sheet, int(first.lstrip("$")), fixed[0], int(last.lstrip("$")), fixed[1])
        return Mention(ref, ":".join("$%d" if each else "%d" for each in fixed))
    ref = Ref(sheet, int(a[4]), bool(a[3]), int(b[4]) if b else None, bool(b[3]) if b else False, argument)
    one = f"{a[1]}{a[2]}{a[3]}%d"
    if b:
        return Mention(ref, f"{one}:{b[1]}{b[2]}{b[3]}%d")
    return Mention(ref, f"{one}:{one}", one)


def translate(formula: str, rows: int, columns: int) -> str:
    """A formula as it reads ``rows`` further down and ``columns`` further right: what sharing means."""

    def cell(match: re.Match[str]) -> str:
        column = match[2] if match[1] else column_name(column_number(match[2]) + columns)
        row = match[4] if match[3] else str(int(match[4]) + rows)
        return f"{match[1]}{column}{match[3]}{row}"

    out: list[str] = []
    at = 0
    while at < len(formula):
        token = _TOKENS.match(formula, at)
        if token is None:  # pragma: no cover - the last branch takes any character
            break
        text = token.group()
        if token.lastgroup == "bracket":
            text = formula[at : _bracket(formula, at)]
        elif token.lastgroup == "cell":
            text = _CELL.sub(cell, text)
        elif token.lastgroup == "rows":
            text = re.sub(r"(?<![\d$])\d+", lambda m: str(int(m.group()) + rows), text)
        out.append(text)
        at += len(token.group()) if token.lastgroup != "bracket" else len(text)
    return "".join(out)


def column_number(name: str) -> int:
    """``A`` is 1."""
    result = 0
    for letter in name.upper():
        result = result * 26 + ord(letter) - 64
    return result


def column_name(number: int) -> str:
    """1 is ``A``."""
    name = ""
    while number > 0:
        number, rest = divmod(number - 1, 26)
        name = chr(65 + rest) + name
    return name


def split_cell(reference: str) -> tuple[str, int]:
    """``B12`` as column and row; dollars are dropped."""
    match = _CELL.fullmatch(reference)
    if match is None:
        raise ValueError(f"{reference!r} is no cell")
    return match[2].upper(), int(match[4])
