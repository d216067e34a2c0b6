"""Who is asking: an API key or a session, and that a form was really sent by its page."""

import hmac
from collections.abc import Collection
from dataclasses import dataclass

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.params import Form
from pydantic import BaseModel
from starlette.datastructures import FormData

from config_api.domain.errors import ForbiddenError, InvalidError, Problem, SignInError
from config_api.domain.identity import Session
from config_api.domain.rights import Actor
from config_api.domain.validation import unknown_fields, unstorable
from config_api.use_cases.identity import Identity

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody signed in with a browser."""

    actor: Actor
    session: Session


async def only_known_parameters(request: Request) -> None:
    """Refuse query parameters the call does not have (a FastAPI dependency).

    A filter with a typing error would otherwise be passed over, and the answer would look like all there is.
    Raises InvalidError.
    """
    known = sorted(_parameters(request.scope["route"].dependant))
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        remedy = f"this call knows {', '.join(known)}" if known else "this call has no parameters"
        raise InvalidError(*(Problem(name, "is no parameter of this call", remedy) for name in unknown))


async def only_known_bodies(request: Request) -> None:
    """Refuse a body where the call takes none, and fields of a form that it does not have (a dependency).

    An option that is passed over in silence does something else than was asked for. Fields of JSON bodies are
    looked at where they are read: their models forbid what they do not know, and `nothing_unknown` finds it
    at any depth. Raises InvalidError.
    """
    route = request.scope["route"]
    if route.body_field is None:
        async for part in request.stream():
            if part:
                raise InvalidError(
                    Problem(
                        "", "this call takes no body, and one was sent", "send the request without a body"
                    )
                )
        return
    known = sorted(_form_fields(route.dependant))
    if not known:
        return
    unknown = [name for name in await request.form() if name not in known]
    if unknown:
        remedy = f"this call knows {', '.join(known)}"
        raise InvalidError(*(Problem(name, "is not a field of this form", remedy) for name in unknown))


async def nothing_unknown(request: Request, parsed: BaseModel, *, besides: Collection[str] = ()) -> None:
    """Raise InvalidError for fields, at any depth, that nothing was made of or that cannot be stored.

    `parsed` is what the JSON body became, `besides` are top-level fields that may be sent without effect.
    """
    sent = await request.json()
    without = {key: value for key, value in sent.items() if key not in besides}
    problems = [*unstorable(sent), *unknown_fields(without, parsed.model_dump(mode="json"))]
    if problems:
        raise InvalidError(*problems)


def _form_fields(dependant: Dependant) -> set[str]:
    own = {each.alias for each in dependant.body_params if isinstance(each.field_info, Form)}
    return own.union(*(_form_fields(each) for each in dependant.dependencies))


def _parameters(dependant: Dependant) -> set[str]:
    own = {parameter.alias for parameter in dependant.query_params}
    return own.union(*(_parameters(each) for each in dependant.dependencies))


class Gate:
    """Finds the actor of a request. Its methods are FastAPI dependencies."""

    def __init__(self, identity: Identity, *, secure: bool) -> None:
        """Take the use case, and whether cookies go over TLS only."""
        self._identity = identity
        self.secure = secure
        # With the prefix, browsers take the cookie from this very host only, and over TLS.
        self.cookie = "__Host-broadsheet" if secure else "broadsheet"

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
