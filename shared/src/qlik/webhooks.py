"""What Qlik sends to us: Cloud webhooks and QRS callbacks, checked and parsed. Pure; all input is hostile."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from qlik.errors import ProtocolError
from qlik.formats import parse_time
from qlik.reloads import ReloadSeen, from_cloud

MAX_BODY_BYTES = 256 * 1024  # real events are about 2 kB; a batch of callbacks stays far below

RELOAD_FINISHED = "com.qlik.v1.reload.finished"
DATA_UPDATED = ("com.qlik.app.data.updated", "com.qlik.v1.app.data.updated")


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """An event of Qlik Cloud in one form, whichever of the three envelopes it came in.

    `time` is aware UTC.
    """

    id: str
    type: str
    time: datetime | None
    app_id: str
    data: Mapping[str, Any]

    @property
    def reload(self) -> ReloadSeen | None:
        """The finished reload this event tells of; None for every other event.

        Only `reload.finished` counts: `app.reload.finished` comes before the data is saved, and may come
        often.
        """
        if self.type != RELOAD_FINISHED:
            return None
        seen = from_cloud({"appId": self.app_id, **self.data})
        if seen is None:
            return None
        return seen if seen.finished_at is not None else replace(seen, finished_at=self.time)


@dataclass(frozen=True, slots=True)
class QrsChange:
    """A change the repository tells of: ids only, unsigned. Read the entity before believing anything."""

    object_type: str
    object_id: str
    change_type: int
    changed: tuple[str, ...] = ()


def signature_is_valid(secret: str, body: bytes, signature: str | None) -> bool:
    """Whether `Qlik-Signature` is the HMAC-SHA256 of the raw body.

    Compare before parsing, never after re-encoding.
    """
    if not secret or not signature:
        return False
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.strip().lower().encode("utf-8", "replace"))


def parse_webhook(body: bytes) -> WebhookEvent:
    """A Cloud event from the CloudEvents, the older, or the hybrid envelope.

    Raises:
        ProtocolError: too large, no JSON, or without id and type.

    """
    raw = _load(body)
    if not isinstance(raw, dict):
        raise ProtocolError("The event is no JSON object", code="webhook")
    data = _mapping(raw.get("data"))
    extensions = _mapping(raw.get("extensions"))
    event_id, event_type = _text(raw, "id", "eventId"), _text(raw, "type", "eventType")
    if not event_id or not event_type:
        raise ProtocolError("The event names no id or no type", code="webhook")
    return WebhookEvent(
        id=event_id,
        type=event_type,
        time=parse_time(raw.get("time")) or parse_time(raw.get("eventTime")),
        app_id=_text(data, "appId")
        or _text(raw, "toplevelresourceid", "topLevelResourceId")
        or _text(extensions, "topLevelResourceId"),
        data=data,
    )


def parse_qrs_changes(body: bytes) -> list[QrsChange]:
    """The changes in a callback of the repository: an array of one or more.

    Raises:
        ProtocolError: too large, no JSON, or no array of changes.

    """
    raw = _load(body)
    if not isinstance(raw, list) or not all(isinstance(item, dict) for item in raw):
        raise ProtocolError("The callback is no array of changes", code="callback")
    return [
        QrsChange(
            object_type=_text(item, "objectType"),
            object_id=_text(item, "objectID", "objectId"),
            change_type=item["changeType"] if isinstance(item.get("changeType"), int) else 0,
            changed=tuple(p for p in item.get("changedProperties") or () if isinstance(p, str)),
        )
        for item in raw
    ]


def _load(body: bytes) -> Any:
    if len(body) > MAX_BODY_BYTES:
        raise ProtocolError(f"The body is larger than {MAX_BODY_BYTES} bytes", code="too-large")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ProtocolError("The body is no JSON", code="not-json") from None


def _text(raw: Mapping[str, Any], *names: str) -> str:
    for name in names:
        value = raw.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def _mapping(raw: object) -> Mapping[str, Any]:
    return raw if isinstance(raw, dict) else {}
