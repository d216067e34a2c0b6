"""The collector rests during a burst and is afterwards what it was."""

from __future__ import annotations

import gc

import pytest

from qlik.bulk import without_collector


@pytest.mark.parametrize("running", [True, False])
def test_the_collector_is_afterwards_what_it_was_even_after_an_error(*, running: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if running else gc.disable)()
        with pytest.raises(ZeroDivisionError), without_collector():
            1 / gc.isenabled()
        assert running is gc.isenabled()
    finally:
        (gc.enable if before else gc.disable)()
