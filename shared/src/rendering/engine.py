"""The face of the engine: template, data and options in; a file out; the same input gives the same bytes."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from rendering import convert, html, plain
from rendering.docx import fill_docx
from rendering.gating import gate
from rendering.mail_safe import mail_safe
from rendering.model import (
    CONTENT_TYPES,
    OutputFormat,
    RenderData,
    Rendered,
    RenderOptions,
    TemplateError,
    TemplateKind,
)
from rendering.pdf import settled
from rendering.pptx import fill_pptx
from rendering.raster import pdf_to_png
from rendering.xlsx.book import fill_xlsx

PREVIEW_DPI = 110.0
Answer = tuple[bytes, list[str]]
Renderer = Callable[[bytes, RenderData, RenderOptions], Answer]


def render(
    kind: TemplateKind, template: bytes, data: RenderData, options: RenderOptions, output: OutputFormat
) -> Rendered:
    """Make one file. Raises TemplateError for what is wrong with the template, with place and remedy.

    The template has to be looked at by ``gate`` first; this is done here too, because it costs little and
    forgetting it would cost much. Run it in a process with limits: memory and time are bounded by what a
    template can ask for, not by what is good for the machine.
    """
    gate(template, options.limits, macros=kind is TemplateKind.XLSM)
    renderer = RENDERERS.get((kind, output))
    if renderer is None:
        known = sorted(o.value for k, o in RENDERERS if k is kind)
        raise TemplateError(
            "report",
            f"a {kind.value} template cannot become {output.value}",
            f"Choose one of: {', '.join(known)}",
        )
    content, warnings = renderer(template, data, options)
    return Rendered(content, CONTENT_TYPES[output], output.value, tuple(dict.fromkeys(warnings)))


def _html(template: bytes, data: RenderData, options: RenderOptions) -> Answer:
    filled, of_charts = html.render_html(template, data, options, vectors=False)
    page, warnings = mail_safe(filled)
    return page.encode(), [*of_charts, *warnings]


def _pdf(template: bytes, data: RenderData, options: RenderOptions) -> Answer:
    page, of_charts = html.render_html(template, data, options)
    content, warnings = html.to_pdf(page, data, options)
    return content, [*of_charts, *warnings]


def _converted(filled: Renderer, output: OutputFormat) -> Renderer:
    """An Office template filled, then made a PDF."""

    def renderer(template: bytes, data: RenderData, options: RenderOptions) -> Answer:
        content, warnings = filled(template, data, options)
        return settled(convert.to_pdf(content, output, options), data.meta.now), warnings

    return renderer


def _png(pdf_of: Renderer) -> Renderer:
    """The first page as a picture: for previews and for the body of a mail."""

    def renderer(template: bytes, data: RenderData, options: RenderOptions) -> Answer:
        pdf, warnings = pdf_of(template, data, replace(options, pdf_archive=""))
        return pdf_to_png(pdf, options.image_dpi or PREVIEW_DPI, limit=1)[0], warnings

    return renderer


def _plain(output: OutputFormat) -> Renderer:
    def renderer(_: bytes, data: RenderData, options: RenderOptions) -> Answer:
        table = plain.table_of(data, options)
        return plain.to_bytes(table, output, options, data.meta.report or options.table), []

    return renderer


_OFFICE: Mapping[TemplateKind, tuple[Renderer, OutputFormat]] = {
    TemplateKind.XLSX: (fill_xlsx, OutputFormat.XLSX),
    TemplateKind.XLSM: (fill_xlsx, OutputFormat.XLSM),
    TemplateKind.DOCX: (fill_docx, OutputFormat.DOCX),
    TemplateKind.PPTX: (fill_pptx, OutputFormat.PPTX),
}

RENDERERS: Mapping[tuple[TemplateKind, OutputFormat], Renderer] = {
    **{(kind, own): fill for kind, (fill, own) in _OFFICE.items()},
    **{(kind, OutputFormat.PDF): _converted(*office) for kind, office in _OFFICE.items()},
    **{(kind, OutputFormat.PNG): _png(_converted(*office)) for kind, office in _OFFICE.items()},
    (TemplateKind.HTML, OutputFormat.HTML): _html,
    (TemplateKind.HTML, OutputFormat.PDF): _pdf,
    (TemplateKind.HTML, OutputFormat.PNG): _png(_pdf),
    **{(TemplateKind.TABLE, output): _plain(output) for output in sorted(plain.EXPORTS)},
}
"""What can become what."""
