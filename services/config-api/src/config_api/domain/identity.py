"""Sign-in: rules for passwords and keys, and when somebody who guesses has to wait."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from config_api.domain.errors import InvalidError, Problem
from config_api.domain.rights import Role

MIN_PASSWORD = 12
MAX_PASSWORD = 256
KEY_PREFIX = "bsk"

WINDOW = timedelta(minutes=15)
FAILURES_PER_ACCOUNT = 8
FAILURES_PER_ADDRESS = 40


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


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser; the cookie holds a token of which only the hash is stored."""

    token_hash: str
    account_id: str
    csrf: str
    created_at: datetime
    expires_at: datetime


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


def check_password(password: str, email: str) -> None:
    """Raise InvalidError when a password is too short, too long or the address itself."""
    if len(password) < MIN_PASSWORD or len(password) > MAX_PASSWORD:
        raise InvalidError(
            Problem(
                "password",
                f"has {len(password)} characters",
                f"take one of {MIN_PASSWORD} to {MAX_PASSWORD} characters",
            )
        )
    if normal_email(password) in {normal_email(email), normal_email(email).partition("@")[0]}:
        raise InvalidError(Problem("password", "is the e-mail address", "take one that cannot be guessed"))


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
