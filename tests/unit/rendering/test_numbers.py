"""Numbers as people read them, of any size."""

import pytest

from rendering import RenderOptions
from rendering.values import number


@pytest.mark.parametrize(
    ("expected", "value", "decimals"),
    [
        ("1," + ",".join(["000"] * 10) + ".00", 1e30, 2),
        ("100,000,000,000,000.000000000000000", 1e14, 15),
        ("123,456,789,012,345,680,000.0000000000", 123456789012345680000.0, 10),
        ("100," + ",".join(["000"] * 102), 1e308, 0),
        ("0.00", 5e-324, 2),
        ("-3", -2.5, 0),
    ],
)
def test_a_number_of_any_size_is_written_out(expected: str, value: float, decimals: int) -> None:
    assert expected == number(value, decimals, RenderOptions())
