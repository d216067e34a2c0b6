import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from contracts.configuration import StorageKind, StorageSpace
from runtime.errors import Permanent
from runtime.secrets import MASK, Sealer, mask, placed
from support.sealing import unbound, with_secrets

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
SPACE = StorageSpace(
    id="archive", name="Archive", kind=StorageKind.S3, settings={"endpoint": "https://s3.example"}
)


def test_sealed_text_opens_again_and_does_not_show() -> None:
    sealer = Sealer([NEW])
    token = sealer.seal("hunter2", bound_to="here")
    assert "hunter2" not in token
    assert sealer.open(token, bound_to="here").get_secret_value() == "hunter2"
    assert "hunter2" not in repr(sealer.open(token, bound_to="here"))


def test_what_was_sealed_for_one_thing_opens_for_nothing_else() -> None:
    sealer = Sealer([NEW, OLD])
    with pytest.raises(Permanent) as raised:
        sealer.open(sealer.seal("hunter2", bound_to="here"), bound_to="there")
    assert raised.value.code == "secret-elsewhere"
    assert "hunter2" not in str(raised.value)


def test_older_keys_still_open_and_resealing_leaves_them_behind() -> None:
    old = with_secrets(SPACE, Sealer([OLD]), {"secret_key": "hunter2"}).sealed
    both = Sealer([NEW, OLD])
    resealed = both.resealed(SPACE, old)
    assert Sealer([NEW]).secrets_of(SPACE, resealed)["secret_key"].get_secret_value() == "hunter2"
    assert resealed == both.resealed(SPACE, resealed), "a second time there is nothing to do"


def test_secrets_from_before_they_were_bound_still_open_and_are_bound_when_they_are_saved() -> None:
    sealer, old = Sealer([NEW]), {"secret_key": unbound(NEW, "hunter2")}
    assert sealer.secrets_of(SPACE, old)["secret_key"].get_secret_value() == "hunter2"
    saved = sealer.sealed_for(SPACE, fresh={}, kept=old)
    elsewhere = SPACE.model_copy(update={"settings": {"endpoint": "https://evil.example"}})
    assert sealer.secrets_of(SPACE, saved)["secret_key"].get_secret_value() == "hunter2"
    with pytest.raises(Permanent, match="other settings"):
        sealer.secrets_of(elsewhere, saved)


def test_a_kept_secret_that_no_key_opens_stays_as_it_is() -> None:
    lost = {"secret_key": unbound(OLD, "hunter2")}
    assert lost == Sealer([NEW]).sealed_for(SPACE, fresh={}, kept=lost)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(unbound(OLD, "hunter2"), id="of another key"),
        pytest.param(Sealer([OLD]).seal("hunter2", bound_to="here"), id="bound, of another key"),
        "",
        "nonsense",
        "gAAAAA",
        "v2.",
        "v2.é.é",
    ],
)
def test_what_no_key_opens_is_permanent(token: str) -> None:
    with pytest.raises(Permanent) as raised:
        Sealer([NEW]).open(token, bound_to="here")
    assert raised.value.code == "secret-unreadable"
    assert "BROADSHEET_SECRET_KEY" in raised.value.remedy


@pytest.mark.parametrize("keys", [[], ["short"], [NEW, "hunter2"]])
def test_bad_keys_are_refused_without_being_shown(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="key") as raised:
        Sealer(keys)
    assert "hunter2" not in str(raised.value)


def test_setting_holds_several_keys() -> None:
    sealer = Sealer.from_setting(SecretStr(f"{NEW}, {OLD}"))
    token = Sealer([OLD]).seal("x", bound_to="here")
    assert sealer.open(token, bound_to="here").get_secret_value() == "x"
    with pytest.raises(ValueError, match="no key"):
        Sealer.from_setting(None)


def test_secrets_are_put_where_their_path_says() -> None:
    settings = {"url": "https://q", "auth": {"user": "u"}}
    p, k, t = SecretStr("p"), SecretStr("k"), SecretStr("t")
    opened = placed(settings, {"auth.password": p, "proxy.auth.key": k, "token": t})
    assert opened["auth"] == {"user": "u", "password": p}
    assert opened["proxy"] == {"auth": {"key": k}}
    assert opened["token"] == t
    assert settings == {"url": "https://q", "auth": {"user": "u"}}


def test_a_secret_inside_a_value_is_refused() -> None:
    with pytest.raises(Permanent, match="url"):
        placed({"url": "x"}, {"url.password": SecretStr("p")})


@pytest.mark.parametrize(
    ("value", "shown"), [("x", MASK), ("a long one", MASK), (SecretStr("x"), MASK), ("", ""), (None, "")]
)
def test_mask_shows_only_that_there_is_one(value: str | SecretStr | None, shown: str) -> None:
    assert mask(value) == shown
