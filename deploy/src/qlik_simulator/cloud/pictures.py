"""Small real pictures of objects, drawn from their data: bars, lines, figures or the rows of a table."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image, ImageDraw, ImageFont

Json = dict[str, Any]
_INK: Final = "#404040"
_COLOURS: Final = ("#4477aa", "#cc6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
_MARGIN: Final = 12
_LINE: Final = 16  # pixels per line of text
_MOST_BARS: Final = 60


@dataclass(frozen=True)
class Series:
    """What is drawn: a label and one number per measure for each row (None where there is none)."""

    title: str
    labels: Sequence[str]
    measures: Sequence[str]
    values: Sequence[Sequence[float | None]]  # per row
    texts: Sequence[Sequence[str]]  # per row: every cell as the user sees it


def series_of(layout: Json) -> Series:
    """Take the rows of a straight cube's layout; an object without one gives an empty series."""
    cube = layout.get("qHyperCube") or {}
    count = len(cube.get("qDimensionInfo") or [])
    matrix = [row for page in cube.get("qDataPages") or [] for row in page["qMatrix"]]
    return Series(
        title=str(layout.get("title") or (layout.get("qMeta") or {}).get("title") or ""),
        labels=[" / ".join(cell.get("qText", "") for cell in row[:count]) for row in matrix],
        measures=[str(info["qFallbackTitle"]) for info in cube.get("qMeasureInfo") or []],
        values=[[_number(cell.get("qNum")) for cell in row[count:]] for row in matrix],
        texts=[[cell.get("qText", "") for cell in row] for row in matrix],
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def picture(kind: str, series: Series, width: int, height: int) -> Image.Image:
    """A picture of an object of a type such as ``barchart`` in the size that was asked for (pixels)."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(12)
    draw.text((_MARGIN, 4), series.title, fill=_INK, font=ImageFont.load_default(15))
    box = (_MARGIN, _MARGIN + 2 * _LINE, width - _MARGIN, height - _MARGIN)
    if not series.values:
        draw.text((box[0], box[1]), "no data", fill=_INK, font=font)
    elif kind == "kpi":
        for index, text in enumerate(series.texts[0]):
            place = (box[0], box[1] + index * 3 * _LINE)
            draw.text(place, text, fill=_COLOURS[index % len(_COLOURS)], font=ImageFont.load_default(28))
    elif kind in {"barchart", "linechart", "combochart"} and series.labels:
        _chart(draw, kind, series, box)
    else:
        _table(draw, series, box, font)
    return image


def _chart(draw: ImageDraw.ImageDraw, kind: str, series: Series, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    rows = series.values[:_MOST_BARS] if kind == "barchart" else series.values
    numbers = [value for row in rows for value in row if value is not None]
    low, high = min([0.0, *numbers]), max([0.0, *numbers])
    scale = (bottom - top) / ((high - low) or 1.0)
    base = bottom + low * scale
    step = (right - left) / len(rows)
    draw.line((left, base, right, base), fill=_INK)
    for measure in range(len(series.measures)):
        colour = _COLOURS[measure % len(_COLOURS)]
        points = [
            (left + (index + 0.5) * step, base - value * scale)
            for index, row in enumerate(rows)
            if (value := row[measure]) is not None
        ]
        if kind == "barchart":
            for x, y in points:
                draw.rectangle((x - step * 0.4, min(y, base), x + step * 0.4, max(y, base)), fill=colour)
        elif len(points) > 1:
            draw.line(points, fill=colour, width=2)


def _table(
    draw: ImageDraw.ImageDraw,
    series: Series,
    box: tuple[int, int, int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    left, top, right, bottom = box
    columns = max(len(series.texts[0]), 1)
    for index, row in enumerate(series.texts[: max((bottom - top) // _LINE, 0)]):
        for column, text in enumerate(row):
            place = (left + column * (right - left) / columns, top + index * _LINE)
            draw.text(place, text[:40], fill=_INK, font=font)


def encoded(image: Image.Image, form: str) -> bytes:
    """The bytes of a picture as ``PNG`` or as a page of ``PDF``."""
    target = io.BytesIO()
    image.save(target, form)
    return target.getvalue()


def side_by_side(images: Sequence[Image.Image], width: int, height: int) -> Image.Image:
    """Several pictures on one page, two in a row."""
    page = Image.new("RGB", (width, height), "white")
    for index, image in enumerate(images):
        page.paste(image, ((index % 2) * (width // 2), (index // 2) * image.height))
    return page
