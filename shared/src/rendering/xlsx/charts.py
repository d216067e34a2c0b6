"""Native charts of a workbook: their ranges follow the rows, their stored values are what was written."""

import re
from collections.abc import Callable
from math import isfinite
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from rendering.language import Language, Scope
from rendering.model import Scalar
from rendering.opc import descendants, local, namespace, parse, serialize
from rendering.tags import has_tags
from rendering.text import fill_runs
from rendering.values import clean
from rendering.xlsx.formula import sheet_names
from rendering.xlsx.known import Known, values
from rendering.xlsx.moves import split_range

Element = Any
_MARK = "broadsheet-points"
_MARKED = re.compile(rb"<\?broadsheet-points (\d+)\?>")
_CACHES = frozenset({"numCache", "strCache", "multiLvlStrCache", "lvl", "dlblRangeCache"})
MOST_STORED = 5_000  # values of a range; a reader takes those of a longer one from the cells


def fill_drawing_text(root: Element, language: Language, scope: Scope, place: str) -> bool:
    """Fill tags in the paragraphs of a drawing or chart; True if there were any."""
    changed = False
    for paragraph in descendants(root, "p"):
        runs = [t for r in paragraph if local(r) in {"r", "fld"} for t in r if local(t) == "t"]
        texts = [t.text or "" for t in runs]
        if not has_tags("".join(texts)):
            continue
        for run, text in zip(runs, fill_runs(texts, language, scope, place), strict=True):
            run.text = clean(text)
        changed = True
    return changed


def refresh_links(
    root: Element, move: Callable[[str], str], known: Known, fresh: Callable[[str], bool]
) -> bool:
    """Shapes that show a cell follow it and show its text, or none if it is unknown; True if one changed."""
    changed = False
    for shape in [e for e in root.iter() if e.get("textlink")]:
        text = shape.get("textlink")
        moved = move(text)
        if moved == text and not fresh(text):
            continue
        shape.set("textlink", moved)
        found = _values(moved, known, 1)
        texts = descendants(shape, "t")
        for number, one in enumerate(texts):
            one.text = found[0] if number == 0 and found and isinstance(found[0], str) else ""
        changed = True
    return changed


def refresh_chart(
    root: Element,
    move: Callable[[str], str],
    known: Known,
    fresh: Callable[[str], bool],
    *,
    most: int = MOST_STORED,
    points: "Points | None" = None,
    unknown: list[str] | None = None,
) -> bool:
    """Move the ranges of a chart and bring its stored values up to date; True if anything changed.

    With ``points`` the values are left as marks, which its ``serialized`` puts in.
    ``fresh`` says whether a range of the template holds anything new: others keep their stored values.
    ``unknown`` takes the ranges whose values are left to the program that opens the file.
    """
    changed = False
    for formula in descendants(root, "f"):
        text = formula.text or ""
        moved = move(text)
        if moved == text and not fresh(text):
            continue
        formula.text = moved
        if not _cache(formula, known, most, points) and unknown is not None:
            unknown.append(moved)
        changed = True
    return changed


def _cache(formula: Element, known: Known, most: int, points: "Points | None") -> bool:
    """Rewrite the stored values beside a range, or drop them: then a reader takes them from the cells.

    False if they were dropped.
    """
    holder = formula.getparent()
    caches = [e for e in holder if local(e) in _CACHES]
    found = _values(formula.text or "", known, most)
    if found is None or any(local(cache) not in {"numCache", "strCache"} for cache in caches):
        for cache in caches:
            holder.remove(cache)
        return not caches
    for cache in caches:
        _store(cache, formula.text or "", found, points)
    return True


def _store(cache: Element, place: str, found: list[Scalar], points: "Points | None") -> None:
    for element in [e for e in cache if local(e) in {"ptCount", "pt"}]:
        cache.remove(element)
    at = sum(1 for e in cache if local(e) == "formatCode")
    numeric = local(cache) == "numCache"
    if points is not None:
        cache.insert(at, points.mark(place, found, cache.prefix, numeric=numeric))
        return
    text = f'<c xmlns="{namespace(cache)[1:-1]}">{_stored(found, "", numeric=numeric)}</c>'
    cache[at:at] = list(parse(text.encode(), "chart"))


class Points:
    """Stored values of charts as text: building elements would cost ten times as much.

    Charts of a workbook mostly share their categories, so each range is written once.
    """

    def __init__(self) -> None:
        self._texts: list[bytes] = []
        self._places: dict[tuple[str, str | None, bool], int] = {}

    def mark(self, place: str, found: list[Scalar], prefix: str | None, *, numeric: bool) -> Element:
        """What stands for the values of a range until they are put in."""
        key = place, prefix, numeric
        if key not in self._places:
            self._places[key] = len(self._texts)
            space = f"{prefix}:" if prefix else ""
            self._texts.append(_stored(found, space, numeric=numeric).encode())
        return etree.ProcessingInstruction(_MARK, str(self._places[key]))

    def serialized(self, root: Element) -> bytes:
        """A chart with its values in the place of the marks."""
        pieces = _MARKED.split(serialize(root))
        return b"".join(self._texts[int(one)] if at % 2 else one for at, one in enumerate(pieces))


def _stored(found: list[Scalar], prefix: str, *, numeric: bool) -> str:
    """The stored values of a range; what is no number is left out of numbers."""
    opening, end = f'<{prefix}pt idx="', f"</{prefix}v></{prefix}pt>"
    middle = f'"><{prefix}v>'
    if set(map(type, found)) <= {int, float} and all(map(isfinite, found)):  # type: ignore[arg-type]
        lines = [f"{opening}{at}{middle}{value!r}{end}" for at, value in enumerate(found)]
    else:
        texts = [_one(value, numeric=numeric) for value in found]
        lines = [f"{opening}{at}{middle}{text}{end}" for at, text in enumerate(texts) if text is not None]
    return f'<{prefix}ptCount val="{len(found)}"/>{"".join(lines)}'


def _one(value: Scalar, *, numeric: bool) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        return repr(value)
    return None if value is None or numeric else escape(clean(str(value)))


def _values(text: str, known: Known, most: int) -> list[Scalar] | None:
    """The values of a range along a column, if all are known."""
    sheet, _, reference = text.rpartition("!")
    parts = split_range(reference.replace("$", ""))
    names = sheet_names(sheet + "!") if sheet else set()
    if parts is None or parts[0] != parts[2] or len(names) != 1:
        return None
    if parts[3] - parts[1] >= most:
        return None
    return values(known, next(iter(names)), parts[0], parts[1], parts[3])
