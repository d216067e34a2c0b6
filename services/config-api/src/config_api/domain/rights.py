"""Who may do what."""

from dataclasses import dataclass
from enum import StrEnum

from config_api.domain.errors import ForbiddenError


class Role(StrEnum):
    """Roles of accounts and API keys, from most to least."""

    ADMIN = "admin"
    DEVELOPER = "developer"
    READER = "reader"


class Right(StrEnum):
    """What a request needs."""

    HUB = "hub"
    """See one's own files in the Hub."""
    STATUS = "status"
    """See executions, their logs and the files they made."""
    CONFIGURATION = "configuration"
    """Read and change configuration."""
    RUN = "run"
    """Run tasks, enable and disable them."""
    AUDIT = "audit"
    """Query and verify the audit trail."""
    ACCOUNTS = "accounts"
    """Manage accounts and everybody's API keys."""


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.ADMIN: frozenset(Right),
    Role.DEVELOPER: frozenset({Right.HUB, Right.STATUS, Right.CONFIGURATION, Right.RUN}),
    Role.READER: frozenset({Right.HUB}),
}

_RANK = {Role.READER: 0, Role.DEVELOPER: 1, Role.ADMIN: 2}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: an account, through a session or an API key."""

    account_id: str
    name: str
    """Shown in the audit trail: the e-mail address of the account."""
    role: Role
    recipient_id: str | None
    via: str
    """`session`, `api-key` or `command`."""


def may(role: Role, right: Right) -> bool:
    """Return whether a role has a right."""
    return right in RIGHTS[role]


def demand(actor: Actor, right: Right) -> None:
    """Raise ForbiddenError unless the actor has the right."""
    if not may(actor.role, right):
        raise ForbiddenError(
            f"The role {actor.role.value!r} does not have the right {right.value!r}.",
            f"The right belongs to the roles {_having(right)}. Ask an administrator for one of them.",
        )


def _having(right: Right) -> str:
    return ", ".join(repr(role.value) for role in _RANK if may(role, right))


def lesser(first: Role, second: Role) -> Role:
    """Return the role of the two that may do less: a key never has more rights than its owner has now."""
    return first if _RANK[first] <= _RANK[second] else second
