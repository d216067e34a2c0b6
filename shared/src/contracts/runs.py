"""What a request to run a task may change, for that run alone."""

from typing import Annotated

from pydantic import Field

from contracts.base import Id, Wire
from contracts.configuration import Destination, TestMode


class RunOptions(Wire):
    """Options of one run. They are never written into the task."""

    test_mode: TestMode | None = Field(
        default=None, description="run in test mode, whether or not the task is in it, with this address"
    )
    recipients: Annotated[tuple[Id, ...], Field(min_length=1, max_length=10_000)] | None = Field(
        default=None,
        description="only these recipients of the task get anything by mail or in the Hub; copies (Cc, Bcc) "
        "are left out; None stands for everybody",
    )
    hold: tuple[Destination, ...] = Field(
        default=(), max_length=2, description="destinations that get nothing in this run"
    )

    def effective_test_mode(self, of_task: TestMode | None) -> TestMode | None:
        """Return the test mode of the run: its own, or that of the task."""
        return self.test_mode or of_task

    def held(self, of_task: TestMode | None) -> frozenset[Destination]:
        """Return the destinations that get nothing: those the run names, and in test mode all not allowed."""
        mode = self.effective_test_mode(of_task)
        by_test = frozenset(Destination) - frozenset(mode.deliver) if mode else frozenset()
        return frozenset(self.hold) | by_test
