"""Vector pictures as PNG, for files that cannot show SVG. Same drawing, same bytes."""

import base64
from dataclasses import replace
from io import BytesIO
from typing import Any

from rendering.images import MAX_PIXELS, Picture
from rendering.layout import data_only, font_time, weasyprint_module
from rendering.model import TemplateError

SCALE = 2.0  # two device pixels per pixel: sharp in print, still small


def to_png(image: Picture) -> Picture:
    """The picture as PNG if it is SVG, else the picture."""
    if image.extension != "svg":
        return image
    source = base64.b64encode(image.content).decode()
    size = f"{image.width}px {image.height}px"
    page = (
        f"<style>@page{{size:{size};margin:0}}body{{margin:0}}img{{display:block}}</style>"
        f'<img width="{image.width}" height="{image.height}" src="data:image/svg+xml;base64,{source}">'
    )
    pages = pdf_to_png(_pdf(page), 72 * 96 / 72 * SCALE, limit=1)
    return replace(image, content=pages[0], mime="image/png", extension="png")


def pdf_to_png(pdf: bytes, dpi: float, limit: int) -> list[bytes]:
    """The first pages of a PDF as PNG pictures."""
    pdfium = _pdfium()
    document = pdfium.PdfDocument(pdf)
    try:
        result = []
        for number in range(min(len(document), limit)):
            page = document[number]
            width, height = page.get_size()
            # A page may be as large as its template says: then it is drawn smaller.
            most = (MAX_PIXELS / max(width * height, 1)) ** 0.5
            bitmap = page.render(scale=min(dpi / 72, most))
            out = BytesIO()
            bitmap.to_pil().save(out, "PNG", optimize=False, compress_level=6)
            result.append(out.getvalue())
        return result
    finally:
        document.close()


def _pdf(page: str) -> bytes:
    weasyprint = weasyprint_module()
    with font_time(0):
        content: bytes = weasyprint.HTML(string=page, url_fetcher=data_only(weasyprint, [])).write_pdf()
    return content


def _pdfium() -> Any:
    try:
        import pypdfium2  # type: ignore[import-untyped]  # noqa: PLC0415 - for pictures only
    except ImportError as error:
        raise TemplateError("PNG", "pypdfium2 is not installed", "Install the extra 'rendering'") from error
    return pypdfium2
