"""The generator's vault in memory."""

from generator.domain.selections import PlanProblemError


class FakeVault:
    """A vault whose seal anybody can read, and which opens nothing else."""

    def open(self, token: str, *, bound_to: str) -> str:
        del bound_to
        if not token.startswith("sealed:"):
            raise PlanProblemError("secret-unreadable", "no key fits", "enter it anew")
        return token.removeprefix("sealed:")

    def seal(self, text: str, *, bound_to: str) -> str:
        del bound_to
        return f"sealed:{text}"
