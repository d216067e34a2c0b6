"""Encrypt every stored secret with the newest key, so that an older one can be taken away."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from config_api.domain.errors import Problem
from config_api.domain.rights import Actor, Right, demand
from config_api.domain.validation import MAX_DEADLINE
from config_api.ports import Reseal, SealedObject, SealedStore
from runtime.clock import Clock
from runtime.errors import Permanent


@dataclass(frozen=True, slots=True)
class Resealed:
    """What a round did."""

    key_id: str
    """Of the newest key, which everything is sealed with now but for `unreadable`."""
    counts: dict[str, dict[str, int]]
    """By collection: `resealed`, `current` (nothing to do), `changed` (saved by somebody meanwhile)."""
    unreadable: tuple[Problem, ...]
    older_keys_until: datetime
    """Plans that were made before hold passwords of files under an older key; by then they are over."""

    @property
    def complete(self) -> bool:
        """Return whether no stored object needs an older key."""
        return not self.unreadable and not any(each.get("changed") for each in self.counts.values())


class Resealing:
    """Goes over every stored object with secrets. A round that was interrupted is simply run again."""

    def __init__(self, *, store: SealedStore, seal: Reseal, clock: Clock) -> None:
        """Take the ports."""
        self._store = store
        self._seal = seal
        self._clock = clock

    async def run(self, actor: Actor) -> Resealed:
        """Seal again what is not sealed with the newest key, or not bound to its object."""
        demand(actor, Right.ACCOUNTS)
        counts: dict[str, Counter[str]] = {}
        unreadable: list[Problem] = []
        async for each in self._store.sealed_objects():
            count = counts.setdefault(each.collection, Counter())
            try:
                tokens = self._resealed(each)
            except Permanent as error:
                place = f"{each.collection}/{each.id}"
                unreadable.append(Problem(place, error.message, error.remedy))
                continue
            if tokens == each.sealed:
                count["current"] += 1
            elif await self._store.replace_sealed(each, tokens):
                count["resealed"] += 1
            else:
                count["changed"] += 1
        return Resealed(
            key_id=self._seal.newest,
            counts={name: dict(count) for name, count in counts.items()},
            unreadable=tuple(unreadable),
            older_keys_until=self._clock.now() + MAX_DEADLINE,
        )

    def _resealed(self, found: SealedObject) -> Mapping[str, str]:
        if found.holder is None:
            raise Permanent(
                "configuration-invalid",
                "The stored object does not fit its schema.",
                "Open it in the console, correct it and save it again.",
            )
        return self._seal.resealed(found.holder, found.sealed)
