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


def cloud(auth: dict[str, Any]) -> QlikSite:
    return QlikSite.model_validate(
        {"kind": "cloud", "engine_url": "wss://t", "tenant_url": "https://t", "auth": auth}
    )


def proxied(**auth: Any) -> QlikSite:
    return QlikSite.model_validate({"kind": OK, "engine_url": "wss://h", "auth": auth})


def test_sessions_are_counted_by_the_user_the_site_sees_and_no_secret_is_in_its_name() -> None:
    client = {"kind": "oauth-m2m", "client_id": "c", "client_secret": "SECRET-c"}
    ticket = {"kind": "ticket", "qps_url": "https://h:4243", "user_directory": "D", "user_id": "u"}
    users = [
        cloud({"kind": "api-key", "key": "SECRET-1"}).user,
        cloud({"kind": "api-key", "key": "SECRET-2"}).user,
        cloud(client).user,
        cloud({**client, "impersonate": {"value": "anna"}}).user,
        cloud({**client, "impersonate": {"value": "bert"}}).user,
        proxied(kind="jwt", token="SECRET-3").user,
        proxied(**ticket).user,
        proxied(**{**ticket, "user_id": "v"}).user,
    ]
    assert len(users) == len(set(users))
    assert users[0] == cloud({"kind": "api-key", "key": "SECRET-1"}).user
    assert "SECRET" not in "".join(users)
    # one certificate or another: the user counts
    assert (
        proxied(**ticket).user
        == proxied(**{**CERTIFICATE, **KEYS, "user_directory": "D", "user_id": "u"}).user
    )


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
