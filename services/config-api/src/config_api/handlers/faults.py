"""What pydantic refuses, in words for the person who sent it: where, what, and how to correct it.

pydantic names a fault by its type (docs.pydantic.dev, "Validation Errors"); each has its words here. What was
sent is never repeated: it may be a secret.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError

from config_api.domain.errors import Problem

MOST = 50
"""So many faults one answer names."""

_Words = tuple[str, str]

_TEXT: _Words = ("This is not text.", "Send text, in quotation marks.")
_LIST: _Words = ("This is not a list.", "Send a list, in square brackets.")
_OBJECT: _Words = ("This is not an object.", "Send an object, in braces.")
_INTEGER: _Words = ("This is not a whole number.", "Send a whole number, without quotation marks.")
_NUMBER: _Words = ("This is not a number.", "Send a number, without quotation marks.")
_BOOLEAN: _Words = ("This is neither true nor false.", "Send true or false, without quotation marks.")
_MOMENT: _Words = (
    "This is not a date and time.",
    "Send a date and time with its offset as RFC 3339 defines it, such as 2026-03-02T06:00:00Z.",
)
_DATE: _Words = ("This is not a date.", "Send a date such as 2026-03-02.")
_TIME: _Words = ("This is not a time of day.", "Send a time of day such as 06:30.")
_DURATION: _Words = (
    "This is not a duration.",
    "Send a number of seconds such as 3600, or an ISO 8601 duration such as PT1H.",
)
_URL: _Words = ("This is not a URL.", "Send a complete URL such as https://qlik.example.com.")
_UUID: _Words = ("This is not a UUID.", "Send a UUID such as 123e4567-e89b-12d3-a456-426614174000.")
_CHOICE: _Words = ("This is not one of the values allowed here.", "Send {expected}.")

OTHER: _Words = (
    "This value is not valid here.",
    "Send a value of the type that the REST reference gives for this field.",
)
"""The words for what no model of this service can refuse today."""

WORDS: dict[str, _Words] = {
    "missing": ("This field is required.", "Add it."),
    "extra_forbidden": ("There is no such field here.", "Remove the field, or correct its name."),
    "string_type": _TEXT,
    "string_unicode": ("This is not text in UTF-8.", "Send text in UTF-8."),
    "string_too_short": ("This text is too short.", "Send at least {min_length} characters."),
    "string_too_long": ("This text is too long.", "Send at most {max_length} characters."),
    "string_not_ascii": ("This text has characters outside ASCII.", "Send ASCII characters only."),
    "too_short": ("This list has too few items.", "Send at least {min_length}."),
    "too_long": ("This list or object has too many items.", "Send at most {max_length}."),
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "iterable_type": _LIST,
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dataclass_type": _OBJECT,
    "invalid_key": ("A name in this object is not text.", "Send names in quotation marks."),
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_from_float": _INTEGER,
    "int_parsing_size": ("This number is too large.", "Send a number of at most 18 digits."),
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "finite_number": ("This is not a finite number.", "Send a finite number, or leave the field out."),
    "greater_than": ("This number is too small.", "Send a number greater than {gt}."),
    "greater_than_equal": ("This number is too small.", "Send {ge} or more."),
    "less_than": ("This number is too large.", "Send a number less than {lt}."),
    "less_than_equal": ("This number is too large.", "Send {le} or less."),
    "multiple_of": ("This number is not a multiple of {multiple_of}.", "Send a multiple of {multiple_of}."),
    "enum": _CHOICE,
    "literal_error": _CHOICE,
    "none_required": ("This has to be null.", "Send null, or leave the field out."),
    "union_tag_not_found": (
        "The field {discriminator} is missing.",
        "Add {discriminator} to say which kind this is.",
    ),
    "union_tag_invalid": ("The field {discriminator} names an unknown kind.", "Send one of {expected_tags}."),
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_from_date_parsing": _MOMENT,
    "datetime_object_invalid": _MOMENT,
    "timezone_aware": (
        "This date and time has no offset.",
        "Add the offset from UTC, such as Z or +01:00, as in 2026-03-02T06:00:00Z.",
    ),
    "timezone_naive": ("This date and time has an offset.", "Send it without an offset."),
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "time_type": _TIME,
    "time_parsing": _TIME,
    "time_delta_type": _DURATION,
    "time_delta_parsing": _DURATION,
    "url_type": _URL,
    "url_parsing": _URL,
    "url_syntax_violation": _URL,
    "url_scheme": ("This URL has a scheme that is not allowed here.", "Use {expected_schemes}."),
    "url_too_long": ("This URL is too long.", "Send at most {max_length} characters."),
    "uuid_type": _UUID,
    "uuid_parsing": _UUID,
    "recursion_loop": ("This is nested too deeply.", "Send fewer levels."),
    "recursion_depth_exceeded": ("This is nested too deeply.", "Send fewer levels."),
}

PATTERNS: dict[str, _Words] = {
    "^=": ("A Qlik expression starts with '='.", "Start the expression with '='."),
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$": (
        "This is not a valid id.",
        "Use 1 to 100 letters, digits, dots, hyphens and underscores, and begin with a letter or a digit.",
    ),
    r"^[A-Za-z0-9_-]{1,100}$": (
        "This is not a valid name of a secret.",
        "Use 1 to 100 letters, digits, hyphens and underscores.",
    ),
    r"^[^@\s<>,;\"]+@[^@\s<>,;\"]+$": (
        "This is not an email address.",
        "Send one address in the form name@example.com, without a display name.",
    ),
    r"^([01][0-9]|2[0-3]):[0-5][0-9]$": (
        "This is not a time of day.",
        "Send hours and minutes from 00:00 to 23:59, such as 06:30.",
    ),
    r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$": (
        "This is not a language tag.",
        "Send a BCP 47 tag such as en, de-CH or pt-BR.",
    ),
}


def problems_of(error: RequestValidationError) -> list[Problem]:
    """Return what is wrong with a request that does not fit its schema, at most MOST problems.

    A value that may have one of several types has one problem, not one for each of the types.
    """
    found: dict[str, list[_Words]] = {}
    faults = error.errors()[: 4 * MOST]
    for fault in faults:
        if _follows(fault, faults):
            continue
        words = found.setdefault(_place(fault, error.body), [])
        new = _words(fault)
        if new not in words:
            words.append(new)
    return [Problem(place, *_merged(words)) for place, words in list(found.items())[:MOST]]


def _words(fault: Mapping[str, Any]) -> _Words:
    context = fault.get("ctx") or {}
    if "remedy" in context:
        # A validator of our own: contracts.base.refused.
        return str(context["message"]), str(context["remedy"])
    if fault["type"] == "string_pattern_mismatch":
        return PATTERNS.get(context.get("pattern", ""), OTHER)
    message, remedy = WORDS.get(fault["type"], OTHER)
    return message.format_map(context), remedy.format_map(context)


def _merged(words: Sequence[_Words]) -> _Words:
    if len(words) == 1:
        return words[0]
    remedies = list(dict.fromkeys(remedy for _, remedy in words))
    return "This value has none of the types allowed here.", " Or: ".join(remedies)


def _follows(fault: Mapping[str, Any], faults: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a list is too short only because pydantic does not count its invalid items."""
    where = tuple(fault["loc"])
    return fault["type"] == "too_short" and any(
        len(each["loc"]) > len(where) and tuple(each["loc"][: len(where)]) == where for each in faults
    )


def _place(fault: Mapping[str, Any], body: Any) -> str:
    """Return the path of a fault as in `triggers.0.rule.expression`, or the name of a parameter."""
    steps: Sequence[str | int] = fault["loc"]
    if not steps or steps[0] != "body":
        name = str(steps[-1]) if steps else ""
        return name.title() if steps and steps[0] == "header" else name
    missing = steps[-1:] if fault["type"] == "missing" else ()
    return ".".join(str(step) for step in (*_path(steps[1 : len(steps) - len(missing)], body), *missing))


def _path(steps: Sequence[str | int], body: Any) -> Iterator[str | int]:
    """Yield the steps that are in the JSON.

    pydantic's path also names which member of a union it tried, and `[key]` for the name of an entry.
    """
    here = body
    for step in steps:
        inside = isinstance(here, Mapping) and step in here
        if inside or (isinstance(here, list) and isinstance(step, int) and step < len(here)):
            here = here[step]
            yield step
