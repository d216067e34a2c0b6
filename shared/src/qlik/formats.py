"""Numbers and formats: from Qlik's cells and patterns to values and Excel's format codes. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from qlik.model import Cell, CellValue, Column, ColumnKind, QlikNumberFormat, Value

# Day 0 of Qlik's serial dates, the same as Excel's after 1 March 1900. Wall-clock time: Qlik knows no zone.
EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a date in a cell has no zone
_MAX_SERIAL = 2_958_465.99999  # 9999-12-31; what Excel and datetime can hold
_MIN_SERIAL = -693_593.0  # 0001-01-01

NULL, OTHERS, TOTAL = -2, -3, -1


def number(raw: object) -> float | int | None:
    """A qNum.

    A number, or None for the texts "NaN", "Infinity" and anything else that cannot be calculated with.
    """
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    return raw if math.isfinite(raw) else None


def from_serial(days: float) -> datetime | None:
    """The wall-clock moment of a Qlik serial date, rounded to the millisecond.

    None outside the years 1 to 9999.
    """
    if not _MIN_SERIAL <= days <= _MAX_SERIAL:
        return None
    # a double holds today's dates to about a microsecond, so 10:00 may come as 09:59:59.9999995
    return EPOCH + timedelta(milliseconds=round(days * 86_400_000))


def to_serial(moment: datetime) -> float:
    """The Qlik serial (days since 1899-12-30) of a wall-clock moment."""
    return (moment.replace(tzinfo=None) - EPOCH) / timedelta(days=1)


def parse_time(raw: object) -> datetime | None:
    """An ISO time of Qlik as aware UTC. Empty, missing and the repository's 1753 mean None."""
    if not isinstance(raw, str) or not raw or raw.startswith("1753-"):
        return None
    text = re.sub(r"(\.\d{6})\d+", r"\1", raw.strip())
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def number_format(raw: Mapping[str, Any] | None) -> QlikNumberFormat | None:
    """The format of a column, or None when Qlik has none (type U without a pattern)."""
    if not raw:
        return None
    kind, pattern = _TYPE.get(str(raw.get("qType", "U")), "U"), str(raw.get("qFmt") or "")
    if kind == "U" and not pattern:
        return None
    return QlikNumberFormat(
        type=kind,
        pattern=pattern,
        decimals=int(raw.get("qnDec") or 0),
        decimal_separator=str(raw.get("qDec") or "."),
        thousand_separator=str(raw.get("qThou") or "") if raw.get("qUseThou") or raw.get("qThou") else "",
    )


# The schema names the long form, the engine sends the short one (research 5.2): take both.
_TYPE = {
    **{short: short for short in ("U", "A", "I", "R", "F", "M", "D", "T", "TS", "IV")},
    "UNKNOWN": "U", "ASCII": "A", "INTEGER": "I", "REAL": "R", "FIX": "F", "MONEY": "M",
    "DATE": "D", "TIME": "T", "TIMESTAMP": "TS", "INTERVAL": "IV",
}  # fmt: skip

_KIND_OF_TYPE: dict[str, ColumnKind] = {
    "D": "date", "TS": "timestamp", "T": "time", "IV": "interval",
    "I": "number", "R": "number", "F": "number", "M": "number", "A": "text",
}  # fmt: skip


def column(info: Mapping[str, Any], *, role: str, name: str = "") -> Column:
    """The column a qDimensionInfo or qMeasureInfo entry describes.

    Group dimensions take their active label.
    """
    fmt = number_format(info.get("qNumFormat"))
    title = name or str(info.get("qFallbackTitle") or "")
    if role == "measure":
        kind = _KIND_OF_TYPE.get(fmt.type, "number") if fmt else "number"
        return Column(
            name=title, kind="number" if kind == "text" else kind, number_format=fmt, role="measure"
        )
    return Column(name=title, kind=_dimension_kind(info, fmt), number_format=fmt, role="dimension")


