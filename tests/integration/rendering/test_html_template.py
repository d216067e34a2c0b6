"""HTML templates, made into pages and PDFs; and what hostile ones get."""

import http.server
import re
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pypdf
import pytest

from rendering import (
    ChartSpec,
    Formatted,
    Limits,
    OutputFormat,
    RenderData,
    RenderOptions,
    Series,
    TemplateError,
    TemplateKind,
    inspect,
    render,
)
from support.report_data import report, table

CHART = ChartSpec(
    ("Jan", "<Feb>"), (Series("a", (1.0, None)), Series("b", (-2.0, 3.0), "line")), title="T & T"
)
CROWDED = ChartSpec(tuple(f"Customer {n}" for n in range(200)), (Series("a", (1.0,) * 200),))


def page(template: str, data: RenderData | None = None, options: RenderOptions | None = None) -> str:
    result = render(
        TemplateKind.HTML, template.encode(), data or report(), options or RenderOptions(), OutputFormat.HTML
    )
    return result.content.decode()


def pdf(template: str, data: RenderData | None = None) -> tuple[pypdf.PdfReader, tuple[str, ...]]:
    once = render(TemplateKind.HTML, template.encode(), data or report(), RenderOptions(), OutputFormat.PDF)
    assert once == render(
        TemplateKind.HTML, template.encode(), data or report(), RenderOptions(), OutputFormat.PDF
    )
    return pypdf.PdfReader(BytesIO(once.content)), once.warnings


def test_values_are_escaped_and_loops_run() -> None:
    data = report({"who": "<script>alert(1)</script>"}, {"t": table("a", (Formatted(1, "one"),), (2,))})
    text = page("{{ who }}{% for r in t.rows %}[{{ loop.index }}:{{ r.a }}:{{ r.a.text }}]{% endfor %}", data)
    assert text == "&lt;script&gt;alert(1)&lt;/script&gt;[1:1:one][2:2:2]"


@pytest.mark.parametrize("output", [OutputFormat.HTML, OutputFormat.PDF])
def test_what_a_chart_has_no_room_for_is_a_warning_of_the_report(output: OutputFormat) -> None:
    data = report(images={"sales": CROWDED})
    result = render(TemplateKind.HTML, b"{{ chart('sales') }}", data, RenderOptions(), output)
    assert 1 == len(result.warnings)
    assert "of 200 categories have no room in the picture" in result.warnings[0]


def test_charts_are_pictures_in_the_page() -> None:
    data = report(images={"sales": CHART})
    text = page("{{ chart('sales') }}<img src='{{ charts.sales }}'>", data)
    assert text.count('src="data:image/png') == 2, "mail programs show no SVG"
    assert text.count('width="800"') == 1
    assert inspect(TemplateKind.HTML, b"{{ charts.a }}{{ image('b') }}").images == {"a", "b"}
    with pytest.raises(TemplateError, match="no chart or image called 'nope'"):
        page("{{ chart('nope') }}", data)


def test_the_file_has_nothing_that_runs_or_is_fetched_and_says_what_was_taken_out() -> None:
    template = (
        b"<style>p{color:red}</style><p>x</p><script>alert(1)</script><img src='https://a.example/b.png'>"
    )
    result = render(TemplateKind.HTML, template, report(), RenderOptions(), OutputFormat.HTML)
    assert re.search(rb'<p style="color: ?red;?">x</p>', result.content)
    assert b"script" not in result.content
    assert b"a.example" not in result.content
    assert [w.split(" (")[0] for w in result.warnings] == [
        "taken out of the page: script",
        "not in the page: https://a.example/b.png",
    ]


def test_a_pdf_has_pages_repeated_heads_and_the_time_it_was_given() -> None:
    template = """<style>@page{size:A5;
    @bottom-right{content:"page " counter(page) "/" counter(pages)}}</style>
    <title>T</title><table><thead><tr><th>HEAD</th></tr></thead>
    {% for r in t.rows %}<tr><td>row {{ r.n }}</td></tr>{% endfor %}</table>"""
    reader, _ = pdf(template, report(tables={"t": table("n", *((i,) for i in range(120)))}))
    texts = [p.extract_text() for p in reader.pages]
    assert len(texts) > 2
    assert all("HEAD" in t for t in texts)
    assert f"page 2/{len(texts)}" in texts[1]
    assert reader.metadata is not None
    assert str(reader.metadata.creation_date) == "2026-11-22 07:30:00+00:00"
    assert reader.pages[0].mediabox.width == pytest.approx(419.5, abs=1)


