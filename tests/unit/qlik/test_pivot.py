"""Pivot pages become paths and cells, over page borders, by element and not by text."""

from __future__ import annotations

from typing import Any

import pytest

from qlik import Column
from qlik.errors import Aborted, ProtocolError, QlikError
from qlik.pivot import Pivot, add_page, leaves, stacked_rows

SALES = Column("Sales", "number", None, "measure")
COST = Column("Cost", "number", None, "measure")


def node(text: str, element: int = 0, *subs: dict[str, Any], kind: str = "N", **more: Any) -> dict[str, Any]:
    return {
        "qText": text,
        "qElemNo": element,
        "qType": kind,
        "qValue": "NaN",
        "qSubNodes": list(subs),
        **more,
    }


def point(number: float | str, kind: str = "V") -> dict[str, Any]:
    return {"qText": str(number), "qNum": number, "qType": kind}


def page(left: list[Any], top: list[Any], data: list[list[Any]]) -> dict[str, Any]:
    return {"qLeft": left, "qTop": top, "qData": data}


def texts(pivot: Pivot) -> list[list[str]]:
    return [[header.text for header in path] for path in pivot.rows]


def test_a_group_that_goes_on_over_a_page_border_keeps_its_path() -> None:
    pivot = Pivot(("Region", "City"), (), (SALES,))
    top = [node("Sales", -1, kind="P")]
    first = page(
        [node("North", 0, node("Oslo", 1), node("Bergen", 2), qDown=1)], top, [[point(1)], [point(2)]]
    )
    second = page(
        [node("North", 0, node("Bodo", 3), qUp=2), node("South", 4, node("Rome", 5))],
        top,
        [[point(3)], [point(4)]],
    )
    add_page(pivot, first, left=0, top=0, width=1, height=2)
    add_page(pivot, second, left=0, top=2, width=1, height=2)
    assert texts(pivot) == [["North", "Oslo"], ["North", "Bergen"], ["North", "Bodo"], ["South", "Rome"]]
    assert pivot.rows[1][0].key == pivot.rows[2][0].key
    assert [row[0].value for row in pivot.cells] == [1, 2, 3, 4]


def test_groups_with_the_same_text_and_other_elements_are_not_one() -> None:
    paths = list(leaves([node("Paris", 1), node("Paris", 2)]))
    assert paths[0][0].key != paths[1][0].key


def test_pages_side_by_side_make_one_row() -> None:
    pivot = Pivot(("R",), ("Y",), (SALES,))
    left = [node("a", 1), node("b", 2)]
    add_page(pivot, page(left, [node("2023", 1)], [[point(1)], [point(2)]]), left=0, top=0, width=1, height=2)
    add_page(pivot, page(left, [node("2024", 2)], [[point(3)], [point(4)]]), left=1, top=0, width=1, height=2)
    assert [[cell.value for cell in row] for row in pivot.cells] == [[1, 3], [2, 4]]
    assert [path[0].text for path in pivot.columns] == ["2023", "2024"]


@pytest.mark.parametrize(
    "bad",
    [
        page([node("a", 1)], [node("x", 1)], [[point(1)]]),
        page([node("a", 1), node("b", 2)], [node("x", 1), node("y", 2)], [[point(1)], [point(2)]]),
        page([], [], []),
    ],
)
def test_a_page_of_another_size_than_promised_voids_the_reading(bad: dict[str, Any]) -> None:
    with pytest.raises(Aborted):
        add_page(Pivot((), (), (SALES,)), bad, left=0, top=0, width=1, height=2)


def test_columns_that_change_between_two_pages_void_the_reading() -> None:
    pivot = Pivot(("R",), ("Y",), (SALES,))
    add_page(pivot, page([node("a", 1)], [node("2023", 1)], [[point(1)]]), left=0, top=0, width=1, height=1)
    with pytest.raises(Aborted):
        add_page(
            pivot, page([node("b", 2)], [node("2024", 2)], [[point(1)]]), left=0, top=1, width=1, height=1
        )


