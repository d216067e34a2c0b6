"""A stored secret stays only with what it was entered for: every kind, every setting."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config_api.domain.changes import Secrets, Stamp, Stored, save, secrets_after, shown
from config_api.domain.drafts import MASK, Draft
from config_api.domain.kinds import CONNECTION, KINDS, RECIPIENT, STORAGE, TASK, Kind
from config_api.domain.rights import Actor, Role
from contracts.base import Wire
from contracts.binding import bound_to, destination, moved, rule_of
from contracts.configuration import Connection, Recipient, StorageSpace, TaskVersion

STAMP = Stamp(
    Actor("1", "dev@example.com", Role.DEVELOPER, None, "session"), datetime(2026, 3, 2, tzinfo=UTC), "1"
)
WEB = {"engine_url": "wss://qlik.example:4747", "qrs_url": "https://qlik.example:4242"}
CLOUD = {"engine_url": "wss://t.qlikcloud.example", "tenant_url": "https://t.qlikcloud.example"}
USER = {"user_directory": "INTERNAL", "user_id": "sa_api"}
OWNED: list[tuple[Kind, dict[str, Any], tuple[str, ...]]] = [
    (
        CONNECTION,
        {"kind": "client-managed", "settings": {**WEB, "auth": {"kind": "certificate", **USER}}},
        ("auth.key_pem", "auth.client_pem", "auth.ca_pem"),
    ),
    (
        CONNECTION,
        {
            "kind": "client-managed",
            "settings": {
                **WEB,
                "auth": {"kind": "jwt", "virtual_proxy": "jwt", "origin": "https://a.example"},
                "limits": {"connect_s": 5},
            },
        },
        ("auth.token", "auth.ca_pem"),
    ),
    (
        CONNECTION,
        {
            "kind": "client-managed",
            "settings": {
                **WEB,
                "auth": {
                    "kind": "ticket",
                    "qps_url": "https://q.example:4243",
                    "virtual_proxy": "t",
                    **USER,
                },
            },
        },
        ("auth.key_pem", "auth.client_pem", "auth.ca_pem"),
    ),
    (CONNECTION, {"kind": "cloud", "settings": {**CLOUD, "auth": {"kind": "api-key"}}}, ("auth.key",)),
    (
        CONNECTION,
        {
            "kind": "cloud",
            "settings": {
                **CLOUD,
                "auth": {
                    "kind": "oauth-m2m",
                    "client_id": "id",
                    "impersonate": {"field": "subject", "value": "ann"},
                },
            },
        },
        ("auth.client_secret",),
    ),
    (
        STORAGE,
        {
            "kind": "s3",
            "settings": {
                "endpoint": "https://s3.example:9000",
                "region": "eu-1",
                "bucket": "reports",
                "prefix": "daily",
                "access_key": "AKIA",
            },
        },
        ("secret_key",),
    ),
]
OF_OWNED = st.sampled_from(OWNED)


def stored(kind: Kind, body: Mapping[str, Any], secrets: tuple[str, ...]) -> Stored:
    draft = kind.draft.model_validate({"name": "N", **body})
    return save(kind, "k", draft, None, STAMP, sealed={path: f"token of {path}" for path in secrets}).stored


def leaves(settings: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from leaves(value, (*prefix, name))
        else:
            yield (*prefix, name)


def after(kind: Kind, before: Stored, body: Mapping[str, Any]) -> Secrets:
    return secrets_after(kind, "k", kind.draft.model_validate(body), before)


def read(before: Stored) -> dict[str, Any]:
    return deepcopy(shown(before))


CASES = [(kind, body, secrets, path) for kind, body, secrets in OWNED for path in leaves(body["settings"])]


@pytest.mark.parametrize(("kind", "body", "secrets", "path"), CASES)
@pytest.mark.parametrize("how", ["changed", "removed"])
@pytest.mark.parametrize("sent", ["masked", "left out"])
def test_any_setting_but_a_harmless_one_clears_every_secret(  # noqa: PLR0917 - a table of cases
    kind: Kind, body: dict[str, Any], secrets: tuple[str, ...], path: tuple[str, ...], how: str, sent: str
) -> None:
    before = stored(kind, body, secrets)
    changed = read(before)
    place = changed["settings"]
    for step in path[:-1]:
        place = place[step]
    if how == "removed":
        del place[path[-1]]
    else:
        place[path[-1]] = 7 if isinstance(place[path[-1]], int) else f"{place[path[-1]]}x"
    if sent == "left out":
        changed["secrets"] = {}

    result = after(kind, before, changed)

    harmless = path[0] == "limits"
    assert (() if harmless else tuple(sorted(secrets))) == result.cleared
    assert (set(secrets) if harmless else set()) == set(result.kept)


@given(OF_OWNED, st.dictionaries(st.text(min_size=1), st.text() | st.integers(), min_size=1, max_size=2))
def test_a_setting_that_nobody_knows_yet_is_bound_like_the_others(
    owned: tuple[Kind, dict[str, Any], tuple[str, ...]], more: dict[str, Any]
) -> None:
    kind, body, secrets = owned
    before = stored(kind, body, secrets)
    new = {
        name: str(value) for name, value in more.items() if name not in {*body["settings"], "kind", "limits"}
    }
    changed = read(before)
    changed["settings"] |= new
    assert (tuple(sorted(secrets)) if new else ()) == after(kind, before, changed).cleared


@given(OF_OWNED)
def test_what_was_read_and_a_new_name_keep_every_secret(
    owned: tuple[Kind, dict[str, Any], tuple[str, ...]],
) -> None:
    kind, body, secrets = owned
    before = stored(kind, body, secrets)
    assert Secrets(before.document["sealed"], {}) == after(kind, before, read(before))
    assert Secrets(before.document["sealed"], {}) == after(kind, before, {**read(before), "name": "New"})


@given(OF_OWNED, st.data())
def test_a_secret_that_is_entered_again_moves_and_the_others_are_cleared(
    owned: tuple[Kind, dict[str, Any], tuple[str, ...]], data: st.DataObject
) -> None:
    kind, body, secrets = owned
    before = stored(kind, body, secrets)
    entered = data.draw(st.sampled_from(secrets))
    changed = read(before)
    changed["settings"] |= {"engine_url" if kind is CONNECTION else "endpoint": "https://evil.example"}
    changed["secrets"] |= {entered: "new"}
    result = after(kind, before, changed)
    assert {entered: "new"} == result.fresh
    assert {} == result.kept
    assert tuple(sorted(set(secrets) - {entered})) == result.cleared


@pytest.mark.parametrize("value", ["another authority", None])
def test_another_certificate_authority_clears_what_it_would_be_trusted_with(value: str | None) -> None:
    kind, body, secrets = OWNED[1]
    before = stored(kind, body, secrets)
    changed = read(before)
    changed["secrets"] = {"auth.ca_pem": value, "auth.token": MASK}
    result = after(kind, before, changed)
    assert ("auth.token",) == result.cleared
    assert "auth.token" not in result.kept


@pytest.mark.parametrize(("kind", "body", "secrets"), OWNED)
def test_the_audit_entry_names_what_was_cleared(
    kind: Kind, body: dict[str, Any], secrets: tuple[str, ...]
) -> None:
    before = stored(kind, body, secrets)
    changed = read(before)
    changed["settings"] |= {"engine_url" if kind is CONNECTION else "endpoint": "https://evil.example"}
    draft = kind.draft.model_validate(changed)
    write = save(kind, "k", draft, before, STAMP, secrets=after(kind, before, changed))
    assert tuple(sorted(secrets)) == write.event.cleared_secrets
    assert {f"secrets.{path}" for path in secrets} < set(write.event.changed_fields)
    assert write.event.cleared_secrets == write.stored.cleared_secrets


def test_every_kind_with_secrets_is_declared() -> None:
    """A new kind with secrets is bound by all its fields until somebody says what is harmless."""
    declared: set[type[Wire]] = {Connection, StorageSpace, Recipient, TaskVersion}
    models = {kind.model for kind in KINDS.values()} | {TaskVersion}
    assert declared == {model for model in models if "sealed" in model.model_fields}
    sent = {model for model in declared if rule_of(model).sent}
    assert {Connection, StorageSpace} == sent
    assert {kind.model for kind, _, _ in OWNED} == sent


class Webhook(Wire):
    """A kind that somebody adds one day."""

    id: str = "w"
    name: str = "W"
    url: str = ""
    retries: int = 3
    sealed: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it


@given(st.text(), st.integers())
def test_a_kind_that_nobody_declared_is_bound_by_all_its_fields(url: str, retries: int) -> None:
    old = Webhook()
    new = Webhook(url=url, retries=retries, name="Other")
    differing = {name for name in ("url", "retries") if getattr(old, name) != getattr(new, name)}
    assert tuple(sorted(differing)) == moved(old, new)
    assert bool(differing) is (bound_to(old, "key") != bound_to(new, "key"))
    assert "name" not in destination(new)


@pytest.mark.parametrize("kind", [RECIPIENT, TASK])
def test_passwords_of_files_are_never_sent_so_they_stay(kind: Kind) -> None:
    draft: Draft = kind.draft.model_validate({"name": "N"})
    model: type[Wire] = kind.model if kind is not TASK else TaskVersion
    assert rule_of(model).sent is False
    assert Secrets({}, {}) == secrets_after(kind, "k", draft, None)
