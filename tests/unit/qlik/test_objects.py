"""Where a visualisation keeps its cubes, by its type."""

from __future__ import annotations

from typing import Any

import pytest

from qlik.objects import parts_of

CUBE: dict[str, Any] = {"qMode": "S"}


def boxes(*names: str) -> dict[str, Any]:
    return {"qUndoExclude": {name: {"qHyperCube": CUBE} for name in names}}


@pytest.mark.parametrize(
    ("kind", "layout", "paths"),
    [
        ("table", {"qHyperCube": CUBE}, ["/qHyperCubeDef"]),
        ("kpi", {"qHyperCube": CUBE}, ["/qHyperCubeDef"]),
        ("piechart", {"qHyperCube": CUBE}, ["/qHyperCubeDef"]),
        ("sn-pivot-table", {"qHyperCube": {"qMode": "P"}}, ["/qHyperCubeDef"]),
        ("listbox", {"qListObject": {}}, ["/qListObjectDef"]),
        # a chart's helper cubes do not stand in for its own
        ("combochart", {"qHyperCube": CUBE, **boxes("box")}, ["/qHyperCubeDef"]),
        (
            "map",
            {"qUndoExclude": {"gaLayers": [{"qHyperCube": CUBE}, {}, {"qHyperCube": CUBE}]}},
            ["/qUndoExclude/gaLayers/0/qHyperCubeDef", "/qUndoExclude/gaLayers/2/qHyperCubeDef"],
        ),
        (
            "boxplot",
            boxes("box", "outliers"),
            ["/qUndoExclude/box/qHyperCubeDef", "/qUndoExclude/outliers/qHyperCubeDef"],
        ),
        ("boxplot", boxes("box"), ["/qUndoExclude/box/qHyperCubeDef"]),
        ("histogram", {"qHyperCube": CUBE, **boxes("box")}, ["/qUndoExclude/box/qHyperCubeDef"]),
        ("distributionplot", {"qUndoExclude": {"qHyperCube": CUBE}}, ["/qUndoExclude/qHyperCubeDef"]),
        ("sn-layout-container", {"children": [{"qHyperCube": CUBE}]}, []),
        ("filterpane", {}, []),
        ("text-image", {"markdown": "words"}, []),
        ("extension-nobody-knows", {"data": {"deep": {"qHyperCube": CUBE}}}, ["/data/deep/qHyperCubeDef"]),
    ],
)
def test_the_cubes_of_a_type_are_found_in_their_order(
    kind: str, layout: dict[str, Any], paths: list[str]
) -> None:
    assert paths == [part.path for part in parts_of(kind, layout)]


def test_a_layout_that_nests_without_end_is_not_followed() -> None:
    layout: dict[str, Any] = {"qHyperCube": CUBE}
    for _ in range(5_000):
        layout = {"in": layout}
    assert [] == parts_of("odd", layout)
