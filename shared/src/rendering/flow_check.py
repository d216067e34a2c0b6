"""Every tag of a Word or PowerPoint template with a place a person can find, and what is wrong with any."""

from collections.abc import Iterator
from typing import Any

from rendering.autocorrect import may_hold_tags
from rendering.deck import Deck
from rendering.docx import parts_of
from rendering.flow import Flow, Kind, shape_name
from rendering.marks import Marks
from rendering.model import Problem, TemplateError
from rendering.opc import Package, descendants, local
from rendering.pptx import behind, picture_of, refuse_picture, rule_of, text_in
from rendering.program import Literal
from rendering.tags import has_tags

Element = Any
Found = tuple[str, str]
"""A place and the text that stands there."""


def flowing_texts(package: Package, problems: list[Problem]) -> list[Found] | None:
    """The texts with tags of a document or presentation, in order; None for a workbook."""
    main = next(iter(package.related("", "officeDocument")), "")
    kind = local(package.xml(main)) if main else ""
    if kind == "document":
        return [
            f for part, place in parts_of(package, main) for f in _document(package, part, place, problems)
        ]
    if kind == "presentation":
        parts = list(_parts_of_deck(package, main))
        return [f for part, place in parts for f in _slide(package, part, place, problems)]
    return None


def _parts_of_deck(package: Package, main: str) -> Iterator[tuple[str, str]]:
    for number, (_, part) in enumerate(Deck(package, main).slides(), 1):
        yield part, f"slide {number}"
        for notes in package.related(part, "notesSlide"):
            yield notes, f"slide {number}, notes"
    yield from behind(package, main)


def _nothing(*_: object) -> Literal:
    return Literal("")


def _document(package: Package, part: str, place: str, problems: list[Problem]) -> list[Found]:
    content = package.read(part)
    if not may_hold_tags(content):
        return []
    flow = Flow(Kind(_nothing, _nothing, _nothing), place, Marks.of(content), problems)
    flow.check(package.xml(part))
    return flow.seen


def _slide(package: Package, part: str, place: str, problems: list[Problem]) -> list[Found]:
    content = package.read(part)
    if not may_hold_tags(content):
        return []
    root = package.xml(part)
    own = []
    for shape in descendants(root, "sp"):
        where, text = f"{place}, {shape_name(shape)!r}", text_in(shape)
        if not has_tags(text):
            continue
        try:
            alone = bool(rule_of(shape, where) or picture_of(shape, where))
        except TemplateError as error:
            problems.append(error.problem)
            alone = True
        if alone:
            own.append((where, text))
            shape.getparent().remove(shape)
    flow = Flow(Kind(refuse_picture, _nothing, room=lambda _: 0), place, Marks.of(content), problems)
    flow.check(root)
    return [*own, *flow.seen]
