"""Number formats: how a number becomes the text a user sees (``FieldAttributes`` of the engine)."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

EPOCH: Final = datetime(1899, 12, 30, tzinfo=UTC)  # day 0 of Qlik's serial numbers
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LONG_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LONG_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_TYPES: Final = {
    "UNKNOWN": "U",
    "ASCII": "A",
    "INTEGER": "I",
    "REAL": "R",
    "FIX": "F",
    "MONEY": "M",
    "DATE": "D",
    "TIME": "T",
    "TIMESTAMP": "TS",
    "INTERVAL": "IV",
}
_DATE_TOKENS: Final = re.compile(r"YYYY|YY|MMMM|MMM|MM|M|DD|D|WWWW|WWW|hh|h|mm|ss|\[\.fff\]|TT|tt")
_NUMBER_BODY: Final = re.compile(r"[#0][#0.,' \u00a0]*|[#0]")
_PLAIN_LIMIT: Final = 1e14  # beyond it a number without a format is written with an exponent


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A number format by its short type (U, I, R, F, M, D, T, TS, IV, A) and its pattern."""

    type: str = "U"
    pattern: str = ""
    decimal: str = "."
    thousand: str = ","

    @classmethod
    def of(cls, attributes: dict[str, Any] | None) -> "NumberFormat":
        """Read a ``FieldAttributes`` object; its type may be given by the short or the long name."""
        if not attributes:
            return cls()
        kind = str(attributes.get("qType") or "U")
        return cls(
            type=_TYPES.get(kind, kind),
            pattern=str(attributes.get("qFmt") or ""),
            decimal=str(attributes.get("qDec") or "."),
            thousand=str(attributes.get("qThou") or ""),
        )

    def attributes(self) -> dict[str, Any]:
        """The ``FieldAttributes`` object of this format; empty texts are left out as the engine does."""
        found: dict[str, Any] = {
            "qType": self.type,
            "qnDec": _decimals(self.pattern) if self.pattern else 10,
            "qUseThou": 1 if self.thousand and self.thousand in self.pattern else 0,
        }
        texts = {"qFmt": self.pattern, "qDec": self.decimal, "qThou": self.thousand}
        return found | {name: value for name, value in texts.items() if value}

    @property
    def is_auto(self) -> bool:
        """Whether the engine chooses the format."""
        return self.type == "U"

    def text(self, number: float) -> str:  # noqa: PLR0911 - one return per kind of format
        """The text of a number in this format; ``-`` for one that is not a number."""
        if math.isnan(number):
            return "-"
        if self.type in {"D", "T", "TS"}:
            return date_text(number, self.pattern or _DEFAULT_PATTERN[self.type])
        if self.type == "MON":
            return MONTHS[int(number) - 1]
        if self.type == "WD":
            return DAYS[int(number) % 7]
        if self.type == "IV":
            return interval_text(number)
        if self.pattern and set(self.pattern) <= {"#"}:
            return general_text(number, self.decimal)
        if self.pattern and self.type in {"I", "R", "F", "M", "U"}:
            return pattern_text(number, self.pattern, self.decimal, self.thousand)
        if self.type == "I":
            return str(round(number))
        return general_text(number, self.decimal)


_DEFAULT_PATTERN: Final = {"D": "YYYY-MM-DD", "T": "hh:mm:ss", "TS": "YYYY-MM-DD hh:mm:ss"}
GENERAL: Final = NumberFormat()
DATE: Final = NumberFormat("D", "YYYY-MM-DD")
TIMESTAMP: Final = NumberFormat("TS", "YYYY-MM-DD hh:mm:ss")
MONTH_NAME: Final = NumberFormat("MON")  # dual of Month(): number 1-12, text of the calendar
WEEKDAY_NAME: Final = NumberFormat("WD")  # dual of WeekDay(): number 0-6, Monday is 0


def wire_format(shown: NumberFormat, *, is_number: bool = True) -> dict[str, Any]:
    """The ``FieldAttributes`` of a column as engines describe it.

    Month and weekday names are an integer format. A number without a format of its own has type R and a
    pattern of one ``#`` for each of 14 digits; a text has type U and no pattern.
    """
    if shown.type in {"MON", "WD"}:
        return NumberFormat("I", "###0").attributes()
    if not shown.is_auto or shown.pattern:
        return shown.attributes()
    if not is_number:
        return {"qType": "U", "qnDec": 0, "qUseThou": 0}
    return {"qType": "R", "qnDec": 14, "qUseThou": 1, "qFmt": "#" * 14, "qDec": shown.decimal}


