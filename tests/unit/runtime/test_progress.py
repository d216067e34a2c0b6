"""What counts as a consumer that stands still, and what does not."""

import pytest

from runtime.progress import Progress, Reading

STALLED_AFTER_S, HANDLER_LIMIT_S, EVERY_S = 60.0, 600.0, 5.0


class Scene:
    """A consumer with partition 0 and a clock; by default fetches are answered."""

    def __init__(self) -> None:
        self.now = 0.0
        self.progress = Progress(seconds=lambda: self.now)
        self.position: int | None = 0
        self.end: int | None = 0
        self.answered = True
        self._fetched_at = 0.0

    def passes(self, seconds: float) -> None:
        """Let time pass, with a look every few seconds."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + EVERY_S, until)
            if self.answered:
                self._fetched_at = self.now
            self.progress.observe({0: Reading(self.position, self.end, self._fetched_at)}, every_s=EVERY_S)

    def problems(self) -> list[str]:
        return self.progress.problems(stalled_after_s=STALLED_AFTER_S, handler_limit_s=HANDLER_LIMIT_S)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_consumer_with_nothing_to_read_is_fine_for_as_long_as_it_takes(scene: Scene) -> None:
    scene.passes(7_200)
    assert scene.problems() == []


def test_a_consumer_that_stands_still_before_waiting_messages_is_stalled_until_it_moves(scene: Scene) -> None:
    scene.passes(600)
    scene.end = 3
    scene.progress.unreadable(ValueError("no zstd here"))
    scene.passes(55)
    assert scene.problems() == []
    scene.passes(20)
    (problem,) = scene.problems()
    assert "partition 0 stands at offset 0 of 3" in problem
    assert "ValueError: no zstd here" in problem
    assert scene.progress.lags() == {0: 3}
    scene.position = 1
    scene.passes(5)
    assert scene.problems() == []


def test_a_backlog_that_shrinks_slowly_is_no_stall(scene: Scene) -> None:
    scene.end = 1_000
    for position in range(30):
        scene.position = position
        scene.passes(50)
    assert scene.problems() == []


def test_a_handler_that_takes_its_time_is_no_stall_until_it_exceeds_its_limit(scene: Scene) -> None:
    scene.end = 5
    with scene.progress.handling(0, 0):
        scene.position = 1
        scene.passes(HANDLER_LIMIT_S - 5)
        assert scene.problems() == []
        assert scene.progress.lags() == {0: 5}, "the message being handled counts"
        scene.passes(20)
        (problem,) = scene.problems()
        assert "the handler of offset 0 has run for 615 s, longer than the 600 s" in problem
    scene.passes(5)
    assert scene.problems() == []


def test_one_unreadable_partition_among_busy_ones_is_stalled(scene: Scene) -> None:
    scene.end = 1
    for offset in range(200):
        with scene.progress.handling(1, offset):
            scene.passes(2)
        scene.passes(2)
    assert ["stalled: partition 0 stands at offset 0 of 1 for 400 s"] == scene.problems()


def test_fetches_that_are_not_answered_are_a_stall_even_without_known_messages(scene: Scene) -> None:
    scene.passes(100)
    scene.answered = False
    scene.passes(65)
    (problem,) = scene.problems()
    assert "no fetch answered for 65 s" in problem
    scene.answered = True
    scene.passes(5)
    assert scene.problems() == []


def test_a_partition_without_a_position_is_a_stall(scene: Scene) -> None:
    scene.position = None
    scene.passes(65)
    assert "has no position" in scene.problems()[0]


def test_a_message_that_keeps_failing_is_a_problem_of_its_own_and_ends_when_it_is_handled(
    scene: Scene,
) -> None:
    scene.end = 1
    for _ in range(8):
        with scene.progress.handling(0, 0):
            scene.passes(10)
        scene.progress.retrying(0, 0, "MongoDB is away")
    (problem,) = scene.problems()
    assert "the message at offset 0 has failed for 70 s and is retried" in problem
    assert "MongoDB is away" in problem
    scene.progress.settled(0)
    assert scene.problems() == []


def test_what_was_known_of_a_partition_ends_with_its_assignment(scene: Scene) -> None:
    scene.end = 1
    scene.passes(65)
    scene.progress.retrying(0, 0, "MongoDB is away")
    scene.now += 65
    scene.progress.observe({}, every_s=EVERY_S)
    assert scene.problems() == []
    assert scene.progress.lags() == {}


def test_a_process_that_was_suspended_concludes_nothing_from_it(scene: Scene) -> None:
    scene.end = 1
    scene.passes(5)
    scene.now += 3_600
    scene.passes(5)
    assert scene.problems() == []


def test_a_halted_subscription_is_reported_by_the_failure_policy_alone(scene: Scene) -> None:
    scene.end = 9
    with scene.progress.handling(0, 0):
        scene.progress.halted()
        scene.passes(2_000)
        assert scene.problems() == []


def test_offsets_that_cannot_be_committed_are_a_problem_until_they_can(scene: Scene) -> None:
    scene.progress.commit_failed(PermissionError("group"))
    scene.passes(65)
    scene.progress.commit_failed(PermissionError("group"))
    assert "offsets cannot be committed" in scene.problems()[0]
    scene.progress.committed()
    assert scene.problems() == []
