"""What may change in a published version of an event: nothing but new optional members (ADR-0006)."""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

# Words for people; they bind nobody.
_PROSE = frozenset({"description", "title", "examples", "default", "$comment"})


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Return what in `new` breaks a consumer or producer that knows `old`; empty when nothing does.

    Both are JSON Schemas of one event version. A consumer must be able to read what a new producer writes,
    and the other way round: members may be added when they are optional, all else stays as it is.
    """
    return list(_compare("data", old, new, old, new))


def _compare(place: str, old: Any, new: Any, old_root: Schema, new_root: Schema) -> Iterator[str]:
    old, new = _resolve(old, old_root), _resolve(new, new_root)
    if not (isinstance(old, dict) and isinstance(new, dict)):
        if old != new:
            yield f"{place}: {old!r} became {new!r}"
        return
    if "properties" in old:
        yield from _compare_members(place, old, new, old_root, new_root)
    for word in sorted((old.keys() | new.keys()) - _PROSE - {"properties", "required", "$defs"}):
        where = f"{place}.{word}"
        if word not in new:
            yield f"{where}: was taken away"
        elif word not in old:
            yield f"{where}: is new: {new[word]!r}"
        else:
            yield from _compare_word(where, old[word], new[word], old_root, new_root)


def _compare_members(
    place: str, old: Schema, new: Schema, old_root: Schema, new_root: Schema
) -> Iterator[str]:
    before, after = old["properties"], new.get("properties", {})
    for name in before:
        if name not in after:
            yield f"{place}.{name}: was removed"
        else:
            yield from _compare(f"{place}.{name}", before[name], after[name], old_root, new_root)
    was, now = set(old.get("required", ())), set(new.get("required", ()))
    for name in sorted(now - was):
        yield f"{place}.{name}: became required"
    for name in sorted(was - now):
        yield f"{place}.{name}: is no longer required, so consumers may miss it"


def _compare_word(place: str, old: Any, new: Any, old_root: Schema, new_root: Schema) -> Iterator[str]:
    if isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield f"{place}: {len(old)} alternatives became {len(new)}"
            return
        for index, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from _compare(f"{place}[{index}]", left, right, old_root, new_root)
    else:
        yield from _compare(place, old, new, old_root, new_root)


def _resolve(schema: Any, root: Schema) -> Any:
    if isinstance(schema, dict) and "$ref" in schema:
        resolved: Any = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
        return resolved
    return schema
