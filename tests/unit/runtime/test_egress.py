"""Where connections and storage spaces may lead: closed by default, opened by the administrator's list."""

import ipaddress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runtime.egress import Egress, EgressRefused
from runtime.errors import Transient
from runtime.settings import RuntimeSettings


def rule(
    *hosts: str,
    public: bool = True,
    folders: tuple[str, ...] = (),
    found: dict[str, str] | None = None,
) -> Egress:
    """A rule whose look-up knows only `found`, addresses by host."""
    settings = RuntimeSettings(
        egress_hosts=hosts, egress_public=public, storage_folder_roots=tuple(map(Path, folders))
    )
    made = Egress.from_settings(settings)
    if found is None:
        return made

    async def resolve(host: str, port: int) -> list[str]:
        del port
        return found[host].split()

    return replace(made, resolve=resolve)


CLOSED = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST.",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "0",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.2.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "[::1]",
    "::",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
]


@pytest.mark.parametrize("host", CLOSED)
async def test_special_addresses_are_closed_however_they_are_written(host: str) -> None:
    with pytest.raises(EgressRefused, match="not allowed") as refused:
        await Egress().addresses(host, 80)
    assert "BROADSHEET_EGRESS_HOSTS" in refused.value.remedy
    with pytest.raises(EgressRefused):
        Egress().addresses_now(host, 80)
    url = f"http://[{host}]:80/x" if ":" in host and "[" not in host else f"http://{host}:80/x"
    with pytest.raises(EgressRefused):
        await Egress().check_url(url)


@given(st.ip_addresses())
async def test_no_address_is_open_that_is_not_public(address: ipaddress.IPv4Address) -> None:
    try:
        await Egress().addresses(str(address), 443)
    except EgressRefused:
        return
    assert address.is_global
    assert not address.is_multicast


async def test_public_addresses_are_open_unless_only_the_list_is() -> None:
    assert ["1.1.1.1"] == await Egress().addresses("1.1.1.1", 443)
    with pytest.raises(EgressRefused, match="not on the list"):
        await rule(public=False).addresses("1.1.1.1", 443)
    assert ["1.1.1.1"] == await rule("1.1.1.0/24", public=False).addresses("1.1.1.1", 443)


async def test_a_name_that_leads_inside_is_closed_also_when_only_one_of_its_addresses_does() -> None:
    evil = rule(found={"evil.example": "1.1.1.1 10.0.0.1"})
    with pytest.raises(EgressRefused, match="private"):
        await evil.addresses("evil.example", 80)


@pytest.mark.parametrize(
    ("entry", "host", "open_"),
    [
        ("qlik.corp.example", "qlik.corp.example", True),
        ("Qlik.Corp.Example", "QLIK.corp.example.", True),
        ("qlik.corp.example", "other.corp.example", False),
        ("*.corp.example", "qlik.corp.example", True),
        ("*.corp.example", "a.b.corp.example", True),
        ("*.corp.example", "corp.example", False),
        ("*.corp.example", "evilcorp.example", False),
        ("10.0.0.0/8", "qlik.corp.example", True),
        ("10.0.0.7", "qlik.corp.example", True),
        ("10.0.0.8", "qlik.corp.example", False),
        ("fd00::/8", "qlik.corp.example", False),
    ],
)
async def test_the_list_opens_hosts_domains_addresses_and_networks(
    entry: str, host: str, *, open_: bool
) -> None:
    found = rule(entry, found={host.casefold().rstrip("."): "10.0.0.7"})
    if open_:
        assert ["10.0.0.7"] == await found.addresses(host, 4747)
    else:
        with pytest.raises(EgressRefused):
            await found.addresses(host, 4747)


async def test_a_host_without_an_address_is_a_matter_of_time() -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        raise Transient(f"{host}:{port} has no address")

    away = Egress(resolve=nowhere)
    with pytest.raises(Transient):
        await away.addresses("qlik.example", 443)
    await away.check_url("https://qlik.example")
    with pytest.raises(EgressRefused):
        await Egress(resolve=nowhere, public=False).check_url("https://qlik.example")


@pytest.mark.parametrize("host", ["", "a" * 300, "a..b", "\x00", "xn--\x80", "é" * 80])
async def test_what_is_not_a_host_is_refused_and_breaks_nothing(host: str) -> None:
    with pytest.raises((Transient, EgressRefused)):
        await Egress().addresses(host, 80)


def test_every_folder_is_closed_until_it_is_listed(tmp_path: Path) -> None:
    for root in ("/", "/etc", "/proc/self", str(tmp_path)):
        with pytest.raises(EgressRefused, match="list is empty") as refused:
            Egress().check_folder(root)
        assert "BROADSHEET_STORAGE_FOLDER_ROOTS" in refused.value.remedy


def test_folders_below_the_list_are_open_and_links_out_of_it_are_not(tmp_path: Path) -> None:
    inside, outside = tmp_path / "reports", tmp_path / "elsewhere"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    listed = rule(folders=(str(inside),))
    assert inside / "daily" == listed.folder(f"{inside}/daily")
    for root in (tmp_path, outside, f"{inside}/../elsewhere", f"{inside}s", "reports", ""):
        with pytest.raises(EgressRefused):
            listed.check_folder(str(root))
    listed.check_folder(str(inside / "link"))
    with pytest.raises(EgressRefused):
        listed.folder(str(inside / "link"))


@pytest.mark.parametrize(
    "entry", ["http://qlik.example", "qlik.example:4747", "10.0.0.0/33", "*", "*.", "a b", "1.2.3"]
)
def test_entries_that_could_never_fit_are_refused_at_the_start(entry: str) -> None:
    with pytest.raises(ValidationError, match="write it without scheme and port"):
        RuntimeSettings(egress_hosts=(entry,))


def test_the_list_is_read_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROADSHEET_EGRESS_HOSTS", raising=False)
    assert () == RuntimeSettings().egress_hosts
    assert () == RuntimeSettings().storage_folder_roots
    for text in ("10.0.0.0/8, *.corp.example", '["10.0.0.0/8", "*.corp.example"]'):
        monkeypatch.setenv("BROADSHEET_EGRESS_HOSTS", text)
        assert ("10.0.0.0/8", "*.corp.example") == RuntimeSettings().egress_hosts
    monkeypatch.setenv("BROADSHEET_STORAGE_FOLDER_ROOTS", "relative")
    with pytest.raises(ValidationError, match="not an absolute path"):
        RuntimeSettings()
