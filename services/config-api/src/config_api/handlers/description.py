"""The OpenAPI description: what FastAPI derives from the routes, and what is true of all of them.

FastAPI knows parameters and bodies. That every call may be refused, how a caller signs in, and that unknown
fields are refused is the same everywhere, and is added here to whatever routes there are.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from config_api.domain.kinds import KINDS
from config_api.handlers.answers import FieldProblem, Problem, name_of
from config_api.handlers.examples import EXAMPLES
from config_api.use_cases.templates import CONTENT_TYPES

PROBLEM = "application/problem+json"
_REFERENCE = "#/components/schemas/"
_SAFE = frozenset({"get", "head"})

_ABOUT = """Configuration, runs, the Hub and the audit trail of Broadsheet.

**Sign-in.** Send an API key as `Authorization: Bearer` followed by the key, or the session cookie of a
signed-in browser. With the cookie, every call that changes something also needs the token of the session
in the `X-CSRF-Token` header. Readers may use the Hub; developers may also see executions, change the
configuration and run tasks; administrators may do everything. Developers and administrators can create API
keys, signed in with a browser and not with another key (`POST /api/v1/api-keys`).

**Changes.** A change replaces an object as a whole. Send the `ETag` of the last answer as `If-Match`: 412
means that somebody else has changed the object since, 428 that the header is missing. What was read can be
sent back as it is: the fields that only answers have are ignored.

**Secrets** are sent in `secrets` and shown as `••••`. A mask that is sent back keeps the secret, null
removes it. A secret belongs to the settings it was entered for: changing any of them but the name and the
limits clears it, unless it is sent again in the same request. The answer names it in `cleared_secrets`.

**Problems** are `application/problem+json` (RFC 9457) with a `remedy`; 422 lists every fault in `problems`.

**Lists** answer `items` and `next`. Send `next` as `after` (for parts of an execution as `skip`) to get the
following page; it is null on the last one.

