"""Parameters that several calls have in common: one type each, with its bounds.

Every number is bounded, because MongoDB keeps 64 bits and a page of a million items is nobody's question.
"""

from typing import Annotated

from fastapi import Header, Path, Query

from config_api.domain.errors import InvalidError, Problem
from config_api.handlers.problems import PreconditionMissingError
from contracts.base import Utc

MOST_SKIPPED = 1_000_000
_DIGITS = 15
"""So many digits a revision has at most; 64 bits hold more."""

Key = Annotated[str, Path(min_length=1, max_length=200, description="id of the object")]
ExecutionKey = Annotated[str, Path(min_length=1, max_length=200, description="id of the execution")]
Limit = Annotated[int, Query(ge=1, le=1000, description="most items in one answer")]
Skip = Annotated[
    int, Query(ge=0, le=MOST_SKIPPED, description="items to leave out; `next` of the page before")
]
After = Annotated[str | None, Query(max_length=500, description="`next` of the page before")]
AfterNumber = Annotated[int, Query(ge=0, le=10**_DIGITS, description="`next` of the page before")]
OneId = Annotated[str | None, Query(max_length=300)]
Since = Annotated[Utc | None, Query(description="at or after this moment, such as 2026-03-02T06:00:00Z")]
Until = Annotated[Utc | None, Query(description="before this moment")]
IfMatch = Annotated[
    str | None,
    Header(
        max_length=200,
        description="ETag of the revision to change, from the last answer; `*` changes whatever is there",
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(max_length=2000, description="an ETag; answers 304 when the object still has it"),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        description="the same key asks for the same run, however often it is sent; a UUID, for example",
    ),
]


def revision_of(if_match: str | None) -> int | None:
    """Return the revision an If-Match header names; None for `*`, which takes the present one.

    Raises PreconditionMissingError without a header, InvalidError for anything but one ETag of this API.
    """
    if if_match is None:
        raise PreconditionMissingError
    text = if_match.strip()
    if text == "*":
        return None
    text = text.removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise InvalidError(
            Problem(
                "If-Match",
                "This is not an ETag of this API.",
                "Read the object, then send the ETag of the answer, or '*' to change whatever is there.",
            )
        )
    return int(text)


def is_current(if_none_match: str | None, revision: int) -> bool:
    """Return whether the caller of a GET has this revision already (RFC 9110, 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return "*" in tags or f'"{revision}"' in tags
