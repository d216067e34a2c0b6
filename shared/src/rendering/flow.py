"""Read flowing documents (Word, PowerPoint): paragraphs, tables whose rows repeat, blocks and conditions.

Both kinds are trees of the same shape: containers hold paragraphs and tables, tables hold rows, rows hold
cells, cells are containers. A paragraph or row that is nothing but a statement opens or closes a block and
vanishes; a row whose tags name columns of a table is written once per row of the table.

The tree is marked where something happens and written out once; ``build`` cuts the text at the marks.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rendering import program
from rendering.carried import carried
from rendering.marks import Mark, Marks, Open
from rendering.media import asked, blip_beside
from rendering.merged_rows import grown_cells, merge_of
from rendering.model import Problem, TemplateError
from rendering.opc import local, namespace
from rendering.program import Attribute, Literal, Number, Steps, Value
from rendering.shapes import shape_of
from rendering.tags import MAX_BLOCKS, Statement, expression, has_tags, opens_statement, pieces, statement
from rendering.text import Runs
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
_PROPERTIES = frozenset({"tcPr", "bodyPr", "lstStyle", "tblPr", "tblGrid"})
_SHAPES = frozenset({"sp", "graphicFrame"})
_Opened = tuple[Statement, str, frozenset[str]]
_ENDFOR = re.compile(r"\{%[-+]?\s*endfor\s*[-+]?%\}")
_COUNTED = {"p": "paragraph", "tbl": "table", "tr": "row", "tc": "cell", "sdt": "control"}


@dataclass(slots=True)
class Kind:
    """What differs between kinds of documents: how pictures, charts and long tables are written."""

    picture: Callable[[str, str], program.Step]
    blip: Callable[[str, str], program.Step]
    chart: Callable[[str], program.Step] | None = None
    room: Callable[[Element], int] | None = None


@dataclass(slots=True)
class Flow:
    """Reads one part of a document. ``place`` is what people call it.

    With ``problems`` given, what is wrong is noted there and reading goes on.
    """

    kind: Kind
    place: str
    marks: Marks
    problems: list[Problem] | None = None
    seen: list[tuple[str, str]] = field(default_factory=list)
    alive: set[Element] = field(default_factory=set)

    def read(self, root: Element) -> Steps:
        """The steps that write the part."""
        self.check(root)
        return self.marks.build(root)

    def check(self, root: Element) -> None:
        """Mark the tree; afterwards ``seen`` has every place with a tag and its text, in order."""
        self._find(root)
        self._walk(root, self.place, frozenset())
        self._alternative_texts(root)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except TemplateError as error:
            if self.problems is None:
                raise
            self.problems.append(error.problem)

    def _find(self, root: Element) -> None:
        """Remember what holds tags, so that nothing else is looked at."""
        for text in root.iter("{*}t"):
            if text.text and ("{" in text.text or "\uff5b" in text.text):
                one = text
                while one is not None and one not in self.alive:
                    self.alive.add(one)
                    one = one.getparent()

    def _walk(self, element: Element, place: str, bound: frozenset[str]) -> None:
        if element not in self.alive:
            return
        name = local(element)
        if name == "p":
            self._paragraph(element, place, bound)
        elif name in CONTAINERS:
            self._container(element, place, bound)
        else:
            self._children(element, place, bound)

    def _children(self, element: Element, place: str, bound: frozenset[str]) -> None:
        counts: dict[str, int] = {}
        for one in list(element):
            name = local(one)
            counts[name] = counts.get(name, 0) + 1
            inner = f"{place}, {_COUNTED[name]} {counts[name]}" if name in _COUNTED else place
            if name in _SHAPES:
                inner = f"{self.place}, {shape_name(one)!r}"
            self._walk(one, inner, bound)

    def _container(self, element: Element, place: str, bound: frozenset[str]) -> None:
        stack: list[_Opened] = []
        counts: dict[str, int] = {}
        blocks = 0
        paragraph = ""  # what a paragraph is called here, once a block may leave none
        for item in list(element):
            name = local(item)
            counts[name] = counts.get(name, 0) + 1
            where = f"{place}, {_COUNTED[name]} {counts[name]}" if name in _COUNTED else place
            if name == "p":
                paragraph = _qualified(item)
            with self._noting():
                found = self._statement(item, where) if item in self.alive else None
                if found is None:
                    self._item(item, where, stack[-1][2] if stack else bound, repeated=_repeated(stack))
                else:
                    blocks += 1
                    self._block(item, found, where, stack, bound)
        with self._noting():
            if stack:
                raise never_closed(stack[-1][0].word, stack[-1][1])
            self._wrap(element, paragraph if blocks else "")

    def _block(
        self, item: Element, found: Statement, where: str, stack: list[_Opened], bound: frozenset[str]
    ) -> None:
        """Open, branch or close a block."""
        if found.word in {"for", "if"}:
            if len(stack) >= MAX_BLOCKS:
                raise TemplateError(where, "too many blocks stand in each other", "Use fewer")
            stack.append((found, where, (stack[-1][2] if stack else bound) | frozenset(found.names)))
            self._mark(item, Open.block(found, where), where, stack[-1][2])
        elif not stack or (found.word.startswith("end") and found.word[3:] != stack[-1][0].word):
            raise TemplateError(where, f"{found.word!r} closes nothing", "Open the block before it")
        elif found.word == "elif" and stack[-1][0].word != "if":
            raise TemplateError(where, "'elif' stands in a loop", "Put it between 'if' and 'endif'")
        elif found.word in {"elif", "else"}:
            self._mark(item, found, where, stack[-1][2])
        else:
            opened, _, names = stack.pop()
            self._mark(item, None, where, names, every_turn=opened.word == "for")

    def _mark(
        self, item: Element, mark: Mark, place: str, bound: frozenset[str], *, every_turn: bool = False
    ) -> None:
        """Put a mark in place of an item; a section break in it stays, before the mark.

        Other breaks and pictures of the item are repeated with the block, bookmarks stand around it. With
        ``every_turn`` what the end of a block carries ends each of its turns.
        """
        if next(item.iter("{*}sectPr"), None) is not None:
            for text in texts_of(item):
                text.text = ""
            self.marks.after(item, mark)
            return
        found = carried(item)
        one = self.marks.instruction(mark)
        item.addprevious(one)
        for each in found.ranges:
            if mark is None:
                one.addnext(each)
            else:
                one.addprevious(each)
            self.marks.around(each, Open.once())
        if found.kept is None:
            item.getparent().remove(item)
            return
        if every_turn:
            one.addprevious(item)
        self._copies(item)
        self._walk(item, place, bound)

    def _wrap(self, element: Element, paragraph: str) -> None:
        """Keep a container in order whatever its blocks leave of it."""
        if local(element) != "tbl":
            if paragraph and local(element) in _NEEDS_PARAGRAPH:
                self.marks.inside(element, _PROPERTIES, Open.cell(paragraph))
        elif not self.marks.repeats(element):
            return
        elif self.kind.room is None:
            self.marks.around(element, Open.table(_qualified(element).removesuffix("tbl") + "tr"))
        else:
            self.marks.inside(element, _PROPERTIES, Open.slide_table(self.kind.room(element)))

    def _statement(self, item: Element, place: str) -> Statement | None:
        """The statement an item consists of, or None."""
        if local(item) not in {"p", "tr"}:
            return None
        text = text_of(item).strip()
        if not opens_statement(text):
            return None
        found = list(pieces(text, place))
        if len(found) != 1 or found[0].kind != "statement":
            return None
        self.seen.append((place, text))
        return statement(found[0].body, place)

    def _item(self, item: Element, place: str, bound: frozenset[str], *, repeated: bool) -> None:
        columns: tuple[str, ...] = ()
        with self._noting():
            if local(item) == "tr" and item in self.alive:
                columns = self._columns(item, place, bound)
        if repeated or columns:
            self._copies(item)
        if repeated and local(item) == "tr" and item in self.alive:
            self._merged(item)
        self._walk(item, place, bound)
        if columns:
            self.marks.around(item, Open.rows(columns))
        if local(item) == "tr" and self.kind.room is not None:
            self.marks.around(item, Open.slide_row(max(int(item.get("h", "370840")), 1)))

    def _merged(self, row: Element) -> None:
        """Let a cell merged with the row of ``{% endfor %}`` below be one over all turns of the loop."""
        following = next((one for one in row.itersiblings() if local(one)), None)
        if following is None or not _ENDFOR.fullmatch(text_of(following).strip()):
            return
        for cell in grown_cells(row, following):
            merge = merge_of(cell)
            step = program.Call(lambda at, _: "restart" if at.first_turn else "continue")
            if merge is not None:
                merge.set(namespace(merge) + "val", self.marks.token(step))
            self.marks.inside(cell, _PROPERTIES, Open.first_turn(_qualified(cell).removesuffix("tc") + "p"))

    def _columns(self, item: Element, place: str, bound: frozenset[str]) -> tuple[str, ...]:
        """The names that may be tables whose columns a row names outside any loop."""
        text = text_of(item)
        if not has_tags(text):
            return ()
        paths = (path for one in expressions_in(text, place) for path, _, _ in one.paths)
        return tuple(dict.fromkeys(path[0] for path in paths if is_column(path, set(bound))))

    def _copies(self, item: Element) -> None:
        """Give what is repeated numbers of its own, and let bookmarks stand once."""
        for one in list(item.iter()):
            name = local(one)
            if name == "docPr" and one.get("id", "").isdigit():
                one.set("id", self.marks.token(Number(one.get("id"))))
            elif name in {"bookmarkStart", "bookmarkEnd"} and one.getparent() is not None:
                self.marks.around(one, Open.once())
            elif name == "chart" and self.kind.chart is not None:
                for key in [
                    k for k, v in one.attrib.items() if k.endswith("}id") and self.marks.key not in v
                ]:
                    one.set(key, self.marks.token(self.kind.chart(one.get(key))))

    def _paragraph(self, paragraph: Element, place: str, bound: frozenset[str]) -> None:
        own = texts_of(paragraph)
        text = "".join(t.text or "" for t in own)
        if has_tags(text):
            self.seen.append((place, text))
            with self._noting():
                self._fill(own, text, place)
        for nested in [
            e for e in paragraph.iter() if local(e) == "txbxContent" and _paragraph_of(e) is paragraph
        ]:
            self._walk(nested, f"{place}, text box", bound)

    def _fill(self, own: list[Element], text: str, place: str) -> None:
        found = list(pieces(text, place))
        bare = [p for p in found if p.kind != "literal" or p.text.strip()]
        if (
            len(bare) == 1
            and bare[0].kind == "value"
            and (picture := expression(bare[0].body, place).picture)
        ):
            run = own[0].getparent()
            for element in own[1:]:
                element.text = ""
            for element in [e for e in run if local(e) == "t"]:
                run.remove(element)
            run.append(self.marks.instruction(self.kind.picture(picture, place)))
        elif any(piece.kind == "statement" for piece in found):
            whole = program.Paragraph(Runs([t.text or "" for t in own], place))
            for index, element in enumerate(own):
                _set(element, self.marks.token(program.Run(whole, index, shape_of(element))))
        else:
            self._simple(own, text, place)

    def _simple(self, own: list[Element], text: str, place: str) -> None:
        """A text without statements: words stay in their runs, a value stands where its tag begins."""
        starts, at = [], 0
        for element in own:
            starts.append(at)
            at += len(element.text or "")
        starts.append(at + 1)
        written = [""] * len(own)
        run = 0
        for piece in pieces(text, place):
            end = piece.start + len(piece.text)
            while starts[run + 1] <= piece.start:
                run += 1
            if piece.kind != "literal":
                value = piece.kind == "value"
                # Nothing is written for a comment, and still the part differs from its template.
                asked = (
                    Value(expression(piece.body, place), place, shape_of(own[run])) if value else Literal("")
                )
                written[run] += self.marks.token(asked)
            else:
                begin = piece.start
                while begin < end:
                    while starts[run + 1] <= begin:
                        run += 1
                    stop = min(end, starts[run + 1])
                    written[run] += text[begin:stop]
                    begin = stop
        for element, new in zip(own, written, strict=True):
            if new != (element.text or ""):
                _set(element, new)

    def _alternative_texts(self, root: Element) -> None:
        """Fill alternative texts; a picture whose alternative text asks for another becomes it."""
        for properties in root.iter("{*}docPr", "{*}cNvPr"):
            for attribute in ("descr", "title"):
                text = properties.get(attribute, "")
                if not has_tags(text):
                    continue
                place = f"{self.place}, picture {properties.get('name', '')!r}"
                self.seen.append((place, text))
                with self._noting():
                    name = asked(text, place)
                    if name is None:
                        properties.set(attribute, self.marks.token(Attribute(text, place)))
                        continue
                    properties.set(attribute, name)
                    self._swap(properties, name, place)

    def _swap(self, properties: Element, name: str, place: str) -> None:
        blip = blip_beside(properties)
        if blip is None:
            return
        for key in [k for k in blip.attrib if k.endswith("}embed")]:
            blip.set(key, self.marks.token(self.kind.blip(name, place)))
        for extension in [e for e in blip if local(e) == "extLst"]:
            blip.remove(extension)  # the vector twin of the old picture


def never_closed(word: str, place: str) -> TemplateError:
    """What to say of a block that is open at the end."""
    return TemplateError(
        place, f"{word!r} is never closed", f"Add {{% end{word} %}} in a paragraph or row of its own"
    )


def shape_name(shape: Element) -> str:
    """What a shape is called in the selection pane."""
    return next((str(e.get("name", "")) for e in shape.iter("{*}cNvPr")), "")


def _repeated(stack: list[_Opened]) -> bool:
    return any(found.word == "for" for found, _, _ in stack)


def _qualified(element: Element) -> str:
    return f"{element.prefix}:{local(element)}" if element.prefix else local(element)


def _paragraph_of(element: Element) -> Element | None:
    """The paragraph an element stands in, the innermost."""
    parent = element.getparent()
    while parent is not None and local(parent) != "p":
        parent = parent.getparent()
    return parent


def texts_of(paragraph: Element) -> list[Element]:
    """The text elements of a paragraph, without those of text boxes anchored in it."""
    return [e for e in paragraph.iter("{*}t") if _paragraph_of(e) is paragraph]


def text_of(item: Element) -> str:
    """The text of a paragraph or row, without tables in its cells."""
    if local(item) == "p":
        return "".join(t.text or "" for t in texts_of(item))
    cells = [c for c in item if local(c) in {"tc", "sdt"}]
    return "".join(text_of(p) for cell in cells for p in cell.iter("{*}p") if not _in_inner_table(p, item))


def _in_inner_table(paragraph: Element, row: Element) -> bool:
    parent = paragraph.getparent()
    while parent is not None and parent is not row:
        if local(parent) == "tbl":
            return True
        parent = parent.getparent()
    return False


def _set(element: Element, text: str) -> None:
    """Set the text of a run."""
    element.text = text
    if "wordprocessingml" in namespace(element):
        element.set(_SPACE, "preserve")
