"""What all pages share: templates, headers, the error page, static files."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from config_api.domain.rights import Right, may
from config_api.handlers.gate import Person
from config_api.handlers.problems import document

_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
# Swagger UI sets styles from its script; the page shows the published interface and no data of anybody.
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
DOCS_PATH = "/api/docs"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


class Pages:
    """Renders templates of this package; every value is escaped."""

    def __init__(self) -> None:
        """Load nothing yet but the environment."""
        self._templates = Environment(
            loader=PackageLoader("config_api", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"moment": moment, "size": size}

    def render(self, name: str, person: Person | None, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page. `person` is who is signed in, and decides what the navigation offers."""
        shared = {
            "person": person.actor if person else None,
            "csrf": person.session.csrf if person else "",
            "may_status": person is not None and may(person.actor.role, Right.STATUS),
            "may_audit": person is not None and may(person.actor.role, Right.AUDIT),
        }
        html = self._templates.get_template(name).render(shared | values)
        return HTMLResponse(html, status, headers={"Cache-Control": "private, no-store"})

    def error(self, person: Person | None, status: int, problem: dict[str, Any]) -> Response:
        """Return the page that says what went wrong and what to do, with the navigation of the person."""
        return self.render("error.html", person, status=status, problem=problem)


class Shield:
    """Sets the headers that keep pages from being framed, sniffed or scripted, and bounds request bodies."""

    def __init__(self, app: Asgi, *, secure: bool, max_body_bytes: int) -> None:
        """Take the app, whether it is served over TLS, and the largest body it takes."""
        self._app = app
        self._secure = secure
        self._most = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared[:20]) > self._most:
            await _too_large(send, self._most)
            return
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._most:
                # A body that declares no length is found too long only here. FastAPI lets this error through.
                raise HTTPException(
                    413, f"A request has at most {self._most} bytes.", headers={"Connection": "close"}
                )
            return message

        async def shielded(message: Message) -> None:
            if scope["method"] == "HEAD" and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._missing(scope["path"], message["headers"])]
            await send(message)

        await self._app(_asked(scope), bounded, shielded)

    def _missing(self, path: str, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        wanted = {
            "content-security-policy": _DOCS_POLICY if path == DOCS_PATH else _PAGE_POLICY,
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "camera=(), microphone=(), geolocation=()",
        }
        if self._secure:
            wanted["strict-transport-security"] = "max-age=31536000"
        there = {name.lower() for name, _ in headers}
        return [
            (name.encode(), value.encode()) for name, value in wanted.items() if name.encode() not in there
        ]


def _asked(scope: Scope) -> Scope:
    """Return the request as the app handles it: HEAD as GET, whose body is dropped (RFC 9110, 9.3.2)."""
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope


def mount_assets(app: FastAPI, pages: Pages) -> None:
    """Serve style sheet, scripts of the API page, and that page; nothing comes from another host."""
    app.mount("/static", StaticFiles(packages=[("config_api", "static")]), name="static")
    app.mount("/swagger", StaticFiles(packages=[("fastapi_offline", "static")]), name="swagger")

    @app.get(DOCS_PATH, include_in_schema=False)
    async def docs() -> Response:
        return pages.render("api_docs.html", None)


def moment(value: datetime | str | None) -> str:
    """Return a moment as people read it, in UTC, to the second."""
    if value is None:
        return ""
    parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
    return parsed.strftime("%Y-%m-%d %H:%M:%S UTC")


def size(value: int) -> str:
    """Return a number of bytes as people read it."""
    if value < 1024:  # noqa: PLR2004 - a kibibyte
        return f"{value} B"
    for unit in ("KiB", "MiB"):
        value_in_unit = value / (1024 if unit == "KiB" else 1024**2)
        if value_in_unit < 1024:  # noqa: PLR2004 - the next unit begins
            return f"{value_in_unit:.1f} {unit}"
    return f"{value / 1024**3:.1f} GiB"


async def _too_large(send: Send, most: int) -> None:
    problem = document(413, f"A request has at most {most} bytes.", "Send less at once.")
    headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(problem).encode()})
