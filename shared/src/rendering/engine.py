"""The face of the engine: template, data and options in; a file out; the same input gives the same bytes."""

from collections.abc import Callable, Mapping

from rendering import html, plain
from rendering.docx import fill_docx
from rendering.gate import gate
from rendering.model import (
    CONTENT_TYPES,
    OutputFormat,
    RenderData,
    Rendered,
    RenderOptions,
    TemplateError,
    TemplateKind,
)
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
    return html.render_html(template, data, options).encode(), []


def _pdf(template: bytes, data: RenderData, options: RenderOptions) -> Answer:
    return html.to_pdf(html.render_html(template, data, options), data, options)


def _png(template: bytes, data: RenderData, options: RenderOptions) -> Answer:
    """The first page as a picture: for previews and for the body of a mail."""
    pdf, warnings = _pdf(template, data, options)
    return pdf_to_png(pdf, PREVIEW_DPI, limit=1)[0], warnings


def _plain(output: OutputFormat) -> Renderer:
    def renderer(_: bytes, data: RenderData, options: RenderOptions) -> Answer:
        table = plain.table_of(data, options)
        return plain.to_bytes(table, output, options, data.meta.report or options.table), []

    return renderer


RENDERERS: Mapping[tuple[TemplateKind, OutputFormat], Renderer] = {
    (TemplateKind.XLSX, OutputFormat.XLSX): fill_xlsx,
    (TemplateKind.XLSM, OutputFormat.XLSM): fill_xlsx,
    (TemplateKind.DOCX, OutputFormat.DOCX): fill_docx,
    (TemplateKind.PPTX, OutputFormat.PPTX): fill_pptx,
    (TemplateKind.HTML, OutputFormat.HTML): _html,
    (TemplateKind.HTML, OutputFormat.PDF): _pdf,
    (TemplateKind.HTML, OutputFormat.PNG): _png,
    **{(TemplateKind.TABLE, output): _plain(output) for output in sorted(plain.EXPORTS)},
}
"""What can become what."""
