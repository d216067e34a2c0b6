"""HTML reports as one file that mail programs show: styles inside, nothing that runs, nothing fetched."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rendering.mail_safe import harmless_css, is_html, mail_fragment, mail_safe

PAGE = """<!DOCTYPE html><html lang="de"><head><title>A &amp; B</title><style>
@media print { p { color: red } }
body { font-family: Arial } td.n { text-align: right } a:hover { color: red }
</style></head><body><table><tr><td class="n">1</td></tr></table><a href="https://example.com/x">more</a>
<img alt="logo" src="data:image/png;base64,AAAA"></body></html>"""


def test_styles_move_into_the_elements_and_rules_for_print_stay() -> None:
    page, warnings = mail_safe(PAGE)
    assert warnings == []
    assert re.search(r'<td class="n" style="text-align: right;?">1</td>', page)
    assert re.search(r'<body style="font-family: Arial;?">', page)
    assert "@media print" in page
    assert '<html lang="de">' in page
    assert "<title>A &amp; B</title>" in page
    assert 'href="https://example.com/x"' in page
    assert 'src="data:image/png;base64,AAAA"' in page


def test_a_page_made_safe_stays_as_it_is() -> None:
    once, _ = mail_safe(PAGE)
    assert mail_safe(once)[0] == once


def test_a_fragment_stays_a_fragment() -> None:
    assert mail_safe("<p>1 &lt; 2</p>") == ("<p>1 &lt; 2</p>", [])


@pytest.mark.parametrize(
    ("hostile", "never"),
    [
        ("<script>alert(1)</script>", "alert"),
        ("<img src=x onerror=alert(1)>", "alert"),
        ("<svg onload=alert(1)><script>alert(1)</script></svg>", "alert"),
        ("<iframe src='https://evil.example'></iframe>", "evil"),
        ("<object data='https://evil.example'></object><embed src='https://evil.example'>", "evil"),
        ("<link rel=stylesheet href='https://evil.example/a.css'>", "evil"),
        ("<base href='https://evil.example'>", "evil"),
        ("<meta http-equiv=refresh content='0;url=https://evil.example'>", "evil"),
        ("<form action='https://evil.example'><input></form>", "evil"),
        ("<img src='https://evil.example/pixel.png'>", "evil"),
        ("<img srcset='https://evil.example/pixel.png 2x'>", "evil"),
        ("<table background='https://evil.example/x.png'></table>", "evil"),
        ("<style>@import 'https://evil.example/a.css';</style>", "evil"),
        ("<style>@media all { p { background: url(https://evil.example/a.png) } }</style><p>x</p>", "evil"),
        ("<p style='background:url(https://evil.example/a.png)'>x</p>", "evil"),
        (r"<p style='background:u\72l(https://evil.example/a.png)'>x</p>", "evil"),
        ("<p style='background:image-set(\"https://evil.example/a.png\" 1x)'>x</p>", "evil"),
        ("<a href='javascript:alert(1)'>x</a>", "alert"),
        ("<a href='data:text/html,alert(1)'>x</a>", "alert"),
        ("<style>p::after { content: '</style><script>alert(1)</script>' }</style>", "<script"),
        ("<math><mtext></p><style><img src=x onerror=alert(1)></style></mtext></math>", "onerror"),
        ("<title></title><script>alert(1)</script></title>", "<script"),
    ],
)
@pytest.mark.parametrize("frame", ["{}", "<!DOCTYPE html><html><head></head><body>{}</body></html>"])
def test_what_runs_or_fetches_is_taken_out(hostile: str, never: str, frame: str) -> None:
    page, _ = mail_safe(frame.format(hostile))
    assert never not in page


def test_what_was_taken_out_is_said() -> None:
    _, warnings = mail_safe(
        "<script>x</script><img src='https://a.example/b.png'><p style='background:url(c.png)'>"
    )
    assert [w.split(" (")[0] for w in warnings] == [
        "taken out of the page: script",
        "not in the page: https://a.example/b.png",
        "taken out of the styles: url(c.png)",
    ]


def test_pictures_in_styles_may_be_data() -> None:
    css = "background:url(data:image/png;base64,AAAA) no-repeat"
    assert harmless_css(css, []).replace('"', "") == css


TRICKS = [
    "background:url(http://t.example/1)",
    "background:image-set('http://t.example/2' 1x)",
    r"background:u\72l(http://t.example/3)",
    "background:URL( 'http://t.example/4' )",
    r"background:\75\72\6c(http://t.example/5)",
    "background:url(/*x*/http://t.example/6)",
    "background:url(http://t.example/7",
    "background:url('http://t.example/8",
    "background:image(http://t.example/9)",
    "background:-webkit-image-set(url(http://t.example/10) 1x)",
    "background:cross-fade(url(http://t.example/11), red)",
    "background:-moz-element(#t.example)",
    "background:src('http://t.example/12')",
    "--x:url(http://t.example/13);background:var(--x)",
    "behavior:url(http://t.example/14)",
    "-moz-binding:url(http://t.example/15#x)",
    "width:expression(open('http://t.example/16'))",
    r"width:e\78pression(open('http://t.example/17'))",
    "filter:progid:DXImageTransform.Microsoft.AlphaImageLoader(src='http://t.example/18')",
    "list-style:url(//t.example/19)",
    "cursor:url(ftp://t.example/20),auto",
    "content:attr(data-x url) url(http://t.example/21)",
    "background:paint(http://t.example/22)",
    "background:url(data:text/html,http://t.example/23)",
    "background:calc(1px + url(http://t.example/24))",
    "@import 'http://t.example/25';",
    r"@\69mport 'http://t.example/26';",
    "@import url(http://t.example/27) screen {}",
    "@namespace url(http://t.example/28);",
    "@document url(http://t.example/29) { p { color: red } }",
    "@font-face { font-family: x; src: url(http://t.example/30) }",
    "}@import 'http://t.example/31';{",
]
ELEMENTS = [
    "<img src=http://t.example/a>",
    "<img src=' http://t.example/b'>",
    "<img src='data:text/html,http://t.example/c'>",
    "<img srcset='http://t.example/d 2x' sizes=1>",
    "<image src=http://t.example/e>",
    "<input type=image src=http://t.example/f>",
    "<video poster=http://t.example/g><source src=http://t.example/h></video>",
    "<audio src=http://t.example/i autoplay>",
    "<link rel=stylesheet href=http://t.example/j>",
    "<body background=http://t.example/k onload=t.example()>",
    "<td background=http://t.example/l>",
    "<svg><image href=http://t.example/m /><style>@import 'http://t.example/n'</style></svg>",
    "<math><mi href=javascript:t.example()>x</mi></math>",
    "<meta http-equiv=refresh content='0;url=http://t.example/o'>",
    "<base href=http://t.example/>",
    "<iframe srcdoc='<img src=http://t.example/p>'></iframe>",
    "<object data=http://t.example/q></object>",
    "<a href='java\tscript:t.example()'>x</a>",
    "<a href='&#106;avascript:t.example()'>x</a>",
    "<a ping=http://t.example/r href='#x'>x</a>",
    "<p onclick=t.example() style='color:red'>x</p>",
    "<form action=http://t.example/s><button formaction=http://t.example/t>x</button></form>",
    "<noscript><p title='</noscript><img src=http://t.example/u>'></noscript>",
    "<style><img src=http://t.example/v></style>",
    "<textarea><img src=http://t.example/w></textarea>",
    "<table><style><td background=http://t.example/x></style></table>",
    "<![CDATA[<img src=http://t.example/y>]]>",
    "<!--><img src=http://t.example/z>-->",
    "<xss style='background:url(http://t.example/aa)'>x</xss>",
    "<script src=http://t.example/bb></script>",
    "<template><img src=http://t.example/cc></template>",
]
SAFE_ATTRIBUTES = frozenset(
    "style class id name href rel src lang content charset title align valign width height".split()  # noqa: SIM905
)


class _Reader(HTMLParser):
    """Says what a browser would fetch or run, read by another parser than the one under test."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.bad: list[str] = []
        self._style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._style = tag == "style"
        for name, value in attrs:
            text = _plain_css(value or "")
            if name not in SAFE_ATTRIBUTES or (name == "src" and not text.startswith("data:image/")):
                self.bad.append(f"{tag} {name}={value}")
            if name == "style" and "t.example" in text:
                self.bad.append(f"{tag} {name}={value}")
            if name == "href" and not re.match(r"https?:|mailto:|tel:|#", text):
                self.bad.append(f"{tag} {name}={value}")
        if tag in {"script", "svg", "math", "iframe", "object", "embed", "form", "link", "base", "input"}:
            self.bad.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._style = self._style and tag != "style"

    def handle_data(self, data: str) -> None:
        if self._style and "t.example" in _plain_css(data):
            self.bad.append(f"style {data}")


