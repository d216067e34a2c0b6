"""Native charts of a workbook: their ranges follow the rows, their stored values are what was written."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any
from xml.sax.saxutils import escape

from rendering.language import Language, Scope
from rendering.model import Scalar
from rendering.opc import descendants, local, namespace, parse
from rendering.tags import has_tags
from rendering.text import fill_runs
from rendering.values import clean
from rendering.xlsx.formula import sheet_names
from rendering.xlsx.known import Known, values
from rendering.xlsx.moves import split_range

Element = Any
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


def refresh_chart(
    root: Element,
    move: Callable[[str], str],
    known: Known,
    filled: Mapping[str, frozenset[int]],
    most: int = MOST_STORED,
) -> bool:
    """Move the ranges of a chart and bring its stored values up to date; True if anything changed.

    ``filled`` has the template rows with tags of every sheet: ranges elsewhere keep their stored values.
    """
    changed = False
    for formula in descendants(root, "f"):
        text = formula.text or ""
        if not {name.lower() for name in sheet_names(text)} & set(filled):
            continue
        moved = move(text)
        if moved == text and not _covers(text, filled):
            continue
        formula.text = moved
        _cache(formula, known, most)
        changed = True
    return changed


def _covers(text: str, filled: Mapping[str, frozenset[int]]) -> bool:
    """Whether a range holds a row with tags; an unusual one may."""
    parts = split_range(text.rpartition("!")[2].replace("$", ""))
    rows = frozenset().union(*(filled.get(name.lower(), frozenset()) for name in sheet_names(text)))
    return parts is None or any(parts[1] <= row <= parts[3] for row in rows)


def _cache(formula: Element, known: Known, most: int) -> None:
    """Rewrite the stored values beside a range, or drop them: then a reader takes them from the cells."""
    holder = formula.getparent()
    cache = next((e for e in holder if local(e) in {"numCache", "strCache", "multiLvlStrCache", "lvl"}), None)
    if cache is None:
        return
    found = _values(formula.text or "", known, most)
    if found is None or local(cache) in {"multiLvlStrCache", "lvl"}:
        holder.remove(cache)
        return
    for element in [e for e in cache if local(e) in {"ptCount", "pt"}]:
        cache.remove(element)
    space = namespace(cache)
    at = sum(1 for e in cache if local(e) == "formatCode")
    cache[at:at] = _points(found, space, numeric=local(cache) == "numCache")


def _points(found: list[Scalar], space: str, *, numeric: bool) -> list[Element]:
    """The stored values as elements; parsed from a text, since making each costs ten times as much."""
    lines: list[str] = []
    for index, value in enumerate(found):
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
            lines.append(f'<pt idx="{index}"><v>{value!r}</v></pt>')
        elif value is not None and not numeric:
            lines.append(f'<pt idx="{index}"><v>{escape(clean(str(value)))}</v></pt>')
    text = f'<c xmlns="{space[1:-1]}"><ptCount val="{len(found)}"/>{"".join(lines)}</c>'
    return list(parse(text.encode(), "chart"))


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
