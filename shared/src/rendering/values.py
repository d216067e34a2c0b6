"""Write values for people: numbers and dates in the separators of the report."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from math import isfinite

from rendering.model import Cell, Formatted, RenderOptions, Scalar

_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a spreadsheet has no time zones
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
MAX_DECIMALS = 15
_ALL_DIGITS = Context(prec=400)  # the largest number has 309 digits before the point


def clean(text: str) -> str:
    """Drop what XML cannot carry: control characters and halves of surrogate pairs."""
    return _CONTROL.sub("", text)


def cell_text(text: str) -> str:
    """A text as cells store it: ``_x0041_`` would be read as a character, so its underscore is spelt out."""
    return _ESCAPE.sub("_x005F_", clean(text))


def number(value: float, decimals: int, options: RenderOptions) -> str:
    """A number with a fixed count of decimals, rounded half away from zero, with both separators."""
    if not isfinite(value):
        return ""
    places = max(0, min(decimals, MAX_DECIMALS))
    rounded = Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _ALL_DIGITS)
    whole, _, fraction = f"{rounded:,f}".partition(".")
    whole = whole.replace(",", options.thousands)
    return f"{whole}{options.decimal}{fraction}" if fraction else whole


def plain_number(value: float, options: RenderOptions) -> str:
    """A number as it is: no thousands, no needless decimals."""
    if isinstance(value, int):
        return str(value)
    if not isfinite(value):
        return ""
    text = f"{value:.15g}"
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.replace(".", options.decimal)


def display(value: Scalar, options: RenderOptions) -> str:
    """How a value reads where the template gives no format."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return plain_number(value, options)
    if isinstance(value, datetime):
        return strftime(value, options.datetime_format, options.language)
    if isinstance(value, date):
        return strftime(value, options.date_format, options.language)
    return clean(value)


def strftime(value: date, pattern: str, language: str = "en") -> str:
    """A date by an strftime pattern, with the names of months and days of a language (CLDR).

    Width specifiers, which could ask for gigabytes, are left out. A language without names reads as English.
    """
    pattern = _without_widths(pattern)
    if not language.lower().startswith("en"):
        names = _names(language)
        pattern = re.sub(r"%([a-zA-Z%])", lambda match: _named(value, match, names), pattern)
    return value.strftime(pattern)


@lru_cache(maxsize=64)
def _without_widths(pattern: str) -> str:
    return re.sub(r"(%%)|%[^a-zA-Z%]+", lambda match: match[1] or "%", pattern)


def _named(value: date, match: re.Match[str], names: Mapping[str, Mapping[int, str]]) -> str:
    letter = match[1]
    if letter not in names:
        return match[0]
    return names[letter][value.weekday() if letter in "Aa" else value.month].replace("%", "%%")


@lru_cache(maxsize=16)
def _names(language: str) -> Mapping[str, Mapping[int, str]]:
    """The names a pattern can ask for: full and short, of months (from 1) and of days (Monday is 0)."""
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415 - English reports need none of it
    from babel.dates import get_day_names, get_month_names  # noqa: PLC0415

    try:
        locale = Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return {}
    return {
        "B": get_month_names("wide", locale=locale),
        "b": get_month_names("abbreviated", locale=locale),
        "A": get_day_names("wide", locale=locale),
        "a": get_day_names("abbreviated", locale=locale),
    }


def shown(cell: Cell, options: RenderOptions) -> str:
    """What the source showed, or the value written by our rules where it showed nothing."""
    return clean(cell.text) if isinstance(cell, Formatted) else display(cell, options)


def serial(value: date) -> float:
    """A date as a spreadsheet counts: days since 1899-12-30, the time zone left out as wall time."""
    naive = value.replace(tzinfo=None) if isinstance(value, datetime) else datetime.combine(value, time())
    days: timedelta = naive - _EPOCH
    result = days.days + (days.seconds + days.microseconds / 1e6) / 86_400
    return int(result) if result == int(result) else result
