"""What reload triggers wait for, and what was seen of their windows, in MongoDB.

Collections: `scheduler_watches` (_id is the key of the series), `scheduler_sightings` (_id names series,
window, app and status, so that the same reload, heard twice or by two listeners, is one document).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.errors import BulkWriteError

from runtime.store import Store, store_errors
from scheduler.domain.reloads import Awaited, Reload, ReloadStatus
from scheduler.ports import Note

_DUPLICATE_KEY = 11000
# Longer than anybody lets a scheduler stand still and still wants its runs.
_KEPT_S = 35 * 24 * 3600


class MongoSightings:
    """Implements `ports.Sightings`."""

    def __init__(self, store: Store) -> None:
        """Take an open store."""
        self._store = store
        self._watches = store.db["scheduler_watches"]
        self._notes = store.db["scheduler_sightings"]

    async def ensure_indexes(self) -> None:
        """Create the indexes; notes go by themselves some time after their window. Raises Transient."""
        await self._store.ensure_indexes(
            "scheduler_sightings",
            [
                IndexModel([("trigger_id", ASCENDING), ("opens_at", ASCENDING)]),
                IndexModel([("opens_at", ASCENDING)], expireAfterSeconds=_KEPT_S),
            ],
        )

    async def known(self, trigger_id: str) -> Mapping[Awaited, datetime]:
        """Return since when a trigger waits for what; empty when it was never looked at. Raises Transient."""
        with store_errors():
            found = await self._watches.find_one({"_id": trigger_id})
        return {_awaited(each): each["since"] for each in found["waits_for"]} if found else {}

    async def keep(self, trigger_id: str, known: Mapping[Awaited, datetime]) -> None:
        """Replace what `known` returns. Raises Transient."""
        waits_for = [
            {
                "connection_id": each.connection_id,
                "app_id": each.app_id,
                "status": each.status.value,
                "rule": each.rule,
                "since": since,
            }
            for each, since in known.items()
        ]
        with store_errors():
            await self._watches.replace_one({"_id": trigger_id}, {"waits_for": waits_for}, upsert=True)

    async def note(self, notes: Sequence[Note]) -> None:
        """Keep reloads for the windows' decisions. Raises Transient."""
        if not notes:
            return
        with store_errors():
            try:
                await self._notes.insert_many([_document(each) for each in notes], ordered=False)
            except BulkWriteError as error:
                if any(fault["code"] != _DUPLICATE_KEY for fault in error.details["writeErrors"]):
                    raise

    async def noted(self, trigger_id: str, after: datetime) -> Sequence[Reload]:
        """Return the reloads of all windows that opened after `after`. Raises Transient."""
        query = {"trigger_id": trigger_id, "opens_at": {"$gt": after}}
        with store_errors():
            return [_reload(document) async for document in self._notes.find(query)]


def _awaited(document: Mapping[str, Any]) -> Awaited:
    return Awaited(
        connection_id=document["connection_id"],
        app_id=document["app_id"],
        status=ReloadStatus(document["status"]),
        rule=document["rule"],
    )


def _document(note: Note) -> dict[str, Any]:
    reload = note.reload
    return {
        "_id": {
            "trigger": note.trigger_id,
            "opens_at": note.opens_at,
            "connection": reload.connection_id,
            "app": reload.app_id,
            "status": reload.status.value,
        },
        "trigger_id": note.trigger_id,
        "opens_at": note.opens_at,
        "reload_id": reload.reload_id,
        "finished_at": reload.finished_at,
    }


def _reload(document: Mapping[str, Any]) -> Reload:
    key = document["_id"]
    return Reload(
        connection_id=key["connection"],
        app_id=key["app"],
        reload_id=document["reload_id"],
        status=ReloadStatus(key["status"]),
        finished_at=document["finished_at"].astimezone(UTC),
    )
