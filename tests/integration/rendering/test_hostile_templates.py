"""Templates and data that mean harm: refused, or harmless in the process with limits they are rendered in."""

import base64
import csv
import itertools
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from io import BytesIO, StringIO
from typing import Any

import docx
import openpyxl
import pptx
import pypdf
import pytest

from rendering import OutputFormat, RenderOptions, TemplateError, TemplateKind, render
from rendering.images import identify
from rendering.raster import pdf_to_png
from support.confined import confined
from support.report_data import report, table

INTERNALS = (
    "{{ who.__class__.__mro__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ who['__class__'] }}",
    "{{ who | attr('__class__') }}",
    "{{ (who | attr('format'))('x') }}",
    "{{ '%c' | format(97) }}",
    "{{ '{0.__class__}'.format(who) }}",
    "{{ [who] | map(attribute='__class__') | list }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__['os'] }}",
    "{{ request.application }}",
    "{{ config }}",
    "{{ meta.now.__reduce__() }}",
    "{{ meta.__dict__ }}",
    "{{ t.rows.append(1) }}",
    "{{ t.rows.clear() }}",
    "{{ t.pop('rows') }}",
    "{{ who.upper() }}",
    "{{ meta.delete() }}",
    "{{ debug() }}",
    "{{ lipsum(1000000) }}",
    "{{ namespace(a=1) }}",
    "{{ dict(a=1) }}",
    "{% set x = who %}",
    "{% set ns.x = 1 %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% import 'os' as os %}",
    "{% include '/etc/passwd' %}",
    "{% extends '/etc/passwd' %}",
    "{% from 'a' import b %}",
    "{% call m() %}{% endcall %}",
    "{% autoescape false %}{{ who }}{% endautoescape %}",
    "{{ who | safe }}",
    "{% raw %}{{ who }}{% endraw %}",
    "{% block a %}{% endblock %}",
    "{% do t.rows.clear() %}",
    "{% for a in t.rows recursive %}{{ loop(t.rows) }}{% endfor %}",
    "{{ loop.__class__ }}",
)


@pytest.mark.parametrize("template", INTERNALS)
@pytest.mark.parametrize("kind", [TemplateKind.HTML, TemplateKind.DOCX])
def test_no_template_reaches_what_it_was_not_given(kind: TemplateKind, template: str) -> None:
    """Nothing of Python, no method, no other file, no assignment: each is refused by name before it runs."""
    content = template.encode() if kind is TemplateKind.HTML else _letter(template)
    output = OutputFormat(kind.value)
    data = report({"who": "x"}, {"t": table("a", (1,))})
    with pytest.raises(TemplateError) as caught:
        render(kind, content, data, RenderOptions(), output)
    assert caught.value.remedy


def _letter(text: str) -> bytes:
    made = docx.Document()
    made.add_paragraph(text)
    out = BytesIO()
    made.save(out)
    return out.getvalue()