def test_a_cell_belongs_to_the_measure_its_pseudo_node_names_left_or_top() -> None:
    money = Column("Cost", "date", None, "measure")
    for pivot_page in (
        page(
            [node("a", 1)],
            [node("Sales", -1, kind="P"), node("Cost", -1, kind="P")],
            [[point(1), point(45000)]],
        ),
        page(
            [node("a", 1)],
            [node("Cost", -1, node("2024", 3), kind="P"), node("Sales", -1, kind="P")],
            [[point(45000), point(1)]],
        ),
    ):
        pivot = Pivot(("R",), (), (SALES, money))
        add_page(pivot, pivot_page, left=0, top=0, width=2, height=1)
        assert {type(cell.value).__name__ for cell in pivot.cells[0]} == {"int", "datetime"}


def test_empty_and_null_cells_are_nothing_and_totals_are_named() -> None:
    pivot = Pivot(("R",), (), (SALES,))
    left = [node("Totals", -1, kind="T"), node("-", -2, kind="U"), node("a", 1)]
    add_page(
        pivot,
        page(left, [node("Sales", -1, kind="P")], [[point(9)], [point("NaN", "U")], [point("NaN", "E")]]),
        left=0,
        top=0,
        width=1,
        height=3,
    )
    table = pivot.flat()
    assert table.values() == [["Totals", 9], [None, None], ["a", None]]


def test_a_pivot_without_left_dimensions_has_rows_without_headers() -> None:
    pivot = Pivot((), ("Y",), (SALES,))
    add_page(
        pivot,
        page([], [node("2023", 1), node("2024", 2)], [[point(1), point(2)]]),
        left=0,
        top=0,
        width=2,
        height=1,
    )
    table = pivot.flat()
    assert table.values() == [[1, 2]]
    assert [c.name for c in table.columns] == ["2023", "2024"]


def test_levels_of_different_depth_are_filled_up() -> None:
    pivot = Pivot(("A", "B"), (), (SALES,))
    left = [node("x", 1, node("y", 2)), node("z", 3)]
    add_page(
        pivot,
        page(left, [node("Sales", -1, kind="P")], [[point(1)], [point(2)]]),
        left=0,
        top=0,
        width=1,
        height=2,
    )
    assert pivot.flat().values() == [["x", "y", 1], ["z", None, 2]]


def test_a_tree_of_endless_depth_is_refused_and_not_followed() -> None:
    deep = node("x", 1)
    for _ in range(500):
        deep = node("x", 1, deep)
    with pytest.raises(ProtocolError):
        list(leaves([deep]))
    with pytest.raises(ProtocolError):
        stacked_rows({"qData": [{"qSubNodes": [deep]}]}, (), ())


@pytest.mark.parametrize("hostile", [[1], ["x"], [None], [{"qSubNodes": [3]}]])
def test_nodes_that_are_no_objects_are_refused(hostile: list[Any]) -> None:
    with pytest.raises(QlikError):
        list(leaves(hostile))


def test_a_recorded_stack_of_one_dimension_gives_its_rows() -> None:
    """The shape of a treemap in Qlik's own tests: root, one node per value, one value node below each."""
    subs = [
        node("C", 2, node("2.0540", 0, kind="V", qValue=2.054004854368932)),
        node("B", 0, node("1.2294", 0, kind="V", qValue=1.2293906810035842)),
    ]
    stack = {"qData": [{"qElemNo": 0, "qValue": 0, "qType": "R", "qSubNodes": subs}]}
    rows = stacked_rows(stack, (Column("Dim1", "text"),), (SALES,))
    assert [[c.value for c in row] for row in rows] == [["C", 2.054004854368932], ["B", 1.2293906810035842]]


def test_a_stack_with_two_measures_puts_them_beside_each_other() -> None:
    def value(text: str, number: float) -> dict[str, Any]:
        return node(text, 0, kind="V", qValue=number)

    group = node(
        "a", 1, node("Sales", -1, value("1", 1), kind="P"), node("Cost", -1, value("2", 2), kind="P")
    )
    rows = stacked_rows(
        {"qData": [{"qType": "R", "qSubNodes": [group]}]}, (Column("D", "text"),), (SALES, COST)
    )
    assert [[c.value for c in row] for row in rows] == [["a", 1, 2]]
