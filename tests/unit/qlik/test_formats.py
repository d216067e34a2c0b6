"""Numbers, dates and formats: what a cell is, and which Excel code shows the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qlik import Column, QlikNumberFormat
from qlik.formats import (
    cell,
    cell_value,
    column,
    from_serial,
    number,
    number_format,
    parse_time,
    to_serial,
    value,
)

NO_NUMBERS: list[object] = ["NaN", "Infinity", "+Infinity", "-Infinity", None, True, "12", [], float("nan")]


@pytest.mark.parametrize("raw", NO_NUMBERS)
def test_what_cannot_be_calculated_with_is_no_number(raw: object) -> None:
    assert number(raw) is None


def test_numbers_keep_their_kind() -> None:
    assert number(5) == 5
    assert number(0) == 0
    assert number(-0.25) == -0.25


@pytest.mark.parametrize(
    ("serial", "moment"),
    [
        (0, datetime(1899, 12, 30)),
        (1, datetime(1899, 12, 31)),
        (45000, datetime(2023, 3, 15)),
        (45000.416666666664, datetime(2023, 3, 15, 10)),
        (41275.999988425923, datetime(2013, 1, 1, 23, 59, 59)),
    ],
)
def test_a_serial_is_days_since_1899_12_30(serial: float, moment: datetime) -> None:
    assert from_serial(serial) == moment


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(9999, 12, 31)))
def test_a_moment_survives_the_way_there_and_back(moment: datetime) -> None:
    back = from_serial(to_serial(moment))
    assert back is not None
    assert abs((back - moment).total_seconds()) <= 0.001


@pytest.mark.parametrize("serial", [1e12, -1e9, 3e6])
def test_a_serial_outside_the_calendar_is_no_date(serial: float) -> None:
    assert from_serial(serial) is None


@pytest.mark.parametrize(
    ("raw", "moment"),
    [
        ("2024-05-01T10:00:00.123Z", datetime(2024, 5, 1, 10, 0, 0, 123000, tzinfo=UTC)),
        ("2024-05-01T12:00:00+02:00", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("2024-05-01T10:00:00.1234567Z", datetime(2024, 5, 1, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2024-05-01T10:00:00", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("1753-01-01T00:00:00.000Z", None),
        ("", None),
        (None, None),
        ("yesterday", None),
        ({"$date": 1}, None),
    ],
)
def test_times_of_qlik_are_read_as_utc_and_nonsense_is_none(raw: object, moment: datetime | None) -> None:
    assert parse_time(raw) == moment


def info(**changes: Any) -> dict[str, Any]:
    return {"qFallbackTitle": "X", "qNumFormat": {"qType": "U"}, "qTags": [], **changes}


@pytest.mark.parametrize(
    ("raw", "role", "kind"),
    [
        (info(qNumFormat={"qType": "D", "qFmt": "DD.MM.YYYY"}), "dimension", "date"),
        (info(qNumFormat={"qType": "TIMESTAMP", "qFmt": "x"}), "dimension", "timestamp"),
        (info(qTags=["$numeric", "$timestamp", "$date"]), "dimension", "date"),
        (info(qTags=["$numeric", "$timestamp"]), "dimension", "timestamp"),
        (info(qTags=["$numeric", "$integer"]), "dimension", "number"),
        (info(qTags=["$ascii", "$text"]), "dimension", "text"),
        (info(), "measure", "number"),
        (info(qNumFormat={"qType": "IV", "qFmt": "hh:mm"}), "measure", "interval"),
        (info(qNumFormat={"qType": "D", "qFmt": "YYYY"}), "measure", "date"),
    ],
)
def test_the_kind_of_a_column_comes_from_format_and_tags(raw: dict[str, Any], role: str, kind: str) -> None:
    assert column(raw, role=role).kind == kind


NUMBER = Column("n", "number", None, "dimension")
MEASURE = Column("m", "number", None, "measure")
DATE = Column("d", "date", QlikNumberFormat("D", "DD.MM.YYYY"), "dimension")
MONEY = Column("m", "number", QlikNumberFormat("M", "# ##0,00 kr", 2, ",", " "), "measure")


@pytest.mark.parametrize(
    ("raw", "col", "expected"),
    [
        ({"qText": "51,15", "qNum": 51.1528}, MEASURE, 51.1528),
        ({"qText": "1\u00a0234,50 kr", "qNum": 1234.5}, MONEY, 1234.5),
        ({"qText": "75%", "qNum": 0.75}, MEASURE, 0.75),
        ({"qText": "High", "qNum": 3}, MEASURE, "High"),
        ({"qText": "Jan", "qNum": 1, "qElemNumber": 0}, NUMBER, "Jan"),
        ({"qText": "Q1", "qNum": 1, "qElemNumber": 0}, NUMBER, "Q1"),
        ({"qText": "1,5E10", "qNum": 15e9, "qElemNumber": 0}, NUMBER, 15e9),
        ({"qText": "2024", "qNum": 2024, "qElemNumber": 7}, NUMBER, 2024),
        ({"qText": "15.03.2023", "qNum": 45000, "qElemNumber": 7}, DATE, datetime(2023, 3, 15)),
        ({"qText": "unknown", "qNum": "NaN", "qElemNumber": 8}, DATE, "unknown"),
        ({"qText": "-", "qNum": "NaN", "qElemNumber": -2}, DATE, None),
        ({"qText": "-", "qNum": "NaN", "qIsNull": True}, MEASURE, None),
        ({"qText": "-", "qNum": "NaN"}, MEASURE, None),
        ({"qText": "-", "qNum": "NaN", "qElemNumber": 3}, Column("t", "text"), "-"),
        ({"qText": "Others", "qNum": "NaN", "qElemNumber": -3}, NUMBER, "Others"),
        ({}, MEASURE, None),
    ],
)
def test_a_cell_is_number_moment_text_or_nothing(raw: dict[str, Any], col: Column, expected: object) -> None:
    found = cell(raw, col)
    assert found.value == expected
    assert type(found.value) is type(expected)
    assert found.text == raw.get("qText", "")


def test_values_of_either_shape_are_read() -> None:
    assert value({"qText": "361,716", "qIsNumeric": True, "qNumber": 361716}).number == 361716
    assert value({"qText": "x", "qIsNumeric": False, "qNumber": 0}).number is None
    assert value({"qText": "7", "qNum": 7}).number == 7
    assert value({"qText": "a", "qNum": "NaN"}).number is None


@pytest.mark.parametrize(
    ("fmt", "code"),
    [
        (QlikNumberFormat("I", "###0", 0, ","), "###0"),
        (QlikNumberFormat("I", "#,##0", 0, ".", ","), "#,##0"),
        (QlikNumberFormat("F", "# ##0,00", 2, ",", " "), "#,##0.00"),
        (QlikNumberFormat("F", "#\u00a0##0,0", 1, ",", "\u00a0"), "#,##0.0"),
        (QlikNumberFormat("M", "#.##0,00 €", 2, ",", "."), "#,##0.00 €"),
        (QlikNumberFormat("M", "$#,##0.00;($#,##0.00)", 2, ".", ","), "$#,##0.00;($#,##0.00)"),
        (QlikNumberFormat("M", "$#,##0.00;-$#,##0.00", 2, ".", ","), "$#,##0.00;-$#,##0.00"),
        (QlikNumberFormat("F", "0.0%", 1, ".", ","), "0.0%"),
        (QlikNumberFormat("R", "#,##0 kr", 0, ".", ","), '#,##0 "kr"'),
        (QlikNumberFormat("F", "", 2, ".", ","), "#,##0.00"),
        (QlikNumberFormat("D", "DD.MM.YYYY"), "dd.mm.yyyy"),
        (QlikNumberFormat("D", "YYYY-MM-DD"), "yyyy-mm-dd"),
        (QlikNumberFormat("D", "WWW D MMM YY"), "ddd d mmm yy"),
        (QlikNumberFormat("TS", "M/D/YYYY h:mm:ss[.fff] TT"), "m/d/yyyy h:mm:ss AM/PM"),
        (QlikNumberFormat("TS", "YYYY-MM-DDThh:mm"), r"yyyy-mm-dd\Thh:mm"),
        (QlikNumberFormat("T", "hh:mm"), "hh:mm"),
        (QlikNumberFormat("IV", "h:mm:ss"), "[h]:mm:ss"),
        (QlikNumberFormat("A"), "@"),
        (QlikNumberFormat("U"), "General"),
    ],
)
def test_a_format_becomes_the_excel_code_that_shows_the_same(fmt: QlikNumberFormat, code: str) -> None:
    assert fmt.excel == code


TYPES = ["U", "I", "R", "F", "M", "D", "T", "TS", "IV", "A"]


@example('"', "D", ".")
@example('"', "U", ".")
@given(st.text(max_size=30), st.sampled_from(TYPES), st.sampled_from([".", ",", ""]))
def test_no_pattern_of_an_author_breaks_the_translation(pattern: str, kind: str, decimal: str) -> None:
    code = QlikNumberFormat(kind, pattern, 2, decimal, ",").excel
    assert code
    assert code.count('"') % 2 == 0


def test_no_format_is_none() -> None:
    assert number_format({"qType": "U", "qnDec": 0, "qUseThou": 0}) is None
    assert number_format(None) is None
    fmt = number_format({"qType": "M", "qFmt": "# ##0", "qThou": "\u00a0", "qDec": ","})
    assert fmt == QlikNumberFormat("M", "# ##0", 0, ",", "\u00a0")


def test_a_cell_of_a_hostile_engine_is_text_or_nothing_and_never_more() -> None:
    column = Column("n", "number")
    for text in ([1], {"a": 1}, True, 5):
        assert str(text) == cell({"qText": text, "qNum": "NaN"}, column).text
    odds: tuple[Any, ...] = (True, [1], {}, "1", float("inf"))
    for odd in odds:
        assert "x" == cell({"qText": "x", "qNum": odd}, column).value


FORMATS = [None, *(QlikNumberFormat(kind) for kind in ("U", "A", "I", "R", "F", "M", "D", "T", "TS", "IV"))]


@given(
    text=st.sampled_from(["", "-", "x", "Jan", "Q1", "12 kr", "1e3", "75%", "\u00bd", "\u0663"]),
    num=st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**9), 10**9)),
    kind=st.sampled_from(["number", "date", "timestamp", "time", "interval", "text"]),
    fmt=st.sampled_from(FORMATS),
    role=st.sampled_from(["dimension", "measure"]),
)
def test_the_short_cuts_of_reading_many_cells_change_nothing(
    text: str, num: float, kind: Any, fmt: QlikNumberFormat | None, role: Any
) -> None:
    col = Column("c", kind, fmt, role)
    assert cell_value(text, num, col) == cell({"qText": text, "qNum": num}, col).value
    assert cell_value(text, None, col) == cell({"qText": text, "qNum": "NaN"}, col).value
