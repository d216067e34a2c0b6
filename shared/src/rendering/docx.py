"""A Word template filled: text over split runs, repeating rows, blocks, conditions, pictures, charts."""

from typing import Any

from lxml import etree

from rendering.flow import Flow, Pictures
from rendering.language import Language, Scope
from rendering.media import Media, size
from rendering.model import RenderData, RenderOptions, TemplateError
from rendering.office_charts import fill_charts
from rendering.opc import Package, child, descendants, local, serialize

Element = Any
_PARTS = ("header", "footer", "footnotes", "endnotes", "comments")
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def fill_docx(template: bytes, data: RenderData, options: RenderOptions) -> tuple[bytes, list[str]]:
    """Fill a document; parts without tags stay the bytes they were."""
    package = Package(template)
    found = package.related("", "officeDocument")
    if not found or local(package.xml(found[0])) != "document":
        raise TemplateError("template", "it is no Word document", "Upload a docx file")
    main = found[0]
    language = Language(data, options)
    media = Media(package, data, options, main.rpartition("/")[0] or "word")
    for part in [main, *(p for kind in _PARTS for p in package.related(main, kind))]:
        _fill_part(package, part, language, media, Scope(data))
    fill_charts(package, Scope(data), options)
    for settings in package.related(main, "settings"):
        if any(rel.kind == "attachedTemplate" for rel in package.rels(settings)):
            _detach(package, settings)
    return package.save(), []


def _fill_part(package: Package, part: str, language: Language, media: Media, scope: Scope) -> None:
    content = package.read(part)
    if b"{" not in content:
        return
    root = package.xml(part)
    before = etree.tostring(root)
    Flow(language, part, _Inline(media, part)).fill(root, scope)
    media.swap(root, part, language, scope)
    if etree.tostring(root) != before:
        _renumber(root)
        package.write(part, serialize(root))


def _detach(package: Package, settings: str) -> None:
    """Forget the template file the document was made with: it lies on somebody's disk."""
    root = package.xml(settings)
    for element in descendants(root, "attachedTemplate"):
        element.getparent().remove(element)
    package.write(settings, serialize(root))
    package.drop_rels(settings, "attachedTemplate")


def _renumber(root: Element) -> None:
    """Give every drawing an id of its own, and every bookmark one place: repeating copied them."""
    for number, properties in enumerate(descendants(root, "docPr"), 1):
        properties.set("id", str(number))
    seen: set[str] = set()
    gone: set[str] = set()
    for mark in descendants(root, "bookmarkStart", "bookmarkEnd"):
        key = next((v for k, v in mark.attrib.items() if k.endswith("}id")), "")
        name = local(mark) + key
        if name in seen:
            gone.add(name)
            mark.getparent().remove(mark)
        seen.add(name)


class _Inline(Pictures):
    """Pictures in the line of text."""

    def __init__(self, media: Media, part: str) -> None:
        self._media = media
        self._part = part

    def place(self, run: Element, name: str) -> None:
        rel, image = self._media.add(self._part, name, self._part)
        width, height = size(image)
        space = str(run.tag)[: str(run.tag).index("}") + 1]
        drawing = etree.fromstring(
            f'<w:drawing xmlns:w="{space[1:-1]}" xmlns:wp="{_DRAWING}wordprocessingDrawing" '
            f'xmlns:a="{_DRAWING}main" xmlns:pic="{_DRAWING}picture" xmlns:r="{_OFFICE}">'
            f'<wp:inline distT="0" distB="0" distL="0" distR="0"><wp:extent cx="{width}" cy="{height}"/>'
            '<wp:docPr id="1" name="Picture"/><wp:cNvGraphicFramePr/><a:graphic>'
            f'<a:graphicData uri="{_DRAWING}picture"><pic:pic><pic:nvPicPr><pic:cNvPr id="0" name="Picture"/>'
            f'<pic:cNvPicPr/></pic:nvPicPr><pic:blipFill><a:blip r:embed="{rel}"/><a:stretch><a:fillRect/>'
            '</a:stretch></pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/>'
            f'<a:ext cx="{width}" cy="{height}"/></a:xfrm>'
            '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr></pic:pic></a:graphicData>'
            "</a:graphic></wp:inline></w:drawing>"
        )
        child(drawing[0], "docPr").set("descr", name)
        for text in [e for e in run if local(e) == "t"]:
            run.remove(text)
        run.append(drawing)
