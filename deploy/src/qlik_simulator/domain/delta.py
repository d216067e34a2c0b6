"""The engine's delta form: differences between two values as JSON patches."""

from typing import Any

Patch = dict[str, Any]


def whole(value: Any) -> list[Patch]:
    """The first reply of a method on a handle: the value itself."""
    return [{"op": "add", "path": "/", "value": value}]


def difference(before: Any, after: Any) -> list[Patch]:
    """What turns one value into the other; an empty list when nothing changed."""
    if type(before) is not type(after) or not isinstance(after, dict | list):
        return [] if _same(before, after) else [{"op": "replace", "path": "/", "value": after}]
    patches: list[Patch] = []
    _compare(before, after, "", patches)
    return patches


def _compare(before: Any, after: Any, path: str, patches: list[Patch]) -> None:
    if isinstance(before, dict) and isinstance(after, dict):
        patches += [{"op": "remove", "path": _at(path, name)} for name in before if name not in after]
        for name, value in after.items():
            if name in before:
                _compare(before[name], value, _at(path, name), patches)
            else:
                patches.append({"op": "add", "path": _at(path, name), "value": value})
    elif isinstance(before, list) and isinstance(after, list):
        shared = min(len(before), len(after))
        for index in range(shared):
            _compare(before[index], after[index], f"{path}/{index}", patches)
        patches += [
            {"op": "remove", "path": f"{path}/{index}"} for index in range(len(before) - 1, shared - 1, -1)
        ]
        patches += [
            {"op": "add", "path": f"{path}/{index}", "value": after[index]}
            for index in range(shared, len(after))
        ]
    elif not _same(before, after):
        patches.append({"op": "replace", "path": path, "value": after})


def _same(before: Any, after: Any) -> bool:
    return type(before) is type(after) and bool(before == after)


def _at(path: str, name: str) -> str:
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
