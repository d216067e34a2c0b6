"""A Word template filled: text over split runs, repeating rows, blocks, conditions, pictures, charts."""

from dataclasses import dataclass, field
from html import escape
from typing import Any

from rendering.autocorrect import may_hold_tags
from rendering.flow import Flow, Kind
from rendering.language import Language, Scope
from rendering.lists import Lists
from rendering.marks import Marks
from rendering.media import Media, size
from rendering.model import RenderData, RenderOptions, TemplateError
from rendering.office_charts import fill_chart, fill_charts
from rendering.opc import Package, descendants, local, serialize
from rendering.program import Call, Context, write_all

Element = Any
MAX_CHARTS = 1_000
_PARTS = ("header", "footer", "footnotes", "endnotes", "comments")
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_CHART_PARTS = frozenset({"package", "chartStyle", "chartColorStyle"})


def fill_docx(template: bytes, data: RenderData, options: RenderOptions) -> tuple[bytes, list[str]]:
    """Fill a document; parts without tags stay the bytes they were."""
    package = Package(template)
    found = package.related("", "officeDocument")
    if not found or local(package.xml(found[0])) != "document":
        raise TemplateError("template", "it is no Word document", "Upload a docx file")
    main = found[0]
    media = Media(package, data, options, _folder(main))
    warnings = media.warnings
    lists = Lists(package, main, warnings)
    document = _Document(package, Language(data, options), media, lists, options.limits.part_bytes, warnings)
    for part, place in parts_of(package, main):
        document.fill(part, place)
    lists.save()
    document.warnings.extend(fill_charts(package, Scope(data), options, document.own_charts))
    for settings in package.related(main, "settings"):
        if any(rel.kind == "attachedTemplate" for rel in package.rels(settings)):
            _detach(package, settings)
    return package.save(), document.warnings


def parts_of(package: Package, main: str) -> list[tuple[str, str]]:
    """The parts of a document that hold text, and what people call them."""
    found = [(main, "document")]
    for kind in _PARTS:
        related = list(dict.fromkeys(package.related(main, kind)))
        found.extend((p, f"{kind} {n}" if len(related) > 1 else kind) for n, p in enumerate(related, 1))
    return found


def _folder(main: str) -> str:
    return main.rpartition("/")[0] or "word"


@dataclass(slots=True)
class _Document:
    package: Package
    language: Language
    media: Media
    lists: Lists
    left: int  # characters all parts together may still grow by
    warnings: list[str]
    own_charts: set[str] = field(default_factory=set)

    def fill(self, part: str, place: str) -> None:
        """Fill one part."""
        content = self.package.read(part)
        if not may_hold_tags(content):
            return
        root = self.package.xml(part)
        marks = Marks.of(content)
        charts = _Charts(self, part)
        self.lists.mark(root, marks)
        steps = Flow(Kind(self._picture, self._blip, charts.step), place, marks).read(root)
        if marks.empty:
            return
        numbers = [int(e.get("id")) for e in root.iter("{*}docPr") if e.get("id", "").isdigit()]
        at = Context(self.language, part, self.left, max(numbers, default=0))
        out: list[str] = []
        write_all(steps, out, at, Scope(self.language.data))
        self.left = at.left
        charts.drop_originals()
        self.package.write(part, "".join(out).encode())

    def _picture(self, name: str, place: str) -> Call:
        def drawing(at: Context, _: Scope) -> str:
            rel, image = self.media.add(at.owner, name, place)
            return _inline(rel, name, at.number(), size(image))

        return Call(drawing)

    def _blip(self, name: str, place: str) -> Call:
        return Call(lambda at, _: self.media.add(at.owner, name, place)[0])


@dataclass(slots=True)
class _Charts:
    """The native charts of one part that stand in repeated blocks: every turn has one of its own."""

    document: _Document
    part: str
    _asked: dict[str, str] = field(default_factory=dict)

    def step(self, rel: str) -> Call:
        """What writes the relationship of a chart."""
        package = self.document.package
        target = next((r.target for r in package.rels(self.part) if r.id == rel), "")
        if target not in package:
            return Call(lambda _at, _scope: escape(rel))
        self._asked[rel] = target
        return Call(lambda at, scope: self._copy(target, at, scope))

    def _copy(self, target: str, at: Context, scope: Scope) -> str:
        package = self.document.package
        if len(self.document.own_charts) >= MAX_CHARTS:
            raise TemplateError(self.part, f"there would be more than {MAX_CHARTS} charts", "Filter the data")
        new = package.copy(target, _CHART_PARTS)
        self.document.own_charts.add(new)
        at.spend(len(package.read(new)))
        self.document.warnings.extend(fill_chart(package, new, scope, at.language.options))
        return package.add_rel(at.owner, _OFFICE + "/chart", new)

    def drop_originals(self) -> None:
        """Remove the charts the copies were made from."""
        package = self.document.package
        for rel, target in self._asked.items():
            for other in [r.target for r in package.rels(target) if r.kind in _CHART_PARTS]:
                package.remove(other)
            package.remove(target)
            package.remove_rel(self.part, rel)


def _detach(package: Package, settings: str) -> None:
    """Forget the template file the document was made with: it lies on somebody's disk."""
    root = package.xml(settings)
    for element in descendants(root, "attachedTemplate"):
        element.getparent().remove(element)
    package.write(settings, serialize(root))
    package.drop_rels(settings, "attachedTemplate")


def _inline(rel: str, name: str, number: int, extent: tuple[int, int]) -> str:
    """A picture in the line of text."""
    width, height = extent
    return (
        '<w:drawing xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
        f'xmlns:wp="{_DRAWING}wordprocessingDrawing" '
        f'xmlns:a="{_DRAWING}main" xmlns:pic="{_DRAWING}picture" xmlns:r="{_OFFICE}">'
        f'<wp:inline distT="0" distB="0" distL="0" distR="0"><wp:extent cx="{width}" cy="{height}"/>'
        f'<wp:docPr id="{number}" name="Picture {number}" descr="{escape(name)}"/>'
        f"<wp:cNvGraphicFramePr/><a:graphic>"
        f'<a:graphicData uri="{_DRAWING}picture"><pic:pic><pic:nvPicPr><pic:cNvPr id="0" name="Picture"/>'
        f'<pic:cNvPicPr/></pic:nvPicPr><pic:blipFill><a:blip r:embed="{rel}"/><a:stretch><a:fillRect/>'
        '</a:stretch></pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/>'
        f'<a:ext cx="{width}" cy="{height}"/></a:xfrm>'
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr></pic:pic></a:graphicData>'
        "</a:graphic></wp:inline></w:drawing>"
    )
