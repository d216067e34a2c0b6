"""What the Qlik listener wrote about sites; the listener is the only writer (contracts.sites)."""

import structlog
from pydantic import ValidationError

from contracts.sites import SITES, SiteState
from runtime.store import Document, Store, store_errors

log = structlog.get_logger(__name__)


class MongoSiteStates:
    """config_api.ports.SiteStates over MongoDB."""

    def __init__(self, store: Store) -> None:
        """Take the store."""
        self._sites = store.db[SITES]

    async def all(self) -> dict[str, SiteState]:
        """Return what is known, by connection. Raises Transient."""
        with store_errors():
            found = [document async for document in self._sites.find()]
        return {document["_id"]: state for document in found if (state := _state(document)) is not None}

    async def get(self, connection_id: str) -> SiteState | None:
        """Return what is known of one site. Raises Transient."""
        with store_errors():
            found = await self._sites.find_one({"_id": connection_id})
        return _state(found) if found else None


def _state(document: Document) -> SiteState | None:
    try:
        return SiteState.model_validate(document)
    except ValidationError:
        # Written by a listener of another version; the others are shown.
        log.warning("state of a site left out", connection=document["_id"])
        return None
