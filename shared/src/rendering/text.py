"""Fill texts that are more than one tag: literals, tags and inline statements, over one run or many."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from rendering.language import Language, Scope
from rendering.model import TemplateError
from rendering.tags import MAX_BLOCKS, Piece, Statement, expression, pieces, statement

Fragment = tuple[int, str]
"""Where in the source a piece of the result comes from, and its text."""


@dataclass(slots=True)
class _Node:
    piece: Piece
    statement: Statement | None = None
    branches: list[tuple[Statement, list["_Node"]]] = field(default_factory=list)


def fill(text: str, language: Language, scope: Scope, place: str) -> str:
    """The text with all its tags replaced."""
    return "".join(part for _, part in fragments(text, language, scope, place))


def fragments(text: str, language: Language, scope: Scope, place: str) -> list[Fragment]:
    """The same in pieces that know where they come from."""
    return list(_write(_tree(text, place), language, scope, place))


class Runs:
    """A text that is cut into runs of different looks, read once and filled as often as needed."""

    __slots__ = ("_place", "_starts", "_tree", "_whole")

    def __init__(self, texts: list[str], place: str) -> None:
        self._place = place
        self._starts, at = [], 0
        for text in texts:
            self._starts.append(at)
            at += len(text)
        self._whole = "".join(texts)
        self._tree = _tree(self._whole, place)

    def fill(self, language: Language, scope: Scope) -> list[str]:
        """The text of every run; a tag takes the look of the run it begins in."""
        starts = self._starts
        result = [""] * len(starts)
        run = 0
        parts = list(_write(self._tree, language, scope, self._place))
        for source, part in _split_literals(parts, self._whole, starts):
            while run + 1 < len(starts) and starts[run + 1] <= source:
                run += 1
            result[run] += part
        return result


def fill_runs(texts: list[str], language: Language, scope: Scope, place: str) -> list[str]:
    """Fill a text of several runs once."""
    return Runs(texts, place).fill(language, scope)


def _split_literals(parts: list[Fragment], whole: str, starts: list[int]) -> Iterator[Fragment]:
    """Cut literals where runs begin, so that every run keeps its own words."""
    for source, part in parts:
        if whole[source : source + len(part)] != part or "{" in part or "\uff5b" in part:
            yield source, part
            continue
        cuts = [s for s in starts if source < s < source + len(part)]
        for begin, end in zip([source, *cuts], [*cuts, source + len(part)], strict=True):
            yield begin, whole[begin:end]


def _tree(text: str, place: str) -> list[_Node]:
    root: list[_Node] = []
    stack: list[_Node] = []
    for piece in pieces(text, place):
        target = stack[-1].branches[-1][1] if stack else root
        if piece.kind != "statement":
            target.append(_Node(piece))
            continue
        found = statement(piece.body, place)
        if found.word in {"for", "if"}:
            node = _Node(piece, found, [(found, [])])
            target.append(node)
            stack.append(node)
            if len(stack) > MAX_BLOCKS:
                raise TemplateError(place, "too many blocks stand in each other", "Use fewer")
        elif not stack or (found.word.startswith("end") and stack[-1].branches[0][0].word != found.word[3:]):
            raise TemplateError(
                place, f"{found.word!r} closes nothing", "Open the block before it, in the same text"
            )
        elif found.word in {"elif", "else"}:
            stack[-1].branches.append((found, []))
        else:
            stack.pop()
    if stack:
        word = stack[-1].branches[0][0].word
        raise TemplateError(place, f"{word!r} is never closed in this text", f"Add {{% end{word} %}}")
    return root


def _write(nodes: list[_Node], language: Language, scope: Scope, place: str) -> Iterator[Fragment]:
    for node in nodes:
        if node.piece.kind == "literal":
            yield node.piece.start, node.piece.text
        elif node.piece.kind == "value":
            text = language.text(expression(node.piece.body, place), scope, place)
            yield node.piece.start, language.spend(text, place)
        elif node.statement and node.statement.word == "for":
            yield from _loop(node, language, scope, place)
        elif node.statement:
            for head, inner in node.branches:
                if head.condition is None or language.holds(head.condition, scope, place):
                    yield from _write(inner, language, scope, place)
                    break


def _loop(node: _Node, language: Language, scope: Scope, place: str) -> Iterator[Fragment]:
    head, inner = node.branches[0]
    turned = False
    for turn in language.loop(head, scope, place):
        turned = True
        for source, part in _write(inner, language, turn, place):
            yield source, language.spend(part, place)
    if not turned and len(node.branches) > 1:
        yield from _write(node.branches[1][1], language, scope, place)
