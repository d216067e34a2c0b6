"""HTML templates: checked, rendered by minijinja, and made into a PDF by WeasyPrint that can reach nothing.

Page numbers, repeated table heads, headers and footers are CSS of the template (``@page``, ``thead``).
"""

import hashlib
import re
import warnings
from dataclasses import dataclass, field
from typing import Any

import minijinja

from rendering.images import data_uri, picture
from rendering.language import Language, Scope, facts_used, is_fact, plain, resolve, rewrite
from rendering.layout import data_only, font_time, weasyprint_module
from rendering.model import Cell, Limits, OutputFormat, RenderData, RenderOptions, TemplateError, raw
from rendering.pdf import archivable
from rendering.raster import to_png
from rendering.tags import (
    MAX_BLOCKS,
    PICTURE_ROOTS,
    SHOWN,
    Expression,
    Piece,
    expression,
    pieces,
    spot,
    statement,
)
from rendering.values import shown
from rendering.wide import fitted

PLACE = "template"
_COST = "broadsheet_spent"
_WITHOUT_TRANSPARENCY = "1b"  # the level of PDF/A that forbids it


def render_html(
    template: bytes, data: RenderData, options: RenderOptions, *, vectors: bool = True
) -> tuple[str, list[str]]:
    """The finished page, and warnings for what its charts could not show.

    Without ``vectors`` charts are PNG, as mail programs show no SVG.
    """
    of_charts: list[str] = []
    language = Language(data, options, html=True)
    source, used = prepare(decode(template, options.limits), data)
    context = _context(used, data, options, of_charts, vectors=vectors, texts=SHOWN in source)
    spent = _Budget(options.limits.html_bytes)
    context[_COST] = spent.take
    return language.render(source, context, PLACE), of_charts


def decode(template: bytes, limits: Limits) -> str:
    """The template as text; UTF-8 only, within its size limit."""
    if len(template) > limits.text_template_bytes:
        raise TemplateError(PLACE, f"it has more than {limits.text_template_bytes} bytes", "Make it smaller")
    try:
        return template.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateError(
            PLACE, f"byte {error.start} is not UTF-8", "Save it with the encoding UTF-8"
        ) from error


@dataclass(slots=True)
class _Budget:
    """Counts the literal text that loops repeat: fuel counts steps, not their length."""

    left: int

    def take(self, size: int) -> str:
        self.left -= size
        if self.left < 0:
            raise TemplateError(PLACE, "the output grows beyond the limit", "Loop over fewer rows")
        return ""


@dataclass(slots=True)
class _Block:
    word: str
    piece: Piece
    names: tuple[str, ...] = ()
    output_at: int = 0


@dataclass(slots=True)
class Walk:
    """One pass over a text template: checks every tag, knows which names are loop variables."""

    blocks: list[_Block] = field(default_factory=list)

    def names(self) -> dict[str, None]:
        """The loop variables in reach."""
        return {name: None for block in self.blocks for name in (*block.names, "loop") if block.word == "for"}

    def expressions(self, piece: Piece, place: str) -> list[Expression]:
        """Check one piece, keep the block structure, and return the expressions in it."""
        if piece.kind == "value":
            return [expression(piece.body, place)]
        found = statement(piece.body, place)
        if found.word in {"for", "if"}:
            self.blocks.append(_Block(found.word, piece, found.names))
            if len(self.blocks) > MAX_BLOCKS:
                raise TemplateError(place, f"more than {MAX_BLOCKS} blocks stand in each other", "Use fewer")
        elif found.word in {"endfor", "endif"}:
            if not self.blocks or self.blocks[-1].word != found.word.removeprefix("end"):
                raise TemplateError(
                    place, f"{found.word!r} closes nothing", "Remove it, or open the block before it"
                )
            self.blocks.pop()
        elif not self.blocks or (found.word == "elif" and self.blocks[-1].word != "if"):
            raise TemplateError(
                place, f"{found.word!r} stands outside a block", "Put it between 'if' and 'endif'"
            )
        return [e for e in (found.over, found.condition) if e is not None]

    def unclosed(self, text: str) -> list[TemplateError]:
        """What to say of the blocks a template ends in."""
        return [
            TemplateError(
                f"{PLACE}, {spot(text, block.piece.start)}",
                f"{block.piece.text[:60]!r} is never closed",
                f"Add {{% end{block.word} %}}",
            )
            for block in self.blocks
        ]


def prepare(text: str, data: RenderData) -> tuple[str, list[Expression]]:
    """Check all tags and write them as the engine wants them; returns the source and what it uses."""
    walk, used, out = Walk(), [], []
    open_loops: list[tuple[int, int]] = []
    for piece in pieces(text, PLACE, entities=True):
        place = f"{PLACE}, {spot(text, piece.start)}"
        if piece.kind in {"literal", "comment"}:
            out.append(piece.text if piece.kind == "literal" else "")
            continue
        before = len(walk.blocks)
        found = walk.expressions(piece, place)
        scope = Scope(data, walk.names())
        _check_columns(found, scope, place)
        written = piece.plain
        for one in found:
            written = written.replace(one.source, rewrite(one, scope), 1)
            used.extend([one] if not _only_local(one, scope) else [])
        out.append(written)
        if len(walk.blocks) > before and piece.body.startswith("for"):
            out.append("")
            open_loops.append((len(out) - 1, piece.start))
        elif piece.body == "endfor" and piece.kind == "statement":
            at, start = open_loops.pop()
            out[at] = f"{{{{ {_COST}({piece.start - start}) }}}}"
    for error in walk.unclosed(text):
        raise error
    return "".join(out), used


