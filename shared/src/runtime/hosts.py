"""Hosts, domains and networks as an administrator writes them into a setting."""

import ipaddress
import re

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?")


def network_of(entry: str) -> Network | None:
    """Return the network, or the single address, that an entry is; None when it is a name."""
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None


def is_entry(text: str) -> bool:
    """Return whether a text is a host, a domain such as `*.example.com`, an address or a network."""
    entry = text.strip().casefold()
    if network_of(entry) is not None:
        return True
    return _NAME.fullmatch(entry) is not None and not entry.rstrip(".").rpartition(".")[2].isdigit()