@pytest.fixture
def trap() -> Iterator[tuple[str, list[str]]]:
    """A web server that notes who asks."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_nothing_is_fetched_from_network_or_disk(trap: tuple[str, list[str]], tmp_path: Path) -> None:
    address, asked = trap
    secret = tmp_path / "secret.txt"
    secret.write_text("THE SECRET")
    svg = f"<svg xmlns='http://www.w3.org/2000/svg'><image href='{address}/svg' width='9' height='9'/></svg>"
    template = f"""<link rel=stylesheet href="{address}/css"><link rel=attachment href="{secret.as_uri()}">
    <style>@import url({address}/import); body{{background:url({address}/bg)}}
    @font-face{{font-family:x;src:url({address}/font)}} p{{font-family:x}}</style>
    <a rel=attachment href="{secret.as_uri()}">a</a>
    <p>text</p><img src="{address}/img"><img src="{secret.as_uri()}"><object data="{address}/obj"></object>
    <embed src="{secret.as_uri()}"><iframe src="{secret.as_uri()}"></iframe>
    <img src="data:image/svg+xml,{svg.replace("#", "%23").replace('"', "'")}">"""
    reader, warned = pdf(template)
    assert asked == []
    assert not reader.attachments
    raw = b"".join(p.extract_text().encode() for p in reader.pages)
    assert b"THE SECRET" not in raw
    assert any("not fetched" in w for w in warned)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{% for a in range(100000) %}{% for b in range(100000) %}{{ b }}{% endfor %}{% endfor %}",
            "fuel|limit",
        ),
        ("{% for a in range(90000) %}" + "x" * 900_000 + "{% endfor %}", "beyond the limit|fuel"),
        ("{% for a in range(1000000000) %}{{ a }}{% endfor %}", "range|too"),
        ("{{ " + "((" * 200 + "1" + "))" * 200 + " }}", "brackets"),
        ("x" * 2_000_000, "has more than"),
        ("{{ who.__class__ }}", "underscore"),
        ("{{ who | attr('x') }}", "not available"),
        ("{% include 'a' %}", "not available"),
        ("{{ chart(who) }}", "name in quotes"),
        ("{% for r in t.rows %}", "never closed"),
        ("line\nline {{ nope }}", "line 2, column 6: there is no value"),
    ],
)
def test_hostile_and_broken_templates_are_refused(template: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        page(template, report({"who": "x"}, {"t": table("a")}))
    assert caught.value.remedy


def test_long_tables_are_refused_for_pdf_with_the_way_out() -> None:
    data = report(tables={"t": table("n", *((i,) for i in range(30)))})
    options = RenderOptions(limits=Limits(html_table_rows=20))
    with pytest.raises(TemplateError, match="use an xlsx or csv report"):
        render(TemplateKind.HTML, b"{{ t.count }}", data, options, OutputFormat.PDF)


def _wide(columns: int, head: str = "") -> str:
    cells = "".join(f"<td>column number {number} with text</td>" for number in range(columns))
    small = "<table><caption>Small</caption><tr><td>1</td></tr></table>"
    return f"{head}<table><caption>All customers</caption><tr>{cells}</tr></table>{small}"


def _outside(reader: pypdf.PdfReader) -> int:
    """How many pieces of text begin outside their page."""
    found = 0
    for each in reader.pages:
        places: list[float] = []
        each.extract_text(
            visitor_text=lambda text, at, matrix, *_, places=places: (
                places.append(at[0] * matrix[4] + at[4]) if text.strip() else None
            )
        )
        found += sum(place > float(each.mediabox.width) for place in places)
    return found


@pytest.mark.parametrize(
    ("columns", "head", "landscape", "said"),
    [
        (10, "", False, ""),
        (15, "", False, r"the table 'All customers' is wider than the page: .* shrunk to \d\d%"),
        (20, "", True, "turned to landscape and shrunk"),
        (40, "", True, "turned to landscape and shrunk"),
        (25, "<style>@page { size: A4 landscape }</style>", True, r"the report was shrunk to \d\d%"),
    ],
)
def test_a_table_wider_than_the_page_is_shrunk_to_fit(
    columns: int, head: str, landscape: bool, said: str
) -> None:
    reader, warnings = pdf(_wide(columns, head))
    box = reader.pages[0].mediabox
    assert _outside(reader) == 0
    assert sorted(map(round, (box.width, box.height))) == [595, 842], "the paper stays A4"
    assert landscape == (box.width > box.height)
    assert (len(warnings) == 1 and re.search(said, warnings[0])) if said else warnings == ()


def test_a_table_that_cannot_be_shrunk_that_far_is_named() -> None:
    named = "the table 'All customers' is wider than the page and was cut off at its right edge. "
    for text in (_wide(90), _wide(25, "<p>x</p><style>@page w { size: A3 } table { page: w }</style>")):
        _, warnings = pdf(text)
        assert len(warnings) == 1
        assert warnings[0].startswith(named)


def test_what_the_page_itself_cuts_off_is_not_named() -> None:
    _, warnings = pdf(
        "<p style='width: 5cm; overflow: hidden; white-space: nowrap'>" + "long " * 200 + "</p>"
    )
    assert warnings == ()
