"""Which passwords an account may have, and by what failed sign-ins are counted."""

import pytest

from config_api.domain.errors import InvalidError
from config_api.domain.identity import check_password, client_of, counted

EMAIL = "ann.smith@contoso.example"


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "123456789012",
        "aaaaaaaaaaaa",
        "qwertyuiop12",
        "P@ssw0rd1234",
        "Password123!",
        "passwordpassword",
        "iloveyou1234",
        "administrator",
        "changemechangeme",
        "abcabcabcabc",
        "Summer2026!!",
        "broadsheet2026",
        "qlikqlikqlik",
        "a" * 256,
        "ann.smith@contoso.example",
        "ann.smith2026",
        "AnnSmith-2026",
        "contoso-2026!",
        "smith1234567",
    ],
)
def test_passwords_that_many_have_or_that_tell_whose_they_are_are_refused(password: str) -> None:
    with pytest.raises(InvalidError) as refused:
        check_password(password, EMAIL)
    assert password not in str(refused.value.problems)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "lh8Zq-2ssKx0",
        "another long password",
        "Übergang-Kamille-74",
        "ё" * 3 + "жgQ7!kd0wLm",
    ],
)
def test_passwords_that_nobody_guesses_are_taken(password: str) -> None:
    check_password(password, EMAIL)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_of_ipv6_the_network_counts_that_one_person_has_whole(address: str, client: str) -> None:
    assert client == client_of(address)


def test_a_known_device_is_counted_by_itself() -> None:
    assert {"device:abc"} == set(counted("ann", "192.0.2.7", "abc"))
    assert {"here:192.0.2.7 ann", "address:192.0.2.7", "account:ann"} == set(
        counted("ann", "192.0.2.7", None)
    )
