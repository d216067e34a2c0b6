"""Pictures that cells ask for: ``{{ chart('sales') }}`` puts one at the cell, in its own size."""

from typing import Any

from lxml import etree

from rendering.images import Picture
from rendering.media import EMU, REL, Media
from rendering.opc import Package, local, namespace, serialize
from rendering.xlsx.formula import column_number
from rendering.xlsx.sheet import Sheet

Element = Any
_DRAW = "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"
_MAIN = "http://schemas.openxmlformats.org/drawingml/2006/main"
_AFTER = frozenset(
    {"legacyDrawing", "legacyDrawingHF", "drawingHF", "picture", "oleObjects", "controls", "webPublishItems",
     "tableParts", "extLst"}
)  # fmt: skip


def add_pictures(package: Package, sheet: Sheet, media: Media) -> None:
    """Add the pictures that were asked for while the rows of a sheet were written."""
    if not sheet.pictures:
        return
    part = _drawing(package, sheet)
    root = package.xml(part)
    taken = [int(e.get("id", "0")) for e in root.iter() if local(e) == "cNvPr" and e.get("id", "").isdigit()]
    number = max([1, *taken])
    for column, row, name in sheet.pictures:
        number += 1
        rel, image = media.add(part, name, f"{sheet.name}!{column}{row}")
        root.append(_anchor((column_number(column) - 1, row - 1), rel, name, number, image))
    package.write(part, serialize(root))


def _drawing(package: Package, sheet: Sheet) -> str:
    """The drawing part of a sheet, made if it has none."""
    found = package.related(sheet.part, "drawing")
    if found:
        return found[0]
    part = package.free_name("xl/drawings/drawing{}.xml")
    package.write(part, f'<xdr:wsDr xmlns:xdr="{_DRAW}" xmlns:a="{_MAIN}"/>'.encode())
    package.declare(part, "application/vnd.openxmlformats-officedocument.drawing+xml")
    rel = package.add_rel(sheet.part, REL + "/drawing", part)
    element = etree.Element(namespace(sheet.root) + "drawing", nsmap={"r": REL})
    element.set(f"{{{REL}}}id", rel)
    at = next((i for i, e in enumerate(sheet.root) if local(e) in _AFTER), len(sheet.root))
    sheet.root.insert(at, element)
    return part


def _anchor(place: tuple[int, int], rel: str, name: str, number: int, image: Picture) -> Element:
    column, row = place
    width, height = image.width * EMU, image.height * EMU
    anchor = etree.fromstring(
        f'<xdr:oneCellAnchor xmlns:xdr="{_DRAW}" xmlns:a="{_MAIN}" xmlns:r="{REL}">'
        f"<xdr:from><xdr:col>{column}</xdr:col><xdr:colOff>0</xdr:colOff>"
        f"<xdr:row>{row}</xdr:row><xdr:rowOff>0</xdr:rowOff></xdr:from>"
        f'<xdr:ext cx="{width}" cy="{height}"/><xdr:pic><xdr:nvPicPr>'
        f'<xdr:cNvPr id="{number}" name="Picture {number}"/>'
        '<xdr:cNvPicPr><a:picLocks noChangeAspect="1"/></xdr:cNvPicPr></xdr:nvPicPr>'
        f'<xdr:blipFill><a:blip r:embed="{rel}"/><a:stretch><a:fillRect/></a:stretch></xdr:blipFill>'
        f'<xdr:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="{width}" cy="{height}"/></a:xfrm>'
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></xdr:spPr></xdr:pic>'
        "<xdr:clientData/></xdr:oneCellAnchor>"
    )
    properties = next(e for e in anchor.iter() if local(e) == "cNvPr")
    properties.set("descr", name)
    return anchor
