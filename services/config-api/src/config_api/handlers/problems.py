"""Refusals as answers: problem documents for programs (RFC 9457), pages for people."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from config_api.domain.errors import (
    ConflictError,
    ForbiddenError,
    InUseError,
    InvalidError,
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
from runtime.errors import Permanent, Transient

log = structlog.get_logger(__name__)

STATUS: dict[type[RefusedError], int] = {
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
    409: "Not possible now",
    410: "Gone",
    412: "Changed meanwhile",
    413: "Too large",
    422: "Not valid",
    428: "If-Match is missing",
    429: "Too many attempts",
    500: "A fault of this program",
    502: "The Qlik site cannot be asked",
    503: "Not available now",
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
    problems = [
        Problem(_place(fault["loc"]), str(fault["msg"]), _remedy(fault)) for fault in error.errors()[:50]
    ]
    refusal = InvalidError(*problems)
    return document(
        422, refusal.message, refusal.remedy, problems=[problem_body(problem) for problem in problems]
    )


def of_failure(error: Exception) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the problem document of anything a request can fail with, and the headers that go with it."""
    if isinstance(error, RefusedError):
        return of_refusal(error), _headers(error)
    if isinstance(error, RequestValidationError):
        return of_validation(error), {}
    if isinstance(error, HTTPException):
        remedy = "Send JSON in UTF-8, or a form." if error.status_code == 400 else ""  # noqa: PLR2004 - HTTP
        return document(error.status_code, str(error.detail), remedy), dict(error.headers or {})
    if isinstance(error, Transient):
        detail = "Something this service needs is not available now."
        return document(503, detail, "Try again in a moment."), {"Retry-After": "5"}
    if isinstance(error, Permanent):
        status = 410 if error.code == "object-missing" else 500
        return document(status, error.message, error.remedy), {}
    return document(500, "This is a fault of the program.", "See its log."), {}


def _headers(error: RefusedError) -> dict[str, str]:
    if isinstance(error, ThrottledError):
        return {"Retry-After": str(error.retry_after_s)}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, SignInError) else {}


def install(app: FastAPI, error_page: ErrorPage) -> None:
    """Answer every failure of the app in the form the caller reads."""

    async def answer(request: Request, error: Exception) -> Response:
        body, headers = of_failure(error)
        status = body["status"]
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


def _logged(error: Exception) -> str:
    known = isinstance(error, Transient | Permanent)
    # The text of an unforeseen exception may quote what was sent.
    return str(error)[:500] if known else type(error).__name__


def problem_body(problem: Problem) -> dict[str, str]:
    """Return one problem as answers carry it."""
    return {"field": problem.field, "message": problem.message, "remedy": problem.remedy}


def _place(steps: Sequence[Any]) -> str:
    # FastAPI names the part of the request first; the tag of a union stands in the path and not in the JSON.
    path = [str(step) for step in steps if step != "body"]
    return ".".join(path)


def _remedy(fault: Any) -> str:
    if fault["type"] == "missing":
        return "add it"
    if fault["type"] == "extra_forbidden":
        return "remove it, or correct its name"
    return ""
