import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from runtime.errors import Permanent
from runtime.secrets import MASK, Sealer, mask

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_sealed_text_opens_again_and_does_not_show() -> None:
    sealer = Sealer([NEW])
    token = sealer.seal("hunter2")
    assert "hunter2" not in token
    assert sealer.open(token).get_secret_value() == "hunter2"
    assert "hunter2" not in repr(sealer.open(token))


def test_older_keys_still_open_and_resealing_leaves_them_behind() -> None:
    token = Sealer([OLD]).seal("hunter2")
    resealed = Sealer([NEW, OLD]).reseal(token)
    assert Sealer([NEW]).open(resealed).get_secret_value() == "hunter2"


@pytest.mark.parametrize(
    "token",
    [pytest.param(Sealer([OLD]).seal("hunter2"), id="of another key"), "", "nonsense", "gAAAAA"],
)
def test_what_no_key_opens_is_permanent(token: str) -> None:
    with pytest.raises(Permanent) as raised:
        Sealer([NEW]).open(token)
    assert raised.value.code == "secret-unreadable"
    assert "BROADSHEET_SECRET_KEY" in raised.value.remedy


@pytest.mark.parametrize("keys", [[], ["short"], [NEW, "hunter2"]])
def test_bad_keys_are_refused_without_being_shown(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="key") as raised:
        Sealer(keys)
    assert "hunter2" not in str(raised.value)


def test_setting_holds_several_keys() -> None:
    sealer = Sealer.from_setting(SecretStr(f"{NEW}, {OLD}"))
    assert sealer.open(Sealer([OLD]).seal("x")).get_secret_value() == "x"
    with pytest.raises(ValueError, match="no key"):
        Sealer.from_setting(None)


def test_sealed_settings_are_put_where_their_path_says() -> None:
    sealer = Sealer([NEW])
    settings = {"url": "https://q", "auth": {"user": "u"}}
    opened = sealer.opened(
        settings,
        {"auth.password": sealer.seal("p"), "proxy.auth.key": sealer.seal("k"), "token": sealer.seal("t")},
    )
    assert opened["auth"] == {"user": "u", "password": SecretStr("p")}
    assert opened["proxy"] == {"auth": {"key": SecretStr("k")}}
    assert opened["token"] == SecretStr("t")
    assert settings == {"url": "https://q", "auth": {"user": "u"}}


def test_sealed_setting_inside_a_value_is_refused() -> None:
    sealer = Sealer([NEW])
    with pytest.raises(Permanent, match="url"):
        sealer.opened({"url": "x"}, {"url.password": sealer.seal("p")})


@pytest.mark.parametrize(
    ("value", "shown"), [("x", MASK), ("a long one", MASK), (SecretStr("x"), MASK), ("", ""), (None, "")]
)
def test_mask_shows_only_that_there_is_one(value: str | SecretStr | None, shown: str) -> None:
    assert mask(value) == shown
