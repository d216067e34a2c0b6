"""Requests for previews in MongoDB, each with the event that starts it."""

from collections.abc import Callable
from datetime import datetime

from pymongo import ASCENDING, DESCENDING, IndexModel

from config_api.domain.previews import PreviewRequest
from contracts.events import PreviewRequested
from runtime import outbox
from runtime.store import Store, store_errors
from runtime.telemetry import trace_headers

PREVIEW_REQUESTS = "config_preview_requests"
SOURCE = "config-api"
# As long as the topic keeps its events; nobody looks at a preview of last week.
_KEPT_S = 7 * 24 * 3600


class MongoPreviews:
    """config_api.ports.PreviewStore over MongoDB."""

    def __init__(self, store: Store, *, nudge: Callable[[], None]) -> None:
        """Take the store, and what to call when there is an event to publish."""
        self._store = store
        self._requests = store.collection(PREVIEW_REQUESTS)
        self._nudge = nudge

    async def ensure_indexes(self) -> None:
        """Create the indexes that queries here need, and let old requests expire."""
        await self._store.ensure_indexes(
            PREVIEW_REQUESTS,
            [
                IndexModel([("account_id", ASCENDING), ("requested_at", DESCENDING)]),
                IndexModel([("requested_at", ASCENDING)], name="expiry", expireAfterSeconds=_KEPT_S),
            ],
        )

    @store_errors()
    async def ask(self, request: PreviewRequest, event: PreviewRequested) -> None:
        """Store a request and its event in one write."""
        await self._requests.insert_one(
            {
                "_id": request.preview_id,
                "report_id": request.report_id,
                "account_id": request.account_id,
                "requested_by": request.requested_by,
                "requested_at": request.requested_at,
                "deadline_at": request.deadline_at,
                "outbox": [
                    outbox.entry(
                        event, source=SOURCE, occurred_at=request.requested_at, trace=trace_headers() or None
                    )
                ],
            }
        )
        self._nudge()

    @store_errors()
    async def find(self, preview_id: str) -> PreviewRequest | None:
        """Return a request."""
        found = await self._requests.find_one({"_id": preview_id})
        if found is None:
            return None
        names = ("report_id", "account_id", "requested_by", "requested_at", "deadline_at")
        return PreviewRequest(preview_id, *(found[name] for name in names))

    @store_errors()
    async def since(self, account_id: str, since: datetime) -> int:
        """Return how many previews an account asked for since then."""
        return int(
            await self._requests.count_documents({"account_id": account_id, "requested_at": {"$gt": since}})
        )
