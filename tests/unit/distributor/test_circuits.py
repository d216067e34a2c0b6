"""A server that does not answer is left alone for a while; others are not."""

from datetime import timedelta

import pytest

from distributor.domain.circuits import Circuits
from support.deliveries import START

SECOND = timedelta(seconds=1)


def circuits(share: int = 2) -> Circuits:
    return Circuits(first_pause=2 * SECOND, longest_pause=5 * SECOND, share=share)


def fail(made: Circuits, key: str, at: int) -> None:
    made.begin(key)
    made.end(key, START + at * SECOND, unreachable=True)


def test_a_failing_target_is_blocked_with_doubling_pauses_up_to_the_longest() -> None:
    made = circuits()
    for at, until in [(0, 2), (2, 6), (6, 11), (11, 16)]:
        fail(made, "storage:a", at)
        assert made.blocked(START + (until - 1) * SECOND) == {"storage:a"}
        assert made.blocked(START + until * SECOND) == frozenset()


def test_other_targets_go_on() -> None:
    made = circuits()
    fail(made, "storage:a", 0)
    made.begin("storage:b")
    assert made.blocked(START) == {"storage:a"}


def test_after_the_pause_one_delivery_tries_and_the_others_wait_for_it() -> None:
    made = circuits()
    fail(made, "mail", 0)
    after = START + 3 * SECOND
    made.begin("mail")
    assert made.blocked(after) == {"mail"}
    made.end("mail", after, unreachable=False)
    assert made.blocked(after) == frozenset()
    assert made.open_targets() == 0


def test_deliveries_that_fail_together_count_once() -> None:
    made = circuits(share=3)
    for _ in range(3):
        made.begin("mail")
    for _ in range(3):
        made.end("mail", START, unreachable=True)
    assert made.blocked(START + 2 * SECOND) == frozenset()


def test_a_target_that_hangs_takes_up_its_share_only() -> None:
    made = circuits(share=2)
    made.begin("storage:slow")
    assert made.blocked(START) == frozenset()
    made.begin("storage:slow")
    assert made.blocked(START) == {"storage:slow"}
    made.end("storage:slow", START, unreachable=False)
    assert made.blocked(START) == frozenset()


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        circuits(share=0)
