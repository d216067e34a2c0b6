"""Why a request is refused. Each exception means one answer; the HTTP edge gives it a status."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, what, and how to correct it."""

    field: str
    """Path in the request, as in `triggers.0.rule.expression`; empty for the whole."""
    message: str
    remedy: str = ""


class RefusedError(Exception):
    """A request that is not done, and why."""

    def __init__(self, message: str, remedy: str = "") -> None:
        """Take a sentence for people and what to do about it."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class InvalidError(RefusedError):
    """What was sent is wrong; `problems` names every fault that was found."""

    def __init__(self, *problems: Problem) -> None:
        """Take at least one problem."""
        super().__init__(
            "The request is not valid.",
            "Correct the fields that 'problems' lists, then send the request again.",
        )
        self.problems = problems


class NotFoundError(RefusedError):
    """There is no such thing, or not for this person."""

    def __init__(self, kind: str, key: str) -> None:
        """Take what was looked for."""
        super().__init__(f"There is no {kind} {key[:200]!r}.", f"List the {kind}s to see the ids there are.")


class ConflictError(RefusedError):
    """The request is in order, but the state of things does not allow it."""


class InUseError(ConflictError):
    """It cannot be deleted, because something refers to it."""

    def __init__(self, kind: str, key: str, referrers: tuple[str, ...]) -> None:
        """Take the referrers as `kind:id`."""
        super().__init__(
            f"The {kind} {key!r} is in use by {', '.join(referrers)}.",
            "Remove it from what uses it, then delete it.",
        )
        self.referrers = referrers


class StaleError(RefusedError):
    """Somebody else changed the object since it was read (a lost update, prevented)."""

    def __init__(self, kind: str, key: str) -> None:
        """Take what was to be changed."""
        super().__init__(
            f"The {kind} {key!r} has been changed by somebody else since it was read.",
            "Read it again, apply the change to what it is now, and send it with the new ETag.",
        )


class SignInError(RefusedError):
    """Nobody is signed in, or the credentials are wrong."""


class ForbiddenError(RefusedError):
    """The person is known and may not do this."""


class ThrottledError(RefusedError):
    """Too many failed sign-ins; wait."""

    def __init__(self, retry_after_s: int) -> None:
        """Take the seconds to wait."""
        super().__init__(
            "Too many failed sign-ins.",
            f"Wait {retry_after_s} seconds, then try again with the right password.",
        )
        self.retry_after_s = retry_after_s


class TooManyError(RefusedError):
    """Too many requests of one kind in a short time; wait."""


class TooLargeError(RefusedError):
    """The upload is larger than allowed."""


class MalformedError(RefusedError):
    """The request cannot be read at all: its body is not JSON, or not UTF-8."""


class MediaTypeError(RefusedError):
    """The body is of a media type, or in an encoding, that the call does not take."""


class NotAcceptableError(RefusedError):
    """The caller takes no media type that the call has."""