def _plain_css(text: str) -> str:
    text = re.sub(r"(?:(?<=[:;{}])|^)\s*(?:\"[^\"]*(?:\"|$)|'[^']*(?:'|$))", "", text)  # texts that are shown
    shown = re.sub(r"\\([0-9a-fA-F]{1,6})\s?", lambda found: chr(int(found[1], 16) % 0x110000), text)
    return unescape(shown).replace("\\", "").strip().lower()


def _bad(page: str) -> list[str]:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.bad


@pytest.mark.parametrize("css", TRICKS)
@pytest.mark.parametrize(
    "frame",
    [
        '<p style="{}">x</p>',
        "<style>p{{{}}}</style><p>x</p>",
        "<style>{}</style><p>x</p>",
        '<!DOCTYPE html><html><head><style>{}</style></head><body style="{}"><p>x</p></body>',
        "<style>@media all{{p{{{}}}}}</style><p>x</p>",
    ],
)
def test_no_spelling_of_a_style_fetches_or_runs_in_files_and_mails(css: str, frame: str) -> None:
    page = frame.replace("{{", "\x01").replace("}}", "\x02").replace("{}", css)
    page = page.replace("\x01", "{").replace("\x02", "}")
    assert [] == _bad(mail_safe(page)[0])
    assert [] == _bad(mail_fragment(page))


