"""What pydantic refuses, in words for the person who sent it.

pydantic names a fault by its type (docs.pydantic.dev, "Validation Errors"); each has its words here: what is
wrong, and how to correct it. What was sent is never repeated: it may be a secret.
"""

from collections.abc import Mapping
from typing import Any

Words = tuple[str, str]

_TEXT: Words = ("This is not text.", "Send text, in quotation marks.")
_LIST: Words = ("This is not a list.", "Send a list, in square brackets.")
_OBJECT: Words = ("This is not an object.", "Send an object, in braces.")
_INTEGER: Words = ("This is not a whole number.", "Send a whole number, without quotation marks.")
_NUMBER: Words = ("This is not a number.", "Send a number, without quotation marks.")
_BOOLEAN: Words = ("This is neither true nor false.", "Send true or false, without quotation marks.")
_MOMENT: Words = (
    "This is not a date and time.",
    "Send a date and time with its offset as RFC 3339 defines it, such as 2026-03-02T06:00:00Z.",
)
_DATE: Words = ("This is not a date.", "Send a date such as 2026-03-02.")
_TIME: Words = ("This is not a time of day.", "Send a time of day such as 06:30.")
_DURATION: Words = (
    "This is not a duration.",
    "Send a number of seconds such as 3600, or an ISO 8601 duration such as PT1H.",
)
_URL: Words = ("This is not a URL.", "Send a complete URL such as https://qlik.example.com.")
_UUID: Words = ("This is not a UUID.", "Send a UUID such as 123e4567-e89b-12d3-a456-426614174000.")
_CHOICE: Words = ("This is not one of the values allowed here.", "Send {expected}.")

OTHER: Words = (
    "This value is not valid here.",
    "Send a value of the type that the REST reference gives for this field.",
)
"""The words for what no model of this service can refuse today."""

WORDS: dict[str, Words] = {
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

PATTERNS: dict[str, Words] = {
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


def words_of(kind: str, context: Mapping[str, Any]) -> Words:
    """Return message and remedy of a fault, given its type and its context as pydantic has them."""
    if "remedy" in context:
        # A validator of our own: contracts.base.refused.
        return str(context["message"]), str(context["remedy"])
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(context.get("pattern", ""), OTHER)
    if kind == "value_error":
        return _of_validator(str(context.get("error", "")))
    message, remedy = WORDS.get(kind, OTHER)
    return message.format_map(context), remedy.format_map(context)


def _of_validator(text: str) -> Words:
    """Return the words for a validator that raised a plain ValueError: its text was written for people."""
    if text.startswith("Expected UploadFile"):  # FastAPI's
        return "This is not a file.", "Send it as a part of the form that has a file name."
    if not text:
        return OTHER
    return text[0].upper() + text[1:].removesuffix(".") + ".", OTHER[1]
