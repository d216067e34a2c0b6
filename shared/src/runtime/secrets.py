"""Secrets at rest: sealed with Fernet keys, readable with older keys while they are rotated."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from runtime.errors import Permanent

MASK = "••••••••"
"""What people see in place of a secret that is set."""


class Sealer:
    """Seals text with the first key and opens what any of the keys sealed."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Take Fernet keys, newest first. Raises ValueError, without the key in it, when one is no key."""
        if not keys:
            raise ValueError("no key; give at least one Fernet key in BROADSHEET_SECRET_KEY")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise ValueError(
                "a key is no Fernet key (32 bytes in URL-safe base64); make one with "
                "`python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'`"
            ) from None

    @classmethod
    def from_setting(cls, setting: SecretStr | None) -> Self:
        """Take RuntimeSettings.secret_key: one key, or several with commas between them."""
        text = setting.get_secret_value() if setting else ""
        return cls([key.strip() for key in text.split(",") if key.strip()])

    def seal(self, text: str) -> str:
        """Return the text encrypted, as ASCII; two calls give different results."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, token: str) -> SecretStr:
        """Return what was sealed. Raises Permanent when no key fits or the token was changed."""
        try:
            return SecretStr(self._fernet.decrypt(token.encode()).decode())
        except (InvalidToken, UnicodeError):
            raise Permanent(
                "secret-unreadable",
                "A stored secret cannot be opened with the keys this service has.",
                "Put the key it was sealed with into BROADSHEET_SECRET_KEY, or enter the secret anew.",
            ) from None

    def reseal(self, token: str) -> str:
        """Return the token sealed with the newest key. Raises Permanent like `open`."""
        return self.seal(self.open(token).get_secret_value())

    def opened(self, settings: Mapping[str, Any], sealed: Mapping[str, str]) -> dict[str, Any]:
        """Return a copy of `settings` with the sealed values put in as SecretStr.

        Keys of `sealed` are dotted paths, as in contracts.configuration.Connection. Raises Permanent.
        """
        merged = deepcopy(dict(settings))
        for path, token in sealed.items():
            *parents, last = path.split(".")
            place = merged
            for name in parents:
                place = place.setdefault(name, {})
                if not isinstance(place, dict):
                    raise Permanent(
                        "secret-misplaced",
                        f"The sealed setting {path!r} lies inside {name!r}, which is no group of settings.",
                        "Save the connection or storage space again in the console.",
                    )
            place[last] = self.open(token)
        return merged


def mask(value: str | SecretStr | None) -> str:
    """Return what may be shown of a secret: that it is set, and nothing else, not even its length."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return MASK if text else ""
