"""What a stored secret belongs to: whom it is shown to, and which object and setting holds it.

A secret is entered for one destination: an address, a user, a bucket. Somebody who may change the object but
not read the secret must not be able to send it elsewhere, so every setting of an object with secrets belongs
to the destination unless it is declared harmless here. A field that is added later is therefore safe before
anybody thinks of it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.base import Wire
from contracts.configuration import Connection, Recipient, StorageSpace, TaskVersion

_ABOUT = frozenset({"id", "task_id", "name", "description", "sealed"})
"""Fields of any kind that name an object and do not say where it leads."""


@dataclass(frozen=True, slots=True)
class SecretRule:
    """How the secrets of one kind of object are bound."""

    harmless: frozenset[str] = frozenset()
    """Dotted paths of settings that may change while a secret stays; everything else is the destination."""
    trust: frozenset[str] = frozenset()
    """Secrets that decide whom the others are shown to, such as a certificate authority."""
    sent: bool = True
    """Whether a secret ever leaves the platform. One that does not has no destination, only an owner."""


_RULES: Mapping[type[Wire], SecretRule] = {
    Connection: SecretRule(
        harmless=frozenset({"settings.limits"}),
        trust=frozenset({"auth.ca_pem"}),
    ),
    StorageSpace: SecretRule(),
    # Passwords of files: they lock what the generator writes, and are shown to nobody.
    Recipient: SecretRule(sent=False),
    TaskVersion: SecretRule(sent=False),
}


def rule_of(kind: type[Wire]) -> SecretRule:
    """Return how secrets of a kind are bound; a kind that nobody declared is bound by all its fields."""
    return _RULES.get(kind, SecretRule())


def destination(holder: Wire) -> dict[str, Any]:
    """Return what says where the secrets of an object are sent, as plain JSON values.

    Fields at their default count as absent, so that a field added in a later version changes nothing.
    """
    rule = rule_of(type(holder))
    if not rule.sent:
        return {}
    content = holder.model_dump(mode="json", exclude_defaults=True, exclude=set(_ABOUT))
    return _without(content, rule.harmless, "")


def moved(before: Wire, after: Wire) -> tuple[str, ...]:
    """Return the dotted paths of the destination that differ between two states of an object, sorted."""
    old, new = _flat(destination(before)), _flat(destination(after))
    return tuple(sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path)))


def bound_to(holder: Wire, path: str, trusted: Mapping[str, str] | None = None) -> str:
    """Return the text that a secret of an object is sealed with, so that it opens for nothing else.

    `path` names the secret; `trusted` are the object's trust secrets in clear, by path. The text holds
    digests of them only.
    """
    rule = rule_of(type(holder))
    digests = {
        name: hashlib.sha256(text.encode()).hexdigest()
        for name, text in (trusted or {}).items()
        if name in rule.trust and name != path
    }
    owner = getattr(holder, "id", None) or getattr(holder, "task_id", "")
    parts = [
        type(holder).__name__,
        owner,
        path,
        destination(holder),
        digests if path not in rule.trust else {},
    ]
    return json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _without(content: Mapping[str, Any], left_out: frozenset[str], prefix: str) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in content.items():
        place = f"{prefix}{name}"
        if place in left_out:
            continue
        kept[name] = _without(value, left_out, f"{place}.") if isinstance(value, dict) else value
    return kept


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in content.items():
        place = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{place}.")
        else:
            found[place] = value
    return found