LOOPS = {
    "loops in loops": "{% for a in range(90000) %}{% for b in range(90000) %}{{ b }}{% endfor %}{% endfor %}",
    "long text": "{{ 'a' * 10000000000 }}",
    "long list": "{{ [0] * 5000000000 }}",
    "repeated literal": "{% for a in range(90000) %}" + "x" * 900_000 + "{% endfor %}",
    "padding": "{{ who | center(2000000000) }}",
    "brackets": "{{ " + "[" * 60 + "]" * 60 + " }}",
    "powers": "{{ (9 ** 9) ** 9 ** 9 }}",
    "joining": "{{ range(100000) | join(who) }}",
    "replacing": "{{ who | replace('x', who) | replace('x', who) | replace('x', who) }}",
    "blocks": "{% if 1 %}" * 2_000 + "{% endif %}" * 2_000,
    "billion": "{% for a in range(1000000000) %}{{ a }}{% endfor %}",
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_floods_and_hogs_are_refused_within_their_limits(name: str) -> None:
    outcome, told = confined(TemplateKind.HTML, LOOPS[name].encode(), OutputFormat.HTML)
    assert outcome == "refused", told


def test_a_flood_the_engine_cannot_count_ends_within_the_limits_of_its_process() -> None:
    """Each text is within its limit; together they are not."""
    flood = b"{% for a in range(9000) %}{{ who * 900 }}{% endfor %}"
    outcome, told = confined(TemplateKind.HTML, flood, OutputFormat.HTML)
    assert outcome in {"refused", "ended"}, told


RISKY = (
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "=cmd|'/c calc'!A0",
    "\uff1d1+1",
)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_text_of_a_csv_begins_like_a_formula(separator: str) -> None:
    data = report(tables={"t": table("=head", *((text,) for text in RISKY))})
    options = RenderOptions(csv_separator=separator)
    content = render(TemplateKind.TABLE, b"", data, options, OutputFormat.CSV).content.decode()
    cells = [row[0] for row in csv.reader(StringIO(content, newline=""), delimiter=separator)]
    assert cells == [f"'{text}" for text in ("=head", *RISKY)]


def test_a_text_with_a_separator_cannot_begin_a_cell() -> None:
    data = report(tables={"t": table("a b", ('x",=1+1', 'y\r\n=2+2,"'), ("x;=1", "\u2028=3"))})
    content = render(TemplateKind.TABLE, b"", data, RenderOptions(), OutputFormat.CSV).content.decode()
    rows = list(csv.reader(StringIO(content, newline="")))
    assert rows == [["a", "b"], ['x",=1+1', 'y\r\n=2+2,"'], ["x;=1", "\u2028=3"]]


@pytest.mark.parametrize("text", RISKY)
@pytest.mark.parametrize("kind", [TemplateKind.XLSX, TemplateKind.TABLE])
def test_no_text_becomes_a_formula_of_a_workbook(kind: TemplateKind, text: str) -> None:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet["A1"] = "{{ t.a }}"
    out = BytesIO()
    book.save(out)
    template = out.getvalue() if kind is TemplateKind.XLSX else b""
    data = report(tables={"t": table("a", (text,))})
    made = render(kind, template, data, RenderOptions(), OutputFormat.XLSX).content
    sheet = openpyxl.load_workbook(BytesIO(made)).worksheets[0]
    found = [cell for row in sheet.iter_rows() for cell in row if cell.value]
    assert found[-1].data_type == "s"
    assert str(found[-1].value).replace("_x000D_", "\r").strip() == text.strip()
    with zipfile.ZipFile(BytesIO(made)) as archive:
        assert not any(b"<f>" in archive.read(name) for name in archive.namelist())


TAGS = "{{ meta.report }} {% for r in t.rows %} </w:t><w:p/> <script>alert(1)</script> & \x00\ud800"


@pytest.mark.parametrize("kind", [TemplateKind.HTML, TemplateKind.DOCX, TemplateKind.PPTX, TemplateKind.XLSX])
def test_tags_and_markup_in_the_data_stay_text(kind: TemplateKind) -> None:
    made: dict[TemplateKind, Callable[[], bytes]] = {
        TemplateKind.HTML: lambda: b"<p>{{ who }}</p>",
        TemplateKind.DOCX: lambda: _letter("{{ who }}"),
        TemplateKind.PPTX: _deck,
        TemplateKind.XLSX: _book,
    }
    data = report({"who": TAGS})
    content = render(kind, made[kind](), data, RenderOptions(), OutputFormat(kind.value)).content
    match kind:
        case TemplateKind.HTML:
            assert b"<script" not in content
            assert b"{{ meta.report }}" in content
            return
        case TemplateKind.DOCX:
            shown = docx.Document(BytesIO(content)).paragraphs[0].text
        case TemplateKind.PPTX:
            shown = pptx.Presentation(BytesIO(content)).slides[0].shapes.title.text
        case _:
            shown = str(openpyxl.load_workbook(BytesIO(content)).worksheets[0]["A1"].value)
    assert shown == TAGS.removesuffix("\x00\ud800")


def _deck() -> bytes:
    deck = pptx.Presentation()
    deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = "{{ who }}"
    out = BytesIO()
    deck.save(out)
    return out.getvalue()


def _book() -> bytes:
    book = openpyxl.Workbook()
    book.worksheets[0]["A1"] = "{{ who }}"
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def test_the_path_of_a_documents_template_is_dropped() -> None:
    """Word would fetch it when the report is opened."""
    made = docx.Document()
    made.add_paragraph("{{ who }}")
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate"
    settings = next(one.target_part for one in made.part.rels.values() if one.reltype.endswith("/settings"))
    settings.relate_to("http://evil.example/t.dotm", kind, is_external=True)
    out = BytesIO()
    made.save(out)
    content = render(
        TemplateKind.DOCX, out.getvalue(), report({"who": "x"}), RenderOptions(), OutputFormat.DOCX
    )
    with zipfile.ZipFile(BytesIO(content.content)) as archive:
        assert not any(b"evil.example" in archive.read(name) for name in archive.namelist())


@cache
def png(width: int, height: int) -> bytes:
    """A picture of one colour, all of it there: some kilobytes that unpack to gigabytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))
        )

    packer = zlib.compressobj(9)
    line = b"\0" * (width // 8 + 1)
    packed = b"".join([packer.compress(line * 100) for _ in range(height // 100)]) + packer.flush()
    head = struct.pack(">2L5B", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_a_picture_that_unpacks_to_gigabytes_is_refused_as_data() -> None:
    with pytest.raises(TemplateError, match="more than 50000000 pixels"):
        identify(png(50_000, 50_000), "images.logo")


def inline(content: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def _svg(inner: str) -> bytes:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'width="9" height="9">'
        f"{inner}</svg>"
    ).encode()


def _uses() -> bytes:
    """Each group shows the one before ten times."""
    groups = ['<g id="g0"><rect width="1" height="1"/></g>']
    for number in range(1, 12):
        use = f'<use xlink:href="#g{number - 1}"/>'
        groups.append(f'<g id="g{number}">{use * 10}</g>')
    return _svg(f"<defs>{''.join(groups)}</defs><use xlink:href='#g11'/>")


def _woff() -> bytes:
    """A font whose one table unpacks to 600 MB."""
    table_ = zlib.compressobj(9)
    packed = b"".join(table_.compress(bytes(1 << 20)) for _ in range(600)) + table_.flush()
    size = 600 << 20
    head = b"wOFF" + struct.pack(
        ">LLHHLHHLLLLL", 0x00010000, 64 + len(packed), 1, 0, size, 1, 0, 0, 0, 0, 0, 0
    )
    return head + b"glyf" + struct.pack(">4L", 64, len(packed), size, 0) + packed


def _shown(content: bytes, mime: str) -> str:
    return f'<p>text</p><img src="{inline(content, mime)}">'


def _lettered() -> str:
    face = f"@font-face{{font-family:f;src:url({inline(_woff(), 'font/woff')})}}"
    return f"<style>{face} p{{font-family:f}}</style><p>text</p>"


SVG = "image/svg+xml"
PAGES: dict[str, Callable[[], str]] = {
    "picture": lambda: _shown(png(50_000, 50_000), "image/png"),
    "svg uses": lambda: _shown(_uses(), SVG),
    "svg entities": lambda: _shown(_entities(), SVG),
    "svg size": lambda: _shown(_svg('<rect width="1e9" height="1e9"/>'), SVG),
    "font": _lettered,
    "script": lambda: "<p>text</p><script>while(true){}</script><body onload='for(;;);'>",
    "deep": lambda: "<div>" * 3_000 + "text",
    "spans": lambda: "<p>text</p><table><tr><td colspan=100000 rowspan=100000>x</td></tr></table>",
    "page": lambda: "<style>@page{size:100000mm 100000mm}</style><p>text</p>",
}


def _entities() -> bytes:
    levels = [f'<!ENTITY {n} "{f"&{p};" * 10}">' for p, n in itertools.pairwise("abcdefghij")]
    return f'<!DOCTYPE svg [<!ENTITY a "ha">{"".join(levels)}]>'.encode() + _svg("<text>&j;</text>")


HARMLESS = frozenset({"picture", "svg entities", "svg size", "script", "page"})


SLOW = ("svg uses", "spans", "font", "deep")  # the limit of processor time is what ends the first two


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in PAGES]
)
def test_bombs_in_a_page_leave_the_text_or_end_their_process(name: str) -> None:
    """A PDF with the text and without the bomb, a refusal, or the end by the limits: never more."""
    outcome, told = confined(TemplateKind.HTML, PAGES[name]().encode(), OutputFormat.PDF)
    if outcome == "file":
        assert "text" in pypdf.PdfReader(BytesIO(told)).pages[0].extract_text()
        assert len(told) < 5_000_000
    assert outcome in ({"file"} if name in HARMLESS else {"file", "refused", "ended"}), told


def test_a_page_as_large_as_a_house_is_drawn_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rendering.raster.MAX_PIXELS", 500_000)
    template = b"<style>@page{size:5000mm 5000mm}</style><p>text</p>"
    pdf = render(TemplateKind.HTML, template, report(), RenderOptions(), OutputFormat.PDF).content
    (picture,) = pdf_to_png(pdf, 600, limit=1)
    width, height = struct.unpack(">2L", picture[16:24])
    assert 400_000 < width * height <= 510_000
