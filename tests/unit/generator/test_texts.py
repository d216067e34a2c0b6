"""Tags, names and conditions: small, bounded, and clear about what they refuse."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.configuration import ConditionRule, Operator
from generator.domain.conditions import Operand, describe, holds, plain, right_expression
from generator.domain.tags import MAX_VALUE, Context, TagError, render
from rendering.file_names import (
    MAX_NAME_BYTES,
    Namer,
    PathRefusedError,
    part_of_name,
    safe_folder,
    safe_name,
)
from rendering.model import Meta
from rendering.phrases import problems
from rendering.vocabulary import Place, facts

NOW = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
CONTEXT: Context = {
    "task": {"name": "Daily"},
    "date": datetime(2026, 3, 2, tzinfo=UTC).date(),
    "now": datetime(2026, 3, 2, 8, 5, tzinfo=UTC),
    "empty": "",
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("{{ task.name }}", "Daily"),
        ("{{task.name|upper}}!", "DAILY!"),
        ("{{ task.name | lower }}", "daily"),
        ("{{ task }} {{ meta.task }} {{ meta.task.name }}", "Daily Daily Daily"),
        ('{{ meta.now | date("%Y-%m") }}', "2026-03"),
        ("{{ task.name | lower | replace('d', 'D') | truncate(3) }}", "..."),
        ("{{ 'x' if task.name == 'Daily' else 'y' }}", "x"),
        ("{{ empty or task.name }}", "Daily"),
        ("{{ unknown or 'none' }}", "none"),
        ("{{ date | format }}", "2026-03-02"),
        ("{{ task.name | default(“x”) }}", "Daily"),
        ("{{\u00a0task.name\u00a0}}", "Daily"),
        ("{{{ task.name }}}", "{Daily}"),
        ("a{#id{color:red}}", "a{#id{color:red}}"),
        ("{{ date }}", "2026-03-02"),
        ('{{ date | format("%d.%m.%y") }}', "02.03.26"),
        ("{{ now | format('%H%M') }}", "0805"),
        ("{{ now }}", "2026-03-02 08:05+00:00"),
        ('{{ empty | default("none") }}', "none"),
        ("{{ unknown | default('x') | upper }}", "X"),
        ("a } b }} c", "a } b }} c"),
    ],
)
def test_tags_show_values(text: str, shown: str) -> None:
    assert render(text, CONTEXT) == shown


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{ nobody }}", "Names with a value are: date, empty, now, task.name"),
        ("{{ task.name.upper() }}", "cannot be called"),
        ("{{ task.__class__ }}", "underscore"),
        ("{% for x in y %}", "is a statement"),
        ("{{ task.name", "not closed"),
        ("{{ 'a' * 100000 }}", "is not a valid tag"),
        ("{{7*7}}", "is not a valid tag"),
        ("{{ 7 }}", "is not a valid tag"),
        ("{{ range(3) }}", "is not a valid tag"),
        ("{{ [task.name] }}", "is not a valid tag"),
        ("{{ task.name | exec }}", "'exec' is not available"),
        ("{{ task.name | format('%Y') }}", "is not a date"),
        ("{{ date | format('%9999d') }}", "directives"),
        ("{{ unknown | upper }}", "has no value"),
        ("{{ task.name | items }}", "Write {{ name }}"),
    ],
)
def test_anything_else_is_refused_and_told(text: str, says: str) -> None:
    with pytest.raises(TagError) as told:
        render(text, CONTEXT)
    assert says in str(told.value)


def test_values_are_escaped_and_bounded_but_never_read_as_tags() -> None:
    assert render("<{{ v }}>", {"v": "{{ v }}"}, escape=str.upper) == "<{{ V }}>"
    assert len(render("{{ v }}", {"v": "x" * 10_000})) == MAX_VALUE


@given(st.text(max_size=300))
def test_every_text_is_rendered_or_refused(text: str) -> None:
    try:
        render(text, CONTEXT)
    except TagError:
        assert "{{" in text or "{%" in text


@given(st.text(max_size=400), st.sampled_from(["", "xlsx"]))
def test_a_safe_name_is_one_name_everywhere(text: str, extension: str) -> None:
    name = safe_name(text, extension=extension)
    assert name not in {"", ".", ".."}
    assert not set('/\\:*?"<>|\x00\n') & set(name)
    assert len(name.encode()) <= MAX_NAME_BYTES
    assert name == name.strip()
    assert name.endswith(f".{extension}" if extension else "")
    assert safe_name(name, extension=extension) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Sales.XLSX", "Sales.xlsx"),
        ("a/b\\c", "a_b_c.xlsx"),
        ("  ", "_.xlsx"),
        ("..", "_.xlsx"),
        ("con", "_con.xlsx"),
        ("evil\u202egpj", "evil_gpj.xlsx"),
        ("a\u200bb\ufeff\u00adc", "abc.xlsx"),
        ("\u200b", "_.xlsx"),
        ("-rf", "_-rf.xlsx"),
        ("-5", "_-5.xlsx"),
        ("~$Sales", "_~$Sales.xlsx"),
        ("CLOCK$", "_CLOCK$.xlsx"),
        ("conin$", "_conin$.xlsx"),
        ("COM¹", "_COM¹.xlsx"),
        ("con .x", "_con .x.xlsx"),
        ("c\u200bon", "_con.xlsx"),
        (".hidden", "hidden.xlsx"),
        ("Sales.xlsx\u200b", "Sales.xlsx"),
        ("Sales / North: 2026?", "Sales _ North_ 2026_.xlsx"),
        ("a\r\nb", "a b.xlsx"),
    ],
)
def test_names_that_make_trouble_are_made_harmless(text: str, name: str) -> None:
    assert safe_name(text, extension="xlsx") == name


@given(st.text(alphabet="ab./\\ :\x00", max_size=40))
def test_a_folder_never_leaves_its_space(path: str) -> None:
    try:
        folder = safe_folder(path)
    except PathRefusedError:
        assert ".." in path
        return
    assert not folder.startswith("/")
    assert not {"", ".", ".."} & set(folder.split("/") if folder else ())


@given(st.lists(st.sampled_from(["a.x", "A.x", "a (2).x", "b"]), max_size=12))
def test_a_namer_never_gives_a_name_twice(names: list[str]) -> None:
    namer = Namer()
    given_ = [namer.unique(name).casefold() for name in names]
    assert len(set(given_)) == len(given_)


def test_a_number_never_goes_into_a_folder_and_accents_count_alike() -> None:
    namer = Namer()
    names = ["a.b/file", "a.b/file", ".x", ".x", "caf\u00e9", "cafe\u0301"]
    made = [namer.unique(name) for name in names]
    assert ["a.b/file", "a.b/file (2)", ".x", ".x (2)", "caf\u00e9", "cafe\u0301 (2)"] == made


def test_a_value_in_a_path_adds_no_folder() -> None:
    assert "a_b" == part_of_name("a/b")
    assert "_" == part_of_name("..")
    assert "temp-5" == safe_folder(f"temp{part_of_name('-5')}")


def test_the_page_about_file_names_says_what_happens() -> None:
    page = (Path(__file__).parents[3] / "docs/templates/file-names.md").read_text()
    names = re.findall(r"^\| `([^`]*)` \| `([^`]*\.xlsx)` \|$", page, re.MULTILINE)
    assert len(names) > 5
    assert [name for _, name in names] == [safe_name(text, extension="xlsx") for text, _ in names]
    meta = Meta(NOW, report="Sales by region", task="Weekly sales", iteration="North")
    patterns = re.findall(r"^\| `(\{\{.*\}\})` \| `([^`]*)` \|$", page, re.MULTILINE)
    assert len(patterns) > 5
    for pattern, shown in patterns:
        text = pattern.replace("\\|", "|")
        assert [] == problems(text, Place.FILE_NAME)
        assert shown == render(text, facts(meta, Place.FILE_NAME))


@pytest.mark.parametrize(
    ("left", "sign", "right", "expected"),
    [
        (Operand("1,000", 1000.0), "=", "1000", True),
        (Operand("1,000", 1000.0), "!=", "1000", False),
        (Operand("9", 9.0), "<", "10", True),
        (Operand("9"), "<", "10", False),
        (Operand("5", 5.0), ">=", "5", True),
        (Operand("5", 5.0), ">", "5", False),
        (Operand("4", 4.0), "<=", "5", True),
        (Operand("Newark"), "=", " newark ", True),
        (Operand("Newark Liberty"), "contains", "liberty", True),
        (Operand("Newark"), "starts-with", "new", True),
        (Operand("Newark"), "starts-with", "ark", False),
        (Operand(""), "is-empty", "", True),
        (Operand("0", 0.0), "is-empty", "", False),
        (Operand(""), "is-not-empty", "", False),
        (Operand("x"), "is-not-empty", "", True),
        (Operand("1", 1.0), "=", "nan", False),
    ],
)
def test_conditions_compare_as_a_person_expects(left: Operand, sign: str, right: str, expected: bool) -> None:
    rule = ConditionRule(left="=Sum(x)", operator=Operator(sign), right=right)
    assert holds(rule, left, plain(right)) is expected
    assert describe(rule, left, plain(right))


def test_a_right_side_is_an_expression_only_where_it_is_needed() -> None:
    assert right_expression(ConditionRule(left="=A", operator=Operator.EQ, right="=B")) == "=B"
    assert right_expression(ConditionRule(left="=A", operator=Operator.EQ, right="B")) is None
    assert right_expression(ConditionRule(left="=A", operator=Operator.IS_EMPTY, right="=B")) is None


def test_a_code_is_compared_as_a_text() -> None:
    assert plain("007") == Operand("007")
    assert plain("7") == Operand("7", 7)
    rule = ConditionRule(left="=Only(Article)", operator=Operator.EQ, right="7")
    assert not holds(rule, Operand("007"), plain("7"))
    assert holds(rule, Operand("007"), plain("007"))
    assert holds(rule, Operand("7.00", 7), plain("7"))
