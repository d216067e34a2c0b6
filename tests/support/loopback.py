"""Servers of tests stand on this machine, which an installation may connect to only when it is listed."""

import ipaddress

from runtime.egress import Egress

LOOPBACK = Egress(networks=(ipaddress.ip_network("127.0.0.0/8"),), public=False)
EGRESS_HOSTS = "127.0.0.0/8"
"""The same as a setting."""
