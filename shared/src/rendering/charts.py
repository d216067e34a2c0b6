"""Draw charts as SVG: bars side by side, lines over them, one value axis, legend and title.

Drawn by hand because the result must be the same bytes every time, need no browser and no font files, and
stay sharp in a PDF. Charts inside Office files are the template's own and never pass here.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from rendering.model import ChartSpec, RenderOptions, Series
from rendering.values import clean, number

PALETTE = ("#1f6f8b", "#e07a3f", "#3f8f5f", "#8a5fa8", "#c9a227", "#5b6b7a")
INK, GRID, MUTED = "#22303c", "#dfe4e8", "#5b6b7a"
FONT = "font-family='DejaVu Sans, Liberation Sans, Arial, sans-serif'"
MAX_POINTS = 2_000
_TICKS = 5
_LABEL = 11  # pixels of a category label
_ADVANCE = 6.2  # pixels a character of that size takes, on the average


def svg(chart: ChartSpec, options: RenderOptions) -> bytes:
    """The chart as a complete SVG document."""
    width, height = min(max(chart.width, 120), 4_000), min(max(chart.height, 80), 4_000)
    categories = [clean(c) for c in chart.categories[:MAX_POINTS]]
    series = [_cut(s, len(categories)) for s in chart.series[: len(PALETTE) * 2]]
    low, high, step = scale([v for s in series for v in s.values if _is_number(v)])
    labels = [number(t, _decimals(chart, step), options) for t in _ticks(low, high, step)]
    left = 18 + max((len(text) for text in labels), default=1) * _ADVANCE + (16 if chart.y_title else 0)
    top = 12 + (24 if chart.title else 0) + (20 if len(series) > 1 else 0)
    slanted = _slanted(categories, width - left - 12)
    bottom = 26 + (min(max(map(len, categories), default=0), 16) * 4.2 if slanted else 0)
    box = _Box(left, top, max(width - left - 12, 20), max(height - top - bottom, 20), low, high)
    title = escape(clean(chart.title), quote=True)
    parts = [
        (
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' "
            f"viewBox='0 0 {width} {height}' role='img' aria-label='{title}'>"
        ),
        f"<rect width='{width}' height='{height}' fill='#ffffff'/>",
        *_heading(chart, series, width),
        *_axes(chart, box, list(zip(_ticks(low, high, step), labels, strict=True))),
        *_category_labels(categories, box, slanted=slanted),
        *_bars(series, box, len(categories)),
        *_lines(series, box, len(categories)),
        "</svg>",
    ]
    return "".join(parts).encode()


@dataclass(frozen=True, slots=True)
class _Box:
    """The plot area in pixels, and how values fall into it."""

    x: float
    y: float
    width: float
    height: float
    low: float
    high: float

    def at(self, value: float) -> float:
        """The height of a value in pixels from the top of the picture."""
        return self.y + self.height * (1 - (value - self.low) / (self.high - self.low))


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _cut(series: Series, count: int) -> Series:
    values = tuple(v if _is_number(v) else None for v in series.values[:count])
    return Series(series.name, values + (None,) * (count - len(values)), series.kind)


def scale(values: list[float | None]) -> tuple[float, float, float]:
    """Lowest value, highest value and step of an axis of round numbers that holds zero and all values."""
    numbers = [v for v in values if v is not None]
    low, high = min([0.0, *numbers]), max([0.0, *numbers])
    if low == high:
        high = low + 1
    rough = (high - low) / _TICKS
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough * 0.999)
    return math.floor(low / step) * step, math.ceil(high / step) * step, step


def _ticks(low: float, high: float, step: float) -> list[float]:
    return [round(low + i * step, 12) for i in range(round((high - low) / step) + 1)]


def _decimals(chart: ChartSpec, step: float) -> int:
    if chart.decimals is not None:
        return chart.decimals
    return max(0, min(6, -math.floor(math.log10(step) + 1e-9) + (1 if f"{step:e}".startswith("2.5") else 0)))


def _slanted(categories: list[str], width: float) -> bool:
    return max(map(len, categories), default=0) * _ADVANCE > width / max(len(categories), 1) - 4


def _text(x: float, y: float, text: str, *, size: int = _LABEL, anchor: str = "middle", fill: str = MUTED,
          extra: str = "") -> str:  # fmt: skip
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' {FONT} text-anchor='{anchor}' "
        f"fill='{fill}'{extra}>{escape(text)}</text>"
    )


def _heading(chart: ChartSpec, series: list[Series], width: int) -> Iterator[str]:
    if chart.title:
        yield _text(
            12, 22, clean(chart.title), size=15, anchor="start", fill=INK, extra=" font-weight='bold'"
        )
    if len(series) < 2:  # noqa: PLR2004 - one series needs no legend
        return
    x, y = 12.0, 42.0 if chart.title else 18.0
    for position, one in enumerate(series):
        name = clean(one.name)[:40]
        if x + 24 + len(name) * _ADVANCE > width:
            return
        colour = PALETTE[position % len(PALETTE)]
        thick = 11 if one.kind == "bar" else 3
        yield f"<rect x='{x:.1f}' y='{y - 9:.1f}' width='11' height='{thick}' fill='{colour}'/>"
        yield _text(x + 16, y, name, anchor="start")
        x += 34 + len(name) * _ADVANCE


def _axes(chart: ChartSpec, box: _Box, ticks: list[tuple[float, str]]) -> Iterator[str]:
    for value, label in ticks:
        y = box.at(value)
        yield (
            f"<line x1='{box.x:.1f}' y1='{y:.1f}' x2='{box.x + box.width:.1f}' y2='{y:.1f}' "
            f"stroke='{MUTED if value == 0 else GRID}' stroke-width='1'/>"
        )
        yield _text(box.x - 6, y + 4, label, anchor="end")
    if chart.y_title:
        middle = box.y + box.height / 2
        yield _text(14, middle, clean(chart.y_title), extra=f" transform='rotate(-90 14 {middle:.1f})'")


def _category_labels(categories: list[str], box: _Box, *, slanted: bool) -> Iterator[str]:
    band = box.width / max(len(categories), 1)
    every = max(1, math.ceil(14 / band)) if slanted else 1
    for position in range(0, len(categories), every):
        x, y = box.x + band * (position + 0.5), box.y + box.height + 16
        text = categories[position] if len(categories[position]) <= 16 else categories[position][:15] + "…"  # noqa: PLR2004
        if slanted:
            yield _text(
                x + 3, y - 4, text, anchor="end", extra=f" transform='rotate(-40 {x + 3:.1f} {y - 4:.1f})'"
            )
        else:
            yield _text(x, y, text)


def _bars(series: list[Series], box: _Box, count: int) -> Iterator[str]:
    bars = [(i, s) for i, s in enumerate(series) if s.kind == "bar"]
    band = box.width / max(count, 1)
    width = band * 0.72 / max(len(bars), 1)
    for place, (index, one) in enumerate(bars):
        for position, value in enumerate(one.values):
            if value is None:
                continue
            top, foot = sorted((box.at(value), box.at(0)))
            x = box.x + band * (position + 0.14) + width * place
            yield (
                f"<rect x='{x:.2f}' y='{top:.2f}' width='{max(width - 1, 0.5):.2f}' "
                f"height='{foot - top:.2f}' fill='{PALETTE[index % len(PALETTE)]}'/>"
            )


def _lines(series: list[Series], box: _Box, count: int) -> Iterator[str]:
    band = box.width / max(count, 1)
    for index, one in enumerate(series):
        if one.kind != "line":
            continue
        colour = PALETTE[index % len(PALETTE)]
        points = [
            None if v is None else (box.x + band * (i + 0.5), box.at(v)) for i, v in enumerate(one.values)
        ]
        path, last = [], None
        for point in points:
            if point:
                path.append(f"{'L' if last else 'M'}{point[0]:.2f} {point[1]:.2f}")
            last = point
        yield f"<path d='{''.join(path)}' fill='none' stroke='{colour}' stroke-width='2.2'/>"
        if count <= 40:  # noqa: PLR2004 - dots on a crowded line are noise
            for point in filter(None, points):
                yield f"<circle cx='{point[0]:.2f}' cy='{point[1]:.2f}' r='2.8' fill='{colour}'/>"
