"""Evaluate tags against plain data: simple paths in Python, everything else in minijinja with fuel."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, time
from typing import Any

import minijinja

from rendering.filters import MAX_TEXT, Filtered, environment, filtered, group, own_filters
from rendering.model import (
    RESERVED_COLUMNS,
    Cell,
    Formatted,
    RenderData,
    RenderOptions,
    TableData,
    TemplateError,
    raw,
    records,
)
from rendering.tags import PICTURE_ROOTS, SHOWN, TEXT, Expression, Path, Statement
from rendering.values import display, shown
from rendering.vocabulary import ROOT, Place, begins_a_name, canonical, facts, find, known, look_up

BASE_FUEL = 1_000_000
FUEL_PER_CELL = 300

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean at one place: loop variables, the current rows of tables, then the data."""

    data: RenderData
    names: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, Record | None] = field(default_factory=dict)

    def with_names(self, **names: Any) -> "Scope":
        """The same place, one loop further in."""
        return replace(self, names={**self.names, **names})

    def with_rows(self, rows: Mapping[str, Record | None]) -> "Scope":
        """The same place, at a row of one or more tables; None is past the last row of that table."""
        return replace(self, rows={**self.rows, **rows})

    def records(self, name: str) -> list[dict[str, Cell]]:
        """The rows of a table."""
        return list(records(self.data.tables[name]))

    def table(self, name: str) -> TableData | None:
        """The table of that name, unless a loop variable hides it."""
        return None if name in self.names else self.data.tables.get(name)


def resolve(path: Path, scope: Scope, place: str) -> Any:
    """Follow a path through the data: a cell, a record or a list of records; the error says what exists."""
    root, rest = path[0], list(path[1:])
    if len(rest) == 1 and root not in scope.names:
        row = scope.rows.get(root)
        if row is not None and rest[0] in row:
            return row[rest[0]]
    if root in scope.names:
        return _descend(scope.names[root], rest, path, place)
    if is_fact(path, scope):
        return _fact(path, scope, place)
    if root in scope.data.values:
        return _descend(scope.data.values[root], rest, path, place)
    table = scope.data.tables.get(root)
    if table is None:
        known = ", ".join(sorted([*scope.data.values, *scope.data.tables])[:30])
        raise TemplateError(
            place, f"there is no value or table called {root!r}", f"Known names: {known or 'none'}"
        )
    if rest and rest[0] not in RESERVED_COLUMNS:
        return _column(path, table, scope, place)
    part: Any = list(records(table))
    if rest and rest[0] == "count":
        part = len(table.rows)
    elif rest and rest[0] == "totals":
        names = [c.name for c in table.columns]
        part = dict.fromkeys(names) if table.totals is None else dict(zip(names, table.totals, strict=True))
    return _descend(part, rest[1:], path, place)


def _column(path: Path, table: TableData, scope: Scope, place: str) -> Any:
    """A column in the current row of its table."""
    root, column = path[0], path[1]
    if column not in {c.name for c in table.columns}:
        known = ", ".join(c.name for c in table.columns)
        raise TemplateError(place, f"the table {root!r} has no column {column!r}", f"Its columns: {known}")
    if root not in scope.rows:
        raise TemplateError(
            place, f"{'.'.join(path)!r} stands outside a row of {root!r}",
            f"Put it in a repeated row, or use {root}.totals.{column} or a loop",
        )  # fmt: skip
    row = scope.rows[root]
    return None if row is None else _descend(row, list(path[1:]), path, place)


def _descend(value: Any, rest: list[str], path: Path, place: str) -> Any:
    for position, name in enumerate(rest):
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif name == TEXT and position == len(rest) - 1 and not isinstance(value, Mapping | list):
            return _Shown(value)
        else:
            known = ", ".join(sorted(value)) if isinstance(value, Mapping) else "none"
            raise TemplateError(place, f"{'.'.join(path)!r} has no part {name!r}", f"Its parts: {known}")
    return value


@dataclass(frozen=True, slots=True)
class _Shown:
    """Asks for the text of a cell; resolved where the options are known."""

    cell: Cell