def general_text(number: float, decimal: str = ".") -> str:
    """A number without a format: up to 14 significant digits and no trailing zeros."""
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number.is_integer() and abs(number) < _PLAIN_LIMIT:
        return str(int(number))
    text = f"{number:.14g}"
    return text if decimal == "." else text.replace(".", decimal)


def pattern_text(number: float, pattern: str, decimal: str = ".", thousand: str = ",") -> str:
    """A number by a pattern such as ``#,##0.00``, ``$ #,##0;-$ #,##0`` or ``0.0%``."""
    parts = pattern.split(";")
    negative = number < 0
    chosen = parts[1] if negative and len(parts) > 1 else parts[0]
    body = _NUMBER_BODY.search(chosen)
    if body is None:
        return chosen
    core = body.group().rstrip(" \u00a0")
    prefix, suffix = chosen[: body.start()], chosen[body.start() + len(core) :]
    scaled = abs(number) * (100 if "%" in suffix else 1)
    whole_pattern, _, fraction_pattern = core.partition(decimal) if decimal in core else (core, "", "")
    least, most = fraction_pattern.count("0"), len(fraction_pattern)
    digits = f"{scaled:.{most}f}"
    whole, _, fraction = digits.partition(".")
    while len(fraction) > least and fraction.endswith("0"):
        fraction = fraction[:-1]
    whole = whole.rjust(whole_pattern.count("0"), "0")
    if thousand and thousand in whole_pattern:
        whole = re.sub(r"(?<=\d)(?=(\d{3})+$)", thousand, whole)
    zero = not any(character in "123456789" for character in whole + fraction)
    sign = "-" if negative and len(parts) == 1 and not zero else ""
    return f"{sign}{prefix}{whole}{decimal + fraction if fraction else ''}{suffix}"


def date_text(serial: float, pattern: str) -> str:
    """A serial number (days since 1899-12-30) by a pattern such as ``YYYY-MM-DD hh:mm:ss``."""
    try:
        moment = from_serial(serial)
    except OverflowError:
        return general_text(serial)
    return _DATE_TOKENS.sub(lambda token: _date_part(token.group(), moment), pattern)


def from_serial(serial: float) -> datetime:
    """The moment of a serial number, to the millisecond."""
    return EPOCH + timedelta(milliseconds=round(serial * 86_400_000))


def to_serial(moment: datetime) -> float:
    """The serial number of an aware moment."""
    return (moment - EPOCH) / timedelta(days=1)


def interval_text(number: float) -> str:
    """A number of days as hours, minutes and seconds."""
    seconds = round(number * 86_400)
    sign = "-" if seconds < 0 else ""
    hours, rest = divmod(abs(seconds), 3600)
    return f"{sign}{hours}:{rest // 60:02d}:{rest % 60:02d}"


def _date_part(token: str, moment: datetime) -> str:  # noqa: C901, PLR0911 - a table of lambdas would build every part
    match token:
        case "YYYY":
            return f"{moment.year:04d}"
        case "YY":
            return f"{moment.year % 100:02d}"
        case "MMMM":
            return LONG_MONTHS[moment.month - 1]
        case "MMM":
            return MONTHS[moment.month - 1]
        case "MM":
            return f"{moment.month:02d}"
        case "M":
            return str(moment.month)
        case "DD":
            return f"{moment.day:02d}"
        case "D":
            return str(moment.day)
        case "WWWW":
            return LONG_DAYS[moment.weekday()]
        case "WWW":
            return DAYS[moment.weekday()]
        case _:
            return _time_part(token, moment)


def _time_part(token: str, moment: datetime) -> str:
    match token:
        case "hh":
            return f"{moment.hour:02d}"
        case "h":
            return str(moment.hour)
        case "mm":
            return f"{moment.minute:02d}"
        case "ss":
            return f"{moment.second:02d}"
        case "[.fff]":
            return f".{moment.microsecond // 1000:03d}" if moment.microsecond else ""
        case _:
            return "AM" if moment.hour < 12 else "PM"  # noqa: PLR2004 - noon


def _decimals(pattern: str) -> int:
    body = _NUMBER_BODY.search(pattern)
    if body is None:
        return 0
    return len(body.group().partition(".")[2])
