"""A site's description is refused with words that say what to change, and never shows its secrets."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from qlik import QlikSite, Selection

OK = "client-managed"
CERTIFICATE = {"kind": "certificate", "user_directory": "INTERNAL", "user_id": "sa_engine"}
KEYS = {"client_pem": "c", "key_pem": "SECRETKEY", "ca_pem": "a"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": OK, "engine_url": "https://h:4747", "auth": CERTIFICATE}, "must start with ws"),
        ({"kind": OK, "engine_url": "wss://h:4747", "auth": CERTIFICATE}, "export the certificates"),
        ({"kind": OK, "engine_url": "wss://h?x=1", "auth": {**CERTIFICATE, **KEYS}}, "must not carry"),
        ({"kind": OK, "engine_url": "wss://u:p@h", "auth": {**CERTIFICATE, **KEYS}}, "must not carry"),
        ({"kind": "cloud", "engine_url": "wss://t", "auth": CERTIFICATE}, "does not fit kind 'cloud'"),
        (
            {"kind": "cloud", "engine_url": "wss://t", "auth": {"kind": "api-key", "key": "k"}},
            "tenant_url is needed",
        ),
        ({"kind": OK, "engine_url": "ws://h", "auth": {"kind": "magic"}}, "does not match any"),
        ({"kind": OK, "engine_url": "ws://h", "auth": CERTIFICATE, "limits": {"ttl_s": -1}}, "ttl_s"),
        ({"kind": OK, "engine_url": "ws://h", "auth": CERTIFICATE, "colour": 1}, "colour"),
    ],
)
def test_a_wrong_site_is_refused_with_words(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        QlikSite.model_validate(given)


def test_secrets_are_not_shown() -> None:
    site = QlikSite.model_validate(
        {"kind": OK, "engine_url": "wss://h:4747/", "auth": {**CERTIFICATE, **KEYS}}
    )
    assert "SECRETKEY" not in repr(site)
    assert "SECRETKEY" not in site.model_dump_json()
    assert site.name == "h:4747"
    assert site.engine_url == "wss://h:4747"


def test_a_selection_goes_through_json_and_keeps_text_and_number_apart() -> None:
    selection = Selection(field="Year", values=("2024", 2024))
    again = Selection.model_validate_json(selection.model_dump_json())
    assert again == selection
    assert [type(v) for v in again.values] == [str, float]


@pytest.mark.parametrize(
    "given",
    [{"field": "", "values": ["a"]}, {"field": "F", "values": []}, {"field": "F", "values": [None]}],
)
def test_an_empty_selection_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Selection.model_validate(given)