def is_fact(path: Path, scope: Scope) -> bool:
    """Whether a path is a name about the report: with ``meta.`` always, without where no data has it."""
    root = path[0]
    if root == ROOT:
        return root not in scope.names
    bound = root in scope.names or root in scope.data.values or root in scope.data.tables
    return not bound and begins_a_name(_without_text(path))


def _fact(path: Path, scope: Scope, place: str) -> Any:
    """A name about the report, as a text or a date; its text where ``.text`` asks for it."""
    asked = _without_text(path)
    if find(asked, Place.TEMPLATE) is None:
        raise TemplateError(
            place, f"there is no name {'.'.join(path)!r}", f"The names are: {known(Place.TEMPLATE)}"
        )
    about = facts(scope.data.meta)
    value = look_up(asked, about)
    if value is None and not scope.data.meta.recipient:
        value = ""  # an attribute, in a file that is for several people
    if value is None:
        raise TemplateError(
            place,
            f"{scope.data.meta.recipient} has no attribute {path[-1]!r}",
            f"Set it for the recipient, or write {{{{ {'.'.join(path)} | default('...') }}}}",
        )
    value = value.isoformat(timespec="minutes") if isinstance(value, time) else value
    return _Shown(value) if asked != path else value


def _without_text(path: Path) -> Path:
    return path[:-1] if path[-1] == TEXT and len(path) > 1 and find(path, Place.TEMPLATE) is None else path


def fact_name(path: Path) -> str:
    """How a name about the report is called inside the engine, where all of them lie in one mapping."""
    asked = _without_text(path)
    return ".".join(canonical(asked)) + (SHOWN if asked != path else "")


def facts_used(paths: Iterable[Path], scope: Scope, options: RenderOptions, place: str) -> dict[str, Any]:
    """The names about the report that are used, each with its text, as the engine sees them."""
    values: dict[str, Any] = {}
    for path in paths:
        asked = _without_text(path)
        try:
            values[fact_name(asked)] = _fact(asked, scope, place)
        except TemplateError:
            if find(asked, Place.TEMPLATE) is None:
                raise
            values[fact_name(asked)] = None  # default() may fill it in; a filter that cannot says so
    return {ROOT: plain(values, options)}


