"""Excel shows what Qlik shows: every format recorded or published, judged by a formatter of Excel's codes.

The judge is the npm package `ssf`. Where Node is not at hand a stand-in in Python judges, and the run says
so.
"""
# ruff: noqa: E501 - a table of cases is read best with one case a line

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from qlik import Column
from qlik.formats import cell, cell_codes, column, to_serial
from support.excel_display import display
from support.node import NoNodeError, installed
from support.servers import note

pytestmark = pytest.mark.integration
SCRIPTS: Final = Path(__file__).parent / "node"
NBSP: Final = "\u00a0"
AUTO: Final = {"qType": "R", "qnDec": 14, "qUseThou": 1, "qFmt": "##############", "qDec": "."}


class Shown(NamedTuple):
    """A number under a format of Qlik, and the text Qlik shows for it."""

    fmt: dict[str, Any]
    number: float
    text: str
    auto: bool = False
    role: str = "measure"


def fmt(kind: str, pattern: str = "", dec: str = ".", thou: str = ",", **more: Any) -> dict[str, Any]:
    return {"qType": kind, "qFmt": pattern, "qDec": dec, "qThou": thou, "qnDec": 2, "qUseThou": 0, **more}


NOON: Final = 45413.77  # 2024-05-01 18:28:48
SUNDAY: Final = 41364  # 2013-03-31, the day of the examples in Qlik's help

