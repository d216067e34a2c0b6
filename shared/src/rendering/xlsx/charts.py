"""Native charts of a workbook: their ranges follow the rows, their stored values are what was written."""

from collections.abc import Callable, Mapping
from typing import Any

from rendering.language import Language, Scope
from rendering.model import Scalar
from rendering.opc import descendants, local, namespace
from rendering.tags import has_tags
from rendering.text import fill_runs
from rendering.values import clean
from rendering.xlsx.formula import sheet_names
from rendering.xlsx.moves import split_range
from rendering.xlsx.totals import Known

Element = Any
_MAX_CACHE = 20_000


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
    root: Element, move: Callable[[str], str], known: Known, filled: Mapping[str, frozenset[int]]
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
        _cache(formula, known)
        changed = True
    return changed


def _covers(text: str, filled: Mapping[str, frozenset[int]]) -> bool:
    """Whether a range holds a row with tags; an unusual one may."""
    parts = split_range(text.rpartition("!")[2].replace("$", ""))
    rows = frozenset().union(*(filled.get(name.lower(), frozenset()) for name in sheet_names(text)))
    return parts is None or any(parts[1] <= row <= parts[3] for row in rows)


def _cache(formula: Element, known: Known) -> None:
    """Rewrite the stored values beside a range, or drop them: then a reader takes them from the cells."""
    holder = formula.getparent()
    cache = next((e for e in holder if local(e) in {"numCache", "strCache", "multiLvlStrCache", "lvl"}), None)
    if cache is None:
        return
    values = _values(formula.text or "", known)
    if values is None or local(cache) in {"multiLvlStrCache", "lvl"}:
        holder.remove(cache)
        return
    for element in [e for e in cache if local(e) in {"ptCount", "pt"}]:
        cache.remove(element)
    space = namespace(cache)
    at = sum(1 for e in cache if local(e) == "formatCode")
    count = cache.makeelement(space + "ptCount")
    count.set("val", str(len(values)))
    points = [count]
    for index, value in enumerate(values):
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if value is None or (local(cache) == "numCache" and not numeric):
            continue
        point = cache.makeelement(space + "pt")
        point.set("idx", str(index))
        inner = cache.makeelement(space + "v")
        inner.text = repr(value) if numeric else clean(str(value))
        point.append(inner)
        points.append(point)
    cache[at:at] = points


def _values(text: str, known: Known) -> list[Scalar] | None:
    """The values of a range along a column, if all are known."""
    sheet, _, reference = text.rpartition("!")
    parts = split_range(reference.replace("$", ""))
    names = sheet_names(sheet + "!") if sheet else set()
    if parts is None or parts[0] != parts[2] or len(names) != 1:
        return None
    column = known.get(next(iter(names)).lower(), {}).get(parts[0], {})
    rows = range(parts[1], parts[3] + 1)
    if len(rows) > _MAX_CACHE or any(row not in column for row in rows):
        return None
    return [column[row] for row in rows]
