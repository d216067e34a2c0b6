"""HTML reports as one file that mail programs show: styles inside, nothing that runs, nothing fetched."""

import re

import pytest

from rendering.mail_safe import harmless_css, mail_safe

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
