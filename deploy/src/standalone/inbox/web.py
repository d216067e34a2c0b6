"""Web page and JSON API of the inbox."""

import base64
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.templating import Jinja2Templates

from standalone.inbox.faults import Fault, Faults, Refuse
from standalone.inbox.smtp import SmtpServer
from standalone.inbox.store import Inbox, StoredMessage, body, headers

_TEMPLATES = Jinja2Templates(Path(__file__).parent / "templates")
_NO_SCRIPTS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'"}
# a mail is hostile: no scripts, no forms, no pictures from elsewhere, and an origin of its own
_MAIL_BODY = {
    "Content-Security-Policy": "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_MAX_LISTED = 500


def build_web(inbox: Inbox, faults: Faults, smtp: SmtpServer) -> FastAPI:
    """The application; it answers to loopback host names only, so no site reaches it by a rebound name."""
    app = FastAPI(title="Broadsheet inbox", docs_url="/api", redoc_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    app.include_router(_api(inbox), prefix="/api")
    app.include_router(_fault_api(faults, smtp), prefix="/api")
    app.include_router(_pages(inbox))
    return app


def _known(inbox: Inbox, message_id: str) -> StoredMessage:
    message = inbox.get(message_id)
    if message is None:
        raise HTTPException(404, f"no message {message_id}: it was deleted, or never came")
    return message


def _api(inbox: Inbox) -> APIRouter:
    api = APIRouter()

    @api.get("/messages")
    def messages(
        recipient: str = "", subject: str = "", limit: Annotated[int | None, Query(ge=1)] = None
    ) -> list[StoredMessage]:
        """Newest first; `recipient` is looked for in the envelope."""
        return inbox.find(recipient=recipient, subject=subject, limit=limit)

    @api.get("/messages/{message_id}")
    def message(message_id: str) -> dict[str, object]:
        """The envelope, the headers and the bodies."""
        known = _known(inbox, message_id)
        parsed = inbox.parsed(known)
        return known.model_dump(mode="json") | {
            "headers": headers(parsed),
            "text": body(parsed, "plain"),
            "html": body(parsed, "html"),
        }

    @api.get("/messages/{message_id}/raw")
    def raw(message_id: str) -> Response:
        """The bytes as they came."""
        known = _known(inbox, message_id)
        return _download(inbox.raw(known), f"{known.id}.eml", "message/rfc822")

    @api.get("/messages/{message_id}/attachments/{index}")
    def attachment(message_id: str, index: int) -> Response:
        """One attachment, always as a download."""
        found = inbox.attachment(_known(inbox, message_id), index)
        if found is None:
            raise HTTPException(404, f"message {message_id} has no attachment {index}")
        return _download(found[1], found[0].file_name, found[0].content_type)

    @api.delete("/messages")
    def delete_all() -> dict[str, int]:
        """Empty the inbox."""
        return {"deleted": inbox.delete()}

    @api.delete("/messages/{message_id}")
    def delete(message_id: str) -> dict[str, int]:
        """Remove one message."""
        return {"deleted": inbox.delete([_known(inbox, message_id).id])}

    return api


def _fault_api(faults: Faults, smtp: SmtpServer) -> APIRouter:
    api = APIRouter()

    @api.get("/faults")
    async def listed() -> dict[str, object]:
        """What is in force, and whether the server listens."""
        return {"listening": smtp.listening, "faults": [fault.model_dump() for fault in faults.active]}

    @api.post("/faults", status_code=201)
    async def add(fault: Fault) -> dict[str, object]:
        """Put a fault in force; it holds from the next command on."""
        if isinstance(fault, Refuse):
            smtp.refuse_for(fault.seconds)
        else:
            faults.add(fault)
        return await listed()

    @api.delete("/faults")
    async def clear() -> dict[str, object]:
        """Behave again, and listen."""
        faults.clear()
        await smtp.listen()
        return await listed()

    return api


def _pages(inbox: Inbox) -> APIRouter:
    pages = APIRouter(include_in_schema=False)

    @pages.get("/", response_class=HTMLResponse)
    def index(request: Request, recipient: str = "", subject: str = "") -> Response:
        context = {
            "messages": inbox.find(recipient=recipient, subject=subject, limit=_MAX_LISTED),
            "total": len(inbox.find()),
            "recipient": recipient,
            "subject": subject,
        }
        return _TEMPLATES.TemplateResponse(request, "list.html", context, headers=_NO_SCRIPTS)

    @pages.get("/messages/{message_id}", response_class=HTMLResponse)
    def message(request: Request, message_id: str) -> Response:
        known = inbox.get(message_id)
        if known is None:
            return RedirectResponse("/", status_code=303)
        parsed = inbox.parsed(known)
        context = {
            "message": known,
            "text": body(parsed, "plain"),
            "has_html": body(parsed, "html") is not None,
            "headers": headers(parsed),
        }
        return _TEMPLATES.TemplateResponse(request, "message.html", context, headers=_NO_SCRIPTS)

    @pages.get("/messages/{message_id}/body.html")
    def html_body(message_id: str) -> Response:
        known = _known(inbox, message_id)
        html = body(inbox.parsed(known), "html") or ""
        return HTMLResponse(_with_pictures(html, inbox, known), headers=_MAIL_BODY)

    return pages


def _with_pictures(html: str, inbox: Inbox, message: StoredMessage) -> str:
    """`cid:` references become data URLs: the frame may load nothing."""
    pictures = inbox.inline_images(message)

    def replace(match: re.Match[str]) -> str:
        picture = pictures.get(match.group(1))
        if picture is None:
            return match.group(0)
        return f"data:{picture[0]};base64,{base64.b64encode(picture[1]).decode()}"

    return re.sub(r"cid:([^\s\"'>)]+)", replace, html)


def _download(content: bytes, file_name: str, content_type: str) -> Response:
    return Response(
        content,
        media_type=content_type,
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file_name, safe='')}",
            "X-Content-Type-Options": "nosniff",
        },
    )
