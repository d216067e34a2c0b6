"""Webhooks: who wants which events, the signature, the history of deliveries, and sending one again."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from qlik_simulator.cloud.events import Envelope, Event, body
from qlik_simulator.site import Site, iso

Json = dict[str, Any]
Send = Callable[[str, bytes, dict[str, str]], Awaitable[int]]  # url, body, headers -> HTTP status
_OK: Final = range(200, 300)


@dataclass
class Webhook:
    """A webhook as it was made."""

    id: str
    settings: Json
    owner: str
    created: datetime

    @property
    def is_cloud_event(self) -> bool:
        """Whether it gets CloudEvents only."""
        return bool(self.settings.get("enableCloudEventDelivery"))

    def shown(self) -> Json:
        """The webhook as the API shows it: without the secret."""
        hidden = {"secret", "encryptedHeaders"}
        return {
            "id": self.id,
            **{name: value for name, value in self.settings.items() if name not in hidden},
            "secretKeyAdded": bool(self.settings.get("secret")),
            "ownerId": self.owner,
            "createdAt": iso(self.created),
            "disabledReason": self.settings.get("disabledReason", ""),
            "disabledReasonCode": self.settings.get("disabledReasonCode", ""),
        }


@dataclass
class Delivery:
    """One attempt to deliver an event."""

    id: str
    webhook_id: str
    event: Event
    url: str
    raw: bytes
    headers: dict[str, str]
    created: datetime
    trigger: str = "automated"
    status: str = "fail"
    code: int = 0
    error: str = ""

    def shown(self) -> Json:
        """The delivery as the API shows it."""
        return {
            "id": self.id,
            "webhookId": self.webhook_id,
            "eventId": self.event.id,
            "eventType": self.event.type,
            "trigger": self.trigger,
            "status": self.status,
            "statusCode": self.code,
            "failureReason": self.error,
            "triggeredByUserId": self.event.user,
            "createdAt": iso(self.created),
            "request": {"url": self.url, "headers": self.headers, "body": json.loads(self.raw)},
        }


def signature(secret: str, raw: bytes) -> str:
    """The ``Qlik-Signature`` of a body: hex of HMAC-SHA256 over the raw bytes."""
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


@dataclass
class Webhooks:
    """The webhooks of a tenant."""

    site: Site
    send: Send
    passes: Callable[[str, Json], bool]
    envelope: Envelope = Envelope.HYBRID  # what webhooks get that did not ask for CloudEvents only
    all: dict[str, Webhook] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    _sending: set[asyncio.Task[None]] = field(default_factory=set)

    def emit(self, event: Event) -> None:
        """Deliver an event to everybody who wants it, in the background."""
        for webhook in list(self.all.values()):
            if not self._wants(webhook, event):
                continue
            fault = self.site.faults.take("callback", event.type)
            if fault is not None and fault.kind == "lose":
                continue
            copies = 2 if fault is not None and fault.kind == "duplicate" else 1
            delay = fault.seconds if fault is not None and fault.kind == "late" else 0.0
            for _ in range(copies):
                self._start(self._delivery(webhook, event), delay)

    def resend(self, delivery: Delivery) -> None:
        """Deliver once more, as a delivery of its own."""
        again = self._delivery(self.all[delivery.webhook_id], delivery.event)
        again.trigger = "manual"
        self._start(again, 0.0)

    def _wants(self, webhook: Webhook, event: Event) -> bool:
        settings = webhook.settings
        if not settings.get("enabled", True) or event.type not in settings.get("eventTypes", []):
            return False
        text = str(settings.get("filter") or "")
        entity = {"id": event.app_id, "topLevelResourceId": event.app_id, "spaceId": "", "data": event.data}
        return not text or self.passes(text, entity)

    def _delivery(self, webhook: Webhook, event: Event) -> Delivery:
        envelope = Envelope.CLOUD_EVENT if webhook.is_cloud_event else self.envelope
        raw = json.dumps(body(event, envelope), separators=(",", ":")).encode()
        headers = {"content-type": "application/json", "user-agent": "Qlik Webhook"}
        headers |= {str(name): str(value) for name, value in (webhook.settings.get("headers") or {}).items()}
        if webhook.settings.get("secret"):
            headers["Qlik-Signature"] = signature(str(webhook.settings["secret"]), raw)
        url = str(webhook.settings["url"])
        return Delivery(self.site.new_id(), webhook.id, event, url, raw, headers, self.site.now())

    def _start(self, delivery: Delivery, delay: float) -> None:
        self.deliveries[delivery.id] = delivery
        task = asyncio.create_task(self._deliver(delivery, delay))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _deliver(self, delivery: Delivery, delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            delivery.code = await self.send(delivery.url, delivery.raw, delivery.headers)
        except OSError as error:
            delivery.error = str(error)
        delivery.status = "success" if delivery.code in _OK else "fail"

    async def close(self) -> None:
        """Drop what is under way."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
