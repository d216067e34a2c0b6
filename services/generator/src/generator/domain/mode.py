"""What a run does otherwise than the task says: test mode, copies, destinations that are held back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.base import Reason
from contracts.configuration import Destination, TaskVersion
from contracts.runs import RunOptions

_NAMES = {Destination.STORAGE: "storage spaces", Destination.HUB: "the Hub"}


@dataclass(frozen=True, slots=True)
class Mode:
    """How deliveries of one run are planned."""

    test_address: str | None = None
    copies: bool = True
    """Whether Cc and Bcc get copies."""
    held: Mapping[Destination, Reason] = field(default_factory=dict)
    """Destinations that get nothing, with the reason that their deliveries are skipped for."""


def mode_of(task: TaskVersion, options: RunOptions | None) -> Mode:
    """Return the mode of a run: what it was asked for with goes before what the task says."""
    options = options or RunOptions()
    test = options.effective_test_mode(task.test_mode)
    return Mode(
        test_address=test.address if test else None,
        copies=test is None and options.recipients is None,
        held={each: _held(each, options) for each in sorted(options.held(task.test_mode))},
    )


def _held(destination: Destination, options: RunOptions) -> Reason:
    name = _NAMES[destination]
    if destination in options.hold:
        return Reason(
            code="held-back",
            message=f"This run was asked to deliver nothing to {name}.",
            remedy=f"Run the task without {destination.value!r} in 'hold' to deliver it.",
        )
    return Reason(
        code="held-back",
        message=f"In test mode nothing is delivered to {name}.",
        remedy=f"To deliver it in test mode as well, add {destination.value!r} to test_mode.deliver.",
    )
