"""Sign-in: rules for passwords and keys, and when somebody who guesses has to wait."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from zxcvbn import zxcvbn

from config_api.domain.errors import InvalidError, Problem
from config_api.domain.rights import Role

MIN_PASSWORD = 12
MAX_PASSWORD = 256
_WORD, _LEAST_BESIDES_EMAIL, _JUDGED = 3, 8, 72
_LEAST_GUESSES_LOG10 = 9.0
"""With a billion guesses a password that leaked as a hash lasts a while; the throttle ends guessing here."""
KEY_PREFIX = "bsk"

WINDOW = timedelta(minutes=15)
FAILURES_HERE = 8
"""As one account from one address, or from one known device."""
FAILURES_PER_ADDRESS = 40
FAILURES_PER_ACCOUNT = 100
"""From all addresses together; a device that signed in before is let in all the same."""
KNOWN_FOR = timedelta(days=180)
"""How long a browser that signed in is a known device of the account."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in."""

    id: str
    email: str
    password_hash: str
    role: Role
    recipient_id: str | None
    enabled: bool
    created_at: datetime
    password_changed_at: datetime | None = None
    """Sessions and API keys from before are no longer valid."""


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser; the cookie holds a token of which only the hash is stored."""

    token_hash: str
    account_id: str
    csrf: str
    created_at: datetime
    expires_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key for programs; the secret is shown once and stored as a hash."""

    id: str
    name: str
    account_id: str
    role: Role
    secret_hash: str
    created_at: datetime
    expires_at: datetime
    revoked: bool = False


def normal_email(email: str) -> str:
    """Return an address as accounts are found by it."""
    return email.strip().lower()


def check_password(password: str, email: str, *, field: str = "password") -> None:
    """Raise InvalidError when a password is too short, too long, known, or made from the address."""
    if len(password) < MIN_PASSWORD or len(password) > MAX_PASSWORD:
        raise InvalidError(
            Problem(
                field,
                f"has {len(password)} characters",
                f"take one of {MIN_PASSWORD} to {MAX_PASSWORD} characters",
            )
        )
    rest = password.casefold()
    local, _, domain = normal_email(email).partition("@")
    parts = [*re.split(r"[^a-z0-9]+", local), *domain.split(".")[:-1]]
    own = [part for part in parts if len(part) >= _WORD]
    for part in sorted(own, key=len, reverse=True):
        rest = rest.replace(part, "")
    if own and rest != password.casefold() and sum(map(str.isalnum, rest)) < _LEAST_BESIDES_EMAIL:
        remedy = "Choose one that cannot be guessed, such as four unrelated words."
        raise InvalidError(Problem(field, "is made from the e-mail address", remedy))
    # The library's time grows with the square of the length, and it looks at no more by itself.
    judged = zxcvbn(password[:_JUDGED], user_inputs=[*own, "broadsheet", "qlik"], max_length=_JUDGED)
    if judged["guesses_log10"] < _LEAST_GUESSES_LOG10:
        remedy = "Choose one that cannot be guessed, such as four unrelated words."
        raise InvalidError(Problem(field, "is too easy to guess", remedy))


def client_of(address: str) -> str:
    """Return what failures from an address are counted by: of IPv6 the network, which one person has."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found), 64), strict=False))
    return str(found)


def counted(who: str, address: str, known_device: str | None) -> dict[str, int]:
    """Return by what the failures of a sign-in are counted, each with its limit.

    A stranger's failures must not keep the owner out: they count for the stranger's address, and for the
    account as a whole only against devices that never signed in. `known_device` is the hash of one that did.
    """
    if known_device is not None:
        return {f"device:{known_device}": FAILURES_HERE}
    client = client_of(address)
    return {
        f"here:{client} {who}": FAILURES_HERE,
        f"address:{client}": FAILURES_PER_ADDRESS,
        f"account:{who}": FAILURES_PER_ACCOUNT,
    }


def token_hash(token: str) -> str:
    """Return what is stored of a random token. A plain hash will do: 256 random bits cannot be guessed."""
    return hashlib.sha256(token.encode()).hexdigest()


def same_token(token: str, stored_hash: str) -> bool:
    """Return whether a token is the one stored, in time that tells nothing."""
    return hmac.compare_digest(token_hash(token), stored_hash)


def compose_key(key_id: str, secret: str) -> str:
    """Return an API key as it is shown once."""
    return f"{KEY_PREFIX}_{key_id}_{secret}"


def parse_key(text: str) -> tuple[str, str] | None:
    """Return id and secret of an API key, or None when it has another form."""
    prefix, _, rest = text.partition("_")
    key_id, _, secret = rest.partition("_")
    return (key_id, secret) if prefix == KEY_PREFIX and key_id and secret else None


def wait_for(failures: Sequence[datetime], limit: int, now: datetime) -> int:
    """Return the seconds until another sign-in may be tried; 0 means now.

    At most `limit` failures count within WINDOW; after that it waits until the oldest of them leaves it.
    """
    recent = sorted(moment for moment in failures if moment > now - WINDOW)
    if len(recent) < limit:
        return 0
    free_at = recent[-limit] + WINDOW
    return max(1, int((free_at - now).total_seconds()) + 1)
