"""File names are safe on every file system, whatever the data says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rendering import TemplateError, safe_file_name
from support.report_data import report

PATTERN = "{{ meta.report }} {{ who }}"


def test_a_pattern_uses_values_dates_and_the_task() -> None:
    name = safe_file_name(
        "{{ meta.task }}-{{ meta.iteration }}-{{ meta.now | date('%Y-%m') }}", report(), "xlsx"
    )
    assert name == "Weekly-North-2026-11.xlsx"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("../../etc/passwd", "_.._etc_passwd.pdf"),
        ("C:\\Windows\\x", "C__Windows_x.pdf"),
        ("a\u202egnp.exe", "agnp.exe.pdf"),
        ("CON", "_CON.pdf"),
        ("com1.txt", "_com1.txt.pdf"),
        ("-rf", "rf.pdf"),
        ("x. . .", "x.pdf"),
        ("", "report.pdf"),
        ("a\0b\nc", "ab_c.pdf"),
        ("Zu\u0308rich", "Zürich.pdf"),
    ],
)
def test_hostile_values_make_harmless_names(value: str, expected: str) -> None:
    assert safe_file_name("{{ who }}", report({"who": value}), "pdf") == expected


def test_names_are_unique_without_regard_to_case() -> None:
    taken = {"sales NORTH.xlsx", "Sales North (2).xlsx"}
    assert (
        safe_file_name("{{ meta.report }} {{ meta.iteration }}", report(), "xlsx", taken)
        == "Sales North (3).xlsx"
    )


def test_a_pattern_that_cannot_be_read_says_why() -> None:
    with pytest.raises(TemplateError, match="no value or table called 'nope'"):
        safe_file_name("{{ nope }}", report(), "pdf")


@given(st.text(max_size=300), st.sets(st.text(max_size=10), max_size=5))
def test_any_text_gives_a_name_every_system_takes(value: str, taken: set[str]) -> None:
    name = safe_file_name(PATTERN, report({"who": value}), "pdf", taken)
    assert name.endswith(".pdf")
    assert len(name.encode()) <= 200
    assert not set(name) & set('<>:"/\\|?*\0\n')
    assert name[0] not in ".-~ "
    assert name not in taken
    assert safe_file_name(PATTERN, report({"who": value}), "pdf", taken) == name
