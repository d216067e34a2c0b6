"""The axes of a chart: round numbers for values, days to years for dates."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from rendering.model import RenderOptions
from rendering.values import number

_TICKS = 5
_LARGE, _SMALL = 1e15, 1e-6  # beyond these a number is written with an exponent
_EXACT = 1e-6  # a spread below this part of the values is drawn from zero: its ticks could not be told apart
_DATED = 3  # as many dates have a time axis, fewer are names
_FLAT = 0.4  # lines whose values spread less than this part of the largest do not start at zero


def scale(
    values: Sequence[float | None], ticks: int = _TICKS, *, zero: bool = True
) -> tuple[float, float, float]:
    """Lowest value, highest value and step of an axis of about so many round numbers that holds all values.

    It holds zero too, unless `zero` is False and the values are close to each other and far from zero.
    """
    numbers = [v for v in values if v is not None]
    low, high = min(numbers, default=0.0), max(numbers, default=0.0)
    largest = max(abs(low), abs(high))
    if zero or low * high <= 0 or not _EXACT * largest < high - low < _FLAT * largest:
        low, high = min(0.0, low), max(0.0, high)
    if low == high:
        high = low + 1
    rough = (high - low) / max(ticks, 1)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough * 0.999)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step


def exponent_of(values: Sequence[float], *, short: bool) -> int:
    """The power of ten the axis counts in: 0 unless they are very large or small or room is `short`."""
    largest = max((abs(v) for v in values), default=0.0)
    if largest == 0 or (_SMALL <= largest < _LARGE and not short):
        return 0
    return Decimal(repr(largest)).adjusted()


def scaled(value: float, exponent: int) -> float:
    """A value counted in a power of ten, without the overflow that a division could bring."""
    return float(Decimal(repr(value)).scaleb(-exponent)) if exponent else value


@dataclass(frozen=True, slots=True)
class ValueAxis:
    """Ticks from the lowest to the highest value, counted in a power of ten, and their labels."""

    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]


def value_axis(
    values: Sequence[float | None],
    ticks: int,
    exponent: int,
    decimals: int | None,
    options: RenderOptions,
    *,
    zero: bool,
) -> ValueAxis:
    """An axis over values that are already counted in the power of ten."""
    low, high, step = scale(values, ticks, zero=zero)
    exact = Decimal(f"{step:.3g}")
    first, last = round(low / step), round(high / step)
    marks = tuple(float(exact * i) for i in range(first, last + 1))
    normal = exact.normalize().as_tuple().exponent
    needed = max(0, -normal) if isinstance(normal, int) else 0
    shown = needed if decimals is None or exponent else max(needed, decimals)
    tail = f"E{exponent}" if exponent else ""
    labels = tuple(number(mark, shown, options) + (tail if mark else "") for mark in marks)
    return ValueAxis(marks[0], marks[-1], marks, labels)


_NO_DATE = frozenset({"", "-"})  # how a source writes that there is none


def times_of(
    categories: Sequence[str], known: Sequence[date | None], options: RenderOptions
) -> list[datetime | None] | None:
    """The categories as times, if they are dates and no two are the same; otherwise None.

    Taken from what the data says, or read from texts written as ISO 8601 or in a format of the report. A
    category without a date, such as that of rows where it is missing, has None in the list.
    """
    dated = [place for place, text in enumerate(categories) if text not in _NO_DATE]
    texts = [categories[place] for place in dated]
    found = _all_times([known[place] for place in dated]) if len(known) == len(categories) else None
    for pattern in ("", options.date_format, options.datetime_format, "%Y-%m"):
        if found is not None:
            break
        found = _read(texts, pattern)
    if not found or len(found) < _DATED or len(set(found)) < len(found):
        return None
    times = dict(zip(dated, found, strict=True))
    return [times.get(place) for place in range(len(categories))]


def _all_times(known: Sequence[date | None]) -> list[datetime] | None:
    result = []
    for one in known:
        if one is None:
            return None
        whole = one if isinstance(one, datetime) else datetime(one.year, one.month, one.day)  # noqa: DTZ001
        result.append(whole.replace(tzinfo=None))  # wall time, as the labels show it
    return result


def _read(categories: Sequence[str], pattern: str) -> list[datetime] | None:
    if not pattern and any("-" not in text[1:] for text in categories):
        return None  # 20260101 is a number before it is a date
    if pattern and "%Y" not in pattern:
        return None
    try:
        return _all_times(
            [
                datetime.strptime(text, pattern) if pattern else datetime.fromisoformat(text)  # noqa: DTZ007
                for text in categories
            ]
        )
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Unit:
    """Ticks every so many hours, days or months; the skeleton names a date format of CLDR."""

    kind: str
    count: int
    skeleton: str

    @property
    def shortest(self) -> timedelta:
        days = {"hour": 1 / 24, "day": 1.0, "month": 28.0}[self.kind]
        return timedelta(days=days * self.count)


_MONTHS = _Unit("month", 1, "yMMM")
_UNITS = (
    *(_Unit("hour", n, "Hm") for n in (1, 2, 3, 6, 12)),
    *(_Unit("day", n, "MMMd") for n in (1, 2, 7, 14)),
    _MONTHS, _Unit("month", 3, "yQQQ"), _Unit("month", 6, "yMMM"),
    *(_Unit("month", 12 * n, "y") for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)),
)  # fmt: skip
_MOST = 100  # ticks of a unit that are worth trying


def time_ticks(times: Sequence[datetime], language: str) -> Iterator[list[tuple[datetime, str]]]:
    """Ways to mark a time axis, the finest first: round times within the range, and how they read."""
    first, last = min(times), max(times)
    ordered = sorted(times)
    gap = min(after - before for before, after in pairwise(ordered))
    for unit in _UNITS:
        if unit.shortest < gap * 0.9 or (last - first) / unit.shortest > _MOST:
            continue
        skeleton = unit.skeleton
        if unit.kind == "hour" and first.date() != last.date():
            skeleton = "MMMd Hm"
        if unit.kind != "month" and first.year != last.year:
            skeleton = skeleton.replace("MMMd", "yMMMd")
        marks = [(mark, written(mark, skeleton, language)) for mark in _marks(unit, first, last)]
        if len(marks) > 1:
            yield marks
            if unit == _MONTHS:  # the year once, where that is enough
                yield [marks[0], *((mark, written(mark, "MMM", language)) for mark, _ in marks[1:])]
    yield [(one, written(one, "yMMMd", language)) for one in (first, last)]


def _marks(unit: _Unit, first: datetime, last: datetime) -> Iterator[datetime]:
    if unit.kind == "month":
        month = -(-(first.year * 12 + first.month - 1) // unit.count) * unit.count
        while month < MAXYEAR * 12:
            mark = datetime(max(month // 12, 1), month % 12 + 1, 1)  # noqa: DTZ001 - wall time
            if mark > last:
                return
            if mark >= first:
                yield mark
            month += unit.count
        return
    step = timedelta(hours=unit.count) if unit.kind == "hour" else timedelta(days=unit.count)
    origin = datetime(1, 1, 1)  # noqa: DTZ001 - a Monday, and midnight
    mark = origin + -(-(first - origin) // step) * step
    while mark <= last:
        yield mark
        if last - mark < step:
            return
        mark += step


def written(moment: datetime, skeletons: str, language: str) -> str:
    """A time as people of a language write it, by skeletons of CLDR; English for an unknown language."""
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415 - few charts have a time axis
    from babel.dates import format_skeleton  # noqa: PLC0415

    try:
        locale = Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        locale = Locale("en")
    return " ".join(str(format_skeleton(one, moment, locale=locale)) for one in skeletons.split())