CASES: Final = [
    # numbers without a format of their own, as engines describe them
    *(Shown(AUTO, number, text, auto=True) for number, text in
      [(0.25, "0.25"), (0.75, "0.75"), (12.5, "12.5"), (3.2, "3.2"), (0, "0"), (-0.5, "-0.5"), (1e6, "1000000"),
       (123456789012, "123456789012"), (4006381333931, "4006381333931"), (-99999999999.5, "-99999999999.5")]),
    Shown(AUTO, 0.25, "0.25"),
    Shown(fmt("R", "########", qnDec=0), 12.5, "12.5", auto=True),
    Shown(fmt("I", "##############"), 7, "7"),
    Shown(fmt("R", "####", ",", "."), 0.5, "0,5"),
    Shown({"qType": "R", "qnDec": 14, "qFmt": "##0.##"}, 12.5, "12.5", auto=True),
    Shown({"qType": "U", "qnDec": 10, "qUseThou": 0}, 0.125, "0.125"),
    Shown({"qType": "REAL", "qnDec": 14}, 0.125, "0.125"),
    # the script's formats and expressions that format by themselves
    Shown(AUTO, 0.75, "75%", auto=True),
    Shown(AUTO, 0.755, "75.5 %", auto=True),
    Shown(AUTO, 12, "12 kr", auto=True),
    Shown(AUTO, -1234.5, "-1,234.50 \u20ac", auto=True),
    Shown(AUTO, -1234.5, "($1,234.50)", auto=True),
    Shown(AUTO, 1234567, "1.2M", auto=True),
    Shown({"qType": "M", "qnDec": 2, "qUseThou": 0}, 1234.5, "$1,234.50"),
    # whole numbers
    Shown({"qType": "I", "qnDec": 0, "qUseThou": 1, "qFmt": "###0", "qDec": ","}, 7, "7"),
    Shown({"qType": "I", "qnDec": 0, "qUseThou": 1, "qFmt": "###0", "qDec": ","}, 4006381333931, "4006381333931"),
    Shown(fmt("I", "#,##0"), 1234567, "1,234,567"),
    Shown(fmt("I", "#,##0"), -1234567, "-1,234,567"),
    Shown(fmt("I", "#,##0"), 0, "0"),
    Shown(fmt("I", "#,##0", thou=""), 1234567, "1,234,567"),
    Shown({"qType": "I", "qFmt": "#,##0", "qnDec": 0}, 1234567, "1,234,567"),
    Shown({"qType": "F", "qFmt": "#.##0,00", "qDec": ","}, 1234.5, "1.234,50"),
    Shown({"qType": "F", "qFmt": "0.00"}, 1234.5, "1234.50"),
    Shown(fmt("I", "0000"), 123, "0123"),
    Shown(fmt("I", "000"), 7, "007", role="dimension"),
    Shown(fmt("I", "0000-0000-0000", thou="-"), 1245678912, "0012-4567-8912"),
    Shown({"qType": "I"}, 123456789012, "123456789012"),
    # decimals and separators
    Shown(fmt("F", "# ##0", ",", " "), 1234567, "1 234 567"),
    Shown(fmt("F", f"#{NBSP}##0,0", ",", NBSP), 1234.56, f"1{NBSP}234,6"),
    Shown(fmt("F", f"#{NBSP}##0,0", ",", " "), 1234.56, f"1{NBSP}234,6"),
    Shown(fmt("F", "#'##0.00", ".", "'"), 1234.5, "1'234.50"),
    Shown(fmt("F", "#.##0", ",", "."), 1234.5, "1.235"),
    Shown(fmt("F", "#,##0.0000"), 1234.5, "1,234.5000"),
    Shown(fmt("F", "0.000"), 0.5, "0.500"),
    Shown(fmt("F", "#.00"), 0.5, ".50"),
    Shown(fmt("F", "0.0##"), 1, "1.0"),
    Shown(fmt("F", "0.0##"), 1.25, "1.25"),
    Shown(fmt("F", "0.##"), 5, "5"),
    Shown(fmt("F", "0.##"), 5.5, "5.5"),
    Shown(fmt("F", "#,##0.##"), 1234, "1,234"),
    Shown(fmt("F", "#,##0.##"), -1234.25, "-1,234.25"),
    Shown(fmt("F", "", qnDec=2), 3.14159, "3.14"),
    Shown(fmt("R", "$#,##0.0"), 1234.56, "$1,234.6"),
    # percent
    Shown(fmt("F", "0%"), 0.12, "12%"),
    Shown(fmt("F", "0.0%"), -0.125, "-12.5%"),
    Shown(fmt("F", "0,0%", ",", "."), 0.125, "12,5%"),
    Shown(fmt("F", "0.00 %"), 0.12345, "12.35 %"),
    Shown(fmt("F", "#,##0%"), 12.5, "1,250%"),
    # money, with a section for negative amounts
    Shown(fmt("M", "$#,##0.00;-$#,##0.00"), 1234.5, "$1,234.50"),
    Shown(fmt("M", "$#,##0.00;-$#,##0.00"), -1234.5, "-$1,234.50"),
    Shown(fmt("M", "$#,##0.00;($#,##0.00)"), -1234.5, "($1,234.50)"),
    Shown(fmt("M", "$###,##0;-$###,##0"), 1234567, "$1,234,567"),
    Shown(fmt("M", "\u00a3#,##0.00;-\u00a3#,##0.00"), -12, "-\u00a312.00"),
    Shown(fmt("M", "#.##0,00 \u20ac;-#.##0,00 \u20ac", ",", "."), -1234.5, "-1.234,50 \u20ac"),
    Shown(fmt("M", "# ##0,00 \u20ac;-# ##0,00 \u20ac", ",", " "), 1234.5, "1 234,50 \u20ac"),
    Shown(fmt("M", "# ##0 \u20ac", ",", " "), 1234, "1 234 \u20ac"),
    Shown(fmt("M", "kr #.##0,00", ",", "."), 1234.5, "kr 1.234,50"),
    Shown(fmt("M", "#,##0.00 CHF;-#,##0.00 CHF;free"), 0, "free"),
    # literals, exponents, shortened numbers
    Shown(fmt("F", "#,##0 'pcs'"), 5, "5 'pcs'"),
    Shown(fmt("F", "No. 0"), 5, "No. 5"),
    Shown(fmt("F", "0 m\u00b2"), 5, "5 m\u00b2"),
    Shown(fmt("F", "\u25b2 0.0;\u25bc 0.0"), -1.5, "\u25bc 1.5"),
    Shown(fmt("F", "0.00E+00"), 12345.6, "1.23E+04"),
    Shown(fmt("F", "#,##0.0A"), 1234567, "1.2M"),
    Shown(fmt("F", "#,##0.0A"), 12345, "12.3k"),
    Shown(fmt("F", "0.00A"), -2.5e9, "-2.50G"),
    Shown(fmt("F", "0.0A", ",", "."), 999, "999,0"),
    # numbers in other systems: Excel has no code, so the text stays
    Shown(fmt("I", "(bin)"), 199, "11000111"),
    Shown(fmt("I", "(oct)"), 199, "307"),
    Shown(fmt("I", "(hex)"), 199, "c7"),
    Shown(fmt("I", "(HEX)"), 199, "C7"),
    Shown(fmt("I", "(r36)"), 199, "5j", role="dimension"),
    Shown(fmt("I", "(ROM)"), 199, "CXCIX"),
    Shown(fmt("I", "(rom)"), 199, "cxcix", role="dimension"),
    # dates
    *(Shown(fmt("D", pattern), SUNDAY, text, role=role) for role in ("dimension", "measure") for pattern, text in
      [("YY-MM-DD", "13-03-31"), ("YYYY-MM-DD", "2013-03-31"), ("YYYY-MMM-DD", "2013-Mar-31"),
       ("DD MMMM YYYY", "31 March 2013"), ("M/D/YY", "3/31/13"), ("M/D/YYYY", "3/31/2013"), ("DD.MM.YYYY", "31.03.2013"),
       ("WWW YY-MM-DD", "Sun 13-03-31"), ("WWWW YY-MM-DD", "Sunday 13-03-31"), ("W YY-MM-DD", "6 13-03-31"),
       ("MMM YYYY", "Mar 2013"), ("MMM", "Mar"), ("YYYY", "2013"), ("D. MMMM YYYY", "31. March 2013"),
       ("YYYYMMDD", "20130331"), ("DD/MM/YYYY", "31/03/2013"), ("D MMM 'YY", "31 Mar '13")]),
    Shown(fmt("F", "YYYY-MM-DD"), SUNDAY, "2013-03-31"),
    Shown(fmt("D"), SUNDAY, "2013-03-31"),
    # times and timestamps
    *(Shown(fmt("T", pattern), 0.77, text, role=role) for role in ("dimension", "measure") for pattern, text in
      [("hh:mm", "18:28"), ("hh:mm:ss", "18:28:48"), ("h:mm:ss TT", "6:28:48 PM"), ("h:mm tt", "6:28 pm"),
       ("hh.mm.ss.ff", "18.28.48.00"), ("hh:mm:ss.fff", "18:28:48.000"), ("hhmm", "1828")]),
    *(Shown(fmt("TS", pattern), NOON, text, role=role) for role in ("dimension", "measure") for pattern, text in
      [("YYYY-MM-DD hh:mm", "2024-05-01 18:28"), ("M/D/YYYY h:mm:ss[.fff] TT", "5/1/2024 6:28:48 PM"),
       ("YYYY-MM-DD hh:mm:ss[.fff]", "2024-05-01 18:28:48"), ("YYYY-MM-DDThh:mm", "2024-05-01T18:28"),
       ("DD.MM.YYYY hh:mm:ss", "01.05.2024 18:28:48"), ("M/D/Y hh.mm.ss.fff", "5/1/24 18.28.48.000")]),
    # durations
    Shown(fmt("IV", "h:mm:ss"), 1.5, "36:00:00"),
    Shown(fmt("IV", "hh:mm:ss"), 0.125, "03:00:00"),
    Shown(fmt("IV", "hh:mm"), 4.25, "102:00"),
    Shown(fmt("IV", "mm:ss"), 0.0625, "90:00"),
    Shown(fmt("IV", "D hh:mm"), 1.5, "1 12:00"),
    Shown(fmt("IV", "D hh:mm"), 40.5, "40 12:00"),
    Shown(fmt("IV", "h:mm:ss"), -0.5, "-12:00:00"),
    Shown(fmt("IV"), 1.5, "36:00:00"),
    # fields: codes and names stay texts, ordinary numbers stay numbers
    *(Shown({"qType": "I", "qFmt": "###0", "qnDec": 0, "qUseThou": 1}, number, text, role="dimension")
      for number, text in [(7, "007"), (7, "7"), (123, "000123"), (1, "Jan"), (2024, "2024"), (-3, "-3")]),
    *(Shown(AUTO, number, text, auto=True, role="dimension") for number, text in
      [(1.1, "1.10"), (1.1, "1.1"), (1200000, "12E5"), (45292, "2024"), (45376, "2024/12"), (1, "Q1"), (5, "+05"),
       (12345678901234567, "12345678901234567"), (0.5, "0.5"), (1234.5, "1234.5")]),
    Shown(fmt("D", "YYYY-MM-DD"), 45376, "2024/12", role="dimension"),
    Shown(AUTO, 7, "007", auto=True),
    Shown(fmt("I", "###0"), 7, "007"),
]  # fmt: skip

