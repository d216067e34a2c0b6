"""Every name that tags can show: declared once, documented, and filled in wherever it can stand."""

from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest

from rendering import (
    Meta,
    OutputFormat,
    RenderData,
    RenderOptions,
    TemplateError,
    TemplateKind,
    inspect,
    render,
)
from rendering.language import Language, Scope
from rendering.phrases import TagError, problems
from rendering.phrases import render as render_phrase
from rendering.text import fill
from rendering.vocabulary import NAMES, SHORT, Facts, Name, Place, facts
from support.one_text import template_of, text_of
from support.report_data import report

META = Meta(
    now=datetime(2026, 11, 22, 7, 30, tzinfo=UTC),
    report="Sales by region",
    format="xlsx",
    task="Weekly sales",
    task_id="weekly-sales",
    execution_id="0b8ff3a2c1d94e5f",
    iteration="North",
    iteration_field="region",
    filters="2026",
    recipient="Ada Lovelace",
    email="ada@example.org",
    attributes={"region": "North"},
)
DATA = RenderData(META)
PAGE = Path(__file__).parents[3] / "docs/templates/constructs/meta.md"
_PLACES = (Place.TEMPLATE, Place.FILE_NAME, Place.FOLDER, Place.SUBJECT, Place.BODY, Place.PASSWORD)


def _spellings(name: Name) -> list[str]:
    own = {"attributes": "region", "secrets": "pin"}
    path = [own[name.path[-2]] if part == "*" else part for part in name.path]
    spelled = [".".join(path)]
    if len(path) == 2 and SHORT.get(path[0]) == path[1]:
        spelled.append(path[0])
    return [*spelled, *(f"meta.{each}" for each in spelled)]


def _facts(place: Place) -> Facts:
    found = dict(facts(META, place))
    if place is Place.PASSWORD:
        found["recipient"] = {"name": META.recipient, "email": META.email, "attributes": META.attributes,
                              "secrets": {"pin": ""}}  # fmt: skip
    return found


CASES = [
    (place, spelling, name.example)
    for name in NAMES
    for place in name.places
    for spelling in _spellings(name)
    if place is not Place.TEMPLATE
]
IN_TEMPLATES = [
    (s, name.example) for name in NAMES if Place.TEMPLATE in name.places for s in _spellings(name)
]


@pytest.mark.parametrize(("place", "spelling", "expected"), CASES)
def test_every_name_is_accepted_and_shown_wherever_it_can_stand(
    place: Place, spelling: str, expected: str
) -> None:
    text = f"{{{{ {spelling} }}}}"
    shown = expected + "+00:00" if spelling.endswith("now") else expected
    assert [] == problems(text, place)
    assert shown == render_phrase(text, _facts(place))


@pytest.mark.parametrize(("spelling", "expected"), IN_TEMPLATES)
def test_every_name_is_shown_in_templates(spelling: str, expected: str) -> None:
    text = f"{{{{ {spelling} }}}}"
    assert expected == fill(text, Language(DATA, RenderOptions()), Scope(DATA), "here")
    for used in (text, f"{{{{ {spelling} | default('x') }}}}", f"{{{{ {spelling}.text }}}}"):
        page = f"<p>{used}</p>".encode()
        assert () == inspect(TemplateKind.HTML, page).problems
        made = render(TemplateKind.HTML, page, DATA, RenderOptions(), OutputFormat.HTML).content.decode()
        assert f"<p>{expected}</p>" == unescape(made)


@pytest.mark.parametrize("kind", ["xlsx", "docx", "pptx", "html"])
def test_every_kind_of_template_shows_every_name(kind: str) -> None:
    text = "; ".join(f"{{{{ {spelling} }}}}" for spelling, _ in IN_TEMPLATES if not spelling.endswith("now"))
    expected = "; ".join(shown for spelling, shown in IN_TEMPLATES if not spelling.endswith("now"))
    extra = " {% if iteration == 'North' %}{{ meta.now | format('%Y') }}{% endif %}"
    template = template_of(kind, text + extra)
    assert () == inspect(TemplateKind(kind), template).problems
    made = render(TemplateKind(kind), template, DATA, RenderOptions(), OutputFormat(kind)).content
    assert f"{expected} 2026" == text_of(kind, made)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.spelled)
def test_a_name_is_refused_where_it_cannot_stand(name: Name) -> None:
    for place in _PLACES:
        if place in name.places:
            continue
        for spelling in _spellings(name):
            text = f"{{{{ {spelling} }}}}"
            if place is not Place.TEMPLATE:
                (problem,) = problems(text, place)
                assert spelling in problem.message
                with pytest.raises(TagError):
                    render_phrase(text, facts(META, place))
            else:
                with pytest.raises(TemplateError):
                    fill(text, Language(DATA, RenderOptions()), Scope(DATA), "here")


def test_the_page_has_every_name_with_where_it_can_stand() -> None:
    page = PAGE.read_text()
    assert _table() in page, f"the table of {PAGE} has to be:\n{_table()}"


def test_a_name_that_does_not_exist_is_refused_on_upload() -> None:
    found = inspect(TemplateKind.HTML, b"<p>{{ meta.reprot }} {{ meta }}</p>")
    assert ["there is no name 'meta.reprot'", "there is no name 'meta'"] == [
        each.message for each in found.problems
    ]
    assert all("report.name" in each.remedy for each in found.problems)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (True, "{{ meta.recipient }}"),
        (True, "{% if meta.recipient.attributes.region %}x{% endif %}"),
        (True, "{{ meta.recipient.email | upper }}"),
        (False, "{{ meta.report }} {{ meta.now }}"),
    ],
)
def test_a_template_that_shows_its_recipient_is_known_by_it(expected: bool, text: str) -> None:
    assert expected is inspect(TemplateKind.HTML, f"<p>{text}</p>".encode()).recipient


def test_data_of_the_report_hide_a_name_without_meta() -> None:
    data = report({"date": "mine", "recipient": "also mine"}, {})
    shown = fill(
        "{{ date }} {{ recipient }} {{ meta.report }}", Language(data, RenderOptions()), Scope(data), "x"
    )
    assert "mine also mine Sales" == shown


def test_an_attribute_is_empty_without_recipient_and_an_error_where_it_is_not_set() -> None:
    nobody = RenderData(Meta(META.now))
    text = "[{{ meta.recipient.attributes.size }}]"
    assert "[]" == fill(text, Language(nobody, RenderOptions()), Scope(nobody), "x")
    with pytest.raises(TemplateError, match="Ada Lovelace has no attribute 'size'"):
        fill(text, Language(DATA, RenderOptions()), Scope(DATA), "x")
    given = "[{{ meta.recipient.attributes.size | default('M') }}]"
    assert "[M]" == fill(given, Language(DATA, RenderOptions()), Scope(DATA), "x")


def _table() -> str:
    head = ["name", *(place.value for place in _PLACES), "is"]
    rows = [head, ["---"] * len(head)]
    for name in NAMES:
        short = len(name.path) == 2 and SHORT.get(name.path[0]) == name.path[1]
        spelled = f"`{name.spelled}`" + (f", `{name.path[0]}`" if short else "")
        marks = ["yes" if place in name.places else "" for place in _PLACES]
        rows.append([spelled, *marks, name.meaning])
    return "\n".join(
        "| " + " | ".join(row).replace("|  |", "| |").replace("|  |", "| |") + " |" for row in rows
    )