def _dimension_kind(info: Mapping[str, Any], fmt: QlikNumberFormat | None) -> ColumnKind:
    tags: Sequence[str] = info.get("qTags") or ()
    if fmt and fmt.type in {"D", "TS", "T", "IV"}:
        return _KIND_OF_TYPE[fmt.type]
    if "$timestamp" in tags and "$date" not in tags:
        return "timestamp"
    if "$date" in tags:
        return "date"
    if fmt and fmt.type in _KIND_OF_TYPE and fmt.type != "A" and "$text" not in tags:
        return "number"
    if "$numeric" in tags or info.get("qDimensionType") == "N":
        return "number"
    return "text"


Reader = Callable[[Mapping[str, Any]], Cell]


def reader(col: Column) -> Reader:
    """What makes cells of a cube under this column; written for tens of millions of them.

    Flags that are false and empty texts are left out by the engine.
    """
    measure = col.role == "measure"
    null: int | str = "no element" if measure else NULL
    plain = col.kind == "text"
    # numbers whose text decides nothing, or whether it is a name at most
    always = col.kind in {"time", "interval"} or (
        col.kind == "number" and col.number_format is not None and col.number_format.type in _NO_NAMES
    )
    often = measure and col.kind == "number"

    def read(raw: Mapping[str, Any]) -> Cell:
        get = raw.get
        text = get("qText") or ""
        if text.__class__ is not str:
            text = str(text)
        element = get("qElemNumber")
        if element is None:
            element = get("qElemNo", 0)
        if get("qIsNull") or element == null:
            return Cell(None, text)
        num: Any = get("qNum")
        if num is None:
            num = get("qValue")
        kind = num.__class__
        if (kind is not float and kind is not int) or not math.isfinite(num):
            return Cell(None if measure and text in _NOTHING else text, text)
        if plain:
            return Cell(text, text)
        if always or (often and (not text or _ANY_DIGIT(text) is not None)):
            return Cell(num, text)
        return Cell(cell_value(text, num, col), text)

    return read


def cell(raw: Mapping[str, Any], col: Column) -> Cell:
    """One cell of a cube under its column; see `reader`."""
    return reader(col)(raw)


def cell_value(text: str, num: float | None, col: Column) -> CellValue:
    """What to calculate with: number or moment where there is one, else the text, else None."""
    if num is None:
        if text in _NOTHING and col.role == "measure":
            return None
        return text
    if col.kind in {"date", "timestamp"}:
        moment = from_serial(num)
        return moment if moment is not None else text
    if col.kind == "text" or _is_label(text, col):
        return text
    return num


_NOTHING = frozenset({"", "-"})
_ANY_DIGIT = re.compile(r"\d").search
_NO_NAMES = {"I", "R", "F", "M", "T", "IV"}


def _is_label(text: str, col: Column) -> bool:
    """Whether text is a name given to the number (a dual such as 'Jan' = 1) rather than a way to write it.

    A measure may carry units ('12 kr', '75%'), so there only a text without any digit is a name. In a
    dimension without a number format any letter makes it a name ('Q1').
    """
    if col.number_format is not None and col.number_format.type in _NO_NAMES:
        return False
    if col.kind in {"time", "interval"} or not text:
        return False
    if _ANY_DIGIT(text) is None:
        return True
    if col.role != "dimension":
        return False
    letters = "".join(ch for ch in text if ch.isalpha())
    return letters not in {"", "e", "E"}


def value(raw: Mapping[str, Any]) -> Value:
    """A cell of a list object, or a FieldValue of EvaluateEx, as text and number."""
    num = raw.get("qNum", raw.get("qNumber"))
    numeric = raw.get("qIsNumeric", "qNum" in raw)
    return Value(str(raw.get("qText") or ""), number(num) if numeric else None)


_EXCEL_DEFAULT = {
    "D": "yyyy-mm-dd",
    "TS": "yyyy-mm-dd hh:mm:ss",
    "T": "hh:mm:ss",
    "IV": "[h]:mm:ss",
    "A": "@",
}


