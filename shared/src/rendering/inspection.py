"""Say what a template asks for, before there is any data: on upload, and to know what to fetch."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rendering.gate import gate
from rendering.html import Walk, decode
from rendering.model import RESERVED_COLUMNS, Limits, Problem, TemplateError, TemplateKind, TemplateReport
from rendering.opc import Package, descendants, local, parse
from rendering.tags import PICTURE_ROOTS, TEXT, Expression, Statement, expression, has_tags, pieces, statement
from rendering.xlsx.places import Cells

_OWN_TEXTS = {
    "si",
    "is",
    "p",
    "oddHeader",
    "oddFooter",
    "evenHeader",
    "evenFooter",
    "firstHeader",
    "firstFooter",
}
_BY_NAME = re.compile(
    r"(?:groupby|unique|sort|selectattr|rejectattr|sum|min|max)\s*\(\s*(?:attribute\s*=\s*)?[\"']([^\"']+)[\"']"
)


@dataclass(slots=True)
class _Found:
    values: set[str] = field(default_factory=set)
    tables: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    images: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    loops: dict[str, str] = field(default_factory=dict)  # loop variable: the table it runs over, or ''
    places: dict[str, str] = field(default_factory=dict)

    def value(self, name: str, place: str) -> None:
        """Remember that a value is shown."""
        self.values.add(name)
        self.places.setdefault(name, place)

    def columns(self, table: str, names: Iterable[str], place: str) -> None:
        """Remember that a table, and these columns of it, are used."""
        self.places.setdefault(table, place)
        for name in names:
            self.tables[table].add(name)
            self.places.setdefault(f"{table}.{name}", place)
        self.tables.setdefault(table, set())

    def report(self) -> TemplateReport:
        """The finding as a value."""
        tables = {name: frozenset(columns) for name, columns in sorted(self.tables.items())}
        return TemplateReport(
            frozenset(self.values - set(tables)),
            tables,
            frozenset(self.images),
            tuple(dict.fromkeys(self.problems)),
            dict(sorted(self.places.items())),
        )


def inspect(kind: TemplateKind, template: bytes, limits: Limits | None = None) -> TemplateReport:
    """Names of the values, tables with columns, and pictures a template uses, and what is wrong with it.

    Never raises: a template that cannot be read has that as its problem. ``{{ a.b }}`` asks for column b
    of table a; ``{{ a }}`` and ``{{ a.text }}`` for value a; a loop variable for columns of its table.
    """
    limits = limits or Limits()
    found = _Found()
    try:
        gate(template, limits, macros=kind is TemplateKind.XLSM)
        if kind is TemplateKind.HTML:
            _html(decode(template, limits), found)
        elif kind is not TemplateKind.TABLE:
            _office(Package(template), found)
    except TemplateError as error:
        found.problems.append(error.problem)
    return found.report()


def _html(text: str, found: _Found) -> None:
    walk = Walk()
    for piece in pieces(text, "template"):
        if piece.kind not in {"value", "statement"}:
            continue
        place = f"template, line {text.count(chr(10), 0, piece.start) + 1}"
        try:
            used = walk.expressions(piece, place)
            if piece.kind == "statement":
                _bind(statement(piece.body, place), found)
        except TemplateError as error:
            found.problems.append(error.problem)
            continue
        for one in used:
            _use(one, found, place)
    try:
        walk.finish("template")
    except TemplateError as error:
        found.problems.append(error.problem)


def _office(package: Package, found: _Found) -> None:
    """Every paragraph, string and page header of every part; a loop and its tags may be in different ones."""
    texts = list(_texts(package, found))
    for strict in (False, True):  # loop variables first: rows are not stored in the order they are shown
        for place, text in texts:
            try:
                for one in _expressions(text, place, found):
                    if strict:
                        _use(one, found, place)
            except TemplateError as error:
                if strict:
                    found.problems.append(error.problem)


def _texts(package: Package, found: _Found) -> Iterator[tuple[str, str]]:
    cells = Cells(package)
    for name in package.names():
        content = package.read(name) if name.lower().endswith((".xml", ".xlsx")) else b""
        if name.lower().endswith(".xlsx"):  # the data of a chart
            yield from _texts(Package(content), found)
            continue
        if b"{" not in content:
            continue
        try:
            root = parse(content, name)
        except TemplateError as error:
            found.problems.append(error.problem)
            continue
        for holder in descendants(root, *_OWN_TEXTS, "sheet"):
            text = (
                holder.get("name", "")
                if local(holder) == "sheet"
                else "".join(t.text or "" for t in holder.iter() if local(t) in {"t", *_OWN_TEXTS})
            )
            if has_tags(text):
                yield cells.place(name, holder), text


def _expressions(text: str, place: str, found: _Found) -> Iterable[Expression]:
    for piece in pieces(text, place):
        if piece.kind == "value":
            yield expression(piece.body, place)
        elif piece.kind == "statement":
            one = statement(piece.body, place)
            _bind(one, found)
            yield from (e for e in (one.over, one.condition) if e is not None)


def _bind(one: Statement, found: _Found) -> None:
    """Remember what a loop variable stands for."""
    if one.over is None:
        return
    path = one.over.paths[0][0] if one.over.paths else ()
    table = ""
    if path and path[0] in found.loops:
        table = found.loops[path[0]]
    elif path and (len(path) == 1 or path[1] == "rows"):
        table = path[0]
    for name in one.names:
        found.loops[name] = table


def _use(one: Expression, found: _Found, place: str) -> None:
    found.images |= one.pictures
    for name in one.pictures:
        found.places.setdefault(f"images.{name}", place)
    columns = _named_columns(one)
    for path, _, _ in one.paths:
        root, rest = path[0], path[1:]
        if root in PICTURE_ROOTS or root in {"meta", "loop"}:
            continue
        if root in found.loops:
            table = found.loops[root]
            if table:
                own = rest[:1] if rest and rest[0] not in {"grouper", "rows", "list"} else ()
                found.columns(table, {*own, *columns}, place)
        elif not rest or rest == (TEXT,):
            found.value(root, place)
        elif rest[0] in RESERVED_COLUMNS:
            total = rest[1:2] if rest[0] == "totals" else ()
            found.columns(root, {*total, *columns}, place)
        else:
            found.columns(root, rest[:1], place)


def _named_columns(one: Expression) -> set[str]:
    """Columns that filters name in quotes: ``groupby("dest")``, ``sum(attribute="flights")``."""
    return set(_BY_NAME.findall(one.source))
