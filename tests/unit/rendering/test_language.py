"""One tag language for all kinds of templates."""

from datetime import date

import pytest

from rendering import Formatted, RenderOptions, TemplateError
from rendering.language import Language, Scope
from rendering.text import fill, fill_runs
from support.report_data import report, table

DATA = report(
    {
        "flights": Formatted(1234.5, "1.234,5"),
        "name": "<Ada> & Co",
        "on": date(2026, 3, 9),
        "none": None,
        "share": 0.256,
    },
    {
        "m": table("a b", (Formatted(1, "one"), "x"), (2, "y"), (3, "x"), totals=(6, None)),
        "empty": table("a"),
    },
)


def _fill(text: str, options: RenderOptions | None = None) -> str:
    options = options or RenderOptions()
    return fill(text, Language(DATA, options), Scope(DATA), "here")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ flights }}", "1234.5"),
        ("{{ flights.text }}", "1.234,5"),
        ("{{ flights | number }} {{ flights | number(2) }}", "1,235 1,234.50"),
        ("{{ share | percent(1) }}", "25.6%"),
        ("{{ on | date('%d.%m.%Y') }} {{ on }}", "09.03.2026 2026-03-09"),
        ("[{{ none }}]", "[]"),
        ("{{ name }}", "<Ada> & Co"),
        ("{{ flights * 2 }}", "2469"),
        ("{{ m.count }} {{ m.totals.a }} [{{ m.totals.b }}]", "3 6 []"),
        ("{{ m.rows | length }} {{ m.rows | sum(attribute='a') }}", "3 6"),
        ("{% if flights > 1000 %}many{% else %}few{% endif %}", "many"),
        ("{% if none %}a{% elif share < 0.5 %}b{% else %}c{% endif %}", "b"),
        ("{% for r in m.rows %}{{ r.a.text }}{{ r.b }} {% endfor %}", "onex 2y 3x "),
        ("{% for r in m.rows if r.b == 'x' %}{{ r.a }}{% endfor %}", "13"),
        (
            '{% for g in m.rows|groupby("b") %}{% for r in g.rows %}{{ r.a }}{% endfor %};{% endfor %}',
            "13;2;",
        ),
        (
            "{% for r in m.rows if r.a>1 %}{{loop.index}}/{{loop.length}}{{ ',' if loop.first }}{% endfor %}",
            "1/2,2/2",
        ),
        ("{% for r in empty.rows %}x{% else %}nothing{% endfor %}", "nothing"),
        ("{{ 'a' if flights is number else 'b' }}", "a"),
        ("{{ '}}' }}{# a comment #}", "}}"),
        ("{{ meta.report }} {{ meta.now | date('%Y') }}", "Sales 2026"),
        ("no tags { at } all", "no tags { at } all"),
    ],
)
def test_what_a_tag_means(text: str, expected: str) -> None:
    assert _fill(text) == expected


def test_separators_and_dates_are_the_reports() -> None:
    options = RenderOptions(decimal=",", thousands=".", date_format="%d.%m.%Y")
    assert _fill("{{ flights }} {{ flights | number(1) }} {{ on }}", options) == "1234,5 1.234,5 09.03.2026"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ flighs }}", "no value or table called 'flighs'"),
        ("{{ m.c }}", "no column 'c'"),
        ("{{ m.a }}", "outside a row"),
        ("{{ flights", "not closed"),
        ("{{ flights %}", "closed wrongly"),
        ("{% for r in m.rows %}", "never closed"),
        ("{% endif %}", "closes nothing"),
        ("{% if flights %}{% endfor %}{% endif %}", "closes nothing"),
        ("{{ name | number }}", "not a number"),
        ("{{ m.rows }}", "is a table or a row"),
        ("{{ a b }}", "syntax error|cannot|no value"),
        ("{{ name | shout }}", "filter 'shout' is not available"),
        ("{{ r.x | number(}}", "no value|syntax"),
    ],
)
def test_mistakes_are_told_with_place_and_remedy(text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        _fill(text)
    assert caught.value.place
    assert caught.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ name.__class__.__mro__ }}",
        "{{ name['__class__'] }}",
        "{{ name | attr('__class__') }}",
        "{{ name.upper() }}",
        "{{ m.rows.append(1) }}",
        "{{ m.rows.clear() }}",
        "{{ debug() }}",
        "{{ lipsum(1000000) }}",
        "{{ namespace(a=1) }}",
        "{{ cycler }}",
        "{{ self }}",
        "{{ range(10) | map('format') }}",
        "{{ '%9999999999d' | format(1) }}",
        "{% set a = 'a' %}",
        "{% macro f() %}{% endmacro %}",
        "{% include '/etc/passwd' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% block a %}{% endblock %}",
        "{% filter upper %}a{% endfilter %}",
        "{% call f() %}{% endcall %}",
        "{% raw %}a{% endraw %}",
        "{% autoescape false %}{{ name }}{% endautoescape %}",
        "{{ name | safe }}",
        "{% for a in [name] %}{{ a }}{% endfor %}",
        "{% for a in (name ~ name) | unique %}{{ a }}{% endfor %}",
        "{% for a in m.rows recursive %}{{ loop(a) }}{% endfor %}",
        "{{ " + "1 + " * 50_000 + "1 }}",
        "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
        "{% if true %}" * 50 + "{% endif %}" * 50,
        "{{ name | replace('a', name) " + "| replace('a', 'aaaaaaaaaaaa')" * 30 + " }}",
    ],
)
def test_what_could_harm_is_refused(text: str) -> None:
    with pytest.raises(TemplateError) as caught:
        _fill(text)
    assert caught.value.remedy


def test_a_row_called_text_is_a_column() -> None:
    data = report({}, {"t": table("text", ("x",))})
    language = Language(data, RenderOptions())
    assert (
        fill("{% for r in t.rows %}{{ r.text }}{{ r.text.text }}{% endfor %}", language, Scope(data), "p")
        == "xx"
    )


def test_a_tag_over_several_runs_takes_the_look_of_its_first() -> None:
    language = Language(DATA, RenderOptions())
    runs = ["Bold {{ fli", "ghts }} mid", "dle {{ na", "me }}."]
    assert fill_runs(runs, language, Scope(DATA), "p") == ["Bold 1234.5", " mid", "dle <Ada> & Co", "."]


def test_data_is_never_changed_by_a_template() -> None:
    before = [tuple(row) for row in DATA.tables["m"].rows]
    _fill("{{ m.rows | sort(attribute='a', reverse=true) | length }}{{ m.rows | reverse | length }}")
    assert DATA.tables["m"].rows == before
