"""Event bodies in the three envelopes that may arrive at a webhook."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from qlik_simulator.site import iso

Json = dict[str, Any]
TENANT: Final = "simulator-tenant"
RELOAD_FINISHED: Final = "com.qlik.v1.reload.finished"
APP_RELOAD_FINISHED: Final = "com.qlik.v1.app.reload.finished"
DATA_UPDATED: Final = "com.qlik.v1.app.data.updated"
EVENT_TYPES: Final = (RELOAD_FINISHED, APP_RELOAD_FINISHED, DATA_UPDATED)


class Envelope(StrEnum):
    """CloudEvents 1.0; the form before it; and both at once, as sent since November 2025."""

    CLOUD_EVENT = "cloudevent"
    LEGACY = "legacy"
    HYBRID = "hybrid"


@dataclass(frozen=True)
class Event:
    """Something that happened to an app."""

    id: str
    type: str
    source: str
    time: datetime
    user: str
    app_id: str
    data: Json


def body(event: Event, envelope: Envelope) -> Json:
    """The JSON body of an event."""
    match envelope:
        case Envelope.CLOUD_EVENT:
            return _cloud_event(event)
        case Envelope.LEGACY:
            return {**_legacy(event), "data": event.data}
        case Envelope.HYBRID:
            return {**_legacy(event), **_cloud_event(event)}


def _cloud_event(event: Event) -> Json:
    return {
        "id": event.id,
        "specversion": "1.0",
        "type": event.type,
        "source": event.source,
        "time": iso(event.time),
        "datacontenttype": "application/json",
        "tenantid": TENANT,
        "userid": event.user,
        "ownerid": event.user,
        "spaceid": "",
        "toplevelresourceid": event.app_id,
        "host": "localhost",
        "originip": "127.0.0.1",
        "data": event.data,
    }


def _legacy(event: Event) -> Json:
    return {
        "cloudEventsVersion": "0.1",
        "eventId": event.id,
        "eventTime": iso(event.time),
        "eventType": event.type,
        "source": event.source,
        "contentType": "application/json",
        "extensions": {
            "tenantId": TENANT,
            "userId": event.user,
            "ownerId": event.user,
            "spaceId": "",
            "topLevelResourceId": event.app_id,
        },
    }