CODES: Final = {"007", "000123", "1.10", "12345678901234567", "11000111", "307", "2024"}
NUMBERS: Final = [
    # what has to be a number in the workbook, however it is written
    case
    for case in CASES
    if case.fmt["qType"] not in {"D", "T", "TS", "IV"}
    and case.text not in CODES
    and re.fullmatch(r"-?\(?\$?[\d,.]+\)?( ?%| \u20ac)?", case.text)
]


def in_workbook(case: Shown) -> tuple[Column, str, float | str]:
    """The column, the format code and the value of the cell."""
    info = {"qFallbackTitle": "x", "qNumFormat": case.fmt, "qIsAutoFormat": case.auto}
    tags = {"qTags": ["$numeric"], "qDimensionType": "N"} if case.role == "dimension" else {}
    col = column({**info, **tags}, role=case.role)
    found = cell({"qText": case.text, "qNum": case.number, "qElemNumber": 0}, col)
    codes = cell_codes(col)
    code = (codes(found) if codes else None) or (col.number_format.excel if col.number_format else "General")
    value = found.value
    if isinstance(value, datetime):
        return col, code, to_serial(value)
    assert value is not None
    return col, code, value


def as_qlik_writes(displayed: str, case: Shown, code: str) -> str:
    """Excel's text with the separators of the app, and a space of the app's kind."""
    if any(letter in re.sub(r'"[^"]*"|\\.', "", code) for letter in "yhs"):
        # Qlik writes am and pm as small as the pattern has them; Excel always in capitals.
        return displayed.replace("PM", "pm") if "tt" in str(case.fmt.get("qFmt")) else displayed
    decimal = case.fmt.get("qDec") or "."
    grouping = re.search(r"\d([^\d])\d{3}(?!\d)", case.text)
    swapped = {",": grouping[1] if grouping and grouping[1] != decimal else ",", ".": decimal}
    return re.sub(r"(?<=\d)[.,](?=\d)|^[.](?=\d)", lambda found: swapped[found.group()], displayed)


