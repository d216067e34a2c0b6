"""Pages cover a cube exactly, and never ask for more cells than the engine allows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qlik.paging import MAX_CELLS, bands


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 400))
def test_every_cell_is_in_exactly_one_page(width: int, height: int, limit: int) -> None:
    areas = [area for band in bands(width, height, max_cells=limit) for area in band]
    assert sum(area.width * area.height for area in areas) == width * height
    corners = {(area.left, area.top) for area in areas}
    assert len(corners) == len(areas)
    for area in areas:
        assert 0 < area.width * area.height <= limit
        assert 0 <= area.left <= area.left + area.width <= width
        assert 0 <= area.top <= area.top + area.height <= height


def test_a_narrow_cube_takes_as_many_rows_as_fit() -> None:
    first = next(iter(bands(7, 100_000)))
    assert [area.as_page() for area in first] == [{"qLeft": 0, "qTop": 0, "qWidth": 7, "qHeight": 1428}]


def test_a_cube_wider_than_a_page_is_split_by_column_too() -> None:
    band = next(iter(bands(25_000, 2)))
    assert [(area.left, area.width, area.height) for area in band] == [
        (0, MAX_CELLS, 1),
        (10_000, MAX_CELLS, 1),
        (20_000, 5_000, 1),
    ]
