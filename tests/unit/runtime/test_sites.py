"""A connection becomes a site, or says what is wrong with it; what was entered is never shown."""

from typing import Any

import pytest
from pydantic import SecretStr

from contracts.configuration import Connection, ConnectionKind
from qlik.site import ApiKeyAuth
from runtime.errors import Permanent
from runtime.secrets import Sealer
from runtime.sites import SiteFault, read_site, site_of
from support.sealing import with_secrets

SEALER = Sealer(["PmFLrMVpVFzmoEjLYJ4u0sH1vBqrXrKpgQmYMPx1-7c="])
CLOUD: dict[str, Any] = {
    "engine_url": "wss://t.eu.qlikcloud.com",
    "tenant_url": "https://t.eu.qlikcloud.com",
    "auth": {"kind": "api-key"},
}


def connection(settings: dict[str, Any], **sealed: str) -> Connection:
    bare = Connection(id="cloud", name="Cloud", kind=ConnectionKind.CLOUD, settings=settings)
    return with_secrets(bare, SEALER, {path.replace("__", "."): text for path, text in sealed.items()})


def test_the_secrets_of_a_connection_are_opened() -> None:
    site = site_of(connection(CLOUD, auth__key="hunter2"), SEALER)

    assert "cloud" == site.kind
    assert isinstance(site.auth, ApiKeyAuth)
    assert SecretStr("hunter2") == site.auth.key


def test_sealed_secrets_without_a_key_are_a_named_error() -> None:
    with pytest.raises(Permanent, match="'Cloud' has secrets, but this service has no key") as told:
        site_of(connection(CLOUD, auth__key="hunter2"), None)

    assert "secret-unreadable" == told.value.code
    assert "BROADSHEET_SECRET_KEY" in told.value.remedy


def test_a_connection_without_secrets_needs_no_key() -> None:
    site = site_of(connection({**CLOUD, "auth": {"kind": "api-key", "key": "open"}}), None)

    assert "t.eu.qlikcloud.com" == site.name


def test_settings_that_do_not_fit_are_told_by_place_and_without_a_value() -> None:
    wrong = connection({**CLOUD, "engine_url": "ftp://hunter3", "pass": "hunter4"}, auth__key="hunter2")

    with pytest.raises(Permanent, match="engine_url") as told:
        site_of(wrong, SEALER)

    assert "connection-invalid" == told.value.code
    assert "hunter" not in told.value.message


def test_a_fault_names_the_place_as_it_was_entered() -> None:
    faults = read_site(ConnectionKind.CLOUD, CLOUD)

    assert (SiteFault("auth.key", "Field required", missing=True),) == faults
