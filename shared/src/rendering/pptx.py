"""A PowerPoint template filled: text, tables, pictures, charts; slides repeat and long tables run over.

A shape whose text is ``{% slide for c in by_carrier.rows %}`` or ``{% slide if cancelled > 0 %}`` rules its
slide and vanishes: the slide is written once per turn, or only under the condition. A second rule on the same
slide stands inside the first. A table whose rows do not fit its slide goes on, with its other rows, on copies
of the slide.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any

from rendering.autocorrect import may_hold_tags
from rendering.deck import Deck
from rendering.flow import Flow, Kind, shape_name, text_of
from rendering.language import Language, Scope
from rendering.marks import Marks
from rendering.media import EMU, Media, asked
from rendering.model import RenderData, RenderOptions, TemplateError
from rendering.office_charts import fill_chart
from rendering.opc import Package, child, descendants, local, namespace
from rendering.program import Call, Context, Steps, write_all
from rendering.tags import Statement, has_tags, opens_statement, pieces, statement

Element = Any
MAX_SLIDES = 1_000
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MARGIN = 36 * 12_700  # half an inch stays free at the foot of a slide


def fill_pptx(template: bytes, data: RenderData, options: RenderOptions) -> tuple[bytes, list[str]]:
    """Fill a presentation; slides without tags stay the bytes they were."""
    package = Package(template)
    found = package.related("", "officeDocument")
    if not found or local(package.xml(found[0])) != "presentation":
        raise TemplateError("template", "it is no PowerPoint presentation", "Upload a pptx file")
    deck = Deck(package, found[0])
    filler = _Filler(
        package,
        deck,
        Language(data, options),
        Media(package, data, options, "ppt"),
        options.limits.part_bytes,
    )
    for number, (entry, part) in enumerate(deck.slides(), 1):
        deck.replace(entry, part, filler.slide(part, f"slide {number}"))
    for part, place in behind(package, found[0]):
        filler.fill(part, filler.read(part, place), Scope(data))
    deck.save()
    return package.save(), [*filler.warnings, *filler.media.warnings]


def behind(package: Package, main: str) -> list[tuple[str, str]]:
    """Masters and layouts, and what people call them."""
    masters = package.related(main, "slideMaster")
    found = [*masters, *package.related(main, "notesMaster")]
    found.extend(layout for master in masters for layout in package.related(master, "slideLayout"))
    return [(part, part.rpartition("/")[2].removesuffix(".xml")) for part in dict.fromkeys(found)]


@dataclass(slots=True)
class _Read:
    """A part that was read: the rules of its slide, and the steps that write it, if there are any."""

    rules: list[Statement]
    steps: Steps | None = None
    free_id: int = 0


@dataclass(slots=True)
class _Filler:
    package: Package
    deck: Deck
    language: Language
    media: Media
    left: int  # characters all slides together may still grow by
    slides: int = 0
    warnings: list[str] = field(default_factory=list)

    def slide(self, part: str, place: str) -> list[str]:
        """Write what a slide of the template becomes; returns its parts in order: none, one or many."""
        read = self.read(part, place)
        notes = next(iter(self.package.related(part, "notesSlide")), "")
        noted = self.read(notes, f"{place}, notes") if notes else None
        shows: list[tuple[str, str | None, Scope]] = []
        for scope in _scopes(read.rules, self.language, Scope(self.language.data), place):
            shows.extend(self._pages(read, part, scope, place, first=not shows))
        for target, text, scope in shows:  # only now: copies are made of the template's own slide
            if text is not None:
                self.package.write(target, text.encode())
            self._charts(target, scope)
            if noted is not None:
                for own in self.package.related(target, "notesSlide"):
                    self.fill(own, noted, scope)
        return [target for target, _, _ in shows]

    def _pages(
        self, read: _Read, part: str, scope: Scope, place: str, *, first: bool
    ) -> Iterator[tuple[str, str | None, Scope]]:
        """The pages of one turn of a slide: more than one where a table runs over."""
        at = self._context(part, read)
        while at.page < at.pages:
            self.slides += 1
            if self.slides > MAX_SLIDES:
                raise TemplateError(place, f"there would be more than {MAX_SLIDES} slides", "Filter the data")
            at.owner = part if first and not at.page else self.deck.copy(part)
            yield at.owner, _written(read, at, scope), scope
            at.page += 1
            at.seen.clear()
            self.left = at.left

    def read(self, part: str, place: str) -> _Read:
        """Read one part."""
        content = self.package.read(part)
        if not may_hold_tags(content):
            return _Read([])
        root = self.package.xml(part)
        marks = Marks.of(content)
        rules = []
        for shape in descendants(root, "sp"):
            rule = rule_of(shape, f"{place}, {shape_name(shape)!r}")
            if rule is not None:
                rules.append(rule)
                shape.getparent().remove(shape)
        self._pictures(root, place, marks)
        steps = Flow(Kind(refuse_picture, self._blip, room=self._room), place, marks).read(root)
        numbers = [int(e.get("id")) for e in root.iter("{*}cNvPr") if e.get("id", "").isdigit()]
        touched = rules or not marks.empty
        return _Read(rules, steps if touched else None, max(numbers, default=0))

    def fill(self, part: str, read: _Read, scope: Scope) -> None:
        """Write a part that is no slide."""
        at = self._context(part, read)
        text = _written(read, at, scope)
        self.left = at.left
        if text is not None:
            self.package.write(part, text.encode())

    def _context(self, part: str, read: _Read) -> Context:
        return Context(self.language, part, self.left, read.free_id)

    def _charts(self, part: str, scope: Scope) -> None:
        own = Scope(self.language.data, scope.names)
        for rel in self.package.rels(part):
            if rel.kind == "chart" and rel.target in self.package:
                self.warnings.extend(fill_chart(self.package, rel.target, own, self.language.options))

    def _room(self, table: Element) -> int:
        """How high the rows of a table may be together."""
        frame = table.getparent()
        while frame is not None and local(frame) != "graphicFrame":
            frame = frame.getparent()
        offset = next(iter(descendants(frame, "off")), None) if frame is not None else None
        return self.deck.height - _MARGIN - (int(offset.get("y", "0")) if offset is not None else 0)

    def _blip(self, name: str, place: str) -> Call:
        return Call(lambda at, _: self.media.add(at.owner, name, place)[0])

    def _pictures(self, root: Element, place: str, marks: Marks) -> None:
        """A shape whose text asks for a picture becomes that picture, in its place and no larger."""
        for shape in descendants(root, "sp"):
            where = f"{place}, {shape_name(shape)!r}"
            found = picture_of(shape, where)
            if found is not None:
                marks.replace(shape, _picture(self.media, shape, found[1], found[0], where))


def picture_of(shape: Element, where: str) -> tuple[str, Element] | None:
    """The picture a shape asks for and the frame it is to stand in, or None."""
    text = text_in(shape)
    name = asked(text, where) if has_tags(text) else None
    if name is None:
        return None
    frame = next(iter(descendants(shape, "xfrm")), None)
    if frame is None:
        raise TemplateError(
            where, f"the shape for {name!r} takes its place from the layout", "Move or resize it once"
        )
    return name, frame


def _written(read: _Read, at: Context, scope: Scope) -> str | None:
    if read.steps is None:
        return None
    out: list[str] = []
    write_all(read.steps, out, at, scope)
    return "".join(out)


def _picture(media: Media, shape: Element, frame: Element, name: str, where: str) -> Call:
    space, drawing = namespace(shape)[1:-1], namespace(frame)[1:-1]
    place, extent = child(frame, "off"), child(frame, "ext")
    x, y, width, height = (
        int(e.get(k)) for e, k in ((place, "x"), (place, "y"), (extent, "cx"), (extent, "cy"))
    )
    properties = next(iter(descendants(shape, "cNvPr")), None)
    number = escape(properties.get("id", "2") if properties is not None else "2")

    def write(at: Context, _: Scope) -> str:
        rel, image = media.add(at.owner, name, where)
        scale = min(width / (image.width * EMU), height / (image.height * EMU))
        fit = round(image.width * EMU * scale), round(image.height * EMU * scale)
        left, top = x + (width - fit[0]) // 2, y + (height - fit[1]) // 2
        return (
            f'<p:pic xmlns:p="{space}" xmlns:a="{drawing}" xmlns:r="{_OFFICE}">'
            f'<p:nvPicPr><p:cNvPr id="{number}" name="Picture {number}" descr="{escape(name)}"/>'
            '<p:cNvPicPr><a:picLocks noChangeAspect="1"/></p:cNvPicPr><p:nvPr/></p:nvPicPr>'
            f'<p:blipFill><a:blip r:embed="{rel}"/><a:stretch><a:fillRect/></a:stretch></p:blipFill>'
            f'<p:spPr><a:xfrm><a:off x="{left}" y="{top}"/><a:ext cx="{fit[0]}" cy="{fit[1]}"/></a:xfrm>'
            '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></p:spPr></p:pic>'
        )

    return Call(write)


def refuse_picture(name: str, place: str) -> Call:
    """Say that a picture cannot stand here."""
    raise TemplateError(
        place, f"the picture {name!r} stands in a table cell", "Give it a text box of its own"
    )


def text_in(shape: Element) -> str:
    """The text of a shape."""
    body = child(shape, "txBody")
    return "".join(text_of(p) for p in body if local(p) == "p").strip() if body is not None else ""


def rule_of(shape: Element, place: str) -> Statement | None:
    """The statement a shape rules its slide with."""
    text = text_in(shape)
    if not opens_statement(text):
        return None
    found = list(pieces(text, place))
    if len(found) != 1 or not found[0].body.startswith("slide "):
        return None
    rule = statement(found[0].body.removeprefix("slide ").strip(), place)
    if rule.word not in {"for", "if"}:
        raise TemplateError(
            place, f"a slide cannot be ruled by {rule.word!r}", "Write {% slide for c in sales.rows %}"
        )
    return rule


def _scopes(rules: list[Statement], language: Language, scope: Scope, place: str) -> Iterator[Scope]:
    """The scopes of a slide: its rules one in another, in the order of the shapes."""
    if not rules:
        yield scope
        return
    rule, inner = rules[0], rules[1:]
    if rule.word == "for":
        for turn in language.loop(rule, scope, place):
            yield from _scopes(inner, language, turn, place)
    elif rule.condition is None or language.holds(rule.condition, scope, place):
        yield from _scopes(inner, language, scope, place)
