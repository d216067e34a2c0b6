"""Say what a template asks for, before there is any data: on upload, and to know what to fetch."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from rendering.autocorrect import OPENING, may_hold_tags
from rendering.filters import check_syntax
from rendering.flow_check import flowing_texts
from rendering.gating import gate
from rendering.html import Walk, decode
from rendering.model import RESERVED_COLUMNS, Limits, Problem, TemplateError, TemplateKind, TemplateReport
from rendering.opc import Package, descendants, local, parse
from rendering.tags import (
    PICTURE_ROOTS,
    TEXT,
    Expression,
    Path,
    Piece,
    Statement,
    expression,
    has_tags,
    pieces,
    spot,
    statement,
)
from rendering.vocabulary import ROOT, Place, canonical, find, known
from rendering.xlsx.blocks import block_problems
from rendering.xlsx.places import Cells

Element = Any
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
    recipient: bool = False

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
            self.recipient,
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
    for piece, place in _pieces(text, "template", found, by_line=True):
        try:
            used = walk.expressions(piece, place)
            for one in used:
                check_syntax(one, place)
            if piece.kind == "statement":
                _bind(statement(piece.body, place), found)
        except TemplateError as error:
            found.problems.append(error.problem)
            continue
        for one in used:
            _use(one, found, place)
    found.problems.extend(error.problem for error in walk.unclosed(text))


def _office(package: Package, found: _Found) -> None:
    """Every paragraph, string and page header of every part; a loop and its tags may be in different ones."""
    flowing = flowing_texts(package, found.problems)
    if flowing is None:
        found.problems.extend(block_problems(package))
    texts = [*(flowing or ()), *_texts(package, found, beside=flowing is not None)]
    for strict in (False, True):  # loop variables first: rows are not stored in the order they are shown
        for place, text in texts:
            _text(text, place, found, strict=strict)


def _text(text: str, place: str, found: _Found, *, strict: bool) -> None:
    """Look at every tag of a text, the good and the bad."""
    noted = found if strict else _Found()
    for piece, where in _pieces(text, place, noted, by_line=False):
        try:
            for one in _expressions(piece, where, found):
                if strict:
                    _use(one, found, where)
        except TemplateError as error:
            noted.problems.append(error.problem)


def _pieces(text: str, place: str, found: _Found, *, by_line: bool) -> Iterator[tuple[Piece, str]]:
    """The tags of a text with their places; one that is not closed does not hide those after it."""
    start = 0
    while start < len(text):
        at = start
        try:
            for piece in pieces(text[start:], place, entities=by_line):
                at = start + piece.start + len(piece.text)
                where = f"{place}, {spot(text, start + piece.start)}" if by_line else place
                if piece.kind in {"value", "statement"}:
                    yield replace(piece, start=start + piece.start), where
        except TemplateError as error:
            opening = next(found.start() for found in OPENING.finditer(text, at))
            where = f"{place}, {spot(text, opening)}" if by_line else place
            found.problems.append(Problem(where, error.message, error.remedy))
            start = opening + 2
        else:
            return


def _texts(package: Package, found: _Found, *, beside: bool = False) -> Iterator[tuple[str, str]]:
    """The texts of all parts; ``beside`` a flowing text only those of charts and of their workbooks."""
    cells = Cells(package)
    for name in package.names():
        content = package.read(name) if name.lower().endswith((".xml", ".xlsx")) else b""
        if name.lower().endswith(".xlsx"):  # the data of a chart
            book = name.rpartition("/")[2]
            yield from ((f"{book}, {place}", text) for place, text in _texts(Package(content), found))
            continue
        if not may_hold_tags(content) or (beside and "/charts/" not in name and "/diagrams/" not in name):
            continue
        try:
            root = parse(content, name)
        except TemplateError as error:
            found.problems.append(error.problem)
            continue
        if beside and "/diagrams/" in name:
            found.problems.extend(_unfilled(root, name))
            continue
        for holder in descendants(root, *_OWN_TEXTS, "sheet", "cNvPr"):
            yield from ((cells.place(name, holder), text) for text in _own(holder) if has_tags(text))


def _own(holder: Element) -> list[str]:
    """The texts of an element: an alternative text, the name of a sheet, or what is in its runs."""
    if local(holder) == "cNvPr":
        return [holder.get("descr", ""), holder.get("title", "")]
    if local(holder) == "sheet":
        return [holder.get("name", "")]
    return ["".join(t.text or "" for t in holder.iter() if local(t) in {"t", *_OWN_TEXTS})]


def _unfilled(root: Element, name: str) -> list[Problem]:
    if any(has_tags(t.text or "") for t in descendants(root, "t")):
        return [Problem(name, "tags in a SmartArt graphic are not filled", "Use a table or text boxes")]
    return []


def _expressions(piece: Piece, place: str, found: _Found) -> list[Expression]:
    if piece.kind == "value":
        used = [expression(piece.body, place)]
    else:
        one = statement(piece.body, place)
        _bind(one, found)
        used = [e for e in (one.over, one.condition) if e is not None]
    for each in used:
        check_syntax(each, place)
    return used


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
        if root in PICTURE_ROOTS or root == "loop":
            continue
        if root == ROOT and root not in found.loops:
            _name(path, found, place)
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


def _name(path: Path, found: _Found, place: str) -> None:
    """A name about the report itself, which has to be one there is."""
    asked = path[:-1] if path[-1] == TEXT and len(path) > 2 else path  # noqa: PLR2004 - meta.now.text
    if find(asked, Place.TEMPLATE) is None:
        remedy = f"The names are: {known(Place.TEMPLATE)}"
        found.problems.append(Problem(place, f"there is no name {'.'.join(path)!r}", remedy))
    found.recipient |= canonical(asked)[:1] == ("recipient",)


def _named_columns(one: Expression) -> set[str]:
    """Columns that filters name in quotes: ``groupby("dest")``, ``sum(attribute="flights")``."""
    return set(_BY_NAME.findall(one.source))
