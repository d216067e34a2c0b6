"""Whether the addresses and folders in settings are on the administrator's list, when they are entered."""

from collections.abc import Iterator, Mapping
from typing import Any

from config_api.domain.errors import Problem
from runtime.egress import Egress, EgressRefused

_FOLDERS = frozenset({"root"})
"""Settings that name a folder."""
_NEVER_CONNECTED = frozenset({"origin"})
"""Settings that are an address and only shown to the other side."""
_BARE = frozenset({"endpoint", "host"})
"""Settings that name a host also without a scheme."""


class EgressCheck:
    """config_api.ports.EgressCheck over runtime.egress."""

    def __init__(self, egress: Egress) -> None:
        """Take the rule."""
        self._egress = egress

    async def __call__(self, settings: Mapping[str, Any]) -> list[Problem]:
        """Return a problem for each setting that leads where this installation may not go.

        Whatever looks like an address is one, so that a setting that is added later is looked at, too.
        """
        problems: list[Problem] = []
        for path, text in _texts(settings, "settings"):
            try:
                await self._look_at(path.rpartition(".")[2], text)
            except EgressRefused as refusal:
                problems.append(Problem(path, refusal.message, refusal.remedy))
            except ValueError:
                problems.append(Problem(path, "is not a valid address", "write it as https://host:port"))
        return problems

    async def _look_at(self, name: str, text: str) -> None:
        if name in _NEVER_CONNECTED:
            return
        if name in _FOLDERS:
            self._egress.check_folder(text)
        elif "://" in text:
            await self._egress.check_url(text)
        elif name in _BARE and text:
            await self._egress.check_url(f"//{text}")


def _texts(settings: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _texts(value, f"{prefix}.{name}")
        elif isinstance(value, str):
            yield f"{prefix}.{name}", value
