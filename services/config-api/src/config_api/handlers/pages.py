"""Pages for everybody: sign in, sign out, the Hub."""

import hmac
import secrets
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from config_api.domain.errors import InvalidError, Problem, SignInError, ThrottledError
from config_api.domain.identity import KNOWN_FOR
from config_api.domain.rights import Right, may
from config_api.handlers.downloads import attachment
from config_api.handlers.gate import Gate, Person
from config_api.handlers.shell import Pages
from config_api.use_cases.hub import Hub
from config_api.use_cases.identity import Identity

_NONCE = "broadsheet_sign_in"


def public_pages(
    pages: Pages, identity: Identity, hub: Hub, gate: Gate, *, session_for: timedelta
) -> APIRouter:
    """Return the routes of the pages everybody may see."""
    router = APIRouter(include_in_schema=False)
    router.include_router(_signing(pages, identity, gate, session_for=session_for))
    router.include_router(_password(pages, identity, gate))

    @router.get("/")
    async def start(person: Annotated[Person, Depends(gate.person)]) -> Response:
        return RedirectResponse("/status" if may(person.actor.role, Right.STATUS) else "/hub", 303)

    @router.get("/hub")
    async def listing(person: Annotated[Person, Depends(gate.person)]) -> Response:
        return pages.render("hub.html", person, series=await hub.files(person.actor))

    @router.get("/hub/files/{file_id}")
    async def download(file_id: str, person: Annotated[Person, Depends(gate.person)]) -> Response:
        artifact, content = await hub.download(file_id, person.actor)
        return await attachment(artifact.file_name, artifact, content)

    return router


def _signing(pages: Pages, identity: Identity, gate: Gate, *, session_for: timedelta) -> APIRouter:
    router = APIRouter()

    def form(status: int = 200, problem: str = "", remedy: str = "", email: str = "") -> Response:
        # Nobody is signed in yet, so the form proves its origin with a cookie of its own.
        nonce = secrets.token_urlsafe(32)
        page = pages.render(
            "sign_in.html", None, status=status, nonce=nonce, problem=problem, remedy=remedy, email=email
        )
        page.set_cookie(
            _NONCE, nonce, max_age=3600, httponly=True, secure=gate.secure, samesite="strict", path="/sign-in"
        )
        return page

    @router.get("/sign-in")
    async def ask(request: Request) -> Response:
        changed = "changed" in request.query_params
        return form(remedy="Your password has been changed. Sign in with the new one." if changed else "")

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        sent = await request.form(max_files=0, max_fields=10)
        nonce, expected = _text(sent, "nonce"), request.cookies.get(_NONCE, "")
        if not expected or not hmac.compare_digest(nonce.encode(), expected.encode()):
            return form(
                400, "The form expired, or cookies are blocked.", "Allow cookies, then sign in again."
            )
        address = request.client.host if request.client else "unknown"
        try:
            token, _, device = await identity.sign_in(
                _text(sent, "email"), _text(sent, "password"), address, request.cookies.get(gate.device, "")
            )
        except (SignInError, ThrottledError) as refusal:
            status = 429 if isinstance(refusal, ThrottledError) else 401
            return form(status, refusal.message, refusal.remedy, _text(sent, "email")[:254])
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            gate.cookie,
            token,
            max_age=int(session_for.total_seconds()),
            httponly=True,
            secure=gate.secure,
            samesite="lax",
            path="/",
        )
        answer.set_cookie(
            gate.device,
            device,
            max_age=int(KNOWN_FOR.total_seconds()),
            httponly=True,
            secure=gate.secure,
            samesite="strict",
            path="/",
        )
        answer.delete_cookie(_NONCE, path="/sign-in")
        return answer

    @router.post("/sign-out")
    async def sign_out(
        request: Request, sent: Annotated[tuple[Person, FormData], Depends(gate.sender)]
    ) -> Response:
        del sent
        await identity.sign_out(request.cookies[gate.cookie])
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(gate.cookie, path="/", secure=gate.secure, httponly=True, samesite="lax")
        return answer

    return router


def _password(pages: Pages, identity: Identity, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/password")

    def form(person: Person, status: int = 200, *problems: Problem) -> Response:
        return pages.render("password.html", person, status=status, problems=problems)

    @router.get("")
    async def ask(person: Annotated[Person, Depends(gate.person)]) -> Response:
        return form(person)

    @router.post("")
    async def change(sent: Annotated[tuple[Person, FormData], Depends(gate.sender)]) -> Response:
        person, form_ = sent
        new = _text(form_, "new")
        if new != _text(form_, "again"):
            return form(person, 422, Problem("again", "is not the same both times", "Enter it twice."))
        try:
            await identity.change_password(_text(form_, "current"), new, person.actor)
        except InvalidError as refusal:
            return form(person, 422, *refusal.problems)
        except ThrottledError as refusal:
            return form(person, 429, Problem("current", "cannot be tried again yet", refusal.remedy))
        return RedirectResponse("/sign-in?changed=1", 303)

    return router


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value[:2000] if isinstance(value, str) else ""
