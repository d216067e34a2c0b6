"""Errors are decided by code, carry a remedy, and never a secret."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qlik.errors import (
    Aborted,
    CalculationFailed,
    ConfigurationError,
    LimitReached,
    PermissionDenied,
    ProtocolError,
    QlikError,
    SelectionNotProved,
    SiteBusy,
    Transient,
    engine_error,
    http_error,
)
from qlik.masking import mask
from support.openrpc import description_path, openrpc


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (15, Aborted),
        (5, PermissionDenied),
        (4000, PermissionDenied),
        (5009, PermissionDenied),
        (2, ConfigurationError),
        (1003, ConfigurationError),
        (7001, CalculationFailed),
        (7005, CalculationFailed),
        (6001, LimitReached),
        (7004, Transient),
        (11000, Transient),
        (-128, Transient),
        (-32602, ProtocolError),
        (7009, ProtocolError),
        (123456, ProtocolError),
        (403, PermissionDenied),
        (503, Transient),
        (429, SiteBusy),
    ],
)
def test_the_class_comes_from_the_code(code: int, kind: type[QlikError]) -> None:
    error = engine_error({"code": code, "message": "Unknown error", "parameter": "p"}, doing="GetLayout")
    assert type(error) is kind
    assert error.code == code
    assert error.remedy
    assert "GetLayout" in str(error)


PUBLISHED = "NxLocalizedErrorCode"
PASSING = (
    "BUSY", "TIMEOUT", "TIMEDOUT", "CONNECT_FAIL", "COULDNT_CONNECT", "CONNECTION_LOST", "MEMORY",
    "UNAVAILABLE",
        "OBJECT_LOCKED", "ONGOING", "CANNOT_CONNECT", "FORCE_RETRY", "DISCONNECTED", "UNREACHABLE",
)  # fmt: skip
DENIED = ("ACCESS_DENIED", "PERMISSION_DENIED", "UNAUTHENTICATED", "LOGIN", "_CALS", "NO_TOKEN", "LICENSE")


def published() -> list[tuple[int, str]]:
    openrpc()  # skips where the description is not at hand
    described = json.loads(description_path().read_text(encoding="utf-8"))["components"]["schemas"]
    return [(each["x-qlik-const"], each["title"]) for each in described[PUBLISHED]["oneOf"]]


def test_every_published_code_has_a_meaning_and_a_remedy_of_its_own() -> None:
    codes = published()
    assert len(codes) == 332
    for code, name in codes:
        error = engine_error({"code": code, "message": name}, doing="GetLayout")
        assert "in between" not in error.remedy, (code, name)
        assert "does not know this code" not in error.remedy, (code, name)
        assert "proxy" not in error.remedy or code == 407, (code, name)


@pytest.mark.parametrize(("words", "kind"), [(PASSING, Transient), (DENIED, PermissionDenied)])
def test_codes_whose_name_says_so_pass_or_are_denied(words: tuple[str, ...], kind: type[QlikError]) -> None:
    for code, name in published():
        if any(word in name for word in words) and "LIMIT_REACHED" not in name:
            assert isinstance(engine_error({"code": code}, doing="x"), kind), (code, name)


PASS_BY_THEMSELVES = [12, 18, 1018, 9000, 9001, 9011, 9012, 500014, -32000, -32001, -32099, 700, 30002]


@pytest.mark.parametrize("code", PASS_BY_THEMSELVES)
def test_what_may_pass_by_itself_is_tried_again(code: int) -> None:
    assert engine_error({"code": code}, doing="x").transient


@pytest.mark.parametrize(
    ("code", "word"),
    [(11013, "load script"), (2001, "data connection"), (22005, "extension"), (5008, "licence"), (18001,
    "variable"),
     (123456, "does not know this code"), (77, "does not know this code")],
)  # fmt: skip
def test_the_remedy_is_that_of_the_family(code: int, word: str) -> None:
    assert word in engine_error({"code": code}, doing="x").remedy


def test_the_text_never_decides() -> None:
    one = engine_error({"code": 15, "message": "Access denied"}, doing="x")
    two = engine_error({"code": 5, "message": "Request aborted"}, doing="x")
    assert (type(one), type(two)) == (Aborted, PermissionDenied)


@pytest.mark.parametrize("raw", [{}, {"code": "x"}, {"code": None, "message": 1}])
def test_an_error_without_a_code_is_a_protocol_error(raw: dict[str, object]) -> None:
    assert type(engine_error(raw, doing="x")) is ProtocolError


def test_only_what_may_pass_is_transient() -> None:
    assert [k.transient for k in (Transient, Aborted, SiteBusy)] == [True] * 3
    assert not any(k.transient for k in (ConfigurationError, PermissionDenied, LimitReached))
    assert not any(k.transient for k in (ProtocolError, CalculationFailed, SelectionNotProved))


def test_http_statuses_have_their_classes() -> None:
    kinds = {s: type(http_error(s, "x")) for s in (401, 403, 404, 410, 429, 500, 503, 418)}
    assert kinds == {
        401: PermissionDenied, 403: PermissionDenied, 404: ConfigurationError, 410: ConfigurationError,
        429: SiteBusy, 500: Transient, 503: Transient, 418: ProtocolError,
    }  # fmt: skip


def test_a_filter_that_is_not_proved_names_field_and_values() -> None:
    error = SelectionNotProved("Region", ("North", 5), "not selected: North")
    assert "'Region'" in str(error)
    assert "North, 5" in str(error)


SECRET = "s3cr3tS3cr3tS3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        f"wss://host/app/x?QlikTicket={SECRET}&x=1",
        f"wss://host/app/x?a=1&accessToken={SECRET}",
        f"wss://host/vp/app/x?qlik-csrf-token={SECRET}",
        f"GET /qrs?xrfkey={SECRET} failed",
        f"Authorization: Bearer {SECRET}",
        f"{{'authorization': 'Bearer {SECRET}', 'x': 1}}",
        f"[(b'Authorization', b'Bearer {SECRET}')]",
        f"Cookie: X-Qlik-Session-vp={SECRET}; other=1",
        f"[(b'set-cookie', b'X-Qlik-Session={SECRET}; Path=/')]",
        f"[(b'qlik-csrf-token', b'{SECRET}')]",
        f"https://user:{SECRET}@host/path",
        f'{{"client_secret": "{SECRET}", "a": 1}}',
        f'{{"access_token":"{SECRET}"}}',
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        "token eyJhbGciOiJSUzI1NiJ9." + SECRET + ".c2lnbmF0dXJl",
    ],
)
def test_a_secret_is_masked_wherever_it_stands(text: str) -> None:
    assert SECRET not in mask(text)
    assert SECRET not in str(Transient(text, remedy=text))
    assert SECRET not in repr(Transient(text))


@given(st.text(alphabet=st.characters(categories=["L", "Zs", "Nd"]), max_size=80))
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert mask(text) == text
