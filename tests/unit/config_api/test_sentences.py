"""The audit page says in words what each recorded event says."""

import json
from pathlib import Path

import pytest

import contracts.catalog
from config_api.domain.sentences import sentence, short_type
from contracts.events import EVENT_TYPES

EXAMPLES = sorted((Path(contracts.catalog.__path__[0]) / "examples").rglob("*.json"))


def test_a_change_says_who_changed_which_fields_of_what() -> None:
    data = {
        "entity": "storage-space",
        "entity_id": "archive",
        "name": "Archive",
        "action": "changed",
        "actor": "jo@example.com",
        "changed_fields": ["settings", "name"],
    }

    assert "jo@example.com changed storage space “Archive”: settings, name" == sentence(
        "io.broadsheet.configuration-changed.v1", data
    )


def test_a_failed_delivery_says_to_whom_and_why() -> None:
    data = {"channel": "email", "target": "a@example.com", "reason": {"message": "550 no such user"}}

    assert "Delivery by email to a@example.com failed: 550 no such user" == sentence(
        "io.broadsheet.delivery-failed.v1", data
    )


@pytest.mark.parametrize("data", [None, [], {}, {"reason": 3}, {"trigger": "x", "task_id": 1}])
@pytest.mark.parametrize("event", EVENT_TYPES, ids=lambda event: event.TYPE)
def test_a_record_that_was_tampered_with_still_has_a_sentence(event: type, data: object) -> None:
    ce_type = f"io.broadsheet.{event.TYPE}.v1"  # type: ignore[attr-defined]

    assert sentence(ce_type, data)


def test_every_published_example_says_more_than_its_type() -> None:
    said = {path: sentence(_type(path), json.loads(path.read_text())) for path in EXAMPLES}

    assert said
    assert [] == [
        path
        for path, text in said.items()
        if text.casefold() == short_type(_type(path)).replace("-", " ") and "preview" not in _type(path)
    ]


def test_a_type_of_another_producer_is_shown_as_it_is() -> None:
    assert "com.example.thing" == short_type("com.example.thing")


def _type(path: Path) -> str:
    return f"io.broadsheet.{path.parent.parent.name}.v1"
