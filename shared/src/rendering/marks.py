"""Marks in the tree of a part, and the steps that the text between them becomes."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from rendering import program
from rendering.opc import local, serialize
from rendering.program import Literal, Step, Steps
from rendering.slide_tables import SlideTable
from rendering.tags import Statement

Element = Any


@dataclass(slots=True)
class Open:
    """The beginning of a step that holds others; ``close`` makes it of its branches."""

    close: Callable[[list[tuple[Statement | None, Steps]]], Step]
    repeats: bool = False
    head: Statement | None = None

    @classmethod
    def block(cls, head: Statement, place: str) -> "Open":
        """A loop or condition."""

        def close(branches: list[tuple[Statement | None, Steps]]) -> Step:
            if head.word == "for":
                return program.For(head, place, branches[0][1], branches[1][1] if len(branches) > 1 else [])
            return program.If([(s, steps) for s, steps in branches if s is not None], place)

        return cls(close, repeats=True, head=head)

    @classmethod
    def rows(cls, columns: tuple[str, ...]) -> "Open":
        """A row that repeats."""
        return cls(lambda branches: program.Rows(columns, branches[0][1]), repeats=True)

    @classmethod
    def once(cls) -> "Open":
        """Something that stands once."""
        return cls(lambda branches: program.Once(branches[0][1]))

    @classmethod
    def first_turn(cls, paragraph: str) -> "Open":
        """What stands in the first turn of its loop only."""
        return cls(lambda branches: program.FirstTurn(branches[0][1], paragraph))

    @classmethod
    def cell(cls, paragraph: str) -> "Open":
        """A container that needs a paragraph."""
        return cls(lambda branches: program.Cell(branches[0][1], paragraph))

    @classmethod
    def table(cls, row: str) -> "Open":
        """A table that needs a row."""
        return cls(lambda branches: program.Table(branches[0][1], row))

    @classmethod
    def slide_table(cls, room: int) -> "Open":
        """A table with so much room for its rows."""
        return cls(lambda branches: SlideTable(branches[0][1], room))

    @classmethod
    def slide_row(cls, height: int) -> "Open":
        """A row of such a table."""
        return cls(lambda branches: program.SlideRow(height, branches[0][1]))


Mark = Step | Open | Statement | None
"""A step, the beginning of one that holds others, a further branch of it, or its end."""


@dataclass(slots=True)
class Marks:
    """The marks of one part. ``key`` must not stand in the part itself."""

    key: str
    _marks: list[Mark] = field(default_factory=list)

    @classmethod
    def of(cls, content: bytes) -> "Marks":
        """Marks with a key that the part does not have."""
        number = 0
        while f"bsm{number}x".encode() in content:
            number += 1
        return cls(f"bsm{number}x")

    @property
    def empty(self) -> bool:
        """Whether nothing happens in the part."""
        return not self._marks

    def token(self, step: Step) -> str:
        """A mark inside a text or attribute."""
        self._marks.append(step)
        return f"{self.key}.{len(self._marks) - 1}."

    def instruction(self, mark: Mark) -> Element:
        """A mark between elements."""
        self._marks.append(mark)
        return etree.ProcessingInstruction(self.key, str(len(self._marks) - 1))

    def replace(self, item: Element, mark: Mark) -> None:
        """Put a mark where an element stands."""
        item.getparent().replace(item, self.instruction(mark))

    def after(self, item: Element, mark: Mark) -> None:
        """Put a mark behind an element."""
        one = self.instruction(mark)
        one.tail, item.tail = item.tail, None
        item.addnext(one)

    def around(self, item: Element, mark: Open) -> None:
        """Let a step hold an element."""
        item.addprevious(self.instruction(mark))
        self.after(item, None)

    def inside(self, element: Element, without: frozenset[str], mark: Open) -> None:
        """Let a step hold the content of an element, but for its properties."""
        at = next((i for i, e in enumerate(element) if local(e) not in without), len(element))
        element.insert(at, self.instruction(mark))
        element.append(self.instruction(None))

    def repeats(self, element: Element) -> bool:
        """Whether a block or a repeating row begins among the children of an element."""
        numbers = (
            one.text for one in element if one.tag is etree.ProcessingInstruction and one.target == self.key
        )
        marks = (self._marks[int(number)] for number in numbers)
        return any(isinstance(mark, Open) and mark.repeats for mark in marks)

    def build(self, root: Element) -> Steps:
        """Cut the written part at its marks."""
        text = serialize(root).decode()
        cuts = re.split(rf"<\?{self.key} (\d+)\?>|{self.key}\.(\d+)\.", text)
        stack: list[tuple[Open | None, list[tuple[Statement | None, Steps]]]] = [(None, [(None, [])])]
        for at in range(0, len(cuts), 3):
            if cuts[at]:
                stack[-1][1][-1][1].append(Literal(cuts[at]))
            if at + 1 == len(cuts):
                break
            mark = self._marks[int(cuts[at + 1] or cuts[at + 2])]
            if isinstance(mark, Open):
                stack.append((mark, [(mark.head, [])]))
            elif isinstance(mark, Statement):
                stack[-1][1].append((mark, []))
            elif mark is None:
                opened, branches = stack.pop()
                if opened is not None:
                    stack[-1][1][-1][1].append(opened.close(branches))
            else:
                stack[-1][1][-1][1].append(mark)
        return stack[0][1][0][1]
