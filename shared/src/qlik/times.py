"""Qlik's patterns for dates, times and durations: Excel's codes for them, and what they write. Pure.

In a pattern `M` is a month and `m` a minute, `f` are fractions of a second, `TT` is am or pm, `W` a weekday.
Excel writes months and minutes alike and tells them apart by their neighbours (ECMA-376 part 1, 18.8.31).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

_TOKEN = re.compile(
    r'"[^"]*"|\[[.,]?f+\]|[.,]?f+|Y{1,4}|y{2,4}|M{1,4}|D{1,2}|d{1,2}|W{1,4}|[hH]{1,2}|m{1,2}|s{1,2}|TT|tt|.',
    re.DOTALL,
)
_OPTIONAL_FRACTION = re.compile(r"\[[.,]?f+\]")
_WEEKDAY_NUMBER = re.compile(r"W{1,2}")
_FIELD = re.compile(r"Y{1,4}|y{2,4}|M{1,4}|D{1,2}|[hH]{1,2}|s{1,2}")
_LONG: Final = 4  # letters of a whole name, and of a year with its century
_UNIT: Final = 2  # letters of a number at most


def tokens(pattern: str) -> list[str]:
    """The parts of a pattern in order: units, quoted texts and single characters."""
    return _TOKEN.findall(pattern)


def is_unit(token: str) -> bool:
    """Whether a part is a unit that only patterns for times have."""
    return _FIELD.fullmatch(token) is not None


def in_excel(pattern: str) -> bool:
    """Whether Excel has a code for every part; it has none for the number of a weekday."""
    return not any(_WEEKDAY_NUMBER.fullmatch(token) for token in tokens(pattern))


def days_counted(pattern: str) -> bool:
    """Whether a duration is written in days and a rest, which Excel can do below 32 days only."""
    return any(token[:1] == "D" for token in tokens(pattern))


def excel_code(pattern: str, *, elapsed: bool) -> str:
    """Excel's code for a pattern; with `elapsed` the largest unit counts on, as 30:15 hours do."""
    # Decimals in brackets are shown only where there are any; Excel shows them always, so it shows none.
    counted = False
    out: list[str] = []
    for token in tokens(_OPTIONAL_FRACTION.sub("", pattern)):
        part = _excel(token)
        if elapsed and not counted and token[:1] in "DhHms" and len(token) <= _UNIT:
            counted = True
            part = part if token[:1] == "D" else f"[{part}]"
        out.append(part)
    return "".join(out)


def _excel(part: str) -> str:
    bare = part.strip("[].,")
    head, length = bare[:1].lower(), len(bare)
    code = f"\\{part}" if part.isprintable() else ""
    if head == "f" and set(bare) == {"f"}:
        code = "." + "0" * min(3, length)
    elif part in {"TT", "tt"}:
        code = "AM/PM"
    elif head == "y":
        code = "yyyy" if length == _LONG else "yy"
    elif head == "w":
        code = "dddd" if length == _LONG else "ddd"
    elif head and head in "mdhs":
        code = head * length
    elif part.startswith('"'):
        kept = "".join(sign for sign in part.strip('"') if sign.isprintable())
        code = f'"{kept}"' if kept else ""
    elif part in " /-:.,()\u00a0":
        code = part
    return code


Writes = Callable[[str, datetime], bool]


@lru_cache(maxsize=256)
def writer(pattern: str) -> Writes:
    """What tells whether a text is a date written in this pattern.

    Years, months and days have to be those of the date; names of months and days may be in any language.
    """
    shape, parts = "", []
    for token in tokens(pattern):
        head, length = token[:1], len(token)
        number = (head in "YyDdhHms" and is_number(token)) or (head == "M" and length <= _UNIT)
        if number or (head == "W" and length <= _UNIT):
            parts.append(token)
            shape += r"(\d+)"
        elif head in "MW" and head:
            shape += r"\D+"
        elif set(token.strip("[].,")) == {"f"}:
            shape += r"(?:[.,]?\d+)?"
        elif token in {"TT", "tt"}:
            shape += r"\D*"
        elif token.startswith('"'):
            shape += re.escape(token.strip('"'))
        else:
            shape += r"\s" if token.isspace() else re.escape(token)
    match = re.compile(r"\s*" + shape + r"\s*", re.DOTALL).fullmatch

    def writes(text: str, moment: datetime) -> bool:
        found = match(text)
        if found is None:
            return False
        # Rounded to the second, the last moment of a day is the next day.
        return any(
            all(_is(token, int(shown), day) for token, shown in zip(parts, found.groups(), strict=True))
            for day in (moment, moment + timedelta(milliseconds=500))
        )

    return writes


def is_number(part: str) -> bool:
    """Whether a unit is written in digits."""
    return re.fullmatch(r"Y{1,4}|y{2,4}|D{1,2}|d{1,2}|[hH]{1,2}|m{1,2}|s{1,2}", part) is not None


def _is(token: str, shown: int, moment: datetime) -> bool:
    match token[:1]:
        case "Y" | "y":
            return shown in {moment.year, moment.year % 100}
        case "M":
            return shown == moment.month
        case "D" | "d":
            return shown == moment.day
        case _:
            return True