def excel_format(fmt: QlikNumberFormat) -> str:
    """The Excel format code for a Qlik format. Excel's codes are always written with '.' and ','."""
    if fmt.type in {"D", "TS", "T", "IV"}:
        return _excel_time(fmt) if fmt.pattern else _EXCEL_DEFAULT[fmt.type]
    if fmt.type == "A":
        return "@"
    if fmt.pattern:
        return _excel_number(fmt)
    if fmt.type == "I":
        return "#,##0" if fmt.thousand_separator else "0"
    if fmt.type in {"F", "M", "R"}:
        whole = "#,##0" if fmt.thousand_separator else "0"
        return whole + ("." + "0" * fmt.decimals if fmt.decimals else "")
    return "General"


def _excel_number(fmt: QlikNumberFormat) -> str:
    code = ";".join(_excel_number_part(part, fmt) for part in fmt.pattern.split(";")[:3])
    return code or "General"


def _excel_number_part(part: str, fmt: QlikNumberFormat) -> str:
    found = _digits(part, fmt)
    if found is None:
        return _literal(part)
    start, end = found
    digits = part[start:end]
    decimal = fmt.decimal_separator or "."
    whole, dot, fraction = digits.rpartition(decimal) if decimal in digits else (digits, "", "")
    grouped = bool(fmt.thousand_separator) and fmt.thousand_separator in whole
    whole = re.sub(r"[^#0]", "", whole) or "0"
    if grouped:
        whole = "#,##0" if set(whole) <= {"#"} or len(whole) <= 4 else "#,##" + whole[-whole.count("0") :]  # noqa: PLR2004 - '#,##0' itself
    fraction = re.sub(r"[^#0eE+-]", "", fraction)
    return (
        _literal(part[:start]) + whole + ("." + fraction if dot and fraction else "") + _literal(part[end:])
    )


def _digits(part: str, fmt: QlikNumberFormat) -> tuple[int, int] | None:
    allowed = {"#", "0", fmt.decimal_separator, fmt.thousand_separator} - {""}
    positions = [i for i, ch in enumerate(part) if ch in "#0"]
    if not positions:
        return None
    start, end = positions[0], positions[0] + 1
    while end < len(part) and part[end] in allowed:
        end += 1
    while end > start and part[end - 1] not in "#0":
        end -= 1
    return start, end


def _literal(text: str) -> str:
    """Text around the digits.

    Percent, brackets, minus and spaces stand for themselves, the rest is quoted.
    """
    out, quoted = [], ""
    for ch in text:
        if ch in "%()-+ $€£¥\u00a0":
            if quoted:
                out.append('"' + quoted + '"')
                quoted = ""
            out.append(ch)
        elif ch != '"':
            quoted += ch
    if quoted:
        out.append('"' + quoted + '"')
    return "".join(out)


# Qlik: M month, m minute, f fractions, TT am/pm, W weekday. Excel: m for both, by neighbourhood.
_TIME_TOKEN = re.compile(
    r"\[?Y{2,4}\]?|M{1,4}|D{1,2}|W{1,4}|h{1,2}|m{1,2}|s{1,2}|\.?f+|TT|tt|\[[.,]f+\]|.",
    re.IGNORECASE | re.DOTALL,
)


def _excel_time(fmt: QlikNumberFormat) -> str:
    code = "".join(_time_token(match.group(), fmt) for match in _TIME_TOKEN.finditer(fmt.pattern))
    return code if code.strip() else _EXCEL_DEFAULT[fmt.type]


def _time_token(part: str, fmt: QlikNumberFormat) -> str:
    head = part.strip("[].,")[:1].lower()
    length = len(part)
    codes = {
        "y": "yyyy" if length > 2 else "yy",  # noqa: PLR2004 - YY is the two-digit year
        "d": "d" * min(length, 2),
        "m": "m" * length,
        "w": "ddd" if length < 4 else "dddd",  # noqa: PLR2004 - WWWW is the whole name
        "h": "[h]" if fmt.type == "IV" else "h" * length,
        "s": "s" * length,
        "f": "." + "0" * min(3, part.lower().count("f")),
    }
    if part == '"':
        # Literal text is escaped sign by sign here, so a quotation mark of the pattern has nothing to open.
        return ""
    if part.lower() == "tt":
        return "AM/PM"
    if head in codes:
        return codes[head]
    return part if part in " /-:.,()\u00a0" else f"\\{part}"