class Language:
    """Evaluates checked expressions. One per render; holds the fuel and the output budget."""

    def __init__(self, data: RenderData, options: RenderOptions, *, html: bool = False) -> None:
        self.data = data
        self.options = options
        cells = sum(len(t.rows) * len(t.columns) for t in data.tables.values())
        self._left = options.limits.html_bytes
        self._env = environment(options, BASE_FUEL + FUEL_PER_CELL * cells, self._print)
        self._own = own_filters(options)
        if html:
            self._env.auto_escape_callback = lambda _name: True

    def value(self, expression: Expression, scope: Scope, place: str) -> Cell:
        """The value of an expression, with the type the source gave it."""
        if expression.simple:
            found = resolve(expression.simple, scope, place)
        elif call := filtered(expression):
            found = self._filter(call, resolve(call.path, scope, place), place)
        else:
            source, context = self._context(expression, scope, place)
            found = self._run(lambda: self._env.eval_expr(source, **context), place)
        if isinstance(found, _Shown):
            return shown(found.cell, self.options)
        if isinstance(found, Mapping | list | tuple):
            raise TemplateError(
                place,
                f"'{expression.source}' is a table or a row, not a value",
                "Name a column or use a loop",
            )
        return found if isinstance(found, Formatted | str | int | float | date | None) else str(found)

    def text(self, expression: Expression, scope: Scope, place: str) -> str:
        """The value of an expression as it reads in a text."""
        return display(raw(self.value(expression, scope, place)), self.options)

    def column(self, expression: Expression, root: str, table: TableData, place: str) -> list[str] | None:
        """How a tag reads in every row of a table, or None where it is more than a column and a filter.

        Texts still have what a file cannot carry: whoever writes them cleans them.
        """
        call = None if expression.simple else filtered(expression)
        path = expression.simple or (call.path if call else ())
        columns = {column.name: at for at, column in enumerate(table.columns)}
        as_shown = len(path) == 3 and path[2] == TEXT  # noqa: PLR2004 - table.column.text
        if len(path) != 2 + as_shown or path[0] != root or path[1] not in columns:
            return None
        at, options = columns[path[1]], self.options
        cells = [row[at] for row in table.rows]
        if as_shown:
            texts = [shown(cell, options) for cell in cells]
            return texts if call is None else [self._filtered_text(call, text, place) for text in texts]
        if call is not None:
            return [self._filtered_text(call, cell, place) for cell in cells]
        return [
            cell if type(cell) is str else str(cell) if type(cell) is int else display(raw(cell), options)
            for cell in cells
        ]

    def _filtered_text(self, call: Filtered, cell: Cell, place: str) -> str:
        return display(self._filter(call, cell, place), self.options)

    def _filter(self, call: Filtered, found: Any, place: str) -> Any:
        """One of our own filters, without asking the engine."""
        cell = shown(found.cell, self.options) if isinstance(found, _Shown) else raw(found)
        if isinstance(cell, Mapping | list | tuple):
            raise TemplateError(place, f"{'.'.join(call.path)!r} is a table or a row, not a value",
                                "Name a column or use a loop")  # fmt: skip
        try:
            return self._own[call.name](cell, *call.arguments)
        except TemplateError as error:
            raise TemplateError(place, error.message, error.remedy) from error

    def holds(self, expression: Expression, scope: Scope, place: str) -> bool:
        """Whether a condition is true; empty, zero and missing are false."""
        return bool(raw(self.value(expression, scope, place)))

    def loop(self, loop: Statement, scope: Scope, place: str) -> Iterator[Scope]:
        """The scopes of a loop, one for each turn."""
        assert loop.over is not None  # noqa: S101 - a checked 'for' has it
        turns = [self._turn(loop, item, scope, place) for item in self._items(loop.over, scope, place)]
        if loop.condition is not None:
            turns = [turn for turn in turns if self.holds(loop.condition, turn, place)]
        for number, turn in enumerate(turns, 1):
            yield turn.with_names(loop=_counted(number, len(turns)))

    @staticmethod
    def _turn(loop: Statement, item: Any, scope: Scope, place: str) -> Scope:
        if len(loop.names) == 1:
            return scope.with_names(**{loop.names[0]: item})
        parts = item if isinstance(item, list | tuple) else ()
        if len(parts) != len(loop.names):
            raise TemplateError(place, "the loop has more variables than its items have parts", "Use one")
        return scope.with_names(**dict(zip(loop.names, parts, strict=True)))

    def _items(self, over: Expression, scope: Scope, place: str) -> list[Any]:
        found: Any
        if over.simple:
            found = resolve(over.simple, scope, place)
        elif grouped := _grouping(over):
            rows, column = resolve(grouped[0], scope, place), grouped[1]
            found = group(rows, column, place) if isinstance(rows, list) else rows
        else:
            source, context = self._context(over, scope, place)
            found = self._run(lambda: self._env.eval_expr(source, **context), place)
        if found is None:
            return []
        if not isinstance(found, list):
            raise TemplateError(
                place, f"'{over.source}' cannot be looped over", "Write {% for row in sales.rows %}"
            )
        return found

    def spend(self, text: str, place: str) -> str:
        """Count a text that is printed; refuses what grows beyond the limit."""
        self._left -= len(text)
        if len(text) > MAX_TEXT or self._left < 0:
            raise TemplateError(
                place, "the output grows beyond the limit", "Print fewer rows or shorter texts"
            )
        return text

    def render(self, source: str, context: Mapping[str, Any], place: str) -> str:
        """Run a whole prepared text."""
        return str(self._run(lambda: self._env.render_str(source, place, **context), place))

    def _run(self, work: Any, place: str) -> Any:
        try:
            return work()
        except TemplateError:
            raise
        except minijinja.TemplateError as error:
            cause = error.__cause__
            if isinstance(cause, TemplateError):
                raise cause from error
            where = f"{place}, line {error.line}" if getattr(error, "line", None) else place
            message = getattr(error, "message", str(error)).split("\n", 1)[0]
            raise TemplateError(where, message, "See the tag reference for what can be written") from error

    def _print(self, value: Any) -> Any:
        if isinstance(value, Formatted):
            value = value.value
        text = value if isinstance(value, str) else display(value, self.options) if _plain(value) else None
        if text is None:
            return value
        return self.spend(text, "template")

    def _context(self, expression: Expression, scope: Scope, place: str) -> tuple[str, dict[str, Any]]:
        """The expression with ``.text`` made a plain name, and only the data it uses."""
        source = rewrite(expression, scope)
        about = [path for path, _, _ in expression.paths if is_fact(path, scope)]
        context: dict[str, Any] = {
            "chart": lambda name: f"[{name}]",
            "image": lambda name: f"[{name}]",
            **facts_used(about, scope, self.options, place),
        }
        for path, _, _ in expression.paths:
            root = path[0]
            if root in context and root not in scope.data.tables:
                continue
            if root in scope.names:
                context[root] = plain(scope.names[root], self.options)
            elif is_fact(path, scope):
                continue
            elif root in scope.data.values:
                context[root] = raw(scope.data.values[root])
                context[root + SHOWN] = shown(scope.data.values[root], self.options)
            elif root in scope.data.tables:
                resolve(path, scope, place) if len(path) > 1 else None
                context[root] = self._table(root, scope, path, context.get(root, {}))
            elif root not in PICTURE_ROOTS:
                resolve(path, scope, place)
        return source, context

    def _table(self, root: str, scope: Scope, path: Path, known: dict[str, Any]) -> dict[str, Any]:
        table = scope.data.tables[root]
        result: dict[str, Any] = dict(known)
        row = scope.rows.get(root)
        if row:
            result.update(plain(row, self.options))
        result["count"] = len(table.rows)
        if table.totals is not None:
            totals = dict(zip((c.name for c in table.columns), table.totals, strict=True))
            result["totals"] = plain(totals, self.options)
        if len(path) == 1 or path[1] == "rows":
            result["rows"] = [plain(record, self.options) for record in records(table)]
        return result


