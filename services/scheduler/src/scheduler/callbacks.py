"""The addresses Qlik calls. A call only wakes the listener, which then reads: a forged one costs a read."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from prometheus_client import Counter

from qlik.errors import ProtocolError
from qlik.webhooks import MAX_BODY_BYTES, RELOAD_FINISHED, parse_webhook, signature_is_valid
from runtime.clock import Clock
from runtime.errors import Transient
from scheduler.ports import Events

log = structlog.get_logger(__name__)

# A tenant can send a delivery again for as long; what is older was recorded and is played back.
EVENTS_SENT_FOR = timedelta(days=7, hours=1)
CALLS = Counter("broadsheet_reload_calls_total", "Calls of Qlik sites to the listener.", ["kind", "result"])


def callback_path(secret: str, connection_id: str) -> str:
    """Return where a repository calls. Nobody signs its calls, so the path is secret."""
    return f"/callbacks/{secret}/{connection_id}"


def webhook_path(connection_id: str) -> str:
    """Return where a tenant delivers events, which it signs."""
    return f"/webhooks/{connection_id}"


def webhook_key(secret: str, connection_id: str) -> str:
    """Return the key the tenant of a connection signs with; the key of one says nothing of another's."""
    return hmac.new(secret.encode(), f"webhook {connection_id}".encode(), hashlib.sha256).hexdigest()


class Callbacks:
    """Answers `POST /callbacks/<secret>/<connection id>` and `POST /webhooks/<connection id>` (ASGI)."""

    def __init__(self, secret: str, wake: Callable[[str], None], *, events: Events, clock: Clock) -> None:
        """Take the secret, what to do with a connection id, what remembers events, and the clock."""
        self._secret = secret
        self._wake = wake
        self._events = events
        self._clock = clock

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer at once; the work happens later."""
        if scope["type"] != "http":
            return
        kind, status = "other", 404
        body = await _body(receive)
        match scope["path"].split("/"):
            case _ if scope["method"] != "POST":
                status = 405
            case ["", "callbacks", secret, connection_id] if hmac.compare_digest(
                secret.encode(), self._secret.encode()
            ):
                self._wake(connection_id)
                kind, status = "callback", 200
            case ["", "webhooks", connection_id]:
                headers = {name.lower(): value for name, value in scope["headers"]}
                signature = headers.get(b"qlik-signature", b"").decode("latin-1")
                kind, status = "webhook", await self._webhook(connection_id, body, signature)
            case _:
                pass
        CALLS.labels(kind, str(status)).inc()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def _webhook(self, connection_id: str, body: bytes | None, signature: str) -> int:
        if body is None:
            return 413
        if not signature_is_valid(webhook_key(self._secret, connection_id), body, signature):
            log.warning("webhook refused: not signed with the key of its connection")
            return 401
        try:
            event = parse_webhook(body)
        except ProtocolError as error:
            log.warning("webhook refused", connection=connection_id, error=str(error)[:300])
            return 400
        now = self._clock.now()
        if event.type != RELOAD_FINISHED or (event.time is not None and event.time < now - EVENTS_SENT_FOR):
            return 200
        try:
            if await self._events.first(connection_id, event.id, now):
                self._wake(connection_id)
        except Transient:
            # The tenant writes it down as failed; the next poll finds the reload.
            return 503
        return 200


async def _body(receive: Any) -> bytes | None:
    """Return the body; None when it is longer than any that Qlik sends."""
    parts, taken = [], 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        taken += len(parts[-1])
        if taken > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return b"".join(parts)
