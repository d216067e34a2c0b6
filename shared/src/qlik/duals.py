"""Duals: when the text of a Qlik value is only a way of writing its number, and when it says more.

Qlik holds a value as a number and a text. For `1,234.50`, `12 %` or `$5` the text writes the number and can
be made again from it, so a report keeps the number and formats it. For `007`, `Jan` (1), `2024/12` (a week,
45376) or `1.10` (a chapter) the text cannot be made again: whoever keeps the number alone turns 007 into 7.

**The rule**, which holds for every output: a value is kept as its number if its text writes that number.
Otherwise it is kept as its text. A text writes a number if

1. it has digits, and nothing stands between them but separators, or an exponent behind them;
2. what is in front and behind is a sign, a percent sign, a currency, a space or, for calculated values and
   for formats that contain it, a unit of letters;
3. the digits are the number, rounded to the decimals that are shown;
4. there is no zero in front (`007`) that the column's format does not write, and for a value of a field no
   zero behind (`1.10`) that it does not write either;
5. Excel can hold the digits: at most 15 of them count.

Pure. Nothing here knows Excel's format codes; `qlik.excel` makes those.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from qlik.patterns import NumberPattern

MAX_DIGITS: Final = 15
"""Significant digits of a number in Excel, and those of a double that are always right."""

SPACES: Final = " \u00a0\u2007\u2009\u202f"
_SEPARATORS: Final = ".,'\u2019\u066b\u066c" + SPACES
_CORE = re.compile(
    rf"(?P<prefix>\D*)(?P<digits>[.,]?\d(?:[{re.escape(_SEPARATORS)}\-]?\d)*)(?P<exponent>[eE][+-]?\d+)?(?P<suffix>\D*)",
    re.DOTALL,
)
_GROUPS = re.compile(r"\d*|[1-9]\d{0,2}(?:\D\d{2,3})*\D\d{3}").fullmatch
_LETTER = re.compile(r"[^\W\d_]").search
_ZERO_IN_FRONT = re.compile(r"\s*[+\-\u2212]?0[0-9]").match
_CODE = re.compile(r"\s*0\d+\s*").fullmatch
_MINUS: Final = "-\u2212("


@dataclass(frozen=True, slots=True)
class Written:
    """A number as a text writes it.

    `whole` and `fraction` are digits, `grouped` says whether separators stood in the whole part, `power` is
    what the written digits were multiplied with to give the number (0.01 for a percentage, 1000 for `k`).
    """

    prefix: str
    whole: str
    fraction: str
    exponent: str
    suffix: str
    grouped: bool
    power: float

    @property
    def digits(self) -> int:
        """How many significant digits are shown; zeros at the end do not count."""
        return len((self.whole + self.fraction).strip("0"))


def is_code(text: str) -> bool:
    """Whether a text consists of digits with a zero in front, such as 007: never the same as the number 7."""
    return _CODE(text) is not None


def writes(text: str, number: float, fmt: NumberPattern | None = None, *, calculated: bool = False) -> bool:
    """Whether `text` only writes `number`: the rule of this module.

    `fmt` is the format of the column, if it has one. `calculated` says that the value is the result of a
    calculation and not a value of a field.
    """
    found = written(text, number, fmt, calculated=calculated)
    if found is None or (found.digits > MAX_DIGITS and not found.exponent):
        return False
    zeros = _zeros(fmt)
    if len(found.whole) > max(1, zeros[0]) and found.whole.startswith("0"):
        return False
    plain = not (found.grouped or found.prefix.strip("-+\u2212 ") or found.suffix.strip() or calculated)
    return not (plain and found.fraction.endswith("0") and len(found.fraction) > zeros[1])


def written(
    text: str, number: float, fmt: NumberPattern | None = None, *, calculated: bool = False
) -> Written | None:
    """How `text` writes `number`, or None if its digits are not this number."""
    match = _CORE.fullmatch(text)
    if match is None or not _affixes(match["prefix"], match["suffix"], fmt, calculated=calculated):
        return None
    if not _sign(match, number, fmt):
        return None
    exponent, affixes = match["exponent"] or "", match["prefix"] + match["suffix"]
    if exponent and not (calculated or "." in match["digits"] or "," in match["digits"] or _huge(number)):
        return None  # 12E5 in a field is a code; Qlik itself writes only very large and small numbers so
    for decimal, grouping in _readings(match["digits"], fmt):
        whole, _, fraction = match["digits"].partition(decimal) if decimal else (match["digits"], "", "")
        digits = whole
        for separator in grouping:
            digits = digits.replace(separator, "")
        if not (digits + fraction).isdecimal() or (not _pattern(fmt) and not _GROUPS(whole)):
            continue
        for power in _powers(affixes, fmt, calculated=calculated):
            if _agrees(digits or "0", fraction, exponent, abs(number) / power):
                grouped = digits != whole
                return Written(
                    match["prefix"], digits or "0", fraction, exponent, match["suffix"], grouped, power
                )
    return None


def starts_with_zero(text: str) -> bool:
    """Whether a digit follows a zero in front: the quick question before the slow one."""
    return _ZERO_IN_FRONT(text) is not None


def _affixes(prefix: str, suffix: str, fmt: NumberPattern | None, *, calculated: bool) -> bool:
    """Whether what stands around the digits may stand around a number."""
    if calculated:
        return True
    pattern = fmt.pattern if fmt is not None else ""
    return all(_LETTER(part) is None or part.strip("-\u2212() ") in pattern for part in (prefix, suffix))


def _sign(match: re.Match[str], number: float, fmt: NumberPattern | None) -> bool:
    if any(sign in match["prefix"] for sign in _MINUS) or match["suffix"].strip() in {"-", "\u2212"}:
        return number < 0
    own = fmt is not None and ";" in fmt.pattern  # a section for negative numbers may show no sign
    return number >= 0 or own or not any(digit in "123456789" for digit in match["digits"])


def _huge(number: float) -> bool:
    return not 1e-4 <= abs(number) < 1e14  # noqa: PLR2004 - where Qlik begins to write exponents


def _readings(digits: str, fmt: NumberPattern | None) -> list[tuple[str, str]]:
    """Which characters may be the decimal separator and the ones between groups, the likeliest first."""
    spaces = SPACES + "'\u2019\u066c"
    if fmt is not None and _pattern(fmt):
        thousand = fmt.thousand_separator
        grouping = spaces if thousand in spaces or not thousand else thousand
        return [(fmt.decimal_separator or ".", grouping), ("", grouping)]
    if "-" in digits:
        return []
    return [(".", "," + spaces), (",", "." + spaces), ("\u066b", spaces), ("", ",." + spaces)]


def _powers(affixes: str, fmt: NumberPattern | None, *, calculated: bool) -> tuple[float, ...]:
    if "%" in affixes:
        return (0.01, 1.0)
    shortened = fmt is not None and fmt.pattern.partition(";")[0].rstrip().endswith("A")
    if _LETTER(affixes) is not None and (shortened or (calculated and not _pattern(fmt))):
        return (1.0, 1e3, 1e6, 1e9, 1e12, 1e15, 1e-3, 1e-6)
    return (1.0,)


def _agrees(whole: str, fraction: str, exponent: str, number: float) -> bool:
    power = int(exponent[1:]) if exponent else 0
    if len(whole) + len(fraction) > 400 or abs(power) > 400:  # noqa: PLR2004 - beyond any double
        return False
    shown = float(f"{whole}.{fraction or '0'}e{power}")
    if not math.isfinite(shown):
        return False
    half = 0.5 * 10.0 ** (power - len(fraction))
    return abs(shown - number) <= half * (1 + 1e-6) + abs(number) * 1e-14


def _zeros(fmt: NumberPattern | None) -> tuple[int, int]:
    """How many zeros in front a format writes, and up to how many decimals."""
    pattern = _pattern(fmt)
    if fmt is None or not pattern:
        return (1, fmt.decimals if fmt is not None and fmt.type in {"F", "M"} else 0)
    section = pattern.partition(";")[0]
    whole, dot, fraction = section.rpartition(fmt.decimal_separator or ".")
    if not dot:
        whole, fraction = section, ""
    return (whole.count("0"), sum(sign in "0#" for sign in fraction))


def _pattern(fmt: NumberPattern | None) -> str:
    """The pattern of a format; one of `#` only leaves it to Qlik how a number is written."""
    return "" if fmt is None or set(fmt.pattern) <= {"#"} else fmt.pattern
