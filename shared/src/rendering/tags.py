"""Read tags: cut a text into literals and tags, and say what an expression uses.

The language is the part of Jinja that needs no trust: values, paths, comparisons, conditions, loops over
tables, and the filters listed here. Everything else is refused *before* an engine sees it, with the place
and the remedy, because no engine is safe alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rendering.autocorrect import OPENING, closing_of, end_of_tag, kind_of, plain
from rendering.model import TemplateError

MAX_EXPRESSION = 2_000  # a sum of 50,000 terms kills the engine's stack
MAX_NESTING = 30
MAX_BLOCKS = 10

FILTERS = frozenset(
    {
        "abs", "bool", "capitalize", "count", "d", "date", "default", "e", "escape", "first", "float",
        "format", "groupby", "int", "items", "join", "last", "length", "lower", "max", "min", "number",
        "percent", "reject", "rejectattr", "replace", "reverse", "round", "select", "selectattr",
        "sort", "string", "sum", "text", "title", "trim", "truncate", "unique", "upper",
    }
)  # fmt: skip
TESTS = frozenset(
    {
        "defined", "divisibleby", "endingwith", "eq", "even", "false", "float", "ge", "gt", "in", "integer",
        "iterable", "le", "lt", "mapping", "ne", "none", "number", "odd", "sameas", "sequence",
        "startingwith", "string", "true", "undefined",
    }
)  # fmt: skip
FUNCTIONS = frozenset({"chart", "image", "range"})
STATEMENTS = frozenset({"for", "endfor", "if", "elif", "else", "endif"})
PAGES = frozenset({"sheet", "slide"})  # '{% slide for ... %}' repeats a whole slide
KEYWORDS = frozenset(
    {
        "and",
        "or",
        "not",
        "in",
        "is",
        "if",
        "else",
        "true",
        "false",
        "none",
        "True",
        "False",
        "None",
        "recursive",
    }
)
PICTURE_ROOTS = frozenset({"charts", "images"})
TEXT = "text"
SHOWN = "__text"

Path = tuple[str, ...]

_TAG = re.compile(
    r"""\{(?P<kind>[{%])[-+]?(?P<body>(?:[^"'%}]|"[^"]*"|'[^']*'|%(?!\})|\}(?!\}))*?)[-+]?[%}]\}|\{\#.*?\#\}""",
    re.DOTALL,
)
_TRIM = re.compile(r"^[-+]|[-+]$")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"""
    r"""|(?P<name>[^\W\d]\w*)|(?P<op>//|\*\*|[=!<>]=|[-+*/%~|.,:()\[\]{}<>]))"""
)
_FOR = re.compile(r"^\s*for\s+(?P<names>[^\W\d]\w*(?:\s*,\s*[^\W\d]\w*)*)\s+in\s+(?P<rest>.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of an expression and where it stands."""

    kind: Literal["string", "number", "name", "op"]
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Expression:
    """What an expression uses. ``simple`` is its path when it is nothing but one."""

    source: str
    paths: tuple[tuple[Path, int, int], ...]
    simple: Path | None
    picture: str | None
    pictures: frozenset[str]


@dataclass(frozen=True, slots=True)
class Piece:
    """A literal, a ``{{ value }}`` or a ``{% statement %}``.

    ``text`` is the source of the whole piece. ``plain`` is a tag as it was typed: in plain characters,
    whatever an editor made of them; ``body`` is what stands in it.
    """

    kind: Literal["literal", "value", "statement", "comment"]
    text: str
    start: int
    body: str = ""
    plain: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """A checked statement. For a loop: its variable, what it runs over and its condition."""

    word: str
    names: tuple[str, ...] = ()
    over: Expression | None = None
    condition: Expression | None = None


def has_tags(text: str) -> bool:
    """Whether there is anything to do in this text."""
    return OPENING.search(text) is not None


def opens_statement(text: str) -> bool:
    """Whether a text begins with a statement."""
    opening = OPENING.match(text)
    return opening is not None and kind_of(opening.group()) == "%"


def pieces(text: str, place: str, *, entities: bool = False) -> Iterator[Piece]:
    """Cut a text into literals and tags, in order; an unclosed tag is an error.

    ``entities`` says that the text is HTML, in which tags may have character references.
    """
    at = 0
    while (opening := OPENING.search(text, at)) is not None:
        if opening.start() > at:
            yield Piece("literal", text[at : opening.start()], at)
        piece = tag_at(text, opening, place, entities=entities)
        yield piece
        at = piece.start + len(piece.text)
    if at < len(text):
        yield Piece("literal", text[at:], at)


def tag_at(text: str, opening: re.Match[str], place: str, *, entities: bool) -> Piece:
    """Read the tag that begins with an opening; raises TemplateError for one that is not closed."""
    start = opening.start()
    match = _TAG.match(text, start)
    if match is not None and match.group().isascii() and not (entities and "&" in match.group()):
        body, end, typed = match["body"] or "", match.end(), match.group()
    elif (found := end_of_tag(text, start, opening)) is not None:
        body, end = plain(text[opening.end() : found[0]], entities=entities), found[1]
        sign = kind_of(opening.group())
        typed = f"{{{sign}{body}{'}' if sign == '{' else sign}}}"
        body = _TRIM.sub("", body)
    else:
        body, end, typed = "", start, ""
    whole = text[start:end]
    inside = _QUOTED.sub("", body)
    if not whole or len(whole) > MAX_EXPRESSION or "{{" in inside or "{%" in inside:
        raise TemplateError(
            _line(place, text, start),
            f"the tag {text[start : start + 40]!r} is not closed",
            f"Close it with '}}}}' or '%}}', and keep it below {MAX_EXPRESSION} characters",
        )
    sign = kind_of(opening.group())
    kind: Literal["value", "statement", "comment"]
    kind = "value" if sign == "{" else "statement" if sign == "%" else "comment"
    if closing_of(whole) != ("%}" if kind == "statement" else "}}" if kind == "value" else "#}"):
        raise TemplateError(
            _line(place, text, start), f"the tag {whole[:40]!r} is closed wrongly",
            "Write '{{ ... }}' for a value and '{% ... %}' for a statement",
        )  # fmt: skip
    return Piece(kind, whole, start, "" if kind == "comment" else body.strip(), typed)


def _line(place: str, text: str, at: int) -> str:
    return f"{place}, {spot(text, at)}" if "\n" in text else place


def spot(text: str, at: int) -> str:
    """Where in a text something stands, as editors count."""
    return f"line {text.count(chr(10), 0, at) + 1}, column {at - text.rfind(chr(10), 0, at)}"


@lru_cache(maxsize=4_096)
def expression(source: str, place: str = "template") -> Expression:
    """Check one expression and say what it uses."""
    tokens = tokens_of(source, place)
    paths: list[tuple[Path, int, int]] = []
    pictures: set[str] = set()
    position = 0
    while position < len(tokens):
        token = tokens[position]
        previous = tokens[position - 1].text if position else ""
        following = tokens[position + 1].text if position + 1 < len(tokens) else ""
        if token.kind != "name":
            position += 1
        elif previous == "|":
            _check(
                token.text in FILTERS, place, f"the filter {token.text!r} is not available", _FILTERS_REMEDY
            )
            position += 1
        elif previous == "is" or (previous == "not" and position > 1 and tokens[position - 2].text == "is"):
            _check(
                token.text in TESTS or token.text == "not",
                place,
                f"there is no test {token.text!r}",
                "Use one of: " + ", ".join(sorted(TESTS)),
            )
            position += 1
        elif following == "(" and token.text not in KEYWORDS:
            pictures |= _called(tokens, position, place)
            position += 1
        elif token.text in KEYWORDS or (following == "=" or _is_keyword_argument(source, token)):
            position += 1
        else:
            path, position = _path(tokens, position, place)
            paths.append((path, token.start, tokens[position - 1].end))
    whole = paths[0][0] if len(paths) == 1 and source[paths[0][1] : paths[0][2]] == source.strip() else None
    if whole and whole[0] in PICTURE_ROOTS and len(whole) == 2:  # noqa: PLR2004 - charts.name
        pictures.add(whole[1])
    picture = next(iter(pictures)) if len(pictures) == 1 and (whole or _is_call(tokens)) else None
    pictures |= {path[1] for path, _, _ in paths if path[0] in PICTURE_ROOTS and len(path) > 1}
    return Expression(source, tuple(paths), whole, picture, frozenset(pictures))


_FILTERS_REMEDY = "Use one of: " + ", ".join(sorted(FILTERS))
_CALL_LENGTH = 4


def _is_call(tokens: list[Token]) -> bool:
    return len(tokens) == _CALL_LENGTH and tokens[0].text in {"chart", "image"}


def _is_keyword_argument(source: str, token: Token) -> bool:
    rest = source[token.end :].lstrip()
    return rest.startswith("=") and not rest.startswith("==")


def _check(holds: bool, place: str, message: str, remedy: str) -> None:
    if not holds:
        raise TemplateError(place, message, remedy)


def tokens_of(source: str, place: str) -> list[Token]:
    """The words of an expression; raises TemplateError for what does not belong to the language."""
    _check(len(source) <= MAX_EXPRESSION, place, f"an expression is longer than {MAX_EXPRESSION} characters",
           "Compute it in the source instead")  # fmt: skip
    result: list[Token] = []
    at, depth = 0, 0
    while source[at:].strip():
        match = _TOKEN.match(source, at)
        if match is None:
            if source[at:].lstrip().startswith("="):  # the '=' of a keyword argument
                at = source.index("=", at) + 1
                continue
            raise TemplateError(
                place,
                f"{source[at:].strip()[:20]!r} cannot stand in {source[:60]!r}",
                "See the tag reference",
            )
        kind: Literal["string", "number", "name", "op"] = match.lastgroup  # type: ignore[assignment]
        text = match[match.lastgroup or 0]
        depth += (text in "([{") - (text in ")]}") if kind == "op" else 0
        _check(
            depth <= MAX_NESTING,
            place,
            "an expression has too many brackets in each other",
            "Make it simpler",
        )
        hidden = kind == "name" and text.startswith("_")
        _check(not hidden, place, f"the name {text!r} starts with an underscore",
               "Names in templates start with a letter")  # fmt: skip
        result.append(Token(kind, text, match.start(match.lastgroup or 0), match.end()))
        at = match.end()
    return result


def _called(tokens: list[Token], position: int, place: str) -> set[str]:
    name = tokens[position].text
    before = tokens[position - 1].text if position else ""
    _check(
        before != ".", place, f"methods such as {name!r} cannot be called", "Use a filter: {{ name | upper }}"
    )
    _check(
        name in FUNCTIONS,
        place,
        f"there is no function {name!r}",
        "Functions are: " + ", ".join(sorted(FUNCTIONS)),
    )
    if name not in {"chart", "image"}:
        return set()
    argument = tokens[position + 2] if position + 3 < len(tokens) else None
    if argument is None or argument.kind != "string" or tokens[position + 3].text != ")":
        raise TemplateError(place, f"{name}() takes one name in quotes", f"Write {{{{ {name}('sales') }}}}")
    return {argument.text[1:-1]}


def _path(tokens: list[Token], position: int, place: str) -> tuple[Path, int]:
    """Follow ``a.b["c"]`` from its first name."""
    parts = [tokens[position].text]
    at = position + 1
    while at < len(tokens):
        if tokens[at].text == "." and at + 1 < len(tokens) and tokens[at + 1].kind in {"name", "number"}:
            called = at + 2 < len(tokens) and tokens[at + 2].text == "("
            _check(not called, place, f"methods such as {tokens[at + 1].text!r} cannot be called",
                   "Use a filter: {{ name | upper }}")  # fmt: skip
            parts.append(tokens[at + 1].text)
            at += 2
        elif (
            tokens[at].text == "[" and at + 2 < len(tokens)
            and tokens[at + 1].kind == "string" and tokens[at + 2].text == "]"
        ):  # fmt: skip
            _check(tokens[at + 1].text[1:2] != "_", place, "a name starts with an underscore",
                   "Names in templates start with a letter")  # fmt: skip
            parts.append(tokens[at + 1].text[1:-1])
            at += 3
        else:
            break
    return tuple(parts), at


def statement(body: str, place: str) -> Statement:
    """Check one statement: what stands between ``{%`` and ``%}``."""
    word = body.split(None, 1)[0] if body.split() else ""
    if word in PAGES and body.removeprefix(word).strip().startswith(("for ", "if ")):
        return statement(body.removeprefix(word).strip(), place)
    _check(word in STATEMENTS, place, f"the statement {word!r} is not available",
           "Statements are: " + ", ".join(sorted(STATEMENTS)))  # fmt: skip
    if word in {"endfor", "endif", "else"}:
        _check(body == word, place, f"{word!r} stands alone", f"Write {{% {word} %}}")
        return Statement(word)
    if word in {"if", "elif"}:
        return Statement(word, condition=expression(body[len(word) :].strip(), place))
    match = _FOR.match(body)
    if match is None:
        raise TemplateError(place, f"{body[:60]!r} is no loop", "Write {% for row in sales.rows %}")
    over, condition = _split_condition(match["rest"])
    _check("recursive" not in re.findall(r"\w+", match["rest"]), place, "recursive loops are not available",
           "Nest one loop in another")  # fmt: skip
    _check(not re.search(r"[~*+]", re.sub(r"'[^']*'|\"[^\"]*\"", "", over)), place,
           "what a loop runs over cannot be computed", "Loop over the rows of a table")  # fmt: skip
    bare = re.sub(r"\[\s*('[^']*'|\"[^\"]*\")\s*\]", "", over)
    _check("[" not in bare, place, "a loop cannot run over a list written down", "Loop over a table's rows")
    names = tuple(name.strip() for name in match["names"].split(","))
    clash = KEYWORDS.intersection(names) or {name for name in names if name.startswith("_") or name == "loop"}
    _check(not clash, place, f"a loop variable cannot be called {sorted(clash)}", "Choose another name")
    return Statement(
        word, names, expression(over.strip(), place), expression(condition, place) if condition else None
    )


def _split_condition(rest: str) -> tuple[str, str]:
    """Split ``rows if cond`` at the ``if`` that stands outside strings and brackets."""
    depth = 0
    for match in re.finditer(r"'[^']*'|\"[^\"]*\"|[(\[]|[)\]]|\bif\b", rest):
        word = match.group()
        depth += (word in "([") - (word in ")]")
        if word == "if" and depth == 0:
            return rest[: match.start()].strip(), rest[match.end() :].strip()
    return rest.strip(), ""