**Compatibility.** Within `/api/v1` paths, fields and operation ids stay. New calls, new optional fields in
requests and new fields in answers may be added: ignore fields that you do not know.
"""

TAGS = {
    "tasks": "What reports to make, for whom, when and how to deliver them.",
    "reports": "What a report is made of. Check it and preview it before anybody waits for it.",
    "templates": "Office and HTML files that reports are made from.",
    "connections": "Qlik Sense sites, their apps and how they are.",
    "recipients": "People who get reports.",
    "groups": "Sets of recipients; the members are read when a task runs.",
    "storage-spaces": "Places that report files are saved to.",
    "executions": "Runs of tasks: start one, see how it stands, get its files.",
    "hub": "The files made for the person who asks.",
    "audit": "Every message that was ever published, in an order that cannot be changed unnoticed.",
    "accounts": "Who may sign in.",
    "api-keys": "Keys for programs.",
}

_WHEN = {
    400: "The body cannot be read: it is not JSON in UTF-8.",
    401: "No valid API key and no session was sent.",
    403: "The role does not have the right, or the CSRF token of the session is missing.",
    404: "There is no such object, or the caller may not see it.",
    406: "The caller does not accept JSON.",
    409: "The state of the object does not allow this.",
    410: "The file is no longer in the object store.",
    412: "The object has been changed since it was read.",
    413: "The request is too large.",
    415: "The body has a media type or an encoding that this call does not take.",
    422: "The request is not valid; `problems` lists every fault.",
    428: "If-Match is missing.",
    429: "Too many requests; wait as the remedy says.",
    500: "The program failed.",
    502: "The Qlik site cannot be reached.",
    503: "Something the service needs is unavailable; Retry-After says when to try again.",
}
_ALWAYS = (401, 403, 422, 500, 503)
_WITH_BODY = (400, 413, 415)

Responses = dict[int | str, dict[str, Any]]


def refusals(*statuses: int) -> Responses:
    """Return the refusals of a call, beyond those that every call of its form can have."""
    return {status: _refusal(status) for status in statuses}


def answers(model: type[BaseModel], status: int = 200, *, about: str = "", etag: bool = False) -> Responses:
    """Return what a call answers when it did what was asked."""
    found: dict[str, Any] = {"model": model, "description": about or _first_line(model)}
    if etag:
        found["headers"] = {"ETag": _header("revision of the object, in quotation marks", required=True)}
    if etag and status == 201:  # noqa: PLR2004 - HTTP
        found["headers"]["Location"] = _header("address of the object", required=True)
    return {status: found}


def downloads(about: str) -> Responses:
    """Return what a call answers that gives a file."""
    types = ["application/octet-stream", *dict.fromkeys(each.partition(";")[0] for each in _FILES)]
    return {
        200: {
            "description": about,
            "content": {each: {"schema": {"type": "string", "format": "binary"}} for each in types},
            "headers": {
                "Content-Disposition": _header("attachment, with the name of the file", required=True)
            },
        },
        **refusals(404, 410),
    }


_FILES = (
    *CONTENT_TYPES.values(),
    "application/pdf",
    "application/vnd.apache.parquet",
    "application/zip",
    "image/png",
    "text/csv",
    "text/html",
    "text/plain",
)


def describe(app: FastAPI, *, cookie: str) -> dict[str, Any]:
    """Return the OpenAPI description of an app; `cookie` is the name of the session cookie."""
    whole = get_openapi(
        title=app.title,
        version=app.version,
        description=_ABOUT,
        routes=app.routes,
        separate_input_output_schemas=False,
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        servers=[{"url": "/", "description": "the service that serves this description"}],
    )
    components = whole.setdefault("components", {})
    components["securitySchemes"] = _schemes(cookie)
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _rename(whole, "Body_create_template", "TemplateUpload")
    _rename(whole, "Body_upload_template_file", "TemplateFileUpload")
    _, problems = models_json_schema(
        [(Problem, "validation"), (FieldProblem, "validation")], ref_template=_REFERENCE + "{model}"
    )
    schemas |= problems["$defs"]
    for path, operations in whole["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    _close(whole)
    _open(schemas)
    components["schemas"] = dict(sorted(schemas.items()))
    return whole


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    signed_in: dict[str, list[str]] = {"session": []} if method in _SAFE else {"session": [], "csrfToken": []}
    operation["security"] = [{"apiKey": []}, signed_in]
    found = operation.setdefault("responses", {})
    found.pop("422", None)
    statuses = {*_ALWAYS}
    if "requestBody" in operation:
        statuses |= {*_WITH_BODY}
    if "{" in path:
        statuses.add(404)
    if any("application/json" in answer.get("content", {}) for answer in found.values()):
        statuses.add(406)
    for status in statuses:
        found.setdefault(str(status), _refusal(status))
    operation["responses"] = dict(sorted(found.items()))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        # A body that may be left out is described as the model or null; null itself is not a body.
        options = [each for each in content["schema"].get("anyOf", []) if each.get("type") != "null"]
        if len(options) == 1:
            content["schema"] = options[0]
        for name in _references(content["schema"]):
            if name in EXAMPLES:
                content["example"] = EXAMPLES[name]


def _rename(whole: Mapping[str, Any], old: str, new: str) -> None:
    """Give the form of an upload a name; FastAPI makes one of the operation id."""
    schemas = whole["components"]["schemas"]
    schemas[new] = {**schemas.pop(old), "title": new}
    # What 3.1 says by contentMediaType, and generators know by the format of 3.0.
    schemas[new]["properties"]["file"]["format"] = "binary"
    for operations in whole["paths"].values():
        for operation in operations.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                if content["schema"].get("$ref") == f"{_REFERENCE}{old}":
                    content["schema"] = {"$ref": f"{_REFERENCE}{new}"}


def _close(whole: Mapping[str, Any]) -> None:
    """Say of every object in a JSON body that unknown fields are refused, as they are."""
    schemas = whole["components"]["schemas"]
    bodies = [
        content
        for operations in whole["paths"].values()
        for operation in operations.values()
        for media, content in operation.get("requestBody", {}).get("content", {}).items()
        if media == "application/json"
    ]
    for name in reached(bodies, schemas):
        if "properties" in schemas[name]:
            schemas[name]["additionalProperties"] = False


def _open(schemas: Mapping[str, Any]) -> None:
    """Say of the objects in answers that later versions may add fields."""
    for kind in KINDS.values():
        schemas.get(name_of(kind), {}).pop("additionalProperties", None)


def reached(part: Any, schemas: Mapping[str, Any]) -> set[str]:
    """Return the names of the schemas that a part of the description refers to, at any depth."""
    found: set[str] = set()
    waiting = list(_references(part))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(schemas[name])
    return found


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"].rpartition("/")[2]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _refusal(status: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": _WHEN[status],
        "content": {PROBLEM: {"schema": {"$ref": f"{_REFERENCE}Problem"}}},
    }
    if status in {429, 503}:
        found["headers"] = {"Retry-After": _header("seconds to wait")}
    if status == 401:  # noqa: PLR2004 - HTTP
        found["headers"] = {"WWW-Authenticate": _header("Bearer")}
    return found


def _header(about: str, *, required: bool = False) -> dict[str, Any]:
    return {"description": about, "required": required, "schema": {"type": "string"}}


def _schemes(cookie: str) -> dict[str, Any]:
    return {
        "apiKey": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "bsk_…",
            "description": "An API key. It has the rights of its role, but never more than its owner has.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie,
            "description": "The session of a signed-in browser.",
        },
        "csrfToken": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRF-Token",
            "description": "The token of the session; every form of the console has it as `csrf`.",
        },
    }


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]
