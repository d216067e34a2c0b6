"""What is wrong with a request is said in words of our own, with its place and what to do."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core._pydantic_core import list_all_errors

from config_api.domain.drafts import (
    ConnectionDraft,
    GroupDraft,
    RecipientDraft,
    ReportDraft,
    StorageSpaceDraft,
    TaskCopy,
    TaskDraft,
    TemplateDraft,
)
from config_api.domain.errors import Problem
from config_api.domain.previews import PreviewWish
from config_api.domain.runs import RunDraft
from config_api.domain.wording import OTHER, PATTERNS, WORDS
from config_api.handlers import parameters
from config_api.handlers.examples import EXAMPLES
from config_api.handlers.faults import problems_of
from config_api.handlers.rest import Ids
from config_api.handlers.rest_admin import AccountChange, NewAccount, NewKey, PasswordChange
from config_api.reference import openapi

SENT: dict[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        ConnectionDraft,
        StorageSpaceDraft,
        ReportDraft,
        RecipientDraft,
        GroupDraft,
        TaskDraft,
        TaskCopy,
        TemplateDraft,
        PreviewWish,
        Ids,
        NewAccount,
        AccountChange,
        NewKey,
        PasswordChange,
        RunDraft,
    )
}
FULL = {
    **EXAMPLES,
    "TaskDraft": {
        **EXAMPLES["TaskDraft"],
        "test_mode": {"address": "me@example.com"},
        "valid_from": "2026-01-01T00:00:00Z",
        "reports": [
            {
                **EXAMPLES["TaskDraft"]["reports"][0],
                "filters": [{"field": "a", "values": ["x", 1]}],
                "options": {"decimal": ",", "language": "de-CH", "page_size": "A4", "image_dpi": 100},
                "hub": {"publish": True, "keep": 3},
            }
        ],
        "triggers": [
            *EXAMPLES["TaskDraft"]["triggers"],
            {
                "kind": "qlik-reload-all",
                "id": "all",
                "apps": [{"connection_id": "q", "app_id": "a"}],
                "since": "06:00",
                "days": ["mon"],
                "late_at": "07:00",
            },
        ],
    },
    "ReportDraft": {
        **EXAMPLES["ReportDraft"],
        "native": {"kind": "sheet", "id": "s", "width": 400},
        "iteration": {"field": "f", "limit": 3},
        "filters": [{"field": "a", "source": "recipient-attribute", "attribute": "b"}],
    },
}
ODD: tuple[Any, ...] = (None, True, -1, 10**17, 1.5, 1e300, "", "x" * 5000, "é", [], [[]], {}, {"kind": "?"})


def _problems(name: str, body: Any) -> list[Problem]:
    try:
        SENT[name].model_validate(body)
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]
        return problems_of(RequestValidationError(faults, body=body))
    return []


def _places(value: Any) -> Iterator[tuple[Any, ...]]:
    yield ()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from ((key, *rest) for rest in _places(item))


def _with(value: Any, place: tuple[Any, ...], odd: Any) -> Any:
    if not place:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = _with(copy[place[0]], place[1:], odd)
    return copy


def _leads_to(here: Any, field: str) -> bool:
    """Return whether a path names a place of the body, or a field that is missing from such a place."""
    if not field:
        return True
    if isinstance(here, list):
        index, _, rest = field.partition(".")
        return index.isdigit() and int(index) < len(here) and _leads_to(here[int(index)], rest)
    if not isinstance(here, dict):
        return False
    inside = [key for key in here if field == key or field.startswith(f"{key}.")]
    return any(_leads_to(here[key], field[len(key) + 1 :]) for key in inside) or "." not in field


@pytest.mark.parametrize("name", sorted(SENT))
def test_every_place_of_every_body_is_refused_with_a_place_and_a_remedy(name: str) -> None:
    assert _problems(name, FULL[name]) == [], "what is spoiled is valid before"
    seen = 0
    for place in _places(FULL[name]):
        for odd in ODD:
            body = _with(FULL[name], place, odd)
            for problem in _problems(name, body):
                seen += 1
                _in_our_words(problem)
                assert _leads_to(body, problem.field), problem.field
    assert seen > 10


@given(data=st.data())
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_json_is_refused_in_words_of_our_own(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SENT)))
    keys = st.sampled_from([*SENT[name].model_fields, "kind", "x"])
    leaves = st.sampled_from(ODD) | st.floats(allow_nan=False) | st.text(max_size=5)
    body = data.draw(st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner)))
    for problem in _problems(name, body):
        _in_our_words(problem)


def _in_our_words(problem: Problem) -> None:
    for words in (problem.message, problem.remedy):
        assert re.fullmatch(r"[A-Z].*\.", words, re.DOTALL), f"not a sentence: {words!r} at {problem.field}"
        assert "Input should" not in words
        assert "Value error" not in words
        assert "String should" not in words
    assert (problem.message, problem.remedy) != OTHER, problem


def test_every_body_of_the_interface_is_spoiled_here() -> None:
    operations = [each for path in openapi()["paths"].values() for each in path.values()]
    bodies = [each["requestBody"]["content"] for each in operations if "requestBody" in each]
    names = set(re.findall(r"schemas/(\w+)", str([each.get("application/json") for each in bodies])))
    assert set(SENT) == names


def test_each_type_of_fault_that_pydantic_knows_has_a_remedy() -> None:
    for fault in list_all_errors():
        context = fault.get("example_context") or {}
        found = {"type": fault["type"], "loc": ("body", "a"), "msg": "", "input": None, "ctx": context}
        (problem,) = problems_of(RequestValidationError([found], body={"a": 1}))
        assert "a" == problem.field
        assert problem.message
        assert problem.remedy
    assert set(WORDS) <= {fault["type"] for fault in list_all_errors()}, "no words for what does not exist"


def test_every_pattern_of_the_interface_has_words() -> None:
    def patterns(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            yield from (part["pattern"],) if isinstance(part.get("pattern"), str) else ()
            yield from part.get("patternProperties", ())
            for item in part.values():
                yield from patterns(item)
        elif isinstance(part, list):
            for item in part:
                yield from patterns(item)

    description = openapi()
    asked = [description["paths"], *(description["components"]["schemas"][name] for name in SENT)]
    answered = {r"^[a-z][a-z0-9-]*$", r"^[0-9a-f]{64}$"}
    everything = set(patterns(description["components"]["schemas"])) | set(patterns(asked))
    assert set() == everything - set(PATTERNS) - answered


@pytest.mark.parametrize(
    ("name", "place", "odd", "field", "remedy"),
    [
        (
            "TaskDraft",
            ("reports", 0, "conditions", 0, "rules", 0, "left"),
            "vMin",
            "reports.0.conditions.0.rules.0.left",
            "Start the expression with '='.",
        ),
        ("TaskDraft", ("triggers", 0, "kind"), "yearly", "triggers.0", "Send one of 'schedule', "),
        ("TaskDraft", ("triggers", 0, "rule"), {"kind": "cron"}, "triggers.0.rule.expression", "Add it."),
        (
            "TaskDraft",
            ("reports", 0),
            {"id": "r", "report_id": "d", "format": "pdf", "embed": True},
            "reports.0",
            "Set 'format' to html, or set 'embed' to false to attach the file.",
        ),
        (
            "TaskDraft",
            ("valid_from",),
            "0001-01-01T00:00:00+14:00",
            "valid_from",
            "Choose another date.",
        ),
        ("TaskDraft", ("valid_from",), "2026-01-01T00:00:00", "valid_from", "Add the offset from UTC"),
        ("RecipientDraft", ("email",), "Ann <ann@example.com>", "email", "Send one address in the form"),
        (
            "TaskDraft",
            ("reports", 0, "filters", 0, "values", 0),
            {},
            "reports.0.filters.0.values.0",
            "Send text",
        ),
    ],
)
def test_a_fault_is_named_where_it_is_and_says_what_to_do(
    name: str, place: tuple[Any, ...], odd: Any, field: str, remedy: str
) -> None:
    (problem,) = _problems(name, _with(FULL[name], place, odd))
    assert field == problem.field
    assert problem.remedy.startswith(remedy), problem.remedy


def test_parameters_are_bounded_and_named_as_they_are_sent() -> None:
    for bounded in (parameters.Skip, parameters.Limit, parameters.AfterNumber):
        with pytest.raises(ValidationError):
            TypeAdapter(bounded).validate_python(2**63)
    fault = {"type": "less_than_equal", "loc": ("query", "skip"), "msg": "", "input": 1, "ctx": {"le": 5}}
    (problem,) = problems_of(RequestValidationError([fault]))
    assert Problem("skip", "This number is too large.", "Send 5 or less.") == problem
