"""The address Qlik calls back on. A call only wakes the listener: a forged one costs a read and no more."""

import hmac
from collections.abc import Callable
from typing import Any

# What Qlik sends is not read; the bytes are taken off the wire and dropped, up to this many.
_MAX_BODY_BYTES = 1_048_576


class Callbacks:
    """Answers `POST /callbacks/<secret>/<connection id>` (ASGI)."""

    def __init__(self, secret: str, wake: Callable[[str], None]) -> None:
        """Take the unguessable part of the path and what to do with a connection id."""
        self._secret = secret
        self._wake = wake

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer at once; the work happens later."""
        if scope["type"] != "http":
            return
        taken = 0
        while taken <= _MAX_BODY_BYTES:
            message = await receive()
            taken += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        status = 404
        match scope["path"].split("/"):
            case ["", "callbacks", secret, connection_id] if hmac.compare_digest(
                secret.encode(), self._secret.encode()
            ):
                self._wake(connection_id)
                status = 200
            case _:
                pass
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})
