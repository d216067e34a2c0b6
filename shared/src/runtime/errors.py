"""The failure policy's words: each exception means one action (docs/architecture/failure-policy.md)."""

from contracts.base import Reason


class Transient(Exception):  # noqa: N818 - it names a kind of failure, as the policy does
    """Something outside is out of order for now; the same work will succeed later.

    Raised after the adapter's own short retries are used up. A handler that raises it gets its message again.
    """


class Permanent(Exception):  # noqa: N818 - it names a kind of failure, as the policy does
    """Trying again cannot help; somebody has to change something.

    A handler that raises it has its message dead-lettered, unless it records the reason on what it works on.
    """

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        """Take a code for programs, a sentence for people and what to do about it."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy

    @property
    def reason(self) -> Reason:
        """Return the failure as events and logs carry it."""
        return Reason(code=self.code, message=self.message, remedy=self.remedy)
