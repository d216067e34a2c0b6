"""Secrets at rest: sealed with Fernet keys, readable with older keys while they are rotated.

A token is `v2.<key id>.<Fernet token>`, encrypted with a key that is derived from one of the configured keys
and from what the secret is bound to (contracts.binding), so that it cannot be opened for anything else. A
token without the prefix is from before secrets were bound; it opens everywhere and is bound when it is next
saved or resealed.
"""

import base64
import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from contracts.base import Wire
from contracts.binding import bound_to, rule_of
from runtime.errors import Permanent

MASK = "••••••••"
"""What people see in place of a secret that is set."""

_PREFIX = "v2."


class Sealer:
    """Seals text with the first key and opens what any of the keys sealed."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Take Fernet keys, newest first. Raises ValueError, without the key in it, when one is not valid."""
        if not keys:
            raise ValueError("no key; give at least one Fernet key in BROADSHEET_SECRET_KEY")
        try:
            self._unbound = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise ValueError(
                "a key is not a valid Fernet key (32 bytes in URL-safe base64); make one with "
                "`python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'`"
            ) from None
        self._keys = {_key_id(raw): raw for raw in map(base64.urlsafe_b64decode, keys)}
        self.newest = next(iter(self._keys))
        """The id of the key that seals. It tells keys apart and nothing about them."""

    @classmethod
    def from_setting(cls, setting: SecretStr | None) -> Self:
        """Take RuntimeSettings.secret_key: one key, or several with commas between them."""
        text = setting.get_secret_value() if setting else ""
        return cls([key.strip() for key in text.split(",") if key.strip()])

    def seal(self, text: str, *, bound_to: str) -> str:
        """Return the text encrypted, as ASCII; two calls give different results.

        The result opens only with the same `bound_to`, which is what contracts.binding says.
        """
        token = _bound(self._keys[self.newest], bound_to).encrypt(text.encode()).decode()
        return f"{_PREFIX}{self.newest}.{token}"

    def open(self, token: str, *, bound_to: str) -> SecretStr:
        """Return what was sealed.

        Raises Permanent: `secret-unreadable` when no key fits, `secret-elsewhere` when it was sealed for
        something else or the token was changed.
        """
        try:
            if not token.startswith(_PREFIX):
                return SecretStr(self._unbound.decrypt(token.encode()).decode())
            key_id, _, inner = token.removeprefix(_PREFIX).partition(".")
            if key_id not in self._keys:
                raise _unreadable()
            try:
                return SecretStr(_bound(self._keys[key_id], bound_to).decrypt(inner.encode()).decode())
            except InvalidToken:
                raise Permanent(
                    "secret-elsewhere",
                    "A stored secret was entered for other settings than those it is to be used with.",
                    "Enter the secret again in the object that uses it.",
                ) from None
        except (InvalidToken, UnicodeError):
            raise _unreadable() from None

    def current(self, token: str) -> bool:
        """Return whether a token is bound and sealed with the newest key."""
        return token.startswith(f"{_PREFIX}{self.newest}.")

    def is_bound(self, token: str) -> bool:
        """Return whether a token is bound to what it was entered for."""
        return token.startswith(_PREFIX)

    def secrets_of(self, holder: Wire, sealed: Mapping[str, str]) -> dict[str, SecretStr]:
        """Return the secrets of an object, by path. Raises Permanent like `open`."""
        trust = rule_of(type(holder)).trust
        found = {
            path: self.open(token, bound_to=bound_to(holder, path))
            for path, token in sealed.items()
            if path in trust
        }
        trusted = {path: secret.get_secret_value() for path, secret in found.items()}
        for path, token in sealed.items():
            if path not in trust:
                found[path] = self.open(token, bound_to=bound_to(holder, path, trusted))
        return found

    def sealed_for(
        self, holder: Wire, *, fresh: Mapping[str, str], kept: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the tokens of an object's secrets by path, bound to it; `fresh` are in clear.

        Tokens in `kept` that are bound already stay as they are: whoever calls has made sure that what they
        are bound to has not changed. Others are bound now. One that no key opens stays, and says so at its
        use.
        """
        tokens = {path: token for path, token in kept.items() if path not in fresh}
        clear = dict(fresh)
        trust = rule_of(type(holder)).trust
        for path, token in tokens.items():
            if path in trust or not self.is_bound(token):
                with contextlib.suppress(Permanent):
                    clear[path] = self.open(token, bound_to=bound_to(holder, path)).get_secret_value()
        trusted = {path: text for path, text in clear.items() if path in trust}
        for path, text in clear.items():
            if path in fresh or not self.is_bound(tokens[path]):
                tokens[path] = self.seal(text, bound_to=bound_to(holder, path, trusted))
        return tokens

    def resealed(self, holder: Wire, sealed: Mapping[str, str]) -> dict[str, str]:
        """Return the tokens of an object, bound, and sealed with the newest key.

        Raises Permanent like `open`.
        """
        if all(self.current(token) for token in sealed.values()):
            return dict(sealed)
        found = self.secrets_of(holder, sealed)
        return self.sealed_for(
            holder, fresh={path: secret.get_secret_value() for path, secret in found.items()}, kept={}
        )


def placed(settings: Mapping[str, Any], secrets: Mapping[str, SecretStr]) -> dict[str, Any]:
    """Return a copy of `settings` with the secrets at their places.

    Keys of `secrets` are dotted paths, as in contracts.configuration.Connection. Raises Permanent.
    """
    merged = deepcopy(dict(settings))
    for path, secret in secrets.items():
        *parents, last = path.split(".")
        place = merged
        for name in parents:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise Permanent(
                    "secret-misplaced",
                    f"The sealed setting {path!r} lies inside {name!r}, which is not a group of settings.",
                    "Save the connection or storage space again in the console.",
                )
        place[last] = secret
    return merged


def mask(value: str | SecretStr | None) -> str:
    """Return what may be shown of a secret: that it is set, and nothing else, not even its length."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return MASK if text else ""


def _bound(key: bytes, to: str) -> Fernet:
    derived = HKDF(SHA256(), 32, salt=None, info=b"broadsheet secret v2\x00" + to.encode()).derive(key)
    return Fernet(base64.urlsafe_b64encode(derived))


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"broadsheet key id\x00" + key).hexdigest()[:12]


def _unreadable() -> Permanent:
    return Permanent(
        "secret-unreadable",
        "A stored secret cannot be opened with the keys this service has.",
        "Put the key it was sealed with into BROADSHEET_SECRET_KEY, or enter the secret again.",
    )
