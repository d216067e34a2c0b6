"""Pictures in Office packages: added as parts, or put in place of a picture of the template."""

from dataclasses import dataclass, field
from typing import Any

from rendering.images import Picture, picture
from rendering.language import Language, Scope
from rendering.model import RenderData, RenderOptions
from rendering.opc import Package, descendants, local
from rendering.raster import to_png
from rendering.tags import expression, has_tags, pieces
from rendering.text import fill

Element = Any
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
EMU = 9_525  # units of an Office drawing in a pixel
_MAX_WIDTH = 15.9  # centimetres of text on an A4 page with ordinary margins
_EMU_CM = 360_000


@dataclass(slots=True)
class Media:
    """Adds pictures to a package; each picture is one part, however often it is shown.

    ``warnings`` gets what charts could not show.
    """

    package: Package
    data: RenderData
    options: RenderOptions
    folder: str
    warnings: list[str] = field(default_factory=list)
    _parts: dict[str, tuple[str, Picture]] = field(default_factory=dict)
    _rels: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, owner: str, name: str, place: str) -> tuple[str, Picture]:
        """The relationship id of a picture in a part, and the picture."""
        if name not in self._parts:
            image = to_png(picture(name, self.data, self.options, place))
            self.warnings.extend(image.warnings)
            part = self.package.free_name(f"{self.folder}/media/image{{}}.{image.extension}")
            self.package.write(part, image.content)
            self.package.declare_extension(image.extension, image.mime)
            self._parts[name] = part, image
        part, image = self._parts[name]
        if (owner, part) not in self._rels:
            self._rels[owner, part] = self.package.add_rel(owner, REL + "/image", part)
        return self._rels[owner, part], image

    def swap(self, root: Element, owner: str, language: Language, scope: Scope) -> bool:
        """Fill alternative texts; a picture whose alternative text asks for another becomes it."""
        changed = False
        for properties in descendants(root, "docPr", "cNvPr"):
            for attribute in ("descr", "title"):
                text = properties.get(attribute, "")
                if not has_tags(text):
                    continue
                changed = True
                name = asked(text, owner)
                if name is None:
                    properties.set(attribute, fill(text, language, scope, owner))
                    continue
                properties.set(attribute, name)
                blip = blip_beside(properties)
                if blip is not None:
                    new, _ = self.add(owner, name, owner)
                    for key in [k for k in blip.attrib if k.endswith("}embed")]:
                        blip.set(key, new)
                    for extension in [e for e in blip if local(e) == "extLst"]:
                        blip.remove(extension)  # the vector twin of the old picture
        return changed


def asked(text: str, place: str) -> str | None:
    """The picture a text asks for, if it is nothing else: ``{{ image('logo') }}``."""
    found = list(pieces(text.strip(), place))
    return expression(found[0].body, place).picture if len(found) == 1 and found[0].kind == "value" else None


def blip_beside(properties: Element) -> Element | None:
    """The picture an alternative text belongs to."""
    holder = properties.getparent()
    while holder is not None and local(holder) not in {
        "inline",
        "anchor",
        "pic",
        "twoCellAnchor",
        "oneCellAnchor",
    }:
        holder = holder.getparent()
    return next(iter(descendants(holder, "blip")), None) if holder is not None else None


def size(image: Picture) -> tuple[int, int]:
    """Width and height in drawing units, no wider than a page."""
    width, height = image.width * EMU, image.height * EMU
    limit = int(_MAX_WIDTH * _EMU_CM)
    return (width, height) if width <= limit else (limit, round(height * limit / width))
