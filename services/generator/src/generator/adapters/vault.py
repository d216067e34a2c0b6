"""Secrets of the configuration, opened and sealed with the key all services share."""

from generator.domain.selections import PlanProblemError
from runtime.errors import Permanent
from runtime.secrets import Sealer


class SealedVault:
    """generator.domain.passwords.Vault over runtime.secrets."""

    def __init__(self, sealer: Sealer) -> None:
        """Take the keys."""
        self._sealer = sealer

    def open(self, token: str, *, bound_to: str) -> str:
        """Return what was sealed, in clear. Raises PlanProblemError when no key fits."""
        try:
            return self._sealer.open(token, bound_to=bound_to).get_secret_value()
        except Permanent as error:
            raise PlanProblemError(error.code, error.message, error.remedy) from error

    def seal(self, text: str, *, bound_to: str) -> str:
        """Return a text encrypted; twice the same text gives two results."""
        return self._sealer.seal(text, bound_to=bound_to)
