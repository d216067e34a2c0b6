"""A PowerPoint template filled: text, tables, pictures, charts; slides repeat and long tables run over.

A shape whose text is ``{% slide for c in by_carrier.rows %}`` or ``{% slide if cancelled > 0 %}`` rules its
slide and vanishes: the slide is written once per turn, or only under the condition. A table with a repeating
row that does not fit its slide goes on, with its other rows, on copies of the slide.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from lxml import etree

from rendering.flow import Flow, Pictures, text_of
from rendering.language import Language, Scope
from rendering.media import EMU, Media, asked
from rendering.model import RenderData, RenderOptions, TemplateError
from rendering.office_charts import fill_chart
from rendering.opc import Package, child, descendants, local, namespace, serialize
from rendering.tags import Statement, has_tags, pieces, statement
from rendering.xlsx.sheet import expressions_in, is_column

Element = Any
MAX_SLIDES = 1_000
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MARGIN = 36 * 12_700  # half an inch stays free at the foot of a slide
_OWN = frozenset({"chart", "package"})  # every slide has its own numbers
_NOT_COPIED = frozenset({"notesSlide"})  # notes belong to one slide
_FIRST_ID = 256  # slide ids below are reserved


@dataclass(frozen=True, slots=True)
class _Show:
    """One slide to be written: which slide of the template, with which names and rows."""

    part: str
    scope: Scope


def fill_pptx(template: bytes, data: RenderData, options: RenderOptions) -> tuple[bytes, list[str]]:
    """Fill a presentation; slides without tags stay the bytes they were."""
    package = Package(template)
    found = package.related("", "officeDocument")
    if not found or local(package.xml(found[0])) != "presentation":
        raise TemplateError("template", "it is no PowerPoint presentation", "Upload a pptx file")
    deck = _Deck(package, found[0], data, options)
    shows = deck.shows()
    deck.write(shows)
    return package.save(), []


class _Deck:
    """The presentation part and its slides."""

    def __init__(self, package: Package, part: str, data: RenderData, options: RenderOptions) -> None:
        self.package, self.part, self.data, self.options = package, part, data, options
        self.root = package.xml(part)
        self.media = Media(package, data, options, "ppt")
        self.targets = {rel.id: rel.target for rel in package.rels(part) if not rel.external}
        size = child(self.root, "sldSz")
        self.height = int(size.get("cy", "6858000")) if size is not None else 6_858_000

    def slides(self) -> list[tuple[Element, str]]:
        """Entries of the slide list and the parts they show."""
        holder = child(self.root, "sldIdLst")
        entries = [e for e in (holder if holder is not None else ()) if local(e) == "sldId"]
        rels = [(e, next((v for k, v in e.attrib.items() if k.endswith("}id")), "")) for e in entries]
        return [(e, self.targets[r]) for e, r in rels if self.targets.get(r, "") in self.package]

    def shows(self) -> list[tuple[Element, list[_Show]]]:
        """What every slide of the template becomes: none, one or many."""
        result, count = [], 0
        for entry, part in self.slides():
            shows = list(self._of(part))
            count += len(shows)
            if count > MAX_SLIDES:
                raise TemplateError(part, f"there would be more than {MAX_SLIDES} slides", "Filter the data")
            result.append((entry, shows))
        return result

    def _of(self, part: str) -> Iterator[_Show]:
        root = self.package.xml(part)
        rule = next((r for shape in descendants(root, "sp") if (r := _rule(shape, part)) is not None), None)
        language = Language(self.data, self.options)
        for scope in _scopes(rule, language, Scope(self.data), part):
            for page in self._pages(root, scope):
                yield _Show(part, page)

    def _pages(self, root: Element, scope: Scope) -> Iterator[Scope]:
        """The scopes of a slide: one, or one per page if a table would run over its foot."""
        name, rows = "", 0
        for frame in descendants(root, "graphicFrame"):
            for table in descendants(frame, "tbl"):
                found = _repeating(table, scope)
                if found:
                    fits = self._fits(frame, table)
                    if not name or fits < rows:
                        name, rows = found, fits
        whole = self.data.tables.get(name)
        if whole is None or len(whole.rows) <= rows:
            yield scope
            return
        for start in range(0, len(whole.rows), rows):
            yield replace(scope, pages={name: slice(start, start + rows)})

    def _fits(self, frame: Element, table: Element) -> int:
        """How many repeated rows the slide has room for."""
        offset = next(iter(descendants(frame, "off")), None)
        top = int(offset.get("y", "0")) if offset is not None else 0
        rows = [row for row in table if local(row) == "tr"]
        heights = [max(int(row.get("h", "370840")), 1) for row in rows]
        repeated = [
            h for row, h in zip(rows, heights, strict=True) if has_tags(text_of(row)) and "." in text_of(row)
        ]
        height = repeated[0] if repeated else heights[0]
        room = self.height - _MARGIN - top - (sum(heights) - height)
        return max(room // height, 1)

    def write(self, planned: list[tuple[Element, list[_Show]]]) -> None:
        """Write the slides and their list."""
        holder = child(self.root, "sldIdLst")
        ids = [int(e.get("id", "0")) for e in descendants(self.root, "sldId")]
        number = max([_FIRST_ID, *ids])
        changed = False
        for entry, shows in planned:
            at = list(holder).index(entry)
            copies = (
                [shows[0].part, *(self.package.copy(show.part, _OWN, _NOT_COPIED) for show in shows[1:])]
                if shows
                else []
            )
            if not shows:
                holder.remove(entry)
                changed = True
            for turn, part in enumerate(copies):
                if turn:
                    number += 1
                    changed = True
                    new = deepcopy(entry)
                    new.set("id", str(number))
                    key = next(k for k in new.attrib if k.endswith("}id"))
                    new.set(key, self.package.add_rel(self.part, _OFFICE + "/slide", part))
                    holder.insert(at + turn, new)
            for show, part in zip(shows, copies, strict=True):
                self._fill(part, show)
        if changed:
            self._sections()
            self.package.write(self.part, serialize(self.root))

    def _sections(self) -> None:
        """Forget sections: they list slides by number, and a slide in none of them is an error."""
        for element in descendants(self.root, "ext"):
            if any(local(e) == "sectionLst" for e in element):
                element.getparent().remove(element)

    def _fill(self, part: str, show: _Show) -> None:
        for rel in self.package.rels(part):
            if rel.kind == "chart" and rel.target in self.package:
                fill_chart(self.package, rel.target, Scope(self.data, show.scope.names), self.options)
        if b"{" not in self.package.read(part):
            return
        root = self.package.xml(part)
        before = etree.tostring(root)
        for shape in descendants(root, "sp"):
            if _rule(shape, part) is not None:
                shape.getparent().remove(shape)
        language = Language(self.data, self.options)
        self._pictures(root, part)
        Flow(language, part, _NoInline()).fill(root, show.scope)
        self.media.swap(root, part, language, show.scope)
        if etree.tostring(root) != before:
            self.package.write(part, serialize(root))

    def _pictures(self, root: Element, part: str) -> None:
        """A shape whose text asks for a picture becomes that picture, in its place and no larger."""
        for shape in descendants(root, "sp"):
            body = child(shape, "txBody")
            text = "".join(text_of(p) for p in body if local(p) == "p") if body is not None else ""
            name = asked(text, part) if has_tags(text) else None
            if name is None:
                continue
            offset = next(iter(descendants(shape, "xfrm")), None)
            if offset is None:
                raise TemplateError(
                    part, f"the shape for {name!r} takes its place from the layout", "Move or resize it once"
                )
            rel, image = self.media.add(part, name, part)
            shape.getparent().replace(shape, _picture(shape, offset, rel, name, (image.width, image.height)))


def _picture(shape: Element, frame: Element, rel: str, name: str, size: tuple[int, int]) -> Element:
    space, drawing = namespace(shape), namespace(frame)
    place, extent = child(frame, "off"), child(frame, "ext")
    x, y, width, height = (
        int(e.get(k)) for e, k in ((place, "x"), (place, "y"), (extent, "cx"), (extent, "cy"))
    )
    scale = min(width / (size[0] * EMU), height / (size[1] * EMU))
    fit = round(size[0] * EMU * scale), round(size[1] * EMU * scale)
    properties = next(iter(descendants(shape, "cNvPr")), None)
    number = properties.get("id", "2") if properties is not None else "2"
    left, top = x + (width - fit[0]) // 2, y + (height - fit[1]) // 2
    picture = etree.fromstring(
        f'<p:pic xmlns:p="{space[1:-1]}" xmlns:a="{drawing[1:-1]}" xmlns:r="{_OFFICE}">'
        f'<p:nvPicPr><p:cNvPr id="{number}" name="Picture {number}"/>'
        '<p:cNvPicPr><a:picLocks noChangeAspect="1"/></p:cNvPicPr><p:nvPr/></p:nvPicPr>'
        f'<p:blipFill><a:blip r:embed="{rel}"/><a:stretch><a:fillRect/></a:stretch></p:blipFill>'
        f'<p:spPr><a:xfrm><a:off x="{left}" y="{top}"/><a:ext cx="{fit[0]}" cy="{fit[1]}"/></a:xfrm>'
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></p:spPr></p:pic>'
    )
    picture[0][0].set("descr", name)
    return picture


class _NoInline(Pictures):
    """Text of a slide cannot hold pictures; shapes that ask for one were replaced before."""

    def place(self, run: Element, name: str) -> None:
        del run
        raise TemplateError(
            "slide", f"the picture {name!r} stands in a table cell", "Give it a text box of its own"
        )


def _rule(shape: Element, place: str) -> Statement | None:
    """The statement a shape rules its slide with."""
    body = child(shape, "txBody")
    text = "".join(text_of(p) for p in body if local(p) == "p").strip() if body is not None else ""
    if not text.startswith("{%"):
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


def _scopes(rule: Statement | None, language: Language, scope: Scope, place: str) -> Iterator[Scope]:
    if rule is None:
        yield scope
    elif rule.word == "for":
        yield from language.loop(rule, scope, place)
    elif rule.condition is None or language.holds(rule.condition, scope, place):
        yield scope


def _repeating(table: Element, scope: Scope) -> str:
    """The table of data a table of the slide repeats its row for."""
    for row in table:
        text = text_of(row) if local(row) == "tr" else ""
        if not has_tags(text) or "{%" in text:
            continue
        for one in expressions_in(text, "slide"):
            for path, _, _ in one.paths:
                if is_column(path, set(scope.names)) and path[0] in scope.data.tables:
                    return path[0]
    return ""
