"""Numbers and formats: from Qlik's cells and patterns to values and Excel's format codes. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from qlik import duals, excel, times
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


def moment(text: str, serial: float, pattern: str) -> datetime | None:
    """The moment of a dual whose text is a date in this pattern and whose number is its serial, else None."""
    found = from_serial(serial) if pattern else None
    return found if found is not None and times.writer(pattern)(text, found) else None


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


def number_format(raw: Mapping[str, Any] | None, *, auto: bool = False) -> QlikNumberFormat | None:
    """The format of a column, or None when Qlik has none (type U without a pattern).

    `auto` is the `qIsAutoFormat` beside it: a type R that Qlik chose itself stands for a number of up to
    14 significant digits, whatever its pattern is; see `qlik.excel.is_general`.
    """
    if not raw:
        return None
    kind, pattern = _TYPE.get(str(raw.get("qType", "U")), "U"), str(raw.get("qFmt") or "")
    if kind == "R" and auto:
        pattern = ""
    if kind == "U" and not pattern:
        return None
    found = QlikNumberFormat(
        type=kind,
        pattern=pattern,
        decimals=int(raw.get("qnDec") or 0),
        decimal_separator=str(raw.get("qDec") or ""),
        thousand_separator=str(raw.get("qThou") or "") if pattern or raw.get("qUseThou") else "",
    )
    return replace(found, decimal_separator=excel.decimal_of(found))


# The schema names the long form, the engine sends the short one: take both.
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
    fmt = number_format(info.get("qNumFormat"), auto=bool(info.get("qIsAutoFormat")))
    title = name or str(info.get("qFallbackTitle") or "")
    if role == "measure":
        kind = _KIND_OF_TYPE.get(excel.kind_of_pattern(fmt), "number") if fmt else "number"
        kind = "number" if kind == "text" else kind
        return Column(title, kind if excel.shows(fmt) else "text", fmt, "measure")
    kind = _dimension_kind(info, fmt) if excel.shows(fmt) else "text"
    return Column(title, kind, fmt, "dimension")


def _dimension_kind(info: Mapping[str, Any], fmt: QlikNumberFormat | None) -> ColumnKind:
    tags: Sequence[str] = info.get("qTags") or ()
    own = fmt is not None and (fmt.type == "I" or not excel.is_general(fmt))
    shown = excel.kind_of_pattern(fmt) if fmt is not None and own else ""
    if shown in {"D", "TS", "T", "IV"}:
        return _KIND_OF_TYPE[shown]
    if "$timestamp" in tags and "$date" not in tags:
        return "timestamp"
    if "$date" in tags:
        return "date"
    if shown in _KIND_OF_TYPE and shown != "A" and "$text" not in tags:
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
    keep = keeper(col)
    if not measure and col.kind != "text":
        keep = _remembering(keep)  # values of a field come again and again

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
        return Cell(keep(text, num), text)

    return read


def cell(raw: Mapping[str, Any], col: Column) -> Cell:
    """One cell of a cube under its column; see `reader`."""
    return reader(col)(raw)


def cell_value(text: str, num: float | None, col: Column) -> CellValue:
    """What to calculate with: number or moment if the text only writes it (`qlik.duals`), else the text."""
    if num is None:
        return None if text in _NOTHING and col.role == "measure" else text
    return keeper(col)(text, num)


Keep = Callable[[str, float], CellValue]


@lru_cache(maxsize=256)
def keeper(col: Column) -> Keep:
    """What decides whether a dual under this column is kept as its number, its moment or its text."""
    if col.kind == "text":
        return lambda text, _: text
    if col.kind in {"date", "timestamp"}:
        return _moments(col)
    if col.kind in {"time", "interval"}:
        return _times(col)
    fmt, measure = col.number_format, col.role == "measure"
    if measure and fmt is not None and not excel.is_general(fmt):
        return _formatted(fmt)
    return _calculated(fmt) if measure else _plain_field(fmt)


def _formatted(fmt: QlikNumberFormat) -> Keep:
    """For results the engine has formatted: only a name, a code or too many digits are not its doing."""

    def keep(text: str, num: float) -> CellValue:
        if not text:
            return num
        if _ANY_DIGIT(text) is None:
            return text
        if duals.starts_with_zero(text) or not -_EXACT < num < _EXACT:
            return num if duals.writes(text, num, fmt, calculated=True) else text
        return num

    return keep


def _calculated(fmt: QlikNumberFormat | None) -> Keep:
    """For results without a format of their own."""

    def keep(text: str, num: float) -> CellValue:
        if not text:
            return num
        plain = _PLAIN(text)
        if plain is not None and abs(float(text.replace(",", ".")) - num) <= abs(num) * 1e-13:
            return num
        return num if duals.writes(text, num, fmt, calculated=True) else text

    return keep


def _plain_field(fmt: QlikNumberFormat | None) -> Keep:
    def keep(text: str, num: float) -> CellValue:
        return num if not text or duals.writes(text, num, fmt) else text

    return keep


def _remembering(keep: Keep) -> Keep:
    """The same for one reading of one column, looking at each value once."""
    known: dict[str, tuple[float, CellValue]] = {}

    def remember(text: str, num: float) -> CellValue:
        found = known.get(text)
        if found is not None and found[0] == num:
            return found[1]
        kept = keep(text, num)
        if len(known) < _REMEMBERED:
            known[text] = (num, kept)
        return kept

    return remember


def _moments(col: Column) -> Keep:
    pattern = col.number_format.pattern if col.number_format else ""
    writes = times.writer(pattern) if pattern and col.role == "dimension" else None

    def keep(text: str, num: float) -> CellValue:
        found = from_serial(num)
        if found is None or (text and _ANY_DIGIT(text) is None and not _names_only(pattern)):
            return text
        return text if writes is not None and text and not writes(text, found) else found

    return keep


def _names_only(pattern: str) -> bool:
    """Whether a date is written without any digit, such as `MMM` or `WWWW`."""
    return bool(pattern) and not any(times.is_number(part) for part in times.tokens(pattern))


def _times(col: Column) -> Keep:
    pattern = col.number_format.pattern if col.number_format else ""
    most = _DAYS_COUNTED if col.kind == "interval" and times.days_counted(pattern) else math.inf

    def keep(text: str, num: float) -> CellValue:
        # Excel shows no negative times, and counts days to 31.
        if text and (_ANY_DIGIT(text) is None or not 0 <= num < most):
            return text
        return num

    return keep


def cell_codes(col: Column) -> Callable[[Cell], str | None] | None:
    """What gives the Excel code of single cells of this column, None for those that the column's code shows.

    None in all where the column's code shows every cell as Qlik does; see `qlik.excel.cell_code`.
    """
    fmt, measure = col.number_format, col.role == "measure"
    if col.kind != "number" or not excel.varies(fmt):
        return None

    def code(cell: Cell) -> str | None:
        value = cell.value
        if not isinstance(value, int | float) or not cell.text:
            return None
        return excel.cell_code(fmt, cell.text, value, calculated=measure)

    return code


_NOTHING = frozenset({"", "-"})
_ANY_DIGIT = re.compile(r"\d").search
_PLAIN = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:[.,]\d{1,14})?").fullmatch
_EXACT = 1e15
_DAYS_COUNTED = 32
_REMEMBERED = 20_000


def value(raw: Mapping[str, Any]) -> Value:
    """A cell of a list object, or a FieldValue of EvaluateEx, as text and number."""
    num = raw.get("qNum", raw.get("qNumber"))
    numeric = raw.get("qIsNumeric", "qNum" in raw)
    return Value(str(raw.get("qText") or ""), number(num) if numeric else None)
