"""Fill flowing documents (Word, PowerPoint): paragraphs, tables whose rows repeat, blocks and conditions.

Both kinds are trees of the same shape: containers hold paragraphs and tables, tables hold rows, rows hold
cells, cells are containers. A paragraph or row that is nothing but a statement opens or closes a block and
vanishes; a row whose tags name columns of a table is written once per row of the table.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from rendering.language import Language, Scope
from rendering.model import TemplateError
from rendering.opc import child, local, namespace
from rendering.tags import MAX_BLOCKS, Expression, Statement, expression, has_tags, pieces, statement
from rendering.text import fill_runs
from rendering.values import clean
from rendering.xlsx.sheet import expressions_in, is_column

Element = Any
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
CONTAINERS = frozenset(
    {
        "body",
        "tc",
        "hdr",
        "ftr",
        "footnote",
        "endnote",
        "comment",
        "sdtContent",
        "txbxContent",
        "tbl",
        "txBody",
    }
)
_NEEDS_PARAGRAPH = frozenset({"tc", "hdr", "ftr", "txBody", "txbxContent"})


class Pictures:
    """Puts a picture where a paragraph asks for one; what that means depends on the kind of document."""

    def place(self, run: Element, name: str) -> None:
        """Replace a run by the picture of that name."""
        raise NotImplementedError


@dataclass(slots=True)
class _Node:
    items: list[Element]
    statement: Statement | None = None
    tables: tuple[str, ...] = ()
    branches: list[tuple[Statement, list["_Node"]]] = field(default_factory=list)


@dataclass(slots=True)
class Flow:
    """Fills one part of a document."""

    language: Language
    place: str
    pictures: Pictures
    budget: int = 2_000_000

    def fill(self, element: Element, scope: Scope) -> None:
        """Fill everything below an element."""
        name = local(element)
        if name == "p":
            self._paragraph(element, scope)
        elif name in CONTAINERS:
            self._container(element, scope)
        else:
            for one in list(element):
                if isinstance(one.tag, str):
                    self.fill(one, scope)

    def _container(self, element: Element, scope: Scope) -> None:
        nodes = self._tree(list(element), scope)
        if not self._plain(nodes):
            items = list(self._write(nodes, scope, copy=False))
            paragraph = next((e for e in element if local(e) == "p"), None)
            if (
                local(element) in _NEEDS_PARAGRAPH
                and not any(local(i) == "p" for i in items)
                and paragraph is not None
            ):
                items.append(paragraph.makeelement(paragraph.tag))
            element[:] = items
        else:
            for one in list(element):
                if isinstance(one.tag, str):
                    self.fill(one, scope)

    @staticmethod
    def _plain(nodes: list[_Node]) -> bool:
        return all(node.statement is None and not node.tables for node in nodes)

    def _tree(self, items: list[Element], scope: Scope) -> list[_Node]:
        root: list[_Node] = []
        stack: list[_Node] = []
        bound = set(scope.names)
        for item in items:
            target = stack[-1].branches[-1][1] if stack else root
            found = self._statement(item)
            if found is None:
                target.append(_Node([item], tables=self._tables(item, scope, bound)))
            elif found.word in {"for", "if"}:
                node = _Node([item], found, (), [(found, [])])
                bound.update(found.names)
                target.append(node)
                stack.append(node)
                if len(stack) > MAX_BLOCKS:
                    raise TemplateError(self.place, "too many blocks stand in each other", "Use fewer")
            elif not stack or (found.word.startswith("end") and found.word[3:] != _word(stack[-1])):
                raise TemplateError(self.place, f"{found.word!r} closes nothing", "Open the block before it")
            elif found.word in {"elif", "else"}:
                stack[-1].branches.append((found, []))
            else:
                stack.pop()
        if stack:
            word = _word(stack[-1])
            raise TemplateError(
                self.place,
                f"{word!r} is never closed",
                f"Add {{% end{word} %}} in a paragraph or row of its own",
            )
        return root

    def _statement(self, item: Element) -> Statement | None:
        """The statement an item consists of, or None."""
        if local(item) not in {"p", "tr"}:
            return None
        text = text_of(item).strip()
        if not text.startswith("{%"):
            return None
        found = list(pieces(text, self.place))
        return (
            statement(found[0].body, self.place) if len(found) == 1 and found[0].kind == "statement" else None
        )

    def _tables(self, item: Element, scope: Scope, bound: set[str]) -> tuple[str, ...]:
        """The tables whose columns a row names outside any loop."""
        text = text_of(item) if local(item) == "tr" else ""
        if not has_tags(text):
            return ()
        paths = [p for one in expressions_in(text, self.place) for p, _, _ in one.paths]
        found = (
            p[0]
            for p in paths
            if is_column(p, bound) and p[0] in scope.data.tables and p[0] not in scope.rows
        )
        return tuple(dict.fromkeys(found))

    def _write(self, nodes: list[_Node], scope: Scope, *, copy: bool) -> Iterator[Element]:
        for node in nodes:
            if node.statement is not None:
                yield from self._block(node, scope, copy=copy)
            elif node.tables:
                yield from self._rows(node, scope)
            else:
                item = deepcopy(node.items[0]) if copy else node.items[0]
                self._spend()
                if isinstance(item.tag, str):
                    self.fill(item, scope)
                yield item

    def _block(self, node: _Node, scope: Scope, *, copy: bool) -> Iterator[Element]:
        head, inner = node.branches[0]
        if head.word == "for":
            turned = False
            for turn in self.language.loop(head, scope, self.place):
                turned = True
                yield from self._write(inner, turn, copy=True)
            if not turned and len(node.branches) > 1:
                yield from self._write(node.branches[1][1], scope, copy=copy)
            return
        for condition, branch in node.branches:
            if condition.condition is None or self.language.holds(condition.condition, scope, self.place):
                yield from self._write(branch, scope, copy=copy)
                return

    def _rows(self, node: _Node, scope: Scope) -> Iterator[Element]:
        """One row per row of its tables; an empty table leaves no row behind."""
        tables = {name: scope.page(name) for name in node.tables}
        for number in range(max(len(rows) for rows in tables.values())):
            self._spend()
            row = deepcopy(node.items[0])
            current = {name: rows[number] if number < len(rows) else None for name, rows in tables.items()}
            self.fill(row, scope.with_rows(current))
            yield row

    def _spend(self) -> None:
        self.budget -= 1
        if self.budget < 0:
            raise TemplateError(
                self.place, "it grows beyond the limit", "Filter the data or loop over fewer rows"
            )

    def _paragraph(self, paragraph: Element, scope: Scope) -> None:
        own = texts_of(paragraph)
        text = "".join(t.text or "" for t in own)
        if has_tags(text):
            picture = self._picture(text)
            if picture:
                self._put(own, picture)
            else:
                filled = fill_runs([t.text or "" for t in own], self.language, scope, self.place)
                for element, new in zip(own, filled, strict=True):
                    if new != element.text:
                        _set(element, clean(new))
        for nested in [
            e for e in paragraph.iter() if local(e) == "txbxContent" and _paragraph_of(e) is paragraph
        ]:
            self.fill(nested, scope)

    def _picture(self, text: str) -> str | None:
        found = list(pieces(text.strip(), self.place))
        if len(found) != 1 or found[0].kind != "value":
            return None
        asked: Expression = expression(found[0].body, self.place)
        return asked.picture

    def _put(self, own: list[Element], picture: str) -> None:
        for element in own[1:]:
            element.text = ""
        self.pictures.place(own[0].getparent(), picture)


def _word(node: _Node) -> str:
    return node.branches[0][0].word


def _paragraph_of(element: Element) -> Element | None:
    """The paragraph an element stands in, the innermost."""
    parent = element.getparent()
    while parent is not None and local(parent) != "p":
        parent = parent.getparent()
    return parent


def texts_of(paragraph: Element) -> list[Element]:
    """The text elements of a paragraph, without those of text boxes anchored in it."""
    return [e for e in paragraph.iter() if local(e) == "t" and _paragraph_of(e) is paragraph]


def text_of(item: Element) -> str:
    """The text of a paragraph or row, without tables in its cells."""
    if local(item) == "p":
        return "".join(t.text or "" for t in texts_of(item))
    cells = [c for c in item if local(c) in {"tc", "sdt"}]
    return "".join(
        text_of(p) for cell in cells for p in cell.iter() if local(p) == "p" and not _in_inner_table(p, item)
    )


def _in_inner_table(paragraph: Element, row: Element) -> bool:
    parent = paragraph.getparent()
    while parent is not None and parent is not row:
        if local(parent) == "tbl":
            return True
        parent = parent.getparent()
    return False


def _set(element: Element, text: str) -> None:
    """Set the text of a run; line ends become line breaks."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    element.text = lines[0]
    space = namespace(element)
    if "wordprocessingml" in space:
        element.set(_SPACE, "preserve")
        after = element
        for line in lines[1:]:
            for one in (element.makeelement(space + "br"), element.makeelement(element.tag)):
                after.addnext(one)
                after = one
            after.text = line
            after.set(_SPACE, "preserve")
        return
    run = element.getparent()
    for line in reversed(lines[1:]):
        again = deepcopy(run)
        again.tail = None
        child(again, "t").text = line
        run.addnext(again)
        run.addnext(run.makeelement(space + "br"))
