"""The proxy's own endpoints: tickets, JWT sessions with CSRF tokens, logging out (``qps``)."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from qlik_simulator.engine.address import bearer_of, user_of
from qlik_simulator.engine.gate import cookie_name, proxy_session
from qlik_simulator.engine.session import Sessions
from qlik_simulator.rest.qrs import xrfkey_checked
from qlik_simulator.site import Site

Json = dict[str, Any]


class TicketRequest(BaseModel):
    """For whom a ticket is asked."""

    model_config = ConfigDict(populate_by_name=True)

    directory: str = Field(alias="UserDirectory", min_length=1)
    user: str = Field(alias="UserId", min_length=1)
    attributes: list[Json] = Field(default_factory=list, alias="Attributes")


class ProxyService:
    """What the endpoints do."""

    def __init__(self, site: Site, sessions: Sessions) -> None:
        self._site = site
        self._sessions = sessions

    def open(self, prefix: str, authorization: str, ticket: str) -> Response:
        """Open a session for a JWT or a ticket: a cookie, and a CSRF token in a header."""
        if prefix not in self._site.policy.prefixes:
            raise HTTPException(400, "the virtual proxy is not linked to the central proxy")
        credentials = self._site.credentials
        user = credentials.redeem(ticket) if ticket else credentials.jwt_user(bearer_of(authorization) or "")
        if user is None:
            raise HTTPException(401, "Unauthorized")
        session = self._site.credentials.open_session(user, prefix, by_jwt=True)
        response = Response(status_code=204, headers={"qlik-csrf-token": session.csrf})
        response.set_cookie(cookie_name(prefix), session.id, httponly=True)
        return response

    def ticket(self, asked: TicketRequest) -> Json:
        """A ticket for a user."""
        ticket = self._site.credentials.new_ticket(f"{asked.directory}\\{asked.user}")
        return {
            "UserDirectory": asked.directory,
            "UserId": asked.user,
            "Attributes": asked.attributes,
            "Ticket": ticket,
            "TargetUri": None,
        }

    def end_session(self, prefix: str, session_id: str) -> Json:
        """End one session of a virtual proxy."""
        found = self._site.credentials.proxy_sessions.get(session_id)
        if found is None or found.prefix != prefix:
            raise HTTPException(404, "Not Found")
        self._site.credentials.close_session(session_id)
        return {"Session": {"SessionId": session_id, "UserId": found.user.partition("\\")[2]}}

    def log_out(self, prefix: str, user: str) -> Json:
        """Close every session of a user on a virtual proxy, and its engine sockets."""
        closed = self._site.credentials.close_sessions(user, prefix)
        self._sessions.end(lambda key: key.user == user, 1000, "OnSessionLoggedOut")
        return {"session": [session.id for session in closed]}


def proxy_routes(site: Site, sessions: Sessions) -> APIRouter:
    """The routes of the proxy and of its service port."""
    router = APIRouter()
    service = ProxyService(site, sessions)

    @router.get("/qps/csrftoken")
    @router.get("/{prefix}/qps/csrftoken")
    @router.get("/{prefix}/qlik-embed/main.js")
    async def session(request: Request, prefix: str = "") -> Response:
        ticket = request.query_params.get("QlikTicket", "")
        cookie = request.headers.get("cookie", "")
        held = proxy_session(site, prefix, {"cookie": cookie})
        if held is not None and not ticket:
            return Response(status_code=204, headers={"qlik-csrf-token": held.csrf})
        return service.open(prefix, request.headers.get("authorization", ""), ticket)

    @router.post("/qps/{prefix}/ticket", status_code=201)
    @router.post("/qps/ticket", status_code=201)
    async def ticket(
        asked: Annotated[TicketRequest, Body()], request: Request, xrfkey: str = "", prefix: str = ""
    ) -> Json:
        xrfkey_checked(request, xrfkey)
        if prefix not in site.policy.prefixes:
            raise HTTPException(400, "the virtual proxy is not linked to the central proxy")
        if user_of(request.headers.get("x-qlik-user", "")) is None:
            raise HTTPException(403, "Forbidden")  # no certificate
        return service.ticket(asked)

    _add_endings(router, site, service)
    return router


def _add_endings(router: APIRouter, site: Site, service: ProxyService) -> None:
    @router.delete("/qps/session/{session_id}")
    @router.delete("/qps/{prefix}/session/{session_id}")
    async def end_session(session_id: str, request: Request, xrfkey: str = "", prefix: str = "") -> Json:
        xrfkey_checked(request, xrfkey)
        if user_of(request.headers.get("x-qlik-user", "")) is None:
            raise HTTPException(403, "Forbidden")  # no certificate
        return service.end_session(prefix, session_id)

    @router.delete("/qps/{prefix}/user/{directory}/{user}")
    async def end_user(prefix: str, directory: str, user: str, request: Request, xrfkey: str = "") -> Json:
        xrfkey_checked(request, xrfkey)
        return service.log_out(prefix, f"{directory}\\{user}")

    @router.delete("/{prefix}/qps/user")
    @router.delete("/qps/user")
    async def log_out(request: Request, prefix: str = "") -> Json:
        session = proxy_session(site, prefix, {"cookie": request.headers.get("cookie", "")})
        if session is None:
            raise HTTPException(401, "Unauthorized")
        return service.log_out(prefix, session.user)
