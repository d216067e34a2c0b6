"""The rule for duals: a value is its number if its text only writes that number, and else its text."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qlik import Column, QlikNumberFormat
from qlik.duals import is_code, writes
from qlik.formats import cell, cell_value

WHOLE = QlikNumberFormat("I", "###0", 0, ".", ",")
FIELD = Column("f", "number", WHOLE, "dimension")
PLAIN = Column("f", "number", None, "dimension")
RESULT = Column("m", "number", None, "measure")
FORMATTED = Column("m", "number", WHOLE, "measure")
ALL = [FIELD, PLAIN, RESULT, FORMATTED]


@pytest.mark.parametrize("column", ALL, ids=["field", "plain field", "result", "formatted result"])
@given(digits=st.from_regex(r"0[0-9]{1,14}", fullmatch=True))
def test_a_code_with_zeros_in_front_is_never_a_number(column: Column, digits: str) -> None:
    assert digits == cell({"qText": digits, "qNum": int(digits), "qElemNumber": 0}, column).value
    assert is_code(digits)


@pytest.mark.parametrize("column", ALL, ids=["field", "plain field", "result", "formatted result"])
@given(number=st.integers(-(10**15) + 1, 10**15 - 1))
def test_a_whole_number_as_it_is_written_is_always_a_number(column: Column, number: int) -> None:
    assert number == cell({"qText": str(number), "qNum": number, "qElemNumber": 0}, column).value


GROUPED = [(".", ","), (",", "."), (",", "\u00a0"), (",", " "), (".", "'"), (".", "\u2019")]


@given(
    number=st.floats(-1e9, 1e9),
    decimals=st.integers(0, 6),
    separators=st.sampled_from(GROUPED),
    affixes=st.sampled_from([("", ""), ("$", ""), ("", " \u20ac"), ("", " kr"), ("CHF ", "")]),
)
def test_a_number_in_any_common_format_is_a_number(
    number: float, decimals: int, separators: tuple[str, str], affixes: tuple[str, str]
) -> None:
    decimal, thousand = separators
    shown = f"{abs(number):,.{decimals}f}".translate({ord(","): thousand, ord("."): decimal})
    sign = "-" if number < 0 and any(digit in "123456789" for digit in shown) else ""
    text = f"{sign}{affixes[0]}{shown}{affixes[1]}"
    pattern = f"{affixes[0]}#{thousand}##0{decimal + '0' * decimals if decimals else ''}{affixes[1]}"
    fmt = QlikNumberFormat("M", pattern, decimals, decimal, thousand)
    assert number == cell_value(text, number, Column("x", "number", fmt, "dimension"))
    assert number == cell_value(text, number, Column("x", "number", fmt, "measure"))
    assert number == cell_value(text, number, RESULT)


@given(number=st.floats(-10, 10), decimals=st.integers(0, 4), space=st.sampled_from(["", " ", "\u00a0"]))
def test_a_percentage_is_a_number(number: float, decimals: int, space: str) -> None:
    text = f"{number * 100:.{decimals}f}{space}%"
    if text.startswith("-") and not any(digit in "123456789" for digit in text):
        text = text[1:]
    assert number == cell_value(text, number, RESULT)


@given(shown=st.integers(1, 10**9), number=st.integers(1, 10**9))
def test_digits_that_are_another_number_stay_a_text(shown: int, number: int) -> None:
    expected: object = number if shown == number else str(shown)
    assert expected == cell_value(str(shown), number, PLAIN)
    assert expected == cell_value(str(shown), number, RESULT)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.10", 1.1), ("1.0", 1), ("12E5", 1200000), ("1E3", 1000), ("+05", 5), ("Q1", 1),
        ("2024/12", 45376), ("12-34", 12), ("1 of 2", 1), ("9999999999999999", 9999999999999999), ("-5", 5),
        ("5", -5), ("2024", 45292), ("Jan", 1), ("#7", 8), ("00", 0), ("007.5", 7.5),
    ],
)  # fmt: skip
def test_a_value_of_a_field_that_says_more_than_its_number_stays_a_text(text: str, number: float) -> None:
    assert text == cell_value(text, number, PLAIN)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1.5", 1.5), ("0", 0), ("0.5", 0.5), ("-0.5", -0.5), ("1.2345678901235e+20", 1.2345678901234567e20),
     ("", 3), ("1,234", 1234), ("12 %", 0.12), ("$5", 5)],
)  # fmt: skip
def test_a_value_of_a_field_that_only_writes_its_number_is_a_number(text: str, number: float) -> None:
    assert number == cell_value(text, number, PLAIN)


def test_zeros_that_the_format_of_the_column_writes_make_no_code() -> None:
    padded = QlikNumberFormat("I", "000")
    assert writes("007", 7, padded)
    assert not writes("0007", 7, padded)
    assert writes("1.50", 1.5, QlikNumberFormat("F", "0.00", 2))
    assert not writes("1.500", 1.5, QlikNumberFormat("F", "0.00", 2))


def test_a_date_whose_text_is_none_in_its_pattern_stays_a_text() -> None:
    week = Column("w", "date", QlikNumberFormat("D", "YYYY-MM-DD"), "dimension")
    assert "2024/12" == cell_value("2024/12", 45376, week)
    assert datetime(2024, 3, 25) == cell_value("2024-03-25", 45376, week)
    month = Column("w", "date", QlikNumberFormat("D", "MMM YYYY"), "dimension")
    assert datetime(2024, 3, 25) == cell_value("M\u00e4rz 2024", 45376, month)
    assert "April 2023" == cell_value("April 2023", 45376, month)


@given(st.text(max_size=40), st.floats(allow_nan=False, allow_infinity=False))
def test_no_text_breaks_the_rule(text: str, number: float) -> None:
    for column in ALL:
        assert cell_value(text, number, column) in {text, number}