def _counted(number: int, length: int) -> dict[str, int | bool]:
    """What ``loop`` means inside a loop."""
    return {
        "index": number, "index0": number - 1, "revindex": length - number + 1, "length": length,
        "first": number == 1, "last": number == length,
    }  # fmt: skip


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | date)


def _grouping(over: Expression) -> tuple[Path, str] | None:
    """Read ``path | groupby("column")``."""
    if len(over.paths) != 1:
        return None
    head, _, tail = over.source.partition("|")
    call = tail.strip()
    if head.strip() != over.source[over.paths[0][1] : over.paths[0][2]] or not call.startswith("groupby("):
        return None
    column = call[len("groupby(") :].removesuffix(")").strip()
    if len(column) > 2 and column[0] in "'\"" and column[-1] == column[0]:  # noqa: PLR2004 - two quotes
        return over.paths[0][0], column[1:-1]
    return None


def plain(value: Any, options: RenderOptions) -> Any:
    """A copy of native data in which every cell has a twin ``name__text``: what the engine may see."""
    if isinstance(value, Mapping):
        result = {}
        for key, item in value.items():
            result[key] = plain(item, options)
            if isinstance(item, Formatted) or _plain(item):
                result[key + SHOWN] = shown(item, options)
        return result
    if isinstance(value, list | tuple):
        return [plain(item, options) for item in value]
    return raw(value)


def rewrite(expression: Expression, scope: Scope) -> str:
    """Turn ``a.b.text`` into ``a.b__text``, so that numbers stay plain numbers for the engine."""
    source = expression.source
    for path, start, end in sorted(expression.paths, key=lambda item: -item[1]):
        if is_fact(path, scope):
            source = source[:start] + subscripts((ROOT, fact_name(path))) + source[end:]
            continue
        if path[-1] != TEXT or len(path) == 1:
            continue
        is_value = path[0] in scope.data.values and path[0] not in scope.names
        if len(path) > 2 or is_value:  # noqa: PLR2004 - row.text is a column called text
            source = source[:start] + subscripts((*path[:-2], path[-2] + SHOWN)) + source[end:]
    return source


def subscripts(path: Path) -> str:
    """A path written so that any column name works: ``a["b c"]``."""
    return path[0] + "".join("[" + repr(part) + "]" for part in path[1:])
