"""Short texts with tags: subjects and bodies of mails, names of files and folders, passwords.

They speak the language of the templates as far as one value goes: a name, filters, comparisons, `if` and `or`
inside a tag. Statements, arithmetic, lists and functions stay out, so nothing can loop, and no text grows
beyond a few thousand characters. That makes it safe to fill them in outside the worker processes that
templates need.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from functools import lru_cache
from threading import local
from typing import Any

import minijinja

from rendering.autocorrect import OPENING, kind_of
from rendering.filters import check_syntax, environment, filtered, own_filters
from rendering.model import Problem, RenderOptions, TemplateError
from rendering.tags import Expression, Path, Piece, expression, spot, tag_at, tokens_of
from rendering.vocabulary import Facts, Place, canonical, find, known, look_up, names_in

MAX_VALUE = 500
"""Characters of one value: a tag shows a name, not a document. Longer ones are cut, as data decide them."""
MAX_TEXT = 20_000
_FUEL = 20_000
_REFUSED = frozenset({"+", "-", "*", "/", "//", "%", "**", "[", "]", "{", "}"})
_FUNCTIONS = re.compile(r"\b(?:chart|image|range)\s*\(")
_DIRECTIVES = re.compile(r"%-?[YymdeHIMSfpjVGuaAbB]|%%")
_DATED = re.compile(r"\s*\|\s*(?:date|format)\b")
_MAY_BE_MISSING = re.compile(r"\s*(?:\|\s*(?:default|d)\b|or\b|is\b)")
_PATTERN = re.compile(r"\|\s*(?:date|format)\s*\(\s*(?:\"([^\"]*)\"|'([^']*)')")
_HELP = 'Write {{ name }} or {{ name | filter }}, such as {{ now | date("%Y-%m-%d") }}'
_OPTIONS = RenderOptions()
_OWN = own_filters(_OPTIONS)
_HERE = "tag"
_engines = local()


class TagError(Exception):
    """A text with tags that cannot be filled in; `str()` says which tag, why, and what is allowed."""


def _as_it_is(value: str) -> str:
    return value


def render(
    template: str, facts: Facts, *, escape: Callable[[str], str] = _as_it_is, html: bool = False
) -> str:
    """Return `template` with its tags replaced by what they show.

    `escape` is applied to every value and to nothing of the template itself. With `html`, tags may have
    character references. Raises TagError for a tag that cannot be read and for a name without a value.
    """
    if "{" not in template and "\uff5b" not in template:
        return template  # and is remembered nowhere: it may be a password
    try:
        parts = _parts(template, html=html)
        return "".join(
            part if isinstance(part, str) else escape(_shown(part, facts)[:MAX_VALUE]) for part in parts
        )
    except TemplateError as error:
        raise TagError(f"{error.message}. {error.remedy}") from error


def problems(template: str, place: Place, *, html: bool = False) -> list[Problem]:
    """Return what is wrong with a text before there are any values: one problem for each tag.

    The names have to be known at the place; whether an attribute or secret of this name is set is known when
    the text is filled in.
    """
    found: list[Problem] = []
    read = 0
    try:
        for at, piece in _pieces(template, html=html):
            found += _of_tag(piece, place, spot(template, at))
            read = at + len(piece.text)
    except TemplateError as error:
        opening = OPENING.search(template, read)
        where = spot(template, opening.start() if opening else read)
        found.append(Problem(where, error.message, error.remedy))
    return found


def mentions(template: str, name: str) -> bool:
    """Whether a text shows a name that begins with `name`; a text that cannot be read shows nothing."""
    try:
        tags = [part for part in _parts(template, html=False) if not isinstance(part, str)]
    except TemplateError:
        return False
    return any(canonical(path)[:1] == (name,) for one in tags for path, _, _ in one.paths)


def has_tags(template: str) -> bool:
    """Whether a text has anything to fill in."""
    openings = OPENING.finditer(template)
    return any(kind_of(opening.group()) != "#" for opening in openings)


@lru_cache(maxsize=512)
def _parts(template: str, *, html: bool) -> tuple[str | Expression, ...]:
    """Literals and expressions, in order."""
    parts: list[str | Expression] = []
    at = 0
    for start, piece in _pieces(template, html=html):
        parts += [template[at:start], _expression(piece)]
        at = start + len(piece.text)
    return (*parts, template[at:])


def _pieces(template: str, *, html: bool) -> Iterator[tuple[int, Piece]]:
    """The tags of a text with where they begin. `{#` does not start a comment: style sheets contain it."""
    at = 0
    while (opening := OPENING.search(template, at)) is not None:
        start = opening.start()
        if kind_of(opening.group()) == "#" or template[start + 2 : start + 3] == "{":
            at = start + 1
            continue
        piece = tag_at(template, opening, _HERE, entities=html)
        yield start, piece
        at = start + len(piece.text)


def _of_tag(piece: Piece, place: Place, where: str) -> Iterator[Problem]:
    try:
        one = _expression(piece)
    except TemplateError as error:
        yield Problem(where, error.message, error.remedy)
        return
    for path, _, _ in one.paths:
        if find(path, place) is None:
            message = f"the tag {piece.plain[:80]!r} names {'.'.join(path)!r}, which a {place} cannot show"
            yield Problem(where, message, f"A {place} can show: {known(place)}")
    for match in _PATTERN.finditer(one.source):
        pattern = match[1] if match[1] is not None else match[2]
        if not _is_pattern(pattern):
            yield Problem(where, f"{pattern[:80]!r} is not a pattern for dates", _PATTERN_REMEDY)


_PATTERN_REMEDY = "Use directives such as %Y, %m, %d, %B, %H and %M, as in %Y-%m-%d"


def _expression(piece: Piece) -> Expression:
    """Read a tag. Raises TemplateError for one that templates refuse, too, or that does not fit here."""
    tag = piece.plain[:80]
    if piece.kind == "statement":
        raise TemplateError(_HERE, f"{tag!r} is a statement, and only values can be shown here", _HELP)
    return _checked(piece.body, tag)


@lru_cache(maxsize=2_048)
def _checked(body: str, tag: str) -> Expression:
    for token in tokens_of(body, _HERE):
        if token.kind == "op" and token.text in _REFUSED and not _is_subscript(body, token.start, token.text):
            raise TemplateError(
                _HERE, f"{tag!r} is not a valid tag: {token.text!r} cannot stand in it", _HELP
            )
    one = expression(body, _HERE)
    if _FUNCTIONS.search(body) or one.pictures:
        raise TemplateError(_HERE, f"{tag!r} is not a valid tag: it calls a function", _HELP)
    if not one.paths:
        raise TemplateError(_HERE, f"{tag!r} is not a valid tag: it names nothing", _HELP)
    check_syntax(one, _HERE)
    return one


def _is_subscript(body: str, at: int, sign: str) -> bool:
    """Whether a bracket is that of `attributes["cost center"]`."""
    if sign == "[":
        return re.match(r"\[\s*(?:\"[^\"]*\"|'[^']*')\s*\]", body[at:]) is not None and at > 0
    return sign == "]" and re.search(r"\[\s*(?:\"[^\"]*\"|'[^']*')\s*\Z", body[:at]) is not None


def _shown(one: Expression, facts: Facts) -> str:
    if one.simple is not None:
        return _text(_value(one, one.simple, len(one.source), facts))
    if call := filtered(one):
        value = _value(one, call.path, one.paths[0][2], facts)
        return str(_OWN[call.name](value if call.name in _DATES else _text(value), *_arguments(call)))
    source, values = one.source, {}
    for number, (path, start, end) in sorted(enumerate(one.paths), key=lambda item: -item[1][1]):
        value = _value(one, path, end, facts)
        dated = value is None or _DATED.match(one.source, end)
        values[f"v{number}"] = value if dated else _text(value)[:MAX_TEXT]
        source = f"{source[:start]}v{number}{source[end:]}"
    return _evaluated(source, values, one)


_DATES = frozenset({"date", "format"})


def _arguments(call: Any) -> tuple[int | str, ...]:
    for pattern in call.arguments if call.name in _DATES else ():
        if not isinstance(pattern, str) or not _is_pattern(pattern):
            raise TemplateError(_HERE, f"{pattern!r} is not a pattern for dates", _PATTERN_REMEDY)
    arguments: tuple[int | str, ...] = call.arguments
    return arguments


def _is_pattern(pattern: str) -> bool:
    return bool(pattern) and "%" not in _DIRECTIVES.sub("", pattern)


def _value(one: Expression, path: Path, end: int, facts: Facts) -> str | date | time | None:
    """What a name means. A missing one is an error unless the tag says what to show instead."""
    value = look_up(path, facts)
    if value is None and not _MAY_BE_MISSING.match(one.source, end):
        names = ", ".join(sorted(names_in(facts)))
        raise TemplateError(
            _HERE,
            f"there is no tag {'.'.join(path)!r} here, or it has no value",
            f"Names with a value are: {names}",
        )
    return value


def _evaluated(source: str, values: dict[str, Any], one: Expression) -> str:
    if not hasattr(_engines, "own"):
        _engines.own = environment(_OPTIONS, _FUEL, None, longest=MAX_TEXT)
    try:
        found = _engines.own.eval_expr(source, **values)
    except minijinja.TemplateError as error:
        if isinstance(error.__cause__, TemplateError):
            raise error.__cause__ from error
        message = str(getattr(error, "message", error)).split("\n", 1)[0]
        raise TemplateError(_HERE, f"{one.source[:80]!r} cannot be filled in ({message})", _HELP) from error
    if isinstance(found, bool) or not isinstance(found, str | int | float | date | time):
        raise TemplateError(_HERE, f"{one.source[:80]!r} does not show a text", _HELP)
    return _text(found)


def _text(value: str | float | date | time | None) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, time):
        return value.isoformat(timespec="minutes")
    return "" if value is None else str(value)
