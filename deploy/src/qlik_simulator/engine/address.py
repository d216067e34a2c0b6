"""The URL of an engine socket, and who is calling."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

_PATH: Final = re.compile(
    r"^(?:/(?P<prefix>[^/]+))?/app(?:/(?P<app>[^/]+))?(?P<rest>(?:/(?:identity|ttl)/[^/]+)*)/?$"
)
_OPTION: Final = re.compile(r"/(identity|ttl)/([^/]+)")
_USER: Final = re.compile(
    r"^\s*UserDirectory=(?P<directory>[^;]*);\s*UserId=(?P<user>.+?)\s*$", re.IGNORECASE
)
_GLOBAL: Final = frozenset({"engineData", "enginedata", "%3Ftransient%3D", "?transient="})


@dataclass(frozen=True)
class Address:
    """What an engine URL says: ``app`` is empty for a Global-only session, ``ttl`` is in seconds."""

    app: str = ""
    identity: str = ""
    ttl: float | None = None
    prefix: str = ""
    query: Mapping[str, str] | None = None

    def parameter(self, name: str) -> str:
        """A query parameter, empty when missing."""
        return (self.query or {}).get(name, "")


def parse_address(target: str) -> Address | None:
    """Read ``[/prefix]/app/<app|engineData>[/identity/<token>][/ttl/<seconds>][?query]``.

    None when it is not that.
    """
    parts = urlsplit(target)
    match = _PATH.match(parts.path)
    if match is None:
        return None
    options = dict(_OPTION.findall(match["rest"] or ""))
    try:
        ttl = float(options["ttl"]) if "ttl" in options else None
    except ValueError:
        return None
    app = match["app"] or ""
    return Address(
        app="" if app in _GLOBAL else unquote(app),
        identity=unquote(options.get("identity", "")),
        ttl=ttl,
        prefix=match["prefix"] or "",
        query={name: values[0] for name, values in parse_qs(parts.query).items()},
    )


def user_of(header: str) -> str | None:
    """The user of an ``X-Qlik-User`` header, directory and id joined by a backslash; None when it is none."""
    match = _USER.match(header)
    if match is None:
        return None
    return f"{unquote(match['directory'])}\\{unquote(match['user'])}"


def bearer_of(header: str) -> str | None:
    """The token of an ``Authorization: Bearer`` header."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
