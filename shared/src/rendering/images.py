"""Pictures: what kind of bytes they are, how large they are drawn, how they stand in a page."""

import base64
import re
import struct
from dataclasses import dataclass

from rendering.charts import drawn
from rendering.model import ChartSpec, RenderData, RenderOptions, TemplateError

MAX_IMAGE_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 50_000_000  # a picture of a few bytes may declare any size


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture ready to stand in a file. Sizes are pixels; warnings say what a chart could not show."""

    content: bytes
    mime: str
    extension: str
    width: int
    height: int
    warnings: tuple[str, ...] = ()


def picture(name: str, data: RenderData, options: RenderOptions, place: str) -> Picture:
    """The picture of that name; charts are drawn."""
    found = data.images.get(name)
    if found is None:
        known = ", ".join(sorted(data.images)) or "none"
        raise TemplateError(place, f"there is no chart or image called {name!r}", f"Known names: {known}")
    if isinstance(found, ChartSpec):
        content, warnings = drawn(found, options)
        return Picture(content, "image/svg+xml", "svg", found.width, found.height, tuple(warnings))
    return identify(found, place)


def identify(content: bytes, place: str) -> Picture:
    """Read kind and size from the first bytes; refuse what is no picture or could fill the memory."""
    if len(content) > MAX_IMAGE_BYTES:
        raise TemplateError(
            place, f"a picture has more than {MAX_IMAGE_BYTES} bytes", "Use a smaller picture"
        )
    for sniff in (_png, _gif, _jpeg, _svg):
        found = sniff(content)
        if found is not None:
            if found.width * found.height > MAX_PIXELS:
                raise TemplateError(
                    place, f"a picture has more than {MAX_PIXELS} pixels", "Use a smaller picture"
                )
            return found
    raise TemplateError(place, "a picture is neither PNG, JPEG, GIF nor SVG", "Use one of these")


def data_uri(image: Picture) -> str:
    """The picture as an address that needs no network."""
    return f"data:{image.mime};base64,{base64.b64encode(image.content).decode()}"


def _png(content: bytes) -> Picture | None:
    if not content.startswith(b"\x89PNG\r\n\x1a\n") or len(content) < 24:  # noqa: PLR2004 - header and IHDR
        return None
    width, height = struct.unpack(">II", content[16:24])
    return Picture(content, "image/png", "png", width, height)


def _gif(content: bytes) -> Picture | None:
    if content[:6] not in {b"GIF87a", b"GIF89a"} or len(content) < 10:  # noqa: PLR2004 - header and screen size
        return None
    width, height = struct.unpack("<HH", content[6:10])
    return Picture(content, "image/gif", "gif", width, height)


def _jpeg(content: bytes) -> Picture | None:
    if not content.startswith(b"\xff\xd8\xff"):
        return None
    at = 2
    while at + 9 < len(content):
        if content[at] != 0xFF:  # noqa: PLR2004 - a marker begins with it
            return None
        marker = content[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:  # noqa: PLR2004 - frame headers
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return Picture(content, "image/jpeg", "jpeg", width, height)
        at += 2 + struct.unpack(">H", content[at + 2 : at + 4])[0]
    return None


def _svg(content: bytes) -> Picture | None:
    head = content[:2000].lstrip()
    if not (head.startswith((b"<svg", b"<?xml")) and b"<svg" in head) or b"<!DOCTYPE" in content:
        return None
    sizes = [re.search(rb"<svg[^>]*\s" + side + rb"=[\"'](\d{1,5})", head) for side in (b"width", b"height")]
    width, height = (int(found[1]) if found else size for found, size in zip(sizes, (800, 400), strict=True))
    return Picture(content, "image/svg+xml", "svg", width, height)
