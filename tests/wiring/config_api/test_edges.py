"""What config-api listens to and offers, checked against the catalogue and the reference."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config_api.__main__ import main, parser
from config_api.domain.audit import AuditEvent
from config_api.handlers.bus import GROUP, subscriptions
from config_api.reference import markdown, openapi
from config_api.settings import ConfigApiSettings
from config_api.use_cases.audit import Recorder
from contracts.catalog import topics
from runtime.bus import RawMessage
from support.clock import FakeClock

ROOT = Path(__file__).parents[3]


class _Recorder(Recorder):
    def __init__(self) -> None:
        nothing: Any = None
        super().__init__(trail=nothing, clock=FakeClock())
        self.events: list[AuditEvent] = []

    async def record(self, event: AuditEvent) -> None:
        self.events.append(event)


def test_every_topic_of_the_catalogue_reaches_the_audit_trail() -> None:
    made = subscriptions(_Recorder())
    assert {each.topic for each in made} == {spec.name for spec in topics()}
    assert {each.group for each in made} == {GROUP}
    assert all(each.raw_handler for each in made), "as it came, whatever it is"


async def test_a_message_is_handed_on_as_it_came() -> None:
    recorder = _Recorder()
    handler = subscriptions(recorder)[0].raw_handler
    assert handler is not None
    await handler(RawMessage("t", 2, 7, 0, b"k", (("ce_id", b"e"), ("x", b"\xff")), b"\x00not json"))
    event = recorder.events[0]
    assert (event.topic, event.partition, event.offset, event.key) == ("t", 2, 7, b"k")
    assert (event.headers, event.body) == ((("ce_id", b"e"), ("x", b"\xff")), b"\x00not json")


def test_the_reference_is_what_the_service_offers() -> None:
    page = (ROOT / "docs/reference/rest-api.md").read_text(encoding="utf-8")
    assert page == markdown(), "run: python -m config_api reference > docs/reference/rest-api.md"


def test_every_operation_says_what_it_does_and_bodies_are_described() -> None:
    for path, operations in openapi()["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), f"{method} {path}"
            verb = path.rpartition("/")[2].rpartition(":")[2]
            if method in {"post", "put", "patch"} and verb not in {
                "runs",
                "enable",
                "disable",
                "check",
                "test",
            }:
                assert "requestBody" in operation, f"{method} {path}"


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in openapi()["paths"].items():
        for method, operation in operations.items():
            yield f"{method} {path}", operation


def test_every_operation_has_a_short_stable_id_and_a_title_written_by_hand() -> None:
    ids = [operation["operationId"] for _, operation in _operations()]
    assert len(ids) == len(set(ids))
    for where, operation in _operations():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"]), f"set operation_id: {where}"
        assert len(operation["operationId"]) <= 40, where
        assert re.fullmatch(r"[A-Z][a-zA-Z ]+", operation["summary"]), f"set summary: {where}"
        assert not re.search(r" [A-Z][a-z]+ (?!site)", operation["summary"].replace("Qlik", "")), where


def test_every_operation_describes_what_it_answers_and_its_refusals_as_problems() -> None:
    for where, operation in _operations():
        assert operation["security"], where
        assert {"401", "403", "422", "500", "503"} <= set(operation["responses"]), where
        for status, answer in operation["responses"].items():
            content = answer.get("content", {})
            if status[0] in "45":
                assert ["application/problem+json"] == list(content), f"{where} {status}"
            for media, each in content.items():
                described = "$ref" in each["schema"] or each["schema"].get("format") == "binary"
                assert described, (
                    f"{where} {status} {media}: declare a model, with handlers.description.answers"
                )
        for media, each in operation.get("requestBody", {}).get("content", {}).items():
            assert media != "application/json" or "example" in each, f"{where}: add it to handlers.examples"


def test_what_the_description_says_can_be_read_on_a_page_that_takes_html() -> None:
    description = openapi()
    texts = [description["info"]["description"], *(each["description"] for _, each in _operations())]
    assert [] == [text for text in texts if re.search(r"<[a-zA-Z]", text)]


def test_commands_are_known_and_settings_that_are_missing_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["audit"])
    assert parser().parse_args(["audit", "query", "--execution", "e"]).execution == "e"
    monkeypatch.setenv("BROADSHEET_HTTP_PORT", "port")
    assert main(["rebuild"]) == 2
    assert "BROADSHEET_HTTP_PORT" in capsys.readouterr().err


def test_settings_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="go together"):
        ConfigApiSettings(bootstrap_admin_email="a@example.com")
    with pytest.raises(ValueError, match="max_request_bytes"):
        ConfigApiSettings(max_template_bytes=10_000, max_request_bytes=10_000)
