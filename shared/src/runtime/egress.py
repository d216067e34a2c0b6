"""Where this installation may connect to and write: the administrator's list.

Addresses of Qlik sites and storage spaces are entered by people who need not be trusted with the network the
services stand in. So private, loopback, link-local and other special addresses are closed unless they are
listed, and so is every folder. Addresses of the platform's own servers (Kafka, MongoDB, the object store,
the mail server) are settings of the administrator and not looked at here.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self
from urllib.parse import urlsplit

from runtime.errors import Permanent, Transient
from runtime.hosts import Network, network_of
from runtime.settings import RuntimeSettings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_EMBEDDING = tuple(
    ipaddress.IPv6Network(prefix) for prefix in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")
)
"""Prefixes whose last 32 bits are an IPv4 address: NAT64 (RFC 6052, 8215), compatible, translated."""
_CLOSED = frozenset({ipaddress.ip_address("168.63.129.16")})
"""Public by its number only: the platform service of Azure, which answers every virtual machine."""

HOSTS_SETTING = "BROADSHEET_EGRESS_HOSTS"
FOLDERS_SETTING = "BROADSHEET_STORAGE_FOLDER_ROOTS"


class EgressRefused(Permanent):
    """The administrator's list does not have this destination."""


@dataclass(frozen=True, slots=True)
class Egress:
    """The rule, from the settings; asked when an address is entered, and again at every connection."""

    names: frozenset[str] = frozenset()
    domains: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    public: bool = True
    folders: tuple[Path, ...] = ()
    resolve: Resolve | None = None

    @classmethod
    def from_settings(cls, settings: RuntimeSettings) -> Self:
        """Return the rule. The settings have refused entries that are not a host, a domain or a network."""
        entries = [each.strip().casefold() for each in settings.egress_hosts]
        networks = tuple(network for each in entries if (network := network_of(each)) is not None)
        names = [each.rstrip(".") for each in entries if network_of(each) is None]
        return cls(
            names=frozenset(each for each in names if not each.startswith("*.")),
            domains=tuple(each.removeprefix("*") for each in names if each.startswith("*.")),
            networks=networks,
            public=settings.egress_public,
            folders=tuple(settings.storage_folder_roots),
        )

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host that may be connected to.

        Raises EgressRefused when one of them is closed, Transient when the host has none now.
        """
        resolve = self.resolve or _resolved
        return self._allowed(host, await resolve(_bare(host), port))

    def addresses_now(self, host: str, port: int) -> list[str]:
        """Return the same, for callers in a thread of their own."""
        return self._allowed(host, _look_up(_bare(host), port))

    async def check_url(self, url: str) -> None:
        """Raise EgressRefused when the host of an address may not be connected to.

        A host that has no address now is let through: it is asked about again before it is connected to.
        """
        parts = urlsplit(url)
        if not parts.hostname:
            return
        try:
            await self.addresses(parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme, 443))
        except Transient:
            if not self.public and not self._listed(_bare(parts.hostname)):
                raise _refused(parts.hostname, "is not on the list") from None

    def check_folder(self, root: str) -> None:
        """Raise EgressRefused when a folder lies outside the list, as it is written; nothing is touched."""
        path = PurePosixPath(root)
        fits = any(path.is_relative_to(PurePosixPath(each)) for each in self.folders)
        if not path.is_absolute() or ".." in path.parts or not fits:
            raise self._outside(root)

    def folder(self, root: str) -> Path:
        """Return a folder that lies below the list also when links are followed. Raises EgressRefused."""
        self.check_folder(root)
        real = Path(root).resolve()
        if not any(real.is_relative_to(each.resolve()) for each in self.folders):
            raise self._outside(root)
        return Path(root)

    def _outside(self, root: str) -> EgressRefused:
        which = f": {', '.join(map(str, self.folders))}" if self.folders else "; the list is empty"
        return EgressRefused(
            "folder-not-allowed",
            f"The folder {root[:200]!r} lies outside the folders that storage spaces may use{which}.",
            f"Choose a folder below one of them, or ask an administrator to add one to {FOLDERS_SETTING}.",
        )

    def _listed(self, host: str) -> bool:
        return host in self.names or any(host.endswith(domain) for domain in self.domains)

    def _allowed(self, host: str, found: Sequence[str]) -> list[str]:
        if not found:
            raise Transient(f"the host {host[:200]!r} has no address")
        if not self._listed(_bare(host)):
            for address in found:
                for each in _meant(ipaddress.ip_address(address.partition("%")[0])):
                    self._demand(host, each)
        return list(dict.fromkeys(found))

    def _demand(self, host: str, address: Address) -> None:
        if any(address in network for network in self.networks):
            return
        if not _is_public(address):
            raise _refused(host, "has a private, loopback, link-local or other special address")
        if not self.public:
            raise _refused(host, "is not on the list")


def _refused(host: str, why: str) -> EgressRefused:
    return EgressRefused(
        "destination-not-allowed",
        f"Connecting to {host[:200]!r} is not allowed: it {why}.",
        f"Ask an administrator to add the host, its domain or its network to {HOSTS_SETTING}.",
    )


def _bare(host: str) -> str:
    return host.strip("[]").rstrip(".").casefold()


def _meant(address: Address) -> set[Address]:
    """Return the address, and the IPv4 addresses that routers or hosts may take it for."""
    meant: set[Address] = {address}
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return {address.ipv4_mapped}
        if address.sixtofour is not None:
            meant.add(address.sixtofour)
        if address.teredo is not None:
            meant.update(address.teredo)
        low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if int(address) > 1 and any(address in network for network in _EMBEDDING):
            meant.add(low)
    return meant


def _is_public(address: Address) -> bool:
    special = address.is_multicast or address.is_unspecified or address.is_reserved or address in _CLOSED
    return address.is_global and not special


async def _resolved(host: str, port: int) -> list[str]:
    return await asyncio.get_running_loop().run_in_executor(None, _look_up, host, port)


def _look_up(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Transient(f"the host {host[:200]!r} has no address") from None
    return list(dict.fromkeys(str(each[4][0]) for each in found))