def test_a_string_left_open_in_one_sheet_hides_nothing_in_the_next() -> None:
    page = """<style>p{content:"</style><style>";background:url(http://t.example/1)}"}</style><p>x</p>"""
    assert [] == _bad(mail_fragment(page))
    assert [] == _bad(mail_safe(page)[0])


@pytest.mark.parametrize("element", ELEMENTS)
def test_no_element_fetches_or_runs_in_files_and_mails(element: str) -> None:
    for page in (element, f"<html><body>{element}</body></html>", f"<table><tr>{element}</tr></table>"):
        assert [] == _bad(mail_safe(page)[0])
        assert [] == _bad(mail_fragment(page))


GLUE = ["<p style='", "'>", '"', "<style>", "</style>", "<!--", "-->", "<svg>", "</svg>", "<html>"]
SIGNS = ['<body style="', "\\", "/*", "*/", "<", ">", "{", "}", r'content:"\3c/style>"']


@settings(derandomize=True, max_examples=400, deadline=None)
@given(st.lists(st.sampled_from([*TRICKS, *ELEMENTS, *GLUE, *SIGNS]), max_size=8))
def test_no_mixture_of_tricks_fetches_or_runs(pieces: list[str]) -> None:
    page = "".join(pieces)
    assert [] == _bad(mail_fragment(page))


@pytest.mark.parametrize(
    "page",
    [
        '<section><table><tr><td id="t1">1</td></tr></table><a href="#t1">to the table</a></section>',
        '<main><article><h2 id="a">A</h2><a name="b">b</a></article></main>',
        '<p style="background:url(http://t.example/1);color:rgb(1,2,3)">x</p>',
    ],
)
def test_files_and_mails_have_the_same_result(page: str) -> None:
    made, _ = mail_safe(page)
    assert made == mail_fragment(page)
    assert made == mail_fragment(made)


def test_anchors_and_sections_stay_in_a_mail() -> None:
    page = '<section><td id="t1">1</td><a href="#t1">to the table</a></section>'
    made = mail_fragment(page)
    assert "<section>" in made
    assert 'href="#t1"' in made


def test_styles_that_compute_something_stay() -> None:
    css = "width:calc(1px + 2px);color:rgba(1,2,3,.5);background:linear-gradient(red,blue)"
    assert css == harmless_css(css, [])


def test_a_page_in_a_mail_keeps_the_style_of_its_body() -> None:
    assert 'style="font-family: Arial' in mail_fragment(PAGE)


@pytest.mark.parametrize(
    ("expected", "body"),
    [(True, "<section>x"), (True, "<!-- x --><p>"), (False, "<ada@example.org> wrote"), (False, "<3 you")],
)
def test_html_begins_with_an_element(expected: bool, body: str) -> None:
    assert expected is is_html(body)
