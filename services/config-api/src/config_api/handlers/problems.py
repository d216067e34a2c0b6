"""Refusals as answers: problem documents for programs (RFC 9457), pages for people."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from config_api.domain.errors import (
    ConflictError,
    ForbiddenError,
    InUseError,
    InvalidError,
    MalformedError,
    MediaTypeError,
    NotAcceptableError,
    NotFoundError,
    Problem,
    RefusedError,
    SignInError,
    StaleError,
    ThrottledError,
    TooLargeError,
    TooManyError,
)
from config_api.domain.sites import SiteError
from config_api.handlers.faults import problems_of
from config_api.handlers.soundness import not_json
from runtime.errors import Permanent, Transient

log = structlog.get_logger(__name__)

STATUS: dict[type[RefusedError], int] = {
    MalformedError: 400,
    NotAcceptableError: 406,
    MediaTypeError: 415,
    InvalidError: 422,
    NotFoundError: 404,
    InUseError: 409,
    ConflictError: 409,
    StaleError: 412,
    SignInError: 401,
    ForbiddenError: 403,
    ThrottledError: 429,
    TooManyError: 429,
    TooLargeError: 413,
    SiteError: 502,
}
TITLES = {
    400: "Bad request",
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Not possible now",
    410: "Gone",
    412: "Changed in the meantime",
    413: "Too large",
    415: "Unsupported media type",
    422: "Not valid",
    428: "If-Match is missing",
    429: "Too many requests",
    500: "Internal error",
    502: "The Qlik site cannot be reached",
    503: "Temporarily unavailable",
}

ErrorPage = Callable[[Request, int, dict[str, Any]], Awaitable[Response]]


class PreconditionMissingError(RefusedError):
    """A change without If-Match, which could overwrite somebody else's."""

    def __init__(self) -> None:
        """Say which header to send."""
        super().__init__(
            "A change has to say which revision it changes.",
            "Read the object, and send its ETag as If-Match.",
        )


def document(status: int, detail: str, remedy: str = "", **more: Any) -> dict[str, Any]:
    """Return a problem document."""
    title = TITLES.get(status, "Refused")
    return {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "remedy": remedy,
    } | more


def of_refusal(error: RefusedError) -> dict[str, Any]:
    """Return the problem document of a refusal."""
    status = 428 if isinstance(error, PreconditionMissingError) else STATUS.get(type(error), 400)
    more: dict[str, Any] = {}
    if isinstance(error, InvalidError):
        more["problems"] = [problem_body(problem) for problem in error.problems]
    if isinstance(error, InUseError):
        more["referrers"] = list(error.referrers)
    return document(status, error.message, error.remedy, **more)


def of_validation(error: RequestValidationError) -> dict[str, Any]:
    """Return the problem document of a request that does not fit its schema; without what was sent."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return of_refusal(not_json(f"{first['ctx']['error']} (character {first['loc'][-1]})"))
    return of_refusal(InvalidError(*problems_of(error)))


def of_failure(error: Exception) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the problem document of anything a request can fail with, and the headers that go with it."""
    if isinstance(error, RefusedError):
        return of_refusal(error), _headers(error)
    if isinstance(error, RequestValidationError):
        return of_validation(error), {}
    if isinstance(error, HTTPException):
        return _of_http(error), dict(error.headers or {})
    if isinstance(error, Transient):
        detail = "Something this service needs is not available now."
        return document(503, detail, "Try again in a moment."), {"Retry-After": "5"}
    if isinstance(error, Permanent):
        return document(_GIVEN_UP.get(error.code, 500), error.message, error.remedy), {}
    return document(500, "The program failed.", "Report this with the log of config-api."), {}


_GIVEN_UP = {"object-missing": 410, "document-too-large": 413}
_OF_FRAMEWORK = {
    400: ("The body cannot be read.", "Send one JSON document in UTF-8, or a form as multipart/form-data."),
    404: ("There is no such address.", "Check the address. /api/docs lists the calls of the API."),
    405: ("This address does not take this method.", "Use one of the methods that the Allow header lists."),
    413: ("The request is too large.", "Send less at once."),
}


def _of_http(error: HTTPException) -> dict[str, Any]:
    """Return the problem document of what the framework refuses."""
    own, remedy = _OF_FRAMEWORK.get(error.status_code, ("", "See /api/docs for what this call takes."))
    said = str(error.detail)
    # The framework says only the name of the status.
    bare = said.casefold() == HTTPStatus(error.status_code).phrase.casefold()
    return document(error.status_code, own if bare and own else said, remedy)


def _headers(error: RefusedError) -> dict[str, str]:
    if isinstance(error, ThrottledError):
        return {"Retry-After": str(error.retry_after_s)}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, SignInError) else {}


def install(app: FastAPI, error_page: ErrorPage) -> None:
    """Answer every failure of the app in the form the caller reads."""

    async def answer(request: Request, error: Exception) -> Response:
        body, headers = of_failure(error)
        status = body["status"]
        if status == 405:  # noqa: PLR2004 - HTTP
            headers["Allow"] = ", ".join(methods_of(app, request.scope))
            if request.method == "OPTIONS":
                return Response(status_code=204, headers={"Allow": headers["Allow"]})
        if status >= 500:  # noqa: PLR2004 - HTTP
            log.warning("request failed", path=request.url.path, status=status, error=_logged(error))
        if request.url.path.startswith("/api/"):
            return JSONResponse(body, status, headers=headers, media_type="application/problem+json")
        if status == 401 and request.method == "GET":  # noqa: PLR2004 - HTTP
            return RedirectResponse("/sign-in", 303)
        page = await error_page(request, status, body)
        page.headers.update(headers)
        return page

    for kind in (RefusedError, RequestValidationError, HTTPException, Transient, Permanent, Exception):
        app.add_exception_handler(kind, answer)


def methods_of(app: FastAPI, scope: Mapping[str, Any]) -> list[str]:
    """Return the methods that an address takes; the router itself names those of one route only."""

    def taken(method: str) -> bool:
        asked = {**scope, "method": method, "fastapi": {}}
        return any(route.matches(asked)[0] is Match.FULL for route in app.router.routes)

    found = [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if taken(method)]
    return [*found, *(["HEAD"] if "GET" in found else []), "OPTIONS"]


def _logged(error: Exception) -> str:
    known = isinstance(error, Transient | Permanent)
    # The text of an unforeseen exception may quote what was sent.
    return str(error)[:500] if known else type(error).__name__


def problem_body(problem: Problem) -> dict[str, str]:
    """Return one problem as answers carry it."""
    return {"field": problem.field, "message": problem.message, "remedy": problem.remedy}