def _only_local(one: Expression, scope: Scope) -> bool:
    return not one.pictures and all(path[0] in scope.names for path, _, _ in one.paths)


def _check_columns(found: list[Expression], scope: Scope, place: str) -> None:
    for one in found:
        for path, _, _ in one.paths:
            if path[0] not in scope.names and path[0] not in PICTURE_ROOTS:
                resolve(path, scope, place)


def _context(
    used: list[Expression],
    data: RenderData,
    options: RenderOptions,
    of_charts: list[str],
    *,
    vectors: bool,
    texts: bool,
) -> dict[str, Any]:
    context: dict[str, Any] = {}
    images: dict[str, str] = {}
    widths: dict[str, int] = {}
    for one in used:
        for name in sorted(one.pictures - set(images)):
            found = picture(name, data, options, PLACE)
            of_charts.extend(found.warnings)
            images[name] = data_uri(found if vectors else to_png(found))
            widths[name] = found.width
        for path, _, _ in one.paths:
            root = path[0]
            if root in data.values:
                context[root] = raw(data.values[root])
                context[root + SHOWN] = shown(data.values[root], options)
            elif root in data.tables and root not in context:
                context[root] = _table(root, data, options, texts=texts)
    about = (path for one in used for path, _, _ in one.paths if is_fact(path, Scope(data)))
    context |= facts_used(about, Scope(data), options, PLACE)
    context["charts"] = context["images"] = images
    context["chart"] = context["image"] = lambda name: minijinja.safe(_tag(name, images[name], widths[name]))
    return context


def _tag(name: str, address: str, width: int) -> str:
    title = re.sub(r"[^\w .-]", "", name)
    return f'<img class="chart" alt="{title}" width="{width}" src="{address}">'


def _table(name: str, data: RenderData, options: RenderOptions, *, texts: bool) -> dict[str, Any]:
    """A table as the engine sees it; the shown texts of its cells only where the template asks for them."""
    table = data.tables[name]
    names = [c.name for c in table.columns]

    def record(row: tuple[Cell, ...]) -> dict[str, Any]:
        cells = dict(zip(names, row, strict=True))
        return plain(cells, options) if texts else {key: raw(cell) for key, cell in cells.items()}

    totals = record(table.totals) if table.totals is not None else None
    return {"rows": [record(row) for row in table.rows], "count": len(table.rows), "totals": totals}


def to_pdf(page: str, data: RenderData, options: RenderOptions) -> tuple[bytes, list[str]]:
    """The page as a PDF, the same bytes every time, and warnings for what it was not allowed to fetch."""
    if (rows := max((len(t.rows) for t in data.tables.values()), default=0)) > options.limits.html_table_rows:
        raise TemplateError(
            PLACE, f"a table of {rows} rows is too long for a PDF (at most {options.limits.html_table_rows})",
            "Filter it, or use an xlsx or csv report",
        )  # fmt: skip
    weasyprint = weasyprint_module()
    refused: list[str] = []
    fetcher = data_only(weasyprint, refused)
    size = options.page_size + (" landscape" if options.landscape else "")
    css = f"@page {{ size: {size}; margin: 18mm 15mm }} img {{ max-width: 100% }}"
    html = weasyprint.HTML(string=page, url_fetcher=fetcher, base_url=None)
    variant = f"pdf/a-{options.pdf_archive}" if options.pdf_archive else None
    pictures = {
        "optimize_images": bool(options.image_quality or options.image_dpi),
        "jpeg_quality": options.image_quality or None,
        "dpi": options.image_dpi or None,
    }

    def lay_out(more: str) -> Any:
        """Pictures are packed while the page is laid out."""
        styles = [weasyprint.CSS(string=each, url_fetcher=fetcher) for each in (css, more)]
        return html.render(stylesheets=styles, pdf_variant=variant, **pictures)

    document, scale, too_wide = fitted(lay_out)
    now = data.meta.now.strftime("%Y-%m-%dT%H:%M:%S%z")
    document.metadata.created = document.metadata.modified = now[:-2] + ":" + now[-2:]
    document.metadata.attachments = []
    document.metadata.title = document.metadata.title or data.meta.report or None
    identifier = hashlib.sha256(page.encode() + now.encode()).digest()[:16]
    with font_time(int(data.meta.now.timestamp())), warnings.catch_warnings():
        # The library leaves closing its colour profile to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        content: bytes = document.write_pdf(
            zoom=scale, pdf_identifier=identifier, pdf_variant=variant, **pictures
        )
    if options.pdf_archive:
        content = _archived(content, options)
    return content, [*refused, *too_wide]


def _archived(content: bytes, options: RenderOptions) -> bytes:
    found = archivable(content, opaque=options.pdf_archive == _WITHOUT_TRANSPARENCY)
    if found is None:
        raise TemplateError(
            "PDF", "PDF/A-1b cannot hold transparent pictures or colours, and this page has some",
            "Choose PDF/A-2b, or take out opacity and pictures with transparent parts",
        )  # fmt: skip
    return found


HTML_OUTPUTS = (OutputFormat.HTML, OutputFormat.PDF, OutputFormat.PNG)
