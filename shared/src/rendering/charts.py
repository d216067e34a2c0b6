"""Draw charts as SVG: bars side by side or lying, lines over them, one value axis, legend and title.

Drawn by hand because the result must be the same bytes every time, need no browser and no font files, and
stay sharp in a PDF. Charts inside Office files are the template's own and never pass here.
"""

from collections.abc import Iterator
from html import escape

from rendering.chart_axis import scale
from rendering.chart_layout import MAX_POINTS, MAX_SERIES, MUTED, Layout, Text, laid_out
from rendering.chart_text import plain
from rendering.model import ChartSpec, RenderOptions, Series

__all__ = ["MAX_POINTS", "MAX_SERIES", "PALETTE", "drawn", "scale", "svg"]

# Any two of them differ by at least 19 units of CIE Lab, also for people who cannot tell red from green.
PALETTE = (
    "#1f6f8b", "#e07a3f", "#303090", "#48d890", "#78c0f0", "#601848",
    "#907860", "#0090f0", "#784800", "#18d8c0", "#609090", "#483018",
)  # fmt: skip
GRID = "#dfe4e8"
FONT = "font-family='DejaVu Sans, Liberation Sans, Arial, sans-serif'"
_DASHES = ("", " stroke-dasharray='8 4'", " stroke-dasharray='2 3'")
_TINT, _SHADE = 0.35, 0.5  # of the colour in what is filled; the second and third dozen of series
_DOTS = 40  # points of a line that have dots: on a crowded line they are noise


def svg(chart: ChartSpec, options: RenderOptions) -> bytes:
    """The chart as a complete SVG document."""
    return drawn(chart, options)[0]


def drawn(chart: ChartSpec, options: RenderOptions) -> tuple[bytes, list[str]]:
    """The chart as a complete SVG document, and warnings for what it could not show."""
    layout = laid_out(chart, options)
    width, height = layout.width, layout.height
    title = escape(plain(chart.title), quote=True)
    parts = [
        (
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' "
            f"viewBox='0 0 {width} {height}' role='img' aria-label='{title}'>"
        ),
        f"<rect width='{width}' height='{height}' fill='#ffffff'/>",
        *_keys(layout),
        *_grid(layout),
        *_bars(layout),
        *_lines(layout),
        *(_text(text) for text in layout.texts),
        "</svg>",
    ]
    return "".join(parts).encode(), layout.warnings


def _text(text: Text) -> str:
    extra = " font-weight='bold'" if text.bold else ""
    if text.standing:
        extra += f" transform='rotate(-90 {text.x:.1f} {text.y:.1f})'"
    return (
        f"<text x='{text.x:.1f}' y='{text.y:.1f}' font-size='{text.size}' {FONT} text-anchor='{text.anchor}' "
        f"fill='{text.fill}'{extra}>{escape(text.text)}</text>"
    )


def _mixed(colour: str, other: int, share: float) -> str:
    parts = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(part * share + other * (1 - share)):02x}" for part in parts)


def _fill(index: int) -> str:
    """How a bar of a series is filled: a colour, its tint with a border in the colour, its shade."""
    colour = PALETTE[index % len(PALETTE)]
    match index // len(PALETTE):
        case 0:
            return f"fill='{colour}'"
        case 1:
            return f"fill='{_mixed(colour, 255, _TINT)}' stroke='{colour}' stroke-width='0.8'"
        case _:
            return f"fill='{_mixed(colour, 0, _SHADE)}'"


def _stroke(index: int) -> str:
    dash = _DASHES[min(index // len(PALETTE), len(_DASHES) - 1)]
    return f"stroke='{PALETTE[index % len(PALETTE)]}' stroke-width='2.2'{dash}"


def _keys(layout: Layout) -> Iterator[str]:
    for key in layout.keys:
        if layout.series[key.series].kind == "bar":
            yield f"<rect x='{key.x:.1f}' y='{key.y - 9:.1f}' width='11' height='11' {_fill(key.series)}/>"
        else:
            y = key.y - 4
            yield f"<path d='M{key.x:.1f} {y:.1f}H{key.x + 12:.1f}' fill='none' {_stroke(key.series)}/>"


def _grid(layout: Layout) -> Iterator[str]:
    x, y, right, foot = layout.x, layout.y, layout.x + layout.plot_width, layout.y + layout.plot_height
    for value in layout.axis.ticks:
        at = layout.place(value)
        ends = (at, y, at, foot) if layout.lying else (x, at, right, at)
        yield _line(*ends, MUTED if value == 0 else GRID)
    for mark in layout.marks:
        yield _line(mark, foot, mark, foot + 4, MUTED)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return (
        f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' stroke-width='1'/>"
    )


def _bars(layout: Layout) -> Iterator[str]:
    bars = [(index, one) for index, one in enumerate(layout.series) if one.kind == "bar"]
    thick = layout.band * 0.72 / max(len(bars), 1)
    drawn_thick = max(thick - (1 if thick > 3 else 0), 0.5)  # noqa: PLR2004 - thin bars have no gap
    for place, (index, one) in enumerate(bars):
        for middle, value in zip(layout.at, one.values, strict=False):
            if value is None:
                continue
            start, end = sorted((layout.place(value), layout.place(0)))
            side = middle - layout.band * 0.36 + thick * place
            box = (start, side, end - start, drawn_thick) if layout.lying else (
                side, start, drawn_thick, end - start)  # fmt: skip
            yield (
                f"<rect x='{box[0]:.2f}' y='{box[1]:.2f}' width='{box[2]:.2f}' height='{box[3]:.2f}' "
                f"{_fill(index)}/>"
            )


def _lines(layout: Layout) -> Iterator[str]:
    for index, one in enumerate(layout.series):
        if one.kind == "line":
            yield from _one_line(layout, index, one)


def _one_line(layout: Layout, index: int, one: Series) -> Iterator[str]:
    points = [
        None if value is None else (at, layout.place(value))
        for at, value in zip(layout.at, one.values, strict=False)
    ]
    colour = PALETTE[index % len(PALETTE)]
    path, last = [], None
    for point in points:
        if point:
            path.append(f"{'L' if last else 'M'}{point[0]:.2f} {point[1]:.2f}")
        last = point
    if path:
        yield f"<path d='{''.join(path)}' fill='none' {_stroke(index)}/>"
    for before, point, after in zip([None, *points], points, [*points[1:], None], strict=False):
        alone = before is None and after is None  # no line leads to it
        if point and (alone or len(points) <= _DOTS):
            yield f"<circle cx='{point[0]:.2f}' cy='{point[1]:.2f}' r='2.8' fill='{colour}'/>"
