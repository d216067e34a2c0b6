"""Requests that no call can use, refused before any call sees them: parameters, media types, bodies.

Each public function is a FastAPI dependency of the whole API.
"""

import email.message
import json
from collections import Counter
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.params import Form
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from config_api.domain.drafts import READ_ONLY, Draft
from config_api.domain.errors import (
    InvalidError,
    MalformedError,
    MediaTypeError,
    NotAcceptableError,
    Problem,
)
from config_api.domain.storable import object_of, unstorable
from config_api.domain.validation import unknown_fields

_ANSWERS = ("application/json", "application/problem+json")


async def only_known_parameters(request: Request) -> None:
    """Refuse query parameters the call does not have, and one that is given twice.

    A filter with a typing error would otherwise be ignored, and the answer would look complete.
    Raises InvalidError.
    """
    known = sorted(_parameters(request.scope["route"].dependant))
    remedy = (
        f"This call takes {', '.join(known)}." if known else "Remove it: this call takes no query parameters."
    )
    problems = []
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in known:
            problems.append(Problem(name[:200], "This call has no such query parameter.", remedy))
        elif count > 1:
            problems.append(Problem(name, f"This parameter is given {count} times.", "Give it once."))
    if problems:
        raise InvalidError(*problems)


async def acceptable(request: Request) -> None:
    """Refuse a caller who takes no JSON (RFC 9110, 12.5.1); downloads have the type they have.

    Raises NotAcceptableError.
    """
    accept = request.headers.get("accept", "").strip()
    if not accept or request.scope["route"].response_class is StreamingResponse:
        return
    if not any(_takes(accept, answer) for answer in _ANSWERS):
        raise NotAcceptableError(
            "This call answers in JSON.", "Send Accept: application/json, or leave it out."
        )


async def only_known_bodies(request: Request) -> None:
    """Refuse a body where the call takes none, and fields of a form that it does not have.

    An option that is ignored does something else than was asked for. Fields of JSON bodies are checked where
    they are read: models forbid what they do not know, and `nothing_unknown` finds it at any depth.
    Raises InvalidError.
    """
    route = request.scope["route"]
    if route.body_field is None:
        async for part in request.stream():
            if part:
                raise InvalidError(
                    Problem(
                        "", "This call takes no body, and one was sent.", "Send the request without a body."
                    )
                )
        return
    known = sorted(_form_fields(route.dependant))
    unknown = [name for name in await request.form() if name not in known] if known else []
    if unknown:
        remedy = f"This call takes {', '.join(known)}."
        raise InvalidError(*(Problem(name[:200], "This form has no such field.", remedy) for name in unknown))


async def sound_body(request: Request) -> None:
    """Refuse a body of another media type than the call takes, or that cannot be stored as it is.

    Raises MediaTypeError, MalformedError, InvalidError that names every place.
    """
    field = request.scope["route"].body_field
    if field is None:
        return
    if isinstance(field.field_info, Form):
        _demand_type(request, "multipart/form-data")
        return
    body = await request.body()
    if not body:
        return
    _demand_type(request, "application/json")
    problems = list(unstorable(_parsed(body)))
    if problems:
        raise InvalidError(*problems[:100])


async def nothing_unknown(request: Request, body: BaseModel) -> None:
    """Raise InvalidError for what was sent in a body and is not in the model that was made of it."""
    sent = await request.json()
    read_only = READ_ONLY | {"kind"} if isinstance(body, Draft) else frozenset()
    without = {key: value for key, value in sent.items() if key not in read_only}
    problems = list(unknown_fields(without, body.model_dump(mode="json")))
    if problems:
        raise InvalidError(*problems[:100])


def not_json(reason: str) -> MalformedError:
    """Return the refusal of a body that is not JSON."""
    return MalformedError(
        f"The body is not valid JSON: {reason}.", "Send one JSON document in UTF-8 (RFC 8259)."
    )


def _form_fields(dependant: Dependant) -> set[str]:
    own = {each.alias for each in dependant.body_params if isinstance(each.field_info, Form)}
    return own.union(*(_form_fields(each) for each in dependant.dependencies))


def _parameters(dependant: Dependant) -> set[str]:
    own = {parameter.alias for parameter in dependant.query_params}
    return own.union(*(_parameters(each) for each in dependant.dependencies))


def _takes(accept: str, answer: str) -> bool:
    family = answer.partition("/")[0]
    for media_range in accept.split(","):
        name, *parameters = (part.strip().lower() for part in media_range.split(";"))
        refused = any(part.replace(" ", "") in {"q=0", "q=0.0", "q=0.00", "q=0.000"} for part in parameters)
        if name in {answer, f"{family}/*", "*/*"} and not refused:
            return True
    return False


def _demand_type(request: Request, wanted: str) -> None:
    sent = request.headers.get("content-type")
    message = email.message.Message()
    message["content-type"] = sent or ""
    charset = message.get_content_charset("utf-8")
    if sent is None or message.get_content_type() != wanted or charset not in {"utf-8", "us-ascii"}:
        named = f"The body is declared as {sent[:100]!r}." if sent else "The body has no Content-Type."
        raise MediaTypeError(named, f"Send Content-Type: {wanted}, and text in UTF-8.")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise MediaTypeError(f"The body is encoded as {coding[:100]!r}.", "Send it without Content-Encoding.")


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8-sig"), object_pairs_hook=object_of)
    except UnicodeDecodeError as error:
        raise not_json(f"byte {error.start} is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise not_json("it is nested too deeply, or has a number of thousands of digits") from error