async def displayed(config: pytest.Config, folder: Path, asked: list[tuple[str, float]]) -> list[str]:
    """What the judge says Excel displays."""
    try:
        node = await installed(SCRIPTS, "node-excel")
    except NoNodeError as error:
        note(config, f"what Excel displays: NOT CHECKED with ssf, {error}; a stand-in in Python judged")
        return [display(code, value) for code, value in asked]
    note(config, "what Excel displays: judged by ssf 0.11.2")
    file = folder / "asked.json"
    file.write_text(json.dumps([(for_ssf(code), value) for code, value in asked]))
    found: list[str] = await node.answer("excel.mjs", str(file))
    return [
        text.replace("%", " %") if code.endswith(" %") else text
        for text, (code, _) in zip(found, asked, strict=True)
    ]


def for_ssf(code: str) -> str:
    """A code without two things that Excel knows and ssf does not.

    A point in a date that is not the one of decimals, and a space in front of a percent sign.
    """
    if re.search("[ymdhs]", code):
        return re.sub(r"(?<!\\)\.(?!0)", r"\\.", code)
    return re.sub(" %$", "%", code)


async def test_excel_displays_what_qlik_displays(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    made = [in_workbook(case) for case in CASES]
    asked = [(code, value) for _, code, value in made if not isinstance(value, str)]
    judged = iter(await displayed(request.config, tmp_path, asked))
    wrong = []
    for case, (_, code, value) in zip(CASES, made, strict=True):
        shown = value if isinstance(value, str) else as_qlik_writes(next(judged), case, code)
        if shown != case.text:
            wrong.append(
                f"{case.fmt.get('qType')} {case.fmt.get('qFmt')!r} {case.number}: Qlik shows {case.text!r}, Excel {shown!r} by {code!r}"
            )
    assert not wrong, "\n".join(wrong)


def test_ordinary_numbers_stay_numbers() -> None:
    assert len(NUMBERS) > 30
    assert [] == [case.text for case in NUMBERS if isinstance(in_workbook(case)[2], str)]


def test_the_stand_in_displays_the_same_as_the_judge() -> None:
    """So that a run without Node means something."""
    wrong = []
    for case in CASES:
        _, code, value = in_workbook(case)
        if not isinstance(value, str) and as_qlik_writes(display(code, value), case, code) != case.text:
            wrong.append(f"{case.text!r}: {display(code, value)!r} by {code!r}")
    assert not wrong, "\n".join(wrong)
