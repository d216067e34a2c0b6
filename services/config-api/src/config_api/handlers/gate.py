"""Who is asking: an API key or a session, and that a form was really sent by its page."""

import hmac
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import FormData

from config_api.domain.errors import ForbiddenError, SignInError
from config_api.domain.identity import Session
from config_api.domain.rights import Actor
from config_api.use_cases.identity import Identity
from runtime.errors import Transient

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody signed in with a browser."""

    actor: Actor
    session: Session


class Gate:
    """Finds the actor of a request. Its methods are FastAPI dependencies."""

    def __init__(self, identity: Identity, *, secure: bool) -> None:
        """Take the use case, and whether cookies go over TLS only."""
        self._identity = identity
        self.secure = secure
        # With the prefix, browsers take the cookie from this very host only, and over TLS.
        self.cookie = "__Host-broadsheet" if secure else "broadsheet"
        self.device = f"{self.cookie}-device"

    async def actor(self, request: Request) -> Actor:
        """Return who asks over REST.

        Raises SignInError, and ForbiddenError when a session changes something without its CSRF token.
        """
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._identity.bearer(credentials.strip())
        person = await self.person(request)
        if request.method not in _SAFE:
            _same(request.headers.get("x-csrf-token"), person.session.csrf)
        return person.actor

    async def person(self, request: Request) -> Person:
        """Return who is signed in with this browser. Raises SignInError."""
        token = request.cookies.get(self.cookie)
        found = await self._identity.session(token) if token else None
        if found is None:
            raise SignInError(
                "Nobody is signed in.",
                "Sign in at /sign-in, or send an API key: Authorization: Bearer <key>.",
            )
        return Person(*found)

    async def visitor(self, request: Request) -> Person | None:
        """Return who is signed in with this browser, if anybody: for pages that everybody may see."""
        try:
            return await self.person(request)
        except (SignInError, Transient):
            return None

    async def sender(self, request: Request) -> tuple[Person, FormData]:
        """Return who sent a form and the form. Raises ForbiddenError when it comes from elsewhere."""
        person = await self.person(request)
        form = await request.form(max_files=0, max_fields=2000)
        token = form.get("csrf")
        _same(token if isinstance(token, str) else None, person.session.csrf)
        return person, form


def _same(token: str | None, expected: str) -> None:
    if token is None or not hmac.compare_digest(token.encode(), expected.encode()):
        raise ForbiddenError(
            "The request does not carry the token of this session.",
            "Load the page again, then send the form.",
        )
