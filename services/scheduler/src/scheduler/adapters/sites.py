"""What is known of each site, and the events of webhooks that were taken, in MongoDB.

Collections: `scheduler_sites` (contracts.sites; _id is the connection id), `scheduler_webhook_events`
(_id names connection and event; an entry goes by itself).
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from contracts.sites import SITES, SitePush
from runtime.store import Store, store_errors

_EVENTS = "scheduler_webhook_events"
# Longer than an event is taken for (scheduler.callbacks).
_EVENTS_KEPT_S = 8 * 24 * 3600
_MENDINGS_KEPT = 10
_MESSAGE_AT_MOST = 1000
_WARNINGS_AT_MOST = 50


class MongoSiteStates:
    """Implements `ports.SiteStates`."""

    def __init__(self, store: Store, *, poll_every_s: float) -> None:
        """Take an open store and how often sites are polled."""
        self._sites = store.db[SITES]
        self._poll_every_s = poll_every_s

    async def read(self, connection_id: str, at: datetime, lag_s: float | None) -> datetime | None:
        """The site was polled and all is well; return since when it could not be. Raises Transient."""
        lag = {} if lag_s is None else {"lag_s": lag_s}
        before = await self._update(connection_id, at, {"problem": None, **lag}, latest={"read_at": at})
        problem = (before or {}).get("problem")
        return problem["since"] if problem else None

    async def failed(self, connection_id: str, at: datetime, message: str) -> None:
        """The site could not be polled. Raises Transient."""
        problem = {
            "message": {"$literal": message[:_MESSAGE_AT_MOST]},
            "since": {"$ifNull": ["$problem.since", at]},
            "at": at,
        }
        await self._compute(connection_id, at, {"problem": problem})

    async def pushed(self, connection_id: str, at: datetime) -> None:
        """The site called. Raises Transient."""
        await self._update(connection_id, at, {}, latest={"pushed_at": at})

    async def pushed_at(self, connection_id: str) -> datetime | None:
        """Return when the site last called any listener. Raises Transient."""
        with store_errors():
            found = await self._sites.find_one({"_id": connection_id}, {"pushed_at": 1})
        return found.get("pushed_at") if found else None

    async def push_is(self, connection_id: str, at: datetime, push: SitePush) -> None:
        """How the site tells of reloads, as of now. Raises Transient."""
        same = {"$and": [{"$eq": ["$push.id", push.id]}, {"$ne": [{"$type": "$push.since"}, "missing"]}]}
        document = {
            "kind": push.kind.value,
            "working": push.working,
            "id": {"$literal": push.id},
            "since": {"$cond": [same, "$push.since", push.since]},
            "checked_at": at,
            "problem": {"$literal": push.problem[:_MESSAGE_AT_MOST]},
        }
        await self._compute(connection_id, at, {"push": document})

    async def warn(self, connection_id: str, at: datetime, warnings: Sequence[str]) -> None:
        """What is wrong with the site though it can be read. Raises Transient."""
        cut = [each[:_MESSAGE_AT_MOST] for each in warnings[:_WARNINGS_AT_MOST]]
        await self._update(connection_id, at, {"warnings": cut}, latest={})

    async def mended(self, connection_id: str, at: datetime, what: str) -> None:
        """Something was found broken and put right. Raises Transient."""
        entry = {"at": at, "what": what[:400]}
        with store_errors():
            await self._sites.update_one(
                {"_id": connection_id},
                {
                    "$push": {"mended": {"$each": [entry], "$slice": -_MENDINGS_KEPT}},
                    "$set": self._always(connection_id),
                    "$max": {"reported_at": at},
                },
                upsert=True,
            )

    async def _update(
        self, connection_id: str, at: datetime, values: dict[str, Any], *, latest: dict[str, Any]
    ) -> dict[str, Any] | None:
        with store_errors():
            return await self._sites.find_one_and_update(
                {"_id": connection_id},
                {
                    "$set": {**self._always(connection_id), **values},
                    "$max": {"reported_at": at, **latest},
                },
                upsert=True,
            )

    async def _compute(self, connection_id: str, at: datetime, values: dict[str, Any]) -> None:
        always = {**self._always(connection_id), "reported_at": {"$max": ["$reported_at", at]}}
        with store_errors():
            await self._sites.update_one(
                {"_id": connection_id}, [{"$set": {**always, **values}}], upsert=True
            )

    def _always(self, connection_id: str) -> dict[str, Any]:
        return {"connection_id": connection_id, "poll_every_s": self._poll_every_s}


class MongoEvents:
    """Implements `ports.Events`."""

    def __init__(self, store: Store) -> None:
        """Take an open store."""
        self._store = store
        self._events = store.db[_EVENTS]

    async def ensure_indexes(self) -> None:
        """Create the index that lets entries go. Raises Transient."""
        await self._store.ensure_indexes(
            _EVENTS, [IndexModel([("at", ASCENDING)], expireAfterSeconds=_EVENTS_KEPT_S)]
        )

    async def first(self, connection_id: str, event_id: str, at: datetime) -> bool:
        """Remember an event; return whether it is the first time. Raises Transient."""
        # An id comes from outside and may be of any length.
        key = hashlib.sha256(f"{connection_id}\0{event_id}".encode()).hexdigest()
        with store_errors():
            try:
                await self._events.insert_one({"_id": key, "at": at})
            except DuplicateKeyError:
                return False
        return True
