# ruff: noqa: RUF001 - characters that look like others are what is tested
"""What editors make of typed characters is read as what was typed, in every kind of template."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rendering import OutputFormat, RenderOptions, TemplateError, TemplateKind, inspect, render
from rendering.autocorrect import plain
from rendering.language import Language, Scope
from rendering.tags import pieces
from rendering.text import fill
from support.one_text import template_of, text_of
from support.report_data import report, table

DATA = report(
    {"n": 7, "none": None, "on": date(2026, 3, 9), "x": "it’s"},
    {"t": table("region units", ("North", 1), ("South", 2), totals=(None, 3))},
)

SLIPS = [
    ("3", "{{ t.rows | sum(attribute=“units”) }}"),
    ("3", "{{ t.rows | sum(attribute=„units“) }}"),
    ("3", "{{ t.rows | sum(attribute=‘units’) }}"),
    ("3", "{{ t.rows | sum(attribute=”units”) }}"),
    ("3", "{{ t.rows | sum(attribute=«\u00a0units\u00a0») }}"),
    ("3", "{{ t.rows | sum(attribute=″units″) }}"),
    ("3", '{{ t.rows | sum(attribute="units”) }}'),
    ("3", '{{ t.rows | sum(attribute=“units") }}'),
    ("3 09", '{{ t.rows | sum(attribute="units”) }} {{ on | date("%d") }}'),
    ("09.03.2026", "{{ on | date(‘%d.%m.%Y’) }}"),
    ("7", "{{\u00a0n\u00a0}}"),
    ("7", "{{\u202fn\u3000}}"),
    ("7", "{{ \u200bn\ufeff }}"),
    ("7", "{\u200b{ n }\u200b}"),
    ("5", "{{ n – 2 }}"),
    ("5", "{{ n − 2 }}"),
    ("7", "｛｛ n ｝｝"),
    ("7.00", "{{ n ｜ number（2） }}"),
    ("yes", "{%\u00a0if n != 3\u00a0%}yes{% endif %}"),
    ("yes", "｛％ if n ≥ 3 ％｝yes｛％ endif ％｝"),
    ("12", "{% for r in t.rows if r.region != “East” %}{{ r.units }}{% endfor %}"),
    ("1", "{% for r in t.rows if r.region == “North” %}{{ r.units }}{% endfor %}"),
    ("b", "a｛＃ left out ＃｝b".replace("a", "")),
]  # fmt: skip

KEPT = [
    ("it’s – “so” …", "{{ 'it’s – “so” …' }}"),
    ("“so” – it’s", '{{ "“so” – it’s" }}'),
    ("it’s", "{{ “it’s” }}"),
    ("it’s", "{{ ‘it’s’ }}"),
    ('a "b" c', '{{ “a "b" c” }}'),
    ("a }} b", "{{ “a }} b” }}"),
    ("a\u00a0b…", "{{ “a\u00a0b…” }}"),
    ("it’s “plain” … – ｛ text", "it’s “plain” … – ｛ text"),
    ("yes", '{% if x == "it’s" %}yes{% endif %}'),
]


def _fill(text: str) -> str:
    return fill(text, Language(DATA, RenderOptions()), Scope(DATA), "here")


@pytest.mark.parametrize(("expected", "text"), SLIPS)
def test_what_editors_make_of_a_tag_is_read_as_it_was_typed(expected: str, text: str) -> None:
    assert expected == _fill(text)


@pytest.mark.parametrize(("expected", "text"), KEPT)
def test_texts_in_quotes_and_outside_tags_stay_as_they_are(expected: str, text: str) -> None:
    assert expected == _fill(text)


@pytest.mark.parametrize(("expected", "text"), [*SLIPS, *KEPT[:5]])
@pytest.mark.parametrize("kind", ["xlsx", "docx", "pptx", "html"])
def test_every_kind_of_template_reads_them(kind: str, expected: str, text: str) -> None:
    template = template_of(kind, text)
    assert inspect(TemplateKind(kind), template).problems == ()
    made = render(TemplateKind(kind), template, DATA, RenderOptions(), OutputFormat(kind)).content
    shown = text_of(kind, made)
    assert expected in {shown, shown.replace("&quot;", '"')}


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("3", "{{ t.rows | sum(attribute=&quot;units&quot;) }}"),
        ("3", "{{ t.rows | sum(attribute=&ldquo;units&rdquo;) }}"),
        ("7", "{{&nbsp;n&nbsp;}}"),
        ("yes", "{% if n &gt; 3 %}yes{% endif %}"),
        ("yes", "{%- if n &gt; 3 -%} yes {%- endif -%}"),
        ("&amp;amp;", '{{ "&amp;" }}'),
    ],
)
def test_pages_may_have_character_references_in_their_tags(expected: str, text: str) -> None:
    made = render(
        TemplateKind.HTML, template_of("html", text), DATA, RenderOptions(), OutputFormat.HTML
    ).content
    assert expected == text_of("html", made)


@pytest.mark.parametrize("text", ["{{ “units }}", "{{ n }", "｛｛ n", "{{ n %}", "{% if n }}"])
def test_a_tag_that_is_not_closed_is_still_refused(text: str) -> None:
    with pytest.raises(TemplateError, match="closed"):
        list(pieces(text, "here"))


@given(st.text(max_size=60))
def test_plain_characters_are_never_touched(text: str) -> None:
    typed = text.encode("ascii", "ignore").decode()
    assert typed == plain(typed)


@given(st.text(alphabet="ab{}%#｛｝％“”‘’'\"\u200b \u00a0–&;", max_size=60))
def test_every_text_is_cut_up_or_refused_and_nothing_is_lost(text: str) -> None:
    try:
        found = list(pieces(text, "here"))
    except TemplateError:
        return
    assert text == "".join(piece.text for piece in found)
