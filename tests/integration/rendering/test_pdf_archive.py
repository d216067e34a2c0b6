"""PDF/A of every level and producer, judged by veraPDF."""

from io import BytesIO
from pathlib import Path
from zlib import compress, crc32

import docx
import pytest

from rendering import (
    OutputFormat,
    RenderData,
    RenderOptions,
    TemplateError,
    TemplateKind,
    render,
)
from rendering.model import PdfArchive
from support.examples import sales
from support.report_data import report
from support.verapdf import judged, need_verapdf

EXAMPLES = Path(__file__).parents[3] / "docs" / "templates" / "examples"
LEVELS: tuple[PdfArchive, ...] = ("1b", "2b", "3b")
KINDS = (TemplateKind.HTML, TemplateKind.DOCX, TemplateKind.XLSX, TemplateKind.PPTX)


def png(alpha: int) -> bytes:
    """A picture of one pixel of this opacity."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4) + name + body + crc32(name + body).to_bytes(4)

    head = (1).to_bytes(4) + (1).to_bytes(4) + bytes([8, 6, 0, 0, 0])
    pixels = compress(bytes([0, 200, 30, 30, alpha]))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def with_picture(alpha: int) -> RenderData:
    return report({"title": "Überschrift €"}, images={"logo": png(alpha)})


PAGE = """<html lang=de><title>t</title><h1>{{{{ title }}}}</h1><p style="{}">
<a href="https://example.org">link</a> <b>bold</b> <i>italic</i></p>{}</html>"""
PLAIN, PICTURE = PAGE.format("", ""), PAGE.format("", "{{ image('logo') }}")


def document() -> bytes:
    made, out = docx.Document(), BytesIO()
    for text in ("{{ title }}", "{{ image('logo') }}"):
        made.add_paragraph(text)
    made.save(out)
    return out.getvalue()


def archived(kind: TemplateKind, template: bytes, data: RenderData, level: PdfArchive) -> bytes:
    return render(kind, template, data, RenderOptions(pdf_archive=level), OutputFormat.PDF).content


def test_every_level_from_every_kind_of_template_is_what_it_claims_to_be(tmp_path: Path) -> None:
    need_verapdf()
    files: dict[Path, str] = {}

    def add(name: str, kind: TemplateKind, template: bytes, data: RenderData, level: PdfArchive) -> None:
        file = tmp_path / f"{name}-{level}.pdf"
        file.write_bytes(archived(kind, template, data, level))
        files[file] = level

    for level in LEVELS:
        for kind in KINDS:
            add(f"sales-{kind.value}", kind, (EXAMPLES / f"sales.{kind.value}").read_bytes(), sales(), level)
        add("links", TemplateKind.HTML, PLAIN.encode(), with_picture(255), level)
        add("picture", TemplateKind.HTML, PICTURE.encode(), with_picture(255), level)
        add("see-through-word", TemplateKind.DOCX, document(), with_picture(90), level)
    for level in LEVELS[1:]:
        see_through = PAGE.format("opacity: 0.4", "{{ image('logo') }}")
        add("see-through", TemplateKind.HTML, see_through.encode(), with_picture(90), level)
    assert {file.name: [] for file in files} == judged(files)


@pytest.mark.parametrize(
    ("page", "alpha"),
    [
        (PICTURE, 90),
        (PAGE.format("opacity: 0.4", ""), 255),
        (PAGE.format("color: rgba(9, 9, 9, 0.5)", ""), 255),
    ],
)
def test_a_page_with_anything_transparent_cannot_be_pdf_a_1b(page: str, alpha: int) -> None:
    with pytest.raises(TemplateError, match="PDF/A-1b cannot hold transparent") as told:
        archived(TemplateKind.HTML, page.encode(), with_picture(alpha), "1b")
    assert told.value.remedy.startswith("Choose PDF/A-2b")


def test_pdf_a_1b_from_html_has_the_same_bytes_every_time() -> None:
    first, again = (archived(TemplateKind.HTML, PLAIN.encode(), with_picture(255), "1b") for _ in range(2))
    assert first == again
